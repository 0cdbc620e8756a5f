"""Any transport of kombu; above all `memory://`, which makes the demo and fast tests need no server.

What kombu's memory transport lacks is added here: deliveries that were not acknowledged go back to the front of their
queue and come again marked redelivered; a mandatory publication that no queue takes is refused; every bus object is a
broker of its own; a consumer sleeps until something is published. Two things are not: dead letters (there is no
delivery limit, so nothing is ever dead-lettered) and messages outliving the process (`durable` is False).

Of other transports no more is promised than they keep themselves. Their consumers look every `POLL_SECONDS`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from kombu.connection import Connection
from kombu.exceptions import KombuError
from kombu.transport import virtual

from common.bus.kombu_memory import private_memory
from common.bus.port import Delivery, Publication
from common.errors import BusUnavailable, ConfigurationError
from common.logs import get_logger
from common.topology import Topology

log = get_logger(__name__)

POLL_SECONDS = 0.2


class KombuBus:
    """The adapter for every URL that is not AMQP."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._memory = urlsplit(url).scheme == "memory"
        self.durable = not self._memory
        self._transport = private_memory() if self._memory else None
        self._lock = threading.RLock()
        self._consumers: list[KombuConsumer] = []
        self._topology: Topology | None = None
        self._closed = False
        self._reachable = self._memory
        self._connection: Any = self.connect()
        self._channel: Any = None

    def connect(self) -> Any:
        """Return a new connection, which opens at its first use."""
        try:
            return Connection(self._url, transport=self._transport)
        except (KeyError, ImportError) as error:
            scheme = urlsplit(self._url).scheme
            raise ConfigurationError(f"SECURITYBOT_AMQP_URL: kombu has no transport {scheme!r}: {error}") from None

    def declare(self, topology: Topology) -> None:
        """See `Bus.declare`."""
        self._topology = topology
        with self._lock, self._translated() as channel:
            _declare(channel, topology)

    def open_channel(self, connection: Any) -> Any:
        """Return a new channel that knows the topology: most transports keep exchanges with the connection."""
        channel = connection.channel()
        if self._topology is not None:
            _declare(channel, self._topology)
        return channel

    def publish(self, publications: Sequence[Publication], timeout: float = 30.0) -> frozenset[int]:
        """See `Bus.publish`; the time-out is the transport's own."""
        del timeout
        refused = set()
        with self._lock, self._translated() as channel:
            for index, publication in enumerate(publications):
                if publication.mandatory and not _is_routed(channel, publication):
                    refused.add(index)
                else:
                    _publish(channel, publication)
        for consumer in list(self._consumers):
            consumer.arrived()
        return frozenset(refused)

    def consume(self, queues: Sequence[str], prefetch: int) -> KombuConsumer:
        """See `Bus.consume`."""
        consumer = KombuConsumer(self, queues, prefetch, poll=None if self._memory else POLL_SECONDS)
        self._consumers.append(consumer)
        return consumer

    def connected(self) -> bool:
        """See `Bus.connected`: whether the last operation worked."""
        return self._reachable and not self._closed

    def problem(self) -> str | None:
        """See `Bus.problem`."""
        return None if self.connected() else "not connected"

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """See `Bus.depths`."""
        with self._lock, self._translated() as channel:
            return {queue: channel.queue_declare(queue, passive=True).message_count for queue in queues}

    def close(self) -> None:
        """See `Bus.close`."""
        self._closed = True
        for consumer in list(self._consumers):
            consumer.close()
        with self._lock:
            self._connection.close()

    def forget(self, consumer: KombuConsumer) -> None:
        """A consumer has closed: wake the others, its deliveries are theirs now."""
        self._consumers.remove(consumer)
        for other in list(self._consumers):
            other.arrived()

    @contextmanager
    def _translated(self) -> Iterator[Any]:
        if self._closed:
            raise BusUnavailable("the bus is closed")
        try:
            if self._channel is None:
                self._channel = self.open_channel(self._connection)
            yield self._channel
        except failures(self._connection) as error:
            self._channel = None
            self._reachable = self._memory
            self._connection.close()
            self._connection = self.connect()
            raise BusUnavailable(f"{type(error).__name__}: {error}"[:300]) from error
        self._reachable = True


