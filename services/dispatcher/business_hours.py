"""Deadline arithmetic in a person's own working hours. Pure; the only module that knows time zones."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import takewhile
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
        opens, _ = next(self._windows(moment), (None, None))
        return opens is not None and opens <= moment

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
        for opens, closes in self._windows(start):
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
        windows = takewhile(lambda window: window[0] < end, self._windows(not_before))
        for opens, closes in reversed(list(windows)):
            closing = min(closes, end)
            if closing - left >= opens:
                return max(not_before, closing - left)
            left -= max(timedelta(0), closing - opens)
        return not_before

    def _windows(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the working hours that end after `start` as UTC intervals, in order, until there are none to find."""
        day = start.astimezone(self.zone).date()
        free_days = 0
        while free_days <= LONGEST_PAUSE.days:
            free_days += 1
            if day.weekday() in self.days and day not in self.holidays:
                opens = datetime.combine(day, self.opens, self.zone).astimezone(UTC)
                closes = datetime.combine(day, self.closes, self.zone).astimezone(UTC)
                if closes > start and opens < closes:
                    free_days = 0
                    yield opens, closes
            day += timedelta(days=1)
