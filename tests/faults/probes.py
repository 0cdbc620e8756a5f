"""How long it takes from a published alert to the question in Slack, measured all the time, and after each kill."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.crowd import Member
from tests.fakes.slack.workspace import BOT
from tests.outside import alert
from tests.stack import Stack

EVERY = 0.5
DISTURBED = 10.0
"""Seconds after a kill that do not count as normal operation."""
AT_LEAST = 1.0
"""What is quicker than this is normal whatever the rest is (seconds)."""


@dataclass(slots=True)
class Probe:
    """One alert to somebody who has no other question open."""

    person: str
    title: str
    at: float
    seen: float | None = None

    def latency(self) -> float:
        """Return the seconds until the question was there; endless where it never came."""
        return float("inf") if self.seen is None else self.seen - self.at


class Probes:
    """Sends a probe every `EVERY` seconds, each to another of `members`."""

    def __init__(
        self, stack: Stack, members: Sequence[Member], send: Callable[[list[dict[str, object]]], None]
    ) -> None:
        self._stack = stack
        self._members = members
        self._send = send
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.probes: list[Probe] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and look when each was seen."""
        self._stopping.set()
        self._thread.join(60)
        for probe in self.probes:
            probe.seen = self._seen(probe)

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(EVERY):
            member = self._members[number % len(self._members)]
            title = f"probe {number}"
            self.probes.append(Probe(member.id, title, time.time()))
            self._send([dict(alert(member.name, title))])
            number += 1

    def _seen(self, probe: Probe) -> float | None:
        """A card keeps its time stamp through all its updates, and its title too."""
        channel = self._stack.slack.workspace.direct(probe.person)
        found = (m for m in channel.messages if m.get("bot_id") == BOT and f"{probe.title}" in str(m["blocks"]))
        return next((float(message["ts"]) for message in found), None)

    # --- what they tell -----------------------------------------------------------------------------------------------

    def normal(self, kills: Sequence[float]) -> tuple[float, float]:
        """Return median and 95th percentile of the latency while nothing had been killed lately."""
        quiet = [p.latency() for p in self.probes if not any(0 <= p.at - kill < DISTURBED for kill in kills)]
        if len(quiet) < 2:
            return 0.0, AT_LEAST
        return statistics.median(quiet), statistics.quantiles(quiet, n=20)[18]

    def recoveries(self, kills: Sequence[float], limit: float) -> list[float]:
        """Return for each kill the seconds until a probe was sent that took no longer than `limit`."""
        found = []
        for kill in kills:
            good = (p.at - kill for p in self.probes if p.at >= kill and p.latency() <= limit)
            found.append(max(0.0, next(good, float("inf"))))
        return found
