"""Kombu's memory transport with what it lacks: see `embedded`."""

from __future__ import annotations

from typing import Any

from kombu.transport import memory, virtual


class _MemoryChannel(memory.Channel):
    """Gives back what was not acknowledged when it closes."""

    do_restore = True

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:
        """Put a copy of its own into each queue: kombu shares one object, delivery tag included, between all."""
        properties = message["properties"]
        info = {**properties["delivery_info"], "queue": queue}
        own = {**properties, "delivery_info": info, "delivery_tag": self._next_delivery_tag()}
        super()._put(queue, {**message, "properties": own})

    def _restore(self, message: Any) -> None:
        """Called for the latest delivery first, so that the front of the queue has the old order again."""
        payload = message.serializable()
        payload["properties"]["delivery_info"]["redelivered"] = True
        queue = self._queue_for(message.delivery_info["queue"])
        with queue.mutex:
            queue.queue.appendleft(payload)


def private_memory() -> type[memory.Transport]:
    """Return a memory transport whose exchanges and queues are nobody else's: kombu keeps them on the classes."""

    class Channel(_MemoryChannel):
        queues: dict[str, Any] = {}  # noqa: RUF012 - shared by this broker's channels on purpose

    class Transport(memory.Transport):
        global_state = virtual.BrokerState()

    Transport.Channel = Channel
    return Transport
