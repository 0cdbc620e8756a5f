"""A call to the chat system that has to be made, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from common.ids import derived_id
from common.messages import ChatContent, Envelope, LookUpPerson, Message, Recipient, SendChatMessage, UpdateChatMessage
from services.chat_gateway.port import Person, Posted

Kind = Literal["send", "update", "look_up"]


@dataclass(slots=True)
class Job:
    """One row of `chat_deliveries`, as the deliverer's threads carry it."""

    message_id: str
    kind: Kind
    lane: str
    """Whose turn it takes: the recipient's id; for a look-up one of its own."""
    recipient_kind: str
    sequence: int
    created_at: datetime
    content: ChatContent | None = None
    """None only for a look-up."""
    target: str | None = None
    handle: str | None = None
    notify: bool = False
    about: str | None = None
    find_first: bool = False
    """It may be posted already: by a process that died, or by a call whose answer was lost."""
    settles_at: datetime | None = None
    """Until then a call whose answer was lost may still be carried out."""
    look_since: datetime | None = None
    """Of an update whose message failed, and may be posted all the same: since when to look for it."""
    superseded: bool = False
    """A newer update of the same message waits behind it."""
    attempts: int = field(default=0, compare=False)

    @property
    def recipient(self) -> Recipient:
        """Return whom it is for."""
        return Recipient.model_validate({"kind": self.recipient_kind, "id": self.lane})

    @property
    def calls(self) -> str:
        """Return the method that comes next, by which `Retry-After` is honoured."""
        finds = self.look_since is not None or (self.kind == "send" and self.find_first)
        return "find" if finds else self.kind

    def make_plain(self) -> bool:
        """Leave only the summary of the content; False: there is no more to leave out."""
        assert self.content is not None
        whole, self.content = self.content, ChatContent(summary=self.content.summary)
        return whole != self.content


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended; `error` is None where it worked."""

    job: Job
    at: datetime
    posted: Posted | None = None
    error: str | None = None
    person: Person | None = None
    """Only for a look-up: who answers to the handle."""


def job_of(envelope: Envelope[Message], now: datetime) -> Job:
    """Return the job that `envelope` asks for."""
    match envelope.message:
        case SendChatMessage(recipient=recipient, sequence=sequence, content=content, notify=notify):
            return Job(
                envelope.id, "send", recipient.id, recipient.kind, sequence, now, content,
                notify=notify, about=envelope.correlation_id,
            )  # fmt: skip
        case UpdateChatMessage(target=target, recipient=recipient, sequence=sequence, content=content):
            return Job(
                envelope.id, "update", recipient.id, recipient.kind, sequence, now, content,
                target=target, about=envelope.correlation_id,
            )  # fmt: skip
        case LookUpPerson(handle=handle):
            lane = derived_id("look_up", handle)
            return Job(envelope.id, "look_up", lane, "look_up", 0, now, handle=handle, about=envelope.correlation_id)
        case other:
            raise AssertionError(f"the queue is not bound to {other.type_name()}")
