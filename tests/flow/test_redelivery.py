"""Every message twice, late and out of order: the same end, and nobody hears or is asked anything twice."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection

from common.bus.embedded import KombuBus
from common.bus.port import Publication
from common.messages import AuthResult
from common.records.schema import SCHEMA
from common.records.tables import BlacklistRow, IgnoredRow, OutboxRow
from tests.flow.conftest import Build
from tests.flow.town import ALICE, BOB, Town


class EchoingBus(KombuBus):
    """Delivers everything that was published once more, when `echo` is called, in any order."""

    def __init__(self, seed: int) -> None:
        super().__init__("memory://")
        self._random = random.Random(seed)
        self._new: list[Publication] = []
        self.echoed = 0

    def publish(self, publications: Sequence[Publication], timeout: float = 30.0) -> frozenset[int]:
        self._new.extend(publications)
        return super().publish(publications, timeout)

    def echo(self) -> None:
        self._random.shuffle(self._new)
        again, self._new = self._new, []
        self.echoed += len(again)
        super().publish(again)


def story(town: Town) -> None:
    """Something of everything."""
    town.chat.newcomers["erin"] = "U0ERIN"
    town.alert()
    town.alert(title="log-in", severity="high")
    town.confirms(ALICE, "patching")
    town.clicks(ALICE, "yes")
    town.clicks(ALICE, "push")
    town.phones.answer(AuthResult.TIMED_OUT)
    town.clicks(ALICE, "push")
    town.phones.answer(AuthResult.DENIED)
    town.alert()
    town.alert(owner="erin")
    town.says("U0ERIN", "no, not me")
    town.alert(owner="nobody")
    town.alert(owner="bob")
    town.says(BOB, "ignore current 1h")
    town.says(BOB, "yes")
    town.phones.answer(AuthResult.APPROVED)
    town.says(BOB, "stop")
    town.says(BOB, "yes")
    town.phones.answer(AuthResult.APPROVED)
    town.says(ALICE, "test")
    town.pass_time(timedelta(days=1))


def end(town: Town) -> object:
    """What a story leaves behind, without ids of chance."""
    outcomes = {
        e["id"]: (e["data"]["owner"], e["data"]["title"], e["data"]["resolution"], e["data"]["comment"])
        for e in town.outcomes
    }
    silences = [(row.person_id, row.until) for table in (BlacklistRow, IgnoredRow) for row in town.rows(table)]
    told = {person: town.told(person) for person in (ALICE, BOB, "U0ERIN")}
    return sorted(outcomes.values()), silences, told, sorted(town.reports()), len(town.phones.pushes)


@pytest.mark.parametrize("seed", range(3))
def test_everything_delivered_twice_ends_as_if_once(build: Build, seed: int) -> None:
    once = build()
    once.chat.slow = bool(seed % 2)
    story(once)
    bus = EchoingBus(seed)
    with once.engine.begin() as connection:  # the same record, empty again
        _empty(connection)
    twice = Town(once.engine, once.config, bus)
    twice.echo = bus.echo
    twice.chat.slow = once.chat.slow
    for chat_id, username in ((ALICE, "alice"), (BOB, "bob")):
        twice.add_person(chat_id, username)
    story(twice)
    twice.settle()
    assert bus.echoed > 60
    assert end(twice) == end(once)
    twice.check()
    twice.close()


def _empty(connection: Connection) -> None:
    for table in SCHEMA.sorted_tables:
        connection.execute(table.delete())


# --- killed in between ---------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone."""


def kill_at(town: Town, table: str) -> None:
    """Let the process be killed at its next write to `table`."""

    def watch(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.replace("`", "").startswith(f"INSERT INTO {table}"):
            event.remove(town.engine, "before_cursor_execute", watch)
            raise Killed

    event.listen(town.engine, "before_cursor_execute", watch)


def restart(town: Town) -> None:
    """Let new processes go on where killed ones left the queues and the record."""
    town.stop_services()
    town.start_services()
    town.settle()


@pytest.mark.parametrize("table", ["inbox", "history", "outbox", "conversations"])
def test_killed_in_the_middle_of_a_transaction_the_next_process_does_it_once(town: Town, table: str) -> None:
    town.ingest_away = True
    digest = town.publish()
    town.ingest_away = False
    kill_at(town, table)
    with pytest.raises(Killed):
        town.settle()
    restart(town)
    assert len(town.asked(ALICE)) == 1
    town.confirms(ALICE)
    town.outcome(digest)


def test_killed_between_commit_and_publication_nothing_is_lost(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.alert()

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(town.transactions, "_publish", dies)
        with pytest.raises(Killed):
            town.says(ALICE, "no")
    assert len(town.rows(OutboxRow)) > 0
    assert town.outcomes == []
    town.stop_services()
    town.start_services()
    town.clock.advance(timedelta(seconds=1))
    town.transactions.sweep(timedelta(0))
    town.settle()
    assert len(town.outcomes) == 1
    assert len(town.reports()) == 1
    assert "The security team knows about" in town.told(ALICE)[-1]


def test_a_restart_of_everything_asks_nobody_again(build: Build) -> None:
    before = build()
    first, second = before.alert(), before.alert(title="log-in")
    before.clicks(ALICE, "yes")
    before.clicks(ALICE, "push")
    before.bus.close()
    after = Town(before.engine, before.config, clock=before.clock)
    after.chat.remember(before.chat)
    after.transactions.sweep(timedelta(0))
    after.tick()
    after.settle()
    assert after.told(ALICE) == before.told(ALICE)
    assert after.phones.pushes == []
    after.phones.answer(AuthResult.APPROVED, push=before.phones.pushes[-1])
    assert after.row(first).resolution == "confirmed"
    assert len(after.asked(ALICE)) == 2
    assert after.row(second).status == "in_progress"
    after.check()
    after.close()
