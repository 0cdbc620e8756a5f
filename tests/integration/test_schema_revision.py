"""The schema's revision is told without Alembic, and is the same that Alembic tells."""

from __future__ import annotations

import subprocess
import sys

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from common.records.migrate import alembic_config, current_revision, newest_revision, schema_problem


def test_the_newest_revision_is_alembics_head() -> None:
    assert newest_revision() == ScriptDirectory.from_config(alembic_config()).get_current_head()


def test_a_migrated_databases_revision_is_the_one_that_alembic_stored(engine: Engine) -> None:
    with engine.connect() as connection:
        stored = MigrationContext.configure(connection).get_current_revision()
        assert current_revision(connection) == stored == newest_revision()
        assert schema_problem(connection) is None


def test_an_empty_and_an_older_database_say_what_to_run() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        assert "has no schema yet: run `securitybot migrate`" in str(schema_problem(connection))
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0000')")
        assert "is at schema 0000" in str(schema_problem(connection))
    engine.dispose()


def test_a_service_does_not_load_alembic() -> None:
    code = (
        "import sys, common.service, common.records.migrate as m; m.newest_revision(); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
