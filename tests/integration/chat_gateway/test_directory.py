"""Who is known: at start, as people come, change and leave, and when the dispatcher asks."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from common.bus.embedded import KombuBus
from common.clock import SystemClock
from common.ids import new_id
from common.messages import LookUpPerson, PersonLookedUp
from common.records.database import create_database
from common.records.migrate import migrate
from common.records.tables import PersonRow
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.chat_gateway.directory import store
from services.chat_gateway.port import Person
from tests.integration.chat_gateway.conftest import Bench
from tests.waiting import eventually


def looked_up(bench: Bench, handle: str) -> str | None:
    bench.publish((new_id(), LookUpPerson(handle=handle)))
    [answer] = eventually(lambda: [told for told in bench.heard(PersonLookedUp) if told.handle == handle])
    person: str | None = answer.person_id
    return person


def test_everybody_is_known_before_the_service_is_ready(bench: Bench) -> None:
    people = {bench.slack.add_user(f"person{number}", f"P{number}@Example.com") for number in range(450)}
    bench.start()
    known = bench.people()
    assert people <= set(known)
    assert known[min(people)].email == "p0@example.com"
    assert len(bench.slack.requests("users.list")) == 3


def test_bots_and_who_has_left_are_known_as_not_active(bench: Bench) -> None:
    left = bench.slack.add_user("left", deleted=True)
    bench.start()
    assert [row.active for row in bench.people().values()] == [False, False]
    assert left in bench.people()


def test_the_service_is_not_ready_while_slack_refuses_the_token(bench: Bench) -> None:
    bench.slack.fail_next("auth.test", "refuse", error="invalid_auth")
    chat = bench.chat()
    assert chat.check() == "auth.test: invalid_auth"
    assert chat.check() is None


def test_a_directory_that_cannot_be_read_is_tried_again(bench: Bench, alice: str) -> None:
    bench.slack.fail_next("users.list", "500")
    bench.start()
    assert alice in bench.people()


@pytest.mark.parametrize("handle", ["carol", "Carol@example.com", None])
def test_a_newcomer_is_found_by_name_address_and_id(bench: Bench, handle: str | None) -> None:
    gateway = bench.start()
    del gateway
    carol = bench.slack.add_user("carol", "carol@example.com")
    if handle == "carol":
        assert looked_up(bench, handle) is None, "the directory was read a moment ago"
        return
    assert looked_up(bench, handle or carol) == carol
    assert bench.people()[carol].username == "carol"


@pytest.mark.parametrize("handle", ["nobody", "nobody@example.com", "U404", "<!channel>", "", "@"])
def test_nobody_answers_to_other_handles(bench: Bench, handle: str) -> None:
    bench.start()
    assert looked_up(bench, handle) is None


@pytest.mark.parametrize("handle", ["Alice", "@alice"])
def test_a_known_person_is_found_by_user_name(bench: Bench, alice: str, handle: str) -> None:
    bench.start()
    assert looked_up(bench, handle) == alice
    assert bench.slack.requests("users.lookupByEmail") == []


def test_who_has_left_answers_to_nothing(bench: Bench) -> None:
    left = bench.slack.add_user("left", deleted=True)
    bench.start()
    assert looked_up(bench, left) is None


def test_a_look_up_that_fails_is_tried_again(bench: Bench, alice: str) -> None:
    bench.start()
    bench.slack.fail_next("users.info", "500")
    assert looked_up(bench, alice) == alice


def test_a_look_up_is_a_row_that_survives_its_process(bench: Bench, alice: str) -> None:
    bench.slack.fail_next("users.info", "429", retry_after=60)
    first = bench.start(instance="one")
    name = new_id()
    bench.publish((name, LookUpPerson(handle=alice)))
    eventually(lambda: bench.slack.requests("users.info"))
    first.stop()
    bench.gateways.remove(first)
    assert bench.row(name).state == "pending"
    bench.start(instance="two")
    [answer] = eventually(lambda: bench.heard(PersonLookedUp))
    assert answer.person_id == alice


def test_newcomers_and_changes_are_told_over_the_socket(bench: Bench, alice: str) -> None:
    bench.start(bench.chat(app_token=bench.slack.app_token))
    dave = bench.slack.join("dave", "dave@example.com")
    bench.slack.change_user(alice, deleted=True)
    eventually(lambda: dave in bench.people() and not bench.people()[alice].active)


def test_two_gateways_may_learn_of_the_same_newcomer_at_once(mariadb_url: str, memory_bus: KombuBus) -> None:
    engine = create_database(mariadb_url)
    migrate(engine)
    newcomer = Person("U1", "carol", "carol@example.com", "Carol", None, None, active=True)
    first, second = (Transactions(engine, memory_bus, SystemClock(), "chat-gateway") for _ in range(2))

    def meanwhile(work: UnitOfWork) -> None:
        store(work, [newcomer])  # has looked, and has not written yet
        second.run(lambda other: store(other, [newcomer]))

    first.run(meanwhile)
    with engine.connect() as connection:
        assert connection.scalars(select(PersonRow.chat_id)).all() == ["U1"]
    engine.dispose()
