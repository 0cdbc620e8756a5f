"""SQL that makes the record's users and gives each its rights, for MySQL 8.4 and MariaDB 10.11 alike. Pure.

Users come first, made by the server's root; grants name tables, so they come after `securitybot migrate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from common.rights import Rights

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What is quoted here needs no escaping."""
PASSWORD = re.compile(r"[A-Za-z0-9_-]{16,}")


def user_statements(database: str, passwords: Mapping[str, str], admin: str) -> list[str]:
    """Return what makes the database and its users; run again, it sets their passwords anew.

    Args:
        database: its name.
        passwords: password by user name, `admin` among them.
        admin: who migrates and gives the others their rights: everything in `database`, and nothing outside.
    """
    statements = [
        f"CREATE DATABASE IF NOT EXISTS {_name(database)} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    ]
    for user, password in passwords.items():
        if not PASSWORD.fullmatch(password):
            raise ValueError(f"the password of {user} must be 16 or more letters, digits, - and _")
        statements += [
            f"CREATE USER IF NOT EXISTS {_account(user)} IDENTIFIED BY '{password}'",
            f"ALTER USER {_account(user)} IDENTIFIED BY '{password}'",
        ]
    return [*statements, f"GRANT ALL PRIVILEGES ON {_name(database)}.* TO {_account(admin)} WITH GRANT OPTION"]


def grant_statements(database: str, users: Mapping[str, Rights]) -> list[str]:
    """Return what gives each user its rights on the tables that it needs."""
    return [
        f"GRANT {privileges} ON {_name(database)}.{_name(table)} TO {_account(user)}"
        for user, rights in users.items()
        for table, privileges in sorted(rights.tables.items())
    ]


def script(statements: Iterable[str]) -> str:
    """Return the statements as a file for the server's client."""
    return "".join(f"{statement};\n" for statement in statements)


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of 1 to 64 letters, digits, - and _")
    return f"`{name}`"


def _account(user: str) -> str:
    _name(user)
    return f"'{user}'@'%'"
