"""Every message on the internal exchange. Commands are imperative, events past tense; all frozen.

The type's name is the routing key; `version` changes when a field changes its meaning, and `tests/contract/golden`
keeps one stored message for each type and version, so that a message written by an older release still decodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from common.alerts import Alert

DELIVERED_LATE = timedelta(seconds=30)
"""A question that reached its person later than this gives them the full time from then on."""


class Message(BaseModel):
    """Base of every message."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    version: ClassVar[int] = 1

    @classmethod
    def type_name(cls) -> str:
        """Return the name on the wire, also the routing key."""
        return cls.__name__


M_co = TypeVar("M_co", bound=Message, covariant=True)


@dataclass(frozen=True, slots=True)
class Envelope(Generic[M_co]):
    """A message with what the bus knows about it."""

    id: str
    message: M_co
    owner: str | None
    """Whose message it is (a chat id), for whoever follows one person's messages; their order is `sequence`'s."""
    correlation_id: str | None
    """The alert's hash, or what else binds the log lines of one story together."""


# --- what a chat message says; the gateway decides how it looks -------------------------------------------------


class Part(BaseModel):
    """One piece of a chat message. All of it is plain text: no markup in it is ever interpreted."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["text", "heading", "quote", "code", "link", "facts"]
    text: str = ""
    url: str | None = None
    """Only for `link`: where `text` leads."""
    facts: tuple[tuple[str, str], ...] = ()
    """Only for `facts`: label and value."""


class Button(BaseModel):
    """A button that says the same as a typed word."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    action: str
    """What a click means, e.g. `yes`; comes back in `ReplyReceived.action`."""
    label: str
    style: Literal["primary", "danger"] | None = None


class ChatContent(BaseModel):
    """A whole chat message."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    summary: str
    """One plain line for notifications and for clients that show no parts."""
    parts: tuple[Part, ...] = ()
    buttons: tuple[Button, ...] = ()
    comment_label: str | None = None
    """Set: there is a field for a comment, with this label; its text comes with the click."""
    subject: str | None = None
    """Opaque id that comes back with a click (the question or the authentication request)."""


class Recipient(BaseModel):
    """Where a chat message goes: a person's direct messages or a channel."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["person", "channel"]
    id: str


# --- messages ---------------------------------------------------------------------------------------------------


class AlertAccepted(Message):
    """ingest → dispatcher: a new alert is in the record."""

    alert: Alert


class SendChatMessage(Message):
    """dispatcher → chat gateway: show this, exactly once. The envelope's id names the chat message from now on."""

    recipient: Recipient
    sequence: int
    """Position among the messages to this person, from 1 and without gaps; 0 for channels, whose order is free."""
    content: ChatContent
    notify: bool = False
    """Whether the dispatcher wants to be told (`ChatMessageDelivered`) if delivery took longer than `DELIVERED_LATE`:
    the usual case is in the record. A failure is always told."""


class UpdateChatMessage(Message):
    """dispatcher → chat gateway: let an earlier chat message show this instead."""

    target: str
    """The id of the `SendChatMessage`."""
    recipient: Recipient
    sequence: int
    content: ChatContent


class LookUpPerson(Message):
    """dispatcher → chat gateway: somebody by this name, e-mail address or chat id is not in the directory yet."""

    handle: str


class PersonLookedUp(Message):
    """chat gateway → dispatcher: the directory was asked afresh; `person_id` is None when nobody answers to it."""

    handle: str
    person_id: str | None = None
    error: str | None = None
    """Why the chat system could not say who it is; then nothing is known."""


class ChatMessageDelivered(Message):
    """chat gateway → dispatcher: the person can see the message, later than they should."""

    target: str
    recipient: Recipient
    delivered_at: datetime


class ChatMessageUndeliverable(Message):
    """chat gateway → dispatcher: the message will never be seen."""

    target: str
    recipient: Recipient
    reason: str


class ReplyReceived(Message):
    """chat gateway → dispatcher: a person wrote to the bot or clicked. Who did is vouched for by the chat system."""

    person_id: str
    text: str = ""
    """What they typed, or the comment beside the button."""
    action: str | None = None
    """The button's action; None for typed text."""
    subject: str | None = None
    """`ChatContent.subject` of the message whose button was clicked. Comes from outside: compare, do not trust."""
    thread: str | None = None
    """Under which message it was typed, as the chat system calls that one; None: under none."""
    received_at: datetime


class StartAuthentication(Message):
    """dispatcher → auth poller: ask this person's second factor, once."""

    request_id: str
    person_id: str
    username: str
    """The person's name at the second factor."""
    title: str
    """Shown on the push: what it is about."""
    facts: tuple[tuple[str, str], ...] = ()
    """Label and value, shown on the push."""
    expires_at: datetime
    """A push not begun by then must not begin. One that has begun is waited for until it ends."""


class AuthenticationStarted(Message):
    """auth poller → dispatcher: the second factor has taken the request, and the person can be told what to do."""

    request_id: str
    person_id: str
    code: str | None = None
    """The person has to type this code into the push (Duo's Verified Push)."""
    approve_in_chat: bool = False
    """The simulated push: it is approved or refused with buttons in chat (actions `approve` and `refuse`, subject: the
    request id)."""


class AuthResult(StrEnum):
    """What the second factor said. Only `APPROVED` is proof."""

    APPROVED = "approved"
    DENIED = "denied"
    FRAUD = "fraud"
    TIMED_OUT = "timed_out"
    PUSH_FAILED = "push_failed"
    """It did not reach the person, or nobody knows whether it did: another may be asked for."""
    UNPROVED = "unproved"
    """Let through without asking: bypass, preauth allow, enroll, no second factor at all."""
    UNAVAILABLE = "unavailable"
    """Could not be asked: away, locked out, not permitted, wrongly set up."""


class AuthenticationSettled(Message):
    """auth poller → dispatcher: the one result of a `StartAuthentication`."""

    request_id: str
    person_id: str
    result: AuthResult
    detail: str = ""
    """The second factor's own word for it, e.g. `bypass`, `locked_out`; for the record and the report."""
    settled_at: datetime


class AllowPushes(Message):
    """console, command line → dispatcher: pushes may go to this person again, after one was marked as fraudulent."""

    person_id: str
    analyst: str
    """Actor of the history row, e.g. `analyst:mara`."""


ALL_MESSAGES: tuple[type[Message], ...] = (
    AlertAccepted,
    SendChatMessage,
    UpdateChatMessage,
    LookUpPerson,
    PersonLookedUp,
    ChatMessageDelivered,
    ChatMessageUndeliverable,
    ReplyReceived,
    StartAuthentication,
    AuthenticationStarted,
    AuthenticationSettled,
    AllowPushes,
)
MESSAGE_TYPES = frozenset(message.type_name() for message in ALL_MESSAGES)
