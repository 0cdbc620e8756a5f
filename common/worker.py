"""The one loop: take a batch, one transaction, publish, acknowledge. Services but the console are handlers around it.

What each failure does:
- the message's own fault (`BadMessage`, or the handler fails for it alone): into the quarantine, once, with its reason;
- the world's fault (`Temporary`): nothing is acknowledged, the same batch again with growing, jittered pauses;
- killed at any moment: the broker delivers again, the inbox skips what was committed, the sweep publishes the rest.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Generic, Protocol, TypeVar

import structlog
from sqlalchemy.exc import IntegrityError

from common import failpoints, metrics
from common.bus.port import Bus, Consumer, Delivery
from common.errors import BadMessage, Temporary
from common.inbox import Inbox, inbox_key
from common.logs import get_logger
from common.messages import MESSAGE_TYPES
from common.quarantine import quarantine
from common.retry import Backoff
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork

log = get_logger(__name__)
M = TypeVar("M")

BATCH = 250
"""Messages in a transaction at the most: inbox and outbox cost 506 µs a message at 1, 44 at 50, 33 at 250."""
SWEEP_EVERY = 5.0
SWEEP_AGE_AT_START = timedelta(seconds=1)
"""A restarted process publishes at once what it left behind; replicas may do so twice, which inboxes recognise."""
SWEEP_AGE = timedelta(seconds=10)
CATCH_UP = 1.0
"""Seconds until the first deliveries of a new consumer are surely here."""
HOLD_SECONDS = 1200.0
"""How long a batch is held while the record is away. RabbitMQ takes back what is not acknowledged within half an hour,
over and over, and counts it each time towards the delivery limit: it is given back once, and before that."""
LOOK_AGAIN = 0.2
"""Seconds until what lets messages go first is looked at again."""
PRUNE_EVERY = 600.0
PRUNE_AGAIN = 0.2
"""Seconds until the next portion; messages are handled in between."""
INTEGRITY_TRIES = 3
"""Two replicas may insert the same row at once; the loser finds it at the next try."""


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """A decoded message with the delivery that brought it."""

    delivery: Delivery
    message: M


class Handler(Protocol[M]):
    """What makes a worker a service."""

    name: str
    """The inbox's consumer, also the label of metrics and logs."""
    queue: str

    def decode(self, delivery: Delivery) -> M:
        """Return the message in `delivery`, or raise `BadMessage` with the reason for the quarantine."""

    def handle(self, work: UnitOfWork, batch: Sequence[Received[M]]) -> None:
        """Do all of the batch in `work`.

        It may run again for the same messages after a failure: no side effects but through `work`. While that is
        hopeful, a message may be one that was handled before: the inbox refuses that transaction at its end. Raises
        `BadMessage` when a message breaks a rule; the batch is then split until that message is alone.
        """


@dataclass(frozen=True, slots=True)
class Tick:
    """Something that happens by itself every `every` seconds, in a transaction of its own."""

    name: str
    every: float
    run: Callable[[UnitOfWork], object]
    yields: float = 0.0
    """For how many seconds it lets messages go first that wait in the queue: an answer that waits there, because this
    service or the broker was away or is busy, came before the deadline that is due now."""


@dataclass(slots=True)
class _Due:
    name: str
    every: float
    run: Callable[[], object]
    at: float = field(default=0.0)
    yields: float = field(default=0.0)
    look_at: float = field(default=0.0)
    """When it is looked at again, where it lets messages go first."""