class KombuConsumer:
    """Takes deliveries with a channel of its own."""

    def __init__(self, bus: KombuBus, queues: Sequence[str], prefetch: int, poll: float | None) -> None:
        self._bus = bus
        self._queues = deque(queues)
        self._prefetch = prefetch
        self._poll = poll
        self._changed = threading.Condition()
        self._woken = False
        self._closed = False
        self._connection: Any = bus.connect()
        self._channel: Any = None
        self._unacknowledged: set[str] = set()

    def take(self, most: int, timeout: float) -> list[Delivery]:
        """See `Consumer.take`."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not (self._woken or self._closed):
                batch = self._look(most)
                left = deadline - time.monotonic()
                if batch or left <= 0:
                    return batch
                self._changed.wait(left if self._poll is None else min(left, self._poll))
            self._woken = False
            return [] if self._closed else self._look(most)

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See `Consumer.ack`."""
        with self._changed:
            for delivery in deliveries:
                message: Any = delivery.tag
                if message.channel is self._channel and message.delivery_tag in self._unacknowledged:
                    self._unacknowledged.discard(message.delivery_tag)
                    with self._dropping_a_lost_channel():
                        message.ack()

    def wake(self) -> None:
        """See `Consumer.wake`."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def arrived(self) -> None:
        """Something may be in one of the queues now."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """See `Consumer.close`."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._connection.close()
            self._changed.notify_all()
        self._bus.forget(self)

    def _look(self, most: int) -> list[Delivery]:
        """Take what is there, from each queue in turn."""
        batch: list[Delivery] = []
        most = min(most, self._prefetch - len(self._unacknowledged))
        empty = 0
        with self._dropping_a_lost_channel():
            if self._channel is None:
                self._channel = self._bus.open_channel(self._connection)
            while len(batch) < most and empty < len(self._queues):
                queue = self._queues[0]
                message = self._channel.basic_get(queue)
                if message is None:
                    empty += 1
                    self._queues.rotate(-1)
                    continue
                self._unacknowledged.add(message.delivery_tag)
                batch.append(_delivery(queue, message))
        return batch

    @contextmanager
    def _dropping_a_lost_channel(self) -> Iterator[None]:
        """What was not acknowledged on a lost connection is the broker's again; the next look connects anew."""
        try:
            yield
        except failures(self._connection) as error:
            log.warning("broker_away", cause=f"{type(error).__name__}: {error}"[:300])
            self._channel = None
            self._unacknowledged.clear()
            self._connection.close()
            self._connection = self._bus.connect()


def failures(connection: Any) -> tuple[type[Exception], ...]:
    """Return what a transport raises when its broker is away or refuses."""
    return (KombuError, OSError, *connection.connection_errors, *connection.channel_errors)


def _declare(channel: Any, topology: Topology) -> None:
    for exchange in topology.exchanges:
        channel.exchange_declare(exchange.name, exchange.type, durable=True)
    for queue in topology.queues:
        channel.queue_declare(queue.name, durable=True)
        for binding in queue.bindings:
            channel.queue_bind(queue.name, binding.exchange, binding.routing_key)


def _is_routed(channel: Any, publication: Publication) -> bool:
    """Tell whether a queue takes it. Transports with a real broker behind them are believed without a look."""
    return not isinstance(channel, virtual.Channel) or bool(
        channel._lookup(publication.exchange, publication.routing_key)  # noqa: SLF001 - nothing public tells
    )


def _publish(channel: Any, publication: Publication) -> None:
    properties = {
        "delivery_mode": 2,
        "message_id": publication.message_id,
        "type": publication.type,
        "correlation_id": publication.correlation_id,
    }
    message = channel.prepare_message(
        publication.body,
        content_type=publication.content_type,
        content_encoding="binary",
        headers=dict(publication.headers),
        properties={name: value for name, value in properties.items() if value is not None},
    )
    channel.basic_publish(message, publication.exchange, publication.routing_key)


def _delivery(queue: str, message: Any) -> Delivery:
    body = message.body or b""
    return Delivery(
        queue=queue,
        exchange=message.delivery_info.get("exchange") or "",
        routing_key=message.delivery_info.get("routing_key") or "",
        body=body.encode() if isinstance(body, str) else bytes(body),
        message_id=message.properties.get("message_id") or None,
        type=message.properties.get("type"),
        correlation_id=message.properties.get("correlation_id"),
        headers=message.headers or {},
        content_type=message.content_type,
        redelivered=bool(message.delivery_info.get("redelivered")),
        tag=message,
    )
