"""From a published alert to its outcome: every resolution of the contract, once each, end to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from common.alerts import Resolution
from common.messages import AuthResult, ReplyReceived
from common.records.tables import ChatDeliveryRow
from services.dispatcher.policies import Policies
from tests.flow.conftest import Build, both
from tests.flow.town import ALICE, CHANNEL, Town, configuration


@dataclass(frozen=True)
class Story:
    """What happens after an alert for alice, and how it must end."""

    resolution: Resolution
    happen: Callable[[Town], object]
    performed: bool | None
    authenticated: bool | None
    comment: str
    responded: bool
    owner: str = "alice"


def _says_yes(town: Town) -> None:
    town.clicks(ALICE, "yes", "patching db-7")


def _takes_no_push(town: Town) -> None:
    _says_yes(town)
    town.clicks(ALICE, "no_push")


def _takes_push(town: Town, result: AuthResult, detail: str = "") -> None:
    _says_yes(town)
    town.clicks(ALICE, "push")
    town.phones.answer(result, detail)


def _lets_two_pushes_expire(town: Town) -> None:
    _takes_push(town, AuthResult.TIMED_OUT, "timeout")
    town.clicks(ALICE, "push")
    town.phones.answer(AuthResult.TIMED_OUT, "timeout")


STORIES = [
    Story(Resolution.CONFIRMED, lambda t: _takes_push(t, AuthResult.APPROVED), True, True, "patching db-7", True),
    Story(
        Resolution.CONFIRMED_UNPROVED, lambda t: _takes_push(t, AuthResult.UNPROVED, "bypass"),
        True, False, "patching db-7 (not proved: bypass)", True,
    ),
    Story(Resolution.DENIED, lambda t: t.says(ALICE, "No, I was asleep"), False, None, "I was asleep", True),
    Story(Resolution.NOT_SURE, lambda t: t.clicks(ALICE, "not_sure", "maybe cron"), None, None, "maybe cron", True),
    Story(Resolution.WRONG_PERSON, lambda t: t.says(ALICE, "wrong person: ask bob"), None, None, "ask bob", True),
    Story(Resolution.NO_RESPONSE, lambda t: t.pass_time(timedelta(hours=2)), None, None, "", False),
    Story(
        Resolution.PROOF_REFUSED, _takes_no_push,
        True, False, "patching db-7", True,
    ),
    Story(
        Resolution.PROOF_DENIED, lambda t: _takes_push(t, AuthResult.DENIED, "deny"),
        True, False, "patching db-7", True,
    ),
    Story(Resolution.PROOF_TIMEOUT, _lets_two_pushes_expire, True, False, "patching db-7", True),
    Story(
        Resolution.PROOF_FRAUD, lambda t: _takes_push(t, AuthResult.FRAUD, "fraud"), True, False, "patching db-7", True
    ),
    Story(
        Resolution.PROOF_UNAVAILABLE, lambda t: _takes_push(t, AuthResult.UNAVAILABLE, "locked_out"),
        True, False, "patching db-7 (second factor unavailable: locked_out)", True,
    ),
]  # fmt: skip
SILENT = {Resolution.UNREACHABLE, Resolution.UNKNOWN_OWNER, Resolution.BLACKLISTED, Resolution.IGNORED}


def test_every_resolution_has_its_story() -> None:
    assert {story.resolution for story in STORIES} | SILENT == set(Resolution)


def test_the_answers_time_is_when_it_was_given_not_when_it_was_proved(town: Town) -> None:
    digest = town.alert()
    _says_yes(town)
    said_at = town.clock.now()
    town.pass_time(timedelta(minutes=2))
    town.clicks(ALICE, "push")
    town.phones.answer(AuthResult.APPROVED)
    row = town.row(digest)
    assert (row.resolution, row.responded_at, row.resolved_at) == ("confirmed", said_at, town.clock.now())


def test_an_answer_in_the_thread_of_an_older_card_is_not_for_the_open_question(town: Town) -> None:
    first = town.alert()
    town.says(ALICE, "no")
    town.change(ChatDeliveryRow, posted_as="170.000100")
    second = town.alert(title="new ssh key")
    town.tell(ReplyReceived(person_id=ALICE, text="no", thread="170.000100", received_at=town.clock.now()))
    town.settle()
    assert "That was not about “new ssh key”" in town.told(ALICE)[-1]
    town.tell(ReplyReceived(person_id=ALICE, text="no", thread="unknown", received_at=town.clock.now()))
    town.settle()
    assert [town.row(digest).resolution for digest in (first, second)] == ["denied", None], "nor is one of another's"


def test_an_answer_in_the_thread_of_a_reminder_is_for_its_question(town: Town) -> None:
    digest = town.alert()
    town.says(ALICE, "maybe")
    last = max(row.sequence for row in town.rows(ChatDeliveryRow) if row.recipient_kind == "person")
    town.change(ChatDeliveryRow, ChatDeliveryRow.sequence == last, posted_as="170.000100")
    town.tell(ReplyReceived(person_id=ALICE, text="no", thread="170.000100", received_at=town.clock.now()))
    town.settle()
    assert town.row(digest).resolution == "denied"


def test_words_answer_no_card_that_the_person_cannot_see_yet(town: Town) -> None:
    """A "yes, I was patching" for the first question, while Slack holds back the second's card."""
    town.alert()
    town.says(ALICE, "no")
    digest = town.alert(title="new ssh key")
    town.change(ChatDeliveryRow, state="pending", completed_at=None)
    said_at = town.clock.now() + timedelta(seconds=4)
    town.pass_time(timedelta(seconds=5))
    town.tell(ReplyReceived(person_id=ALICE, text="no", received_at=said_at))
    town.settle()
    assert town.row(digest).resolution is None
    town.change(ChatDeliveryRow, state="sent", completed_at=said_at + timedelta(seconds=30))
    town.tell(ReplyReceived(person_id=ALICE, text="no", received_at=said_at + timedelta(seconds=20)))
    town.settle()
    assert town.row(digest).resolution is None
    town.pass_time(timedelta(minutes=1))
    town.says(ALICE, "no")
    assert town.row(digest).resolution == "denied"


