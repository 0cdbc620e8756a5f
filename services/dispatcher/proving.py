"""Proof with the second factor: offered, pushed on the person's own word, settled. Pure; part of the conversation.

A push is for an answer, or for `stop` or `ignore`. There is one at a time, and whatever is not an approved push
silences nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from common.alerts import Resolution, Severity
from common.ids import derived_id
from common.messages import AuthResult
from services.dispatcher import questions, silencing
from services.dispatcher.conversation_events import ProofBegun, ProofSettled
from services.dispatcher.conversation_state import Proof, Purpose, Question
from services.dispatcher.decisions import Note, Push, Report, Tell
from services.dispatcher.policies import Policy, ProofRule
from services.dispatcher.silencing import Wish
from services.dispatcher.turn import Turn

RESULT_GRACE = timedelta(seconds=90)
"""For how long a result is waited for after the last moment in which the push may be begun, before the second factor
counts as unavailable. Duo keeps a push open for 60 s."""
REMEMBERED_AT_ONCE = timedelta(minutes=5)
"""A result that was longer on its way proves its own answer, and is not remembered for later ones."""
SILENCE_WITHIN = timedelta(minutes=15)
"""How long the push for `stop` or `ignore` can be asked for."""
HOUR = timedelta(hours=1)


def yes(turn: Turn, question: Question) -> None:
    """The person says it was them."""
    turn.decide(Note("said_yes", {"comment": question.comment}))
    _prove(turn, question)


def _prove(turn: Turn, question: Question) -> None:
    """Confirmed by an earlier proof, or a push is offered."""
    policy = turn.policy(question)
    if policy.proof is ProofRule.NEVER or not turn.rules.second_factor:
        questions.unproved(turn, question, "not asked for" if turn.rules.second_factor else "no second factor")
        return
    if _remembered(turn, question, policy):
        questions.proved(turn, question, fresh=False)
        return
    turn.refresh(question, "card_yes")
    if turn.talk.proof is None:  # otherwise a push for `stop` or `ignore` is open: `_resume` comes back here
        _offer_for_answer(turn, question, "offer_push", pushes=0)


def _remembered(turn: Turn, question: Question, policy: Policy) -> bool:
    """A push stands for later answers. One that was approved after the answer was for something else."""
    proved_at, answered_at = turn.talk.proved_at, question.answered_at
    return (
        proved_at is not None
        and (answered_at is None or proved_at <= answered_at)
        and turn.now - proved_at < policy.proof_memory
        and question.severity in (Severity.LOW, Severity.MEDIUM)
        and turn.talk.pushes_stopped_at is None
    )


# --- offering -----------------------------------------------------------------------------------------------------


def _offer_for_answer(turn: Turn, question: Question, text: str, pushes: int) -> None:
    problem = _push_problem(turn)
    if problem:
        questions.unavailable(turn, question, problem)
        return
    proof = _offered(turn, Purpose.ANSWER, turn.policy(question).proof_within, pushes)
    _offer(turn, proof, text, question.first.title)


def offer_for_silence(turn: Turn, wish: Wish) -> None:
    """`stop` and `ignore` take effect after a fresh approved push."""
    problem = _push_problem(turn)
    if problem:
        _refuse_silence(turn, wish.purpose, problem)
        return
    proof = _offered(turn, wish.purpose, SILENCE_WITHIN, pushes=0)
    _offer(turn, proof.model_copy(update={"title": wish.title, "duration": wish.duration}), f"offer_{wish.purpose}",
           wish.title, wish.written_duration)  # fmt: skip


def _offered(turn: Turn, purpose: Purpose, within: timedelta, pushes: int) -> Proof:
    message_id, sequence = turn.next_message()
    return Proof(
        purpose=purpose,
        offer_id=derived_id("offer", message_id),
        message_id=message_id,
        sequence=sequence,
        offered_at=turn.now,
        expires_at=turn.now + within,
        pushes=pushes,
    )


def _offer(turn: Turn, proof: Proof, text: str, title: str, duration: str = "") -> None:
    """Ask "phone at hand?": a push starts on the person's own click or word, never by itself."""
    turn.set(proof=proof)
    values = {"title": title, "duration": duration}
    turn.decide(Tell(proof.message_id, turn.talk.sequence, text, values, ("push", "no_push"), proof.offer_id))


def _push_problem(turn: Turn) -> str | None:
    if turn.talk.pushes_stopped_at is not None:
        return "pushes are stopped since one was marked as fraudulent"
    if len(_recent(turn)) >= turn.rules.policies.limits.pushes_per_hour:
        return "too many pushes within an hour"
    return None


def _recent(turn: Turn) -> tuple[datetime, ...]:
    return tuple(at for at in turn.talk.pushed_at if turn.now - at < HOUR)


def answer_offer(turn: Turn, proof: Proof, *, accepted: bool) -> None:
    """The person wants the push, or does not."""
    question = turn.talk.question
    if accepted:
        _push(turn, proof)
    elif proof.purpose is Purpose.ANSWER and question is not None:
        questions.failed(turn, question, Resolution.PROOF_REFUSED)
    else:
        _drop_silence(turn, proof)


