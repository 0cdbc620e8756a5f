"""The record's tables of the pipeline: alerts, people and their conversations, messages on their way, history."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from common.records.base import MYSQL, Base, Body, HexHash, Id, JsonText, LongText, RowId


class AlertRow(Base):
    """An alert: what came in, whom it concerns, how it ended."""

    __tablename__ = "alerts"
    __table_args__ = (
        UniqueConstraint("hash", name="uq_alerts_hash"),
        Index("ix_alerts_status", "status", "received_at"),
        Index("ix_alerts_person", "person_id", "status", "received_at"),
        Index("ix_alerts_question", "question_id"),
        Index("ix_alerts_title", "title", "received_at"),
        Index("ix_alerts_owner", "owner", "received_at"),
        Index("ix_alerts_received", "received_at"),
        Index("ix_alerts_escalate", "status", "escalate_at"),
        Index("ix_alerts_inbox", "status", "resolution", "severity", "received_at"),
        Index("ix_alerts_resolution", "resolution", "received_at"),
        Index("ix_alerts_severity", "severity", "received_at"),
        Index("ix_alerts_source", "source", "received_at"),
        Index("ix_alerts_resolved", "resolved_at"),
        Index("ix_alerts_performed", "performed", "received_at"),
        Index("ix_alerts_authenticated", "authenticated", "received_at"),
        MYSQL,
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    hash: Mapped[str] = mapped_column(HexHash)
    owner: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(LongText)
    url: Mapped[str | None] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(String(16))
    source: Mapped[str] = mapped_column(String(64))
    context: Mapped[dict[str, Any] | None]
    event_time: Mapped[datetime]
    received_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    occurrences: Mapped[int]
    status: Mapped[str] = mapped_column(String(16))
    person_id: Mapped[str | None] = mapped_column(Id)
    """Chat id of the person who is or was asked."""
    matched_by: Mapped[str | None] = mapped_column(String(16))
    """How the owner was matched to the person: chat_id, email, username; `owners/…` where config/owners.yaml did it."""
    question_id: Mapped[str | None] = mapped_column(Id)
    """The question (live card) that the alert is part of; None while it waits."""
    escalate_at: Mapped[datetime | None]
    """When the watchdog escalates it if it still has no verdict."""
    asked_at: Mapped[datetime | None]
    responded_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(String(32))
    performed: Mapped[bool | None]
    authenticated: Mapped[bool | None]
    comment: Mapped[str | None] = mapped_column(LongText)


class PersonRow(Base):
    """The directory from the chat system. User name and e-mail address are kept in lower case."""

    __tablename__ = "people"
    __table_args__ = (Index("ix_people_username", "username"), Index("ix_people_email", "email"), MYSQL)
    chat_id: Mapped[str] = mapped_column(Id, primary_key=True)
    username: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(255))
    display_name: Mapped[str] = mapped_column(String(255))
    """For display only: people edit it, so nobody is ever found by it."""
    time_zone: Mapped[str | None] = mapped_column(String(64))
    locale: Mapped[str | None] = mapped_column(String(16))
    active: Mapped[bool]
    updated_at: Mapped[datetime]


class ConversationRow(Base):
    """One row a person: where the conversation stands."""

    __tablename__ = "conversations"
    __table_args__ = (Index("ix_conversations_due", "due_at"), MYSQL)
    person_id: Mapped[str] = mapped_column(Id, primary_key=True)
    version: Mapped[int]
    """Grows with each change; a writer that read an older one has to start again."""
    due_at: Mapped[datetime | None]
    """The next moment at which something happens by itself (a deadline, a reminder)."""
    state: Mapped[dict[str, Any]]
    """The whole conversation, as `services.dispatcher.conversation.Conversation` dumps it."""


class BlacklistRow(Base):
    """Someone who is not asked: by their own `stop` or by an analyst."""

    __tablename__ = "blacklist"
    __table_args__ = (Index("ix_blacklist_person", "person_id", "until"), MYSQL)
    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    person_id: Mapped[str] = mapped_column(Id)
    added_by: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    until: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None] = mapped_column(String(255))


class IgnoredRow(Base):
    """A title that somebody is not asked about: back-off after a proved answer, `ignore`, or an analyst."""

    __tablename__ = "ignored"
    __table_args__ = (Index("ix_ignored_person", "person_id", "title", "until"), MYSQL)
    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    person_id: Mapped[str] = mapped_column(Id)
    title: Mapped[str] = mapped_column(String(255))
    added_by: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    until: Mapped[datetime]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None] = mapped_column(String(255))


class ChatDeliveryRow(Base):
    """A chat message on its way: written before the call, completed after it."""

    __tablename__ = "chat_deliveries"
    __table_args__ = (
        Index("ix_chat_deliveries_state", "state", "claimed_until"),
        Index("ix_chat_deliveries_recipient", "recipient_id", "state", "sequence"),
        Index("ix_chat_deliveries_created", "created_at"),
        MYSQL,
    )
    message_id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    """`send`, `update`, or `look_up` (somebody asked for; the recipient is then derived from the handle)."""
    target: Mapped[str | None] = mapped_column(Id)
    """For an update: the message id of the send."""
    recipient_kind: Mapped[str] = mapped_column(String(8))
    recipient_id: Mapped[str] = mapped_column(Id)
    sequence: Mapped[int]
    content: Mapped[dict[str, Any]]
    notify: Mapped[bool]
    state: Mapped[str] = mapped_column(String(8))
    """`pending`, `sent` or `failed`."""
    channel: Mapped[str | None] = mapped_column(Id)
    posted_as: Mapped[str | None] = mapped_column(Id)
    """The chat system's own id of the posted message (Slack's `ts`)."""
    error: Mapped[str | None] = mapped_column(Text)
    claimed_by: Mapped[str | None] = mapped_column(Id)
    claimed_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]


class ReportRow(Base):
    """A report that waits until its channel has room, or a message of reports that is sent and not posted yet."""

    __tablename__ = "reports"
    __table_args__ = (Index("ix_reports_channel", "channel", "urgency", "id"), MYSQL)
    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    channel: Mapped[str] = mapped_column(Id)
    urgency: Mapped[int]
    """0 (low) to 3 (critical)."""
    content: Mapped[dict[str, Any] | None]
    """Of a report that waits."""
    message_id: Mapped[str | None] = mapped_column(Id)
    """Of a message that is sent."""
    about: Mapped[str | None] = mapped_column(HexHash)
    created_at: Mapped[datetime]


class AuthRequestRow(Base):
    """A second-factor request in flight, so that a restart goes on polling and sends no second push."""

    __tablename__ = "auth_requests"
    __table_args__ = (Index("ix_auth_requests_state", "state", "claimed_until"), MYSQL)
    request_id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(Id)
    username: Mapped[str] = mapped_column(String(255))
    title: Mapped[str] = mapped_column(String(255))
    facts: Mapped[Any] = mapped_column(JsonText)
    state: Mapped[str] = mapped_column(String(8))
    """`new` (nothing asked yet), `asking` (a call that may have started a push was begun), `asked` (the second factor
    has given its transaction), `settled`."""
    transaction: Mapped[str | None] = mapped_column(String(255))
    """The second factor's own id of the push (Duo's txid)."""
    code: Mapped[str | None] = mapped_column(String(16))
    result: Mapped[str | None] = mapped_column(String(16))
    detail: Mapped[str | None] = mapped_column(Text)
    claimed_by: Mapped[str | None] = mapped_column(Id)
    claimed_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class QuarantineRow(Base):
    """A message that could not be taken, as it came, with the reason."""

    __tablename__ = "quarantine"
    __table_args__ = (Index("ix_quarantine_state", "state", "id"), MYSQL)
    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    received_at: Mapped[datetime]
    queue: Mapped[str] = mapped_column(String(255))
    exchange: Mapped[str] = mapped_column(String(255))
    routing_key: Mapped[str] = mapped_column(String(255))
    message_id: Mapped[str | None] = mapped_column(String(255))
    type: Mapped[str | None] = mapped_column(String(255))
    correlation_id: Mapped[str | None] = mapped_column(String(255))
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes] = mapped_column(Body)
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(8))
    """`waiting`, `retried` or `dropped`."""
    note: Mapped[str | None] = mapped_column(Text)
    decided_by: Mapped[str | None] = mapped_column(String(255))
    decided_at: Mapped[datetime | None]


class HistoryRow(Base):
    """Who did what to which alert when. Only ever inserted; `history_seals` shows whether that held."""

    __tablename__ = "history"
    __table_args__ = (
        Index("ix_history_alert", "alert_hash", "id"),
        Index("ix_history_person", "person_id", "id"),
        MYSQL,
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(255))
    """`person:<chat id>`, `analyst:<name>`, `token:<name>`, or the service that did it."""
    action: Mapped[str] = mapped_column(String(64))
    alert_hash: Mapped[str | None] = mapped_column(HexHash)
    person_id: Mapped[str | None] = mapped_column(Id)
    detail: Mapped[dict[str, Any]]


class HistorySealRow(Base):
    """A link of the chain over the history: `common.history_chain.Seal`. Only ever inserted."""

    __tablename__ = "history_seals"
    __table_args__ = (MYSQL,)
    number: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    after_id: Mapped[int] = mapped_column(BigInteger)
    through_id: Mapped[int] = mapped_column(BigInteger)
    digests: Mapped[bytes] = mapped_column(Body)
    sealed_at: Mapped[datetime]
    previous_hash: Mapped[str] = mapped_column(HexHash)
    key_id: Mapped[str] = mapped_column(String(16))
    hash: Mapped[str] = mapped_column(HexHash)


class InboxRow(Base):
    """Messages that a service has handled: a redelivery has no second effect."""

    __tablename__ = "inbox"
    __table_args__ = (Index("ix_inbox_handled", "handled_at"), MYSQL)
    consumer: Mapped[str] = mapped_column(String(32), primary_key=True)
    message_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    handled_at: Mapped[datetime]


class OutboxRow(Base):
    """Messages decided in a transaction and not yet known to be safe at the broker.

    No index but the primary key: every message comes and goes here, and few are here at a time.
    """

    __tablename__ = "outbox"
    __table_args__ = (MYSQL,)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    """UUIDv7: the order in which they were decided."""
    message_id: Mapped[str] = mapped_column(String(255))
    exchange: Mapped[str] = mapped_column(String(255))
    routing_key: Mapped[str] = mapped_column(String(255))
    type: Mapped[str | None] = mapped_column(String(255))
    correlation_id: Mapped[str | None] = mapped_column(String(255))
    headers: Mapped[dict[str, Any]]
    content_type: Mapped[str] = mapped_column(String(255))
    mandatory: Mapped[bool]
    body: Mapped[bytes] = mapped_column(Body)
    created_at: Mapped[datetime]


class ApiTokenRow(Base):
    """A bearer token of the HTTP API: only its SHA-256 is kept."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        UniqueConstraint("name", name="uq_api_tokens_name"),
        UniqueConstraint("token_hash", name="uq_api_tokens_hash"),
        MYSQL,
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64))
    token_hash: Mapped[str] = mapped_column(HexHash)
    scope: Mapped[str] = mapped_column(String(16))
    """`publish`, `read` or `admin`."""
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
