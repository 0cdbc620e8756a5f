"""Which lane may call the chat system next: the lanes, their due times, and the threads that wait for one."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from common.token_bucket import TokenBucket
from services.chat_gateway.jobs import Job
from services.chat_gateway.lanes import Lane

CALLS_PER_SECOND = 200.0
CALLS_AT_ONCE = 50
"""Of the whole process: far above what Slack takes from an app, and low enough that in a storm the calls leave the
processor to the worker that takes messages."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A job whose time has come; give it back with `done` or `again`."""

    lane: Lane
    job: Job
    since: float
    """When it came, or when its lane last worked: its patience is measured from here."""


class Schedule:
    """Thread-safe. A lane that waits holds up no other, and nobody wakes up for nothing."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lanes: dict[str, Lane] = {}
        self._known: set[str] = set()
        """Message ids that wait or are being called: a row taken over twice is called once."""
        self._due: list[tuple[float, int, Lane]] = []
        self._order = itertools.count()
        self._blocked: dict[str, float] = {}
        self._pace = TokenBucket(CALLS_PER_SECOND, CALLS_AT_ONCE)
        self._changed = threading.Condition()
        self._stopped = False

    def __len__(self) -> int:
        return len(self._known)

    def add(self, jobs: Sequence[Job], done: Mapping[str, int]) -> None:
        """Queue `jobs`. `done`: for recipients just looked up, the highest sequence that is done."""
        with self._changed:
            now = self._monotonic()
            touched: dict[str, Lane] = {}
            for job in jobs:
                if job.message_id in self._known:
                    continue
                self._known.add(job.message_id)
                if job.lane not in self._lanes:
                    self._lanes[job.lane] = Lane(job.recipient_kind)
                lane = touched[job.lane] = self._lanes[job.lane]
                lane.add(job, now)
            for name, sequence in done.items():
                if name in self._lanes:
                    self._lanes[name].knows(sequence)
            for lane in touched.values():
                self._plan(lane, now)

    def in_hand(self, message_ids: Collection[str]) -> list[str]:
        """Return those of `message_ids` that wait or are being called here."""
        with self._changed:
            return [message_id for message_id in message_ids if message_id in self._known]

    def unsure(self, jobs: Sequence[Job]) -> set[str]:
        """Return the persons among `jobs` whose next sequence this process does not know, or that leave a gap."""
        with self._changed:
            unsure: set[str] = set()
            expected: dict[str, int] = {}
            for job in jobs:
                if job.recipient_kind != "person" or job.lane in unsure:
                    continue
                last = expected.get(job.lane, self._reached(job.lane))
                if last is None or job.sequence > last + 1:
                    unsure.add(job.lane)
                else:
                    expected[job.lane] = max(last, job.sequence)
            return unsure

    def gaps(self) -> list[str]:
        """Return the persons whose next message waits for an earlier one: another process may be at it."""
        with self._changed:
            return [name for name, lane in self._lanes.items() if lane.has_gap()]

    def learn(self, done: Mapping[str, int]) -> None:
        """Learn the highest sequence that is done, of recipients whose lanes had gaps."""
        with self._changed:
            now = self._monotonic()
            for name, sequence in done.items():
                if name in self._lanes:
                    self._lanes[name].knows(sequence)
                    self._plan(self._lanes[name], now)

    def waiting(self, names: Collection[str]) -> dict[str, int]:
        """Return how many jobs wait in each of these lanes."""
        with self._changed:
            return {name: len(self._lanes[name]) for name in names if name in self._lanes}

    def full(self, most: int) -> list[str]:
        """Return the lanes in which at least `most` jobs wait."""
        with self._changed:
            return [name for name, lane in self._lanes.items() if len(lane) >= most]

    def _reached(self, name: str) -> int | None:
        lane = self._lanes.get(name)
        return None if lane is None else lane.reached()

    def take(self) -> Turn | None:
        """Wait for the next turn; None once stopped."""
        with self._changed:
            while not self._stopped:
                now = self._monotonic()
                turn = self._next(now)
                if turn is not None:
                    if self._due:
                        self._changed.notify()  # somebody has to watch the next due time
                    return turn
                due = max(self._due[0][0], self._pace.free_at(now)) if self._due else None
                self._changed.wait(None if due is None else due - now)
            return None

    def done(self, turn: Turn, *, success: bool) -> None:
        """Forget the job; its lane goes on with the next."""
        with self._changed:
            now = self._monotonic()
            self._known.discard(turn.job.message_id)
            turn.lane.done(turn.job, now, success=success)
            if turn.job.kind == "look_up" and not len(turn.lane):
                self._lanes.pop(turn.job.lane, None)
            self._plan(turn.lane, now)

    def again(self, turn: Turn, pause: float) -> None:
        """Try the job again after `pause` seconds, before anything else of its lane."""
        with self._changed:
            now = self._monotonic()
            turn.lane.again(turn.job, turn.since, now + pause)
            self._plan(turn.lane, now)

    def block(self, method: str, seconds: float) -> None:
        """Let nobody call `method` for `seconds`."""
        with self._changed:
            self._blocked[method] = max(self._blocked.get(method, 0.0), self._monotonic() + seconds)

    def age(self, turn: Turn) -> float:
        """Return the seconds for which the job has been waiting for a chat system that works."""
        return self._monotonic() - turn.since

    def clear(self) -> list[Job]:
        """Forget everything that is not being called right now, and return it."""
        with self._changed:
            jobs = [job for lane in self._lanes.values() for job in lane.clear()]
            self._known -= {job.message_id for job in jobs}
            return jobs

    def stop(self) -> None:
        """Let every `take` return None."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _next(self, now: float) -> Turn | None:
        if self._pace.free_at(now) > now:
            return None
        while self._due and self._due[0][0] <= now:
            when, _, lane = heapq.heappop(self._due)
            if lane.scheduled != when:
                continue
            lane.scheduled = None
            ready = lane.next_at(now, self._blocked)
            if ready is not None and ready <= now:
                job, since = lane.take(now, self._blocked)
                self._pace.take(now)
                return Turn(lane, job, since)
            self._plan(lane, now)
        return None

    def _plan(self, lane: Lane, now: float) -> None:
        ready = lane.next_at(now, self._blocked)
        if ready is None or (lane.scheduled is not None and lane.scheduled <= ready):
            return
        lane.scheduled = ready
        heapq.heappush(self._due, (ready, next(self._order), lane))
        self._changed.notify()
