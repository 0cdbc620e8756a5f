"""Hidden characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.hidden_characters import escape_hidden, is_hidden


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sudo on db-7 – größer 🙂", "sudo on db-7 – größer 🙂"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("exe.\u202etxt", "exe.\\u202etxt"),
        ("a\u200bb\u2028c\ue000d\U000e0041", "a\\u200bb\\u2028c\\ue000d\\U000e0041"),
        ("half \ud83d", "half \\ud83d"),
        ("two\nlines\t", "two\\nlines\\t"),
    ],
)
def test_what_moves_a_cursor_turns_a_text_or_shows_as_nothing_is_an_escape(text: str, shown: str) -> None:
    assert escape_hidden(text) == shown


@given(st.text(st.characters()), st.sampled_from(["", "\n\t"]))
def test_nothing_hidden_is_left_but_what_is_kept(text: str, kept: str) -> None:
    assert not [c for c in escape_hidden(text, kept) if is_hidden(c) and c not in kept]
