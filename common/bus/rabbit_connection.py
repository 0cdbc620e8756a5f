"""A RabbitMQ connection that is opened again whenever it is lost, on pika's loop in a thread of its own.

Everything here but `IoThread.call` runs on that thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

import pika
from pika.adapters.select_connection import IOLoop, SelectConnection

from common.bus.rabbit_parameters import CONNECT_SECONDS, describe
from common.bus.rabbit_steps import Step, declare_steps, run_steps
from common.errors import BusUnavailable
from common.logs import get_logger
from common.retry import Backoff
from common.topology import Topology

log = get_logger(__name__)

STABLE_SECONDS = 10.0
"""A channel that lived longer starts with short pauses again."""


class IoThread:
    """pika's loop on a thread; it sleeps in the kernel while nothing happens."""

    def __init__(self, name: str) -> None:
        self.loop = IOLoop()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, action: Callable[[], object]) -> None:
        """Run `action` on the loop, soon and in the order of the calls (thread-safe)."""
        self.check()
        self.loop.add_callback_threadsafe(action)

    def check(self) -> None:
        """Raise where the thread has died of a bug, so that whoever relies on it does not wait for ever."""
        if self._stopping:
            raise BusUnavailable("the bus is closed")
        if not self._thread.is_alive():
            raise RuntimeError("the bus's thread has died")

    def stop(self) -> None:
        """End the thread (thread-safe)."""
        self._stopping = True
        if self._thread.is_alive():
            self.loop.add_callback_threadsafe(self.loop.stop)
            self._thread.join(CONNECT_SECONDS)

    def _run(self) -> None:
        try:
            self.loop.start()
        except BaseException:
            log.exception("bus_thread_died")
            raise
        finally:
            self.loop.close()


class LinkUser(Protocol):
    """What a link's channel is for."""

    def channel_opened(self, channel: Any) -> None:
        """A new channel is there; nothing of an older one is valid."""

    def channel_lost(self, cause: str) -> None:
        """The channel is gone, or a try to get one failed. May come more than once."""

    def unblocked(self) -> None:
        """The broker takes publications again."""


class Link:
    """One connection with one channel, both opened again with growing pauses whenever they are lost."""

    def __init__(
        self,
        io: IoThread,
        parameters: pika.ConnectionParameters,
        user: LinkUser,
        topology: Callable[[], Topology | None],
    ) -> None:
        self._io = io
        self._parameters = parameters
        self._user = user
        self._topology = topology
        self._connection: Any = None
        self._backoff = Backoff(first=0.1, longest=2.0)  # a broker that starts again is found at once
        self._attempt = 0
        self._opened_at = 0.0
        self._again = False
        self._timer: object = None
        self._closing = False
        self._asks: list[tuple[list[Step], Future[list[Any]]]] = []
        self.ready = False
        """Whether the channel is open."""
        self.blocked = False
        """Whether the broker refuses publications (memory or disk alarm)."""
        self.cause = "not connected yet"
        self.closed = threading.Event()

    def connect(self) -> None:
        """Start the first try, or the next one without waiting for its time."""
        self._cancel_timer()
        self._connection = SelectConnection(
            self._parameters,
            on_open_callback=self._connection_opened,
            on_open_error_callback=self._connection_lost,
            on_close_callback=self._connection_lost,
            custom_ioloop=self._io.loop,
        )

    def ask(self, steps: list[Step], answer: Future[list[Any]]) -> None:
        """Run `steps` on a channel of their own; where the connection waits for its next try, that is now."""
        if self._connection is not None and self._connection.is_open:
            run_steps(self._connection, steps, lambda problem, results: _settle(answer, problem, results))
            return
        self._asks.append((steps, answer))
        if self._timer is not None:
            self.connect()

    def close(self) -> None:
        """Close for good; `closed` is set when that is done.

        A connection that is opening closes when it is open: pika cannot abort its handshake.
        """
        self._closing = True
        self._cancel_timer()
        if self._connection is None or self._connection.is_closed:
            self.closed.set()
        elif self._connection.is_open:
            self._connection.close()

    def _connection_opened(self, connection: Any) -> None:
        if self._closing:
            connection.close()
            return
        connection.add_on_connection_blocked_callback(lambda *_: self._set_blocked(blocked=True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(blocked=False))
        asks, self._asks = self._asks, []
        for steps, answer in asks:
            self.ask(steps, answer)
        self._open_channel()

    def _set_blocked(self, *, blocked: bool) -> None:
        log.warning("broker_blocks_publishing" if blocked else "broker_takes_publications_again")
        self.blocked = blocked
        if not blocked:
            self._user.unblocked()

    def _open_channel(self) -> None:
        """Open the channel; from the second time on only after the topology, of which something may be lost."""
        self._cancel_timer()
        topology = self._topology()
        if self._again and topology is not None:
            run_steps(self._connection, declare_steps(topology), lambda problem, _: self._declared(problem))
        else:
            self._declared(None)

    def _declared(self, problem: BusUnavailable | None) -> None:
        if not self._connection.is_open:
            return
        if problem is not None:
            log.warning("topology_not_declared_again", cause=str(problem))
        channel = self._connection.channel(on_open_callback=self._channel_opened)
        channel.add_on_close_callback(self._channel_closed)

    def _channel_opened(self, channel: Any) -> None:
        self.ready = self._again = True
        self._opened_at = time.monotonic()
        log.info("broker_connected", host=self._parameters.host, user=type(self._user).__name__)
        self._user.channel_opened(channel)

    def _channel_closed(self, _channel: Any, reason: BaseException) -> None:
        self._lost(reason)
        if self._connection.is_open and not self._closing:
            self._try_later(self._open_channel)

    def _connection_lost(self, _connection: Any, reason: BaseException) -> None:
        self.blocked = False
        self._lost(reason)
        asks, self._asks = self._asks, []
        for _, answer in asks:
            _settle(answer, BusUnavailable(self.cause), [])
        if self._closing:
            self.closed.set()
        else:
            self._try_later(self.connect)

    def _lost(self, reason: BaseException) -> None:
        if self.ready and time.monotonic() - self._opened_at > STABLE_SECONDS:
            self._attempt = 0
        self.ready = False
        self._again = True
        self.cause = describe(reason)
        self._user.channel_lost(self.cause)

    def _try_later(self, action: Callable[[], None]) -> None:
        self._cancel_timer()
        pause = self._backoff.pause(self._attempt)
        self._attempt += 1
        log.warning("broker_away", cause=self.cause, attempt=self._attempt, seconds=round(pause, 2))
        self._timer = self._io.loop.call_later(pause, action)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._io.loop.remove_timeout(self._timer)
            self._timer = None


def _settle(answer: Future[list[Any]], problem: BusUnavailable | None, results: list[Any]) -> None:
    if problem is None:
        answer.set_result(results)
    else:
        answer.set_exception(problem)
