"""The conversation with one person, the heart of the bot. Pure: no clock, no database, no network.

`advance` takes where the conversation stands and what happened, and returns where it stands then and what is decided.

    waiting ──alert──► asked ──yes──► push offered ──click──► pushed ──approved──► confirmed
                         │ no, not sure, wrong person, silence    │ refused, denied, fraud, expired, unavailable
                         └──────────────► resolved ◄──────────────┘       (never silences anything)

Rules that hold in every state, tested as invariants: one question at a time; one push at a time, and only after the
person asked for it; only an approved push makes `confirmed`; whatever else happens goes to the security team; every
waiting state has a deadline. `questions`, `proving` and `silencing` have the rules of each part.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from common.alerts import Resolution
from services.dispatcher import proving, questions, silencing
from services.dispatcher.chat_commands import ChatCommand, Meaning
from services.dispatcher.conversation_events import (
    AlertsArrived,
    Clicked,
    Event,
    MessageDelivered,
    MessageUndeliverable,
    ProofBegun,
    ProofSettled,
    PushesAllowed,
    TimePassed,
    Typed,
    WatchdogBarked,
)
from services.dispatcher.conversation_state import Conversation, Proof, Purpose, Question
from services.dispatcher.decisions import Decision, LookForMore, MakeTestAlert, Note, Report, Start, TellStatus
from services.dispatcher.turn import Rules, Turn

ANSWERS = {m.value: m for m in (Meaning.YES, Meaning.NO, Meaning.NOT_SURE, Meaning.WRONG_PERSON)}
_RESOLUTIONS = {
    Meaning.NO: Resolution.DENIED,
    Meaning.NOT_SURE: Resolution.NOT_SURE,
    Meaning.WRONG_PERSON: Resolution.WRONG_PERSON,
}
SIMULATED_PUSH = ("approve", "refuse")
"""Buttons of the simulated push, which the auth poller takes."""
OFFERED = ("push", "no_push")
CLOCKS = timedelta(seconds=1)
"""By how much the chat system's clock and ours may differ, and the noting of a message be later than its showing."""
NOTED_WITHIN = timedelta(seconds=3)
"""A message that the record does not know as shown by then has not been shown."""
ACTIONS = frozenset((*ANSWERS, *OFFERED, *SIMULATED_PUSH))
"""Every button that the bot shows."""


def advance(
    conversation: Conversation, event: Event, rules: Rules, now: datetime
) -> tuple[Conversation, tuple[Decision, ...]]:
    """Return the conversation after `event`, and what is decided, in order."""
    turn = Turn(conversation, rules, now)
    _take(turn, event)
    if conversation.question is not None and turn.talk.question is None:
        turn.decide(LookForMore())
    return turn.talk, tuple(turn.decisions)


def _take(turn: Turn, event: Event) -> None:  # noqa: C901 - one line a kind of event
    match event:
        case AlertsArrived():
            questions.arrived(turn, event)
        case Typed():
            _typed(turn, event)
        case Clicked():
            _clicked(turn, event)
        case MessageDelivered(message_id, at):
            questions.delivered(turn, message_id, at)
        case MessageUndeliverable():
            _undeliverable(turn, event)
        case ProofBegun():
            proving.begun(turn, event)
        case ProofSettled():
            proving.settled(turn, event)
        case TimePassed():
            _time_passed(turn)
        case WatchdogBarked(question_id):
            if turn.talk.question is not None and turn.talk.question.id == question_id:
                questions.give_up(turn, turn.talk.question)
        case PushesAllowed():
            turn.set(pushes_stopped_at=None)


def _typed(turn: Turn, typed: Typed) -> None:
    command = typed.command
    match command.meaning:
        case Meaning.YES | Meaning.NO | Meaning.NOT_SURE | Meaning.WRONG_PERSON:
            _answered_in_words(turn, typed)
        case Meaning.HI:
            turn.tell("hello")
        case Meaning.HELP:
            turn.tell("help_all" if command.rest.strip("- ").casefold() in ("a", "all") else "help")
        case Meaning.STATUS:
            turn.decide(TellStatus(*turn.next_message()))
        case Meaning.TEST:
            turn.decide(MakeTestAlert())
        case Meaning.START:
            turn.decide(Start(*turn.next_message()))
        case Meaning.STOP | Meaning.IGNORE:
            _silence(turn, command)
        case Meaning.UNKNOWN:
            _not_understood(turn)


def _answered_in_words(turn: Turn, typed: Typed) -> None:
    command, subject = typed.command, _subject(turn.talk, typed)
    if isinstance(subject, Question):
        _answer(turn, command.meaning, command.rest)
    elif subject is None:
        _not_meant_for_this(turn)
    elif subject.request_id is not None:
        turn.tell("proof_still_open")
    elif command.meaning in (Meaning.YES, Meaning.NO):
        _keep_why(turn, command.rest)
        proving.answer_offer(turn, subject, accepted=command.meaning is Meaning.YES)
    elif subject.purpose is Purpose.ANSWER:
        _answer(turn, command.meaning, command.rest)
    else:
        turn.tell("not_understood_offer")


