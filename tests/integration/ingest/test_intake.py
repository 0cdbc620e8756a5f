"""The intake with a real record: what ends up in it, and what is handed over."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from common.bus.embedded import KombuBus
from common.bus.port import Delivery, Publication
from common.bus.rabbitmq import RabbitBus
from common.codec import decode
from common.ids import derived_id, new_id
from common.messages import AlertAccepted
from common.quarantine import MOST_KEPT, quarantine
from common.records.tables import AlertRow, HistoryRow, InboxRow, OutboxRow, QuarantineRow
from common.service import Process, Runtime
from common.settings import Settings
from common.topology import ALERTS, DISPATCHER_QUEUE, INGEST_QUEUE, TOPOLOGY
from common.transactions import Transactions
from common.worker import BATCH, Received, Worker
from services.ingest.dead_letters import DeadLetterHandler, death_key
from services.ingest.handlers import IntakeHandler, intake_key
from services.ingest.wiring import build
from tests.fakes.clock import FakeClock
from tests.waiting import eventually

VALID = {"owner": "alice", "title": "sudo", "description": "You ran sudo on db-7", "event_time": "2026-03-03T12:00:00Z"}


class Intake:
    """The handler in real transactions, without threads."""

    def __init__(self, engine: Engine, bus: KombuBus) -> None:
        self.engine = engine
        self.clock = FakeClock()
        self.handler = IntakeHandler(self.clock)
        self._transactions = Transactions(engine, bus, self.clock, "ingest")
        self._bus = bus

    def take(self, *values: Any) -> None:
        """Handle one batch."""
        batch = [Received(delivery, self.handler.decode(delivery)) for delivery in map(delivery_of, values)]
        self._transactions.run(lambda work: self.handler.handle(work, batch))

    def rows(self, table: Any) -> list[Any]:
        """Return a whole table, in order."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(table.__table__).order_by(table.id)).all())

    def accepted(self) -> list[AlertAccepted]:
        """Return what the dispatcher was handed."""
        consumer = self._bus.consume([DISPATCHER_QUEUE.name], prefetch=1000)
        taken = consumer.take(1000, timeout=0)
        consumer.ack(taken)
        consumer.close()
        messages = [decode(delivery) for delivery in taken]
        assert all(
            isinstance(envelope.message, AlertAccepted)
            and envelope.id == derived_id("accepted", envelope.message.alert.hash)
            and envelope.correlation_id == envelope.message.alert.hash
            and envelope.owner is None
            for envelope in messages
        )
        return [envelope.message for envelope in messages if isinstance(envelope.message, AlertAccepted)]


def delivery_of(value: Any) -> Delivery:
    return Delivery(
        queue=INGEST_QUEUE.name, exchange=ALERTS, routing_key="alert.osquery", body=json.dumps(value).encode(),
        message_id=new_id(), type=None, correlation_id=None, headers={}, content_type=None, redelivered=False, tag=None,
    )  # fmt: skip


@pytest.fixture
def intake(engine: Engine, memory_bus: KombuBus) -> Intake:
    return Intake(engine, memory_bus)


def test_a_new_alert_is_stored_open_and_handed_over_once(intake: Intake) -> None:
    intake.take(VALID | {"reason": "r", "context": {"pid": 1}, "severity": "high"})
    (row,) = intake.rows(AlertRow)
    assert (row.owner, row.title, row.source, row.severity) == ("alice", "sudo", "osquery", "high")
    assert (row.status, row.occurrences, row.context, row.reason) == ("open", 1, {"pid": 1}, "r")
    assert row.received_at == row.last_seen_at == intake.clock.now()
    (accepted,) = intake.accepted()
    assert accepted.alert.hash == row.hash
    (note,) = intake.rows(HistoryRow)
    assert (note.actor, note.action, note.alert_hash) == ("ingest", "received", row.hash)


def test_the_same_alert_again_is_counted_and_not_handed_over(intake: Intake) -> None:
    intake.take(VALID)
    intake.accepted()
    intake.clock.advance(timedelta(minutes=1))
    intake.take(VALID, VALID)
    (row,) = intake.rows(AlertRow)
    assert (row.occurrences, row.last_seen_at) == (3, intake.clock.now())
    assert row.received_at < row.last_seen_at
    assert intake.accepted() == []
    assert [(note.action, note.detail.get("times")) for note in intake.rows(HistoryRow)][1:] == [("occurrence", 2)]


def test_the_same_alert_twice_in_one_batch_is_one_row_seen_twice(intake: Intake) -> None:
    intake.take(VALID, VALID, VALID | {"title": "other"})
    assert sorted((row.title, row.occurrences) for row in intake.rows(AlertRow)) == [("other", 1), ("sudo", 2)]
    assert len(intake.accepted()) == 2


