"""An alert gets its verdict: the record, the outcome message, the report to the team, the history. Once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, update

from common import metrics
from common.alerts import Alert, Resolution, Severity, Status
from common.logs import get_logger
from common.records.tables import AlertRow
from common.unit_of_work import UnitOfWork
from services.dispatcher.configuration import Configuration
from services.dispatcher.conversation_state import AskedAlert
from services.dispatcher.desk import Desk
from services.dispatcher.mail import Mail
from services.dispatcher.outcomes import outcome
from services.dispatcher.policies import Policy, ProofRule

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an alert ends."""

    resolution: Resolution
    performed: bool | None = None
    authenticated: bool | None = None
    comment: str = ""
    responded_at: datetime | None = None
    """When the person said so; the verdict may come later, with the proof."""
    by: str = "dispatcher"
    """Actor of the history row."""
    severity: Severity | None = None
    """Raises the severity, where the verdict shows that the alert is worse than it seemed (fraud)."""


def status_after(resolution: Resolution, policy: Policy) -> Status:
    """Return whether the alert is closed or waits for the team.

    Where proof is `always` needed, nothing but a proved answer closes, whatever the policy's list says.
    """
    proved = resolution is Resolution.CONFIRMED or policy.proof is not ProofRule.ALWAYS
    return Status.CLOSED if resolution in policy.closes and proved else Status.VERIFYING


class Verdicts:
    """Gives verdicts within one unit of work."""

    def __init__(self, desk: Desk, config: Configuration, mail: Mail) -> None:
        self._desk = desk
        self._mail = mail
        self._config = config

    def give(self, rows: Sequence[Row[Any]], verdict: Verdict, person_id: str | None) -> None:
        """Give `rows` (alerts without a verdict, all of one title) their verdict."""
        if not rows:
            return
        work = self._desk.work
        severity = verdict.severity or max((Severity(row.severity) for row in rows), key=lambda s: s.rank)
        policy = self._config.policies.of(rows[0].title, severity)
        status = status_after(verdict.resolution, policy)
        changes = self._changes(work, verdict, status)
        self._desk.write_alerts()
        for start in range(0, len(rows), 1000):
            ids = [row.id for row in rows[start : start + 1000]]
            work.connection.execute(update(AlertRow).where(AlertRow.id.in_(ids)).values(changes))
        for row in rows:
            work.publish(outcome(dict(row._mapping) | changes, work.now))  # noqa: SLF001 - SQLAlchemy's public name
            work.note(
                "resolved", alert=row.hash, person=person_id, actor=verdict.by,
                resolution=verdict.resolution.value, status=status.value, comment=verdict.comment,
            )  # fmt: skip
        metrics.RESOLVED.labels(verdict.resolution).inc(len(rows))
        log.info("alerts_resolved", alert=rows[0].hash, alerts=len(rows), resolution=verdict.resolution.value,
                 person=person_id)  # fmt: skip
        if verdict.resolution in policy.reports:
            self._report(rows, verdict, policy, person_id, severity)

    def _changes(self, work: UnitOfWork, verdict: Verdict, status: Status) -> dict[str, Any]:
        changes: dict[str, Any] = {
            "status": status.value,
            "resolution": verdict.resolution.value,
            "performed": verdict.performed,
            "authenticated": verdict.authenticated,
            "comment": verdict.comment,
            "responded_at": verdict.responded_at,
            "resolved_at": work.now,
            "closed_at": work.now if status is Status.CLOSED else None,
        }
        if verdict.severity is not None:
            changes["severity"] = verdict.severity.value
        return changes

    def _report(
        self, rows: Sequence[Row[Any]], verdict: Verdict, policy: Policy, person_id: str | None, severity: Severity
    ) -> None:
        first = AskedAlert.of(alert_of(rows[0])).model_copy(update={"severity": severity})
        who = self._mail.name(self._desk.person(person_id), rows[0].owner) if person_id else rows[0].owner
        content = self._config.wording.report(first, verdict.resolution, who, verdict.comment, count=len(rows))
        self._mail.report(content, policy.channel, about=rows[0].hash, urgency=severity.rank)


def alert_of(row: Row[Any]) -> Alert:
    """Return the alert in a row of the record."""
    return Alert(
        hash=row.hash, owner=row.owner, title=row.title, description=row.description, reason=row.reason, url=row.url,
        severity=Severity(row.severity), source=row.source, event_time=row.event_time, received_at=row.received_at,
        context=row.context,
    )  # fmt: skip
