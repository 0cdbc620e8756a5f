"""Options that several commands share, and the values that they take."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from services.dispatcher.durations import parse_duration

F = TypeVar("F", bound=Callable[..., Any])
SEVERITY = click.Choice(["low", "medium", "high", "critical"])
"""`common.alerts.Severity`, written out: importing that takes a good part of a command's time."""


def duration(value: str) -> timedelta:
    """Return the length of `2d`, `4h` or `1h30m`."""
    parsed = parse_duration(value)
    if parsed is None:
        raise click.BadParameter(f"{value!r} is no duration; write 30m, 4h, 1h30m or 2d")
    return parsed


def moment(value: str) -> datetime:
    """Return the moment that a date or an RFC 3339 time names; without a zone it is UTC."""
    try:
        parsed = datetime.fromisoformat(value)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{value!r} is no time; write 2026-03-03 or 2026-03-03T12:00:00Z") from None


def json_option(function: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")(function)


def limit_option(function: F) -> F:
    """Add `--limit`."""
    return click.option(
        "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Rows at the most."
    )(function)
