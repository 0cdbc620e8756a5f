"""Exchanges and queues of one test, so that tests share a broker and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pika

from common.bus.port import Consumer, Delivery, Publication
from common.ids import new_id
from common.topology import Binding, Exchange, Queue, Topology
from tests.waiting import eventually


@dataclass(frozen=True)
class Place:
    """One exchange with two queues: `queue` takes `one.#` and `both`, `other` takes `both`."""

    exchange: str
    queue: str
    other: str

    @property
    def topology(self) -> Topology:
        """What a bus declares."""
        return Topology(
            exchanges=(Exchange(self.exchange),),
            queues=(
                Queue(self.queue, (Binding(self.exchange, "one.#"), Binding(self.exchange, "both")), False),
                Queue(self.other, (Binding(self.exchange, "both"),), False),
            ),
        )

    def publication(self, number: int = 0, routing_key: str = "one.x", **fields: object) -> Publication:
        """A publication whose body and id tell its number."""
        values: dict[str, object] = {"body": str(number).encode(), "message_id": f"id-{number}"} | fields
        return Publication(exchange=self.exchange, routing_key=routing_key, **values)  # type: ignore[arg-type]

    def publications(self, count: int, start: int = 0) -> list[Publication]:
        """Publications with consecutive numbers."""
        return [self.publication(number) for number in range(start, start + count)]


def new_place() -> Place:
    """A place nobody used before."""
    name = f"test.{new_id()[-12:]}"
    return Place(f"{name}.exchange", f"{name}.queue", f"{name}.other")


def delete(url: str, place: Place) -> None:
    """Remove a place from a RabbitMQ."""
    with admin(url) as channel:
        channel.queue_delete(place.queue)
        channel.queue_delete(place.other)
        channel.exchange_delete(place.exchange)


@contextmanager
def admin(url: str) -> Iterator[Any]:
    """A channel of an administrator."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        connection.close()


def take_all(consumer: Consumer, count: int, timeout: float = 10.0) -> list[Delivery]:
    """Take until `count` deliveries have come."""
    taken: list[Delivery] = []

    def enough() -> bool:
        taken.extend(consumer.take(count, 0.5))
        return len(taken) >= count

    eventually(enough, timeout)
    return taken


def take_until(consumer: Consumer, body: bytes, timeout: float = 10.0) -> list[Delivery]:
    """Take and acknowledge until a message with `body` has come; return all that came."""
    taken: list[Delivery] = []

    def there() -> bool:
        new = consumer.take(100, 0.5)
        consumer.ack(new)
        taken.extend(new)
        return any(delivery.body == body for delivery in taken)

    eventually(there, timeout)
    return taken


def bodies(deliveries: list[Delivery]) -> list[int]:
    """The numbers of the publications that arrived."""
    return [int(delivery.body) for delivery in deliveries]
