"""The whole dispatcher, whatever happens in whatever order: each alert has exactly one verdict and one outcome."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from common.alerts import Resolution
from common.messages import AuthResult
from common.records.tables import AlertRow, BlacklistRow, HistoryRow, IgnoredRow
from tests.flow.conftest import populated
from tests.flow.town import ALICE, BOB, CAROL, Town, configuration

PEOPLE = [ALICE, BOB, CAROL]
WORDS = [
    "yes", "yes", "Yes, patching", "no", "not sure", "wrong person", "stop", "start", "ignore current 1h",
    "ignore last 30m", "status", "help", "hi", "", "maybe", "{name}", "' OR 1=1 --", "test",
]  # fmt: skip
SEVERITIES = ["low", "medium", "medium", "high", "critical"]
ACTIONS = ["yes", "yes", "push", "push", "no_push", "no", "not_sure", "wrong_person", "approve", "nonsense"]

ALERT = st.tuples(
    st.just("alert"), st.sampled_from(["alice", "alice", "bob", "carol", "nobody"]),
    st.sampled_from(["sudo", "log-in", "{title}"]), st.sampled_from(SEVERITIES), st.integers(1, 3),
)  # fmt: skip
SAYS = st.tuples(st.just("says"), st.sampled_from(PEOPLE), st.sampled_from(WORDS))
CLICKS = st.tuples(st.just("clicks"), st.sampled_from(PEOPLE), st.sampled_from(ACTIONS), st.booleans())
PHONE = st.tuples(st.just("phone"), st.sampled_from([AuthResult.APPROVED, AuthResult.APPROVED, *AuthResult]))
TIME = st.tuples(st.just("time"), st.sampled_from([1, 20, 130, 1500]))
AWAY = st.tuples(st.just("away"), st.sampled_from(["chat", "phones"]), st.booleans())
EVENTS = st.lists(st.one_of(ALERT, ALERT, SAYS, SAYS, CLICKS, CLICKS, PHONE, PHONE, TIME, AWAY), max_size=25)


def happen(town: Town, what: tuple[object, ...]) -> None:
    """Let one thing happen."""
    match what:
        case ("alert", str(owner), str(title), str(severity), int(count)):
            for _ in range(count):
                town.publish(owner, title, severity=severity)
            town.settle()
        case ("says", str(person), str(words)):
            town.says(person, words)
        case ("clicks", str(person), str(action), bool(old)):
            messages = [m for m in town.chat.to(person) if m.first.subject]
            if messages:
                town.clicks(person, action, "because", on=messages[0 if old else -1])
        case ("phone", AuthResult() as result):
            if town.phones.pushes:
                town.phones.answer(result)
        case ("time", int(minutes)):
            town.pass_time(timedelta(minutes=minutes))
        case ("away", str(edge), bool(away)):
            getattr(town, edge).away = away
            town.settle()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS)
def test_every_alert_ends_in_one_verdict_and_one_outcome(migrated_file: Path, events: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(migrated_file, Path(folder) / "record.db")
        town = populated(f"sqlite:///{folder}/record.db", configuration())
        try:
            for what in events:
                happen(town, what)
            _finish(town)
            _check(town)
        finally:
            town.close()


def _finish(town: Town) -> None:
    """Everybody is back, and nobody says anything any more."""
    town.chat.away = town.phones.away = False
    town.settle()
    for _ in range(40):
        if all(row.resolution for row in town.rows(AlertRow)):
            break
        town.pass_time(timedelta(days=1))


def _check(town: Town) -> None:
    rows = town.rows(AlertRow)
    assert all(row.resolution for row in rows), "an alert without a verdict"
    assert sorted(event["subject"] for event in town.outcomes) == sorted(row.hash for row in rows)
    resolved = [row.alert_hash for row in town.rows(HistoryRow) if row.action == "resolved"]
    assert sorted(resolved) == sorted(row.hash for row in rows)
    approved = {row.person_id for row in town.rows(HistoryRow) if row.detail.get("result") == "approved"}
    for row in rows:
        if row.resolution == Resolution.CONFIRMED:
            assert row.person_id in approved, "confirmed without an approved push"
            assert (row.status, row.authenticated) == ("closed", True)
        elif row.resolution in (Resolution.IGNORED, Resolution.BLACKLISTED):
            assert row.severity != "critical"
            assert row.person_id in approved
    for silence in (*town.rows(BlacklistRow), *town.rows(IgnoredRow)):
        assert silence.person_id in approved, "silenced without an approved push"
    town.check()
