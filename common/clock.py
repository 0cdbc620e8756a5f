"""Time as an argument: the only place that reads the system's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

MOST_SKEW = timedelta(seconds=30)
"""Slack's signatures and Duo's requests hold for 5 minutes; deadlines should be right to a minute."""


class Clock(Protocol):
    """Tells the current time, always aware and in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the current time in UTC, to the microsecond."""
        return datetime.now(UTC)


def skew_problem(whose: str, theirs: datetime, ours: datetime, most: timedelta = MOST_SKEW) -> str | None:
    """Return what to do about a clock that is more than `most` from ours; None: they agree."""
    skew = ours - theirs
    if abs(skew) <= most:
        return None
    way = "ahead of" if skew > timedelta(0) else "behind"
    return f"this machine's clock is {abs(skew).total_seconds():.0f} s {way} {whose}: let NTP set both"
