"""Where a message goes that cannot be taken: an analyst looks at it, mends it and sends it again, or drops it."""

from __future__ import annotations

import hashlib

from common import metrics
from common.bus.port import Delivery
from common.logs import get_logger
from common.records.tables import QuarantineRow
from common.unit_of_work import UnitOfWork

log = get_logger(__name__)

MOST_KEPT = 4 * 1024 * 1024
"""Bytes of a body. A statement holds each as two digits, and MariaDB takes 16 MiB at once unless told otherwise."""


def quarantine(work: UnitOfWork, delivery: Delivery, reason: str, service: str) -> None:
    """Keep a message that cannot be taken, as it came, with the reason.

    Of a body that no database takes at once, its beginning is kept, and what the whole was.
    """
    if len(delivery.body) > MOST_KEPT:
        whole = hashlib.sha256(delivery.body).hexdigest()
        reason = f"{reason}; kept are the first {MOST_KEPT} of {len(delivery.body)} bytes, whose SHA-256 is {whole}"
    log.warning("quarantined", service=service, message_id=delivery.message_id, reason=reason)
    metrics.QUARANTINED.labels(service).inc()
    work.insert(
        QuarantineRow,
        received_at=work.now,
        queue=delivery.queue[:255],  # of a dead letter, and so is the exchange: what its headers say
        exchange=delivery.exchange[:255],
        routing_key=delivery.routing_key[:255],
        message_id=_short(delivery.message_id),
        type=_short(delivery.type),
        correlation_id=_short(delivery.correlation_id),
        headers={key: _plain(value) for key, value in delivery.headers.items()},
        body=delivery.body[:MOST_KEPT],
        reason=reason[:4000],
        state="waiting",
    )


def _short(value: str | None) -> str | None:
    return value[:255] if value is not None else None


def _plain(value: object) -> object:
    if isinstance(value, str | int | float | bool | None):
        return value
    try:
        return repr(value)[:1000]
    except RecursionError:
        return "nested too deeply to be shown"
