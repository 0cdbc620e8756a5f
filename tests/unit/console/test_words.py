"""The words by which texts are found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.console.words import MAX_WORD, MIN_WORD, MOST_WORDS, has_all, terms_of, words_of


def test_words_are_whole_and_in_parts() -> None:
    assert words_of("sudo on DB-7.example!", None, "alice@example.com") == {
        "sudo", "on", "db-7.example", "db", "example", "alice@example.com", "alice", "com",
    }  # fmt: skip
    assert words_of("x" * 500) == {"x" * MAX_WORD}
    assert len(words_of(" ".join(f"w{n}" for n in range(500)))) == MOST_WORDS


@given(st.text(max_size=80))
def test_a_text_is_found_by_itself(text: str) -> None:
    if any(len(term) >= MIN_WORD for term in terms_of(text)):
        assert has_all(words_of(text), terms_of(text))