def check_end(town: Town, digest: str, resolution: Resolution, **expected: Any) -> None:
    """Record, outcome and report agree."""
    row, event = town.row(digest), town.outcome(digest)
    data = event["data"]
    assert row.resolution == data["resolution"] == resolution.value
    assert f"outcome.{resolution}" in town.outcome_keys
    for name, value in expected.items():
        assert getattr(row, name) == value, name
        assert data[name] == value, name
    assert row.resolved_at == town.clock.now()
    assert data["closed_at"] == town.clock.now().isoformat().replace("+00:00", "Z")
    closed = resolution is Resolution.CONFIRMED
    assert (row.status, row.closed_at) == (("closed", town.clock.now()) if closed else ("verifying", None))
    told = [line for line in town.reports() if resolution.value.replace("_", " ") in line]
    assert len(told) == (0 if closed else 1)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.resolution.value)
def test_an_answered_alert_ends_with_record_outcome_and_report(town: Town, story: Story) -> None:
    digest = town.alert(url="https://siem.example.com/1", reason="db-7: sudo -i")
    assert town.row(digest).status == "in_progress"
    story.happen(town)
    check_end(
        town, digest, story.resolution,
        performed=story.performed, authenticated=story.authenticated, comment=story.comment,
    )  # fmt: skip
    row = town.row(digest)
    assert (row.responded_at is not None) is story.responded
    assert row.person_id == ALICE
    assert row.matched_by == "username"
    assert not any(shown.content.buttons for shown in town.chat.to(ALICE)), "a card with buttons is left"
    town.pass_time(timedelta(days=3))
    town.outcome(digest)


@both
def test_on_either_database_an_alert_is_proved_and_another_denied(town: Town) -> None:
    first, second = town.alert(title="sudo 😀"), town.alert(title="log-in", severity="high")
    town.confirms(ALICE, "es war ich – wirklich ✔")
    check_end(town, first, Resolution.CONFIRMED, comment="es war ich – wirklich ✔")
    town.says(ALICE, "no")
    check_end(town, second, Resolution.DENIED, performed=False)


