"""The deliverer with a chat that fails as it is told: how long it is tried, and whose the messages are meanwhile."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select
from structlog.testing import capture_logs

from common.bus.embedded import KombuBus
from common.messages import ChatContent, Envelope, Recipient
from common.records.tables import ChatDeliveryRow
from common.retry import Backoff
from common.transactions import Transactions
from services.chat_gateway.calls import Calls
from services.chat_gateway.deliverer import Deliverer
from services.chat_gateway.deliveries import LEASE, Deliveries
from services.chat_gateway.directory import Directory
from services.chat_gateway.handlers import ChatGatewayHandler
from services.chat_gateway.jobs import job_of
from services.chat_gateway.local import LocalChat
from services.chat_gateway.port import (
    ChatContentRefused,
    ChatRefused,
    ChatUnavailable,
    ChatUncertain,
    ChatUnreachable,
    Posted,
)
from services.chat_gateway.schedule import Schedule
from tests.fakes.clock import FakeClock
from tests.integration.chat_gateway.conftest import a_send
from tests.waiting import eventually


class FailingChat(LocalChat):
    """Raises what it is told to, then works. What it posted can be found."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = deque(failures)
        self.always: Exception | None = None
        self.sent: list[str] = []
        self.looked_for: list[str] = []

    def send(self, recipient: Recipient, content: ChatContent, message_id: str) -> Posted:
        failure = self.failures.popleft() if self.failures else self.always
        if failure is not None:
            raise failure
        self.sent.append(message_id)
        return Posted(recipient.id, message_id)

    def find(self, recipient: Recipient, message_id: str, since: datetime) -> Posted | None:
        self.looked_for.append(message_id)
        return Posted(recipient.id, message_id) if message_id in self.sent else None


