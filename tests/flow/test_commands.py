"""Everything that a person can say to the bot, end to end."""

from __future__ import annotations

from datetime import timedelta

from common.messages import AuthResult
from common.records import changes
from common.records.changes import Silence
from common.records.tables import BlacklistRow, HistoryRow, IgnoredRow
from services.dispatcher.policies import Policies
from tests.flow.conftest import Build, both
from tests.flow.town import ALICE, BOB, Town, configuration


def silence(town: Town, words: str, result: AuthResult = AuthResult.APPROVED) -> None:
    """Let alice ask for a silence, take the push, and have it settled."""
    town.says(ALICE, words)
    town.says(ALICE, "yes")
    town.phones.answer(result)


def blacklist(town: Town, until: timedelta) -> None:
    """Let an analyst take alice off the list."""
    wish = Silence(town.clock.now() + until, "on leave", "analyst:mara")
    town.transactions.run(lambda work: changes.add_blacklist(work, "alice", wish))


# --- stop and start -------------------------------------------------------------------------------------------------


@both
def test_stop_silences_after_an_approved_push_and_ends_by_itself(town: Town) -> None:
    silence(town, "stop")
    assert town.row(town.alert()).resolution == "blacklisted"
    assert "asked not to be asked until 2026-04-02 12:00 UTC (proved with a push)" in town.reports()[0]
    town.pass_time(timedelta(days=30))
    assert town.row(town.alert(title="log-in")).status == "in_progress"


def test_start_ends_an_own_stop_and_the_channel_hears_of_it(town: Town) -> None:
    silence(town, "stop")
    town.says(ALICE, "start")
    assert town.told(ALICE)[-1] == "I will ask you again from now on."
    assert town.reports()[-1] == "Alice (alice) can be asked again."
    assert town.row(town.alert()).status == "in_progress"
    assert [(row.lifted_at, row.lifted_by) for row in town.rows(BlacklistRow)] == [
        (town.clock.now(), f"person:{ALICE}")
    ]


def test_start_without_a_stop_changes_and_reports_nothing(town: Town) -> None:
    town.says(ALICE, "start")
    assert town.told(ALICE) == ["I will ask you again from now on."]
    assert town.reports() == []
    assert "start" not in [row.action for row in town.rows(HistoryRow)]


def test_start_cannot_lift_what_an_analyst_has_set(town: Town) -> None:
    silence(town, "stop")
    blacklist(town, timedelta(days=60))
    town.says(ALICE, "start")
    assert "only they can put you back" in town.told(ALICE)[-1]
    assert town.row(town.alert()).resolution == "blacklisted"
    assert "analyst:mara" in town.row(town.alert(title="b")).comment


def test_what_an_analyst_has_set_can_be_lifted_by_one(town: Town) -> None:
    blacklist(town, timedelta(days=60))
    (entry,) = town.rows(BlacklistRow)
    town.transactions.run(lambda work: changes.lift(work, BlacklistRow, entry.id, "analyst:mara"))
    assert town.row(town.alert()).status == "in_progress"


def test_stop_is_only_about_oneself(town: Town) -> None:
    silence(town, "stop")
    assert town.row(town.alert(owner="bob")).status == "in_progress"


def test_a_refused_or_missing_push_silences_nothing_and_the_channel_hears_why(town: Town) -> None:
    for result in AuthResult:
        if result is not AuthResult.APPROVED:
            silence(town, "stop", result)
            assert "Nothing was silenced" in town.reports()[-1]
            town.transactions.run(lambda work: None)
            assert town.rows(BlacklistRow) == []
        if result is AuthResult.FRAUD:
            break


def test_an_offer_for_silence_that_is_declined_or_runs_out_changes_nothing(town: Town) -> None:
    town.says(ALICE, "stop")
    town.says(ALICE, "no")
    assert town.told(ALICE)[-1] == "All right, nothing changes: I will go on asking."
    town.says(ALICE, "stop")
    town.pass_time(timedelta(minutes=15))
    assert town.told(ALICE)[-1] == "All right, nothing changes: I will go on asking."
    assert town.rows(BlacklistRow) == []
    assert town.phones.pushes == []


def test_stop_leaves_the_open_question_open_and_silences_those_behind_it(town: Town) -> None:
    first, behind = town.alert(), town.alert(title="log-in")
    silence(town, "stop")
    assert town.row(first).status == "in_progress"
    town.says(ALICE, "no")
    assert (town.row(first).resolution, town.row(behind).resolution) == ("denied", "blacklisted")


# --- ignore ---------------------------------------------------------------------------------------------------------


def test_ignore_current_silences_later_alerts_of_that_title_until_its_time_is_up(town: Town) -> None:
    first = town.alert()
    silence(town, "ignore current 1h30m")
    assert "asked not to be asked about “sudo on db-7” until 2026-03-03 13:30 UTC" in town.reports()[-1]
    assert town.row(first).status == "in_progress", "the open question still wants its answer"
    assert town.row(town.alert()).resolution == "ignored"
    assert town.row(town.alert(title="log-in")).status == "open"
    town.says(ALICE, "no")
    town.says(ALICE, "no")
    town.pass_time(timedelta(hours=1, minutes=30))
    assert town.row(town.alert()).status == "in_progress"


