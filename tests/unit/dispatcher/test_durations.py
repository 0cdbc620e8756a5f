from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("1h30m", timedelta(minutes=90)),
        (" 1 H 30 M ", timedelta(minutes=90)),
        ("30d", timedelta(days=30)),
        ("1d2h3m4s", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("0s", timedelta(0)),
    ],
)
def test_written_durations_are_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", " ", "2", "h", "-2h", "2h-1m", "1m2h", "2hours", "2h2h", "1.5h", "99999h", "٣x"])
def test_anything_else_is_none(text: str) -> None:
    assert parse_duration(text) is None


@given(st.text())
def test_arbitrary_text_never_raises(text: str) -> None:
    duration = parse_duration(text)
    assert duration is None or duration >= timedelta(0)


@given(st.integers(0, 9999 * 86_400))
def test_what_is_written_is_read_as_the_same(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration


def test_zero_is_written_too() -> None:
    assert format_duration(timedelta(milliseconds=900)) == "0s"
