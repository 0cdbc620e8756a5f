"""The migrations build what the models say, from nothing, on SQLite and on MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from common.errors import DatabaseUnavailable
from common.records.database import STATEMENT_SECONDS, create_database
from common.records.migrate import LOCK, alembic_config, create_or_migrate, migrate, newest_revision, schema_problem
from common.records.schema import SCHEMA
from tests.waiting import eventually


@pytest.fixture
def empty(database_url: str) -> Iterator[Engine]:
    engine = create_database(database_url)
    yield engine
    engine.dispose()


def downgrade(engine: Engine, revision: str) -> None:
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
        connection.commit()


def differences(engine: Engine) -> list[object]:
    """What Alembic would still change to make the database as the models are."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, SCHEMA))


def test_from_nothing_to_what_the_models_say(empty: Engine) -> None:
    assert migrate(empty) == (None, newest_revision())

    assert differences(empty) == []


def test_created_at_once_from_the_models_is_the_same_schema(empty: Engine) -> None:
    create_or_migrate(empty)

    assert differences(empty) == []
    assert migrate(empty) == (newest_revision(), newest_revision())


@pytest.mark.parametrize("bring", [migrate, create_or_migrate])
def test_a_schema_of_a_later_release_is_left_as_it_is(empty: Engine, bring: Callable[[Engine], object]) -> None:
    migrate(empty)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    bring(empty)
    with empty.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "0999"
        assert schema_problem(connection) is None


def test_a_database_of_an_older_release_is_migrated_not_created_again(empty: Engine) -> None:
    migrate(empty)
    downgrade(empty, "0001")

    create_or_migrate(empty)

    assert differences(empty) == []


def test_a_table_that_is_not_as_the_models_say_is_noticed(empty: Engine) -> None:
    migrate(empty)
    with empty.begin() as connection:
        connection.execute(text("ALTER TABLE alerts ADD COLUMN surprise VARCHAR(10)"))

    assert len(differences(empty)) == 1


def test_running_again_changes_nothing(empty: Engine) -> None:
    migrate(empty)

    assert migrate(empty) == (newest_revision(), newest_revision())

    assert differences(empty) == []


def test_all_the_way_down_and_up_again(empty: Engine) -> None:
    migrate(empty)

    downgrade(empty, "base")

    assert set(inspect(empty).get_table_names()) <= {"alembic_version"}
    migrate(empty)
    assert differences(empty) == []


def test_every_step_goes_down_and_up(empty: Engine) -> None:
    migrate(empty)
    revisions = [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()]

    for older in revisions[1:]:
        downgrade(empty, older)
        assert migrate(empty) == (older, newest_revision())
        assert differences(empty) == []


def test_text_is_told_apart_byte_by_byte_and_keeps_every_character(engine: Engine) -> None:
    with engine.begin() as connection:
        for owner in ("Zoë", "zoë", "Zoe", "🦆"):
            connection.execute(
                text(
                    "INSERT INTO people (chat_id, username, display_name, active, updated_at)"
                    " VALUES (:name, :name, :name, 1, '2026-01-01 00:00:00')"
                ),
                {"name": owner},
            )
        found = connection.scalars(text("SELECT username FROM people WHERE username = 'zoë'")).all()
        duck = connection.scalar(text("SELECT username FROM people WHERE chat_id = '🦆'"))

    assert (found, duck) == (["zoë"], "🦆")


def test_a_migration_waits_for_another_and_finds_its_work_done(mariadb_url: str) -> None:
    """MySQL and MariaDB commit at each step: two at once would each do half of them."""
    first, second = create_database(mariadb_url), create_database(mariadb_url, statement_seconds=None)
    with first.connect() as connection, ThreadPoolExecutor() as pool:
        connection.execute(text("SELECT GET_LOCK(:name, 0)"), {"name": LOCK})
        waiting = pool.submit(migrate, second)
        eventually(lambda: "User lock" in str(connection.execute(text("SHOW PROCESSLIST")).all()))
        assert inspect(first).get_table_names() == []
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": LOCK})
        assert waiting.result(60) == (None, newest_revision())
    assert migrate(first) == (newest_revision(), newest_revision()), "the lock is free again"
    first.dispose()
    second.dispose()


def test_a_migration_that_fails_keeps_none_out(mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.records.migrate.LOCK_SECONDS", 5)
    failing, next_one = create_database(mariadb_url), create_database(mariadb_url)
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            migrate(failing)

    assert migrate(next_one) == (None, newest_revision())

    failing.dispose()
    next_one.dispose()


def test_a_migration_that_never_gets_its_turn_says_so(mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.records.migrate.LOCK_SECONDS", 0)
    first, second = create_database(mariadb_url), create_database(mariadb_url)
    with first.connect() as connection:
        connection.execute(text("SELECT GET_LOCK(:name, 0)"), {"name": LOCK})
        with pytest.raises(DatabaseUnavailable, match="another migration has been at work"):
            migrate(second)
        connection.execute(text("SELECT RELEASE_LOCK(:name)"), {"name": LOCK})
    first.dispose()
    second.dispose()


def test_a_migration_may_take_longer_than_a_statement_of_a_service(mariadb_url: str) -> None:
    service, migration = create_database(mariadb_url), create_database(mariadb_url, statement_seconds=None)
    seconds = {}
    for name, engine in (("service", service), ("migration", migration)):
        with engine.connect() as connection:
            seconds[name] = connection.connection.driver_connection._read_timeout  # type: ignore[union-attr]
        engine.dispose()
    assert seconds == {"service": STATEMENT_SECONDS, "migration": None}


def test_a_database_that_is_away_is_told_as_such() -> None:
    engine = create_database("mysql+pymysql://nobody@127.0.0.1:1/none")

    with pytest.raises(DatabaseUnavailable, match="Can't connect"):
        migrate(engine)
    engine.dispose()
