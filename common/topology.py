"""Every exchange, queue and binding. Pure: both buses declare from it, and RabbitMQ definitions are made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from common import messages

ALERTS = "securitybot.alerts"
OUTCOMES = "securitybot.outcomes"
EVENTS = "securitybot.events"
DEAD = "securitybot.dead"

DELIVERY_LIMIT = 20
"""Redeliveries before RabbitMQ dead-letters a message: far above what restarts cause, so only a message that kills
its consumer gets there."""
NEVER = 1_000_000_000
"""From 4.0 on RabbitMQ gives a quorum queue without a limit one of 20, and drops what it cannot dead-letter."""


@dataclass(frozen=True, slots=True)
class Exchange:
    name: str
    type: Literal["topic", "fanout"] = "topic"


@dataclass(frozen=True, slots=True)
class Binding:
    exchange: str
    routing_key: str


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    bindings: tuple[Binding, ...]
    dead_letters: bool = True
    """Whether what cannot be delivered goes to the dead-letter exchange."""

    @property
    def arguments(self) -> dict[str, str | int]:
        """RabbitMQ's queue arguments: quorum, and dead letters at least once (which needs `reject-publish`)."""
        arguments: dict[str, str | int] = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
        if self.dead_letters:
            arguments |= {
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": DEAD,
                "x-dead-letter-strategy": "at-least-once",
            }
        else:
            arguments["x-delivery-limit"] = NEVER
        return arguments


def retry_key(queue: str) -> str:
    """Return the routing key, on `EVENTS`, of a quarantined message that goes once more to `queue` and to no other."""
    return f"retry.{queue}"


def _internal(name: str, *types: type[messages.Message]) -> Queue:
    keys = [*(message.type_name() for message in types), retry_key(name)]
    return Queue(name, tuple(Binding(EVENTS, key) for key in keys))


INGEST_QUEUE = Queue("securitybot.ingest", (Binding(ALERTS, "#"),))
DISPATCHER_QUEUE = _internal(
    "securitybot.dispatcher",
    messages.AlertAccepted,
    messages.PersonLookedUp,
    messages.ChatMessageDelivered,
    messages.ChatMessageUndeliverable,
    messages.ReplyReceived,
    messages.AuthenticationStarted,
    messages.AuthenticationSettled,
    messages.AllowPushes,
)
CHAT_GATEWAY_QUEUE = _internal(
    "securitybot.chat-gateway", messages.SendChatMessage, messages.UpdateChatMessage, messages.LookUpPerson
)
AUTH_POLLER_QUEUE = _internal("securitybot.auth-poller", messages.StartAuthentication, messages.ReplyReceived)
DEAD_QUEUE = Queue(DEAD, (Binding(DEAD, "#"),), dead_letters=False)


@dataclass(frozen=True, slots=True)
class Topology:
    """What a bus declares at start."""

    exchanges: tuple[Exchange, ...] = (Exchange(ALERTS), Exchange(OUTCOMES), Exchange(EVENTS), Exchange(DEAD))
    queues: tuple[Queue, ...] = field(
        default=(DEAD_QUEUE, INGEST_QUEUE, DISPATCHER_QUEUE, CHAT_GATEWAY_QUEUE, AUTH_POLLER_QUEUE)
    )


TOPOLOGY = Topology()


@cache
def is_shared(routing_key: str) -> bool:
    """Tell whether several services take the internal messages of this routing key, each with a queue of its own."""
    return sum(Binding(EVENTS, routing_key) in queue.bindings for queue in TOPOLOGY.queues) > 1
