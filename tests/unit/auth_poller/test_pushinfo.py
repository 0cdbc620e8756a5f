from __future__ import annotations

from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from services.auth_poller.pushinfo import LIMIT, encode_pushinfo, printable

_TEXT = st.text(st.characters(), max_size=300) | st.sampled_from(["☠" * 5000, "\ud800", "\x00", "", "a&b=c%d+e f"])


@given(_TEXT, st.lists(st.tuples(_TEXT, _TEXT), max_size=30))
def test_whatever_an_alert_says_the_push_information_is_valid(title: str, facts: list[tuple[str, str]]) -> None:
    encoded = encode_pushinfo(title, facts)
    assert len(encoded.encode("ascii")) < LIMIT
    pairs = parse_qsl(encoded, strict_parsing=True, errors="strict") if encoded else []
    assert all(text.isprintable() for pair in pairs for text in pair)


def test_labels_and_values_come_back_as_they_were() -> None:
    encoded = encode_pushinfo("sudo & co", (("Host=", "db-7%20+"), ("empty", "")))
    assert parse_qsl(encoded) == [("Alert", "sudo & co"), ("Host=", "db-7%20+")]


def test_what_does_not_fit_is_left_out_and_the_title_is_not() -> None:
    encoded = encode_pushinfo("sudo", [(f"Fact {number}", "☠" * 900) for number in range(20)])
    assert encoded.startswith("Alert=sudo&")
    assert 1 < len(parse_qsl(encoded)) < 21


def test_what_cannot_be_seen_is_not_shown() -> None:
    assert printable("a\x00b\u202ec\u200bd\ne\u2028f", 100) == "abcd e f"
    assert printable("x" * 10, 5) == "xxxx…"
