"""What a service has handled: its inbox, by which a message that comes again is recognised for a week."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import and_, bindparam, delete, exists, or_, select

from common import metrics
from common.bus.port import Delivery
from common.records.tables import InboxRow, OutboxRow
from common.topology import is_shared
from common.unit_of_work import UnitOfWork

KEPT = timedelta(days=7)
"""Longer than any message waits in a queue or an outbox and still comes again."""
PRUNED_AT_ONCE = 5000
"""Rows. All that are due may take longer than a statement may, and would never be gone."""
MOST_KEY = 255
"""Characters of a key, as its column has them."""

_HANDLED = select(InboxRow.message_id).where(
    InboxRow.consumer == bindparam("consumer"), InboxRow.message_id.in_(bindparam("keys", expanding=True))
)
_OLD = (
    select(InboxRow.message_id)
    .where(InboxRow.consumer == bindparam("consumer"), InboxRow.handled_at < bindparam("before"))
    .order_by(InboxRow.handled_at)
    .limit(bindparam("most"))
)


class Inbox:
    """One consumer's inbox. Every method works in the caller's transaction."""

    def __init__(self, consumer: str, key: Callable[[Delivery], str], *, in_memory: bool) -> None:
        """`key` recognises a redelivery; `in_memory`: the bus forgets with its process, the outbox does not."""
        self._consumer = consumer
        self._key = key
        self._in_memory = in_memory

    def enter(self, work: UnitOfWork, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Note the deliveries as handled and return those that were not handled before, each once."""
        keys = [self._key(delivery) for delivery in deliveries]
        known: set[str] = set()
        if not work.hopeful:
            known.update(work.connection.scalars(_HANDLED, {"consumer": self._consumer, "keys": sorted(set(keys))}))
        fresh: list[Delivery] = []
        for key, delivery in zip(keys, deliveries, strict=True):
            repeated = key in known
            if not repeated:
                known.add(key)
                work.insert(InboxRow, consumer=self._consumer, message_id=key, handled_at=work.now)
            if repeated and (delivery.message_id is not None or delivery.redelivered):
                metrics.REPEATED.labels(self._consumer).inc()
                continue
            fresh.append(delivery)
        if self._in_memory:
            self._forget_taken(work, deliveries)
        return fresh

    def _forget_taken(self, work: UnitOfWork, deliveries: Sequence[Delivery]) -> None:
        """Take out of the outbox what has been delivered; what is for several services, once another has it too."""
        own = [one.message_id for one in deliveries if one.message_id and not is_shared(one.routing_key)]
        shared = [one.message_id for one in deliveries if one.message_id and is_shared(one.routing_key)]
        others = exists().where(InboxRow.message_id == OutboxRow.message_id, InboxRow.consumer != self._consumer)
        taken = or_(OutboxRow.message_id.in_(own), and_(OutboxRow.message_id.in_(shared), others))
        work.connection.execute(delete(OutboxRow).where(taken))

    def prune(self, work: UnitOfWork) -> bool:
        """Delete a portion of what is old. True: there may be more.

        Also where nothing is old it writes, which tells whether the record can be written to.
        """
        given = {"consumer": self._consumer, "before": work.now - KEPT, "most": PRUNED_AT_ONCE}
        old = work.connection.scalars(_OLD, given).all()
        mine = (InboxRow.consumer == self._consumer, InboxRow.message_id.in_(old))
        work.connection.execute(delete(InboxRow).where(*mine))
        return len(old) == PRUNED_AT_ONCE


def inbox_key(delivery: Delivery) -> str:
    """Return what recognises a redelivery: the message id, or a digest of the whole where the publisher gave none.

    Of an id that the column cannot keep or tell apart, its digest: MySQL compares without the spaces at the end.
    """
    key = delivery.message_id
    if key is None:
        digest = hashlib.sha256(delivery.routing_key.encode() + b"\0" + delivery.body).hexdigest()
        return f"sha256:{digest}"
    if len(key) > MOST_KEY or key != key.rstrip():
        return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    return key
