"""What strangers wrote goes into the record as it is, though statements are written together, with quoting."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from common.records.bulk import Insert, Update, write
from common.records.tables import QuarantineRow

HOSTILE = (
    "\\'; DROP TABLE history; -- ",
    "' OR 1=1 -- ", "\\", "\\\\'", "%s %(x)s %%", "\x00\x1a\r\n", "\u00e9\U0001f600'\"`",
    "';\nDELETE FROM quarantine;\n'", "\u00bf\\'", ":name ?", "a" * 70_000 + "'",
)  # fmt: skip
EVERY_BYTE = bytes(range(256))


def a_row(hostile: str) -> dict[str, Any]:
    return {
        "received_at": datetime(2026, 3, 3, tzinfo=UTC), "queue": "q", "exchange": "e", "routing_key": hostile[:255],
        "message_id": None, "type": None, "correlation_id": None, "headers": {hostile: [hostile]},
        "body": hostile.encode() + EVERY_BYTE, "reason": hostile[:60_000], "state": "waiting",
    }  # fmt: skip


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,PIPES_AS_CONCAT"])
def test_hostile_text_is_kept_and_nothing_of_it_is_done(engine: Engine, mode: str) -> None:
    rows = [a_row(hostile) for hostile in HOSTILE]
    with engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            connection.execute(text(f"SET SESSION sql_mode = '{mode}'"))
            connection.commit()
        with connection.begin():
            write(connection, Insert(QuarantineRow, rows))
        kept = connection.execute(select(QuarantineRow.__table__).order_by(QuarantineRow.id)).mappings().all()
        assert [{name: row[name] for name in rows[0]} for row in kept] == rows
        assert connection.execute(text("SELECT COUNT(*) FROM history")).scalar_one() == 0


def test_an_update_leaves_alone_what_has_a_value_already(engine: Engine) -> None:
    rows = [a_row(name) | {"note": note} for name, note in (("free", None), ("taken", "by somebody"))]
    with engine.begin() as connection:
        write(connection, Insert(QuarantineRow, rows))
        ids = list(connection.scalars(select(QuarantineRow.id).order_by(QuarantineRow.id)))
        changes = [{"id": number, "state": "dropped"} for number in ids]
        write(connection, Update(QuarantineRow, changes, key="id", only_if=("note", None)))
        states = list(connection.scalars(select(QuarantineRow.state).order_by(QuarantineRow.id)))
    assert states == ["dropped", "waiting"]
