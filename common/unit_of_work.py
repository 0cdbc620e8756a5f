"""One transaction: what a handler reads, writes and emits. Only `Transactions.run` commits.

A message's effects, its inbox row and its outgoing messages are in one transaction; the messages are published after
the commit, and the outbox keeps each until the broker has confirmed it (transactional outbox).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, and_, bindparam, delete, or_, select, true

from common import failpoints, metrics
from common.bus.port import Bus, Publication
from common.clock import Clock
from common.codec import encode
from common.errors import BusUnavailable
from common.ids import new_id
from common.logs import get_logger
from common.messages import Message
from common.records.bulk import Insert, Write, write
from common.records.database import translated_errors
from common.records.tables import Base, HistoryRow, OutboxRow
from common.rights import rights_of_transactions
from common.topology import EVENTS

log = get_logger(__name__)
T = TypeVar("T")

PUBLISH_SECONDS = 5.0
DELETE_BATCH = 1000
DELETE_AT = 100
"""Outbox rows that are done are deleted along with other work once there are so many, otherwise in a quiet moment."""
_FORGET = delete(OutboxRow).where(OutboxRow.id.in_(bindparam("ids", expanding=True)))


class UnitOfWork:
    """What a handler works with: `connection` to read and update, `insert`, `emit` and `note` to add."""

    def __init__(self, connection: Connection, now: datetime, actor: str) -> None:
        self.connection = connection
        self.now = now
        self.actor = actor
        self.hopeful = False
        """Take for new what nearly always is, without a look: where it is not, a unique key refuses it, and the work is
        done again, not hopeful any more. That saves a query of every batch."""
        self.outgoing: list[tuple[str, Publication]] = []
        """Outbox id and publication, in the order in which they were decided."""
        self._rows: dict[type[Base], list[dict[str, Any]]] = {}
        self._writes: list[Write] = []
        self._after_commit: list[Callable[[], None]] = []

    def insert(self, table: type[Base], **values: Any) -> None:
        """Add a row; all rows of a table are written with one statement at the end. What is not given is NULL."""
        self._rows.setdefault(table, []).append(values)

    def write(self, write: Write) -> None:
        """Add rows that are changed or replaced; they go out with the inserts, before them."""
        self._writes.append(write)

    def emit(
        self, message: Message, *, owner: str | None = None, about: str | None = None, message_id: str | None = None
    ) -> str:
        """Send `message` on the internal exchange after the commit.

        Args:
            owner: chat id of the person whose message it is.
            about: the alert's hash or what else the story's log lines share.
            message_id: a derived id, where the same cause must give the same id; otherwise a new one.

        Returns:
            The message's id.
        """
        publication = encode(message, message_id=message_id or new_id(), owner=owner, correlation_id=about)
        self.publish(publication)
        return publication.message_id

    def publish(self, publication: Publication) -> None:
        """Send any publication after the commit."""
        self.outgoing.append((new_id(), publication))

    def note(
        self,
        action: str,
        *,
        alert: str | None = None,
        person: str | None = None,
        actor: str | None = None,
        **detail: Any,
    ) -> None:
        """Add a row to the history: who (`actor`, default this service) did what."""
        self.insert(
            HistoryRow,
            at=self.now,
            actor=actor or self.actor,
            action=action,
            alert_hash=alert,
            person_id=person,
            detail=detail,
        )

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once the transaction is safe and its messages are on their way. It must not raise."""
        self._after_commit.append(action)

    def flush(self) -> None:
        """Write the rows added so far, so that a later query of this transaction sees them."""
        writes, self._writes = self._writes, []
        rows, self._rows = self._rows, {}
        write(self.connection, *writes, *(Insert(table, _same_keys(values)) for table, values in rows.items()))

    def finish(self) -> None:
        """Write everything that is left, the outbox rows last."""
        for row_id, publication in self.outgoing:
            self.insert(OutboxRow, **outbox_values(row_id, publication, self.now))
        self.flush()

    def writes(self) -> bool:
        """Tell whether there is anything that `finish` has to write."""
        return bool(self.outgoing or self._rows or self._writes)

    def committed(self) -> None:
        """Run what waited for the commit."""
        for action in self._after_commit:
            action()


