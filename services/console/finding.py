"""Searches for alerts → SQL that walks one index and stops after a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Select, and_, or_, select

from common.records.console_tables import TriageRow
from common.records.tables import AlertRow
from services.console.searches import AlertSearch, Cursor
from services.console.word_index import WordSearch

Record = dict[str, Any]

SEARCH_SECONDS = 0.07
"""A search that has not filled its page by then says how far back it has looked, and goes on when asked to."""
ALERTS = AlertRow.__table__
LISTED = [
    column for column in ALERTS.columns if column.name not in ("reason", "context", "escalate_at", "question_id", "url")
]


@dataclass(frozen=True, slots=True)
class Found:
    """One page of alerts."""

    alerts: Sequence[Record]
    cursor: str | None
    """Where the next page begins; None at the end."""
    searched_back_to: Any = None
    """Set when the search stopped before it had filled the page: so far back it has looked."""


def find(connection: Connection, search: AlertSearch, cursor: Cursor | None, *, whole: bool = False) -> Found:
    """Return a page of alerts; `whole` with every column."""
    columns = list(ALERTS.columns) if whole else LISTED
    if search.text:
        return _find_by_words(connection, search, cursor, columns)
    rows = _rows(connection, search, cursor, columns, search.limit + 1)
    page = rows[: search.limit]
    more = len(rows) > search.limit
    return Found(page, _cursor(page[-1], search.sort).encode() if more else None)


def _rows(
    connection: Connection, search: AlertSearch, cursor: Cursor | None, columns: Sequence[Any], most: int
) -> list[Record]:
    """Walk one index per way in which the owner may be meant, and merge."""
    if search.owner is None:
        return _walk(connection, filtered(search, columns), search.sort, cursor, most)
    found: dict[int, Record] = {}
    for column in (AlertRow.owner, AlertRow.person_id):
        query = filtered(search, columns).where(column == search.owner)
        for row in _walk(connection, query, search.sort, cursor, most):
            found[row["id"]] = row
    rows = sorted(found.values(), key=lambda row: _sort_key(row, search.sort), reverse=search.sort == "newest")
    return rows[:most]


def _walk(connection: Connection, query: Select[Any], sort: str, cursor: Cursor | None, most: int) -> list[Record]:
    if cursor is not None:
        query = query.where(behind(cursor, sort))
    return [dict(row) for row in connection.execute(query.order_by(*order(sort)).limit(most)).mappings()]


def filtered(search: AlertSearch, columns: Sequence[Any]) -> Select[Any]:
    """Return the query for `columns` of the alerts that match, without owner and text."""
    query = select(*columns)
    for column, values in (
        (AlertRow.title, search.titles),
        (AlertRow.status, search.status),
        (AlertRow.resolution, search.resolution),
        (AlertRow.severity, search.severity),
    ):
        if len(values) == 1:
            query = query.where(column == values[0])
        elif values:
            query = query.where(column.in_(values))
    if search.source is not None:
        query = query.where(AlertRow.source == search.source)
    if search.performed is not None:
        query = query.where(AlertRow.performed == search.performed)
    if search.authenticated is not None:
        query = query.where(AlertRow.authenticated == search.authenticated)
    if search.after is not None:
        query = query.where(AlertRow.received_at >= search.after)
    if search.before is not None:
        query = query.where(AlertRow.received_at < search.before)
    return query


def order(sort: str) -> tuple[Any, ...]:
    """Return what the sort orders by; each has an index."""
    match sort:
        case "oldest":
            return AlertRow.received_at, AlertRow.id
        case "title":
            return AlertRow.title, AlertRow.received_at, AlertRow.id
        case "owner":
            return AlertRow.owner, AlertRow.received_at, AlertRow.id
        case _:
            return AlertRow.received_at.desc(), AlertRow.id.desc()


def behind(cursor: Cursor, sort: str) -> Any:
    """Return the condition for rows after the cursor.

    The first half of each condition is what the index is entered with; the second leaves out what was shown.
    """
    at, number = cursor.at, cursor.number
    if sort == "newest":
        return and_(AlertRow.received_at <= at, or_(AlertRow.received_at < at, AlertRow.id < number))
    later = and_(AlertRow.received_at >= at, or_(AlertRow.received_at > at, AlertRow.id > number))
    if sort == "oldest":
        return later
    column = AlertRow.title if sort == "title" else AlertRow.owner
    return and_(column >= cursor.key, or_(column > cursor.key, later))


def _sort_key(row: Record, sort: str) -> tuple[Any, ...]:
    key = row[sort] if sort in ("title", "owner") else ""
    return key, row["received_at"], row["id"]


def _cursor(row: Record, sort: str) -> Cursor:
    return Cursor(_sort_key(row, sort)[0], row["received_at"], row["id"])


def _find_by_words(connection: Connection, search: AlertSearch, cursor: Cursor | None, columns: Sequence[Any]) -> Found:
    """Newest first, whatever the sort: the index of words knows no other order."""
    words = WordSearch(connection, search.text or "")
    below = cursor.number if cursor else None
    page: list[Record] = []
    end = monotonic() + SEARCH_SECONDS
    first = True
    while first or monotonic() < end:
        first = False
        hits = words.below(below)
        page += _with_ids(connection, search, columns, hits.ids)
        if len(page) > search.limit:
            page = page[: search.limit]
            return Found(page, _cursor(page[-1], "newest").encode())
        if hits.exhausted:
            return Found(page, None)
        below = hits.looked_down_to
    next_one = connection.execute(
        select(AlertRow.received_at, AlertRow.id).where(AlertRow.id < below).order_by(AlertRow.id.desc()).limit(1)
    ).first()
    if next_one is None or below is None:
        return Found(page, None)
    return Found(page, Cursor("", next_one.received_at, below).encode(), searched_back_to=next_one.received_at)


def _with_ids(connection: Connection, search: AlertSearch, columns: Sequence[Any], ids: Sequence[int]) -> list[Record]:
    found: list[Record] = []
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        query = filtered(search, columns).where(AlertRow.id.in_(part))
        if search.owner is not None:
            query = query.where(or_(AlertRow.owner == search.owner, AlertRow.person_id == search.owner))
        rows = connection.execute(query.order_by(AlertRow.id.desc())).mappings()
        found += [dict(row) for row in rows]
        if len(found) > search.limit:
            break
    return found


def triage_of(connection: Connection, hashes: Sequence[str]) -> dict[str, Record]:
    """Return who has taken or closed these alerts, by hash."""
    if not hashes:
        return {}
    rows = connection.execute(select(TriageRow.__table__).where(TriageRow.alert_hash.in_(hashes))).mappings()
    return {row["alert_hash"]: dict(row) for row in rows}
