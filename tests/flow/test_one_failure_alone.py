"""A conversation at which the dispatcher fails holds up nobody else's deadlines, and its alert reaches the team."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.dispatcher.deadlines import Deadlines
from services.dispatcher.secretary import Secretary
from tests.flow.town import ALICE, Town

UNREADABLE = f"UPDATE conversations SET state = '{{}}' WHERE person_id = '{ALICE}'"
UNWRITABLE = (
    f"CREATE TRIGGER refuse BEFORE UPDATE ON conversations WHEN NEW.person_id = '{ALICE}' "
    "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
)


@pytest.mark.parametrize("damage", [UNREADABLE, UNWRITABLE], ids=["unreadable", "unwritable"])
def test_deadlines_go_on_without_the_one_that_fails(town: Town, damage: str) -> None:
    people = [f"U{number}" for number in range(9)]
    for person_id in people:
        town.add_person(person_id, f"user-{person_id.lower()}")
    failing = town.alert("alice")
    others = [town.alert(f"user-{person_id.lower()}") for person_id in people]
    with town.engine.begin() as connection:
        connection.execute(text(damage))
    town.clock.advance(timedelta(days=7))
    deadlines = Deadlines(town.config)
    failures = 0
    for _ in range(12):
        for tick in deadlines.ticks():
            failures += 1
            with suppress(ValidationError, IntegrityError):
                town.transactions.run(tick.run)
                failures -= 1
    town.settle()
    assert [town.row(digest).resolution for digest in others] == ["no_response"] * len(others)
    assert town.row(failing).resolution == "no_response"
    assert 0 < failures <= 10, "by halves, and then left out for a while"


def test_an_alert_that_cannot_be_given_up_holds_up_no_other(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Secretary, "accept", lambda *_: 1 / 0)
        failing, *others = [town.alert() for _ in range(4)]
    town.expected_in_quarantine = 4
    town.clock.advance(timedelta(minutes=3))
    give_up = Secretary.unhandled
    monkeypatch.setattr(Secretary, "unhandled", lambda self, row: 1 / 0 if row.hash == failing else give_up(self, row))
    deadlines = Deadlines(town.config)
    for _ in range(6):
        with suppress(ZeroDivisionError):
            town.transactions.run(deadlines.announce_again)
    town.settle()
    assert [town.row(digest).resolution for digest in (failing, *others)] == [None, *["unreachable"] * 3]
