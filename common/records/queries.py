"""What people look at: the questions that the command line and the console put to the record. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Select, and_, or_, select

from common.records.base import Base
from common.records.tables import AlertRow, ApiTokenRow, BlacklistRow, HistoryRow, IgnoredRow, PersonRow, QuarantineRow

Record = dict[str, Any]
"""One row by column name, times aware and in UTC."""

HASH_DIGITS = 64


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts; what is None does not matter."""

    status: str | None = None
    resolution: str | None = None
    owner: str | None = None
    """As the publisher named them, or a chat id."""
    title: str | None = None
    severity: str | None = None
    after: datetime | None = None
    """Received at or after."""
    before: datetime | None = None
    """Received before."""
    limit: int = 50


def list_alerts(connection: Connection, wanted: AlertFilter) -> list[Record]:
    """Return the alerts that match, newest first."""
    query = _of(AlertRow).order_by(AlertRow.received_at.desc(), AlertRow.id.desc()).limit(wanted.limit)
    for column, value in (
        (AlertRow.status, wanted.status),
        (AlertRow.resolution, wanted.resolution),
        (AlertRow.title, wanted.title),
        (AlertRow.severity, wanted.severity),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.owner is not None:
        query = query.where(or_(AlertRow.owner == wanted.owner, AlertRow.person_id == wanted.owner))
    if wanted.after is not None:
        query = query.where(AlertRow.received_at >= wanted.after)
    if wanted.before is not None:
        query = query.where(AlertRow.received_at < wanted.before)
    return _rows(connection, query)


def find_alerts(connection: Connection, prefix: str, limit: int = 2) -> list[Record]:
    """Return the alerts whose hash begins with `prefix` (hex digits, lower case)."""
    first, last = prefix.ljust(HASH_DIGITS, "0"), prefix.ljust(HASH_DIGITS, "f")
    return _rows(connection, _of(AlertRow).where(AlertRow.hash.between(first, last)).limit(limit))


def alert_history(connection: Connection, digest: str) -> list[Record]:
    """Return who did what to the alert, oldest first."""
    return _rows(connection, _of(HistoryRow).where(HistoryRow.alert_hash == digest).order_by(HistoryRow.id))


def list_silences(  # noqa: PLR0913 - filters
    connection: Connection,
    table: type[IgnoredRow | BlacklistRow],
    now: datetime,
    *,
    ended: bool,
    limit: int,
    owner: str | None = None,
    titles: Sequence[str] = (),
    older_than: int | None = None,
) -> list[Record]:
    """Return what is ignored or who is on the blacklist, newest first, with the person's user name.

    Args:
        connection: the record.
        table: which of the two.
        now: the time.
        ended: with those that were lifted or have run out.
        limit: rows at the most.
        owner: only this person's, by chat id or user name.
        titles: only these; who is on the blacklist is asked about none.
        older_than: only rows before the one with this id, to go on where a page ended.
    """
    query = _of(table).add_columns(_username(table)).order_by(table.id.desc()).limit(limit)
    if not ended:
        query = query.where(table.lifted_at.is_(None), table.until > now)
    if owner is not None:
        named = select(PersonRow.chat_id).where(PersonRow.username == owner.lower())
        query = query.where(or_(table.person_id == owner, table.person_id.in_(named)))
    if titles and issubclass(table, IgnoredRow):
        query = query.where(table.title.in_(titles))
    if older_than is not None:
        query = query.where(table.id < older_than)
    return _rows(connection, query)


def list_people(
    connection: Connection, search: str | None, *, inactive: bool, limit: int, after: tuple[str, str] | None = None
) -> list[Record]:
    """Return the directory by user name.

    Args:
        connection: the record.
        search: the beginning of a user name or an e-mail address.
        inactive: with those who have left.
        limit: rows at the most.
        after: user name and chat id of the last row of the page before.
    """
    query = _of(PersonRow).order_by(PersonRow.username, PersonRow.chat_id).limit(limit)
    if search is not None:
        begins = search.lower()
        query = query.where(
            or_(
                PersonRow.username.startswith(begins, autoescape=True),
                PersonRow.email.startswith(begins, autoescape=True),
            )
        )
    if not inactive:
        query = query.where(PersonRow.active.is_(True))
    if after is not None:
        username, chat_id = after
        later = and_(PersonRow.username == username, PersonRow.chat_id > chat_id)
        query = query.where(or_(PersonRow.username > username, later))
    return _rows(connection, query)


def find_people(connection: Connection, handle: str) -> list[Record]:
    """Return everybody with that chat id, user name or e-mail address: more than one only where names collide."""
    name = handle.lower()
    query = _of(PersonRow).where(or_(PersonRow.chat_id == handle, PersonRow.username == name, PersonRow.email == name))
    return _rows(connection, query.order_by(PersonRow.chat_id))


def list_quarantine(
    connection: Connection, state: str | None, limit: int, older_than: int | None = None
) -> list[Record]:
    """Return quarantined messages without their bodies, newest first; those before the row `older_than`."""
    columns = [column for column in QuarantineRow.__table__.columns if column.name != "body"]
    query = select(*columns).order_by(QuarantineRow.id.desc()).limit(limit)
    if state is not None:
        query = query.where(QuarantineRow.state == state)
    if older_than is not None:
        query = query.where(QuarantineRow.id < older_than)
    return _rows(connection, query)


def get_quarantined(connection: Connection, number: int) -> Record | None:
    """Return one quarantined message with its body."""
    rows = _rows(connection, _of(QuarantineRow).where(QuarantineRow.id == number))
    return rows[0] if rows else None


def list_tokens(connection: Connection) -> list[Record]:
    """Return the API tokens by name, revoked ones too; never their hashes."""
    columns = [column for column in ApiTokenRow.__table__.columns if column.name != "token_hash"]
    return _rows(connection, select(*columns).order_by(ApiTokenRow.name))


def _of(table: type[Base]) -> Select[Any]:
    return select(*table.__table__.columns)


def _username(table: type[IgnoredRow | BlacklistRow]) -> ScalarSelect[Any]:
    return (
        select(PersonRow.username).where(PersonRow.chat_id == table.person_id).scalar_subquery().label("username")  # type: ignore[return-value]
    )


def _rows(connection: Connection, query: Select[Any]) -> list[Record]:
    return [dict(row) for row in connection.execute(query).mappings()]
