"""The insight page's counts: every alert once, the newest at once, whoever counts."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from common.errors import DatabaseUnavailable
from common.records.console_tables import ProgressRow, RollupRow
from common.records.database import create_database
from common.records.migrate import migrate
from common.unit_of_work import UnitOfWork
from services.console.progress import BEGINNING, Progress
from services.console.rollup import count_more
from services.console.teams import TeamEntry, Teams
from tests.integration.console.conftest import House

TEAMS = Teams(teams=(TeamEntry(name="platform", owners=("ali*", "U2")),))


def seen(house: House) -> tuple[int, int]:
    """Return all alerts and those without an analyst, as the page counts them."""
    data = house.desk.insight("2026-01-01", "2026-12-31")
    return data.total, data.saved


def test_an_alert_is_counted_once_before_and_after_it_is_rolled_up(each_house: House) -> None:
    now = each_house.clock.now()
    for number in range(7):
        bot = number < 3
        each_house.alert(
            number, resolution="confirmed" if bot else "denied", status="closed", resolved_at=now,
            closed_at=now if bot else now + timedelta(hours=1), responded_at=now, asked_at=now - timedelta(seconds=90),
        )  # fmt: skip
    assert seen(each_house) == (7, 3)
    assert each_house.desk.change(lambda work: count_more(work, TEAMS.of)) == 0
    each_house.clock.advance(timedelta(seconds=31))
    assert each_house.desk.change(lambda work: count_more(work, TEAMS.of)) == 7
    assert each_house.desk.change(lambda work: count_more(work, TEAMS.of)) == 0
    assert seen(each_house) == (7, 3)
    each_house.alert(50, resolution="confirmed", resolved_at=each_house.clock.now())
    assert seen(each_house) == (8, 3)
    each_house.clock.advance(timedelta(seconds=31))
    assert each_house.desk.change(lambda work: count_more(work, TEAMS.of)) == 1
    assert seen(each_house) == (8, 3)
    assert each_house.row(RollupRow, RollupRow.dimension == "team").key == "platform"
    assert each_house.row(ProgressRow, ProgressRow.name == "rollups").position > 0


def test_alerts_with_the_same_moment_are_each_counted(each_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    now = each_house.clock.now()
    for number in range(12):
        each_house.alert(number, resolved_at=now)
    each_house.clock.advance(timedelta(minutes=1))
    monkeypatch.setattr("services.console.rollup.BATCH", 5)
    done = [each_house.desk.change(lambda work: count_more(work, TEAMS.of)) for _ in range(4)]
    assert done == [5, 5, 2, 0]
    assert seen(each_house) == (12, 0)


def test_the_pictures_have_their_numbers(house: House) -> None:
    now = house.clock.now()
    for number in range(25):
        house.alert(number, resolution="confirmed", status="closed", closed_at=now, resolved_at=now, title="=sudo",
                    asked_at=now - timedelta(seconds=60), responded_at=now)  # fmt: skip
    visitor = house.visitor()
    page = visitor.get("/insight").text
    assert "100 % confirmed of 25: tune or drop this detection" in page
    assert 'role="img" aria-label="Alerts a day by what became of them"' in page
    table = list(csv.DictReader(io.StringIO(visitor.get("/insight/by-title.csv").text)))
    counts = {"alerts": "25", "confirmed": "25", "unproved": "0", "denied": "0", "silent": "0", "other": "0"}
    assert table == [{"title": "'=sudo"} | counts]
    days = list(csv.DictReader(io.StringIO(visitor.get("/insight/time-to-answer.csv?days=7").text)))
    assert len(days) == 7
    assert days[-1]["answers"] == "25"
    assert 55 < float(days[-1]["median seconds"]) < 65
    stats = house.api().get("/api/v1/stats?days=2").json()
    assert (stats["alerts"], stats["needed_no_analyst"]) == (25, 25)


def test_an_export_is_the_whole_result(each_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        each_house.alert(number, title="=cmd()" if number == 4 else "sudo", severity="high" if number % 2 else "low")
    monkeypatch.setattr("services.console.export_query.PAGE", 7)
    visitor = each_house.visitor()
    rows = list(csv.DictReader(io.StringIO(visitor.get("/alerts/export.csv").text)))
    some = visitor.get("/alerts/export.json?severity=high").json()
    assert len(rows) == len({row["hash"] for row in rows}) == 30
    assert {row["title"] for row in rows} == {"sudo", "'=cmd()"}, "a spreadsheet runs no formula"
    assert len(some) == 15
    assert some[0].keys() >= {"hash", "context", "reason", "received_at"}
    assert json.loads(visitor.get("/alerts/export.json?owner=nobody").text) == []


def test_two_consoles_may_begin_at_the_same_moment(mariadb_url: str) -> None:
    engine = create_database(mariadb_url)
    migrate(engine)

    others: list[str] = []

    def begin() -> None:
        with engine.begin() as connection:
            Progress(UnitOfWork(connection, BEGINNING, "console"), "words")

    def first(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO progress") and not others:
            others.append("another console")
            begin()

    event.listen(engine, "before_cursor_execute", first)
    with pytest.raises(DatabaseUnavailable, match="another console"):
        begin()
    begin()
    engine.dispose()
