"""Many rows changed with one statement. PyMySQL sends `executemany` of an UPDATE row by row: a round trip each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, update

from common.records.tables import Base

AT_ONCE = 250
Row = Mapping[str, Any]


def update_many(
    connection: Connection, table: type[Base], key: str, rows: Sequence[Row], only_if: tuple[str, str] | None = None
) -> None:
    """Set each row's other columns where the column `key` has its value.

    Args:
        connection: within a transaction.
        table: what is changed.
        key: a column with a unique index.
        rows: all with the same columns, `key` among them.
        only_if: a column and the value that it must still have.
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        _one_by_one(connection, table, key, rows, only_if)
        return
    for start in range(0, len(rows), AT_ONCE):
        _joined(connection, table, key, rows[start : start + AT_ONCE], only_if)


def _one_by_one(
    connection: Connection, table: type[Base], key: str, rows: Sequence[Row], only_if: tuple[str, str] | None
) -> None:
    """SQLite is within this process: a statement a row costs no round trip."""
    columns = table.__table__.c
    statement = update(table).where(columns[key] == bindparam("the_key"))
    if only_if is not None:
        statement = statement.where(columns[only_if[0]] == only_if[1])
    names = [name for name in rows[0] if name != key]
    changed: dict[str, Any] = {name: bindparam(f"new_{name}", type_=columns[name].type) for name in names}
    values = [{"the_key": row[key]} | {f"new_{name}": row[name] for name in names} for row in rows]
    connection.execute(statement.values(changed), values)


def _joined(
    connection: Connection, table: type[Base], key: str, rows: Sequence[Row], only_if: tuple[str, str] | None
) -> None:
    """UPDATE … JOIN (SELECT … UNION ALL SELECT …): the one spelling that MySQL and MariaDB share."""
    names = [key, *(name for name in rows[0] if name != key)]
    first = "SELECT " + ", ".join(f"%s AS c{number}" for number in range(len(names)))
    others = " UNION ALL SELECT " + ", ".join(["%s"] * len(names))
    changes = ", ".join(f"t.`{name}` = v.c{number}" for number, name in enumerate(names[1:], 1))
    condition = f" WHERE t.`{only_if[0]}` = %s" if only_if else ""
    statement = (
        f"UPDATE `{table.__tablename__}` AS t JOIN ({first}{others * (len(rows) - 1)}) AS v "  # noqa: S608 - our names
        f"ON t.`{key}` = v.c0 SET {changes}{condition}"
    )
    columns, dialect = table.__table__.c, connection.dialect
    binds = [columns[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    values = [bind(row[name]) if bind else row[name] for row in rows for name, bind in zip(names, binds, strict=True)]
    connection.exec_driver_sql(statement, (*values, *(only_if[1:] if only_if else ())))
