"""A conversation at which the dispatcher fails holds up nobody else's deadlines, and its alert reaches the team."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from pydantic import ValidationError
from sqlalchemy import update

from common.records.tables import ConversationRow
from services.dispatcher.deadlines import Deadlines
from tests.flow.town import ALICE, Town


def test_deadlines_go_on_without_the_one_that_fails(town: Town) -> None:
    people = [f"U{number}" for number in range(9)]
    for person_id in people:
        town.add_person(person_id, f"user-{person_id.lower()}")
    unreadable = town.alert("alice")
    others = [town.alert(f"user-{person_id.lower()}") for person_id in people]
    with town.engine.begin() as connection:
        broken = ConversationRow.person_id == ALICE
        [state] = connection.scalars(
            update(ConversationRow).where(broken).values(state={"nonsense": 1}).returning(ConversationRow.state)
        )
    town.clock.advance(timedelta(days=7))
    deadlines = Deadlines(town.config)
    failures = 0
    for _ in range(12):
        for tick in deadlines.ticks():
            failures += 1
            with suppress(ValidationError):
                town.transactions.run(tick.run)
                failures -= 1
    town.settle()
    assert [town.row(digest).resolution for digest in others] == ["no_response"] * len(others)
    assert town.row(unreadable).resolution == "no_response"
    assert failures <= 10, "by halves, and then left out for a while"
    assert state == {"nonsense": 1}
