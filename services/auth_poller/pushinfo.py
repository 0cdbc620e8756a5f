"""What the push shows, from an alert that a stranger wrote. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from common.hidden_characters import is_hidden

LIMIT = 20_000
"""Duo takes fewer bytes than this."""
_LONGEST_LABEL = 100
_LONGEST_VALUE = 1_000


def encode_pushinfo(title: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return URL-encoded label-value pairs, the title first; those that no longer fit are left out."""
    encoded = ""
    for label, value in (("Alert", title), *facts):
        label_shown, value_shown = printable(label, _LONGEST_LABEL), printable(value, _LONGEST_VALUE)
        if not label_shown or not value_shown:
            continue
        pair = f"{quote(label_shown, safe='')}={quote(value_shown, safe='')}"
        longer = f"{encoded}&{pair}" if encoded else pair
        if len(longer) >= LIMIT:
            break
        encoded = longer
    return encoded


def printable(text: str, longest: int) -> str:
    """Return `text` on one line, without anything that cannot be seen, cut to `longest` characters."""
    spaced = (" " if character.isspace() else character for character in text)
    shown = "".join(character for character in spaced if not is_hidden(character))
    shown = " ".join(shown.split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
