"""The worker loop on the embedded bus with SQLite, and on RabbitMQ with MariaDB."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pika
import pymysql
import pytest
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.exc import IntegrityError

from common import codec, metrics
from common.bus import open_bus
from common.bus.port import Bus, Delivery, Publication
from common.errors import BadMessage, BusUnavailable, DatabaseUnavailable
from common.messages import LookUpPerson, ReplyReceived
from common.outbox import outbox_values
from common.records.base import Base
from common.records.database import create_database
from common.records.migrate import migrate
from common.records.tables import HistoryRow, InboxRow, OutboxRow, QuarantineRow
from common.retry import Backoff
from common.topology import (
    ALERTS,
    AUTH_POLLER_QUEUE,
    CHAT_GATEWAY_QUEUE,
    DISPATCHER_QUEUE,
    EVENTS,
    INGEST_QUEUE,
    TOPOLOGY,
)
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from common.worker import BATCH, Received, Tick, Worker
from tests.amqp import deep, teach_pika_raw_values, timestamp
from tests.contract.bus_places import admin
from tests.fakes.bus import BreakableBus, Killed
from tests.fakes.clock import FakeClock
from tests.servers import MariaServer
from tests.waiting import eventually

QUICK = Backoff(first=0.02, longest=0.1)


class Recorder:
    """Notes each message, and asks for a look-up of it."""

    name = "recorder"
    queue = INGEST_QUEUE.name

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.before: Callable[[], None] = lambda: None

    def decode(self, delivery: Delivery) -> str:
        text = delivery.body.decode()
        if "unreadable" in text:
            raise BadMessage("it says so itself")
        return text

    def handle(self, work: UnitOfWork, batch: Sequence[Received[str]]) -> None:
        self.before()
        self.batches.append([received.message for received in batch])
        for received in batch:
            if "rule" in received.message:
                raise BadMessage("it breaks a rule")
            if "bug" in received.message:
                raise ZeroDivisionError
            work.note("handled", text=received.message)
            work.emit(LookUpPerson(handle=received.message))


@dataclass
class World:
    """A bus, a record and a handler; `worker` makes as many workers as a test wants."""

    bus: BreakableBus
    engine: Engine
    clock: FakeClock = field(default_factory=FakeClock)
    handler: Recorder = field(default_factory=Recorder)

    def worker(self, *ticks: Tick) -> Worker[str]:
        """A worker as a new process would have it."""
        return Worker(self.handler, self.bus, self.transactions(), ticks, QUICK)

    def transactions(self) -> Transactions:
        return Transactions(self.engine, self.bus, self.clock, "recorder")

    def publish(self, *bodies: str, message_id: str | None = "") -> None:
        """Publish to the worker's queue; the id is the body unless told."""
        refused = self.bus.publish(
            [
                Publication(ALERTS, "alert.test", body.encode(), body if message_id == "" else message_id)  # type: ignore[arg-type]
                for body in bodies
            ]
        )
        assert not refused

    def handled(self) -> list[str]:
        with self.engine.connect() as connection:
            return [detail["text"] for detail in connection.scalars(select(HistoryRow.detail).order_by(HistoryRow.id))]

    def count(self, table: type[Base]) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(table)) or 0

    def quarantined(self) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(select(QuarantineRow.__table__).order_by(QuarantineRow.id)))

    def emitted(self, count: int) -> list[str]:
        """The look-ups that were published: `count` of them and no more."""
        consumer = self.bus.consume([CHAT_GATEWAY_QUEUE.name], 100)
        taken: list[Delivery] = []

        def enough() -> bool:
            taken.extend(consumer.take(100, 0.1))
            return len(taken) >= count

        eventually(enough)
        taken.extend(consumer.take(100, 0.1))
        consumer.close()
        return [LookUpPerson.model_validate_json(delivery.body).handle for delivery in taken]

    def left_over(self) -> list[Delivery]:
        """What nobody acknowledged, now that no worker runs: it comes before a message that is published now."""
        self.publish("the last")
        consumer = self.bus.consume([INGEST_QUEUE.name], 100)
        taken: list[Delivery] = []

        def last() -> list[Delivery]:
            taken.extend(consumer.take(100, 0.1))
            return [delivery for delivery in taken if delivery.body == b"the last"]

        consumer.ack(found := eventually(last))
        consumer.close()
        return [delivery for delivery in taken if delivery not in found]