def test_nobody_reachable_ends_as_unreachable(town: Town) -> None:
    town.chat.unreachable.add(ALICE)
    digest = town.alert()
    check_end(town, digest, Resolution.UNREACHABLE, performed=None, authenticated=None, comment="no such person")


def test_an_owner_nobody_knows_is_told_and_kept(town: Town) -> None:
    digest = town.alert(owner="nobody-knows-me")
    check_end(town, digest, Resolution.UNKNOWN_OWNER, performed=None, authenticated=None, comment="")
    assert town.row(digest).person_id is None
    assert "nobody-knows-me" in town.reports()[0]


def test_after_a_proved_yes_the_same_title_is_ignored_and_the_report_says_why(town: Town) -> None:
    town.alert()
    town.confirms(ALICE)
    digest = town.alert()
    row = town.row(digest)
    check_end(town, digest, Resolution.IGNORED, performed=None, authenticated=None)
    assert row.comment == f"confirmed with proof (by person:{ALICE}, until 2026-03-04 09:00 UTC)"
    assert len(town.asked(ALICE)) == 1


def test_who_has_stopped_gets_their_alerts_recorded_as_blacklisted(town: Town) -> None:
    town.says(ALICE, "stop")
    town.clicks(ALICE, "push")
    town.phones.answer(AuthResult.APPROVED)
    digest = town.alert()
    check_end(town, digest, Resolution.BLACKLISTED, performed=None, authenticated=None)
    assert f"by person:{ALICE}" in town.row(digest).comment


def test_a_push_marked_as_fraud_makes_the_alert_critical_everywhere(town: Town) -> None:
    digest = town.alert()
    _takes_push(town, AuthResult.FRAUD, "fraud")
    assert town.row(digest).severity == "critical"
    assert town.outcome(digest)["data"]["severity"] == "critical"
    assert any("FRAUDULENT" in report for report in town.reports())
    report = next(shown for shown in town.chat.to(CHANNEL) if "proof fraud" in shown.content.summary)
    assert ("Severity", "critical") in [fact for part in report.content.parts for fact in part.facts]


def test_policy_may_close_and_keep_quiet_about_other_resolutions(build: Build) -> None:
    policies = Policies.model_validate({"defaults": {"closes": ["confirmed", "denied"], "reports": ["no_response"]}})
    town = build(configuration(policies=policies))
    digest = town.alert()
    town.says(ALICE, "no")
    row = town.row(digest)
    assert (row.status, row.closed_at) == ("closed", town.clock.now())
    assert town.reports() == []


def test_another_channel_of_the_policy_hears_of_it(build: Build) -> None:
    policies = Policies.model_validate({"titles": [{"match": "sudo*", "channel": "C0OTHER"}]})
    town = build(configuration(policies=policies))
    town.alert()
    town.says(ALICE, "no")
    assert town.reports() == []
    assert len(town.chat.to("C0OTHER")) == 1


def test_without_a_second_factor_a_yes_stays_unproved(build: Build) -> None:
    town = build(configuration(second_factor=False))
    digest = town.alert()
    town.says(ALICE, "yes")
    check_end(town, digest, Resolution.CONFIRMED_UNPROVED, performed=True, authenticated=False)
    assert town.phones.pushes == []


def test_the_second_alert_waits_until_the_first_is_settled(town: Town) -> None:
    first, second, third = town.alert(), town.alert(title="log-in"), town.alert(title="download", severity="high")
    assert len(town.asked(ALICE)) == 1
    town.says(ALICE, "no")
    assert [town.row(h).status for h in (first, second, third)] == ["verifying", "open", "in_progress"]
    assert town.asked(ALICE)[-1].content.summary.startswith("One more thing")
    town.says(ALICE, "no")
    town.says(ALICE, "no")
    assert {town.row(h).resolution for h in (first, second, third)} == {"denied"}


def test_a_repeated_alert_is_one_more_occurrence_and_asks_nobody(town: Town) -> None:
    digest = town.alert()
    town.alert(hash=digest)
    assert town.row(digest).occurrences == 2
    assert len(town.asked(ALICE)) == 1
