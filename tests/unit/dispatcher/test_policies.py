"""Which policy holds for an alert, and what a mistake in the file looks like."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from common.alerts import Resolution, Severity
from common.errors import ConfigurationError
from common.settings import SHIPPED_CONFIG
from common.yaml_files import load_yaml
from services.dispatcher.policies import Policies, Policy, ProofRule, WorkingHours, deadline, reminder
from tests.unit.dispatcher.world import OFFICE, START

SHIPPED = load_yaml(SHIPPED_CONFIG / "policies.yaml", Policies)


def test_without_a_file_the_defaults_hold() -> None:
    policy = Policies().of("sudo", Severity.MEDIUM)
    assert policy == Policy()
    assert policy.answer_within == timedelta(hours=2)
    assert policy.back_off == timedelta(hours=21)
    assert policy.closes == {Resolution.CONFIRMED}
    assert policy.reports == set(Resolution) - {Resolution.CONFIRMED}


def test_a_duration_is_written_with_units() -> None:
    assert Policy.model_validate({"back_off": "1h30m"}).back_off == timedelta(minutes=90)
    assert Policy(back_off=timedelta(minutes=1)).back_off == timedelta(minutes=1)
    for wrong in ("soon", 90, None, 1.5):
        with pytest.raises(ValidationError, match="must be a duration such as 90s, 30m, 2h or 30d"):
            Policy.model_validate({"back_off": wrong})


def test_a_title_is_stronger_than_a_severity_which_is_stronger_than_the_defaults() -> None:
    policies = Policies.model_validate(
        {
            "defaults": {"answer_within": "1h", "remind_before": "1m", "pushes": 1},
            "severities": {"high": {"answer_within": "2h", "remind_before": "2m"}},
            "titles": [{"match": "sudo*", "answer_within": "3h"}],
        }
    )
    sudo = policies.of("sudo on db-7", Severity.HIGH)
    assert (sudo.answer_within, sudo.remind_before, sudo.pushes) == (timedelta(hours=3), timedelta(minutes=2), 1)
    assert policies.of("log-in", Severity.HIGH).answer_within == timedelta(hours=2)
    assert policies.of("log-in", Severity.LOW).answer_within == timedelta(hours=1)


def test_the_first_title_that_matches_holds_alone() -> None:
    policies = Policies.model_validate(
        {
            "titles": [
                {"match": "sudo on db-*", "pushes": 1},
                {"match": "sudo*", "pushes": 5, "remind_before": "1m"},
            ],
        }
    )
    first = policies.of("sudo on db-7", Severity.LOW)
    assert (first.pushes, first.remind_before) == (1, timedelta(minutes=30))
    assert policies.of("sudo on web", Severity.LOW).pushes == 5
    assert policies.of("Sudo on web", Severity.LOW).pushes == 2, "case matters"


def test_the_shipped_file_asks_for_proof_of_high_and_critical_alerts_and_hurries_the_critical() -> None:
    assert SHIPPED.of("t", Severity.MEDIUM) == Policy()
    assert SHIPPED.of("t", Severity.HIGH).proof is ProofRule.ALWAYS
    critical = SHIPPED.of("t", Severity.CRITICAL)
    assert (critical.clock, critical.answer_within, critical.proof) == (
        "always",
        timedelta(minutes=15),
        ProofRule.ALWAYS,
    )


def test_ten_thousand_titles_from_outside_are_remembered_and_no_more() -> None:
    policies = Policies()
    for number in range(10_010):
        policies.of(f"title {number}", Severity.LOW)
    assert len(policies._known) == 10_000


def test_a_deadline_goes_by_the_clock_that_the_policy_names() -> None:
    friday = datetime(2026, 3, 6, 17, tzinfo=UTC)
    assert deadline(Policy(clock="always"), OFFICE, friday, timedelta(hours=2)) == friday + timedelta(hours=2)
    assert deadline(Policy(), OFFICE, friday, timedelta(hours=2)) == datetime(2026, 3, 9, 11, tzinfo=UTC)


def test_a_reminder_comes_before_the_deadline_by_the_same_clock_or_not_at_all() -> None:
    monday = datetime(2026, 3, 9, 10, 15, tzinfo=UTC)
    assert reminder(Policy(), OFFICE, START, monday) == datetime(2026, 3, 6, 17, 45, tzinfo=UTC)
    assert reminder(Policy(clock="always"), OFFICE, START, monday) == monday - timedelta(minutes=30)
    assert reminder(Policy(remind_before=timedelta(0)), OFFICE, START, monday) is None
    assert reminder(Policy(remind_before=timedelta(hours=2)), OFFICE, START, monday) is None


def test_working_hours_are_those_of_the_persons_zone_or_the_default_one() -> None:
    hours = WorkingHours(time_zone="Europe/Berlin", holidays="DE-BY")
    assert hours.of("Asia/Kolkata").zone.key == "Asia/Kolkata"
    assert hours.of(None).zone.key == "Europe/Berlin"
    assert hours.of("Mars/Olympus").zone.key == "Europe/Berlin"
    assert hours.of("../../etc/passwd").zone.key == "Europe/Berlin"
    assert (hours.of(None).opens, hours.of(None).closes, hours.of(None).days) == (
        time(10),
        time(18),
        frozenset(range(5)),
    )


def test_public_holidays_of_country_and_subdivision_do_not_count() -> None:
    epiphany = datetime(2026, 1, 6, 12, tzinfo=UTC)
    assert WorkingHours(holidays="DE").of(None).is_open(epiphany)
    assert not WorkingHours(holidays="DE-BY").of(None).is_open(epiphany)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("default: {}", "default: unknown key"),
        ("defaults: {answer_in: 1h}", "defaults.answer_in: unknown key"),
        ("defaults: {answer_within: soon}", "defaults.answer_within: must be a duration such as 90s, 30m, 2h or 30d"),
        ("defaults: {answer_within: 0s}", "defaults.answer_within: Input should be greater than 0 seconds"),
        ("defaults: {pushes: 9}", "defaults.pushes: Input should be less than or equal to 5"),
        ("defaults: {closes: [done]}", "defaults.closes.0: Input should be 'confirmed'"),
        ("defaults: {proof: maybe}", "defaults.proof: Input should be 'always', 'when_possible' or 'never'"),
        ("defaults: {answer_within: 9h}", "defaults: escalate_within must not be shorter than answer_within"),
        ("severities: {high: {answer_within: 9h}}", "severities.high: escalate_within must not be shorter"),
        ("severities: {grave: {}}", "severities.grave"),
        ("titles: [{match: '[ab]*', answer_within: 9h}]", "titles.0 for severity low: escalate_within must not be"),
        ("titles: [{pushes: 1}]", "titles.0.match: missing"),
        ("working_hours: {days: [mon, someday]}", "working_hours.days: must be some of mon, tue"),
        ("working_hours: {days: []}", "working_hours.days: must be some of mon, tue"),
        ("working_hours: {time_zone: Berlin}", "working_hours.time_zone: is not a time zone of the tz database"),
        ("working_hours: {holidays: XX}", "working_hours.holidays: is not a country"),
        ("working_hours: {holidays: DE-XX}", "working_hours.holidays: is not a country"),
        ("working_hours: {opens: '18:00', closes: '10:00'}", "working_hours: opens must be earlier than closes"),
        ("limits: {pushes_per_hour: 0}", "limits.pushes_per_hour: Input should be greater than or equal to 1"),
        ("defaults: {pushes: 1, pushes: 2}", "the key 'pushes' is there twice"),
        ("defaults: [", "is not YAML"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_file_and_key(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "policies.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        load_yaml(path, Policies)
    assert str(path) in str(error.value)
    assert problem in str(error.value)
    assert "\n" not in str(error.value)
