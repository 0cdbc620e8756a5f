"""What the engine promises on each database."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError


def test_what_people_wrote_gets_into_no_error(engine: Engine) -> None:
    statement = text("SELECT * FROM nowhere WHERE comment = :comment")

    with pytest.raises(DBAPIError, match="nowhere") as caught, engine.connect() as connection:
        connection.execute(statement, {"comment": "between us"})

    assert "between us" not in str(caught.value)


def test_what_sqlite_has_committed_is_on_the_disk(sqlite_engine: Engine) -> None:
    full = 2
    with sqlite_engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == full
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
