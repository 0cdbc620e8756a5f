"""Runs units of work: one database transaction each, and what it emitted published after the commit.

A message's effects, its inbox row and its outgoing messages are in one transaction; the messages are published after
the commit, and the outbox keeps each until the broker has confirmed it (transactional outbox).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, Engine, and_, bindparam, delete, or_, select, true

from common import failpoints, metrics
from common.bus.port import Bus, Publication
from common.clock import Clock
from common.errors import BusUnavailable
from common.logs import get_logger
from common.outbox import publication_of
from common.records.database import translated_errors
from common.records.tables import OutboxRow
from common.rights import rights_of_transactions
from common.topology import EVENTS
from common.unit_of_work import UnitOfWork

log = get_logger(__name__)
T = TypeVar("T")

PUBLISH_SECONDS = 5.0
PUBLISHED_AT_ONCE = 500
"""Messages that surely are on the wire, and confirmed, within those seconds."""
DELETE_BATCH = 1000
DELETE_AT = 100
"""Outbox rows that are done are deleted along with other work once there are so many, otherwise in a quiet moment."""
_FORGET = delete(OutboxRow).where(OutboxRow.id.in_(bindparam("ids", expanding=True)))


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

    def _run(self, action: Callable[[UnitOfWork], T], forgotten: Sequence[str], *, now: bool = True) -> T:
        publishing: list[str] = []
        try:
            with translated_errors(), self.engine.connect() as connection, connection.begin():
                work = UnitOfWork(connection, self._clock.now(), self._service)
                result = action(work)
                writes = work.writes()
                work.finish()
                if forgotten:
                    connection.execute(_FORGET, {"ids": forgotten})
                publishing = [row_id for row_id, _ in work.outgoing]
                with self._lock:
                    self._publishing.update(publishing)
                if writes:
                    failpoints.reached("before-commit")
        except BaseException:
            with self._lock:
                self._published.extend(forgotten)
                # A commit whose answer was lost may have worked: its rows are there then, for the sweep to find.
                self._publishing.difference_update(publishing)
            raise
        if writes:
            failpoints.reached("after-commit")
        if now:
            self._publish(work.outgoing)
        else:
            self._unpublished.extend(work.outgoing)
        work.committed()
        return result

    def _take_published(self, at_least: int) -> list[str]:
        """Each id is taken by one thread only; the one whose transaction fails puts its ids back."""
        with self._lock:
            if len(self._published) < at_least:
                return []
            return [self._published.popleft() for _ in range(min(len(self._published), DELETE_BATCH))]

    def _publish(self, rows: Sequence[tuple[str, Publication]]) -> bool:
        """Publish, and keep for `republish` what the broker did not confirm. False: the bus was not available."""
        rows = [row for row in rows if self._may_publish(row)]
        if not rows:
            return True
        if len(rows) > 1:
            failpoints.reached("between-publishes", lambda: self._bus.publish([rows[0][1]], PUBLISH_SECONDS))
        available = True
        try:
            refused = self._bus.publish([publication for _, publication in rows], PUBLISH_SECONDS)
        except BusUnavailable as error:
            log.warning("publish_failed", messages=len(rows), cause=str(error))
            refused, available = frozenset(range(len(rows))), False
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
        return available

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

        self.run(lambda work: _publish_all(work, publications))

    def publish_or_keep(self, publications: Sequence[Publication]) -> None:
        """Like `publish_now`, for what may not come again: while the broker is away it is safe in the outbox.

        What was confirmed nevertheless is published twice by this, with the same id, as by `sweep`.

        Raises:
            DatabaseUnavailable: neither the broker nor the record has all of it.
        """
        try:
            self.publish_now(publications)
        except BusUnavailable as error:
            self._run(lambda work: _publish_all(work, publications), (), now=False)
            log.warning("kept_for_the_broker", messages=len(publications), cause=str(error))

    def has_unpublished(self) -> bool:
        """Tell whether messages of this process wait for the broker."""
        return bool(self._unpublished)

    def republish(self) -> None:
        """Publish again what the broker did not confirm, for some seconds, as deliveries wait meanwhile.

        In portions: after an outage there may be so many that all of them are never confirmed within one call's time.
        """
        left, until = len(self._unpublished), time.monotonic() + PUBLISH_SECONDS
        while left > 0 and time.monotonic() < until:
            with self._lock:
                portion = min(left, PUBLISHED_AT_ONCE, len(self._unpublished))
                rows = [self._unpublished.popleft() for _ in range(portion)]
            if not self._publish(rows):
                self._unpublished.rotate(len(rows))  # to the front again, from where they came
                return
            left -= PUBLISHED_AT_ONCE

    def forget_published(self) -> None:
        """Delete the outbox rows of confirmed messages; for a quiet moment."""
        while self._published:
            self._run(lambda _: None, self._take_published(at_least=1))

    def sweep(self, older_than: timedelta, most: int | None = 500) -> int:
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
            left = [(row.id, publication_of(row)) for row in rows if row.id not in own]
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


def _publish_all(work: UnitOfWork, publications: Sequence[Publication]) -> None:
    for publication in publications:
        work.publish(publication)
