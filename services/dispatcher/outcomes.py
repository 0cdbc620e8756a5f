"""An alert with its verdict → the event on the outcomes exchange. Pure.

CloudEvents 1.0, JSON format, structured mode over AMQP (https://github.com/cloudevents/spec).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from common.bus.port import Publication
from common.ids import derived_id
from common.topology import OUTCOMES

EVENT_TYPE = "securitybot.alert.closed.v1"
FIELDS = (
    "hash", "owner", "title", "description", "reason", "url", "severity", "source", "event_time", "received_at",
    "context", "occurrences", "person_id", "matched_by", "status", "resolution", "performed", "authenticated",
    "comment", "asked_at", "responded_at", "closed_at",
)  # fmt: skip


def outcome(alert: Mapping[str, Any], now: datetime) -> Publication:
    """Return the one outcome message of `alert`, a row of the record; its id is the same however often it is made.

    `closed_at` is when the verdict was reached, also where the team still has to look (`status` says so).
    """
    event_id = derived_id("outcome", alert["hash"])
    data = {name: _plain(alert.get(name)) for name in FIELDS} | {"closed_at": _plain(now)}
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/securitybot/dispatcher",
        "type": EVENT_TYPE,
        "subject": alert["hash"],
        "time": _plain(now),
        "datacontenttype": "application/json",
        "data": data,
    }
    return Publication(
        exchange=OUTCOMES,
        routing_key=f"outcome.{alert['resolution']}",
        body=json.dumps(event, ensure_ascii=False).encode(),
        message_id=event_id,
        type=EVENT_TYPE,
        correlation_id=alert["hash"],
        content_type="application/cloudevents+json",
        mandatory=False,
    )


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
