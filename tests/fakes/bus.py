"""A bus that fails on purpose: everything else is done by the real one behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.bus.port import Bus, Consumer, Delivery, Publication
from common.topology import Topology


class Killed(BaseException):
    """Stands for `kill -9` at this point: nothing in the code under test catches it."""


def nothing() -> None:
    """Let it pass."""


class BreakableBus:
    """Calls `before_publish` and `before_ack` first; let them raise what should happen there."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.durable = bus.durable
        self.before_publish: Callable[[], None] = nothing
        self.before_ack: Callable[[], None] = nothing

    def declare(self, topology: Topology) -> None:
        """Declare."""
        self._bus.declare(topology)

    def publish(self, publications: Sequence[Publication], timeout: float = 30.0) -> frozenset[int]:
        """Publish, unless `before_publish` raises."""
        self.before_publish()
        return self._bus.publish(publications, timeout)

    def consume(self, queues: Sequence[str], prefetch: int) -> Consumer:
        """Consume with a breakable consumer."""
        return _BreakableConsumer(self, self._bus.consume(queues, prefetch))

    def connected(self) -> bool:
        """Tell what the real one says."""
        return self._bus.connected()

    def problem(self) -> str | None:
        """Tell what the real one says."""
        return self._bus.problem()

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Tell what the real one says."""
        return self._bus.depths(queues)

    def close(self) -> None:
        """Close."""
        self._bus.close()


class _BreakableConsumer:
    def __init__(self, bus: BreakableBus, consumer: Consumer) -> None:
        self._bus = bus
        self._consumer = consumer
        self.take = consumer.take
        self.wake = consumer.wake
        self.close = consumer.close

    def ack(self, deliveries: Sequence[Delivery]) -> None:
        self._bus.before_ack()
        self._consumer.ack(deliveries)
