"""Counts for the insight page, kept in the record: each alert is counted once, some seconds after its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from common.records.console_tables import ProgressRow, RollupRow
from common.records.tables import AlertRow
from common.unit_of_work import UnitOfWork
from services.console.counters import add_counts
from services.console.counting import Count, Shares, counts_of, shares
from services.console.progress import BEGINNING, Progress

NAME = "rollups"
BATCH = 5000
SETTLED_AFTER = timedelta(seconds=30)
"""A verdict with an earlier time may still be in a transaction that commits later; none takes this long."""
MOST_FRESH = 20_000

TeamOf = Callable[[str, str | None], str]
"""Owner as published and chat id → the team."""

COLUMNS = (
    AlertRow.id, AlertRow.received_at, AlertRow.title, AlertRow.owner, AlertRow.person_id, AlertRow.resolution,
    AlertRow.asked_at, AlertRow.responded_at, AlertRow.resolved_at, AlertRow.closed_at,
)  # fmt: skip


def count_more(work: UnitOfWork, team_of: TeamOf) -> int:
    """Count the next alerts whose verdict is settled. Returns how many."""
    progress = Progress(work, NAME)
    rows = work.connection.execute(
        _after(progress.at, progress.position).where(AlertRow.resolved_at < work.now - SETTLED_AFTER).limit(BATCH)
    ).all()
    if not rows:
        return 0
    counts = _count(rows, team_of)
    add_counts(
        work.connection, RollupRow, [count._asdict() | {"alerts": number} for count, number in sorted(counts.items())]
    )
    progress.move(rows[-1].id, rows[-1].resolved_at)
    return len(rows)


def _after(at: Any, number: int) -> Any:
    later = and_(AlertRow.resolved_at >= at, or_(AlertRow.resolved_at > at, AlertRow.id > number))
    return select(*COLUMNS).where(later).order_by(AlertRow.resolved_at, AlertRow.id)


def _count(rows: Iterable[Any], team_of: TeamOf) -> Counter[Count]:
    counts: Counter[Count] = Counter()
    for row in rows:
        counts.update(counts_of(row, team_of(row.owner, row.person_id)))
    return counts


@dataclass(frozen=True, slots=True)
class Insight:
    """What happened from one day to another."""

    days: dict[str, Counter[str]]
    """Day → resolution → alerts."""
    answers: dict[str, dict[int, int]]
    """Day → bucket of answer times → answers."""
    titles: list[Shares]
    teams: list[Shares]
    hours: list[Shares]
    saved: int
    """Alerts that needed no analyst."""
    total: int
    lag: int
    """Verdicts that are not counted yet, because there are too many at once."""


def insight(connection: Connection, first: str, last: str, team_of: TeamOf) -> Insight:
    """Return the counts of the days from `first` to `last`; the newest verdicts are counted on the spot."""
    fresh, lag = _fresh(connection, team_of)
    span = _Span(connection, first, last, fresh)
    days: dict[str, Counter[str]] = {}
    saved = total = 0
    for day, key, resolution, alerts in span.by_day("all"):
        days.setdefault(day, Counter())[resolution] += alerts
        total += alerts
        saved += alerts if key == "bot" else 0
    answers: dict[str, dict[int, int]] = {}
    for day, key, _, alerts in span.by_day("answer"):
        buckets = answers.setdefault(day, {})
        buckets[int(key)] = buckets.get(int(key), 0) + alerts
    titles, teams, hours = (shares(span.by_key(name)) for name in ("title", "team", "hour"))
    return Insight(days, answers, titles, teams, sorted(hours, key=lambda share: share.key), saved, total, lag)


class _Span:
    """The counters of some days: those in the record, and those that were counted on the spot."""

    def __init__(self, connection: Connection, first: str, last: str, fresh: Counter[Count]) -> None:
        self._connection = connection
        self._first, self._last = first, last
        self._fresh = [(count, number) for count, number in fresh.items() if first <= count.day <= last]

    def by_day(self, dimension: str) -> list[tuple[str, str, str, int]]:
        """Return (day, key, resolution, alerts)."""
        rows = [(str(day), str(key), str(resolution), int(number)) for day, key, resolution, number in self._rows(
            dimension, RollupRow.day, RollupRow.key, RollupRow.resolution)]  # fmt: skip
        fresh = [(c.day, c.key, c.resolution, number) for c, number in self._fresh if c.dimension == dimension]
        return rows + fresh

    def by_key(self, dimension: str) -> list[tuple[str, str, int]]:
        """Return (key, resolution, alerts) of all days together."""
        rows = [(str(key), str(resolution), int(number)) for key, resolution, number in self._rows(
            dimension, RollupRow.key, RollupRow.resolution)]  # fmt: skip
        return rows + [(c.key, c.resolution, number) for c, number in self._fresh if c.dimension == dimension]

    def _rows(self, dimension: str, *columns: Any) -> Sequence[Any]:
        query = (
            select(*columns, func.sum(RollupRow.alerts))
            .where(RollupRow.dimension == dimension, RollupRow.day.between(self._first, self._last))
            .group_by(*columns)
        )
        return self._connection.execute(query).all()


def _fresh(connection: Connection, team_of: TeamOf) -> tuple[Counter[Count], int]:
    """Count what the rollups do not have yet."""
    state = connection.execute(select(ProgressRow.at, ProgressRow.position).where(ProgressRow.name == NAME)).first()
    query = _after(state.at if state else BEGINNING, state.position if state else 0)
    rows = connection.execute(query.limit(MOST_FRESH + 1)).all()
    if len(rows) > MOST_FRESH:
        return Counter(), MOST_FRESH
    return _count(rows, team_of), 0
