"""A gateway as in production, between a bus in memory, a record in a file and the fake Slack on real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, select

from common import codec
from common.bus.embedded import KombuBus
from common.clock import Clock, SystemClock
from common.errors import BusUnavailable
from common.ids import new_id
from common.messages import ChatContent, Message, Recipient, SendChatMessage, UpdateChatMessage
from common.records.tables import ChatDeliveryRow, PersonRow
from common.service import Runtime
from common.settings import Settings
from common.topology import DISPATCHER_QUEUE
from common.transactions import Transactions
from services.chat_gateway.port import Attempt, Chat, Person, Reply
from services.chat_gateway.slack.adapter import SlackChat
from services.chat_gateway.slack.web import SlackWeb
from services.chat_gateway.wiring import build_with
from tests.fakes.slack import FakeSlack
from tests.waiting import eventually

TIMEOUT = 1.5
GARBLED: tuple[dict[str, Any], ...] = (
    {"body": "[1]"},
    {"body": '"ok"'},
    {"body": "{}", "headers": {"Content-Type": "application/json; charset=unheard-of"}},
    {"body": '{"ok":', "headers": {"Content-Length": "100"}},
    {"body": '{"ok": false, "error": ["code"]}'},
)
"""Answers that Slack does not give, and something between here and there may."""


class Gateway:
    """One process's worth of the service, on threads of the test."""

    def __init__(self, runtime: Runtime, chat: Chat) -> None:
        self.service = build_with(runtime, chat)
        self._threads = [
            threading.Thread(target=runnable.run, name=runnable.name, daemon=True)
            for runnable in self.service.runnables
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        eventually(lambda: self.service.checks["chat"]() is None)

    def stop(self) -> None:
        for runnable in self.service.runnables:
            runnable.stop()
        for thread in self._threads:
            thread.join(9)
            assert not thread.is_alive(), thread.name


class Bench:
    """What a test of the gateway needs."""

    def __init__(self, engine: Engine, bus: KombuBus, slack: FakeSlack) -> None:
        self.engine = engine
        self.bus = bus
        self.slack = slack
        self.clock: Clock = SystemClock()
        self.gateways: list[Gateway] = []
        self.told: list[tuple[str | None, Message]] = []
        """What the dispatcher would get: id and message."""
        self._consumer = bus.consume([DISPATCHER_QUEUE.name], prefetch=1000)

    def chat(self, **more: Any) -> SlackChat:
        return SlackChat(SlackWeb(self.slack.bot_token, self.slack.api_url, TIMEOUT), **more)

    def transactions(self) -> Transactions:
        return Transactions(self.engine, self.bus, self.clock, "test")

    def start(self, chat: Chat | None = None, instance: str = "one") -> Gateway:
        runtime = Runtime(Settings(), self.bus, self.engine, self.clock, instance)
        gateway = Gateway(runtime, chat or self.chat())
        self.gateways.append(gateway)
        gateway.start()
        return gateway

    def publish(self, *messages: tuple[str, Message]) -> None:
        refused = self.bus.publish(
            [codec.encode(message, message_id=name, owner=None, correlation_id="hash") for name, message in messages]
        )
        assert not refused

    def send(self, person: str, text: str, sequence: int = 1, *, notify: bool = False) -> str:
        name = new_id()
        self.publish((name, a_send(person, text, sequence, notify=notify)))
        return name

    def update(self, person: str, target: str, text: str, sequence: int) -> str:
        name = new_id()
        recipient = Recipient(kind="person", id=person)
        content = ChatContent(summary=text)
        self.publish((name, UpdateChatMessage(target=target, recipient=recipient, sequence=sequence, content=content)))
        return name

    def texts(self, person: str) -> list[str]:
        return [message["text"] for message in self.slack.messages_to(person)]

    def heard(self, kind: type[Message]) -> list[Any]:
        """Return the messages of one type that the dispatcher got, each id once."""
        for delivery in self._consumer.take(1000, timeout=0):
            self.told.append((delivery.message_id, codec.decode(delivery).message))
        return list({name: message for name, message in self.told if isinstance(message, kind)}.values())

    def row(self, message_id: str) -> Any:
        with self.engine.connect() as connection:
            table = ChatDeliveryRow.__table__
            return connection.execute(select(table).where(ChatDeliveryRow.message_id == message_id)).one_or_none()

    def state(self, message_id: str) -> str | None:
        row = self.row(message_id)
        return row.state if row else None

    def people(self) -> dict[str, Any]:
        with self.engine.connect() as connection:
            return {row.chat_id: row for row in connection.execute(select(PersonRow.__table__)).all()}

    def close(self) -> None:
        for gateway in self.gateways:
            gateway.stop()
        self._consumer.close()


def a_send(person: str, text: str, sequence: int, *, notify: bool = False, kind: str = "person") -> SendChatMessage:
    recipient = Recipient.model_validate({"kind": kind, "id": person})
    return SendChatMessage(recipient=recipient, sequence=sequence, content=ChatContent(summary=text), notify=notify)


class RememberingIntake:
    """An intake that can be away."""

    def __init__(self) -> None:
        self.taken: list[Reply] = []
        self.came: list[Person] = []
        self.refused: list[Attempt] = []
        self.away = False
        self.before: Callable[[], object] = lambda: None

    def replies(self, replies: Sequence[Reply]) -> None:
        if self.away:
            raise BusUnavailable("the broker is away")
        self.before()
        self.taken.extend(replies)

    def people(self, people: Sequence[Person]) -> None:
        if self.away:
            raise BusUnavailable("the record is away")
        self.came.extend(people)

    def attempts(self, attempts: Sequence[Attempt]) -> None:
        if self.away:
            raise BusUnavailable("the record is away")
        self.refused.extend(attempts)


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSlack]:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with FakeSlack(hold=6.0, resend_after=0.3) as fake:
        yield fake


@pytest.fixture
def bench(sqlite_engine: Engine, memory_bus: KombuBus, slack: FakeSlack) -> Iterator[Bench]:
    bench = Bench(sqlite_engine, memory_bus, slack)
    yield bench
    bench.close()


@pytest.fixture
def alice(slack: FakeSlack) -> str:
    return slack.add_user("alice", "alice@example.com")
