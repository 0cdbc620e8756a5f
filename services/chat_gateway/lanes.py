"""Pure: one recipient's messages, which of them goes next, and when. Times are seconds of any steady clock.

Persons: strictly by sequence, but that a message does not wait for updates that the chat system puts off. A gap means
that an earlier message is still on its way (in a dead process's outbox, say); it is waited for, but not for ever.
Channels and look-ups: as they came.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping

from common.token_bucket import TokenBucket
from services.chat_gateway.jobs import Job

GAP_SECONDS = 20.0
"""Longer than a dead dispatcher's outbox (`SWEEP_AGE` and `SWEEP_EVERY`) or a dead gateway's claim keeps a message."""
PER_SECOND = 1.0
"""Messages a second and channel that Slack takes; short bursts are allowed."""
NOTHING_BLOCKED: Mapping[str, float] = {}
BURSTS: Mapping[str, int] = {"person": 3, "channel": 2, "look_up": 1}
"""A conversation should feel immediate: question, answer and next question go at once."""


class Lane:
    """The waiting jobs of one recipient. At most one of them is being called at a time."""

    def __init__(self, kind: str) -> None:
        self.busy = False
        self.scheduled: float | None = None
        """When the schedule looks at this lane next; kept here for the schedule."""
        self.not_before = 0.0
        """Set while the head waits for its next try."""
        self.last: int | None = None
        """The highest sequence that is done; None: nothing is known, so no gap is seen."""
        self._ordered = kind == "person"
        self._bucket = TokenBucket(PER_SECOND, BURSTS.get(kind, 1))
        self._waiting: list[tuple[int, int, float, Job]] = []
        self._arrivals = itertools.count()
        self._highest: int | None = None
        self._last_success = float("-inf")

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: Job, now: float) -> None:
        """Queue `job`."""
        if self._ordered:
            self._highest = job.sequence if self._highest is None else max(self._highest, job.sequence)
        heapq.heappush(self._waiting, (job.sequence if self._ordered else 0, next(self._arrivals), now, job))

    def knows(self, sequence: int) -> None:
        """Learn that everything up to `sequence` is done."""
        self.last = sequence if self.last is None else max(self.last, sequence)

    def reached(self) -> int | None:
        """Return the highest sequence that is done or waits here; None: nothing is known."""
        known = [sequence for sequence in (self.last, self._highest) if sequence is not None]
        return max(known) if known else None

    def has_gap(self) -> bool:
        """Tell whether the head waits for an earlier message that is not here."""
        return self._ordered and self.last is not None and bool(self._waiting) and self._waiting[0][0] > self.last + 1

    def next_at(self, now: float, blocked: Mapping[str, float]) -> float | None:
        """Return when the head may go (`now` or earlier: at once); None while there is nothing to do.

        Args:
            now: the time.
            blocked: until when each method must not be called, as the chat system asked.
        """
        if self.busy or not self._waiting:
            return None
        _, _, added, job = self._first(now, blocked)
        if self._superseded(job):
            return now
        times = [self.not_before, blocked.get(job.calls, 0.0)]
        if self.has_gap():
            times.append(added + GAP_SECONDS)
        if job.calls == "send":
            times.append(self._bucket.free_at(now))
        return max(times)

    def take(self, now: float, blocked: Mapping[str, float] = NOTHING_BLOCKED) -> tuple[Job, float]:
        """Take what `next_at` allows; returns it with the time at which its patience began."""
        first = self._first(now, blocked)
        self._waiting.remove(first)
        heapq.heapify(self._waiting)
        _, _, added, job = first
        job.superseded = self._superseded(job)
        if job.calls == "send":
            self._bucket.take(now)
        self.busy = True
        return job, max(added, self._last_success)

    def done(self, job: Job, now: float, *, success: bool) -> None:
        """Go on with the next."""
        self.busy = False
        self.not_before = 0.0
        if success:
            self._last_success = now
        if self._ordered:
            self.knows(job.sequence)

    def again(self, job: Job, since: float, not_before: float) -> None:
        """Put `job` back at the head, for another try."""
        self.busy = False
        self.not_before = not_before
        heapq.heappush(self._waiting, (job.sequence if self._ordered else 0, -1, since, job))

    def clear(self) -> list[Job]:
        """Forget everything that waits and return it."""
        jobs = [job for _, _, _, job in self._waiting]
        self._waiting.clear()
        self._highest = None
        return jobs

    def _first(self, now: float, blocked: Mapping[str, float]) -> tuple[int, int, float, Job]:
        """Return the head; where that is an update that is put off, the first message behind it and others like it.

        An update changes how an older message looks. What is new, the code of a push, say, is not to wait for that.
        """
        head = self._waiting[0]
        if self._ordered and blocked.get("update", 0.0) > now:
            reached = max(head[0], self.last or 0)
            for one in sorted(self._waiting):
                if one[0] > reached + 1:
                    break
                if one[3].kind != "update":
                    return one
                reached = max(reached, one[0])
        return head

    def _superseded(self, job: Job) -> bool:
        if job.kind != "update":
            return False
        return any(
            other is not job and other.kind == "update" and other.target == job.target for *_, other in self._waiting
        )