@contextmanager
def running(worker: Worker[Any]) -> Iterator[None]:
    """Run the worker in a thread, and stop it at the end."""
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def opened(bus: Bus, url: str) -> Iterator[World]:
    bus.declare(TOPOLOGY)
    engine = create_database(url)
    migrate(engine)
    yield World(BreakableBus(bus), engine)
    bus.close()
    engine.dispose()


@pytest.fixture
def durable(amqp_url: str, mariadb_url: str) -> Iterator[World]:
    with opened(open_bus(amqp_url), mariadb_url) as world:
        yield world


@pytest.fixture
def embedded(sqlite_url: str) -> Iterator[World]:
    with opened(open_bus("memory://"), sqlite_url) as world:
        yield world


@pytest.fixture(params=["embedded", "durable"])
def world(request: pytest.FixtureRequest) -> World:
    world: World = request.getfixturevalue(request.param)
    return world


def delivery(body: str, message_id: str | None) -> Delivery:
    """A delivery that no broker has to bring."""
    return Delivery(
        queue=INGEST_QUEUE.name, exchange=ALERTS, routing_key="alert.test", body=body.encode(), message_id=message_id,
        type=None, correlation_id=None, headers={}, content_type=None, redelivered=False, tag=None,
    )  # fmt: skip


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_messages_are_handled_in_order_acknowledged_and_what_they_emit_is_published(world: World) -> None:
    with running(world.worker()):
        world.publish("a", "b", "c")
        eventually(lambda: world.handled() == ["a", "b", "c"])

    assert world.emitted(3) == ["a", "b", "c"]
    assert world.left_over() == []
    assert world.count(InboxRow) == 3


def test_what_is_waiting_shares_one_transaction(world: World) -> None:
    world.publish(*(f"m{number}" for number in range(100)))

    with running(world.worker()):
        eventually(lambda: len(world.handled()) == 100)

    assert len(world.handler.batches) < 50


def test_the_same_id_again_has_no_second_effect(world: World) -> None:
    with running(world.worker()):
        world.publish("a")
        eventually(lambda: world.handled() == ["a"])
        world.publish("a", "b")
        eventually(lambda: "b" in world.handled())
        world.publish("c", "c")
        eventually(lambda: "c" in world.handled())

    assert world.handled() == ["a", "b", "c"]
    assert sorted(world.emitted(3)) == ["a", "b", "c"]


def test_killed_before_the_acknowledgement_the_redelivery_has_no_second_effect(world: World) -> None:
    world.publish("a")
    world.bus.before_ack = raising(Killed())
    with pytest.raises(Killed):
        world.worker().run()
    world.bus.before_ack = lambda: None

    repeated = metrics.REPEATED.labels("recorder")._value.get()
    with running(world.worker()):
        eventually(lambda: metrics.REPEATED.labels("recorder")._value.get() > repeated)

    assert world.handled() == ["a"]
    assert world.left_over() == []


def test_killed_between_commit_and_publish_the_next_process_publishes_for_it(durable: World) -> None:
    durable.publish("a")
    durable.bus.before_publish = raising(Killed())
    with pytest.raises(Killed):
        durable.worker().run()
    durable.bus.before_publish = lambda: None
    assert (durable.handled(), durable.count(OutboxRow)) == (["a"], 1)

    durable.clock.advance(timedelta(seconds=2))
    with running(durable.worker()):
        assert durable.emitted(1) == ["a"]
        eventually(lambda: durable.count(OutboxRow) == 0)

    assert durable.handled() == ["a"]
    assert durable.left_over() == []


