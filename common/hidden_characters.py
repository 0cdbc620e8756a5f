"""Characters that a reader does not see, or that turn a text round or move a cursor. Pure.

Text from outside is shown with them as escapes or replaced: it neither looks like another text nor forges a line.
"""

from __future__ import annotations

import unicodedata

_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's general categories (UAX 44): control, format (text direction among them), surrogate, private use,
unassigned, line and paragraph separator."""


def is_hidden(character: str) -> bool:
    """Tell whether the one character is hidden; line feed and tab are."""
    return unicodedata.category(character) in _CATEGORIES


def escape_hidden(text: str, kept: str = "") -> str:
    r"""Return `text` with its hidden characters, but for those in `kept`, as Python's escapes: `\x1b`, `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if character not in kept and is_hidden(character) else character
        for character in text
    )