class Worker(Generic[M]):
    """Runs one handler until it is told to stop."""

    def __init__(  # noqa: PLR0913 - what a worker is made of
        self,
        handler: Handler[M],
        bus: Bus,
        transactions: Transactions,
        ticks: Sequence[Tick] = (),
        backoff: Backoff | None = None,
        *,
        key: Callable[[Delivery], str] | None = None,
    ) -> None:
        """`key` recognises a redelivery where the message id alone does not."""
        self._handler = handler
        self._inbox = Inbox(handler.name, key or inbox_key, in_memory=not bus.durable)
        self._bus = bus
        self._transactions = transactions
        self._backoff = backoff or Backoff()
        self._consumer: Consumer | None = None
        self._stopping = threading.Event()
        self.name = handler.name
        self._due = [
            _Due(tick.name, tick.every, lambda t=tick: transactions.run(t.run), yields=tick.yields)  # type: ignore[misc]
            for tick in ticks
        ]
        self._due.append(_Due("forget_published", 1.0, transactions.forget_published, at=time.monotonic() + 1.0))
        later = time.monotonic() + PRUNE_EVERY  # what was left over from before a long outage comes again first
        self._pruning = _Due("prune_inbox", PRUNE_EVERY, self._prune, at=later)
        self._due.append(self._pruning)
        if bus.durable:
            self._due.append(_Due("sweep_outbox", SWEEP_EVERY, self._sweep))
        self._sweep_age = SWEEP_AGE_AT_START

    def run(self) -> None:
        """Work until `stop`: finish the batch, publish, acknowledge, close."""
        self._consumer = self._consume()
        for due in self._due:
            if due.yields:
                due.at = time.monotonic() + CATCH_UP
        try:
            while not self._stopping.is_set():
                metrics.LAST_LOOP.labels(self.name).set_to_current_time()
                deliveries = self._consumer.take(BATCH, timeout=self._seconds_to_next())
                if deliveries:
                    self._work_off(deliveries)
                self._run_due(busy=len(deliveries) == BATCH)
        finally:
            self._consumer.close()
        self._patiently(self._transactions.forget_published, "forget_published", tries=1)

    def stop(self) -> None:
        """Ask `run` to return soon (thread-safe)."""
        self._stopping.set()
        if self._consumer is not None:
            self._consumer.wake()

    # --- a batch ----------------------------------------------------------------------------------------------

    def _work_off(self, deliveries: Sequence[Delivery]) -> None:
        began = time.perf_counter()
        failpoints.reached("after-receive")
        metrics.TAKEN.labels(self.name).inc(len(deliveries))
        metrics.BATCH_SIZE.labels(self.name).observe(len(deliveries))
        assert self._consumer is not None
        tries = itertools.count()

        def settle() -> None:
            # Whose commit's answer was lost may be handled: from the second try on they are as good as redelivered.
            self._settle([replace(one, redelivered=True) for one in deliveries] if next(tries) else deliveries)

        if self._patiently(settle, "batch", seconds=HOLD_SECONDS):
            failpoints.reached("before-ack")
            self._consumer.ack(deliveries)
            failpoints.reached("after-ack")
            metrics.HANDLE_SECONDS.labels(self.name).observe(time.perf_counter() - began)
        elif not self._stopping.is_set():
            self._give_back(self._consumer)

    def _give_back(self, consumer: Consumer) -> None:
        """Let the broker keep the messages until the record can be written to."""
        log.warning("messages_given_back", service=self.name)
        consumer.close()
        if self._patiently(lambda: self._transactions.run(self._inbox.prune), "record"):
            self._consumer = self._consume()

    def _consume(self) -> Consumer:
        return self._bus.consume([self._handler.queue], prefetch=2 * BATCH)

    def _settle(self, deliveries: Sequence[Delivery]) -> None:
        """Handle all; where the batch fails for a message's sake, halve it until that message is alone."""
        for attempt in range(INTEGRITY_TRIES):
            hopeful = attempt == 0 and not any(one.redelivered or one.message_id is None for one in deliveries)
            try:
                self._transactions.run(partial(self._in_transaction, deliveries=deliveries, hopeful=hopeful))
            except Temporary:
                raise
            except BadMessage as error:
                failure: Exception = error
                break
            except IntegrityError as error:
                failure = error
                if not hopeful and (len(deliveries) > 1 or attempt == INTEGRITY_TRIES - 1):
                    break
            except Exception as error:  # noqa: BLE001 - a bug: its fate is named below
                failure = error
                break
            else:
                return
        metrics.FAILED.labels(self.name, type(failure).__name__).inc()
        if len(deliveries) > 1:
            middle = len(deliveries) // 2
            self._settle(deliveries[:middle])
            self._settle(deliveries[middle:])
            return
        self._give_up(deliveries[0], failure)

    def _give_up(self, delivery: Delivery, failure: Exception) -> None:
        """Quarantine a message that fails alone."""
        if not isinstance(failure, BadMessage):
            log.error("handler_failed", service=self.name, message_id=delivery.message_id, exc_info=failure)
        reason = (
            failure.reason if isinstance(failure, BadMessage) else f"could not be handled: {type(failure).__name__}"
        )
        for attempt in range(INTEGRITY_TRIES):
            try:
                self._transactions.run(lambda work: self._only_quarantine(work, delivery, reason))
            except IntegrityError:
                if attempt == INTEGRITY_TRIES - 1:
                    raise
            else:
                return

    def _in_transaction(self, work: UnitOfWork, deliveries: Sequence[Delivery], *, hopeful: bool) -> None:
        work.hopeful = hopeful
        batch: list[Received[M]] = []
        for delivery in self._inbox.enter(work, deliveries):
            try:
                batch.append(Received(delivery, self._handler.decode(delivery)))
            except BadMessage as error:
                quarantine(work, delivery, error.reason, self.name)
        if batch:
            with structlog.contextvars.bound_contextvars(service=self.name):
                self._handler.handle(work, batch)
        for received in batch:
            kind = received.delivery.type  # of an alert whatever its publisher likes, and a label is kept for ever
            metrics.HANDLED.labels(self.name, kind if kind in MESSAGE_TYPES else "").inc()

    def _only_quarantine(self, work: UnitOfWork, delivery: Delivery, reason: str) -> None:
        for new in self._inbox.enter(work, [delivery]):
            quarantine(work, new, reason, self.name)

    # --- what happens by itself ---------------------------------------------------------------------------------

    def _seconds_to_next(self) -> float:
        return max(0.0, min(max(due.at, due.look_at) for due in self._due) - time.monotonic())

    def _run_due(self, *, busy: bool) -> None:
        if self._transactions.has_unpublished() and self._bus.connected():
            self._transactions.republish()
        for due in self._due:
            if due.at <= time.monotonic() and not self._stopping.is_set():
                if time.monotonic() < due.at + due.yields and (busy or self._bus.problem() is not None):
                    due.look_at = time.monotonic() + LOOK_AGAIN
                    continue
                self._patiently(due.run, due.name, tries=1)
                due.at = time.monotonic() + due.every

    def _sweep(self) -> None:
        while self._transactions.sweep(self._sweep_age) and not self._stopping.is_set():
            pass
        self._sweep_age = SWEEP_AGE

    def _prune(self) -> None:
        """Delete a portion of what is old; where that may not be all, the next one is due soon."""
        self._pruning.every = PRUNE_EVERY
        if self._transactions.run(self._inbox.prune):
            self._pruning.every = PRUNE_AGAIN

    def _patiently(
        self, action: Callable[[], object], name: str, *, tries: int | None = None, seconds: float = math.inf
    ) -> bool:
        """Run `action` until it works, waiting while the world is broken. False: told to stop, or out of patience."""
        attempt, until = 0, time.monotonic() + seconds
        while True:
            try:
                action()
            except Temporary as error:
                pause = self._backoff.pause(attempt)
                attempt += 1
                log.warning(
                    "waiting", service=self.name, work=name, cause=str(error), seconds=round(pause, 2), attempt=attempt
                )
                metrics.FAILED.labels(self.name, type(error).__name__).inc()
                if attempt == tries or time.monotonic() > until or self._stopping.wait(pause):
                    return False
            except Exception:
                if tries is None:
                    raise
                log.exception("periodic_work_failed", service=self.name, work=name)
                return False
            else:
                return True