def test_on_the_embedded_bus_a_restart_publishes_everything_that_was_not_handled(embedded: World) -> None:
    transactions = embedded.transactions()
    transactions.publish_now(
        [Publication(ALERTS, "alert.test", b"a", "a"), Publication(ALERTS, "alert.test", b"b", "b")]
    )
    assert embedded.count(OutboxRow) == 2
    restarted = open_bus("memory://")
    restarted.declare(TOPOLOGY)
    after = World(BreakableBus(restarted), embedded.engine)
    after.clock.advance(timedelta(seconds=1))

    assert after.transactions().sweep(timedelta(0)) == 2

    with running(after.worker()):
        eventually(lambda: after.handled() == ["a", "b"])
        eventually(lambda: after.count(OutboxRow) == 2)
    with after.engine.connect() as connection:
        kept = set(connection.scalars(select(OutboxRow.exchange)))
    restarted.close()
    assert kept == {EVENTS}, "the look-ups wait for the gateway; the alerts are done"


def test_on_the_embedded_bus_what_two_services_take_is_kept_until_both_have_it(embedded: World) -> None:
    class Listener(Recorder):
        def __init__(self, name: str, queue: str) -> None:
            super().__init__()
            self.name, self.queue = name, queue

        def handle(self, work: UnitOfWork, batch: Sequence[Received[str]]) -> None:
            self.batches.append([received.message for received in batch])

    first, second = Listener("first", DISPATCHER_QUEUE.name), Listener("second", AUTH_POLLER_QUEUE.name)
    reply = ReplyReceived(person_id="U1", text="yes", received_at=embedded.clock.now())
    embedded.transactions().publish_now([codec.encode(reply, message_id="r", owner=None, correlation_id=None)])
    for listener, left in ((first, 1), (second, 0)):
        with running(Worker(listener, embedded.bus, embedded.transactions(), (), QUICK)):
            eventually(lambda taken=listener: taken.batches)  # type: ignore[misc]
        assert embedded.count(OutboxRow) == left


def test_a_message_that_cannot_be_read_is_quarantined_and_its_batch_mates_are_handled(world: World) -> None:
    world.publish("a", "unreadable", "b")

    with running(world.worker()):
        eventually(lambda: world.handled() == ["a", "b"])

    (row,) = world.quarantined()
    assert (bytes(row.body), row.reason, row.state) == (b"unreadable", "it says so itself", "waiting")
    assert (row.queue, row.exchange, row.routing_key) == (INGEST_QUEUE.name, ALERTS, "alert.test")
    assert row.message_id == "unreadable"
    assert world.left_over() == []


@pytest.mark.parametrize(
    ("body", "reason"), [("rule", "it breaks a rule"), ("bug", "could not be handled: ZeroDivisionError")]
)
def test_a_message_that_always_fails_is_quarantined_alone(world: World, body: str, reason: str) -> None:
    world.publish("a", "b", body, "c", "d")

    with running(world.worker()):
        eventually(lambda: world.handled() == ["a", "b", "c", "d"])

    (row,) = world.quarantined()
    assert (bytes(row.body), row.reason) == (body.encode(), reason)
    assert sorted(world.emitted(4)) == ["a", "b", "c", "d"]
    assert world.left_over() == []


def test_a_quarantined_message_that_comes_again_is_quarantined_once(world: World) -> None:
    with running(world.worker()):
        world.publish("rule")
        eventually(lambda: len(world.quarantined()) == 1)
        world.publish("rule")
        world.publish("a")
        eventually(lambda: world.handled() == ["a"])

    assert len(world.quarantined()) == 1


def test_while_the_database_is_away_nothing_is_acknowledged_and_then_it_goes_on(
    durable: World, mariadb: MariaServer
) -> None:
    failed = metrics.FAILED.labels("recorder", "DatabaseUnavailable")._value
    with running(durable.worker()):
        durable.publish("a")
        eventually(lambda: durable.handled() == ["a"])
        before = failed.get()
        mariadb.kill()
        durable.publish("b")
        eventually(lambda: failed.get() >= before + 2)

        mariadb.start()

        eventually(lambda: durable.handled() == ["a", "b"])
    assert sorted(durable.emitted(2)) == ["a", "b"]
    assert durable.quarantined() == []
    assert durable.left_over() == []


