"""Who may do what at the broker and in the record. Pure.

The one list that RabbitMQ's definitions, the database's grants and the outbox's sweep are made of. Least privilege: at
the broker nobody but the administrator may configure; a service reads its own queues and publishes its own messages,
by routing key, so no service but the auth poller can say that a push was approved. In the record nobody but the
administrator changes the schema, and no service changes or deletes a row of the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from common import messages
from common.topology import (
    ALERTS,
    AUTH_POLLER_QUEUE,
    CHAT_GATEWAY_QUEUE,
    DEAD_QUEUE,
    DISPATCHER_QUEUE,
    EVENTS,
    INGEST_QUEUE,
    OUTCOMES,
    Queue,
    retry_key,
)

READ = "SELECT"
ADD = "INSERT, SELECT"
TAKE_AWAY = "DELETE, INSERT, SELECT"
CHANGE = "INSERT, SELECT, UPDATE"
ALL_ROWS = "DELETE, INSERT, SELECT, UPDATE"

_PIPELINE = {
    "alembic_version": READ,
    "inbox": TAKE_AWAY,
    "outbox": TAKE_AWAY,
    "history": ADD,
    "quarantine": ADD,
}
"""What the worker loop needs, whatever its handler does."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one user may do. `tables` maps a table to SQL's privileges."""

    consumes: tuple[Queue, ...] = ()
    publishes: tuple[type[messages.Message], ...] = ()
    """On the internal exchange."""
    alerts: bool = False
    """May publish alerts."""
    outcomes: bool = False
    """May publish outcomes."""
    tables: Mapping[str, str] = field(default_factory=dict)

    @property
    def event_keys(self) -> tuple[str, ...]:
        """Routing keys on the internal exchange: its messages, and a quarantined one back into its own queues."""
        retries = [
            retry_key(queue.name)
            for queue in self.consumes
            if any(binding.exchange == EVENTS for binding in queue.bindings)
        ]
        return tuple(sorted([*(message.type_name() for message in self.publishes), *retries]))

    @property
    def whole_exchanges(self) -> tuple[str, ...]:
        """Exchanges to which it may publish, whatever the routing key of theirs."""
        return (*((ALERTS,) if self.alerts else ()), *((OUTCOMES,) if self.outcomes else ()))

    def may_publish(self, exchange: str, routing_key: str) -> bool:
        """Tell whether the broker takes it from this user."""
        return exchange in self.whole_exchanges or (exchange == EVENTS and routing_key in self.event_keys)


INGEST = Rights(
    consumes=(INGEST_QUEUE, DEAD_QUEUE),
    publishes=(messages.AlertAccepted,),
    alerts=True,  # what came in over HTTP
    tables=_PIPELINE | {"alerts": CHANGE, "api_tokens": "SELECT, UPDATE (last_used_at)"},
)
DISPATCHER = Rights(
    consumes=(DISPATCHER_QUEUE,),
    publishes=(
        messages.AlertAccepted,  # the watchdog's, for an alert that nobody heard of
        messages.SendChatMessage,
        messages.UpdateChatMessage,
        messages.LookUpPerson,
        messages.StartAuthentication,
        messages.AllowPushes,  # what the command line leaves in the outbox for its only consumer
    ),
    alerts=True,  # the chat command `test`
    outcomes=True,
    tables=_PIPELINE
    | {
        "alerts": "SELECT, UPDATE",
        "people": READ,
        "conversations": CHANGE,
        "blacklist": CHANGE,
        "ignored": CHANGE,
        "chat_deliveries": READ,
        "history_seals": ADD,
        "reports": TAKE_AWAY,
        "progress": CHANGE,
    },
)
CHAT_GATEWAY = Rights(
    consumes=(CHAT_GATEWAY_QUEUE,),
    publishes=(
        messages.PersonLookedUp,
        messages.ChatMessageDelivered,
        messages.ChatMessageUndeliverable,
        messages.ReplyReceived,
    ),
    tables=_PIPELINE | {"people": CHANGE, "chat_deliveries": CHANGE},
)
AUTH_POLLER = Rights(
    consumes=(AUTH_POLLER_QUEUE,),
    publishes=(messages.AuthenticationStarted, messages.AuthenticationSettled),
    tables=_PIPELINE | {"auth_requests": CHANGE},
)
CONSOLE = Rights(
    publishes=(messages.AllowPushes,),
    alerts=True,  # the page "New alert"
    tables={
        "alembic_version": READ,
        "alerts": "SELECT, UPDATE",
        "people": READ,
        "conversations": READ,
        "chat_deliveries": READ,
        "auth_requests": READ,
        "history": ADD,
        "outbox": TAKE_AWAY,
        "quarantine": "SELECT, UPDATE",
        "blacklist": CHANGE,
        "ignored": CHANGE,
        "triage": CHANGE,
        "api_tokens": "SELECT, UPDATE (last_used_at)",
        "analysts": READ,
        "sessions": ALL_ROWS,
        "sign_in_flows": TAKE_AWAY,
        "sign_in_failures": TAKE_AWAY,
        "rollups": CHANGE,
        "progress": CHANGE,
        "words": CHANGE,
        "alert_words": CHANGE,
    },
)
CONSOLE_WITH_LOCAL_CHAT = Rights(
    publishes=(*CONSOLE.publishes, messages.ReplyReceived),  # what a person types on its chat page
    alerts=CONSOLE.alerts,
    tables=CONSOLE.tables,
)
PUBLISHER = Rights(alerts=True)
"""Detection tools: may publish alerts and nothing else, and has no business in the record."""

SERVICES: Mapping[str, Rights] = {
    "ingest": INGEST,
    "dispatcher": DISPATCHER,
    "chat-gateway": CHAT_GATEWAY,
    "auth-poller": AUTH_POLLER,
    "console": CONSOLE,
}
_TRANSACTIONS = {**SERVICES, "console": CONSOLE_WITH_LOCAL_CHAT, "dead-letters": Rights()}


def rights_of_transactions(name: str) -> Rights | None:
    """Return what the transactions of that name may publish; None for those that are no service's: anything.

    What a process may not publish itself stays in the outbox, and the service that may sends it with its next sweep.
    """
    return _TRANSACTIONS.get(name)
