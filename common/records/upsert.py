"""INSERT … or UPDATE, which MySQL, MariaDB and SQLite each spell their own way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import mysql, sqlite

from common.records.tables import Base


def upsert(connection: Connection, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert `rows`, or where the primary key is there already, replace all other columns that the rows have.

    All rows have the same keys. For rows that this transaction has locked or that nobody else changes.
    """
    if not rows:
        return
    keys = {column.name for column in table.__table__.primary_key}
    names = [name for name in rows[0] if name not in keys]
    if connection.dialect.name == "sqlite":
        lite = sqlite.insert(table)
        connection.execute(
            lite.on_conflict_do_update(index_elements=sorted(keys), set_={name: lite.excluded[name] for name in names}),
            rows,
        )
    else:
        my = mysql.insert(table)
        connection.execute(my.on_duplicate_key_update({name: my.inserted[name] for name in names}), rows)
