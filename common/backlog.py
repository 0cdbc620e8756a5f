"""What waits in the record, as metrics: how much, and for how long. Each service measures what it answers for.

Replicas measure the same rows, so that queries take the maximum over them, never the sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select

from common import metrics
from common.alerts import Status
from common.records.base import UtcTime
from common.records.tables import (
    AlertRow,
    AuthRequestRow,
    ChatDeliveryRow,
    HistoryRow,
    HistorySealRow,
    OutboxRow,
    QuarantineRow,
    ReportRow,
)
from common.unit_of_work import UnitOfWork
from common.worker import Tick

EVERY = 15.0
"""Seconds between two looks: as often as Prometheus is set to scrape."""
_NOW: ColumnElement[datetime] = bindparam("now", type_=UtcTime())
_NO_VERDICT = AlertRow.status.in_([Status.OPEN, Status.IN_PROGRESS])


@dataclass(frozen=True)
class Backlog:
    """Rows that wait: each look is one walk over an index."""

    what: str
    since: Any
    """The column that tells since when a row waits."""
    rows: ColumnElement[bool] | None
    """Which rows wait; None: all of the table."""


ALERTS = Backlog("verdict", AlertRow.received_at, _NO_VERDICT)
OVERDUE = Backlog("overdue", AlertRow.escalate_at, _NO_VERDICT & (AlertRow.escalate_at <= _NOW))
"""Alerts whose time is up and which the watchdog has not given to the team: there should never be one for long."""
TEAM = Backlog("team", AlertRow.received_at, AlertRow.status == Status.VERIFYING)
QUARANTINE = Backlog("quarantine", QuarantineRow.received_at, QuarantineRow.state == "waiting")
REPORTS = Backlog("report", ReportRow.created_at, ReportRow.content.is_not(None))
SEALS = Backlog(
    "seal",
    HistoryRow.at,
    HistoryRow.id > func.coalesce(select(func.max(HistorySealRow.through_id)).scalar_subquery(), 0),
)
OUTBOX = Backlog("outbox", OutboxRow.created_at, None)
DELIVERIES = Backlog("delivery", ChatDeliveryRow.created_at, ChatDeliveryRow.state == "pending")
PUSHES = Backlog("push", AuthRequestRow.created_at, AuthRequestRow.state != "settled")


def measuring(*backlogs: Backlog) -> Tick:
    """Return the periodic work that keeps the metrics of `backlogs` fresh."""

    def measure(work: UnitOfWork) -> None:
        for backlog in backlogs:
            _measure(work, backlog)

    return Tick("backlog", EVERY, measure)


def _measure(work: UnitOfWork, backlog: Backlog) -> None:
    query = select(func.count(), func.min(backlog.since))
    if backlog.rows is not None:
        query = query.where(backlog.rows)
    number, oldest = work.connection.execute(query, {"now": work.now}).one()
    metrics.WAITING.labels(backlog.what).set(number)
    metrics.OLDEST_WAITING.labels(backlog.what).set((work.now - oldest).total_seconds() if oldest else 0)
