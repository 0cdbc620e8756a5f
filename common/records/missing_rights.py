"""Which rights on tables a user of the record has, found out without changing anything."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

DENIED = (1142, 1143)
"""MySQL's and MariaDB's errors: no such right on the table, or on the column."""
_UPDATE_OF = re.compile(r"UPDATE \((\w+)\)")


def missing_rights(connection: Connection, tables: Mapping[str, str]) -> list[str]:
    """Return what of `tables` (table to SQL's privileges) the user lacks, as in `INSERT on alerts`."""
    return [
        f"{privilege} on {table}"
        for table, privileges in sorted(tables.items())
        for privilege in privileges.split(", ")
        if not may(connection, table, privilege)
    ]


def may(connection: Connection, table: str, privilege: str) -> bool:
    """Tell whether the user has the privilege: by a statement that is about no row."""
    column = _UPDATE_OF.fullmatch(privilege)
    statement = {
        "SELECT": f"SELECT 1 FROM {table} WHERE 1 = 0",  # noqa: S608 - our own tables' names, as below
        "INSERT": f"INSERT INTO {table} SELECT * FROM {table} WHERE 1 = 0",  # noqa: S608
        "DELETE": f"DELETE FROM {table} WHERE 1 = 0",  # noqa: S608
    }.get(privilege) or _update(connection, table, column[1] if column else None)
    try:
        connection.execute(text(statement))
    except DBAPIError as error:
        if error.orig is not None and error.orig.args[0] in DENIED:
            return False
        raise
    return True


def _update(connection: Connection, table: str, column: str | None) -> str:
    if column is None:
        column = next(iter(connection.execute(text(f"SELECT * FROM {table} WHERE 1 = 0")).keys()))  # noqa: S608
    return f"UPDATE {table} SET `{column}` = `{column}` WHERE 1 = 0"  # noqa: S608
