"""What the insight page counts of each alert with a verdict, and what the counts say. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from common.alerts import Resolution

GROUPS: Mapping[str, str] = {
    Resolution.CONFIRMED: "confirmed",
    Resolution.CONFIRMED_UNPROVED: "unproved",
    Resolution.DENIED: "denied",
    Resolution.PROOF_DENIED: "denied",
    Resolution.PROOF_REFUSED: "denied",
    Resolution.PROOF_FRAUD: "denied",
    Resolution.NO_RESPONSE: "silent",
    Resolution.PROOF_TIMEOUT: "silent",
    Resolution.UNREACHABLE: "silent",
}
"""What a resolution counts as in a picture; everything else is `other`."""
GROUP_NAMES = ("confirmed", "unproved", "denied", "silent", "other")
_FACTOR = 1.1
"""Width of a bucket of answer times: a median read from them is off by a few per cent at most."""


class Settled(Protocol):
    """An alert with its verdict."""

    received_at: datetime
    title: str
    resolution: str
    asked_at: datetime | None
    responded_at: datetime | None
    resolved_at: datetime
    closed_at: datetime | None


class Count(NamedTuple):
    """One counter: a day (UTC), a dimension and its key."""

    dimension: str
    day: str
    key: str
    resolution: str


def counts_of(alert: Settled, team: str) -> list[Count]:
    """Return the counters that an alert adds one to."""
    received = alert.received_at.astimezone(UTC)
    day = received.strftime("%Y-%m-%d")
    by_bot = alert.closed_at is not None and alert.closed_at <= alert.resolved_at
    counts = [
        Count("all", day, "bot" if by_bot else "team", alert.resolution),
        Count("title", day, alert.title, alert.resolution),
        Count("team", day, team, alert.resolution),
        Count("hour", day, f"{received.hour:02}", alert.resolution),
    ]
    if alert.asked_at is not None and alert.responded_at is not None:
        seconds = (alert.responded_at - alert.asked_at).total_seconds()
        counts.append(Count("answer", day, f"{bucket(seconds):03}", ""))
    return counts


def bucket(seconds: float) -> int:
    """Return the number of the bucket for a time to answer."""
    return 0 if seconds <= 1 else min(999, math.ceil(math.log(seconds, _FACTOR)))


def bucket_seconds(number: int) -> float:
    """Return the middle of a bucket."""
    return 1.0 if number == 0 else _FACTOR ** (number - 0.5)


def quantile(buckets: Mapping[int, int], share: float) -> float | None:
    """Return the time within which `share` of the answers came."""
    total = sum(buckets.values())
    if not total:
        return None
    below = 0
    for number in sorted(buckets):
        below += buckets[number]
        if below >= share * total:
            return bucket_seconds(number)
    raise AssertionError("the last bucket reaches every share")


@dataclass(frozen=True, slots=True)
class Shares:
    """Alerts of one key (a title, a team, an hour) by what they count as."""

    key: str
    by_group: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_group.values())

    def share(self, group: str) -> float:
        """Return the part that counts as `group`, from 0 to 1."""
        return self.by_group.get(group, 0) / self.total if self.total else 0.0


def shares(rows: Iterable[tuple[str, str, int]]) -> list[Shares]:
    """Add up (key, resolution, alerts), most alerts first."""
    found: dict[str, Counter[str]] = {}
    for key, resolution, alerts in rows:
        found.setdefault(key, Counter())[GROUPS.get(resolution, "other")] += alerts
    return sorted((Shares(key, groups) for key, groups in found.items()), key=lambda s: (-s.total, s.key))


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a noisy title."""

    title: str
    alerts: int
    text: str


MIN_NOISE = 20
ALWAYS, MOSTLY = 0.95, 0.5


def advice(titles: Sequence[Shares], most: int = 8) -> list[Advice]:
    """Name the titles whose alerts teach nobody anything: the answer is always the same, or never comes."""
    found = []
    for title in titles:
        if title.total < MIN_NOISE:
            break
        known = title.share("confirmed") + title.share("unproved")
        if known >= ALWAYS:
            text = f"{known:.0%} confirmed of {title.total:,}: tune or drop this detection"
        elif title.share("silent") > MOSTLY:
            text = f"{title.share('silent'):.0%} silent of {title.total:,}: ask somebody else, or at another time"
        else:
            continue
        found.append(Advice(title.key, title.total, text.replace("%", " %")))
        if len(found) == most:
            break
    return found