def _same_keys(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give all rows the same keys, as `executemany` needs it."""
    keys = set().union(*rows)
    return [{key: row.get(key) for key in keys} for row in rows]


def outbox_values(row_id: str, publication: Publication, now: datetime) -> dict[str, Any]:
    """Return the outbox row that keeps `publication`."""
    return {
        "id": row_id,
        "message_id": publication.message_id,
        "exchange": publication.exchange,
        "routing_key": publication.routing_key,
        "type": publication.type,
        "correlation_id": publication.correlation_id,
        "headers": dict(publication.headers),
        "content_type": publication.content_type,
        "mandatory": publication.mandatory,
        "body": publication.body,
        "created_at": now,
    }


def _publication(row: Any) -> Publication:
    return Publication(
        exchange=row.exchange,
        routing_key=row.routing_key,
        body=bytes(row.body),
        message_id=row.message_id,
        type=row.type,
        correlation_id=row.correlation_id,
        headers=row.headers,
        content_type=row.content_type,
        mandatory=row.mandatory,
    )


class Transactions:
    """Runs units of work and publishes what they emitted. Thread-safe; one a process and service."""

    def __init__(self, engine: Engine, bus: Bus, clock: Clock, service: str) -> None:
        self.engine = engine
        self._bus = bus
        self._clock = clock
        self._service = service
        self._rights = rights_of_transactions(service) if bus.durable else None
        """What the broker takes from this service; None: anything. Other rows are for the sweep of another."""
        self._published: deque[str] = deque()
        """Outbox rows whose messages are safe; deleted by the next transaction."""
        self._unpublished: deque[tuple[str, Publication]] = deque()
        """Committed but not confirmed; tried again by `republish`."""
        self._publishing: set[str] = set()
        self._lock = threading.Lock()

    def run(self, action: Callable[[UnitOfWork], T]) -> T:
        """Run `action` in one transaction, commit, and publish what it emitted.

        A broker that is away does not fail the work, which is safe in the outbox by then.

        Raises:
            DatabaseUnavailable: nothing was written.
        """
        return self._run(action, self._take_published(at_least=DELETE_AT))

    def _run(self, action: Callable[[UnitOfWork], T], forgotten: Sequence[str]) -> T:
        try:
            with translated_errors(), self.engine.connect() as connection, connection.begin():
                work = UnitOfWork(connection, self._clock.now(), self._service)
                result = action(work)
                writes = work.writes()
                work.finish()
                if forgotten:
                    connection.execute(_FORGET, {"ids": forgotten})
                with self._lock:
                    self._publishing.update(row_id for row_id, _ in work.outgoing)
                if writes:
                    failpoints.reached("before-commit")
        except BaseException:
            with self._lock:
                self._published.extend(forgotten)
            raise
        if writes:
            failpoints.reached("after-commit")
        self._publish(work.outgoing)
        work.committed()
        return result

    def _take_published(self, at_least: int) -> list[str]:
        """Each id is taken by one thread only; the one whose transaction fails puts its ids back."""
        with self._lock:
            if len(self._published) < at_least:
                return []
            return [self._published.popleft() for _ in range(min(len(self._published), DELETE_BATCH))]

    def _publish(self, rows: Sequence[tuple[str, Publication]]) -> None:
        rows = [row for row in rows if self._may_publish(row)]
        if not rows:
            return
        if len(rows) > 1:
            failpoints.reached("between-publishes", lambda: self._bus.publish([rows[0][1]], PUBLISH_SECONDS))
        try:
            refused = self._bus.publish([publication for _, publication in rows], PUBLISH_SECONDS)
        except BusUnavailable as error:
            log.warning("publish_failed", messages=len(rows), cause=str(error))
            refused = frozenset(range(len(rows)))
        failpoints.reached("after-confirms")
        for index, (row_id, publication) in enumerate(rows):
            if index in refused:
                metrics.UNPUBLISHED.labels(publication.type).inc()
                self._unpublished.append((row_id, publication))
            else:
                metrics.PUBLISHED.labels(publication.type).inc()
                with self._lock:
                    if self._bus.durable or not publication.mandatory:
                        self._published.append(row_id)
                    self._publishing.discard(row_id)

    def _may_publish(self, row: tuple[str, Publication]) -> bool:
        row_id, publication = row
        if self._rights is None or self._rights.may_publish(publication.exchange, publication.routing_key):
            return True
        with self._lock:
            self._publishing.discard(row_id)
        return False

    def _sweepable(self) -> ColumnElement[bool]:
        if self._rights is None:
            return true()
        own = and_(OutboxRow.exchange == EVENTS, OutboxRow.routing_key.in_(self._rights.event_keys))
        return or_(OutboxRow.exchange.in_(self._rights.whole_exchanges), own)

    def publish_now(self, publications: Sequence[Publication]) -> None:
        """Publish what came in from outside (an alert over HTTP, a reply) and return once it is safe.

        On a bus that forgets with its process it is safe in the outbox; otherwise with the broker's confirms.

        Raises:
            BusUnavailable: at least one is not known to be safe; tell the sender to try again.
            DatabaseUnavailable: likewise.
        """
        if self._bus.durable:
            if self._bus.publish(publications, PUBLISH_SECONDS):
                raise BusUnavailable("the broker refused a message: queue missing or full")
            return

        def keep(work: UnitOfWork) -> None:
            for publication in publications:
                work.publish(publication)

        self.run(keep)

    def has_unpublished(self) -> bool:
        """Tell whether messages of this process wait for the broker."""
        return bool(self._unpublished)

    def republish(self) -> None:
        """Publish again what the broker did not confirm."""
        with self._lock:
            rows = [self._unpublished.popleft() for _ in range(len(self._unpublished))]
        self._publish(rows)

    def forget_published(self) -> None:
        """Delete the outbox rows of confirmed messages; for a quiet moment."""
        while self._published:
            self._run(lambda _: None, self._take_published(at_least=1))

    def sweep(self, older_than: timedelta, most: int = 500) -> int:
        """Publish what an earlier process, or one without the right to publish it, committed and did not publish.

        A message that did arrive is published twice by this, with the same id: the inbox of its consumer knows it.

        Returns:
            How many messages were published.
        """
        with self._lock:
            own = self._publishing | set(self._published)

        def again(work: UnitOfWork) -> list[tuple[str, Publication]]:
            rows = work.connection.execute(
                select(OutboxRow.__table__)
                .where(OutboxRow.created_at < work.now - older_than, self._sweepable())
                .order_by(OutboxRow.id)
                .limit(most)
                .with_for_update(skip_locked=True)
            ).all()
            left = [(row.id, _publication(row)) for row in rows if row.id not in own]
            if not left:
                return []
            refused = self._bus.publish([publication for _, publication in left], PUBLISH_SECONDS)
            safe = [
                row_id
                for index, (row_id, publication) in enumerate(left)
                if index not in refused and (self._bus.durable or not publication.mandatory)
            ]
            if safe:
                work.connection.execute(delete(OutboxRow).where(OutboxRow.id.in_(safe)))
            return [row for index, row in enumerate(left) if index not in refused]

        done = self.run(again)
        if done:
            metrics.OUTBOX_SWEPT.inc(len(done))
            log.info("outbox_swept", messages=len(done))
        return len(done)
