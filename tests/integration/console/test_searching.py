"""Searches find exactly what a plain filter over all alerts finds, in order, page by page, on both databases."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from common.records.console_tables import AlertWordRow, WordRow
from common.records.tables import AlertRow
from services.console.finding import find
from services.console.searches import AlertSearch, Cursor, decode_cursor
from services.console.word_index import BATCH, index_more
from services.console.words import has_all, terms_of, words_of
from tests.integration.console.conftest import House

Row = dict[str, Any]


def fill(house: House, count: int = 90) -> list[Row]:
    chance = random.Random(3)
    for number in range(count):
        owner = chance.choice(("alice", "bob", "U1"))
        house.alert(
            number, owner=owner, person_id=chance.choice(("U1", "U2", None)),
            title=chance.choice(("sudo", "vpn", "Sudo")),
            severity=chance.choice(("low", "critical")), source=chance.choice(("osquery", "okta")),
            status=chance.choice(("open", "verifying", "closed")), resolution=chance.choice(("denied", "confirmed")),
            performed=chance.choice((True, False, None)), authenticated=chance.choice((True, None)),
            received_at=house.clock.now() - timedelta(minutes=chance.randrange(40)),
            description=f"{owner} on {chance.choice(('db-7', 'web-12', 'db-17'))} ran job{number}",
        )  # fmt: skip
    with house.engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(AlertRow.__table__)).mappings()]


def walk(house: House, search: AlertSearch) -> list[int]:
    found: list[int] = []
    cursor: Cursor | None = None
    for _ in range(100):
        page = house.desk.read(lambda connection, at=cursor: find(connection, search, at))  # type: ignore[misc]
        found += [row["id"] for row in page.alerts]
        assert len(page.alerts) <= search.limit
        if page.cursor is None:
            return found
        cursor = decode_cursor(page.cursor)
    raise AssertionError("the pages never end")


def test_every_filter_and_order_finds_what_it_should(each_house: House) -> None:
    rows, now = fill(each_house), each_house.clock.now()
    half = now - timedelta(minutes=20)
    cases: list[tuple[AlertSearch, Callable[[Row], bool]]] = [
        (AlertSearch(), lambda r: True),
        (AlertSearch(titles=("sudo",)), lambda r: r["title"] == "sudo"),
        (AlertSearch(titles=("sudo", "vpn")), lambda r: r["title"] in ("sudo", "vpn")),
        (AlertSearch(owner="U1"), lambda r: "U1" in (r["owner"], r["person_id"])),
        (AlertSearch(owner="bob", severity=("low",)), lambda r: (r["owner"], r["severity"]) == ("bob", "low")),
        (AlertSearch(status=("open", "closed")), lambda r: r["status"] in ("open", "closed")),
        (AlertSearch(resolution=("denied",)), lambda r: r["resolution"] == "denied"),
        (AlertSearch(source="okta"), lambda r: r["source"] == "okta"),
        (AlertSearch(performed=False), lambda r: r["performed"] is False),
        (AlertSearch(authenticated=True), lambda r: r["authenticated"] is True),
        (AlertSearch(after=half), lambda r: r["received_at"] >= half),
        (AlertSearch(before=half), lambda r: r["received_at"] < half),
    ]  # fmt: skip
    keys: dict[str, Callable[[Row], Any]] = {
        "newest": lambda r: (-r["received_at"].timestamp(), -r["id"]),
        "oldest": lambda r: (r["received_at"], r["id"]),
        "title": lambda r: (r["title"], r["received_at"], r["id"]),
        "owner": lambda r: (r["owner"], r["received_at"], r["id"]),
    }
    for search, wanted in cases:
        for sort, key in keys.items():
            expected = [row["id"] for row in sorted(filter(wanted, rows), key=key)]
            assert walk(each_house, replace(search, sort=sort, limit=7)) == expected, (search, sort)


@pytest.mark.parametrize("indexed", [0, 1, 2])
def test_words_are_found_before_during_and_after_their_indexing(each_house: House, indexed: int) -> None:
    fill(each_house, 60)
    if indexed:
        each_house.clock.advance(timedelta(minutes=1))
        assert each_house.desk.change(index_more) == 60
    if indexed == 1:
        for number in range(100, 130):
            each_house.alert(number, description="alice on db-7 afterwards", received_at=each_house.clock.now())
    with each_house.engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(select(AlertRow.__table__)).mappings()]
    for text in ("db-7", "DB", "alice db", "job1", "job11 alice", "after", "nothing", "on ran", "-", "7"):
        terms = terms_of(text)
        expected = [
            row["id"]
            for row in rows
            if terms and has_all(words_of(row["title"], row["description"], row["owner"]), terms)
        ]
        assert sorted(walk(each_house, AlertSearch(text=text, limit=9))) == sorted(expected), text
        narrow = [
            row["id"] for row in rows if row["id"] in expected and row["severity"] == "low" and row["owner"] == "bob"
        ]
        search = AlertSearch(text=text, limit=9, severity=("low",), owner="bob")
        assert sorted(walk(each_house, search)) == sorted(narrow), text


def test_an_alert_is_indexed_once_and_only_when_it_is_settled(each_house: House) -> None:
    each_house.alert(1, received_at=each_house.clock.now(), description="now")
    assert each_house.desk.change(index_more) == 0
    each_house.clock.advance(timedelta(seconds=31))
    assert each_house.desk.change(index_more) == 1
    assert each_house.desk.change(index_more) == 0
    words = words_of("sudo on db-7", "now", "alice")
    with each_house.engine.connect() as connection:
        assert set(connection.scalars(select(AlertWordRow.word))) == words
        assert set(connection.scalars(select(WordRow.alerts))) == {1}
    each_house.alert(2, description="now again")
    each_house.desk.change(index_more)
    assert each_house.row(WordRow, WordRow.word == "now").alerts == 2
    assert each_house.row(WordRow, WordRow.word == "again").alerts == 1


def test_an_alert_whose_clock_is_ahead_of_the_next_ones_is_not_passed_over(each_house: House) -> None:
    now = each_house.clock.now()
    each_house.alert(1, received_at=now + timedelta(milliseconds=50), description="ahead")
    each_house.alert(2, received_at=now, description="behind")
    each_house.clock.advance(timedelta(seconds=30, milliseconds=20))
    assert each_house.desk.change(index_more) == 0
    each_house.clock.advance(timedelta(seconds=1))
    assert each_house.desk.change(index_more) == 2


def test_a_search_that_would_take_too_long_stops_and_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        house.alert(number, description="common", severity="critical" if number == 0 else "low")
    house.clock.advance(timedelta(minutes=1))
    assert house.desk.change(index_more) == 40 <= BATCH
    monkeypatch.setattr("services.console.word_index.FIRST_CANDIDATES", 5)
    monkeypatch.setattr("services.console.finding.SEARCH_SECONDS", 0.0)
    search = AlertSearch(text="common", severity=("critical",))
    page = house.desk.read(lambda connection: find(connection, search, None))
    assert (list(page.alerts), page.searched_back_to is None, page.cursor is None) == ([], False, False)
    assert len(walk(house, search)) == 1
