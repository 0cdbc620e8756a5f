"""Deadline arithmetic in a person's own working hours. Pure; the only module that knows time zones."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

LONGEST_PAUSE = timedelta(days=60)
"""No calendar closes longer; a search that goes on has no working hours to find."""


@dataclass(frozen=True, eq=False)
class BusinessHours:
    """When a person works: `opens` to `closes` on `days` (0 is Monday) in `zone`, but not on `holidays`.

    Compared by identity: deadlines are kept by it, since the alerts of a batch ask for the same few.
    """

    zone: ZoneInfo
    opens: time
    closes: time
    days: frozenset[int]
    holidays: Container[date]

    def is_open(self, moment: datetime) -> bool:
        """Tell whether `moment` is within working hours."""
        return any(start <= moment < end for start, end in self._windows(moment, timedelta(days=1)))

    def next_opening(self, moment: datetime) -> datetime:
        """Return `moment` if it is within working hours, otherwise when the next ones begin."""
        return self.after(moment, timedelta(microseconds=1)) - timedelta(microseconds=1)

    @lru_cache(maxsize=1024)  # noqa: B019 - there are as many of these as time zones, for as long as the process
    def after(self, start: datetime, duration: timedelta) -> datetime:
        """Return the moment at which `duration` of working time has passed since `start` (aware; UTC comes back).

        The elapsed time within a working day is real time: a day on which clocks change is an hour shorter or longer.
        """
        left = duration
        moment = start
        for opens, closes in self._windows(start, LONGEST_PAUSE + 24 * duration):
            moment = max(moment, opens)
            if moment + left <= closes:
                return moment + left
            left -= max(timedelta(0), closes - moment)
        return start + duration

    @lru_cache(maxsize=1024)  # noqa: B019 - likewise
    def before(self, end: datetime, duration: timedelta, not_before: datetime) -> datetime:
        """Return the latest moment from which at least `duration` of working time is left until `end`.

        Never earlier than `not_before`.
        """
        left = duration
        windows = [w for w in self._windows(not_before, end - not_before + timedelta(days=1)) if w[0] < end]
        for opens, closes in reversed(windows):
            closing = min(closes, end)
            if closing - left >= opens:
                return max(not_before, closing - left)
            left -= max(timedelta(0), closing - opens)
        return not_before

    def _windows(self, start: datetime, span: timedelta) -> Iterator[tuple[datetime, datetime]]:
        """Yield the working hours as UTC intervals, from the day of `start` on."""
        day = start.astimezone(self.zone).date()
        for offset in range(span.days + 2):
            current = day + timedelta(days=offset)
            if current.weekday() in self.days and current not in self.holidays:
                opens = datetime.combine(current, self.opens, self.zone).astimezone(UTC)
                closes = datetime.combine(current, self.closes, self.zone).astimezone(UTC)
                if closes > start and opens < closes:
                    yield opens, closes
