"""Every way in which an alert can end, from the publisher to the outcome, through real sockets all the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.outside import Outcomes, send
from tests.person import Person, buttons, code_in, reported
from tests.stack import Stack

People = Callable[..., Person]


def test_a_yes_proved_with_a_verified_push_is_confirmed(stack: Stack, outcomes: Outcomes, people: People) -> None:
    person = people(verified=True)
    digest = send(stack.amqp_url, person.name, "proved sudo", severity="high")
    person.click(person.card("proved sudo"), "yes", "patching the kernel")
    person.click(person.offer(), "push")
    code = code_in(person.read("Type this code"))
    (push,) = person.pushes()
    assert push.verified
    assert code == stack.duo.code_of(push.txid)
    assert "proved sudo" in str(push.pushinfo)
    person.answer_push("allow")
    outcome = outcomes.wait(digest)
    assert (outcome["resolution"], outcome["performed"], outcome["authenticated"]) == ("confirmed", True, True)
    assert outcome["comment"] == "patching the kernel"
    assert outcome["status"] == "closed"
    row = stack.alert(digest)
    assert row is not None
    assert (row["resolution"], row["status"], row["person_id"]) == ("confirmed", "closed", person.id)
    assert stack.history(digest)[:2] == ["received", "asked"]
    assert stack.history(digest).count("resolved") == 1


def test_typed_words_do_the_same_as_buttons(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    digest = send(stack.amqp_url, person.email, "typed sudo")
    person.card("typed sudo")
    person.say("Yes, I was patching “db-7”.")
    person.offer()
    person.say("yes")
    person.answer_push("allow")
    outcome = outcomes.wait(digest)
    assert outcome["resolution"] == "confirmed"
    assert "patching" in outcome["comment"]


@pytest.mark.parametrize("action", ["denied", "not_sure", "wrong_person"])
def test_an_answer_that_needs_no_proof_goes_to_the_team(
    stack: Stack, outcomes: Outcomes, person: Person, action: str
) -> None:
    title = f"answered {action}"
    digest = send(stack.amqp_url, person.id, title)
    person.click(person.card(title), "no" if action == "denied" else action, "ask my colleague")
    outcome = outcomes.wait(digest)
    assert outcome["resolution"] == action
    assert outcome["performed"] == (False if action == "denied" else None)
    assert outcome["status"] == "verifying"
    reported(stack, person.id, title, "ask my colleague")
    assert person.pushes() == []


@pytest.mark.parametrize(
    ("status", "resolution"), [("deny", "proof_denied"), ("fraud", "proof_fraud"), ("timeout", "proof_timeout")]
)
def test_a_push_that_is_not_approved_proves_nothing(
    stack: Stack, outcomes: Outcomes, person: Person, status: str, resolution: str
) -> None:
    title = f"one push {status}"
    digest = send(stack.amqp_url, person.name, title)
    person.click(person.card(title), "yes")
    person.click(person.offer(), "push")
    person.answer_push(status)
    outcome = outcomes.wait(digest)
    assert (outcome["resolution"], outcome["performed"], outcome["authenticated"]) == (resolution, True, False)
    reported(stack, person.name, title)
    assert stack.rows("SELECT 1 FROM ignored WHERE person_id = :id", id=person.id) == []
    if status == "fraud":
        assert outcome["severity"] == "critical"
        reported(stack, person.name, "FRAUDULENT")


def test_a_push_that_expires_is_offered_once_more(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    digest = send(stack.amqp_url, person.name, "two pushes")
    person.click(person.card("two pushes"), "yes")
    person.click(person.offer(), "push")
    person.answer_push("timeout")
    person.click(person.offer(), "push")
    person.answer_push("allow")
    assert outcomes.wait(digest)["resolution"] == "confirmed"
    assert len(person.pushes()) == 2


def test_who_would_not_take_a_push_has_refused_the_proof(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    digest = send(stack.amqp_url, person.name, "no push please")
    person.click(person.card("no push please"), "yes")
    person.click(person.offer(), "no_push")
    assert outcomes.wait(digest)["resolution"] == "proof_refused"
    assert person.pushes() == []


@pytest.mark.parametrize(
    ("phone", "resolution"),
    [
        ({"preauth": "allow"}, "confirmed_unproved"),
        ({"answers": "bypass"}, "confirmed_unproved"),
        ({"phone": False}, "confirmed_unproved"),
        ({"preauth": "deny"}, "proof_unavailable"),
        ({"answers": "locked_out"}, "proof_unavailable"),
    ],
    ids=["preauth allow", "bypass", "enroll", "preauth deny", "locked out"],
)
def test_what_looks_like_success_at_duo_is_no_proof(
    stack: Stack, outcomes: Outcomes, people: People, phone: dict[str, Any], resolution: str
) -> None:
    person = people(**phone)
    digest = send(stack.amqp_url, person.name, "not proved")
    person.click(person.card("not proved"), "yes")
    person.click(person.offer(), "push")
    outcome = outcomes.wait(digest)
    assert outcome["resolution"] == resolution
    assert outcome["authenticated"] is not True
    assert outcome["status"] == "verifying"


def test_silence_is_no_response_after_a_reminder(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    digest = send(stack.amqp_url, person.name, "soon over")
    person.card("soon over")
    person.read("I still need your answer")
    assert outcomes.wait(digest)["resolution"] == "no_response"
    person.read("I did not hear from you")
    reported(stack, person.name, "no response", "soon over")


def test_where_policy_wants_no_proof_a_yes_is_unproved(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    digest = send(stack.amqp_url, person.name, "no proof needed")
    person.click(person.card("no proof needed"), "yes")
    assert outcomes.wait(digest)["resolution"] == "confirmed_unproved"


def test_an_owner_whom_nobody_knows_is_escalated(stack: Stack, outcomes: Outcomes) -> None:
    digest = send(stack.amqp_url, "nobody@example.com", "whose is it")
    assert outcomes.wait(digest)["resolution"] == "unknown_owner"
    reported(stack, "nobody@example.com", "whose is it")


def test_a_newcomer_whom_slack_has_not_told_about_is_looked_up(
    stack: Stack, outcomes: Outcomes, people: People
) -> None:
    person = people(tell=False)
    digest = send(stack.amqp_url, person.email, "new here")
    person.click(person.card("new here"), "no")
    assert outcomes.wait(digest)["resolution"] == "denied"


def test_who_cannot_be_written_to_is_unreachable(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    stack.slack.change_user(person.id, tell=False, deleted=True)
    digest = send(stack.amqp_url, person.name, "gone away")
    assert outcomes.wait(digest)["resolution"] == "unreachable"
    reported(stack, "gone away", "unreachable")


def test_a_proved_answer_keeps_the_same_title_quiet_but_never_a_critical_one(
    stack: Stack, outcomes: Outcomes, person: Person
) -> None:
    first = send(stack.amqp_url, person.name, "again and again")
    person.confirm("again and again")
    assert outcomes.wait(first)["resolution"] == "confirmed"
    second = outcomes.wait(send(stack.amqp_url, person.name, "again and again"))
    assert second["resolution"] == "ignored"
    critical = send(stack.amqp_url, person.name, "again and again", severity="critical")
    person.click(person.card("again and again"), "no")
    assert outcomes.wait(critical)["resolution"] == "denied"


def test_ignore_takes_effect_after_a_push(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    first = send(stack.amqp_url, person.name, "noisy rule")
    person.click(person.card("noisy rule"), "no")
    outcomes.wait(first)
    person.say("ignore last 1h")
    person.click(person.offer(), "push")
    person.answer_push("allow")
    person.read("I will not ask you about")
    assert outcomes.wait(send(stack.amqp_url, person.name, "noisy rule"))["resolution"] == "ignored"
    reported(stack, person.name, "noisy rule", "proved with a push")


def test_stop_takes_effect_after_a_push_and_start_ends_it(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    person.say("stop")
    person.click(person.offer(), "push")
    person.answer_push("allow")
    person.read("I will not ask you for")
    outcome = outcomes.wait(send(stack.amqp_url, person.name, "stopped"))
    assert outcome["resolution"] == "blacklisted"
    assert person.id in outcome["comment"]
    person.say("start")
    person.read("I will ask you again")
    send(stack.amqp_url, person.name, "started again")
    assert "yes" in buttons(person.card("started again"))
