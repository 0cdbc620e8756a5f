"""Sessions of the console in the record, and the throttle of sign-ins: every process of the console sees the same."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import Engine, delete, func, select, update

from common.clock import Clock
from common.records.console_tables import AnalystRow, SessionRow, SignInFailureRow
from common.records.database import translated_errors
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.console.access import (
    ABSOLUTE,
    THROTTLE_WINDOW,
    Identity,
    Role,
    csrf_token,
    is_session_over,
    is_throttled,
)

SEEN_NOTED_EVERY = timedelta(minutes=1)
MAX_NAME = 64


class Sessions:
    """Opens, finds and ends sessions. Thread-safe."""

    def __init__(self, engine: Engine, transactions: Transactions, clock: Clock) -> None:
        self._engine = engine
        self._transactions = transactions
        self._clock = clock

    def open(
        self, name: str, role: Role, provider: str, replaces: str | None = None, subject: str | None = None
    ) -> str:
        """Start a session and return its token, always a new one; the session that it replaces is over.

        `subject` is who that is for an identity provider: names change there, and the history must tell people apart.
        """
        vouched = {"subject": subject} if subject else {}
        token = secrets.token_urlsafe(32)

        def start(work: UnitOfWork) -> None:
            old = SessionRow.expires_at <= work.now
            if replaces:
                old |= SessionRow.token_hash == digest(replaces)
            work.connection.execute(delete(SessionRow).where(old))
            work.insert(
                SessionRow, token_hash=digest(token), analyst=name, role=role.value, provider=provider,
                created_at=work.now, seen_at=work.now, expires_at=work.now + ABSOLUTE,
            )  # fmt: skip
            work.note("signed_in", actor=f"analyst:{name}", provider=provider, role=role.value, **vouched)

        self._transactions.run(start)
        return token

    def find(self, token: str) -> Identity | None:
        """Return who has this session, or None. A local account's role is read afresh: a removal counts at once."""
        now = self._clock.now()
        with translated_errors(), self._engine.begin() as connection:
            row = connection.execute(
                select(SessionRow.__table__, AnalystRow.role.label("account_role"), AnalystRow.removed_at)
                .outerjoin(AnalystRow, AnalystRow.name == SessionRow.analyst)
                .where(SessionRow.token_hash == digest(token))
            ).first()
            if row is None or is_session_over(row.created_at, row.seen_at, now):
                return None
            role = row.role
            if row.provider == "local":
                if row.account_role is None or row.removed_at is not None:
                    return None
                role = row.account_role
            if now - row.seen_at >= SEEN_NOTED_EVERY:
                connection.execute(update(SessionRow).where(SessionRow.token_hash == digest(token)).values(seen_at=now))
        return Identity(row.analyst, Role(role), row.provider, csrf_token(token))

    def end(self, token: str) -> None:
        """Sign out."""

        def stop(work: UnitOfWork) -> None:
            work.connection.execute(delete(SessionRow).where(SessionRow.token_hash == digest(token)))

        self._transactions.run(stop)

    def is_throttled(self, name: str, address: str) -> bool:
        """Tell whether this name or this address has to wait before it may try again."""
        since = self._clock.now() - THROTTLE_WINDOW
        recent = select(func.count()).select_from(SignInFailureRow).where(SignInFailureRow.at > since)
        with translated_errors(), self._engine.connect() as connection:
            of_name = connection.scalar(recent.where(SignInFailureRow.name == name[:MAX_NAME]))
            of_address = connection.scalar(recent.where(SignInFailureRow.address == address[:MAX_NAME]))
        return is_throttled(of_name or 0, of_address or 0)

    def failed(self, name: str, address: str) -> None:
        """Count a failed sign-in."""

        def count(work: UnitOfWork) -> None:
            old = work.now - THROTTLE_WINDOW
            work.connection.execute(delete(SignInFailureRow).where(SignInFailureRow.at <= old))
            work.insert(SignInFailureRow, name=name[:MAX_NAME], address=address[:MAX_NAME], at=work.now)

        self._transactions.run(count)


def digest(token: str) -> str:
    """Return what is kept of a token: it holds 256 random bits, so its SHA-256 tells nothing."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()