def test_told_to_stop_while_the_database_is_away_it_leaves_the_message_at_the_broker(
    durable: World, mariadb: MariaServer
) -> None:
    failed = metrics.FAILED.labels("recorder", "DatabaseUnavailable")._value
    before = failed.get()
    mariadb.kill()
    try:
        with running(durable.worker()):
            durable.publish("a")
            eventually(lambda: failed.get() >= before + 2)
    finally:
        mariadb.start()

    (delivery,) = durable.left_over()
    assert (delivery.body, delivery.redelivered) == (b"a", True)
    assert durable.handled() == []


def test_while_the_broker_is_away_the_outbox_keeps_what_was_decided_and_publishes_it_later(world: World) -> None:
    world.publish("a")
    world.bus.before_publish = raising(BusUnavailable("away"))
    with running(world.worker()):
        eventually(lambda: world.handled() == ["a"])
        assert world.count(OutboxRow) == 1
        world.bus.before_publish = lambda: None

        assert world.emitted(1) == ["a"]
        if world.bus.durable:
            eventually(lambda: world.count(OutboxRow) == 0)
    assert world.left_over() == []


def test_stop_lets_the_batch_in_hand_finish(world: World) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert go_on.wait(20)

    world.handler.before = wait
    worker = world.worker()
    thread = threading.Thread(target=worker.run)
    thread.start()
    world.publish("a")
    assert inside.wait(10)

    worker.stop()
    go_on.set()
    thread.join(20)

    assert not thread.is_alive()
    assert world.handled() == ["a"]
    assert world.emitted(1) == ["a"]
    assert world.left_over() == []
    if world.bus.durable:
        assert world.count(OutboxRow) == 0, "what was published is forgotten before the end"


def test_messages_without_an_id_are_told_apart_by_their_redelivery(world: World) -> None:
    def kill_after_both() -> None:
        if sum(map(len, world.handler.batches)) == 2:
            raise Killed

    world.publish("same", "same", message_id=None)
    world.bus.before_ack = kill_after_both
    with pytest.raises(Killed):
        world.worker().run()
    world.bus.before_ack = lambda: None

    with running(world.worker()):
        world.publish("end", message_id=None)
        eventually(lambda: "end" in world.handled())

    assert world.handled() == ["same", "same", "end"]


def test_ticks_come_round_by_themselves_and_may_emit(world: World) -> None:
    def tick(work: UnitOfWork) -> None:
        work.emit(LookUpPerson(handle="tick"))

    with running(world.worker(Tick("test", 0.05, tick))):
        eventually(lambda: world.bus.depths([CHAT_GATEWAY_QUEUE.name])[CHAT_GATEWAY_QUEUE.name] >= 2)


def test_messages_that_wait_go_before_what_yields_to_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    if world.bus.durable:
        monkeypatch.setattr("common.worker.CATCH_UP", 5.0)
    before: list[int] = []

    def deadline(_: UnitOfWork) -> None:
        before.append(sum(map(len, world.handler.batches)))

    world.publish(*(str(number) for number in range(2 * BATCH + 10)))
    with running(world.worker(Tick("deadline", 60.0, deadline, yields=30.0))):
        eventually(lambda: before)
    assert before == [2 * BATCH + 10]


def test_in_an_endless_storm_what_yields_gets_its_turn_nevertheless(embedded: World) -> None:
    came = threading.Event()
    storm = iter(range(10**6))

    def more() -> None:
        embedded.publish(*(str(next(storm)) for _ in range(BATCH)))

    embedded.handler.before = more
    more()
    more()
    with running(embedded.worker(Tick("deadline", 60.0, lambda _: came.set(), yields=0.5))):
        assert came.wait(20)


def test_what_the_record_cannot_take_for_long_is_given_back_and_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.worker.HOLD_SECONDS", 0.3)
    away, given_back = threading.Event(), threading.Event()
    away.set()

    def fail() -> None:
        if away.is_set():
            raise DatabaseUnavailable("away")

    def lets_go(worker: Worker[str], consumer: Any) -> None:
        away.clear()
        given_back.set()
        original(worker, consumer)

    original = Worker._give_back
    monkeypatch.setattr(Worker, "_give_back", lets_go)
    world.handler.before = fail
    world.publish("a", "b")
    with running(world.worker()):
        assert given_back.wait(10)
        eventually(lambda: world.handled() == ["a", "b"])
    assert world.bus.depths([INGEST_QUEUE.name]) == {INGEST_QUEUE.name: 0}


