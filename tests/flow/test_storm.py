"""Many alerts of one kind: one card, one answer."""

from __future__ import annotations

from datetime import timedelta

from common.messages import ReplyReceived
from tests.flow.conftest import both
from tests.flow.town import ALICE, CHANNEL, Town


@both
def test_a_thousand_alerts_of_one_title_are_one_card_and_one_answer(town: Town) -> None:
    hashes = [town.publish() for _ in range(1000)]
    town.settle()
    town.pass_time(timedelta(seconds=2))
    (card,) = town.asked(ALICE)
    assert "… and 999 more like it. Your answer is for all of them." in card.text
    town.confirms(ALICE, "load test")
    assert {event["subject"] for event in town.outcomes} == set(hashes)
    assert len(town.outcomes) == 1000
    assert {(e["data"]["resolution"], e["data"]["comment"]) for e in town.outcomes} == {("confirmed", "load test")}
    assert len(town.asked(ALICE)) == 1
    assert len(town.phones.pushes) == 1


def test_the_channel_hears_of_a_storm_once(town: Town) -> None:
    for _ in range(30):
        town.publish()
    town.settle()
    town.says(ALICE, "no")
    (report,) = town.reports()
    assert report.endswith("(30)")
    assert len(town.outcomes) == 30


@both
def test_when_sixty_people_deny_at_once_the_channel_hears_of_each_in_a_handful_of_messages(town: Town) -> None:
    people = [(f"U{number}", f"person{number:02}") for number in range(60)]
    for person_id, name in people:
        town.add_person(person_id, name)
        town.publish(owner=name)
    town.settle()
    for person_id, _ in people:
        town.tell(ReplyReceived(person_id=person_id, text="no", received_at=town.clock.now()))
    town.settle()

    town.pass_time(timedelta(seconds=1))
    for _ in range(5):
        town.pass_time(timedelta(seconds=1))

    texts = [shown.text + shown.content.summary for shown in town.chat.to(CHANNEL)]
    assert [sum(f"({name}): denied" in text for text in texts) for _, name in people] == [1] * 60
    assert len(texts) <= 3 + 3
    assert len(town.outcomes) == 60


def test_the_card_is_refreshed_seldom_and_then_shows_the_count(town: Town) -> None:
    town.alert()
    for _ in range(12):
        town.alert()
    (card,) = town.asked(ALICE)
    assert "more like it" not in card.text
    town.pass_time(timedelta(seconds=2))
    assert "… and 12 more like it" in card.text
    updates = len([row for row in town.chat.to(ALICE) if row.content != row.first])
    assert updates == 1


def test_an_alert_that_comes_after_the_yes_is_not_covered_by_it(town: Town) -> None:
    first = town.alert(severity="high")
    town.clicks(ALICE, "yes")
    late = town.alert(severity="high")
    assert town.row(late).status == "open"
    town.clicks(ALICE, "push")
    town.says(ALICE, "no")
    assert town.row(first).status == "verifying"
    assert town.row(late).status == "in_progress", "it gets a question of its own"


def test_alerts_that_waited_come_up_together_the_worst_title_first(town: Town) -> None:
    town.alert()
    for title, severity in (("log-in", "low"), ("download", "medium"), ("log-in", "high"), ("download", "medium")):
        town.publish(title=title, severity=severity)
    town.settle()
    town.says(ALICE, "no")
    assert "log-in" in town.asked(ALICE)[-1].text
    assert "1 more like it" in town.asked(ALICE)[-1].text
    town.says(ALICE, "no")
    assert "download" in town.asked(ALICE)[-1].text
    town.says(ALICE, "no")
    assert len(town.outcomes) == 5
