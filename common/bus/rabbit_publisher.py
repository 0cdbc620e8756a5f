"""Publishing with confirms: everything of a batch is on the wire before the first confirm is awaited."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import pika
from pika.exceptions import AMQPError

from common import failpoints
from common.bus.port import Publication
from common.bus.rabbit_connection import IoThread, Link
from common.errors import BusUnavailable
from common.logs import get_logger
from common.topology import Topology

log = get_logger(__name__)


class _Batch:
    """Publications of one caller, and what became of them."""

    def __init__(self, publications: Sequence[Publication]) -> None:
        self.publications = publications
        self.answer: Future[frozenset[int]] = Future()
        self._refused: set[int] = set()
        self._open = len(publications)

    def settle(self, index: int, *, refused: bool) -> None:
        if refused:
            self._refused.add(index)
        self._open -= 1
        if self._open == 0 and not self.answer.done():
            self.answer.set_result(frozenset(self._refused))

    def fail(self, cause: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(BusUnavailable(f"not confirmed: {cause}"))


@dataclass(slots=True)
class _Unconfirmed:
    batch: _Batch
    index: int
    message_id: str
    returned: bool = False


class Publisher:
    """The publishing connection. Only `publish` may be called from another thread than the loop's."""

    def __init__(
        self,
        io: IoThread,
        parameters: pika.ConnectionParameters,
        topology: Callable[[], Topology | None],
    ) -> None:
        self._io = io
        self.link = Link(io, parameters, self, topology)
        self._channel: Any = None
        self._waiting: deque[_Batch] = deque()
        """Not sent yet: no channel, or the broker blocks."""
        self._unconfirmed: dict[int, _Unconfirmed] = {}
        """By delivery tag, in the order of sending."""
        self._next_tag = 1
        io.call(self.link.connect)

    def publish(self, publications: Sequence[Publication], timeout: float) -> frozenset[int]:
        """See `Bus.publish`."""
        if not publications:
            return frozenset()
        batch = _Batch(publications)
        self._io.call(lambda: self._accept(batch))
        failpoints.reached("before-confirms")
        try:
            return batch.answer.result(timeout)
        except TimeoutError:
            self._io.call(lambda: self._abandon(batch))
            if self.link.blocked:
                why = "the broker blocks publishing (memory or disk alarm)"
            elif self.link.ready:
                why = "the broker is slow"
            else:
                why = self.link.cause
            raise BusUnavailable(f"not confirmed within {timeout:g} s: {why}") from None

    def channel_opened(self, channel: Any) -> None:
        """Turn confirms on; publishing goes on when the broker has agreed."""
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._confirmed, callback=lambda _: self._start(channel))

    def channel_lost(self, cause: str) -> None:
        """Nothing that was not confirmed ever will be."""
        self._channel = None
        lost = [*(one.batch for one in self._unconfirmed.values()), *self._waiting]
        self._unconfirmed.clear()
        self._waiting.clear()
        for batch in lost:
            batch.fail(cause)

    def unblocked(self) -> None:
        """Send what waited."""
        self._flush()

    def _start(self, channel: Any) -> None:
        self._channel = channel
        self._next_tag = 1
        self._flush()

    def _accept(self, batch: _Batch) -> None:
        self._waiting.append(batch)
        self._flush()

    def _abandon(self, batch: _Batch) -> None:
        """A batch that was not sent must not be sent later: its caller has given up and will publish it again."""
        if batch in self._waiting:
            self._waiting.remove(batch)

    def _flush(self) -> None:
        while self._waiting and self._channel is not None and not self.link.blocked:
            batch = self._waiting.popleft()
            for index, publication in enumerate(batch.publications):
                self._send(batch, index, publication)

    def _send(self, batch: _Batch, index: int, publication: Publication) -> None:
        try:
            self._channel.basic_publish(
                publication.exchange,
                publication.routing_key,
                publication.body,
                _properties(publication),
                publication.mandatory,
            )
        except (AMQPError, ValueError, TypeError, AssertionError, struct.error) as error:
            cause = type(error).__name__
            log.warning("publication_cannot_be_encoded", message_id=publication.message_id[:255], cause=cause)
            batch.settle(index, refused=True)
            return
        self._unconfirmed[self._next_tag] = _Unconfirmed(batch, index, publication.message_id)
        self._next_tag += 1

    def _returned(self, _channel: Any, _method: Any, properties: Any, _body: bytes) -> None:
        """No queue took it. The broker returns in the order of publishing, and before it confirms."""
        for one in self._unconfirmed.values():
            if one.message_id == properties.message_id and not one.returned:
                one.returned = True
                return

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        refused = isinstance(method, pika.spec.Basic.Nack)
        tags = [method.delivery_tag]
        if method.multiple:
            tags = list(takewhile(lambda tag: tag <= method.delivery_tag, self._unconfirmed))
        for tag in tags:
            one = self._unconfirmed.pop(tag)
            one.batch.settle(one.index, refused=refused or one.returned)


def _properties(publication: Publication) -> pika.BasicProperties:
    return pika.BasicProperties(
        content_type=publication.content_type,
        headers={
            # pika has no code for floats; ours are none, but a quarantined message may bring one
            name: str(value) if isinstance(value, float) else value
            for name, value in publication.headers.items()
        },
        delivery_mode=pika.DeliveryMode.Persistent.value,
        correlation_id=publication.correlation_id,
        message_id=publication.message_id,
        type=publication.type,
    )