class Parts:
    """A deliverer without the worker around it."""

    def __init__(self, engine: Engine, bus: KombuBus, chat: FailingChat, patience: float = 60.0) -> None:
        self.engine = engine
        self.clock = FakeClock()
        self.schedule = Schedule()
        self.deliveries = Deliveries("one")
        self.transactions = Transactions(engine, bus, self.clock, "test")
        directory = Directory(chat, self.transactions, self.clock)
        calls = Calls(chat, directory, self.deliveries, self.transactions, self.clock)
        self.deliverer = Deliverer(
            calls, self.schedule, self.deliveries, self.transactions, self.clock, threads=2,
            backoff=Backoff(first=0.01, longest=0.02), patience={"person": patience, "channel": patience},
        )  # fmt: skip
        self.handler = ChatGatewayHandler(self.deliveries, self.schedule, self.deliverer)
        self.renew, self.sweep = self.handler.ticks()
        self._thread = threading.Thread(target=self.deliverer.run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.deliverer.stop()
        self._thread.join(9)
        assert not self._thread.is_alive()

    def accept(self, name: str, sequence: int = 1, *, kind: str = "person") -> None:
        job = job_of(Envelope(name, a_send("U1", name, sequence, kind=kind), None, None), self.clock.now())
        ours = self.transactions.run(lambda work: self.deliveries.add(work, [job], 10, {job.lane}))
        self.deliverer.claimed(self.clock.now() + LEASE)
        self.schedule.add(ours, {})

    def ended(self, name: str) -> tuple[str, str | None] | None:
        with self.engine.connect() as connection:
            table = ChatDeliveryRow.__table__
            row = connection.execute(select(table).where(ChatDeliveryRow.message_id == name)).one()
        return (row.state, row.error) if row.state != "pending" else None


@pytest.fixture
def chat() -> FailingChat:
    return FailingChat()


@pytest.fixture
def parts(
    request: pytest.FixtureRequest, sqlite_engine: Engine, memory_bus: KombuBus, chat: FailingChat
) -> Iterator[Parts]:
    parts = Parts(sqlite_engine, memory_bus, chat, patience=getattr(request, "param", 60.0))
    parts.start()
    yield parts
    parts.stop()


@pytest.mark.parametrize("parts", [1.0], indirect=True, ids=["little patience"])
def test_a_chat_that_stays_away_makes_a_persons_message_undeliverable(parts: Parts, chat: FailingChat) -> None:
    chat.always = ChatUnavailable("away")
    parts.accept("m1")
    assert eventually(lambda: parts.ended("m1")) == ("failed", "unavailable")


def test_a_report_to_the_team_is_tried_much_longer(parts: Parts, chat: FailingChat) -> None:
    chat.failures.extend([ChatUnavailable("away")] * 4)
    parts.accept("m1", 0, kind="channel")
    assert eventually(lambda: parts.ended("m1")) == ("sent", None)


@pytest.mark.parametrize("parts", [3.0], indirect=True, ids=["little patience"])
def test_a_channel_that_nobody_puts_right_is_an_error_at_each_try_and_given_up_in_the_end(
    parts: Parts, chat: FailingChat
) -> None:
    chat.always = ChatUnreachable("not_in_channel")
    with capture_logs() as logs:
        parts.accept("m1", 0, kind="channel")
        assert eventually(lambda: parts.ended("m1")) == ("failed", "not_in_channel")
    told = [line for line in logs if line["event"] == "report_undeliverable"]
    assert {(line["log_level"], line["reason"]) for line in told} == {("error", "not_in_channel")}
    *pauses, last = [line["again_in"] for line in told]
    assert last is None
    assert max(pauses) > 0.02, "they grow beyond those for a chat that is away"


@pytest.mark.parametrize("refusal", [ChatUnreachable("is_archived"), ChatContentRefused("invalid_blocks")])
def test_a_person_who_cannot_be_told_is_given_up_at_once(parts: Parts, chat: FailingChat, refusal: ChatRefused) -> None:
    chat.failures.append(refusal)
    parts.accept("m1")
    assert eventually(lambda: parts.ended("m1")) == ("failed", refusal.reason)
    assert chat.sent == []


def test_a_stopped_process_keeps_what_may_still_be_posted_until_it_is_settled(
    sqlite_engine: Engine, memory_bus: KombuBus, chat: FailingChat
) -> None:
    parts = Parts(sqlite_engine, memory_bus, chat)
    chat.failures.append(ChatUncertain("lost", settles_in=30.0))
    parts.start()
    parts.accept("m1")
    eventually(lambda: not chat.failures and parts.schedule.waiting(["U1"]) == {"U1": 1})
    parts.stop()
    other = Deliveries("two")
    parts.clock.advance(timedelta(seconds=29))
    assert parts.transactions.run(lambda work: other.take_over(work, 10)) == []
    parts.clock.advance(timedelta(seconds=2))
    [job] = parts.transactions.run(lambda work: other.take_over(work, 10))
    assert job.find_first
    assert chat.looked_for == []


def test_what_surely_did_not_arrive_needs_no_looking_for(parts: Parts, chat: FailingChat) -> None:
    chat.failures.append(ChatUnavailable("refused connection"))
    parts.accept("m1")
    eventually(lambda: parts.ended("m1"))
    assert (chat.sent, chat.looked_for) == (["m1"], [])


def test_what_may_have_arrived_is_looked_for_before_each_new_try(parts: Parts, chat: FailingChat) -> None:
    chat.failures.extend([ChatUncertain("lost"), ChatUncertain("lost")])
    parts.accept("m1")
    eventually(lambda: parts.ended("m1"))
    assert (chat.sent, chat.looked_for) == (["m1"], ["m1", "m1"])


def test_a_bug_in_a_chat_is_treated_like_a_lost_answer(parts: Parts, chat: FailingChat) -> None:
    chat.failures.append(ZeroDivisionError("a bug"))
    parts.accept("m1")
    assert eventually(lambda: parts.ended("m1")) == ("sent", None)
    assert chat.looked_for == ["m1"]


def test_a_process_whose_claims_have_lapsed_posts_nothing_until_it_has_taken_them_over(
    parts: Parts, chat: FailingChat
) -> None:
    parts.clock.advance(timedelta(seconds=1))
    parts.deliverer.claimed(parts.clock.now() - timedelta(seconds=1))
    parts.accept("m1")
    threading.Event().wait(0.3)
    assert chat.sent == []
    parts.clock.advance(LEASE + timedelta(seconds=1))
    parts.transactions.run(parts.renew.run)
    assert parts.schedule.in_hand(["m1"]) == []
    parts.transactions.run(parts.sweep.run)
    assert eventually(lambda: parts.ended("m1")) == ("sent", None)
    assert chat.looked_for == ["m1"]


def test_renewed_claims_are_not_taken_over(parts: Parts, chat: FailingChat) -> None:
    chat.always = ChatUnavailable("away")
    parts.accept("m1", 0, kind="channel")
    for _ in range(6):
        parts.clock.advance(timedelta(seconds=2))
        parts.transactions.run(parts.renew.run)
    assert parts.transactions.run(lambda work: Deliveries("two").take_over(work, 10)) == []
    chat.always = None
    assert eventually(lambda: parts.ended("m1")) == ("sent", None)
