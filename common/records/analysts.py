"""Local accounts of the console: argon2id hashes, made and checked here, for the command line and the console."""

from __future__ import annotations

import re
import secrets
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, select, update

from common.errors import ChangeRefused, ConfigurationError
from common.records.bulk import Upsert, write
from common.records.console_tables import AnalystRow, SessionRow
from common.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from argon2 import PasswordHasher

ROLES = ("viewer", "analyst", "admin")
MIN_PASSWORD, MAX_PASSWORD = 12, 256
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


def add_analyst(work: UnitOfWork, name: str, role: str, password: str, actor: str) -> None:
    """Make an account, or give one a new role and password; its sessions end.

    Raises:
        ChangeRefused: name, role or password cannot be used.
    """
    if not _NAME.fullmatch(name):
        raise ChangeRefused("a name has 1 to 64 lower-case letters, digits, `.`, `_`, `-`, `@`")
    if role not in ROLES:
        raise ChangeRefused(f"the role is one of {', '.join(ROLES)}")
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ChangeRefused(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    values = {
        "name": name, "role": role, "password_hash": _hasher().hash(password), "created_at": work.now,
        "removed_at": None,
    }  # fmt: skip
    write(work.connection, Upsert(AnalystRow, [values]))
    _end_sessions(work, name)
    work.note("analyst_added", actor=actor, name=name, role=role)


def remove_analyst(work: UnitOfWork, name: str, actor: str) -> None:
    """Close an account; its sessions end. Its name stays in the history.

    Raises:
        ChangeRefused: there is no such account.
    """
    done = work.connection.execute(
        update(AnalystRow).where(AnalystRow.name == name, AnalystRow.removed_at.is_(None)).values(removed_at=work.now)
    )
    if not done.rowcount:
        raise ChangeRefused(f"no account is called {name!r}; see `securitybot analysts list`")
    _end_sessions(work, name)
    work.note("analyst_removed", actor=actor, name=name)


def list_analysts(connection: Connection) -> list[dict[str, Any]]:
    """Return the accounts by name, removed ones too; never their hashes."""
    columns = (AnalystRow.name, AnalystRow.role, AnalystRow.created_at, AnalystRow.removed_at)
    return [dict(row) for row in connection.execute(select(*columns).order_by(AnalystRow.name)).mappings()]


def has_account(connection: Connection, name: str) -> bool:
    """Tell whether somebody has an account of that name, and may use it."""
    mine = (AnalystRow.name == name, AnalystRow.removed_at.is_(None))
    return connection.execute(select(AnalystRow.name).where(*mine)).first() is not None


def check_password(connection: Connection, name: str, password: str) -> str | None:
    """Return the account's role if the password is right. Takes as long for a name that nobody has."""
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - loaded where it is used

    row = connection.execute(
        select(AnalystRow.role, AnalystRow.password_hash).where(
            AnalystRow.name == name, AnalystRow.removed_at.is_(None)
        )
    ).first()
    try:
        _hasher().verify(row.password_hash if row else _nobodys_hash(), password[: MAX_PASSWORD + 1])
    except (VerificationError, InvalidHashError):
        return None
    return row.role if row else None


def _end_sessions(work: UnitOfWork, name: str) -> None:
    mine = (SessionRow.analyst == name, SessionRow.provider == "local")
    work.connection.execute(delete(SessionRow).where(*mine))


@cache
def _hasher() -> PasswordHasher:
    try:
        from argon2 import PasswordHasher  # noqa: PLC0415 - only who has local accounts needs it
    except ModuleNotFoundError:
        raise ConfigurationError("local accounts need the package argon2-cffi: install securitybot[console]") from None
    return PasswordHasher(time_cost=3, memory_cost=19 * 1024, parallelism=1)


@cache
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_urlsafe(32))
