"""An alert that came in over HTTP or the command line as the publication that carries it to the intake. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from common.alert_form import to_alert, to_body
from common.alerts import Alert
from common.bus.port import Publication
from common.topology import ALERTS

SOURCE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What may stand as a word in a routing key, and in a path."""


def prepare(value: object, *, source: str, message_id: str, received_at: datetime) -> tuple[Alert, Publication]:
    """Return the alert in `value` and its publication, hash and time pinned: the intake makes the same alert of it.

    `source` stands where the alert names none, and in the routing key where the alert's own is no word for one. The
    hash never depends on `message_id`, which is ours.

    Raises:
        BadMessage: names every field that is wrong and what it has to be.
    """
    alert = to_alert(value, routing_key=f"alert.{source}", message_id=None, received_at=received_at)
    word = alert.source if SOURCE_NAME.fullmatch(alert.source) else source
    return alert, Publication(ALERTS, f"alert.{word}", to_body(alert), message_id=message_id)
