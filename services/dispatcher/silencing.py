"""What `ignore` and `stop` ask for, and what they do once they are proved. Pure; part of the conversation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from services.dispatcher.chat_commands import ChatCommand, Meaning
from services.dispatcher.conversation_state import Conversation, Purpose
from services.dispatcher.decisions import Ignore, Stop, Values
from services.dispatcher.durations import format_duration, parse_duration
from services.dispatcher.policies import Limits
from services.dispatcher.turn import Turn

_EDGE = " .,;:!?\"'"
"""What people write around the arguments without meaning anything by it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A silence that the person asks for."""

    purpose: Purpose
    duration: timedelta
    title: str = ""

    @property
    def written_duration(self) -> str:
        """How long, as people write it."""
        return format_duration(self.duration)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why it cannot be had: a text and its values."""

    text: str
    values: Values = field(default_factory=dict)


def read(command: ChatCommand, talk: Conversation, limits: Limits) -> Wish | Refusal:
    """Return what `stop` or `ignore (last|current) XhYm` asks for."""
    if command.meaning is Meaning.STOP:
        return Wish(Purpose.STOP, limits.stop_for)
    which, _, duration_text = command.rest.strip(_EDGE).partition(" ")
    duration = parse_duration(duration_text)
    longest = format_duration(limits.ignore_at_most)
    if which.casefold() not in ("last", "current") or not duration:
        return Refusal("ignore_usage", {"longest": longest})
    if duration > limits.ignore_at_most:
        return Refusal("ignore_too_long", {"longest": longest})
    current = talk.question.first.title if talk.question else None
    title = current if which.casefold() == "current" else talk.last_title
    if title is None:
        return Refusal("ignore_nothing")
    return Wish(Purpose.IGNORE, duration, title)


def take_effect(turn: Turn, purpose: Purpose, title: str, duration: timedelta, *, proved: bool) -> None:
    """Silence, and say until when: it ends by itself. An open question stays open."""
    written, until = format_duration(duration), turn.now + duration
    if purpose is Purpose.STOP:
        turn.decide(Stop(until, proved))
        turn.tell("stopped", duration=written)
    else:
        turn.decide(Ignore(title, until, proved))
        turn.tell("ignored_now", duration=written, title=title)
