"""Whatever part is away, every alert is told to the team in time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert

from common.alerts import accepted_id
from common.ids import new_id
from common.messages import AlertAccepted, AllowPushes, AuthResult
from common.records import changes
from common.records.tables import HistoryRow, InboxRow, QuarantineRow
from services.dispatcher.deadlines import Deadlines
from services.dispatcher.policies import Policies
from services.dispatcher.secretary import Secretary
from services.dispatcher.verdicts import alert_of
from tests.flow.conftest import Build, both
from tests.flow.town import ALICE, Town, configuration


def test_while_the_gateway_is_away_alerts_become_unreachable(town: Town) -> None:
    town.chat.away = True
    known, unknown = town.alert(), town.alert(owner="newcomer")
    town.pass_time(timedelta(days=2))
    assert (town.row(known).resolution, town.row(unknown).resolution) == ("unreachable", "unreachable")
    town.chat.away = False
    town.settle()
    assert len(town.reports()) == 2


def test_a_gateway_that_comes_back_late_gives_the_person_their_full_time(town: Town) -> None:
    town.chat.away = True
    digest = town.alert()
    town.pass_time(timedelta(hours=1, minutes=50))
    town.chat.away = False
    town.settle()
    town.pass_time(timedelta(hours=1, minutes=59))
    assert town.row(digest).status == "in_progress"
    town.pass_time(timedelta(minutes=1))
    assert town.row(digest).resolution == "no_response"


@both
def test_while_the_poller_is_away_the_proof_becomes_unavailable(town: Town) -> None:
    town.phones.away = True
    digest = town.alert()
    town.clicks(ALICE, "yes")
    town.clicks(ALICE, "push")
    town.pass_time(timedelta(minutes=3))
    assert town.row(digest).resolution == "proof_unavailable"
    town.phones.away = False
    town.settle()
    town.phones.answer(AuthResult.APPROVED)
    assert town.row(digest).resolution == "proof_unavailable", "a late approval changes nothing"
    town.outcome(digest)
    assert town.row(town.alert()).status == "in_progress", "and silences nothing"


def test_while_ingest_is_away_nothing_is_lost(town: Town) -> None:
    town.ingest_away = True
    digest = town.publish()
    town.settle()
    town.ingest_away = False
    town.settle()
    assert town.row(digest).status == "in_progress"


def test_while_the_dispatcher_is_away_alerts_wait_and_are_asked_once(town: Town) -> None:
    town.dispatcher_away = True
    digest = town.alert()
    town.pass_time(timedelta(hours=5))
    town.dispatcher_away = False
    town.tick()
    town.settle()
    assert town.row(digest).status == "in_progress"
    assert len(town.asked(ALICE)) == 1


def test_an_announcement_that_got_lost_is_made_again(town: Town) -> None:
    digest = town.publish()
    assert town._ingest._consumer is not None
    town._ingest._work_off(town._ingest._consumer.take(1, timeout=0))
    town.bus.close()
    town.bus = type(town.bus)("memory://")
    town.__post_init__()
    town.pass_time(timedelta(minutes=3))
    town.pass_time(timedelta(minutes=1))
    assert town.row(digest).status == "in_progress"
    assert len(town.asked(ALICE)) == 1


def test_an_alert_that_the_dispatcher_could_not_handle_still_goes_to_the_team(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = build()
    with monkeypatch.context() as broken:
        broken.setattr(Secretary, "accept", lambda *_: 1 / 0)
        digest = town.alert()
    (entry,) = town.rows(QuarantineRow)
    assert entry.type == "AlertAccepted"
    town.pass_time(timedelta(minutes=3))
    town.pass_time(timedelta(hours=8))
    town.pass_time(timedelta(days=1))
    row = town.row(digest)
    assert (row.resolution, row.comment) == ("unreachable", "the dispatcher could not handle it: see the quarantine")
    assert len(town.reports()) == 1
    town.transactions.run(lambda work: changes.retry_quarantined(work, entry.id, "analyst:mara"))
    town.settle()
    assert town.asked(ALICE) == [], "it has its verdict"
    town.outcome(digest)


def test_an_alert_whose_announcement_is_sent_again_from_the_quarantine_stays_where_it_is(town: Town) -> None:
    """It was dead-lettered while the dispatcher was broken, and announced again after that was repaired."""
    digest = town.alert()
    town.clicks(ALICE, "yes")
    town.clicks(ALICE, "push")
    row = town.row(digest)
    announced = AlertAccepted(alert=alert_of(row))
    town.transactions.run(lambda work: work.emit(announced, about=digest, message_id=new_id()))
    town.settle()
    assert town.row(digest).question_id == row.question_id
    town.phones.answer(AuthResult.APPROVED)
    assert town.row(digest).resolution == "confirmed"
    assert len(town.asked(ALICE)) == 1


def test_an_alert_that_was_placed_after_all_is_not_given_up(town: Town) -> None:
    """Its announcement was in the inbox at the second look because it had been handled in between."""
    digest = town.alert()
    town.transactions.run(lambda work: Deadlines(town.config)._give_up(work, [digest]))
    assert (town.row(digest).status, town.row(digest).resolution) == ("in_progress", None)


def test_an_alert_behind_questions_that_take_too_long_goes_to_the_team(build: Build) -> None:
    policies = Policies.model_validate(
        {
            "defaults": {"answer_within": "2h", "escalate_within": "2h", "clock": "always", "remind_before": "0s"},
        }
    )
    town = build(configuration(policies=policies))
    town.alert(title="a")
    town.pass_time(timedelta(hours=1))
    second = town.alert(title="b")
    town.pass_time(timedelta(hours=1))
    assert town.row(second).status == "in_progress"
    third = town.alert(title="c")
    town.pass_time(timedelta(hours=2))
    assert town.row(second).resolution == "no_response"
    assert town.row(third).resolution is not None
    assert len(town.outcomes) == 3


def test_pushes_stop_after_a_fraud_until_an_analyst_lifts_that(town: Town) -> None:
    town.alert()
    town.clicks(ALICE, "yes")
    town.clicks(ALICE, "push")
    town.phones.answer(AuthResult.FRAUD)
    digest = town.alert(title="log-in")
    town.clicks(ALICE, "yes")
    row = town.row(digest)
    assert row.resolution == "proof_unavailable"
    assert "pushes are stopped since one was marked as fraudulent" in row.comment
    town.tell(AllowPushes(person_id=ALICE, analyst="analyst:mara"))
    town.settle()
    digest = town.alert(title="download")
    town.confirms(ALICE)
    assert town.row(digest).resolution == "confirmed"
    assert ("pushes_allowed", "analyst:mara") in [(row.action, row.actor) for row in town.rows(HistoryRow)]


def test_only_what_was_handled_and_not_placed_counts_as_stuck(town: Town) -> None:
    digest = town.publish()
    town.dispatcher_away = True
    town.settle()
    town.clock.advance(timedelta(days=1))
    town.dispatcher_away = False
    town.tick()
    assert town.row(digest).resolution is None
    with town.engine.begin() as connection:
        connection.execute(
            insert(InboxRow).values(consumer="other", message_id=accepted_id(digest), handled_at=town.clock.now())
        )
    town.tick()
    assert town.row(digest).resolution is None
    town.settle()
    assert town.row(digest).status == "in_progress"
