"""The real ingest and dispatcher between a bus in memory and a record, with people, phones and a team around them.

Nothing here has a thread or sleeps: `settle` takes what waits, handles it in the worker's own way (batch, inbox,
transaction, publication, acknowledgement) and lets the edges answer, until nothing moves; `pass_time` moves the clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete, insert, select, update

from common import codec
from common.alerts import Status
from common.bus.embedded import KombuBus
from common.bus.port import Consumer, Delivery, Publication
from common.ids import derived_id, new_id
from common.messages import (
    AuthenticationSettled,
    AuthenticationStarted,
    AuthResult,
    ChatContent,
    ChatMessageDelivered,
    ChatMessageUndeliverable,
    Envelope,
    LookUpPerson,
    Message,
    PersonLookedUp,
    ReplyReceived,
    SendChatMessage,
    StartAuthentication,
    UpdateChatMessage,
)
from common.records.tables import AlertRow, ChatDeliveryRow, ConversationRow, OutboxRow, PersonRow, QuarantineRow
from common.settings import SHIPPED_CONFIG
from common.topology import (
    ALERTS,
    AUTH_POLLER_QUEUE,
    CHAT_GATEWAY_QUEUE,
    OUTCOMES,
    TOPOLOGY,
    Binding,
    Queue,
    Topology,
)
from common.transactions import Transactions
from common.worker import BATCH, Worker
from services.dispatcher.configuration import Configuration, load_configuration
from services.dispatcher.deadlines import Deadlines
from services.dispatcher.handlers import DispatcherHandler
from services.dispatcher.reports import Reporting
from services.ingest.handlers import IntakeHandler
from tests.fakes.clock import FakeClock

CHANNEL = "C0SECURITY"
OUTCOMES_QUEUE = Queue("test.outcomes", (Binding(OUTCOMES, "#"),), dead_letters=False)
ALICE, BOB, CAROL = "U0ALICE", "U0BOB", "U0CAROL"


def configuration(*, second_factor: bool = True, **replaced: Any) -> Configuration:
    """Return the shipped configuration, parts of it replaced."""
    shipped = load_configuration(SHIPPED_CONFIG, second_factor=second_factor, reporting_channel=CHANNEL)
    values = {name: getattr(shipped, name) for name in Configuration.__dataclass_fields__}
    return Configuration(**(values | replaced))


@dataclass
class Shown:
    """A chat message as its reader sees it now."""

    id: str
    recipient: str
    sequence: int
    content: ChatContent
    first: ChatContent

    @property
    def text(self) -> str:
        """All that it says."""
        return "\n".join([self.content.summary, *(part.text for part in self.content.parts)])


class Chat:
    """The fake chat edge: shows what the dispatcher sends, and tells of its delivery."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._taken: set[str] = set()
        self._sequences: dict[str, list[int]] = {}
        self.shown: dict[str, Shown] = {}
        self.unreachable: set[str] = set()
        self.newcomers: dict[str, str] = {}
        self.cannot_look_up: str | None = None
        """Handle → chat id of people whom the directory learns of when it is asked."""
        self.away = False
        """Nothing is taken from the queue."""
        self.slow = False
        """Deliveries take so long that the dispatcher is told of them."""

    def take(self, envelope: Envelope[Message]) -> None:
        """Show, update or look up, once for each id."""
        if envelope.id in self._taken:
            return
        self._taken.add(envelope.id)
        message = envelope.message
        if isinstance(message, LookUpPerson):
            self._look_up(message)
            return
        assert isinstance(message, SendChatMessage | UpdateChatMessage), message
        recipient = message.recipient
        if recipient.kind == "person":
            self._sequences.setdefault(recipient.id, []).append(message.sequence)
        if isinstance(message, UpdateChatMessage):
            assert message.recipient.id == self.shown[message.target].recipient
            self.shown[message.target].content = message.content
            return
        shown = Shown(envelope.id, recipient.id, message.sequence, message.content, message.content)
        self.shown[envelope.id] = shown
        reachable = recipient.id not in self.unreachable
        self._write_down(envelope.id, message, "sent" if reachable else "failed")
        if not reachable:
            self._town.tell(ChatMessageUndeliverable(target=envelope.id, recipient=recipient, reason="no such person"))
        elif message.notify and self.slow:
            now = self._town.clock.now()
            self._town.tell(ChatMessageDelivered(target=envelope.id, recipient=recipient, delivered_at=now))

    def _write_down(self, message_id: str, message: SendChatMessage, state: str) -> None:
        """Keep in the record what became of a message, as the gateway does."""
        now = self._town.clock.now()
        values = {
            "message_id": message_id, "kind": "send", "recipient_kind": message.recipient.kind, "state": state,
            "recipient_id": message.recipient.id, "sequence": message.sequence, "notify": message.notify,
            "content": {}, "created_at": now, "completed_at": now,
        }  # fmt: skip
        with self._town.engine.begin() as connection:
            connection.execute(insert(ChatDeliveryRow).values(values))

    def _look_up(self, message: LookUpPerson) -> None:
        chat_id = self.newcomers.get(message.handle)
        if chat_id is not None and chat_id not in [row.chat_id for row in self._town.rows(PersonRow)]:
            self._town.add_person(chat_id, message.handle)
        self._town.tell(PersonLookedUp(handle=message.handle, person_id=chat_id, error=self.cannot_look_up))

    def remember(self, other: Chat) -> None:
        """Take over what the chat system showed to the town before a restart."""
        self.shown = dict(other.shown)
        self._taken = set(other._taken)
        self._sequences = {person_id: list(sequences) for person_id, sequences in other._sequences.items()}

    def check_order(self) -> None:
        """What went to one person has places from 1 on, without gaps and each once."""
        for person_id, sequences in self._sequences.items():
            assert sequences == list(range(1, len(sequences) + 1)), f"{person_id}: {sequences}"

    def to(self, recipient: str) -> list[Shown]:
        """Return what a person or the channel sees, oldest first."""
        return [shown for shown in self.shown.values() if shown.recipient == recipient]


