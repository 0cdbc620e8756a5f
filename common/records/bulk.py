"""Many rows of several tables written in one round trip: what a unit of work decided goes out together.

A round trip costs as much as twenty rows, and drivers send `executemany` of an UPDATE row by row. So for MySQL and
MariaDB the values are put into the statements here, by the driver's own escaping, and the statements are sent as one
query (`CLIENT.MULTI_STATEMENTS`, `common.records.database`). SQLite is within this process: a call a row costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect, bindparam, insert, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError

from common.records.base import Base

ROWS_AT_ONCE = 250
TEXT_AT_ONCE = 1_000_000
"""Characters; a server refuses a packet of more than `max_allowed_packet`, 16 MiB at the least by default."""
Row = Mapping[str, Any]
Quote = Callable[[str, tuple[Any, ...]], str]
"""The driver's own way to put values into a text with as many `%s`."""


@dataclass(frozen=True, slots=True)
class Insert:
    """Insert the rows, which have the same columns, as in the other classes."""

    table: type[Base]
    rows: Sequence[Row]

    def apart(self, connection: Connection) -> None:
        """Write through SQLAlchemy, a call a row."""
        connection.execute(_insert(self.table), [dict(row) for row in self.rows])

    def statements(self, columns: Sequence[str], rows: Iterator[str]) -> Iterator[str]:
        """Return statements with all the rows, each row being its quoted values between commas."""
        return _values(self.table, columns, rows, "")


@dataclass(frozen=True, slots=True)
class Upsert:
    """Insert the rows, or where the primary key is there already, replace all other columns that they have.

    For rows that this transaction has locked or that nobody else changes.
    """

    table: type[Base]
    rows: Sequence[Row]

    def apart(self, connection: Connection) -> None:
        """See `Insert`."""
        keys = _keys(self.table)
        lite = sqlite.insert(self.table)
        changed = {name: lite.excluded[name] for name in self.rows[0] if name not in keys}
        statement = lite.on_conflict_do_update(index_elements=sorted(keys), set_=changed)
        connection.execute(statement, [dict(row) for row in self.rows])

    def statements(self, columns: Sequence[str], rows: Iterator[str]) -> Iterator[str]:
        """See `Insert`. `VALUES()` is deprecated by MySQL 8, but the one spelling that MariaDB shares."""
        changes = ", ".join(f"`{name}` = VALUES(`{name}`)" for name in columns if name not in _keys(self.table))
        return _values(self.table, columns, rows, f" ON DUPLICATE KEY UPDATE {changes}")


@dataclass(frozen=True, slots=True)
class Update:
    """Set each row's other columns where the column `key`, which has a unique index, has its value."""

    table: type[Base]
    rows: Sequence[Row]
    key: str
    only_if: tuple[str, str | None] | None = None
    """A column and the value that it must still have; None: NULL."""

    def apart(self, connection: Connection) -> None:
        """See `Insert`."""
        columns = self.table.__table__.c
        statement = update(self.table).where(columns[self.key] == bindparam("the_key"))
        if self.only_if is not None:
            statement = statement.where(columns[self.only_if[0]] == self.only_if[1])
        names = [name for name in self.rows[0] if name != self.key]
        changed: dict[str, Any] = {name: bindparam(f"new_{name}", type_=columns[name].type) for name in names}
        values = [{"the_key": row[self.key]} | {f"new_{name}": row[name] for name in names} for row in self.rows]
        connection.execute(statement.values(changed), values)

    def statements(self, columns: Sequence[str], rows: Iterator[str]) -> Iterator[str]:
        """See `Insert`. UPDATE … JOIN (SELECT … UNION ALL SELECT …): the one spelling that both share."""
        names = ", ".join(f"NULL AS c{number}" for number in range(len(columns)))
        key = columns.index(self.key)
        changes = ", ".join(f"t.`{name}` = v.c{number}" for number, name in enumerate(columns) if number != key)
        condition = ""
        if self.only_if is not None:
            name, value = self.only_if
            condition = f" WHERE t.`{name}` IS NULL" if value is None else f" WHERE t.`{name}` = '{value}'"
        for some in _in_groups(rows):
            yield (
                f"UPDATE `{self.table.__tablename__}` AS t JOIN (SELECT {names} UNION ALL SELECT "  # noqa: S608 - our names
                f"{' UNION ALL SELECT '.join(some)}) AS v ON t.`{self.key}` = v.c{key} SET {changes}{condition}"
            )


Write = Insert | Upsert | Update


def write(connection: Connection, *writes: Write) -> None:
    """Write all, in their order, within the caller's transaction.

    Raises:
        IntegrityError: as a statement alone would; what follows it is not tried.
    """
    filled = [one for one in writes if one.rows]
    if connection.dialect.name == "sqlite":
        for one in filled:
            one.apart(connection)
        return
    quote: Quote = connection.connection.cursor().mogrify
    text = (statement for one in filled for statement in _rendered(one, connection.dialect, quote))
    for some in _in_groups(text):
        try:
            connection.exec_driver_sql(";\n".join(some), execution_options={"no_parameters": True})
        except DBAPIError as error:
            # The values are in the statement, and people's texts among them do not belong into logs.
            error.statement = f"written together: {', '.join(one.table.__tablename__ for one in filled)}"
            raise


def _rendered(one: Write, dialect: Dialect, quote: Quote) -> Iterator[str]:
    columns = tuple(one.rows[0])
    binds = _binds(one.table, columns, dialect)
    form = ",".join(["%s"] * len(columns))

    def quoted(row: Row) -> str:
        values = [row[name] if bind is None else bind(row[name]) for name, bind in zip(columns, binds, strict=True)]
        return quote(form, tuple(values))

    return one.statements(columns, map(quoted, one.rows))


def _values(table: type[Base], columns: Sequence[str], rows: Iterator[str], ending: str) -> Iterator[str]:
    names = ", ".join(f"`{name}`" for name in columns)
    for some in _in_groups(rows):
        yield f"INSERT INTO `{table.__tablename__}` ({names}) VALUES ({'),('.join(some)}){ending}"  # noqa: S608 - our names


def _in_groups(texts: Iterator[str]) -> Iterator[list[str]]:
    """Divide into groups of at most `TEXT_AT_ONCE` characters and `ROWS_AT_ONCE` texts."""
    group: list[str] = []
    length = 0
    for text in texts:
        if group and (length + len(text) > TEXT_AT_ONCE or len(group) == ROWS_AT_ONCE):
            yield group
            group, length = [], 0
        group.append(text)
        length += len(text)
    if group:
        yield group


# Building a statement, or finding a column's conversion, costs as much as running it: each is done once.


@cache
def _insert(table: type[Base]) -> Any:
    return insert(table)


@cache
def _keys(table: type[Base]) -> frozenset[str]:
    return frozenset(column.name for column in table.__table__.primary_key)


@cache
def _binds(table: type[Base], columns: tuple[str, ...], dialect: Dialect) -> tuple[Callable[[Any], Any] | None, ...]:
    types = table.__table__.c
    return tuple(types[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns)
