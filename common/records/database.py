"""The engine, and what a database error means for the work in hand."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from traceback import clear_frames
from typing import Any

from pymysql.constants import CLIENT
from pymysql.cursors import Cursor
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    DBAPIError,
    IntegrityError,
    PendingRollbackError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from common.clock import skew_problem
from common.errors import ConfigurationError, DatabaseUnavailable
from common.tls import SYSTEM, client_context, refused_certificate

POOL_SIZE = 8
CONNECT_SECONDS = 5
MOST_SKEW_OF_REPLICAS = timedelta(seconds=2)
"""From the record's clock. A claim that lives has 4 s left at least, and replicas tell by their own clocks."""
STATEMENT_SECONDS = 30
"""Longer than any statement of ours takes; a half-open connection is noticed by it."""


def create_database(url: str, statement_seconds: int | None = STATEMENT_SECONDS) -> Engine:
    """Return an engine for `url`; nothing is connected yet. `statement_seconds`: None for what may take any time.

    MySQL and MariaDB: READ COMMITTED, which takes fewer gap locks and so meets fewer deadlocks. SQLite: write-ahead
    log, and transactions that take the write lock at their start, so that two of them never deadlock.

    Raises:
        ConfigurationError: an option of the URL is unknown, or names a file that cannot be used.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": STATEMENT_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine
    parsed, tls = _tls(parsed)
    return create_engine(
        parsed,
        hide_parameters=True,  # people's texts do not belong into logs
        isolation_level="READ COMMITTED",
        pool_size=POOL_SIZE,
        max_overflow=POOL_SIZE,
        pool_timeout=CONNECT_SECONDS,
        pool_recycle=1800,
        pool_reset_on_return=None,  # every use ends its transaction itself; a second ROLLBACK would be a round trip
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": statement_seconds,
            "write_timeout": STATEMENT_SECONDS,
            "charset": "utf8mb4",
            "client_flag": CLIENT.MULTI_STATEMENTS,  # for `common.records.bulk`, which quotes every value
            "cursorclass": AllResults,
            **tls,
        },
    )


class AllResults(Cursor):
    """Reads the results of all statements of a query, so that `execute` raises the error of a later one too."""

    def execute(self, query: str, args: Any = None) -> int:
        """See `Cursor`; returns the rows of the first statement."""
        count: int = super().execute(query, args)
        while self.nextset():
            pass
        return count


def _tls(url: URL) -> tuple[URL, dict[str, ssl.SSLContext]]:
    """Take the TLS options out of `url` and return what PyMySQL is to be given for them.

    With `ssl_ca` the server has to speak TLS with a certificate of that authority for its host name; without, the
    connection is encrypted where the server can, and nothing is checked.
    """
    options = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    unknown = sorted(set(options) - {"ssl_ca", "ssl_cert", "ssl_key", "unix_socket"})
    if unknown:
        raise ConfigurationError(
            f"SECURITYBOT_DATABASE_URL has the option {unknown[0]!r}; there are ssl_ca (a file, or `{SYSTEM}`), "
            "ssl_cert, ssl_key and unix_socket"
        )
    files = [options.get(name) for name in ("ssl_ca", "ssl_cert", "ssl_key")]
    if not any(files):
        return url, {}
    try:
        context = client_context(files[0], files[1], files[2])
    except OSError as error:
        raise ConfigurationError(
            f"SECURITYBOT_DATABASE_URL: {', '.join(name for name in files if name)} cannot be used: {error}"
        ) from None
    return url.difference_update_query(["ssl_ca", "ssl_cert", "ssl_key"]), {"ssl": context}


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # what is committed gets acknowledged: it has to survive a power cut
    cursor.close()


def clock_problem(connection: Connection) -> str | None:
    """Return what to do where the record's clock and this machine's differ: replicas would take each other's claims."""
    if connection.dialect.name == "sqlite":
        return None
    before = datetime.now(UTC)
    theirs = connection.exec_driver_sql("SELECT UTC_TIMESTAMP(6)").scalar_one().replace(tzinfo=UTC)
    ours = min(max(theirs, before), datetime.now(UTC))  # the answer may have been long on its way
    return skew_problem("the database's", theirs, ours, MOST_SKEW_OF_REPLICAS)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what is the database's fault into `DatabaseUnavailable`.

    Left as they are: `IntegrityError` and `DataError`, which a message can cause. Everything else (connection lost,
    deadlock, lock time-out, read-only, full disk, schema not migrated) is never a message's fault.
    """
    try:
        yield
    except (IntegrityError, DataError):
        raise
    except (DatabaseError, DBAPIError, PoolTimeout, PendingRollbackError) as error:
        line = _one_line(error)
        _let_go(error)
        raise DatabaseUnavailable(line) from error


def _let_go(error: BaseException | None) -> None:
    """Free what the calls that failed had in hand.

    PyMySQL's error refers to the call that raised it, and that call to the error: until a collector finds them, which
    is told to look rarely, each failed connection keeps its TLS context, 0.8 MB.
    """
    while error is not None:
        clear_frames(error.__traceback__)
        error = getattr(error, "orig", None) or getattr(error, "original_exception", None)


def _one_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    socket_error = getattr(cause, "original_exception", None)  # PyMySQL's
    refused = refused_certificate(socket_error, "`ssl_ca` in SECURITYBOT_DATABASE_URL")
    if refused:
        return refused
    return f"{type(cause).__name__}: {cause}".splitlines()[0][:300]