def _push(turn: Turn, proof: Proof) -> None:
    stray = turn.talk.stray_push
    if stray is not None and turn.now < stray.until:
        turn.tell("push_still_open")
        return
    problem = _push_problem(turn)
    question = turn.talk.question
    if problem and proof.purpose is Purpose.ANSWER and question is not None:
        questions.unavailable(turn, question, problem)
        return
    if problem:
        turn.set(proof=None)
        _refuse_silence(turn, proof.purpose, problem)
        _resume(turn)
        return
    expires_at = turn.now + turn.rules.policies.limits.push_within
    request_id = derived_id("push", proof.offer_id)
    changes = {"request_id": request_id, "pushes": proof.pushes + 1, "expires_at": expires_at + RESULT_GRACE}
    pushed = proof.model_copy(update=changes)
    turn.set(proof=pushed, pushed_at=(*_recent(turn), turn.now), stray_push=None)
    turn.retell(proof.message_id, "offer_accepted")
    turn.decide(Push(request_id, pushed, question, expires_at))


# --- what the second factor says ------------------------------------------------------------------------------------


def begun(turn: Turn, event: ProofBegun) -> None:
    """Tell the person the code to type, or show the simulated push."""
    proof = turn.talk.proof
    if proof is None or proof.request_id != event.request_id:
        return
    if event.code is not None:
        turn.tell("push_code", code=event.code)
    if event.approve_in_chat:
        message_id, sequence = turn.next_message()
        turn.decide(Tell(message_id, sequence, "simulated_push", {}, ("approve", "refuse"), event.request_id))


def settled(turn: Turn, event: ProofSettled) -> None:
    """Take the result of the push that is waited for; any other is too late and proves nothing.

    A push that its person did not want shows that somebody else has the chat: no earlier one is remembered any more.
    """
    if event.result in (AuthResult.DENIED, AuthResult.FRAUD):
        turn.set(proved_at=None)
    if event.result is AuthResult.FRAUD:
        turn.set(pushes_stopped_at=turn.now)
        turn.decide(Note("pushes_stopped", {"cause": "a push was marked as fraudulent"}))
        turn.decide(Report("report_fraud"))
    stray = turn.talk.stray_push
    if stray is not None and stray.request_id == event.request_id:
        turn.set(stray_push=None)
    proof = turn.talk.proof
    if proof is None or proof.request_id != event.request_id:
        turn.decide(Note("late_proof_ignored", {"result": event.result.value, "detail": event.detail}, refused=True))
        return
    turn.set(proof=None)
    if event.result is AuthResult.APPROVED and turn.now - (event.at or turn.now) < REMEMBERED_AT_ONCE:
        turn.set(proved_at=turn.now)
    question = turn.talk.question
    if proof.purpose is not Purpose.ANSWER:
        _settle_silence(turn, proof, event)
    elif question is not None:
        _settle_answer(turn, question, proof, event)


def _settle_answer(turn: Turn, question: Question, proof: Proof, event: ProofSettled) -> None:
    again = proof.pushes < turn.policy(question).pushes
    match event.result:
        case AuthResult.APPROVED:
            questions.proved(turn, question, fresh=True)
        case AuthResult.UNPROVED:
            questions.unproved(turn, question, event.detail)
        case AuthResult.DENIED:
            questions.failed(turn, question, Resolution.PROOF_DENIED)
        case AuthResult.FRAUD:
            critical = question.model_copy(update={"severity": Severity.CRITICAL})
            questions.failed(turn, critical, Resolution.PROOF_FRAUD)
        case AuthResult.TIMED_OUT | AuthResult.PUSH_FAILED if again:
            _offer_for_answer(turn, question, "offer_push_again", proof.pushes)
        case AuthResult.TIMED_OUT:
            questions.failed(turn, question, Resolution.PROOF_TIMEOUT)
        case AuthResult.PUSH_FAILED | AuthResult.UNAVAILABLE:
            questions.unavailable(turn, question, event.detail or event.result.value)


def expired(turn: Turn, proof: Proof) -> None:
    """Nobody asked for the offered push in time, or its result never came."""
    question = turn.talk.question
    if proof.purpose is not Purpose.ANSWER or question is None:
        _drop_silence(turn, proof)
    elif proof.request_id is None:
        questions.failed(turn, question, Resolution.PROOF_TIMEOUT)
    else:
        questions.unavailable(turn, question, "no result in time")


def not_offered(turn: Turn, proof: Proof, why: str) -> None:
    """Chat could not deliver the offer."""
    question = turn.talk.question
    if proof.purpose is Purpose.ANSWER and question is not None:
        questions.unavailable(turn, question, f"chat could not offer the push: {why}")
    else:
        turn.set(proof=None)
        _resume(turn)


# --- silencing ------------------------------------------------------------------------------------------------------


def _settle_silence(turn: Turn, proof: Proof, event: ProofSettled) -> None:
    if event.result is AuthResult.APPROVED:
        silencing.take_effect(turn, proof.purpose, proof.title, proof.duration, proved=True)
    else:
        _refuse_silence(turn, proof.purpose, event.detail or event.result.value)
    _resume(turn)


def _refuse_silence(turn: Turn, purpose: Purpose, cause: str) -> None:
    turn.tell("silence_refused")
    turn.decide(Report("report_silence_refused", {"purpose": purpose.value, "cause": cause}))


def _drop_silence(turn: Turn, proof: Proof) -> None:
    turn.set(proof=None)
    if proof.request_id is None:
        turn.retell(proof.message_id, "offer_over")
    turn.tell("silence_dropped")
    _resume(turn)


def _resume(turn: Turn) -> None:
    """A question answered with yes while a push for something else was open gets its own proof now."""
    question = turn.talk.question
    if question is not None and question.answered_at is not None and turn.talk.proof is None:
        _prove(turn, question)
