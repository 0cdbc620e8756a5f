"""What the conversation with one person decides. Pure data; the handlers carry it out. Imperative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from common.alerts import Resolution
from services.dispatcher.conversation_state import Proof, Question

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
    """Take the person off the blacklist where they put themselves on it, and tell them."""

    message_id: str
    sequence: int


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
    refused: bool = False
    """Whether somebody tried what does not count: it is counted and logged too."""


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
