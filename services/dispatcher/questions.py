"""A question's life: asked, joined by more alerts of its title, resolved. Pure; part of the conversation."""

from __future__ import annotations

from datetime import datetime, timedelta

from common.alerts import Resolution, Severity
from common.ids import derived_id
from common.messages import DELIVERED_LATE
from services.dispatcher.conversation_events import AlertsArrived
from services.dispatcher.conversation_state import Conversation, Purpose, Question, StrayPush
from services.dispatcher.decisions import Ask, BackOff, Resolve
from services.dispatcher.policies import deadline, reminder
from services.dispatcher.turn import Turn

REFRESH_AFTER = timedelta(seconds=2)


def joins(talk: Conversation, title: str) -> bool:
    """Tell whether an alert of `title` that arrives now becomes part of the open question."""
    question = talk.question
    return question is not None and question.first.title == title and question.answered_at is None


def arrived(turn: Turn, alerts: AlertsArrived) -> None:
    """Ask, or join the open question of that title; otherwise the alerts wait for the question's end."""
    question = turn.talk.question
    if question is None:
        _ask(turn, alerts)
    elif joins(turn.talk, alerts.first.title):
        _join(turn, question, alerts)


def _ask(turn: Turn, alerts: AlertsArrived) -> None:
    policy, hours, now = turn.rules.policies.of(alerts.first.title, alerts.severity), turn.rules.hours, turn.now
    if policy.outside_hours == "wait" and policy.clock == "business" and not hours.is_open(now):
        opening = hours.next_opening(now)
        turn.set(wake_at=min(opening, turn.talk.wake_at or opening))
        return
    message_id, sequence = turn.next_message()
    until = deadline(policy, hours, now, policy.answer_within)
    question = Question(
        id=derived_id("question", message_id),
        message_id=message_id,
        sequence=sequence,
        first=alerts.first,
        count=alerts.count,
        severity=alerts.severity,
        asked_at=now,
        deadline=until,
        remind_at=reminder(policy, hours, now, until),
    )
    turn.set(question=question, wake_at=None, last_title=alerts.first.title)
    turn.decide(Ask(question, "next" if alerts.follows else "first"))


def _join(turn: Turn, question: Question, alerts: AlertsArrived) -> None:
    """One more alert of the title. One that is worse than what the card shows is shown at once, and asked anew."""
    severity = max(question.severity, alerts.severity, key=lambda s: s.rank)
    policy = turn.rules.policies.of(question.first.title, severity)
    until = deadline(policy, turn.rules.hours, turn.now, policy.answer_within)
    joined = turn.set_question(
        question,
        count=question.count + alerts.count,
        severity=severity,
        deadline=min(question.deadline, until),
        refresh_at=question.refresh_at or turn.now + REFRESH_AFTER,
    )
    if severity is not question.severity:
        revised = turn.set_question(
            joined, first=alerts.first, revision=question.revision + 1, revised_at=turn.now, refresh_at=None
        )
        turn.refresh(revised, None)


def delivered(turn: Turn, message_id: str, at: datetime) -> None:
    """The person can see the card; if that took long, their time began then."""
    question = turn.talk.question
    if question is None or question.message_id != message_id or question.delivered:
        return
    question = turn.set_question(question, delivered=True)
    if at - question.asked_at > DELIVERED_LATE and question.answered_at is None:
        policy = turn.policy(question)
        until = deadline(policy, turn.rules.hours, at, policy.answer_within)
        turn.set_question(question, deadline=until, remind_at=reminder(policy, turn.rules.hours, at, until))


def due(turn: Turn, question: Question) -> None:
    """Do what time has brought to a question that waits for its answer."""
    if question.deadline <= turn.now:
        give_up(turn, question)
        return
    if question.refresh_at is not None and question.refresh_at <= turn.now:
        question = turn.set_question(question, refresh_at=None)
        turn.refresh(question, None)
    if question.remind_at is not None and question.remind_at <= turn.now:
        turn.set_question(question, remind_at=None)
        turn.tell("reminder", title=question.first.title)


# --- verdicts -----------------------------------------------------------------------------------------------------


def give_up(turn: Turn, question: Question) -> None:
    """Time is up: what is missing decides the verdict."""
    if question.answered_at is not None:
        unavailable(turn, question, "no result in time")
    elif question.delivered:
        _resolve(turn, question, Resolve(question, Resolution.NO_RESPONSE))
    else:
        unreachable(turn, question, "not delivered in time")


def answered(turn: Turn, question: Question, resolution: Resolution, comment: str) -> None:
    """`denied`, `not_sure` or `wrong_person`: an answer that needs no proof, since it closes nothing."""
    performed = False if resolution is Resolution.DENIED else None
    _resolve(turn, question, Resolve(question, resolution, performed, None, comment, responded=True))


def proved(turn: Turn, question: Question, *, fresh: bool) -> None:
    """The only verdict that silences: the same title is not asked again for a while, unless it is critical.

    And only after a push of its own (`fresh`): whoever has got hold of the chat within the memory of an earlier push
    mutes nothing.
    """
    _resolve(turn, question, Resolve(question, Resolution.CONFIRMED, True, True, question.comment, responded=True))
    back_off = turn.policy(question).back_off
    if fresh and back_off and question.severity is not Severity.CRITICAL:
        turn.decide(BackOff(question.first.title, turn.now + back_off))


def unproved(turn: Turn, question: Question, why: str) -> None:
    """They say so, and nothing proved it."""
    comment = f"{question.comment} (not proved: {why})".strip()
    _resolve(turn, question, Resolve(question, Resolution.CONFIRMED_UNPROVED, True, False, comment, responded=True))


def failed(turn: Turn, question: Question, resolution: Resolution) -> None:
    """They said yes, and the proof was refused, denied, let expire or marked as fraud."""
    _resolve(turn, question, Resolve(question, resolution, True, False, question.comment, responded=True))


def unavailable(turn: Turn, question: Question, why: str) -> None:
    """They said yes, and the second factor could not be asked."""
    comment = f"{question.comment} (second factor unavailable: {why})".strip()
    _resolve(turn, question, Resolve(question, Resolution.PROOF_UNAVAILABLE, True, False, comment, responded=True))


def unreachable(turn: Turn, question: Question, why: str) -> None:
    """Chat could not deliver the question."""
    _resolve(turn, question, Resolve(question, Resolution.UNREACHABLE, comment=why))


def _resolve(turn: Turn, question: Question, verdict: Resolve) -> None:
    """End the question: verdict, proof, card, and a word to the person."""
    turn.decide(verdict)
    proof = turn.talk.proof
    if proof is not None and proof.purpose is Purpose.ANSWER:
        turn.set(proof=None)
        if proof.request_id is None:
            turn.retell(proof.message_id, "offer_over")
        else:
            turn.set(stray_push=StrayPush(request_id=proof.request_id, until=proof.expires_at))
    turn.set(question=None)
    turn.refresh(question, f"card_{verdict.resolution}")
    if verdict.resolution is not Resolution.UNREACHABLE:
        turn.tell(f"told_{verdict.resolution}", title=question.first.title)