def test_a_hash_of_another_alert_is_refused_and_the_rest_of_the_batch_is_taken(intake: Intake) -> None:
    digest = {"hash": "c" * 64}
    intake.take(VALID | digest, VALID | digest | {"owner": "mallory"}, VALID | {"title": "third"})
    intake.take(VALID | digest | {"title": "later"})
    assert [row.owner for row in intake.rows(AlertRow)] == ["alice", "alice"]
    assert len(intake.accepted()) == 2
    reasons = [(row.reason, json.loads(row.body)["title"], row.state) for row in intake.rows(QuarantineRow)]
    assert [(title, state) for _, title, state in reasons] == [("sudo", "waiting"), ("later", "waiting")]
    assert "owner differ" in reasons[0][0]
    assert "title differ" in reasons[1][0]


def test_a_batch_costs_few_statements_however_many_alerts_are_in_it(
    intake: Intake, request: pytest.FixtureRequest
) -> None:
    statements: list[str] = []
    intake.take(*(VALID | {"title": f"known {number}"} for number in range(40)))
    event.listen(intake.engine, "before_cursor_execute", lambda _c, _k, statement, *_: statements.append(statement))
    intake.take(
        *(VALID | {"title": f"known {number}"} for number in range(40)),
        *(VALID | {"title": f"new {number}"} for number in range(60)),
    )
    written = [statement for statement in statements if not statement.startswith("BEGIN")]
    apart = 5 if intake.engine.dialect.name == "sqlite" else 3  # a server gets all that is inserted at once
    assert len(written) == apart, written


@contextmanager
def working(engine: Engine, bus: KombuBus, clock: FakeClock) -> Iterator[None]:
    """The worker itself, in a thread."""
    transactions = Transactions(engine, bus, clock, "ingest")
    worker = Worker(IntakeHandler(clock), bus, transactions, key=lambda one: intake_key(one, clock.now().date()))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()


@pytest.fixture
def running(sqlite_engine: Engine, memory_bus: KombuBus) -> Iterator[None]:
    with working(sqlite_engine, memory_bus, FakeClock()):
        yield


def count(engine: Engine, table: Any) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def test_bad_messages_go_to_the_quarantine_as_they_came_and_stop_nobody(
    running: None, sqlite_engine: Engine, memory_bus: KombuBus
) -> None:
    bodies = [b"\xff\x00", b"[" * 5000, json.dumps({"owner": "a"}).encode(), json.dumps(VALID).encode()]
    memory_bus.publish([Publication(ALERTS, "alert.x", body, new_id()) for body in bodies])
    eventually(lambda: count(sqlite_engine, QuarantineRow) == 3 and count(sqlite_engine, AlertRow) == 1)
    with sqlite_engine.connect() as connection:
        rows = connection.execute(select(QuarantineRow.__table__).order_by(QuarantineRow.id)).all()
    assert [row.body for row in rows] == bodies[:3]
    assert ["not UTF-8" in rows[0].reason, "nested" in rows[1].reason, "title: missing" in rows[2].reason] == [True] * 3


def test_the_same_words_without_an_id_are_a_new_alert_the_day_after_even_redelivered(
    sqlite_engine: Engine, memory_bus: KombuBus
) -> None:
    clock = FakeClock()
    body = json.dumps({name: VALID[name] for name in ("owner", "title", "description")}).encode()
    memory_bus.publish([Publication(ALERTS, "alert.x", body, "")])
    with working(sqlite_engine, memory_bus, clock):
        eventually(lambda: count(sqlite_engine, AlertRow) == 1)
    clock.advance(timedelta(days=1))
    memory_bus.publish([Publication(ALERTS, "alert.x", body, "")])
    stopped = memory_bus.consume([INGEST_QUEUE.name], prefetch=10)
    assert len(stopped.take(10, timeout=1)) == 1
    stopped.close()
    with working(sqlite_engine, memory_bus, clock):
        eventually(lambda: count(sqlite_engine, AlertRow) == 2)


def test_an_id_that_a_publisher_uses_twice_hides_no_other_message(
    running: None, sqlite_engine: Engine, memory_bus: KombuBus
) -> None:
    bodies = [json.dumps(VALID | {"title": title}).encode() for title in ("a", "b", "a")]
    memory_bus.publish([Publication(ALERTS, "alert.x", body, "same") for body in [*bodies, b"garbage"]])
    eventually(lambda: count(sqlite_engine, QuarantineRow) == 1)
    with sqlite_engine.connect() as connection:
        rows = connection.execute(select(AlertRow.title, AlertRow.occurrences).order_by(AlertRow.title)).all()
    assert [tuple(row) for row in rows] == [("a", 1), ("b", 1)], "the very same message again is a redelivery"


