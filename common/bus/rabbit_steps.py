"""Declaring and asking: a few synchronous AMQP methods, one after the other, on a channel of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from common.errors import BusForbidden, BusUnavailable
from common.topology import Topology


@dataclass(frozen=True, slots=True)
class Step:
    """One AMQP method with a reply. `what` names its object in errors."""

    what: str
    start: Callable[[Any, Callable[[Any], None]], object]
    """Called with the channel and the callback for the reply."""


Done = Callable[[BusUnavailable | None, list[Any]], None]
"""Called once: with None and the replies, or with what went wrong."""

ACCESS_REFUSED = 403
"""AMQP 0-9-1, section 1.5: access-refused."""


def declare_steps(topology: Topology) -> list[Step]:
    """Return what declares everything in `topology`."""
    steps = [
        Step(
            f"exchange {exchange.name!r}",
            lambda channel, reply, e=exchange: channel.exchange_declare(e.name, e.type, durable=True, callback=reply),  # type: ignore[misc]
        )
        for exchange in topology.exchanges
    ]
    for queue in topology.queues:
        steps.append(
            Step(
                f"queue {queue.name!r}",
                lambda channel, reply, q=queue: channel.queue_declare(  # type: ignore[misc]
                    q.name, durable=True, arguments=q.arguments, callback=reply
                ),
            )
        )
        steps += [
            Step(
                f"binding of queue {queue.name!r} to {binding.exchange!r}",
                lambda channel, reply, q=queue, b=binding: channel.queue_bind(  # type: ignore[misc]
                    q.name, b.exchange, b.routing_key, callback=reply
                ),
            )
            for binding in queue.bindings
        ]
    return steps


def presence_steps(topology: Topology) -> list[Step]:
    """Return what asks whether every exchange and queue is there. Asking takes no rights."""
    steps = [
        Step(
            f"exchange {exchange.name!r}",
            lambda channel, reply, e=exchange: channel.exchange_declare(e.name, passive=True, callback=reply),  # type: ignore[misc]
        )
        for exchange in topology.exchanges
    ]
    return steps + depth_steps([queue.name for queue in topology.queues])


def depth_steps(queues: Sequence[str]) -> list[Step]:
    """Return what asks for the length of each queue."""
    return [
        Step(
            f"queue {queue!r}",
            lambda channel, reply, q=queue: channel.queue_declare(q, passive=True, callback=reply),  # type: ignore[misc]
        )
        for queue in queues
    ]


def run_steps(connection: Any, steps: Sequence[Step], done: Done) -> None:
    """Run `steps` in order on a new channel of `connection`, which is open."""
    run = _Run(deque(steps), done)
    channel = connection.channel(on_open_callback=run.next)
    channel.add_on_close_callback(run.closed)


class _Run:
    def __init__(self, steps: deque[Step], done: Done) -> None:
        self._left = steps
        self._done: Done | None = done
        self._replies: list[Any] = []

    def next(self, channel: Any) -> None:
        if self._left:
            self._left[0].start(channel, partial(self._replied, channel))
            return
        channel.close()
        self._finish(None)

    def _replied(self, channel: Any, frame: Any) -> None:
        self._replies.append(frame.method)
        self._left.popleft()
        self.next(channel)

    def closed(self, _channel: Any, reason: BaseException) -> None:
        where = self._left[0].what if self._left else "channel"
        failure = BusForbidden if getattr(reason, "reply_code", None) == ACCESS_REFUSED else BusUnavailable
        self._finish(failure(f"{where}: {getattr(reason, 'reply_text', None) or reason}"))

    def _finish(self, problem: BusUnavailable | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(problem, self._replies)
