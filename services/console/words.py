"""What a text is found by: its words, whole and in parts, in lower case. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_WORD = 64
"""Characters; what is longer is found by its beginning."""
MIN_WORD = 2
MOST_WORDS = 64
"""Of one alert: enough for title, description and owner, and no stranger fills the index with one message."""
MOST_TERMS = 8
_TOKEN = re.compile(r"[^\s\"'(){}\[\]<>,;|=`“”‘’]+")
_PART = re.compile(r"\w+")


def words_of(*texts: str | None) -> frozenset[str]:
    """Return the words of an alert: `db-7.example` gives itself, `db`, `example`; what is too short is left out."""
    found: dict[str, None] = {}
    for text in texts:
        for token in _TOKEN.findall((text or "").lower()):
            whole = token.strip(".:!?-_/\\*…")
            for word in (whole, *_PART.findall(whole)):
                if len(word) >= MIN_WORD:
                    found[word[:MAX_WORD]] = None
                if len(found) >= MOST_WORDS:
                    return frozenset(found)
    return frozenset(found)


def terms_of(text: str) -> list[str]:
    """Return what a search looks for: every term has to be the beginning of one of the alert's words.

    A term that is too short to be a word ("vlan 5") is left out beside longer ones, or it would hide the very alert.
    """
    terms = (token.strip(".:!?-_/\\*…")[:MAX_WORD] for token in _TOKEN.findall(text.lower()))
    found = list(dict.fromkeys(term for term in terms if term))
    return ([term for term in found if len(term) >= MIN_WORD] or found)[:MOST_TERMS]


def has_all(words: Iterable[str], terms: Iterable[str]) -> bool:
    """Tell whether each term is the beginning of a word."""
    have = tuple(words)
    return all(any(word.startswith(term) for word in have) for term in terms)