@pytest.mark.parametrize("size", [MOST_KEPT, 9 * 1024**2, 20 * 1024**2])
def test_a_body_of_any_size_is_quarantined(engine: Engine, memory_bus: KombuBus, size: int) -> None:
    body = b"\xfe" * size
    delivery = replace(delivery_of(VALID), body=body, message_id="x" * 300, type="y" * 300, correlation_id="z" * 300)
    transactions = Transactions(engine, memory_bus, FakeClock(), "ingest")
    transactions.run(lambda work: quarantine(work, delivery, "body: too large", "ingest"))
    with engine.connect() as connection:
        row = connection.execute(select(QuarantineRow.__table__)).one()
    assert row.body == body[:MOST_KEPT]
    whole = row.reason == "body: too large"
    assert whole is (size == MOST_KEPT)
    assert whole or f"of {size} bytes, whose SHA-256 is {hashlib.sha256(body).hexdigest()}" in row.reason


def test_an_alert_alone_is_stored_without_a_look_and_its_repetition_is_counted(
    running: None, sqlite_engine: Engine, memory_bus: KombuBus
) -> None:
    looks: list[str] = []

    def watch(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT alerts.hash"):
            looks.append(statement)

    def occurrences() -> list[int]:
        with sqlite_engine.connect() as connection:
            return list(connection.scalars(select(AlertRow.occurrences)))

    event.listen(sqlite_engine, "before_cursor_execute", watch)
    for times in (1, 2):
        memory_bus.publish([Publication(ALERTS, "alert.x", json.dumps(VALID).encode(), new_id())])
        eventually(lambda times=times: occurrences() == [times])  # type: ignore[misc]
        assert len(looks) == times - 1
    assert count(sqlite_engine, QuarantineRow) == 0


def test_more_than_a_batch_of_alerts_arrives_whole(running: None, sqlite_engine: Engine, memory_bus: KombuBus) -> None:
    many = BATCH * 2 + 7
    bodies = [json.dumps(VALID | {"title": f"t{number}"}).encode() for number in range(many)]
    memory_bus.publish([Publication(ALERTS, "alert.x", body, new_id()) for body in bodies])
    eventually(lambda: count(sqlite_engine, AlertRow) == many)
    assert count(sqlite_engine, InboxRow) == many


def test_a_dead_letter_waits_in_the_quarantine_with_its_first_address(
    sqlite_engine: Engine, memory_bus: KombuBus
) -> None:
    handler = DeadLetterHandler()
    headers = {"x-death": [{"queue": INGEST_QUEUE.name, "reason": "delivery_limit", "exchange": ALERTS}]}
    dead = replace(delivery_of(VALID), headers=headers, exchange="dead")
    transactions = Transactions(sqlite_engine, memory_bus, FakeClock(), "dead-letters")
    transactions.run(lambda work: handler.handle(work, [Received(dead, handler.decode(dead))]))
    with sqlite_engine.connect() as connection:
        row = connection.execute(select(QuarantineRow.__table__)).one()
    assert (row.exchange, row.routing_key, row.queue) == (ALERTS, "alert.osquery", INGEST_QUEUE.name)
    assert row.reason.startswith("dead-lettered: delivery_limit")
    assert death_key(dead, FakeClock().now().date()) != dead.message_id


def test_the_service_runs_with_its_workers_and_routes(sqlite_engine: Engine, memory_bus: KombuBus) -> None:
    service = build(Runtime(Settings(), memory_bus, sqlite_engine))
    assert service.name == "ingest"
    assert [runnable.name for runnable in service.runnables] == ["ingest", "dead-letters"]
    assert [getattr(route, "path", "") for route in service.routes] == ["/v1/alerts", "/v1/alerts/{source}"]


def test_an_alert_through_rabbitmq_and_the_whole_process(amqp_url: str, sqlite_engine: Engine) -> None:
    bus = RabbitBus(amqp_url)
    bus.declare(TOPOLOGY)
    process = Process(Runtime(Settings(http_port=0), bus, sqlite_engine), [build])
    try:
        assert process.start()
        bus.publish([Publication(ALERTS, "alert.x", json.dumps(VALID).encode(), new_id())])
        eventually(lambda: bus.depths([DISPATCHER_QUEUE.name])[DISPATCHER_QUEUE.name] == 1)
    finally:
        process.stop()
    assert count(sqlite_engine, AlertRow) == 1
    assert count(sqlite_engine, OutboxRow) == 0
