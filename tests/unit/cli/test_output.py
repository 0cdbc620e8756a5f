"""Text that a stranger wrote, on a terminal; and the values that options take."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import click
import pytest

from common import alerts
from services.cli import alerts as commands
from services.cli.options import SEVERITY, duration, moment
from services.cli.output import plain, print_json, print_table, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Größe 日本", "Größe 日本"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_characters_that_a_terminal_acts_on_are_shown_as_escapes(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_markup_in_a_table_stays_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"title": "[red]boo[/red] :smile: \x1b[31m"}], {"title": "title"}, "none")
    assert "[red]boo[/red] :smile: \\x1b[31m" in capsys.readouterr().out


def test_json_is_ascii_and_can_be_read_again(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([{"at": datetime(2026, 3, 3, 12, tzinfo=UTC), "body": b"\xff", "title": "\x9b31m"}])
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == [{"at": "2026-03-03T12:00:00Z", "body": "\\xff", "title": "\x9b31m"}]


def test_values_are_told_in_words() -> None:
    moment_there = datetime(2026, 3, 3, 14, tzinfo=timezone(timedelta(hours=2)))
    assert [plain(value) for value in (None, True, False, 3, moment_there, {"a": 1})] == [
        "-", "yes", "no", "3", "2026-03-03 12:00:00Z", '{"a": 1}',
    ]  # fmt: skip


def test_durations_are_read() -> None:
    assert [duration(text) for text in ("30m", "4h", "1h30m", "2d", "90s")] == [
        timedelta(minutes=30), timedelta(hours=4), timedelta(minutes=90), timedelta(days=2), timedelta(seconds=90),
    ]  # fmt: skip
    for wrong in ("", "4", "h", "-1h", "1.5h", "forever"):
        with pytest.raises(click.BadParameter, match="is no duration"):
            duration(wrong)


def test_moments_are_utc_where_no_zone_is_given() -> None:
    assert moment("2026-03-03") == datetime(2026, 3, 3, tzinfo=UTC)
    assert moment("2026-03-03T13:00:00+01:00") == datetime(2026, 3, 3, 12, tzinfo=UTC)
    for wrong in ("soon", "0001-01-01T00:00:00+05:00"):
        with pytest.raises(click.BadParameter, match="is no time"):
            moment(wrong)


def test_the_words_that_options_take_are_those_of_the_record() -> None:
    assert tuple(alerts.Status) == commands.STATUSES
    assert list(alerts.Severity) == list(SEVERITY.choices)
    assert tuple(alerts.Resolution) == commands.RESOLUTIONS
