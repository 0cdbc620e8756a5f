"""Where the conversation with one person stands, as plain data. Pure; kept in the record as JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from common.alerts import Alert, Severity

REASON_SHOWN = 1500
"""Characters of the reason that a chat message shows; the record and the link have the rest."""


class _State(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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
    sequence: int
    """That message's place among those to the person."""
    first: AskedAlert
    """The one that is shown: the worst, and of those the oldest."""
    count: int
    severity: Severity
    """The highest among its alerts."""
    asked_at: datetime
    revision: int = 0
    """How often a worse alert has taken the first one's place: a click on the card as it was before answers nothing."""
    revised_at: datetime | None = None
    deadline: datetime
    remind_at: datetime | None
    refresh_at: datetime | None = None
    """When the card is to show the new count: alerts of a storm are not shown one by one."""
    delivered: bool = False
    answered_at: datetime | None = None
    """When they said yes; from then on only the proof is missing."""
    comment: str = ""

    @property
    def subject(self) -> str:
        """What the buttons of the card, as it is now, are about."""
        return f"{self.id}.{self.revision}" if self.revision else self.id

    @property
    def put_at(self) -> datetime:
        """Since when it asks what it asks now."""
        return self.revised_at or self.asked_at


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
    sequence: int = 0
    """That message's place among those to the person."""
    offered_at: datetime | None = None
    """None: by a release that did not keep it."""
    expires_at: datetime
    """While offered: until when it can be accepted. While pushed: until when its result is waited for."""
    request_id: str | None = None
    """The second-factor request, once the person has asked for the push."""
    pushes: int = 0
    """Pushes sent for this purpose so far."""
    title: str = ""
    """For `ignore`: which title."""
    duration: timedelta = timedelta(0)
    """For `ignore` and `stop`: how long."""


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
    last_no: str | None = None
    """The card that was answered with "no" last: a click there says nothing new."""
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
