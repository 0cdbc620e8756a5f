"""Brings the database to the newest schema with Alembic, and tells whether it is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from common.errors import DatabaseUnavailable
from common.records.database import translated_errors
from common.records.schema import SCHEMA

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
LOCK = "securitybot.migrate"
LOCK_SECONDS = 3600
"""How long one migration waits for another, which may have a large table to change."""


def alembic_config() -> Config:
    """Return Alembic's configuration; there is no ini file, the database is always passed as a connection."""
    from alembic.config import Config  # noqa: PLC0415 - 12 MB that a service which only asks for the revision saves

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


@cache
def newest_revision() -> str:
    """Return the revision that this release works with: migrations are named after theirs."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def current_revision(connection: Connection) -> str | None:
    """Return the database's revision; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def schema_problem(connection: Connection) -> str | None:
    """Return what is wrong with the schema, or None. A newer one is fine: migrations are backward compatible."""
    revision = current_revision(connection)
    if revision is None:
        return "the database has no schema yet: run `securitybot migrate`"
    if revision < newest_revision():
        return (
            f"the database is at schema {revision}, this release needs {newest_revision()}: run `securitybot migrate`"
        )
    return None


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Run every migration that is missing. Revisions are numbers (`0001`), so that they have an order.

    A schema of a later release is left as it is: going back to an earlier release must not fail.

    Returns:
        The revision before and after.

    Raises:
        DatabaseUnavailable: the database cannot be reached or changed.
    """
    with translated_errors(), engine.connect() as connection, _alone(connection):
        before = current_revision(connection)
        connection.rollback()
        if before is not None and before >= newest_revision():  # a newer one serves this release too
            return before, before
        from alembic import command  # noqa: PLC0415 - see above

        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
        return before, newest_revision()


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Keep other migrations out: MySQL commits at each step, and two at once would each do half of them.

    SQLite needs none: there a migration is one transaction.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    connection.detach()  # closed with us and not kept by the pool: the lock ends with it, whatever happens
    if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), {"name": LOCK, "seconds": LOCK_SECONDS}) != 1:
        raise DatabaseUnavailable(f"another migration has been at work for {LOCK_SECONDS} s")
    yield
    connection.scalar(text("SELECT RELEASE_LOCK(:name)"), {"name": LOCK})


def create_or_migrate(engine: Engine) -> None:
    """Bring a database of one's own (the demo's) to the newest schema, an empty one at once from the models.

    That spares the half second that Alembic takes to load; the migrations' tests check that both give the same schema.
    """
    with translated_errors(), engine.begin() as connection:
        if current_revision(connection) is None:
            SCHEMA.create_all(connection)
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": newest_revision()})
            return
    migrate(engine)