def test_ignore_last_is_about_the_question_before(town: Town) -> None:
    town.alert()
    town.says(ALICE, "no")
    silence(town, "Ignore last 2h.")
    assert town.row(town.alert()).resolution == "ignored"
    assert [row.title for row in town.rows(IgnoredRow)] == ["sudo on db-7"]


def test_ignore_is_held_to_its_longest_and_to_something_to_ignore(town: Town) -> None:
    for words, answer in (
        ("ignore", "Say `ignore last 2h`"),
        ("ignore everything 1h", "Say `ignore last 2h`"),
        ("ignore last 1h", "There is no alert that I could ignore"),
        ("ignore current 4h1m", "I can ignore an alert for 4h at most"),
    ):
        town.says(ALICE, words)
        assert answer in town.told(ALICE)[-1]
    assert town.rows(IgnoredRow) == []
    assert town.phones.pushes == []


def test_without_a_second_factor_silences_take_effect_at_once_and_the_report_says_so(build: Build) -> None:
    town = build(configuration(second_factor=False))
    town.says(ALICE, "stop")
    assert town.row(town.alert()).resolution == "blacklisted"
    assert "(there is no second factor)" in town.reports()[0]


# --- back-off and critical alerts -------------------------------------------------------------------------------------


def test_back_off_lasts_21_hours_for_that_title_and_that_person(town: Town) -> None:
    town.alert()
    town.confirms(ALICE)
    assert town.row(town.alert()).resolution == "ignored"
    assert town.row(town.alert(owner="bob")).status == "in_progress"
    town.pass_time(timedelta(hours=21))
    assert town.row(town.alert()).status == "in_progress"


def test_critical_alerts_pass_through_every_silence(town: Town) -> None:
    town.alert()
    town.confirms(ALICE)
    silence(town, "ignore last 4h")
    silence(town, "stop")
    blacklist(town, timedelta(days=9))
    assert town.row(town.alert()).resolution == "blacklisted"
    digest = town.alert(severity="critical")
    assert town.row(digest).status == "in_progress"
    town.confirms(ALICE)
    assert town.row(digest).resolution == "confirmed"
    again = town.alert(severity="critical")
    assert town.row(again).status == "in_progress", "a proved critical alert is not backed off"


def test_a_critical_alert_behind_a_question_is_asked_even_where_its_title_was_silenced_meanwhile(town: Town) -> None:
    town.alert(title="other")
    quiet, loud = town.alert(), town.alert(severity="critical")
    silence(town, "stop")
    town.says(ALICE, "no")
    assert (town.row(quiet).resolution, town.row(loud).status) == ("blacklisted", "in_progress")


# --- status, help, hi, test, anything else ----------------------------------------------------------------------------


def test_status_says_what_is_open_and_how_much_waits(town: Town) -> None:
    town.says(ALICE, "status")
    assert town.told(ALICE)[-1] == "There is nothing open with you."
    town.alert()
    town.alert(title="log-in")
    town.alert(title="download")
    town.says(ALICE, "Status?")
    assert town.told(ALICE)[-1] == "I am waiting for your answer about “sudo on db-7”. Alerts behind it: 2."
    for _ in range(3):
        town.says(ALICE, "no")
    town.says(ALICE, "stop")
    town.says(ALICE, "status")
    assert town.told(ALICE)[-1] == "I am waiting for a push that you may approve."


def test_status_tells_of_alerts_that_wait_for_working_hours(build: Build) -> None:
    policies = Policies.model_validate({"defaults": {"outside_hours": "wait"}})
    town = build(configuration(policies=policies))
    town.clock.advance(timedelta(hours=10))
    town.alert()
    town.says(ALICE, "status")
    assert town.told(ALICE) == ["There are alerts for you that wait for your working hours: 1."]
    town.pass_time(timedelta(hours=12))
    assert len(town.asked(ALICE)) == 1


def test_test_sends_an_alert_that_takes_the_whole_way(town: Town) -> None:
    town.says(ALICE, "test")
    (card,) = town.asked(ALICE)
    assert "Test alert" in card.text
    town.confirms(ALICE)
    assert [event["data"]["resolution"] for event in town.outcomes] == ["confirmed"]
    assert town.outcomes[0]["data"]["source"] == "test"


def test_help_shows_the_commands_and_all_of_them_with_a(town: Town) -> None:
    town.says(ALICE, "help")
    town.says(ALICE, "help -a")
    short, long = (dict(shown.content.parts[1].facts) for shown in town.chat.to(ALICE))
    assert {"yes", "no", "stop", "ignore"} <= set(short)
    assert set(long) - set(short) == {"hi", "test"}


def test_hi_is_answered_with_the_persons_name(town: Town) -> None:
    town.says(BOB, "Hi!")
    assert town.told(BOB)[0].startswith("Hello Bob!")


def test_an_answer_to_nothing_and_words_of_no_command_are_answered(town: Town) -> None:
    for words, answer in (("yes", "I have not asked you anything"), ("blah", "I did not understand that")):
        town.says(ALICE, words)
        assert answer in town.told(ALICE)[-1]
    town.alert()
    town.says(ALICE, "maybe")
    assert "I need to know whether “sudo on db-7” was you" in town.told(ALICE)[-1]
    town.says(ALICE, "yes")
    town.says(ALICE, "maybe")
    assert "May I send a push to your phone?" in town.told(ALICE)[-1]
