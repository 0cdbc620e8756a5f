"""Adding to counters: INSERT … or add, which MySQL, MariaDB and SQLite each spell their own way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import mysql, sqlite

from common.records.console_tables import RollupRow, WordRow


def add_counts(connection: Connection, table: type[RollupRow | WordRow], rows: Sequence[dict[str, Any]]) -> None:
    """Add `alerts` of each row to the counter with its key. Rows in the order of their keys meet no deadlock."""
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        lite = sqlite.insert(table)
        keys = [column.name for column in table.__table__.primary_key]
        total = table.alerts + lite.excluded.alerts
        connection.execute(lite.on_conflict_do_update(index_elements=keys, set_={"alerts": total}), rows)
    else:
        my = mysql.insert(table)
        connection.execute(my.on_duplicate_key_update(alerts=table.alerts + my.inserted.alerts), rows)
