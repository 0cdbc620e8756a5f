"""Where a message goes that cannot be taken: an analyst looks at it, mends it and sends it again, or drops it."""

from __future__ import annotations

from common import metrics
from common.bus.port import Delivery
from common.logs import get_logger
from common.records.tables import QuarantineRow
from common.unit_of_work import UnitOfWork

log = get_logger(__name__)


def quarantine(work: UnitOfWork, delivery: Delivery, reason: str, service: str) -> None:
    """Keep a message that cannot be taken, as it came, with the reason."""
    log.warning("quarantined", service=service, message_id=delivery.message_id, reason=reason)
    metrics.QUARANTINED.labels(service).inc()
    work.insert(
        QuarantineRow,
        received_at=work.now,
        queue=delivery.queue,
        exchange=delivery.exchange,
        routing_key=delivery.routing_key[:255],
        message_id=delivery.message_id,
        type=delivery.type,
        correlation_id=delivery.correlation_id,
        headers={key: _plain(value) for key, value in delivery.headers.items()},
        body=delivery.body,
        reason=reason[:4000],
        state="waiting",
    )


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else repr(value)[:1000]
