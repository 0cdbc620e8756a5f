"""The conversation with one person as plain data: its state, what happens to it, and what it decides. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from common.alerts import Alert, Resolution, Severity
from common.ids import derived_id
from common.messages import AuthResult
from services.dispatcher.chat_commands import ChatCommand

REASON_SHOWN = 1500
"""Characters of the reason that a chat message shows; the record and the link have the rest."""


class _State(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# --- state ------------------------------------------------------------------------------------------------------


class AskedAlert(_State):
    """What the person is shown of an alert."""

    hash: str
    title: str
    severity: Severity
    description: str
    reason: str | None = None
    url: str | None = None
    source: str
    event_time: datetime

    @classmethod
    def of(cls, alert: Alert) -> AskedAlert:
        """Return what is shown of `alert`."""
        reason = alert.reason
        if reason and len(reason) > REASON_SHOWN:
            reason = reason[: REASON_SHOWN - 1] + "…"
        return cls(
            hash=alert.hash,
            title=alert.title,
            severity=alert.severity,
            description=alert.description,
            reason=reason,
            url=alert.url,
            source=alert.source,
            event_time=alert.event_time,
        )


class Question(_State):
    """One live card: "did you do this?", about all open alerts of one title."""

    id: str
    message_id: str
    """The chat message that shows it."""
    first: AskedAlert
    count: int
    severity: Severity
    """The highest among its alerts."""
    asked_at: datetime
    deadline: datetime
    remind_at: datetime | None
    refresh_at: datetime | None = None
    """When the card is to show the new count: alerts of a storm are not shown one by one."""
    delivered: bool = False
    answered_at: datetime | None = None
    """When they said yes; from then on only the proof is missing."""
    comment: str = ""


class Purpose(StrEnum):
    """What a push is for."""

    ANSWER = "answer"
    STOP = "stop"
    IGNORE = "ignore"


class Proof(_State):
    """A push that is offered or on its way. There is never more than one."""

    purpose: Purpose
    offer_id: str
    """Subject of the offer's buttons."""
    message_id: str
    """The chat message with the offer."""
    expires_at: datetime
    """While offered: until when it can be accepted. While pushed: until when its result is waited for."""
    request_id: str | None = None
    """The second-factor request, once the person has asked for the push."""
    pushes: int = 0
    """Pushes sent for this purpose so far."""
    title: str = ""
    """For `ignore`: which title."""
    duration: timedelta = timedelta(0)
    """For `ignore`: how long."""

    @classmethod
    def offer(cls, purpose: Purpose, message_id: str, _sequence: int, expires_at: datetime, pushes: int) -> Proof:
        """Return the offer of a push that the chat message `message_id` makes."""
        return cls(
            purpose=purpose,
            offer_id=derived_id("offer", message_id),
            message_id=message_id,
            expires_at=expires_at,
            pushes=pushes,
        )


class StrayPush(_State):
    """A push that nobody waits for any more but that may still be open on the phone: no other is sent meanwhile."""

    request_id: str
    until: datetime


class Conversation(_State):
    """Where the conversation with one person stands. No question and no proof: waiting for an alert."""

    person_id: str
    sequence: int = 0
    """Messages sent to the person so far; the next one's place in the order is one more."""
    question: Question | None = None
    proof: Proof | None = None
    proved_at: datetime | None = None
    """When the person last approved a push."""
    pushed_at: tuple[datetime, ...] = ()
    """The pushes of the last hour."""
    stray_push: StrayPush | None = None
    pushes_stopped_at: datetime | None = None
    """Set by a push marked as fraudulent, until an analyst lifts it."""
    wake_at: datetime | None = None
    """When alerts that wait for working hours are to be asked."""
    last_title: str | None = None
    """For `ignore last`."""

    def due_at(self) -> datetime | None:
        """Return the next moment at which something happens by itself."""
        moments = [self.wake_at if self.question is None else None]
        if self.question and not self.question.answered_at:
            moments += [self.question.deadline, self.question.remind_at, self.question.refresh_at]
        if self.proof:
            moments.append(self.proof.expires_at)
        return min((moment for moment in moments if moment is not None), default=None)


