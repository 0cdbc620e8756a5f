"""What the broker gave up on, back to where it came from as far as that is known, and into the quarantine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from common.bus.port import Delivery
from common.ids import derived_id
from common.quarantine import quarantine
from common.topology import DEAD_QUEUE, DELIVERY_LIMIT
from common.unit_of_work import UnitOfWork
from common.worker import Received
from services.ingest.handlers import intake_key


class DeadLetterHandler:
    """Takes what the broker gave up on, and puts it where an analyst sees it and can send it again."""

    name = "dead-letters"
    queue = DEAD_QUEUE.name

    def decode(self, delivery: Delivery) -> Delivery:
        """Return the delivery as it was before it was dead-lettered."""
        return before_death(delivery)

    def handle(self, work: UnitOfWork, batch: Sequence[Received[Delivery]]) -> None:
        """Quarantine all of them."""
        for received in batch:
            quarantine(work, received.message, reason_of_death(received.delivery), self.name)


def death_key(delivery: Delivery, today: date) -> str:
    """Return what recognises a redelivery: two queues may have given up on the same message, each for itself."""
    return derived_id("dead", before_death(delivery).queue, intake_key(delivery, today))


def before_death(delivery: Delivery) -> Delivery:
    """Return `delivery` with the exchange, routing key and queue that it had before the dead-letter exchange."""
    death = _death(delivery)
    keys = death.get("routing-keys")
    key = keys[0] if isinstance(keys, list) and keys else delivery.routing_key
    return replace(
        delivery,
        exchange=str(death.get("exchange", delivery.exchange)),
        routing_key=str(key),
        queue=str(death.get("queue", delivery.queue)),
        headers={name: value for name, value in delivery.headers.items() if not _is_brokers(name)},
    )


def reason_of_death(delivery: Delivery) -> str:
    """Return one line: why the broker gave up, and from which queue."""
    death = _death(delivery)
    if not death:
        return "dead-lettered: the broker does not say why"
    reason, queue = str(death.get("reason", "unknown")), str(death.get("queue", "unknown"))
    if reason == "delivery_limit":
        return f"dead-lettered: delivery_limit after {DELIVERY_LIMIT} redeliveries from queue {queue}"
    return f"dead-lettered: {reason} from queue {queue}"


def _death(delivery: Delivery) -> Mapping[str, Any]:
    """The broker puts the newest death first: the only one of its own, as what is dead dies nowhere else.

    Behind it some brokers keep what a publisher wrote under that name.
    """
    deaths = delivery.headers.get("x-death")
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], Mapping):
        return deaths[0]
    return {}


def _is_brokers(header: str) -> bool:
    return header.startswith(("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count"))
