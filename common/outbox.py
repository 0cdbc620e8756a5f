"""A publication as a row of the outbox, and back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from common.bus.port import Publication


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


def publication_of(row: Any) -> Publication:
    """Return the publication that an outbox row keeps."""
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