# --- events -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AlertsArrived:
    """Alerts of one title that wait for the person: one that just came, or what waited for the last question's end."""

    first: AskedAlert
    count: int
    severity: Severity
    follows: bool = False
    """Whether they come up because the last question ended ("one more thing…")."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The person wrote something."""

    command: ChatCommand


@dataclass(frozen=True, slots=True)
class Clicked:
    """The person clicked a button."""

    action: str
    subject: str | None
    comment: str


@dataclass(frozen=True, slots=True)
class MessageDelivered:
    """They can see a chat message."""

    message_id: str


@dataclass(frozen=True, slots=True)
class MessageUndeliverable:
    """They will never see a chat message."""

    message_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ProofBegun:
    """The second factor has taken a request."""

    request_id: str
    code: str | None
    approve_in_chat: bool


@dataclass(frozen=True, slots=True)
class ProofSettled:
    """The second factor has given its result."""

    request_id: str
    result: AuthResult
    detail: str


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Something is due."""


@dataclass(frozen=True, slots=True)
class WatchdogBarked:
    """The question's alerts have waited too long for a verdict, whatever the cause."""

    question_id: str


@dataclass(frozen=True, slots=True)
class PushesAllowed:
    """An analyst lifted the stop of pushes."""


Event = (
    AlertsArrived
    | Typed
    | Clicked
    | MessageDelivered
    | MessageUndeliverable
    | ProofBegun
    | ProofSettled
    | TimePassed
    | WatchdogBarked
    | PushesAllowed
)


# --- decisions --------------------------------------------------------------------------------------------------

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a text of `config/messages.yaml`."""

    message_id: str
    sequence: int
    text: str
    values: Values = field(default_factory=dict)
    buttons: tuple[str, ...] = ()
    """Actions that can be clicked; their labels are texts too."""
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Show a question's card."""

    question: Question
    sequence: int
    greeting: Literal["first", "next"]


@dataclass(frozen=True, slots=True)
class Refresh:
    """Let a question's card show where it stands: with the count while open, otherwise with `result`."""

    question: Question
    sequence: int
    result: str | None
    """Key of the text that replaces the buttons."""


@dataclass(frozen=True, slots=True)
class Retell:
    """Let an earlier message show another text, without buttons."""

    message_id: str
    sequence: int
    text: str
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Push:
    """Ask the second factor."""

    request_id: str
    proof: Proof
    question: Question | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Resolve:
    """Give all alerts of the question their verdict."""

    question: Question
    resolution: Resolution
    performed: bool | None = None
    authenticated: bool | None = None
    comment: str = ""
    responded: bool = False
    """Whether the person gave an answer."""


@dataclass(frozen=True, slots=True)
class BackOff:
    """Do not ask about the title again for a while: its answer was proved."""

    title: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Ignore:
    """The person silenced a title, with proof where there is a second factor."""

    title: str
    until: datetime
    proved: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """The person put themselves on the blacklist, with proof where there is a second factor."""

    until: datetime
    proved: bool


@dataclass(frozen=True, slots=True)
class Start:
    """Take the person off the blacklist where they put themselves on it."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the reporting channel something that is no resolution."""

    text: str
    values: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """Put into the history."""

    action: str
    detail: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MakeTestAlert:
    """The person asked for an alert to try the bot with."""


@dataclass(frozen=True, slots=True)
class TellStatus:
    """The person asked what is open; the shell knows how many alerts wait."""

    message_id: str
    sequence: int


@dataclass(frozen=True, slots=True)
class LookForMore:
    """Nothing is asked: if alerts wait for the person, let the worst and oldest arrive."""


Decision = (
    Tell
    | Ask
    | Refresh
    | Retell
    | Push
    | Resolve
    | BackOff
    | Ignore
    | Stop
    | Start
    | Report
    | Note
    | MakeTestAlert
    | TellStatus
    | LookForMore
)
