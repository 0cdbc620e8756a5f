"""Duo at its worst: errors, rate limits, silence, lost answers, a wrong clock, and a poller that dies in between."""

from __future__ import annotations

import pytest

from tests.fakes.duo import Failure
from tests.faults.conftest import LONG, Broken, only_long
from tests.outside import alert, publish
from tests.person import Person
from tests.waiting import eventually

MODES: list[Failure] = ["500", "503", "429", "lost", "garbage"]
EACH = [(call, mode) for call in ("preauth", "auth_status") for mode in MODES]


@pytest.mark.parametrize(("call", "mode"), EACH if LONG else EACH[1::3])
def test_calls_that_fail_are_made_again(place: Broken, call: str, mode: Failure) -> None:
    place.stack.duo.fail_next(call, mode, times=2)
    names = [member.name for member in place.crowd.members if member.habit == "confirms"]
    alerts = place.send(2, f"duo {call} {mode}", names)
    for body in alerts:
        assert place.outcomes.wait(body["hash"], 40)["resolution"] == "confirmed"
    place.verify()


@pytest.mark.parametrize("mode", ["500", "lost", "garbage"] if LONG else ["lost"])
def test_a_push_whose_start_was_not_confirmed_is_not_started_again_by_itself(place: Broken, mode: Failure) -> None:
    person = Person(place.stack)
    place.stack.duo.fail_next("auth", mode)
    body = alert(person.name, f"duo auth {mode}")
    publish(place.stack.amqp_url, [body])
    place.published.append(body)
    person.click(person.card(body["title"]), "yes")
    person.click(person.offer(), "push")
    outcome = place.outcomes.wait(body["hash"], 30)
    assert outcome["resolution"] == "proof_unavailable"
    assert len(person.pushes()) <= 1
    place.verify()


def test_a_clock_that_is_wrong_and_keys_that_are_refused_prove_nothing(place: Broken) -> None:
    duo = place.stack.duo
    duo.clock_offset = 4000.0
    try:
        names = [member.name for member in place.crowd.members if member.habit == "confirms"]
        (body,) = place.send(1, "wrong clock", names[:1])
        assert place.outcomes.wait(body["hash"], 30)["resolution"] == "proof_unavailable"
    finally:
        duo.clock_offset = 0.0
    log = dict(place.stack.logs())["auth-poller"]
    assert "40105" in log
    place.verify()


@only_long
def test_a_push_answered_while_the_poller_was_dead_counts(place: Broken) -> None:
    person = Person(place.stack)
    body = alert(person.name, "answered meanwhile")
    publish(place.stack.amqp_url, [body])
    place.published.append(body)
    person.click(person.card("answered meanwhile"), "yes")
    person.click(person.offer(), "push")
    eventually(person.pushes)
    eventually(lambda: place.stack.rows("SELECT 1 FROM auth_requests WHERE state = 'asked'"))
    place.stack.processes["auth-poller"].kill()
    person.answer_push("allow")
    place.stack.start("auth-poller")
    assert place.outcomes.wait(body["hash"], 40)["resolution"] == "confirmed"
    assert len(person.pushes()) == 1
    place.verify()
