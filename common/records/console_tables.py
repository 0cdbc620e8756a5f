"""The record's tables of the console: the team's work, sign-ins, counts and words."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from common.records.base import MYSQL, Base, HexHash, Id, RowId


class TriageRow(Base):
    """What the security team does with an alert: who has taken it, and what they made of it."""

    __tablename__ = "triage"
    __table_args__ = (Index("ix_triage_taken", "taken_by", "taken_at"), MYSQL)
    alert_hash: Mapped[str] = mapped_column(HexHash, primary_key=True)
    taken_by: Mapped[str | None] = mapped_column(String(255))
    """`analyst:<name>`, as in the history."""
    taken_at: Mapped[datetime | None]
    verdict: Mapped[str | None] = mapped_column(String(16))
    """`benign` or `incident`, once the team has closed it."""
    closed_by: Mapped[str | None] = mapped_column(String(255))


class AnalystRow(Base):
    """A local account of the console. Who signs in through OpenID Connect has none."""

    __tablename__ = "analysts"
    __table_args__ = (MYSQL,)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class SessionRow(Base):
    """Somebody signed in at the console. Only the SHA-256 of the cookie's token is kept."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_analyst", "analyst"), Index("ix_sessions_expires", "expires_at"), MYSQL)
    token_hash: Mapped[str] = mapped_column(HexHash, primary_key=True)
    analyst: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    provider: Mapped[str] = mapped_column(String(16))
    """`local`, `oidc` or `demo`."""
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class SignInFlowRow(Base):
    """A sign-in through OpenID Connect that is under way at the identity provider."""

    __tablename__ = "sign_in_flows"
    __table_args__ = (Index("ix_sign_in_flows_created", "created_at"), MYSQL)
    state_hash: Mapped[str] = mapped_column(HexHash, primary_key=True)
    nonce: Mapped[str] = mapped_column(String(64))
    verifier: Mapped[str] = mapped_column(String(128))
    next_path: Mapped[str] = mapped_column(String(1024))
    created_at: Mapped[datetime]


class SignInFailureRow(Base):
    """A failed sign-in, for throttling."""

    __tablename__ = "sign_in_failures"
    __table_args__ = (
        Index("ix_sign_in_failures_name", "name", "at"),
        Index("ix_sign_in_failures_address", "address", "at"),
        Index("ix_sign_in_failures_at", "at"),
        MYSQL,
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class RollupRow(Base):
    """Alerts with a verdict, counted by the day of their receipt (UTC) and one more dimension."""

    __tablename__ = "rollups"
    __table_args__ = (MYSQL,)
    dimension: Mapped[str] = mapped_column(String(16), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    """`2026-03-03`."""
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    resolution: Mapped[str] = mapped_column(String(32), primary_key=True)
    alerts: Mapped[int]


class ProgressRow(Base):
    """How far something that follows the record has come."""

    __tablename__ = "progress"
    __table_args__ = (MYSQL,)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime]
    position: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"))


class WordRow(Base):
    """A word of alerts, and how many have it: the free-text search begins with the rarest."""

    __tablename__ = "words"
    __table_args__ = (MYSQL,)
    word: Mapped[str] = mapped_column(Id, primary_key=True)
    alerts: Mapped[int]


class AlertWordRow(Base):
    """Which alerts have a word, in the order in which they came."""

    __tablename__ = "alert_words"
    __table_args__ = (MYSQL,)
    word: Mapped[str] = mapped_column(Id, primary_key=True)
    alert_id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