def test_what_yields_does_not_keep_the_worker_busy_while_the_broker_is_away(
    embedded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []

    def away() -> str:
        looks.append(None)
        return "away"

    monkeypatch.setattr("common.worker.CATCH_UP", 0.0)
    monkeypatch.setattr(embedded.bus, "problem", away)
    with running(embedded.worker(Tick("deadline", 60.0, lambda _: None, yields=30.0))):
        time.sleep(1)
    assert 1 < len(looks) < 50


def losing_the_answer_of_a_commit(world: World, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let the first batch's commit succeed and its answer be lost; returns what is set then."""
    commit, lost = world.engine.dialect.do_commit, threading.Event()

    def lose_the_answer(connection: Any) -> None:
        commit(connection)
        if not lost.is_set() and world.handler.batches:
            lost.set()
            raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")

    monkeypatch.setattr(world.engine.dialect, "do_commit", lose_the_answer)
    return lost


def test_a_commit_whose_answer_was_lost_is_published_by_the_sweep(
    durable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = losing_the_answer_of_a_commit(durable, monkeypatch)
    monkeypatch.setattr("common.worker.SWEEP_EVERY", 0.1)
    durable.publish("a")
    worker = durable.worker()
    with running(worker):
        assert lost.wait(30)
        durable.clock.advance(timedelta(seconds=30))
        assert durable.emitted(1) == ["a"]
    assert durable.handled() == ["a"]
    assert durable.left_over() == []


def test_a_tick_that_fails_stops_nothing(world: World) -> None:
    tried = threading.Event()

    def fail(_: UnitOfWork) -> None:
        tried.set()
        raise ZeroDivisionError

    with running(world.worker(Tick("test", 0.05, fail))):
        assert tried.wait(10)
        world.publish("a")
        eventually(lambda: world.handled() == ["a"])


def handled_before(world: World, message_id: str, days: int, consumer: str = "recorder") -> None:
    with world.engine.begin() as connection:
        at = world.clock.now() - timedelta(days=days)
        connection.execute(insert(InboxRow).values(consumer=consumer, message_id=message_id, handled_at=at))


def test_the_inbox_forgets_what_is_a_week_old(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.worker.PRUNE_EVERY", 0.1)
    handled_before(world, "8 days", 8)
    handled_before(world, "6 days", 6)

    with running(world.worker()):
        eventually(lambda: world.count(InboxRow) == 1)


def test_the_inbox_forgets_much_in_portions_and_nothing_of_another_service(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.inbox.PRUNED_AT_ONCE", 2)
    for number in range(7):
        handled_before(world, f"old {number}", 8)
        handled_before(world, f"old {number}", 8, "another")
    worker = world.worker()

    worker._prune()

    assert world.count(InboxRow) == 12
    assert worker._pruning.every < 1, "the next portion is due soon"
    for _ in range(3):
        worker._prune()
    assert world.count(InboxRow) == 7
    assert worker._pruning.every > 1


def test_after_a_start_what_comes_again_is_recognised_before_the_inbox_forgets_it(world: World) -> None:
    """After an outage of more than a week, say."""
    handled_before(world, "a", 8)
    world.publish("a", "b")

    with running(world.worker()):
        eventually(lambda: world.handled() == ["b"])


def test_ids_that_a_database_cannot_keep_or_tell_apart_are_told_apart(world: World) -> None:
    ids = ["m", "m ", "m  ", "l" * 255, "l" * 256, "l" * 257]
    deliveries = [delivery(str(number), message_id) for number, message_id in enumerate(ids)]
    worker = world.worker()

    worker._settle(deliveries)
    worker._settle([replace(one, redelivered=True) for one in deliveries])

    assert world.handled() == ["0", "1", "2", "3", "4", "5"]


def test_a_replica_that_quarantines_the_same_message_at_the_same_time_harms_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look finds nothing, and before the row is written the other replica has written it."""
    looks: list[None] = []
    worker = world.worker()
    only_quarantine = worker._only_quarantine

    def late(work: UnitOfWork, delivery: Delivery, reason: str) -> None:
        looks.append(None)
        if len(looks) == 1:
            raise IntegrityError("INSERT", {}, Exception("there already"))
        only_quarantine(work, delivery, reason)

    monkeypatch.setattr(worker, "_only_quarantine", late)

    worker._settle([delivery("rule", "id")])

    assert (len(looks), len(world.quarantined())) == (2, 1)


def test_a_message_without_an_id_whose_commits_answer_was_lost_is_handled_once(
    durable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes from the broker once only, so nothing but the second try says that it may have been handled."""
    lost = losing_the_answer_of_a_commit(durable, monkeypatch)
    durable.publish("a", message_id=None)
    with running(durable.worker()):
        assert lost.wait(30)
        durable.publish("b", message_id=None)
        eventually(lambda: "b" in durable.handled())
    assert durable.handled() == ["a", "b"]
    assert durable.left_over() == []


def test_what_headers_hold_hinders_neither_their_message_nor_those_behind_it(
    durable: World, amqp_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach_pika_raw_values(monkeypatch)
    bad = [timestamp(2**63), *(deep(levels, kind) for kind in ("table", "array") for levels in (250, 950, 5_000))]
    with admin(amqp_url) as channel:
        for number, value in enumerate(bad):
            for body in (str(number), f"unreadable {number}"):
                properties = pika.BasicProperties(message_id=body, headers={"bad": value})
                channel.basic_publish("", INGEST_QUEUE.name, body.encode(), properties)
    durable.publish("good")

    with running(durable.worker()):
        eventually(lambda: "good" in durable.handled())

    assert durable.handled() == ["0", "1", "2", "3", "4", "5", "6", "good"]
    assert len(durable.quarantined()) == 7
    assert durable.quarantined()[0].headers == {"undecodable": True}
    assert durable.left_over() == []


def test_a_header_too_deep_to_be_shown_is_quarantined_with_its_message(embedded: World) -> None:
    nested: list[Any] = []
    for _ in range(5_000):
        nested = [nested]
    headers = {"deep": nested, "owner": "U1"}

    embedded.worker()._settle([replace(delivery("unreadable", "id"), headers=headers)])

    (row,) = embedded.quarantined()
    assert row.headers == {"deep": "nested too deeply to be shown", "owner": "U1"}


def test_after_an_outage_what_waits_is_published_in_portions_in_its_order(
    embedded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.transactions.PUBLISHED_AT_ONCE", 2)
    transactions = embedded.transactions()
    embedded.bus.before_publish = raising(BusUnavailable("away"))
    for number in range(7):
        transactions.run(lambda work, n=number: work.emit(LookUpPerson(handle=str(n))))  # type: ignore[misc]
    calls: list[None] = []

    def away_again_at_the_second() -> None:
        calls.append(None)
        if len(calls) == 2:
            raise BusUnavailable("away again")

    embedded.bus.before_publish = away_again_at_the_second
    transactions.republish()
    assert len(calls) == 2, "nothing is tried after a failure"

    transactions.republish()

    assert len(calls) == 2 + 3
    assert embedded.emitted(7) == ["0", "1", "2", "3", "4", "5", "6"]
    assert not transactions.has_unpublished()


def test_the_sweep_leaves_alone_what_this_process_is_about_to_publish(durable: World) -> None:
    transactions = durable.transactions()
    durable.bus.before_publish = raising(BusUnavailable("away"))
    transactions.run(lambda work: work.emit(LookUpPerson(handle="own")))
    with durable.engine.begin() as connection:
        foreign = Publication(EVENTS, "LookUpPerson", LookUpPerson(handle="left").model_dump_json().encode(), "left")
        connection.execute(insert(OutboxRow).values(**outbox_values("0", foreign, durable.clock.now())))
    durable.bus.before_publish = lambda: None
    durable.clock.advance(timedelta(seconds=1))

    assert transactions.sweep(timedelta(0)) == 1

    assert durable.emitted(1) == ["left"]
    assert durable.count(OutboxRow) == 1
