"""What an alert is: its normal form, its states and the verdicts that it can end in. Pure data."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from common.ids import derived_id


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Order from 0 (low) to 3 (critical)."""
        return list(Severity).index(self)


class Status(StrEnum):
    OPEN = "open"
    IN_PROGRESS = "in_progress"
    VERIFYING = "verifying"
    CLOSED = "closed"


class Resolution(StrEnum):
    CONFIRMED = "confirmed"
    CONFIRMED_UNPROVED = "confirmed_unproved"
    DENIED = "denied"
    NOT_SURE = "not_sure"
    WRONG_PERSON = "wrong_person"
    NO_RESPONSE = "no_response"
    PROOF_REFUSED = "proof_refused"
    PROOF_DENIED = "proof_denied"
    PROOF_TIMEOUT = "proof_timeout"
    PROOF_FRAUD = "proof_fraud"
    PROOF_UNAVAILABLE = "proof_unavailable"
    UNREACHABLE = "unreachable"
    UNKNOWN_OWNER = "unknown_owner"
    BLACKLISTED = "blacklisted"
    IGNORED = "ignored"


class Alert(BaseModel):
    """An alert in its normal form, as ingest accepted it. Every text in it was written by a stranger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str
    """SHA-256 that identifies the event, 64 lower-case hex digits."""
    owner: str
    """Who is asked, as the publisher named them."""
    title: str
    """The same for every alert of its kind; ignoring works by it."""
    description: str
    reason: str | None = None
    url: str | None = None
    severity: Severity = Severity.MEDIUM
    source: str
    event_time: datetime
    received_at: datetime
    context: dict[str, Any] | None = None


def accepted_id(alert_hash: str) -> str:
    """Return the id of the `AlertAccepted` of an alert: the same however often it is announced."""
    return derived_id("accepted", alert_hash)