class Phones:
    """The fake second factor: requests stay open until the test answers them."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._taken: set[str] = set()
        self.pushes: list[StartAuthentication] = []
        self.code: str | None = None
        self.away = False

    def take(self, envelope: Envelope[Message]) -> None:
        """Begin a push, once for each id."""
        message = envelope.message
        if not isinstance(message, StartAuthentication) or envelope.id in self._taken:
            return
        self._taken.add(envelope.id)
        self.pushes.append(message)
        started = AuthenticationStarted(request_id=message.request_id, person_id=message.person_id, code=self.code)
        self._town.tell(started)

    def answer(self, result: AuthResult, detail: str = "", push: StartAuthentication | None = None) -> None:
        """Settle a push, the latest unless told otherwise."""
        push = push or self.pushes[-1]
        self._town.tell(
            AuthenticationSettled(
                request_id=push.request_id, person_id=push.person_id, result=result, detail=detail,
                settled_at=self._town.clock.now(),
            ),
            message_id=derived_id("settled", push.request_id),
        )  # fmt: skip
        self._town.settle()


@dataclass
class Town:
    """Everything that a story needs."""

    engine: Engine
    config: Configuration = field(default_factory=configuration)
    bus: KombuBus = field(default_factory=lambda: KombuBus("memory://"))
    clock: FakeClock = field(default_factory=FakeClock)
    dispatcher_away: bool = False
    ingest_away: bool = False
    echo: Callable[[], None] = lambda: None
    """Called between steps, e.g. to deliver messages a second time."""
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    outcome_keys: list[str] = field(default_factory=list)
    alerts: int = 0
    expected_in_quarantine: int = 0

    def __post_init__(self) -> None:
        self.bus.declare(TOPOLOGY)
        self.bus.declare(Topology(TOPOLOGY.exchanges, (OUTCOMES_QUEUE,)))
        self.chat = Chat(self)
        self.phones = Phones(self)
        self.start_services()
        self._chat_edge = self._consume(CHAT_GATEWAY_QUEUE.name)
        self._auth_edge = self._consume(AUTH_POLLER_QUEUE.name)
        self._outcome_edge = self._consume(OUTCOMES_QUEUE.name)

    def start_services(self) -> None:
        """Build ingest and dispatcher, as their processes do; again after `stop_services` for a restart."""
        transactions = Transactions(self.engine, self.bus, self.clock, "ingest")
        self._ingest = Worker(IntakeHandler(self.clock), self.bus, transactions)
        self._ticks = (*Deadlines(self.config).ticks(), *Reporting(self.config.wording).ticks())
        self.transactions = Transactions(self.engine, self.bus, self.clock, "dispatcher")
        self._dispatcher = Worker(DispatcherHandler(self.config), self.bus, self.transactions)
        for worker in (self._ingest, self._dispatcher):
            worker._consumer = self._consume(worker._handler.queue)

    def stop_services(self) -> None:
        """Let both end, as a kill does: what they took and did not acknowledge goes back."""
        for worker in (self._ingest, self._dispatcher):
            assert worker._consumer is not None
            worker._consumer.close()

    def close(self) -> None:
        """Give everything back."""
        self.bus.close()
        self.engine.dispose()

    def _consume(self, queue: str) -> Consumer:
        return self.bus.consume([queue], prefetch=2 * BATCH)

    # --- running ------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Run until nothing moves."""
        while self._step():
            self.echo()

    def _step(self) -> bool:
        moved = False
        for worker, away in ((self._ingest, self.ingest_away), (self._dispatcher, self.dispatcher_away)):
            if not away:
                moved |= _work(worker)
        if not self.chat.away:
            moved |= self._edge(self._chat_edge, self.chat.take)
        if not self.phones.away:
            moved |= self._edge(self._auth_edge, self.phones.take)
        for delivery in _drain(self._outcome_edge):
            moved = True
            self.outcome_keys.append(delivery.routing_key)
            self.outcomes.append(json.loads(delivery.body))
        return moved

    def _edge(self, consumer: Consumer, take: Callable[[Envelope[Message]], None]) -> bool:
        """Take what waits; as a worker does on a bus that is not durable, the outbox forgets it."""
        deliveries = _drain(consumer)
        for delivery in deliveries:
            take(codec.decode(delivery))
        ids = [delivery.message_id for delivery in deliveries]
        if ids:
            with self.engine.begin() as connection:
                connection.execute(delete(OutboxRow).where(OutboxRow.message_id.in_(ids)))
        return bool(deliveries)

    def tick(self) -> None:
        """Let the dispatcher do what happens by itself."""
        if not self.dispatcher_away:
            for tick in self._ticks:
                self.transactions.run(tick.run)

    def pass_time(self, by: timedelta) -> None:
        """Let time pass; what is due in between happens when it is."""
        until = self.clock.now() + by
        while (due := self._next_due()) is not None and due <= until and not self.dispatcher_away:
            self.clock.advance(max(timedelta(0), due - self.clock.now()))
            before = due
            self.tick()
            self.settle()
            after = self._next_due()
            if after is not None and after <= before and after <= self.clock.now():
                raise AssertionError(f"due at {after}, and still there")
        self.clock.advance(until - self.clock.now())
        self.tick()
        self.settle()

    def _next_due(self) -> datetime | None:
        with self.engine.connect() as connection:
            talks = list(connection.scalars(select(ConversationRow.due_at).where(ConversationRow.due_at.is_not(None))))
            waiting = (AlertRow.status.in_([Status.OPEN, Status.IN_PROGRESS]), AlertRow.escalate_at.is_not(None))
            alerts = list(connection.scalars(select(AlertRow.escalate_at).where(*waiting)))
        return min([moment for moment in (*talks, *alerts) if moment is not None], default=None)

    # --- what happens -------------------------------------------------------------------------------------------

    def tell(self, message: Message, message_id: str | None = None) -> None:
        """Put a message of an edge onto the bus."""
        publication = codec.encode(message, message_id=message_id or new_id(), owner=None, correlation_id=None)
        assert not self.bus.publish([publication])

    def publish(self, owner: str = "alice", title: str = "sudo on db-7", **fields: Any) -> str:
        """Publish an alert without letting anything take it; returns its hash."""
        self.alerts += 1
        digest = fields.pop("hash", f"{self.alerts:064x}")
        body = {"hash": digest, "owner": owner, "title": title, "description": "somebody ran sudo", **fields}
        publication = Publication(ALERTS, "alert.osquery", json.dumps(body).encode(), message_id=new_id())
        assert not self.bus.publish([publication])
        return str(digest)

    def alert(self, owner: str = "alice", title: str = "sudo on db-7", **fields: Any) -> str:
        """Publish an alert and let everything happen that follows."""
        digest = self.publish(owner, title, **fields)
        self.settle()
        return digest

    def says(self, person_id: str, text: str) -> None:
        """Let a person type something."""
        self.tell(ReplyReceived(person_id=person_id, text=text, received_at=self.clock.now()))
        self.settle()

    def clicks(self, person_id: str, action: str, comment: str = "", on: Shown | None = None) -> None:
        """Let a person click a button, that of the newest message which has it unless told otherwise."""
        on = on or self.with_button(person_id, action)
        reply = ReplyReceived(
            person_id=person_id, text=comment, action=action, subject=on.first.subject, received_at=self.clock.now()
        )
        self.tell(reply)
        self.settle()

    def with_button(self, person_id: str, action: str) -> Shown:
        """Return the newest message to the person that has the button now."""
        having = [m for m in self.chat.to(person_id) if action in [b.action for b in m.content.buttons]]
        assert having, f"{person_id} sees no button {action!r}"
        return having[-1]

    def confirms(self, person_id: str, why: str = "") -> None:
        """Let a person say yes, take the push and approve it."""
        self.clicks(person_id, "yes", why)
        self.clicks(person_id, "push")
        self.phones.answer(AuthResult.APPROVED)

    def add_person(self, chat_id: str, username: str, **fields: Any) -> None:
        """Put somebody into the directory."""
        values = {
            "chat_id": chat_id, "username": username, "email": f"{username}@example.com", "active": True,
            "display_name": username.title(), "time_zone": "UTC", "locale": None, "updated_at": self.clock.now(),
        }  # fmt: skip
        with self.engine.begin() as connection:
            connection.execute(insert(PersonRow).values(values | fields))

    # --- what is to be seen -------------------------------------------------------------------------------------

    def row(self, digest: str) -> Any:
        """Return an alert of the record."""
        with self.engine.connect() as connection:
            return connection.execute(select(AlertRow.__table__).where(AlertRow.hash == digest)).one()

    def rows(self, table: Any) -> list[Any]:
        """Return a whole table."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(table.__table__)).all())

    def change(self, table: Any, *where: Any, **values: Any) -> None:
        """Change every row of a table, or some."""
        with self.engine.begin() as connection:
            connection.execute(update(table).where(*where).values(**values))

    def outcome(self, digest: str) -> dict[str, Any]:
        """Return the one outcome of an alert."""
        found = [event for event in self.outcomes if event["subject"] == digest]
        assert len(found) == 1, f"{len(found)} outcomes of {digest}"
        return found[0]

    def reports(self) -> list[str]:
        """Return what the reporting channel reads, a summary each."""
        return [shown.content.summary for shown in self.chat.to(CHANNEL)]

    def told(self, person_id: str) -> list[str]:
        """Return the first line of what a person was sent, as it was sent."""
        return [shown.first.summary for shown in self.chat.to(person_id)]

    def asked(self, person_id: str) -> list[Shown]:
        """Return the questions that the person was asked."""
        return [m for m in self.chat.to(person_id) if "wrong_person" in [b.action for b in m.first.buttons]]

    def check(self) -> None:
        """What must hold after every story: verdict and outcome both or neither, messages in order, no surprises."""
        quarantined = [row.reason for row in self.rows(QuarantineRow)]
        assert len(quarantined) == self.expected_in_quarantine, quarantined
        verdicts: dict[str, set[str]] = {}
        for event in self.outcomes:
            verdicts.setdefault(event["subject"], set()).add(json.dumps(event, sort_keys=True))
        for row in self.rows(AlertRow):
            waits = row.status in (Status.OPEN, Status.IN_PROGRESS)
            assert waits is (row.resolution is None), f"{row.status} with the verdict {row.resolution}"
            assert len(verdicts.get(row.hash, ())) == (0 if waits else 1), f"outcomes of an alert {row.status}"
        self.chat.check_order()


def _drain(consumer: Consumer) -> list[Delivery]:
    deliveries = consumer.take(2 * BATCH, timeout=0)
    consumer.ack(deliveries)
    return deliveries


def _work(worker: Worker[Any]) -> bool:
    assert worker._consumer is not None
    deliveries = worker._consumer.take(BATCH, timeout=0)
    if deliveries:
        worker._work_off(deliveries)
    return bool(deliveries)
