"""Whatever the order of events: every alert ends in exactly one verdict, and only proof confirms or silences.

`World` checks at every step that nobody is asked two questions at once, no second push starts while one is open, no
push starts unasked, nothing is confirmed without an approved push, nothing is silenced without proof, and nothing waits
without a deadline.
"""

from __future__ import annotations

from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from common.alerts import Severity
from common.ids import derived_id
from common.messages import AuthResult
from services.dispatcher.chat_commands import ChatCommand, Meaning
from services.dispatcher.conversation_events import (
    Clicked,
    MessageDelivered,
    MessageUndeliverable,
    ProofBegun,
    PushesAllowed,
    Typed,
    WatchdogBarked,
)
from services.dispatcher.policies import Policies
from tests.unit.dispatcher.world import World

TITLES = st.sampled_from(["sudo", "log-in", "download"])
MEANINGS = st.sampled_from([m for m in Meaning if m not in (Meaning.IGNORE, Meaning.YES, Meaning.NO)])
SELDOM = st.integers(0, 9).map(lambda number: number == 9)
POLICIES = st.sampled_from(
    [
        Policies(),
        Policies.model_validate({"defaults": {"proof": "always", "outside_hours": "wait", "pushes": 1}}),
        Policies.model_validate({"defaults": {"clock": "always"}, "titles": [{"match": "sudo", "proof": "never"}]}),
        Policies.model_validate({"limits": {"pushes_per_hour": 1}}),
    ]
)


class AnyOrder(RuleBasedStateMachine):
    """A person, an attacker in their chat, a phone, and time."""

    @initialize(policies=POLICIES, second_factor=st.booleans() | st.just(True))
    def begin(self, policies: Policies, second_factor: bool) -> None:
        self.world = World(policies=policies, second_factor=second_factor)

    @rule(title=TITLES, severity=st.sampled_from(Severity))
    def an_alert_arrives(self, title: str, severity: Severity) -> None:
        self.world.alert(title, severity)

    @rule(yes=st.booleans(), why=st.sampled_from(["", "patching"]))
    def they_type_yes_or_no(self, yes: bool, why: str) -> None:
        self._offered(accepted=yes)
        self.world.happen(Typed(ChatCommand(Meaning.YES if yes else Meaning.NO, why), self.world.now))

    @rule(steps=st.integers(1, 4), result=st.sampled_from(AuthResult), title=TITLES)
    def they_go_along(self, steps: int, result: AuthResult, title: str) -> None:
        """Take the next steps towards a proof, so that runs often get that far."""
        for _ in range(steps):
            if self.world.talk.question is None and self.world.talk.proof is None:
                self.world.alert(title)
            elif self.world.talk.proof and self.world.talk.proof.request_id in self.world.open_pushes:
                self.world.settle(min(self.world.open_pushes), result)
            else:
                self.they_type_yes_or_no(yes=True, why="patching")

    @rule(meaning=MEANINGS)
    def they_type_anything_else(self, meaning: Meaning) -> None:
        self.world.happen(Typed(ChatCommand(meaning), self.world.now))

    @rule(which=st.sampled_from(["last", "current", "never"]), time=st.sampled_from(["2h", "30m", "9h", ""]))
    def they_ask_to_ignore(self, which: str, time: str) -> None:
        self.world.happen(Typed(ChatCommand(Meaning.IGNORE, f"{which} {time}"), self.world.now))

    @rule(
        action=st.sampled_from(["yes", "no", "not_sure", "wrong_person", "push", "no_push", "approve", "x"]),
        own=st.booleans(),
    )
    def they_click(self, action: str, own: bool) -> None:
        talk = self.world.talk
        subject = None
        if own and action in ("push", "no_push") and talk.proof:
            subject = talk.proof.offer_id
            self._offered(accepted=action == "push")
        elif own and talk.question:
            subject = talk.question.subject
        self.world.happen(Clicked(action, subject or "somebody else's", "because"))

    def _offered(self, *, accepted: bool) -> None:
        """Note that the person asked for the push that is offered to them, if one is."""
        proof = self.world.talk.proof
        if accepted and proof is not None and proof.request_id is None:
            self.world.asked_for.add(derived_id("push", proof.offer_id))

    @rule(data=st.data(), result=st.sampled_from(AuthResult), detail=st.sampled_from(["", "bypass"]))
    def the_second_factor_answers(self, data: st.DataObject, result: AuthResult, detail: str) -> None:
        if self.world.open_pushes:
            request_id = data.draw(st.sampled_from(sorted(self.world.open_pushes)))
            self.world.settle(request_id, result, detail)

    @rule(result=st.sampled_from(AuthResult))
    def a_result_comes_that_nobody_waits_for(self, result: AuthResult) -> None:
        self.world.settle("not one of ours", result)

    @rule()
    def the_push_begins(self) -> None:
        proof = self.world.talk.proof
        self.world.happen(ProofBegun(proof.request_id if proof and proof.request_id else "other", "123", False))

    @rule(lost=SELDOM)
    def the_card_is_delivered_or_not(self, lost: bool) -> None:
        question = self.world.talk.question
        if question is not None:
            message_id = question.message_id
            self.world.happen(
                MessageUndeliverable(message_id, "gone") if lost else MessageDelivered(message_id, self.world.now)
            )

    @rule(lost=SELDOM)
    def the_offer_cannot_be_delivered(self, lost: bool) -> None:
        if lost and self.world.talk.proof is not None:
            self.world.happen(MessageUndeliverable(self.world.talk.proof.message_id, "gone"))

    @rule(minutes=st.sampled_from([1, 2, 16, 61, 125, 600, 4000]))
    def time_passes(self, minutes: int) -> None:
        self.world.pass_time(timedelta(minutes=minutes))

    @rule(barks=SELDOM)
    def the_watchdog_barks(self, barks: bool) -> None:
        if barks and self.world.talk.question is not None:
            self.world.happen(WatchdogBarked(self.world.talk.question.id))

    @rule()
    def an_analyst_allows_pushes(self) -> None:
        self.world.happen(PushesAllowed())

    @invariant()
    def alerts_are_waiting_asked_or_ended(self) -> None:
        if hasattr(self, "world"):
            for alert_hash in self.world.alerts:
                places = (alert_hash in self.world.waiting, alert_hash in self.world.on_card)
                assert places.count(True) == 1

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        for _ in range(200):
            if not self.world.waiting and self.world.talk.question is None:
                break
            self.world.pass_time(timedelta(days=1))
        assert set(self.world.verdicts) == set(self.world.alerts), "an alert without a verdict"


AnyOrder.TestCase.settings = settings(max_examples=250, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
