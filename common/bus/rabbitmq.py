"""RabbitMQ through pika: one thread for I/O, a connection for publishing and one for each consumer."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pika

from common.bus import rabbit_headers  # noqa: F401 - mends pika
from common.bus.port import Publication
from common.bus.rabbit_connection import IoThread
from common.bus.rabbit_consumer import RabbitConsumer
from common.bus.rabbit_parameters import CONNECT_SECONDS, connection_parameters
from common.bus.rabbit_publisher import Publisher
from common.bus.rabbit_steps import Step, declare_steps, depth_steps, presence_steps
from common.errors import BusForbidden, BusUnavailable
from common.topology import Topology

ASK_SECONDS = 15.0
"""For declaring and for depths: longer than a connection takes to fail (`HANDSHAKE_SECONDS`)."""


class RabbitBus:
    """The adapter for `amqp://` and `amqps://`. Connects at the first use, and by itself from then on.

    While the broker blocks publishing (its memory or disk alarm), `publish` waits until its time-out and `connected`
    is false; consumers go on. What `declare` was last given is declared again after every loss, so that a queue that
    somebody deleted comes back. A user who may not declare finds out whether everything is there instead.
    """

    durable = True

    def __init__(self, url: str, name: str = "securitybot") -> None:
        self._parameters = connection_parameters(url)
        self._name = name
        self._lock = threading.Lock()
        self._io: IoThread | None = None
        self._publisher: Publisher | None = None
        self._consumers: list[RabbitConsumer] = []
        self._topology: Topology | None = None
        self._closed = False

    def declare(self, topology: Topology) -> None:
        """See `Bus.declare`."""
        self._topology = topology
        try:
            self._ask(declare_steps(topology))
        except BusForbidden as refusal:
            self._topology = None
            self._look_for(topology, refusal)

    def _look_for(self, topology: Topology, refusal: BusForbidden) -> None:
        try:
            self._ask(presence_steps(topology))
        except BusUnavailable as error:
            raise BusUnavailable(
                f"{error}; this user may not declare it ({refusal}): run `securitybot migrate` with the broker's "
                "administrator in SECURITYBOT_AMQP_URL"
            ) from None

    def publish(self, publications: Sequence[Publication], timeout: float = 30.0) -> frozenset[int]:
        """See `Bus.publish`. What cannot be encoded (a routing key over 255 bytes) counts as refused."""
        return self._start()[1].publish(publications, timeout)

    def consume(self, queues: Sequence[str], prefetch: int) -> RabbitConsumer:
        """See `Bus.consume`."""
        io, _ = self._start()
        purpose = f"consumer of {', '.join(queues)}"
        consumer = RabbitConsumer(io, self._named(purpose), lambda: self._topology, queues, prefetch)
        self._consumers.append(consumer)
        return consumer

    def connected(self) -> bool:
        """See `Bus.connected`: about the publishing connection; false before the first use."""
        link = self._publisher.link if self._publisher is not None else None
        return link is not None and link.ready and not link.blocked and not self._closed

    def problem(self) -> str | None:
        """See `Bus.problem`."""
        if not self.connected():
            link = self._publisher.link if self._publisher is not None else None
            if link is None:
                return "not connected yet"
            return "the broker blocks publishing (memory or disk alarm)" if link.blocked else link.cause
        return next((problem for consumer in self._consumers if (problem := consumer.problem())), None)

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """See `Bus.depths`."""
        replies = self._ask(depth_steps(queues))
        return {queue: reply.message_count for queue, reply in zip(queues, replies, strict=True)}

    def close(self) -> None:
        """See `Bus.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for consumer in self._consumers:
            consumer.close()
        if self._io is not None and self._publisher is not None:
            self._io.call(self._publisher.link.close)
            self._publisher.link.closed.wait(CONNECT_SECONDS)
            self._io.stop()

    def _ask(self, steps: list[Step]) -> list[Any]:
        io, publisher = self._start()
        if publisher.link.blocked:
            raise BusUnavailable("the broker blocks this connection (memory or disk alarm)")
        answer: Future[list[Any]] = Future()
        io.call(lambda: publisher.link.ask(steps, answer))
        try:
            return answer.result(ASK_SECONDS)
        except TimeoutError:
            raise BusUnavailable(f"the broker did not answer within {ASK_SECONDS:g} s") from None

    def _start(self) -> tuple[IoThread, Publisher]:
        with self._lock:
            if self._closed:
                raise BusUnavailable("the bus is closed")
            if self._io is None or self._publisher is None:
                self._io = IoThread("rabbitmq")
                self._publisher = Publisher(self._io, self._named("publisher"), lambda: self._topology)
            return self._io, self._publisher

    def _named(self, purpose: str) -> pika.ConnectionParameters:
        """Return the parameters with the name that the broker's own tools show."""
        parameters = copy.copy(self._parameters)
        parameters.client_properties = {"connection_name": f"{self._name}: {purpose}"}
        return parameters
