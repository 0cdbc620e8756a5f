"""What comes in while the broker or the record is away."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from common import codec
from common.bus.embedded import KombuBus
from common.bus.port import Delivery
from common.clock import SystemClock
from common.errors import BusUnavailable, DatabaseUnavailable
from common.messages import Envelope, Message, ReplyReceived
from common.records.database import create_database
from common.records.tables import OutboxRow
from common.topology import DISPATCHER_QUEUE
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from common.worker import Received, Worker
from services.chat_gateway.directory import Directory
from services.chat_gateway.intake import BusIntake
from services.chat_gateway.local import LocalChat
from services.chat_gateway.port import Attempt, Reply
from services.chat_gateway.slack.inbound import Inbound
from services.chat_gateway.slack.translate import Own
from tests.fakes.bus import BreakableBus, nothing
from tests.fakes.clock import FakeClock
from tests.integration.chat_gateway.conftest import RememberingIntake
from tests.servers import free_port
from tests.waiting import eventually


class Heard:
    """A consumer of replies, as the dispatcher is one."""

    name = "heard"
    queue = DISPATCHER_QUEUE.name

    def __init__(self) -> None:
        self.texts: list[str] = []

    def decode(self, delivery: Delivery) -> Envelope[Message]:
        return codec.decode(delivery)

    def handle(self, work: UnitOfWork, batch: Sequence[Received[Envelope[Message]]]) -> None:
        messages = [received.message.message for received in batch]
        texts = [message.text for message in messages if isinstance(message, ReplyReceived)]
        work.after_commit(lambda: self.texts.extend(texts))


class Way:
    """The way in of one process, to a broker that keeps what it confirmed."""

    def __init__(self, engine: Engine, bus: KombuBus) -> None:
        self.engine = engine
        self.clock = FakeClock()
        self.bus = BreakableBus(bus)
        self.bus.durable = True
        self.transactions = self.another()
        self.intake = self.into(self.transactions)

    def another(self) -> Transactions:
        return Transactions(self.engine, self.bus, self.clock, "chat-gateway")

    def into(self, transactions: Transactions) -> BusIntake:
        return BusIntake(transactions, Directory(LocalChat(), transactions, self.clock))

    def break_(self) -> None:
        def away() -> None:
            raise BusUnavailable("the broker is away")

        self.bus.before_publish = away

    def heal(self) -> None:
        self.bus.before_publish = nothing

    def kept(self) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(OutboxRow)) or 0

    def heard(self) -> list[str]:
        """What a consumer makes of all that is in the queue now."""
        heard = Heard()
        worker = Worker(heard, self.bus, Transactions(self.engine, self.bus, self.clock, "heard"))
        thread = threading.Thread(target=worker.run)
        thread.start()
        eventually(lambda: not self.bus.depths([heard.queue])[heard.queue])
        worker.stop()
        thread.join(20)
        assert not thread.is_alive()
        return heard.texts


@pytest.fixture
def way(engine: Engine, memory_bus: KombuBus) -> Way:
    return Way(engine, memory_bus)


def a_reply(name: str = "r1") -> Reply:
    return Reply(name, ReplyReceived(person_id="U1", text=name, action="yes", received_at=FakeClock().now()))


def test_while_the_broker_is_away_replies_are_safe_and_go_on_once_it_is_back(way: Way) -> None:
    way.break_()
    way.intake.replies([a_reply("r1"), a_reply("r2")])
    assert way.kept() == 2
    way.heal()
    way.transactions.republish()
    assert way.heard() == ["r1", "r2"]
    way.transactions.forget_published()
    assert way.kept() == 0


def test_what_a_process_kept_and_did_not_live_to_publish_is_swept_by_another(way: Way) -> None:
    way.break_()
    way.intake.replies([a_reply()])
    way.heal()
    way.clock.advance(timedelta(seconds=11))
    assert way.another().sweep(timedelta(seconds=10)) == 1
    assert way.kept() == 0
    assert way.heard() == ["r1"]


def test_a_reply_that_was_kept_twice_and_published_too_is_heard_once(way: Way) -> None:
    way.break_()
    way.intake.replies([a_reply()])
    way.intake.replies([a_reply()])
    way.heal()
    way.intake.replies([a_reply()])
    assert way.heard() == ["r1"]
    way.transactions.republish()
    assert way.heard() == []


def test_with_broker_and_record_away_a_reply_is_not_acknowledged(way: Way) -> None:
    way.break_()
    nowhere = create_database(f"mysql+pymysql://nobody@127.0.0.1:{free_port()}/record")
    intake = way.into(Transactions(nowhere, way.bus, way.clock, "chat-gateway"))
    with pytest.raises(DatabaseUnavailable):
        intake.replies([a_reply()])
    nowhere.dispose()


class NoRecord(RememberingIntake):
    """Takes what needs the broker only."""

    def attempts(self, attempts: Sequence[Attempt]) -> None:
        raise DatabaseUnavailable("the record is away")


def test_somebodys_edited_words_cost_nobody_elses_click_while_the_record_is_away() -> None:
    own, intake = Own("U0BOT", "B0BOT"), NoRecord()
    edited: dict[str, Any] = {
        "type": "event_callback", "event_id": "Ev1",
        "event": {
            "type": "message", "subtype": "message_changed", "channel_type": "im", "channel": "D2",
            "message": {"user": "U2", "text": "yes", "edited": {}}, "previous_message": {"user": "U2", "text": "no"},
        },
    }  # fmt: skip
    click: dict[str, Any] = {
        "type": "block_actions", "user": {"id": "U1"}, "channel": {"id": "D1"}, "message": {"bot_id": "B0BOT"},
        "trigger_id": "1.2.3", "actions": [{"type": "button", "action_id": "yes", "value": "q-1"}],
    }  # fmt: skip
    with pytest.raises(DatabaseUnavailable):
        Inbound(lambda: own, intake, SystemClock()).take([("event", edited), ("click", click)])
    assert [reply.message.person_id for reply in intake.taken] == ["U1"]
