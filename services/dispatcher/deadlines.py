"""What happens by itself: deadlines of conversations, and the watchdog over every alert."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select

from common.alerts import Status, accepted_id
from common.errors import Temporary
from common.logs import get_logger
from common.messages import AlertAccepted
from common.records.database import translated_errors
from common.records.tables import ConversationRow, InboxRow
from common.unit_of_work import UnitOfWork
from common.worker import Tick
from services.dispatcher.configuration import Configuration
from services.dispatcher.conversation_events import MessageDelivered, TimePassed, WatchdogBarked
from services.dispatcher.desk import ALERTS, Desk
from services.dispatcher.handlers import DispatcherHandler
from services.dispatcher.portions import Portions
from services.dispatcher.secretary import Secretary
from services.dispatcher.verdicts import alert_of

log = get_logger(__name__)

MOST = 200
ANSWERS_FIRST = 30.0
"""Seconds for which answers that wait in the queue go before deadlines."""
STUCK_AFTER = timedelta(minutes=5)
"""An alert whose time was up by then is one at which the watchdog fails."""
UNHANDLED_AFTER = timedelta(minutes=2)
"""An accepted alert that the dispatcher has not seen by then is announced again; an inbox knows one that comes late."""


@contextmanager
def _tried(portions: Portions, keys: Sequence[str], work: UnitOfWork) -> Iterator[None]:
    """Tell `portions` how it went, what the record says to it included. The world's fault is nobody's."""
    try:
        with translated_errors():
            yield
            work.flush()
    except Temporary:
        raise
    except Exception:
        log.warning("deadline_failed", due=len(keys), first=keys[0] if keys else None)  # the worker logs the cause
        portions.failed(keys, work.now)
        raise
    portions.done(len(keys))


class Deadlines:
    """The dispatcher's periodic work.

    Replicas may do it at once: conversations are locked first, then alerts, as everywhere, and what another has done
    meanwhile is seen then.
    """

    def __init__(self, config: Configuration) -> None:
        self._config = config
        self._talks, self._alerts, self._stuck, self._lost = (Portions(MOST) for _ in range(4))

    def ticks(self) -> tuple[Tick, ...]:
        """Return what the worker runs periodically."""
        return (
            Tick("conversations", 1.0, self.move_on, yields=ANSWERS_FIRST),
            Tick("watchdog", 5.0, self.escalate, yields=ANSWERS_FIRST),
            Tick("watchdogs_watchdog", 60.0, self.escalate_alone, yields=ANSWERS_FIRST),
            Tick("unhandled", 30.0, self.announce_again),
        )

    def move_on(self, work: UnitOfWork) -> None:
        """Let time pass for every conversation in which something is due."""
        talks = ConversationRow.__table__
        due = work.connection.scalars(
            select(talks.c.person_id)
            .where(talks.c.due_at <= work.now, talks.c.person_id.not_in(self._talks.left_out(work.now)))
            .order_by(talks.c.due_at)
            .limit(self._talks.size)
            .with_for_update(skip_locked=True)
        ).all()
        with _tried(self._talks, due, work):
            self._each(work, [(person_id, None) for person_id in due])

    def escalate(self, work: UnitOfWork) -> None:
        """Give every alert a verdict whose time is up, whatever part did not do its work."""
        rows = self._overdue(work, self._alerts, work.now)
        with _tried(self._alerts, [row.hash for row in rows], work):
            if rows:
                log.warning("watchdog_escalates", alerts=len(rows), first=rows[0].hash)
            self._each(work, sorted({(row.person_id, row.question_id) for row in rows if row.question_id is not None}))
            self._give_verdicts(work, rows)

    def escalate_alone(self, work: UnitOfWork) -> None:
        """Give a verdict to alerts at which the watchdog itself fails, whatever their conversation is like."""
        rows = self._overdue(work, self._stuck, work.now - STUCK_AFTER)
        with _tried(self._stuck, [row.hash for row in rows], work):
            if rows:
                log.error("watchdog_failed", alerts=len(rows), first=rows[0].hash)
            self._give_verdicts(work, rows)

    def _overdue(self, work: UnitOfWork, portions: Portions, since: datetime) -> Sequence[Row[Any]]:
        return work.connection.execute(
            select(ALERTS)
            .where(
                ALERTS.c.status.in_([Status.OPEN, Status.IN_PROGRESS]),
                ALERTS.c.resolution.is_(None),
                ALERTS.c.escalate_at <= since,
                ALERTS.c.hash.not_in(portions.left_out(work.now)),
            )
            .order_by(ALERTS.c.escalate_at)
            .limit(portions.size)
        ).all()

    def _give_verdicts(self, work: UnitOfWork, rows: Sequence[Row[Any]]) -> None:
        if not rows:
            return
        desk = Desk(work)
        secretary = Secretary(desk, self._config)
        for row in desk.unresolved([row.hash for row in rows]):
            secretary.overdue(row)
        desk.save()

    def announce_again(self, work: UnitOfWork) -> None:
        """Emit AlertAccepted again for alerts that never got here."""
        rows = work.connection.execute(
            select(ALERTS)
            .where(
                ALERTS.c.status == Status.OPEN,
                ALERTS.c.escalate_at.is_(None),
                ALERTS.c.received_at < work.now - UNHANDLED_AFTER,
                ALERTS.c.hash.not_in(self._lost.left_out(work.now)),
            )
            .limit(self._lost.size)
        ).all()
        with _tried(self._lost, [row.hash for row in rows], work):
            handled = self._handled(work, [row.hash for row in rows])
            for row in rows:
                if row.hash not in handled:
                    work.emit(AlertAccepted(alert=alert_of(row)), about=row.hash, message_id=accepted_id(row.hash))
            if len(rows) > len(handled):
                log.warning("announced_again", alerts=len(rows) - len(handled))
            if handled:
                self._give_up(work, sorted(handled))

    def _handled(self, work: UnitOfWork, hashes: list[str]) -> set[str]:
        """Return those whose announcement the inbox knows: to announce them again would change nothing."""
        by_id = {accepted_id(digest): digest for digest in hashes}
        known = work.connection.scalars(
            select(InboxRow.message_id).where(
                InboxRow.consumer == DispatcherHandler.name, InboxRow.message_id.in_(by_id)
            )
        )
        return {by_id[message_id] for message_id in known}

    def _give_up(self, work: UnitOfWork, hashes: list[str]) -> None:
        """Hand alerts to the team whose announcement went into the quarantine.

        They are read once more, after the inbox: one that was placed meanwhile has its time by now.
        """
        desk = Desk(work)
        secretary = Secretary(desk, self._config)
        for row in desk.unresolved(hashes):
            if row.escalate_at is None:
                log.error("alert_not_handled", alert=row.hash)
                secretary.unhandled(row)
        desk.save()

    def _each(self, work: UnitOfWork, due: list[tuple[str, str | None]]) -> None:
        if not due:
            return
        desk = Desk(work)
        secretary = Secretary(desk, self._config)
        desk.load_people([person_id for person_id, _ in due])
        desk.load_conversations([person_id for person_id, _ in due])
        self._note_deliveries(desk, secretary, [person_id for person_id, _ in due])
        for person_id, question_id in due:
            secretary.tell_of(person_id, TimePassed() if question_id is None else WatchdogBarked(question_id))
        desk.save()

    def _note_deliveries(self, desk: Desk, secretary: Secretary, person_ids: list[str]) -> None:
        """Before time is up: the record knows which questions their people can see; only late ones were told of."""
        undelivered = {
            question.message_id: person_id
            for person_id in person_ids
            if (question := desk.conversation(person_id).question) is not None and not question.delivered
        }
        if undelivered:
            for message_id, at in desk.delivered_at(list(undelivered)).items():
                secretary.tell_of(undelivered[message_id], MessageDelivered(message_id, at))
