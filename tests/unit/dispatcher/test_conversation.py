"""The conversation by example: every branch as a short story. The invariants hold at each step (`World`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from common.alerts import Resolution, Severity
from common.ids import derived_id
from common.messages import AuthResult
from services.dispatcher.chat_commands import ChatCommand, Meaning
from services.dispatcher.conversation_events import (
    Clicked,
    MessageDelivered,
    MessageUndeliverable,
    ProofBegun,
    ProofSettled,
    PushesAllowed,
    Typed,
    WatchdogBarked,
)
from services.dispatcher.conversation_state import Proof, Purpose, Question
from services.dispatcher.decisions import (
    Ask,
    BackOff,
    Decision,
    Ignore,
    MakeTestAlert,
    Note,
    Push,
    Refresh,
    Report,
    Resolve,
    Retell,
    Start,
    Stop,
    Tell,
    TellStatus,
)
from services.dispatcher.policies import Policies
from tests.unit.dispatcher.world import World

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Story(World):
    """A world with short words for what people do."""

    def types(self, meaning: Meaning, rest: str = "") -> list[Decision]:
        """Let the person type a command; "yes" while a push is offered asks for it."""
        self._may_push(accepted=meaning is Meaning.YES)
        return self.happen(Typed(ChatCommand(meaning, rest), self.now))

    def clicks(self, action: str, comment: str = "") -> list[Decision]:
        """Let the person click a button of what is open."""
        self._may_push(accepted=action == "push")
        subject = self.offer.offer_id if action in ("push", "no_push") else self.question.subject
        return self.happen(Clicked(action, subject, comment))

    def _may_push(self, *, accepted: bool) -> None:
        proof = self.talk.proof
        if accepted and proof is not None and proof.request_id is None:
            self.allow(proof)

    def allow(self, proof: Proof) -> None:
        """Note that the person asks for the offered push."""
        self.asked_for.add(request_of(proof))

    def phone(self, result: AuthResult, detail: str = "") -> list[Decision]:
        """Let the second factor settle the push that is open."""
        begin = len(self.log)
        (request_id,) = self.open_pushes
        self.settle(request_id, result, detail)
        return self.log[begin:]

    def takes_push(self, result: AuthResult, detail: str = "") -> list[Decision]:
        """Let the person accept the push that is offered, and the second factor settle it."""
        self.clicks("push")
        return self.phone(result, detail)

    def proves(self) -> None:
        """Let the person say yes to a new alert and prove it."""
        self.alert()
        self.types(Meaning.YES)
        self.takes_push(AuthResult.APPROVED)

    @property
    def question(self) -> Question:
        """The open question."""
        assert self.talk.question is not None
        return self.talk.question

    @property
    def offer(self) -> Proof:
        """The push that is offered or on its way."""
        assert self.talk.proof is not None
        return self.talk.proof

    def happen_settled(self, request_id: str, result: AuthResult) -> list[Decision]:
        """Let a result come that nobody waits for."""
        return self.happen(ProofSettled(request_id, result, ""))

    def purpose(self) -> Purpose:
        """What the push that is offered or on its way is for."""
        return self.offer.purpose

    def verdict(self) -> Resolve:
        """The last verdict."""
        return [decision for decision in self.log if isinstance(decision, Resolve)][-1]


def test_words_from_before_the_question_answer_nothing() -> None:
    world = Story()
    world.alert()
    asked_at = world.question.asked_at
    world.happen(Typed(ChatCommand(Meaning.NO, "it was not me"), asked_at - timedelta(seconds=5)))
    assert world.question.answered_at is None
    assert world.told()[-1:] == ["meant_for_another"]
    world.happen(Typed(ChatCommand(Meaning.NO, "it was not me"), asked_at))
    assert world.verdict().resolution is Resolution.DENIED


def test_words_under_an_older_card_answer_nothing_and_those_under_this_one_do() -> None:
    world = Story()
    world.alert()
    older = world.question.message_id
    world.types(Meaning.NO)
    world.alert("new ssh key")
    world.happen(Typed(ChatCommand(Meaning.YES), world.now, older))
    assert (world.told()[-1], world.talk.proof) == ("meant_for_another", None)
    world.happen(Typed(ChatCommand(Meaning.YES), world.now, world.question.message_id))
    assert world.offer.purpose is Purpose.ANSWER
    world.happen(Typed(ChatCommand(Meaning.NO), world.now, older))
    assert world.talk.proof is not None, "the offered push stands"
    world.happen(Typed(ChatCommand(Meaning.NO), world.now, world.offer.message_id))
    assert world.verdict().resolution is Resolution.PROOF_REFUSED


@pytest.mark.parametrize("age", [timedelta(seconds=1), timedelta(hours=30), timedelta(days=300)])
def test_words_answer_nothing_that_was_put_after_them_however_old_they_are(age: timedelta) -> None:
    """After a weekend without a dispatcher, say: two times "yes", the second of which must not ask for a push."""
    world = Story()
    world.alert()
    world.happen(Typed(ChatCommand(Meaning.NO), world.now - age))
    assert world.told()[-1] == "meant_for_another"
    world.types(Meaning.YES)
    world.happen(Typed(ChatCommand(Meaning.YES), world.now - age))
    assert world.offer.request_id is None


def stop_is_offered_and_a_card_is_shown() -> Story:
    world = Story()
    world.types(Meaning.STOP)
    world.alert()
    return world


def test_what_stands_under_the_card_is_about_the_card_whatever_else_is_offered() -> None:
    world = stop_is_offered_and_a_card_is_shown()
    world.happen(Typed(ChatCommand(Meaning.NO, "not me!"), world.now, world.question.message_id))
    assert world.verdict().resolution is Resolution.DENIED
    assert world.purpose() is Purpose.STOP, "that offer stands"


def test_what_stands_under_the_offer_is_about_the_offer() -> None:
    world = stop_is_offered_and_a_card_is_shown()
    offer = world.offer.message_id
    world.allow(world.offer)
    world.happen(Typed(ChatCommand(Meaning.YES), world.now, offer))
    assert (world.offer.pushes, world.question.answered_at) == (1, None)
    world.happen(Typed(ChatCommand(Meaning.YES, "approved it"), world.now, offer))
    assert (world.told()[-1], world.question.answered_at) == ("proof_still_open", None)


def test_words_in_no_thread_are_about_what_was_put_last() -> None:
    world = stop_is_offered_and_a_card_is_shown()
    world.types(Meaning.NO)
    assert world.verdict().resolution is Resolution.DENIED
    world.types(Meaning.NO)
    assert world.told()[-1] == "silence_dropped"


def test_no_offer_takes_words_from_before_it_or_from_under_another_message() -> None:
    world = Story()
    world.alert()
    card = world.question.message_id
    world.types(Meaning.NO)
    world.types(Meaning.STOP)
    world.happen(Typed(ChatCommand(Meaning.YES), world.now - timedelta(seconds=30)))
    world.happen(Typed(ChatCommand(Meaning.YES), world.now, card))
    world.happen(Typed(ChatCommand(Meaning.NOT_SURE), world.now))
    assert world.told()[-3:] == ["not_understood_offer"] * 3
    assert world.offer.pushes == 0
    world.types(Meaning.YES)
    world.happen(Typed(ChatCommand(Meaning.YES), world.now, card))
    assert world.told()[-1] == "proof_still_open"


def test_a_second_yes_from_before_the_offer_has_no_push_sent() -> None:
    world = Story()
    world.alert()
    at = world.now
    world.now += timedelta(seconds=1)
    world.types(Meaning.YES)
    world.happen(Typed(ChatCommand(Meaning.YES), at))
    assert (world.told()[-1], world.offer.pushes) == ("proof_still_open", 0)
    world.happen(Typed(ChatCommand(Meaning.NO, "wait, that was not me"), at, world.question.message_id))
    assert world.verdict().resolution is Resolution.DENIED


def test_a_push_for_something_else_proves_no_answer_from_before_it() -> None:
    world = Story()
    world.alert()
    world.types(Meaning.STOP)
    world.clicks("yes")
    world.now += timedelta(seconds=20)
    world.takes_push(AuthResult.APPROVED)
    assert world.purpose() is Purpose.ANSWER, "the answer gets a push of its own, that shows what it is for"
    assert not of(world.log, Resolve)


@pytest.mark.parametrize("unwanted", [AuthResult.DENIED, AuthResult.FRAUD])
def test_a_push_that_was_not_wanted_ends_the_memory_of_the_one_before(unwanted: AuthResult) -> None:
    world = Story()
    world.proves()
    world.alert("critical things", severity=Severity.HIGH)
    world.types(Meaning.YES)
    world.takes_push(unwanted)
    world.happen(PushesAllowed())
    world.alert("a new ssh key")
    world.types(Meaning.YES)
    assert world.talk.proof is not None, "the intruder who has the chat needs a push of their own"
    assert world.talk.question is not None


def test_an_approval_that_was_hours_on_its_way_proves_its_own_answer_and_no_later_one() -> None:
    world = Story()
    digest = world.alert()
    world.types(Meaning.YES)
    world.clicks("push")
    (request_id,) = world.open_pushes
    world.settle(request_id, AuthResult.APPROVED, on_its_way=timedelta(hours=3))
    assert world.verdicts == {digest: Resolution.CONFIRMED}
    world.alert("a new ssh key")
    world.types(Meaning.YES)
    assert world.offer.purpose is Purpose.ANSWER


def request_of(proof: Proof) -> str:
    """Return the id of the push that accepting an offer starts."""
    return derived_id("push", proof.offer_id)


def of(decisions: list[Decision], kind: type[Decision]) -> list[Decision]:
    return [decision for decision in decisions if isinstance(decision, kind)]


def story(**policy: object) -> Story:
    return Story(policies=Policies.model_validate({"defaults": policy}))


# --- answers --------------------------------------------------------------------------------------------------------


def test_yes_push_approved_is_confirmed_and_backed_off() -> None:
    world = Story()
    digest = world.alert()
    world.types(Meaning.YES, "patching")
    assert world.told()[-1] == "offer_push"
    assert not world.open_pushes, "a push starts on the person's own word only"
    world.clicks("push")
    decisions = world.phone(AuthResult.APPROVED)
    assert world.verdicts == {digest: Resolution.CONFIRMED}
    verdict = world.verdict()
    assert (verdict.performed, verdict.authenticated, verdict.comment) == (True, True, "patching")
    assert of(decisions, BackOff) == [BackOff("sudo", world.now + 21 * HOUR)]
    assert world.told()[-1] == "told_confirmed"
    assert (world.talk.question, world.talk.proof) == (None, None)


@pytest.mark.parametrize(
    ("meaning", "resolution", "performed"),
    [
        (Meaning.NO, Resolution.DENIED, False),
        (Meaning.NOT_SURE, Resolution.NOT_SURE, None),
        (Meaning.WRONG_PERSON, Resolution.WRONG_PERSON, None),
    ],
)
@pytest.mark.parametrize("clicked", [True, False])
def test_any_other_answer_goes_to_the_team_with_their_words(
    meaning: Meaning, resolution: Resolution, performed: bool | None, clicked: bool
) -> None:
    world = Story()
    world.alert()
    decisions = world.clicks(meaning.value, "why") if clicked else world.types(meaning, "why")
    verdict = world.verdict()
    assert (verdict.resolution, verdict.performed, verdict.authenticated) == (resolution, performed, None)
    assert (verdict.comment, verdict.responded) == ("why", True)
    assert not of(decisions, BackOff)
    assert world.told()[-1] == f"told_{resolution}"


def test_who_said_yes_may_still_say_that_they_are_not_sure() -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES, "I think")
    decisions = world.types(Meaning.NOT_SURE)
    assert world.verdict().resolution is Resolution.NOT_SURE
    assert world.verdict().comment == "I think", "what they said first is kept"
    assert [d.text for d in decisions if isinstance(d, Retell)] == ["offer_over"]


def test_a_second_yes_while_the_push_is_on_its_way_changes_nothing() -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    world.clicks("push")
    world.types(Meaning.YES)
    assert world.told()[-1] == "proof_still_open"
    assert len(world.open_pushes) == 1


def test_words_that_are_no_answer_are_answered_with_what_is_wanted() -> None:
    world = Story()
    world.types(Meaning.UNKNOWN, "blah")
    world.alert()
    world.types(Meaning.UNKNOWN, "maybe")
    world.types(Meaning.YES)
    world.types(Meaning.UNKNOWN, "hm")
    world.clicks("push")
    world.types(Meaning.UNKNOWN, "hm")
    assert [text for text in world.told() if text.startswith("not_")] == [
        "not_understood", "not_understood_question", "not_understood_offer", "not_understood",
    ]  # fmt: skip


def test_an_answer_to_nothing_is_told_so() -> None:
    world = Story()
    for meaning in (Meaning.YES, Meaning.NO, Meaning.NOT_SURE, Meaning.WRONG_PERSON):
        world.types(meaning)
    assert world.told() == ["nothing_to_answer"] * 4


# --- proof ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("severity", [Severity.LOW, Severity.MEDIUM])
def test_within_two_hours_an_approved_push_proves_the_next_yes_too(severity: Severity) -> None:
    world = Story()
    world.proves()
    world.now += 2 * HOUR - MINUTE
    world.alert("log-in", severity)
    world.types(Meaning.YES)
    assert world.verdict().resolution is Resolution.CONFIRMED
    assert len(of(world.log, Push)) == 1


def test_an_answer_proved_by_an_earlier_push_mutes_nothing() -> None:
    world = Story()
    world.proves()
    before = len(of(world.log, BackOff))
    world.alert("log-in")
    world.types(Meaning.YES)
    assert world.verdict().resolution is Resolution.CONFIRMED
    assert len(of(world.log, BackOff)) == before == 1


@pytest.mark.parametrize("severity", [Severity.HIGH, Severity.CRITICAL])
def test_high_and_critical_alerts_want_a_push_of_their_own(severity: Severity) -> None:
    world = Story()
    world.proves()
    world.alert("log-in", severity)
    world.types(Meaning.YES)
    assert world.told()[-1] == "offer_push"


def test_after_two_hours_a_push_is_wanted_again() -> None:
    world = Story()
    world.proves()
    world.now += 2 * HOUR
    world.alert("log-in")
    world.types(Meaning.YES)
    assert world.told()[-1] == "offer_push"


@pytest.mark.parametrize("result", [AuthResult.TIMED_OUT, AuthResult.PUSH_FAILED])
def test_a_push_that_was_not_answered_is_offered_once_more(result: AuthResult) -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    world.takes_push(result)
    assert world.told()[-1] == "offer_push_again"
    world.takes_push(AuthResult.APPROVED)
    assert world.verdict().resolution is Resolution.CONFIRMED


@pytest.mark.parametrize(
    ("result", "resolution"),
    [(AuthResult.TIMED_OUT, Resolution.PROOF_TIMEOUT), (AuthResult.PUSH_FAILED, Resolution.PROOF_UNAVAILABLE)],
)
def test_after_the_policys_pushes_it_is_over(result: AuthResult, resolution: Resolution) -> None:
    world = story(pushes=1)
    world.alert()
    world.types(Meaning.YES)
    decisions = world.takes_push(result)
    assert world.verdict().resolution is resolution
    assert world.verdict().authenticated is False
    assert not of(decisions, BackOff)


def test_a_push_lost_to_a_restart_may_be_sent_again() -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    world.takes_push(AuthResult.PUSH_FAILED, "interrupted")
    assert world.told()[-1] == "offer_push_again"


@pytest.mark.parametrize(
    ("result", "detail", "resolution", "authenticated", "comment"),
    [
        (AuthResult.DENIED, "deny", Resolution.PROOF_DENIED, False, "why"),
        (AuthResult.UNPROVED, "bypass", Resolution.CONFIRMED_UNPROVED, False, "why (not proved: bypass)"),
        (
            AuthResult.UNAVAILABLE, "locked_out", Resolution.PROOF_UNAVAILABLE, False,
            "why (second factor unavailable: locked_out)",
        ),
    ],
)  # fmt: skip
def test_what_is_no_approved_push_silences_nothing(
    result: AuthResult, detail: str, resolution: Resolution, authenticated: bool | None, comment: str
) -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES, "why")
    decisions = world.takes_push(result, detail)
    verdict = world.verdict()
    assert (verdict.resolution, verdict.performed, verdict.authenticated) == (resolution, True, authenticated)
    assert verdict.comment == comment
    assert not of(decisions, BackOff)
    assert world.talk.proved_at is None


def test_fraud_stops_pushes_raises_the_severity_and_is_reported() -> None:
    world = Story()
    world.proves()
    world.alert("log-in", Severity.HIGH)
    world.types(Meaning.YES)
    decisions = world.takes_push(AuthResult.FRAUD)
    assert world.verdict().resolution is Resolution.PROOF_FRAUD
    assert world.verdict().question.severity is Severity.CRITICAL
    assert [d.text for d in decisions if isinstance(d, Report)] == ["report_fraud"]
    world.alert("download")
    world.types(Meaning.YES)
    assert world.verdict().resolution is Resolution.PROOF_UNAVAILABLE, "not even the earlier proof counts now"
    assert (
        world.verdict().comment == "(second factor unavailable: pushes are stopped since one was marked as fraudulent)"
    )
    world.happen(PushesAllowed())
    world.alert("another", Severity.HIGH)
    world.types(Meaning.YES)
    assert world.told()[-1] == "offer_push"


def test_fraud_stops_pushes_even_where_nobody_waits_for_the_result_any_more() -> None:
    world = Story()
    decisions = world.happen_settled("an old one", AuthResult.FRAUD)
    assert world.talk.pushes_stopped_at == world.now
    assert [d.text for d in decisions if isinstance(d, Report)] == ["report_fraud"]


def test_more_pushes_than_the_hourly_cap_are_not_sent() -> None:
    world = Story(policies=Policies.model_validate({"limits": {"pushes_per_hour": 2}}))
    world.alert()
    world.types(Meaning.YES)
    world.takes_push(AuthResult.TIMED_OUT)
    world.takes_push(AuthResult.DENIED)
    world.alert("log-in")
    world.types(Meaning.YES)
    assert world.verdict().resolution is Resolution.PROOF_UNAVAILABLE
    assert "too many pushes within an hour" in world.verdict().comment
    world.now += HOUR
    world.alert("log-in")
    world.types(Meaning.YES)
    assert world.told()[-1] == "offer_push"


def test_the_code_of_a_verified_push_is_shown() -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    world.clicks("push")
    decisions = world.happen(ProofBegun(request_of(world.offer), "042", approve_in_chat=False))
    assert [(d.text, d.values) for d in decisions if isinstance(d, Tell)] == [("push_code", {"code": "042"})]


def test_the_simulated_push_is_shown_with_its_buttons() -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    world.clicks("push")
    request_id = world.offer.request_id
    assert request_id is not None
    (shown,) = of(world.happen(ProofBegun(request_id, None, approve_in_chat=True)), Tell)
    assert isinstance(shown, Tell)
    assert (shown.text, shown.buttons, shown.subject) == ("simulated_push", ("approve", "refuse"), request_id)
    assert world.happen(Clicked("approve", request_id, "")) == [], "the auth poller takes that click"


def test_a_code_of_a_push_that_nobody_waits_for_is_not_shown() -> None:
    world = Story()
    assert world.happen(ProofBegun("another", "042", approve_in_chat=True)) == []


@pytest.mark.parametrize("how", ["word", "button"])
def test_no_while_a_push_is_offered_is_a_refused_proof(how: str) -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    decisions = world.types(Meaning.NO) if how == "word" else world.clicks("no_push")
    assert world.verdict().resolution is Resolution.PROOF_REFUSED
    assert not of(decisions, Push)


def test_an_offer_that_nobody_takes_runs_out() -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    world.pass_time(15 * MINUTE)
    assert world.verdict().resolution is Resolution.PROOF_TIMEOUT


def test_a_result_that_never_comes_is_unavailable_and_the_stray_push_holds_up_the_next() -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    world.clicks("push")
    world.types(Meaning.NOT_SURE)
    assert world.talk.stray_push is not None
    world.alert("log-in")
    world.types(Meaning.YES)
    world.types(Meaning.YES)
    assert world.told()[-1] == "push_still_open"
    world.pass_time(3 * MINUTE)
    world.clicks("push")
    world.pass_time(3 * MINUTE)
    assert world.verdict().resolution is Resolution.PROOF_UNAVAILABLE
    assert "no result in time" in world.verdict().comment


def test_an_offer_that_chat_cannot_deliver_makes_the_proof_unavailable() -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    world.happen(MessageUndeliverable(world.offer.message_id, "channel gone"))
    assert world.verdict().resolution is Resolution.PROOF_UNAVAILABLE
    assert "chat could not offer the push: channel gone" in world.verdict().comment


def test_where_policy_wants_no_proof_a_yes_stays_unproved() -> None:
    world = story(proof="never")
    world.alert()
    world.types(Meaning.YES)
    assert world.verdict().resolution is Resolution.CONFIRMED_UNPROVED
    assert world.verdict().comment == "(not proved: not asked for)"


def test_without_a_second_factor_a_yes_stays_unproved() -> None:
    world = Story(second_factor=False)
    world.alert()
    decisions = world.types(Meaning.YES, "me")
    assert world.verdict().comment == "me (not proved: no second factor)"
    assert not of(decisions, BackOff)


def test_a_confirmed_critical_alert_is_not_backed_off() -> None:
    world = Story()
    world.alert(severity=Severity.CRITICAL)
    world.types(Meaning.YES)
    decisions = world.takes_push(AuthResult.APPROVED)
    assert world.verdict().resolution is Resolution.CONFIRMED
    assert not of(decisions, BackOff)


def test_policy_may_switch_the_back_off_off() -> None:
    world = story(back_off="0s")
    world.proves()
    assert not of(world.log, BackOff)


# --- time -----------------------------------------------------------------------------------------------------------


def test_a_reminder_comes_once_and_then_the_deadline() -> None:
    world = Story()
    world.alert()
    world.happen(MessageDelivered(world.question.message_id, world.now))
    world.pass_time(89 * MINUTE)
    assert world.told() == []
    world.pass_time(MINUTE)
    assert world.told() == ["reminder"]
    world.pass_time(30 * MINUTE)
    assert world.told() == ["reminder", "told_no_response"]
    verdict = world.verdict()
    assert (verdict.resolution, verdict.performed, verdict.responded) == (Resolution.NO_RESPONSE, None, False)


def test_a_card_that_was_never_delivered_ends_as_unreachable() -> None:
    world = Story()
    world.alert()
    world.pass_time(2 * HOUR)
    assert world.verdict().resolution is Resolution.UNREACHABLE
    assert world.told() == ["reminder"]


def test_a_card_that_cannot_be_delivered_ends_at_once_and_tells_nobody_in_vain() -> None:
    world = Story()
    world.alert()
    decisions = world.happen(MessageUndeliverable(world.question.message_id, "account_inactive"))
    assert world.verdict().resolution is Resolution.UNREACHABLE
    assert world.verdict().comment == "account_inactive"
    assert not of(decisions, Tell)


def test_another_message_that_cannot_be_delivered_changes_nothing() -> None:
    world = Story()
    world.alert()
    assert world.happen(MessageUndeliverable("some hello", "x")) == []


def test_a_late_delivery_starts_the_clock_anew() -> None:
    world = Story()
    world.alert()
    world.now += HOUR
    world.happen(MessageDelivered(world.question.message_id, world.now))
    assert world.question.deadline == world.now + 2 * HOUR
    assert world.question.remind_at == world.now + 90 * MINUTE


def test_a_late_delivery_that_is_told_of_later_still_counts_from_when_it_was() -> None:
    world = Story()
    world.alert()
    seen_at = world.now + HOUR
    world.now += 90 * MINUTE
    world.happen(MessageDelivered(world.question.message_id, seen_at))
    assert world.question.deadline == seen_at + 2 * HOUR


def test_a_prompt_delivery_and_a_second_one_do_not() -> None:
    world = Story()
    world.alert()
    deadline = world.question.deadline
    world.now += timedelta(seconds=20)
    world.happen(MessageDelivered(world.question.message_id, world.now))
    world.now += HOUR
    world.happen(MessageDelivered(world.question.message_id, world.now))
    assert world.question.deadline == deadline


def test_policy_may_let_questions_wait_for_working_hours() -> None:
    world = story(outside_hours="wait")
    world.now = datetime(2026, 3, 6, 20, tzinfo=UTC)
    world.alert()
    world.alert("log-in")
    assert (world.talk.question, of(world.log, Ask)) == (None, [])
    assert world.talk.due_at() == datetime(2026, 3, 9, 10, tzinfo=UTC)
    world.pass_time(timedelta(days=2, hours=14))
    assert len(of(world.log, Ask)) == 1
    assert world.question.deadline == datetime(2026, 3, 9, 12, tzinfo=UTC)


def test_outside_hours_the_question_is_asked_and_the_deadline_is_in_them() -> None:
    world = Story()
    world.now = datetime(2026, 3, 6, 20, tzinfo=UTC)
    world.alert()
    assert world.question.deadline == datetime(2026, 3, 9, 12, tzinfo=UTC)


def test_where_the_clock_is_always_nothing_waits_for_working_hours() -> None:
    world = story(outside_hours="wait", clock="always")
    world.now = datetime(2026, 3, 6, 20, tzinfo=UTC)
    world.alert()
    assert world.question.deadline == datetime(2026, 3, 6, 22, tzinfo=UTC)


def test_the_watchdog_ends_a_question_by_what_is_missing() -> None:
    for answered, delivered, resolution in (
        (False, False, Resolution.UNREACHABLE),
        (False, True, Resolution.NO_RESPONSE),
        (True, True, Resolution.PROOF_UNAVAILABLE),
    ):
        world = Story()
        world.alert()
        question = world.question
        if delivered:
            world.happen(MessageDelivered(question.message_id, world.now))
        if answered:
            world.types(Meaning.YES)
        assert world.happen(WatchdogBarked("another question")) == []
        world.happen(WatchdogBarked(question.id))
        assert world.verdict().resolution is resolution


# --- storms and what waits --------------------------------------------------------------------------------------------


def test_alerts_of_the_same_title_join_the_card_which_is_refreshed_after_a_moment() -> None:
    world = Story()
    hashes = [world.alert() for _ in range(13)]
    assert len(of(world.log, Ask)) == 1
    assert of(world.log, Refresh) == []
    world.pass_time(timedelta(seconds=2))
    (refresh,) = of(world.log, Refresh)
    assert isinstance(refresh, Refresh)
    assert (refresh.question.count, refresh.result) == (13, None)
    world.types(Meaning.NO)
    assert world.verdicts == dict.fromkeys(hashes, Resolution.DENIED)


def test_a_worse_alert_that_joins_makes_the_question_worse_and_shorter() -> None:
    world = Story(
        policies=Policies.model_validate({"severities": {"critical": {"answer_within": "15m", "remind_before": "1m"}}})
    )
    world.alert()
    world.alert(severity=Severity.CRITICAL)
    assert world.question.severity is Severity.CRITICAL
    assert world.question.deadline == world.now + 15 * MINUTE
    world.alert(severity=Severity.LOW)
    assert world.question.severity is Severity.CRITICAL


def test_a_worse_alert_that_joins_is_shown_at_once_and_answered_by_nothing_from_before() -> None:
    world = Story()
    world.alert(severity=Severity.LOW)
    shown = world.question.subject
    said_at = world.now
    world.now += timedelta(seconds=1)
    worse = world.alert(severity=Severity.CRITICAL)
    refresh = world.log[-1]
    assert isinstance(refresh, Refresh)
    assert (refresh.question.first.hash, refresh.question.first.severity) == (worse, Severity.CRITICAL)
    world.happen(Clicked("yes", shown, ""))
    world.happen(Typed(ChatCommand(Meaning.YES), said_at))
    world.happen(Typed(ChatCommand(Meaning.YES), said_at, world.question.message_id))
    assert world.question.answered_at is None
    world.alert(severity=Severity.LOW)
    world.clicks("yes")
    assert world.question.answered_at is not None


def test_a_late_no_is_told_to_the_team_once_and_to_the_person() -> None:
    world = Story()
    world.alert()
    old = world.question.subject
    world.types(Meaning.YES)
    world.takes_push(AuthResult.APPROVED)
    world.alert("log-in")
    decisions = world.happen(Clicked("no", old, ""))
    assert [one.text for one in decisions if isinstance(one, Tell | Report)] == ["too_late", "report_too_late"]
    again = world.happen(Clicked("no", old, ""))
    assert of(again, Report) == []


def test_an_alert_after_the_yes_waits_and_is_asked_when_that_is_settled() -> None:
    world = Story()
    first = world.alert(severity=Severity.HIGH)
    world.types(Meaning.YES)
    late = world.alert(severity=Severity.HIGH)
    assert late in world.waiting
    world.types(Meaning.NO)
    assert world.verdicts == {first: Resolution.PROOF_REFUSED}
    assert world.on_card[late] == world.question.id
    (_, second) = of(world.log, Ask)
    assert isinstance(second, Ask)
    assert second.greeting == "next"


# --- stop and ignore --------------------------------------------------------------------------------------------------


def test_stop_and_ignore_take_effect_after_a_fresh_push_only() -> None:
    world = Story()
    world.proves()
    world.types(Meaning.STOP)
    assert world.told()[-1] == "offer_stop"
    decisions = world.takes_push(AuthResult.APPROVED)
    assert of(decisions, Stop) == [Stop(world.now + timedelta(days=30), proved=True)]
    assert world.told()[-1] == "stopped"
    world.types(Meaning.IGNORE, "LAST 1h30m")
    assert world.told()[-1] == "offer_ignore"
    decisions = world.takes_push(AuthResult.APPROVED)
    assert of(decisions, Ignore) == [Ignore("sudo", world.now + 90 * MINUTE, proved=True)]


@pytest.mark.parametrize("result", [result for result in AuthResult if result is not AuthResult.APPROVED])
def test_a_silence_that_was_not_proved_is_refused_and_reported(result: AuthResult) -> None:
    world = Story()
    world.types(Meaning.STOP)
    decisions = world.takes_push(result, "its word")
    assert not of(decisions, Stop)
    assert world.told()[-1] == "silence_refused"
    reports = [d for d in decisions if isinstance(d, Report)]
    assert (reports[-1].text, reports[-1].values) == (
        "report_silence_refused",
        {"purpose": "stop", "cause": "its word"},
    )


def test_without_a_second_factor_a_silence_takes_effect_at_once_unproved() -> None:
    world = Story(second_factor=False)
    world.alert()
    assert of(world.types(Meaning.STOP), Stop) == [Stop(world.now + timedelta(days=30), proved=False)]
    assert of(world.types(Meaning.IGNORE, "current 2h"), Ignore) == [Ignore("sudo", world.now + 2 * HOUR, proved=False)]
    assert world.talk.question is not None, "the question stays open"


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ("", "ignore_usage"),
        ("last", "ignore_usage"),
        ("last 0h", "ignore_usage"),
        ("never 1h", "ignore_usage"),
        ("last soon", "ignore_usage"),
        ("last 5h", "ignore_too_long"),
        ("current 1h", "ignore_nothing"),
        ("last 1h", "ignore_nothing"),
    ],
)
def test_an_ignore_that_cannot_be_had_says_why(rest: str, text: str) -> None:
    world = Story()
    world.types(Meaning.IGNORE, rest)
    assert world.told() == [text]


def test_while_a_push_is_open_another_silence_has_to_wait() -> None:
    world = Story()
    world.types(Meaning.STOP)
    world.types(Meaning.STOP)
    assert world.told() == ["offer_stop", "proof_still_open"]


def test_a_silence_declined_or_left_alone_changes_nothing() -> None:
    world = Story()
    world.types(Meaning.STOP)
    world.types(Meaning.NO)
    world.types(Meaning.STOP)
    world.pass_time(15 * MINUTE)
    assert [text for text in world.told() if text == "silence_dropped"] == ["silence_dropped"] * 2
    assert world.silenced == []


def test_a_silence_that_cannot_be_offered_is_given_up() -> None:
    world = Story()
    world.types(Meaning.STOP)
    world.happen(MessageUndeliverable(world.offer.message_id, "x"))
    assert world.talk.proof is None


def test_a_yes_while_a_silence_waits_for_its_push_gets_its_own_push_afterwards() -> None:
    world = Story()
    world.alert(severity=Severity.HIGH)
    world.types(Meaning.STOP)
    world.clicks("yes")
    assert world.purpose() == Purpose.STOP
    world.takes_push(AuthResult.DENIED)
    assert world.purpose() == Purpose.ANSWER
    assert world.told()[-1] == "offer_push"
    world.takes_push(AuthResult.APPROVED)
    assert world.verdict().resolution is Resolution.CONFIRMED


def test_pushes_for_silences_count_towards_the_cap() -> None:
    world = Story(policies=Policies.model_validate({"limits": {"pushes_per_hour": 1}}))
    world.types(Meaning.STOP)
    world.takes_push(AuthResult.DENIED)
    decisions = world.types(Meaning.STOP)
    assert [d.values["cause"] for d in decisions if isinstance(d, Report)] == ["too many pushes within an hour"]
    assert world.talk.proof is None


# --- the rest ------------------------------------------------------------------------------------------


def test_status_start_test_help_and_hi_are_answered() -> None:
    world = Story()
    assert len(of(world.types(Meaning.STATUS), TellStatus)) == 1
    assert len(of(world.types(Meaning.START), Start)) == 1
    assert len(of(world.types(Meaning.TEST), MakeTestAlert)) == 1
    for rest in ("", "-a", "--all", "me"):
        world.types(Meaning.HELP, rest)
    world.types(Meaning.HI)
    assert world.told() == ["help", "help_all", "help_all", "help", "hello"]


@pytest.mark.parametrize("action", ["yes", "no", "not_sure", "wrong_person", "push", "no_push", "nonsense"])
def test_a_click_of_an_old_card_or_of_nothing_is_noted_and_does_nothing(action: str) -> None:
    world = Story()
    world.alert()
    old = world.question.id
    world.types(Meaning.NO)
    world.alert("log-in")
    before = world.talk
    decisions = world.happen(Clicked(action, old, "hm"))
    assert decisions == [Note("click_ignored", {"click": action, "subject": old}, refused=True)]
    assert world.talk == before


@pytest.mark.parametrize("action", ["push", "no_push"])
def test_a_click_on_an_older_offer_neither_sends_nor_refuses_the_push_that_is_offered_now(action: str) -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    old = world.offer.offer_id
    world.types(Meaning.NO)
    world.alert("log-in")
    world.types(Meaning.YES)
    before = world.talk
    assert world.happen(Clicked(action, old, "")) == [
        Note("click_ignored", {"click": action, "subject": old}, refused=True)
    ]
    assert world.talk == before


def test_a_second_click_on_the_push_button_sends_no_second_push() -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    offer_id = world.offer.offer_id
    world.clicks("push")
    assert world.happen(Clicked("push", offer_id, "")) == []
    assert world.happen(Clicked("no_push", offer_id, "")) == []
    assert len(of(world.log, Push)) == 1


def test_a_result_that_nobody_waits_for_is_noted_and_proves_nothing() -> None:
    world = Story()
    world.alert()
    world.types(Meaning.YES)
    decisions = world.happen_settled("another", AuthResult.APPROVED)
    assert [d.action for d in decisions if isinstance(d, Note)] == ["late_proof_ignored"]
    assert world.verdicts == {}
    assert world.talk.proved_at is None
