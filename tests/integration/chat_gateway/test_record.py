"""The rows, on SQLite and MariaDB: who has claimed them, and how they ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine, select

from common import codec
from common.bus.embedded import KombuBus
from common.messages import DELIVERED_LATE, Envelope, LookUpPerson
from common.records.tables import ChatDeliveryRow, OutboxRow, PersonRow
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.chat_gateway.deliveries import LEASE, Deliveries
from services.chat_gateway.directory import Directory, store
from services.chat_gateway.jobs import Job, Outcome, job_of
from services.chat_gateway.local import LocalChat
from services.chat_gateway.port import ChatUnavailable, Person, Posted
from tests.fakes.clock import FakeClock
from tests.integration.chat_gateway.conftest import a_send

T = TypeVar("T")
ALICE = Person("U1", "alice", "alice@example.com", "Alice", "Europe/Berlin", "en-US", active=True)


class Record:
    """The record, with a clock that is moved by hand."""

    def __init__(self, engine: Engine, bus: KombuBus) -> None:
        self.clock = FakeClock()
        self.engine = engine
        self.transactions = Transactions(engine, bus, self.clock, "test")

    def run(self, action: Callable[[UnitOfWork], T]) -> T:
        return self.transactions.run(action)

    def job(self, name: str, person: str = "U1", sequence: int = 1, *, notify: bool = False) -> Job:
        return job_of(Envelope(name, a_send(person, name, sequence, notify=notify), person, "hash"), self.clock.now())

    def add(self, who: Deliveries, *jobs: Job, most: int = 100) -> list[str]:
        return [job.message_id for job in self.run(lambda work: who.add(work, jobs, most, {job.lane for job in jobs}))]

    def take_over(self, who: Deliveries, most: int = 100) -> list[Job]:
        return self.run(lambda work: who.take_over(work, most))

    def rows(self) -> dict[str, Any]:
        with self.engine.connect() as connection:
            rows = connection.execute(select(ChatDeliveryRow.__table__)).all()
        return {row.message_id: row for row in rows}


@pytest.fixture
def record(engine: Engine, memory_bus: KombuBus) -> Record:
    return Record(engine, memory_bus)


@pytest.fixture
def one() -> Deliveries:
    return Deliveries("one")


@pytest.fixture
def two() -> Deliveries:
    return Deliveries("two")


def test_a_row_keeps_all_that_a_job_is(record: Record, one: Deliveries, two: Deliveries) -> None:
    job = record.job("m1", notify=True)
    assert record.add(one, job) == ["m1"]
    record.clock.advance(LEASE + timedelta(seconds=1))
    [again] = record.take_over(two)
    assert again.content == job.content
    assert (again.lane, again.sequence, again.notify, again.kind) == ("U1", 1, True, "send")
    assert again.find_first
    assert record.rows()["m1"].claimed_by == "two"


def test_a_claim_that_holds_is_left_alone(record: Record, one: Deliveries, two: Deliveries) -> None:
    record.add(one, record.job("m1"))
    record.clock.advance(LEASE)
    assert record.take_over(two) == []


def test_a_renewed_claim_holds_longer_and_a_forgotten_one_does_not(
    record: Record, one: Deliveries, two: Deliveries
) -> None:
    record.add(one, record.job("m1"), record.job("forgotten", "U2"))
    record.clock.advance(timedelta(seconds=6))
    until = record.run(lambda work: one.renew(work, lambda ids: [name for name in ids if name == "m1"]))
    assert until > record.clock.now() + timedelta(seconds=6)
    record.clock.advance(timedelta(seconds=5))
    assert [job.message_id for job in record.take_over(two)] == ["forgotten"]


def test_behind_another_processs_row_a_new_one_is_nobodys(record: Record, one: Deliveries, two: Deliveries) -> None:
    record.add(one, record.job("m1"))
    assert record.add(two, record.job("m2", sequence=2), record.job("b1", "U2")) == ["b1"]
    assert record.rows()["m2"].claimed_by is None
    assert record.take_over(two) == []
    record.run(lambda work: one.complete(work, [Outcome(record.job("m1"), work.now, Posted("D1", "1.0"))]))
    [job] = record.take_over(two)
    assert (job.message_id, job.find_first) == ("m2", False)


def test_what_is_more_than_fits_waits_in_its_order(record: Record, one: Deliveries) -> None:
    jobs = [record.job(f"m{sequence}", sequence=sequence) for sequence in range(1, 5)]
    assert record.add(one, *jobs, most=2) == ["m1", "m2"]
    assert record.add(one, record.job("m5", sequence=5)) == [], "it may not overtake what waits"
    assert [job.message_id for job in record.take_over(one, most=2)] == ["m3", "m4"]


def test_what_waits_for_another_process_does_not_stand_before_others(
    record: Record, one: Deliveries, two: Deliveries
) -> None:
    flood = [record.job(f"m{sequence}", sequence=sequence) for sequence in range(1, 5)]
    record.add(one, *flood, most=1)
    record.clock.advance(timedelta(seconds=1))
    record.add(one, record.job("b1", "U2"), most=0)
    assert [job.message_id for job in record.take_over(two, most=2)] == ["b1"]
    assert [job.message_id for job in record.take_over(one, most=2)] == ["m2", "m3"], "it may go on with its own"


def test_released_rows_go_on_at_once(record: Record, one: Deliveries, two: Deliveries) -> None:
    untouched, uncertain = record.job("m1"), record.job("b1", "U2")
    record.add(one, untouched, uncertain, record.job("c1", "U3"))
    uncertain.find_first = True
    record.run(lambda work: one.release(work, [untouched, uncertain]))
    assert {job.message_id: job.find_first for job in record.take_over(two)} == {"m1": False, "b1": True}


def test_a_released_row_is_not_looked_for_while_its_call_may_still_be_carried_out(
    record: Record, one: Deliveries, two: Deliveries
) -> None:
    job, settled = record.job("m1"), record.job("b1", "U2")
    record.add(one, job, settled)
    job.find_first = settled.find_first = True
    job.settles_at = record.clock.now() + timedelta(seconds=5)
    record.run(lambda work: one.release(work, [job, settled]))
    assert [job.message_id for job in record.take_over(two)] == ["b1"]
    record.clock.advance(timedelta(seconds=5))
    assert record.take_over(two) == []
    record.clock.advance(timedelta(seconds=1))
    assert [(job.message_id, job.find_first) for job in record.take_over(two)] == [("m1", True)]


def test_how_a_call_ended_is_written_and_a_failure_or_late_delivery_told_once(record: Record, one: Deliveries) -> None:
    sent, failed, quiet = record.job("m1", notify=True), record.job("b1", "U2"), record.job("c1", "U3")
    record.add(one, sent, failed, quiet)
    record.clock.advance(DELIVERED_LATE + timedelta(seconds=1))
    outcomes = [
        Outcome(sent, record.clock.now(), Posted("D1", "1.0")),
        Outcome(failed, record.clock.now(), error="user_disabled"),
        Outcome(quiet, record.clock.now(), Posted("D3", "3.0")),
    ]
    for _ in range(2):
        record.run(lambda work: one.complete(work, outcomes))
    rows = record.rows()
    assert {name: (row.state, row.posted_as, row.error) for name, row in rows.items()} == {
        "m1": ("sent", "1.0", None),
        "b1": ("failed", None, "user_disabled"),
        "c1": ("sent", "3.0", None),
    }
    with record.engine.connect() as connection:
        told = connection.execute(select(OutboxRow.message_id, OutboxRow.type)).all()
    assert {row.type for row in told} == {"ChatMessageDelivered", "ChatMessageUndeliverable"}
    assert len({row.message_id for row in told}) == 2


def test_the_last_sequence_that_is_done_is_known(record: Record, one: Deliveries) -> None:
    jobs = [record.job(f"m{sequence}", sequence=sequence) for sequence in (1, 2, 3)]
    record.add(one, *jobs)
    record.run(lambda work: one.complete(work, [Outcome(job, work.now, Posted("D1", "1")) for job in jobs[:2]]))
    assert record.run(lambda work: one.finished(work, {"U1", "U2"})) == {"U1": 2, "U2": 0}


def test_a_look_up_is_kept_as_a_row(record: Record, one: Deliveries, two: Deliveries) -> None:
    envelope = Envelope("l1", LookUpPerson(handle="x" * 255), None, None)
    record.add(one, job_of(envelope, record.clock.now()))
    record.clock.advance(LEASE * 2)
    [job] = record.take_over(two)
    assert (job.kind, job.handle, job.content) == ("look_up", "x" * 255, None)


def test_a_look_up_that_failed_is_not_told_as_nobody(record: Record, one: Deliveries) -> None:
    job = job_of(Envelope("l1", LookUpPerson(handle="alice"), None, None), record.clock.now())
    record.add(one, job)
    record.run(lambda work: one.complete(work, [Outcome(job, work.now, error="unavailable")]))
    with record.engine.connect() as connection:
        body = connection.execute(select(OutboxRow.body)).scalar_one()
    assert json.loads(body) == {"handle": "alice", "error": "unavailable"}


def test_people_are_inserted_updated_and_left(record: Record) -> None:
    bob = Person("U2", "bob", None, "Bob", None, None, active=True)
    record.run(lambda work: store(work, [ALICE, bob]))
    record.clock.advance(timedelta(hours=1))
    left = Person("U2", "bob", None, "Bob", None, None, active=False)
    record.run(lambda work: store(work, [ALICE, left]))
    with record.engine.connect() as connection:
        rows = {row.chat_id: row for row in connection.execute(select(PersonRow.__table__)).all()}
    assert rows["U2"].active is False
    assert rows["U2"].updated_at - rows["U1"].updated_at == timedelta(hours=1)


class GrowingChat(LocalChat):
    """A directory to which somebody is added later, and which only knows user names by reading all of it."""

    def __init__(self) -> None:
        self.people = [ALICE]
        self.readings = 0

    def directory(self) -> Any:
        self.readings += 1
        return iter(list(self.people))

    def look_up(self, handle: str) -> None:
        del handle


def test_a_newcomers_user_name_is_found_once_the_last_reading_is_older_than_ten_seconds(record: Record) -> None:
    chat = GrowingChat()
    directory = Directory(chat, record.transactions, record.clock)
    directory.refresh()
    bob = Person("U2", "bob", None, "Bob", None, None, active=True)
    chat.people.append(bob)
    record.clock.advance(timedelta(seconds=9))
    assert directory.look_up("bob", record.clock.now()) is None
    record.clock.advance(timedelta(seconds=1))
    assert directory.look_up("bob", record.clock.now()) == bob
    assert chat.readings == 2


def test_a_reading_that_began_after_the_question_is_new_enough_however_long_it_took(record: Record) -> None:
    chat = GrowingChat()
    directory = Directory(chat, record.transactions, record.clock)
    asked_at = record.clock.now()
    directory.refresh()
    record.clock.advance(timedelta(minutes=5))
    assert directory.look_up("bob", asked_at) is None
    assert chat.readings == 1


def test_what_is_told_while_the_directory_is_read_is_newer_than_what_was_read(record: Record) -> None:
    left = replace(ALICE, active=False)

    class LongChat(GrowingChat):
        def directory(self) -> Any:
            yield from self.people
            record.clock.advance(timedelta(seconds=30))  # Slack asks to wait before the next page
            directory.keep([left])

    directory = Directory(LongChat(), record.transactions, record.clock)
    directory.refresh()
    with record.engine.connect() as connection:
        assert connection.scalars(select(PersonRow.active)).all() == [False]


def test_nobody_waits_while_another_thread_reads_the_directory(record: Record) -> None:
    began, goes_on = threading.Event(), threading.Event()

    class SlowChat(GrowingChat):
        def directory(self) -> Any:
            began.set()
            assert goes_on.wait(10)
            return super().directory()

    directory = Directory(SlowChat(), record.transactions, record.clock)
    reader = threading.Thread(target=directory.refresh)
    reader.start()
    assert began.wait(10)
    with pytest.raises(ChatUnavailable, match="being read"):
        directory.look_up("alice", record.clock.now())
    goes_on.set()
    reader.join(10)
    assert directory.look_up("alice", record.clock.now()) == ALICE


def test_a_user_name_that_two_share_is_nobodys(record: Record) -> None:
    chat = GrowingChat()
    chat.people.append(Person("U2", "alice", None, "Another", None, None, active=True))
    assert Directory(chat, record.transactions, record.clock).look_up("alice", record.clock.now()) is None


def test_every_message_of_the_gateway_decodes(record: Record, memory_bus: KombuBus, one: Deliveries) -> None:
    look_up = job_of(Envelope("l1", LookUpPerson(handle="nobody"), None, None), record.clock.now())
    consumer = memory_bus.consume(["securitybot.dispatcher"], prefetch=10)
    record.run(lambda work: one.complete(work, [Outcome(look_up, work.now)]))
    [delivery] = consumer.take(10, timeout=5)
    assert codec.decode(delivery).message.model_dump() == {"handle": "nobody", "person_id": None, "error": None}
    consumer.close()
