"""Durations as people write them: `90s`, `30m`, `2h`, `1h30m`, `30d`. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

_PATTERN = re.compile(
    r"(?:(?P<days>\d{1,4})d)?(?:(?P<hours>\d{1,4})h)?(?:(?P<minutes>\d{1,4})m)?(?:(?P<seconds>\d{1,5})s)?"
)


def parse_duration(text: str) -> timedelta | None:
    """Return the duration that `text` names, or None if it names none. White space and case do not matter."""
    compact = "".join(text.lower().split())
    match = _PATTERN.fullmatch(compact)
    if match is None or not compact:
        return None
    return timedelta(**{unit: int(count) for unit, count in match.groupdict().items() if count})


def format_duration(duration: timedelta) -> str:
    """Return `duration` as `parse_duration` reads it, to the second."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")) if count]
    return "".join(parts) or "0s"
