"""Consuming: deliveries come in on the loop's thread and are taken, a batch at a time, by the worker's."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile
from typing import Any

import pika

from common.bus.port import Delivery
from common.bus.rabbit_connection import IoThread, Link
from common.bus.rabbit_parameters import CONNECT_SECONDS
from common.topology import Topology

Tag = tuple[int, int]
"""Which channel, and the delivery tag there."""


class RabbitConsumer:
    """A consumer with a connection of its own, so that a blocked publisher never holds up acknowledgements.

    Each channel is a generation: when one is lost, its deliveries are forgotten here (the broker sends them again) and
    acknowledgements for them do nothing.
    """

    def __init__(
        self,
        io: IoThread,
        parameters: pika.ConnectionParameters,
        topology: Callable[[], Topology | None],
        queues: Sequence[str],
        prefetch: int,
    ) -> None:
        self._io = io
        self._queues = queues
        self._prefetch = max(1, prefetch // len(queues))
        self._changed = threading.Condition()
        self._arrived: deque[Delivery] = deque()
        self._woken = False
        self._closed = False
        self._generation = 0
        self._channel: Any = None
        self._unacknowledged: dict[int, None] = {}
        """Delivery tags of this generation, in order of arrival."""
        self._not_consuming: dict[str, str] = dict.fromkeys(queues, "not connected yet")
        """Queues that it should consume and does not, with the cause."""
        self._link = Link(io, parameters, self, topology)
        io.call(self._link.connect)

    # --- the worker's thread ------------------------------------------------------------------------------------

    def take(self, most: int, timeout: float) -> list[Delivery]:
        """See `Consumer.take`."""
        if not self._closed:
            self._io.check()
        with self._changed:
            self._changed.wait_for(lambda: self._arrived or self._woken or self._closed, timeout)
            self._woken = False
            return [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See `Consumer.ack`."""
        tags: list[Any] = [delivery.tag for delivery in deliveries]
        if not self._closed:
            self._io.call(lambda: self._acknowledge(tags))

    def wake(self) -> None:
        """See `Consumer.wake`."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """See `Consumer.close`. Acknowledgements given before are sent first."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._arrived.clear()
            self._changed.notify_all()
        self._io.call(self._link.close)
        self._link.closed.wait(CONNECT_SECONDS)

    def problem(self) -> str | None:
        """Return what it should consume and cannot, and why."""
        if self._closed:
            return None
        return next((f"cannot consume {queue}: {cause}" for queue, cause in self._not_consuming.copy().items()), None)

    # --- the loop's thread --------------------------------------------------------------------------------------

    def channel_opened(self, channel: Any) -> None:
        """Start consuming."""
        self._channel = channel
        channel.add_on_cancel_callback(lambda _: channel.close(reply_text="the broker cancelled the consumer"))
        channel.basic_qos(prefetch_count=self._prefetch)
        for queue in self._queues:
            channel.basic_consume(queue, partial(self._on_message, queue), callback=partial(self._consuming, queue))

    def _consuming(self, queue: str, _frame: Any) -> None:
        self._not_consuming.pop(queue, None)

    def channel_lost(self, cause: str) -> None:
        """Forget what that channel brought."""
        self._not_consuming = dict.fromkeys(self._queues, cause)
        self._channel = None
        self._unacknowledged.clear()
        with self._changed:
            self._generation += 1
            self._arrived.clear()

    def unblocked(self) -> None:
        """Only publishers are ever blocked."""

    def _on_message(self, queue: str, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._unacknowledged[method.delivery_tag] = None
        delivery = Delivery(
            queue=queue,
            exchange=_text(method.exchange),
            routing_key=_text(method.routing_key),
            body=body,
            message_id=_text(properties.message_id) or None,
            type=_text(properties.type) or None,
            correlation_id=_text(properties.correlation_id) or None,
            headers={_text(name): value for name, value in (properties.headers or {}).items()},
            content_type=_text(properties.content_type) or None,
            redelivered=method.redelivered,
            tag=(self._generation, method.delivery_tag),
        )
        with self._changed:
            if not self._closed:
                self._arrived.append(delivery)
                self._changed.notify()

    def _acknowledge(self, tags: Sequence[Tag]) -> None:
        """Acknowledge with one frame what is a whole prefix of the open deliveries, the rest one by one."""
        if self._channel is None or not self._channel.is_open:
            return
        left = {tag for generation, tag in tags if generation == self._generation} & self._unacknowledged.keys()
        prefix = list(takewhile(lambda tag: tag in left, self._unacknowledged))
        if prefix:
            self._channel.basic_ack(prefix[-1], multiple=True)
        for tag in sorted(left.difference(prefix)):
            self._channel.basic_ack(tag)
        for tag in left:
            del self._unacknowledged[tag]


def _text(value: str | bytes | None) -> str:
    """Return an AMQP short string as text: pika leaves bytes where it is no UTF-8."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value or ""
