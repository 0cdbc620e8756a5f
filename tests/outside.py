"""The world outside the bot: who publishes alerts, and who listens to their outcomes. Plain pika, none of our code."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Self

import pika
import pika.exceptions

from tests.waiting import eventually


def alert(owner: str, title: str, **more: Any) -> dict[str, Any]:
    """Return an alert that is like no other."""
    digest = hashlib.sha256(uuid.uuid4().bytes).hexdigest()
    description = f"{owner} did something on db-7"
    return {"hash": digest, "owner": owner, "title": title, "description": description} | more


def publish(url: str, bodies: Iterable[dict[str, Any] | bytes], source: str = "tests", **properties: Any) -> None:
    """Publish alerts as a detection tool does; returns once the broker has confirmed each."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    for body in bodies:
        channel.basic_publish(
            "securitybot.alerts",
            f"alert.{source}",
            body if isinstance(body, bytes) else json.dumps(body).encode(),
            pika.BasicProperties(
                content_type="application/json",
                delivery_mode=2,
                **({"message_id": str(uuid.uuid4())} | properties),
            ),
            mandatory=True,
        )
    connection.close()


def send(url: str, owner: str, title: str, **more: Any) -> str:
    """Publish an alert and return its hash."""
    body = alert(owner, title, **more)
    publish(url, [body])
    return str(body["hash"])


class Outcomes:
    """Listens to `securitybot.outcomes` on a durable queue of its own, whatever happens to the broker."""

    def __init__(self, url: str) -> None:
        self._parameters = pika.URLParameters(url)
        self._queue = f"outcomes-{uuid.uuid4().hex[:8]}"
        self._lock = threading.Lock()
        self._heard: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._messages = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        channel = self._declared(pika.BlockingConnection(self._parameters))
        channel.connection.close()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(10)

    def of(self, digest: str) -> list[dict[str, Any]]:
        """Return the outcomes of an alert: one event each, however often it was delivered."""
        with self._lock:
            return list(self._heard[digest].values())

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Return all outcomes by alert, each event once."""
        with self._lock:
            return {digest: list(events.values()) for digest, events in self._heard.items()}

    def wait(self, digest: str, timeout: float = 60.0) -> dict[str, Any]:
        """Return the `data` of the alert's outcome once it is there."""
        event = eventually(lambda: self.of(digest), timeout)[0]
        assert event["specversion"] == "1.0"
        assert event["type"] == "securitybot.alert.closed.v1"
        data: dict[str, Any] = event["data"]
        return data

    def _declared(self, connection: pika.BlockingConnection) -> Any:
        channel = connection.channel()
        channel.exchange_declare("securitybot.outcomes", "topic", durable=True)
        channel.queue_declare(self._queue, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(self._queue, "securitybot.outcomes", "outcome.#")
        return channel

    def _listen(self) -> None:
        while not self._stopping.wait(0.1):
            with contextlib.suppress(pika.exceptions.AMQPError, OSError):
                connection = pika.BlockingConnection(self._parameters)
                channel = self._declared(connection)
                for method, properties, body in channel.consume(self._queue, inactivity_timeout=0.1):
                    if self._stopping.is_set():
                        break
                    if method is not None:
                        self._hear(method.routing_key, properties, json.loads(body))
                        channel.basic_ack(method.delivery_tag)
                connection.close()

    def _hear(self, routing_key: str, properties: Any, event: dict[str, Any]) -> None:
        assert routing_key == f"outcome.{event['data']['resolution']}"
        with self._lock:
            self._messages += 1
            self._heard[event["subject"]][event["id"]] = event