def _subject(talk: Conversation, typed: Typed) -> Question | Proof | None:
    """Return what words answer, which carry no subject: what they stand under, otherwise what was put last before them.

    Under the card also stands what is said to the offer of its own push.
    """
    question, proof = talk.question, talk.proof
    offer = proof if proof is not None and proof.request_id is None else None
    if typed.under is not None:
        if question is not None and typed.under == question.message_id:
            its_own = offer is not None and offer.purpose is Purpose.ANSWER and not _before(typed, offer.offered_at)
            return offer if its_own else None if _before(typed, question.put_at) else question
        if proof is not None and typed.under == proof.message_id:
            return question if offer is None and proof.purpose is Purpose.ANSWER else proof
        if question is None or typed.under_sequence is None or typed.under_sequence < question.sequence:
            return None  # under an older card, or something that is none of ours
    put: list[Question | Proof] = []
    if question is not None and question.message_id not in typed.unseen and not _before(typed, question.put_at):
        put.append(question)
    if offer is not None and offer.message_id not in typed.unseen and not _before(typed, offer.offered_at):
        put.append(offer)
    return max(put, key=lambda one: one.sequence, default=None)


def _before(typed: Typed, put_at: datetime | None) -> bool:
    return put_at is not None and typed.at < put_at


def unseen(talk: Conversation, shown: Mapping[str, datetime], said_at: datetime, now: datetime) -> frozenset[str]:
    """Return which of the open messages, the question's and the offer's, the person cannot have seen at `said_at`.

    Args:
        talk: where the conversation stands.
        shown: when messages reached the person, as far as the record knows.
        said_at: by the chat system's clock.
        now: the time.
    """
    put = {} if talk.question is None else {talk.question.message_id: talk.question.asked_at}
    if talk.proof is not None and talk.proof.request_id is None:
        put[talk.proof.message_id] = talk.proof.offered_at or now
    return frozenset(
        message_id
        for message_id, put_at in put.items()
        if (said_at < shown[message_id] - CLOCKS if message_id in shown else now - put_at > NOTED_WITHIN)
    )


def _not_meant_for_this(turn: Turn) -> None:
    question, proof = turn.talk.question, turn.talk.proof
    if question is None and proof is None:
        turn.tell("nothing_to_answer")
        return
    if question is not None:
        turn.tell("meant_for_another", title=question.first.title)
    else:
        turn.tell("not_understood_offer" if proof and proof.request_id is None else "proof_still_open")
    turn.decide(Note("answer_ignored", {"cause": "written before the question, or under another one"}, refused=True))


def _keep_why(turn: Turn, why: str) -> None:
    """Words beside the answer to an offered push are the reason that was not given before."""
    question = turn.talk.question
    if question is not None and question.answered_at is not None and not question.comment:
        turn.set_question(question, comment=why)


def _clicked(turn: Turn, click: Clicked) -> None:
    question, proof = turn.talk.question, turn.talk.proof
    if click.action in ANSWERS and question is not None and click.subject == question.subject:
        _answer(turn, ANSWERS[click.action], click.comment)
    elif click.action in OFFERED and proof is not None and click.subject == proof.offer_id:
        if proof.request_id is None:
            proving.answer_offer(turn, proof, accepted=click.action == "push")
    elif click.action not in SIMULATED_PUSH:
        turn.decide(
            Note("click_ignored", {"click": click.action[:64], "subject": (click.subject or "")[:64]}, refused=True)
        )
        _too_late(turn, click)


def _too_late(turn: Turn, click: Clicked) -> None:
    """A "no" on a card that has ended or changed meanwhile is not lost: somebody says that it was not them."""
    if click.action != Meaning.NO or click.subject == turn.talk.last_no:
        return
    turn.set(last_no=click.subject)
    turn.tell("too_late")
    turn.decide(Report("report_too_late"))


def _answer(turn: Turn, meaning: Meaning, comment: str) -> None:
    question = turn.talk.question
    if question is None:
        turn.tell("nothing_to_answer")
    elif meaning is not Meaning.YES:
        if meaning is Meaning.NO:
            turn.set(last_no=question.subject)
        questions.answered(turn, question, _RESOLUTIONS[meaning], comment or question.comment)
    elif question.answered_at is None:
        proving.yes(turn, turn.set_question(question, answered_at=turn.now, comment=comment))
    else:
        turn.tell("proof_still_open")


def _silence(turn: Turn, command: ChatCommand) -> None:
    if turn.talk.proof is not None:
        turn.tell("proof_still_open")
        return
    wish = silencing.read(command, turn.talk, turn.rules.policies.limits)
    if isinstance(wish, silencing.Refusal):
        turn.tell(wish.text, **wish.values)
    elif turn.rules.second_factor:
        proving.offer_for_silence(turn, wish)
    else:
        silencing.take_effect(turn, wish.purpose, wish.title, wish.duration, proved=False)


def _not_understood(turn: Turn) -> None:
    question, proof = turn.talk.question, turn.talk.proof
    if proof is not None and proof.request_id is None:
        turn.tell("not_understood_offer")
    elif question is not None and question.answered_at is None:
        turn.tell("not_understood_question", title=question.first.title)
    else:
        turn.tell("not_understood")


def _undeliverable(turn: Turn, event: MessageUndeliverable) -> None:
    question, proof = turn.talk.question, turn.talk.proof
    if question is not None and question.message_id == event.message_id:
        questions.unreachable(turn, question, event.reason)
    elif proof is not None and proof.message_id == event.message_id and proof.request_id is None:
        proving.not_offered(turn, proof, event.reason)


def _time_passed(turn: Turn) -> None:
    proof = turn.talk.proof
    if proof is not None and proof.expires_at <= turn.now:
        proving.expired(turn, proof)
    question = turn.talk.question
    if question is not None:
        if question.answered_at is None:
            questions.due(turn, question)
    elif turn.talk.wake_at is not None and turn.talk.wake_at <= turn.now:
        turn.set(wake_at=None)
        turn.decide(LookForMore())
