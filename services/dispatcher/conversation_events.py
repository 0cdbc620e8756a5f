"""What can happen to the conversation with one person. Pure data; past tense."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from common.alerts import Severity
from common.messages import AuthResult
from services.dispatcher.chat_commands import ChatCommand
from services.dispatcher.conversation_state import AskedAlert


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
    at: datetime
    """By the chat system's clock."""
    under: str | None = None
    """The message in whose thread it stands, or a name that is none of ours; None: in no thread."""
    under_sequence: int | None = None
    """That message's place among those to the person; None: it is none of ours."""
    unseen: frozenset[str] = frozenset()
    """Messages that had not reached the person by then."""


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
    at: datetime


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
    at: datetime | None = None
    """When; None: just now."""


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
