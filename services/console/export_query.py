"""The rows of an export, page by page: no transaction stays open, and memory stays flat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Integer, String, Text, cast, func, type_coerce

from common.records.tables import AlertRow
from services.console.exporting import COLUMNS, TIMES, TRUTHS, Row
from services.console.finding import ALERTS, behind, filtered, find, order
from services.console.searches import AlertSearch, Cursor, decode_cursor

PAGE = 2000


def pages(read: Callable[[Callable[[Connection], Any]], Any], wanted: AlertSearch) -> Iterator[Sequence[Row]]:
    """Yield every row that the search finds, newest first."""
    search = replace(wanted, sort="newest", limit=PAGE)
    if search.text or search.owner:
        yield from _found(read, search)
        return
    cursor: Cursor | None = None
    while True:
        rows = read(partial(_raw, search=search, cursor=cursor))
        yield [row[1:] for row in rows]
        if len(rows) < PAGE:
            return
        cursor = Cursor("", _moment(rows[-1][1 + COLUMNS.index("received_at")]), rows[-1][0])


def _raw(connection: Connection, search: AlertSearch, cursor: Cursor | None) -> Sequence[Row]:
    query = filtered(search, [AlertRow.id, *_COLUMNS])
    if cursor is not None:
        query = query.where(behind(cursor, search.sort))
    return connection.execute(query.order_by(*order(search.sort)).limit(search.limit)).all()


def _column(name: str) -> Any:
    column = ALERTS.c[name]
    if name == "hash":
        return func.lower(func.hex(column))
    if name in TIMES:
        return cast(column, String(32))
    if name in TRUTHS:
        return type_coerce(column, Integer)
    return type_coerce(column, Text) if name == "context" else column


_COLUMNS = [_column(name) for name in COLUMNS]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _found(read: Callable[[Callable[[Connection], Any]], Any], search: AlertSearch) -> Iterator[Sequence[Row]]:
    """Find the numbers as the list does, and read their rows."""
    cursor: str | None = None
    while True:

        def page(connection: Connection, at: str | None = cursor) -> tuple[Sequence[Row], str | None]:
            found = find(connection, search, decode_cursor(at))
            ids = [row["id"] for row in found.alerts]
            query = filtered(AlertSearch(), [AlertRow.id, *_COLUMNS]).where(AlertRow.id.in_(ids))
            rows = {row[0]: row[1:] for row in connection.execute(query)}
            return [rows[number] for number in ids], found.cursor

        rows, cursor = read(page)
        yield rows
        if cursor is None:
            return
