"""What every bus can do. Adapters translate their library's failures into `BusUnavailable`; nothing else gets out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from common.topology import Topology

HeaderValue = str | int | bool | float | None


@dataclass(frozen=True, slots=True)
class Publication:
    """A message on its way out; the broker's confirm is awaited for each."""

    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    type: str | None = None
    correlation_id: str | None = None
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    content_type: str = "application/json"
    mandatory: bool = True
    """Whether a message that no queue takes counts as not published. False only for outcomes: anybody or nobody may
    listen to those."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that arrived and waits for its acknowledgement."""

    queue: str
    exchange: str
    routing_key: str
    body: bytes
    message_id: str | None
    type: str | None
    correlation_id: str | None
    headers: Mapping[str, object]
    content_type: str | None
    redelivered: bool
    tag: object
    """The adapter's own handle for the acknowledgement."""


class Consumer(Protocol):
    """Takes deliveries from queues. Used by one thread, except `close` and `wake`."""

    def take(self, most: int, timeout: float) -> list[Delivery]:
        """Return what has arrived: at most `most` deliveries, at least one, or none after `timeout` seconds.

        Never waits for a batch to fill. While the broker is away it returns nothing after the time-out; the adapter
        reconnects by itself.
        """

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge. For a connection lost since then it does nothing: those come again, marked redelivered."""

    def wake(self) -> None:
        """Let a waiting `take` return at once (thread-safe)."""

    def close(self) -> None:
        """Stop consuming. What was not acknowledged goes back to its queue."""


class Bus(Protocol):
    """A message broker."""

    durable: bool
    """Whether a confirmed message survives the end of this process. If not, the outbox keeps a row until the consumer's
    transaction is done."""

    def declare(self, topology: Topology) -> None:
        """Create exchanges, queues and bindings that are missing.

        Raises:
            BusUnavailable: the broker cannot be reached, or refuses.
        """

    def publish(self, publications: Sequence[Publication], timeout: float = 30.0) -> frozenset[int]:
        """Publish persistently, pipelined, and await every confirm, at most `timeout` seconds (thread-safe).

        Returns:
            The indexes of those that the broker refused or that no queue took; everything else is safe.

        Raises:
            BusUnavailable: at least one confirm never came; which of them arrived is unknown, so publish all again.
        """

    def consume(self, queues: Sequence[str], prefetch: int) -> Consumer:
        """Start consuming; at most `prefetch` deliveries are unacknowledged at a time."""

    def connected(self) -> bool:
        """Tell whether the broker takes publications now."""

    def problem(self) -> str | None:
        """Return why it cannot publish, or cannot consume what it was told to; None: all is well (for /readyz)."""

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many messages wait in each queue.

        Raises:
            BusUnavailable: the broker cannot be reached.
        """

    def close(self) -> None:
        """Close connections and stop threads; safe to call twice."""
