"""What is counted of an alert, and what the counts say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.alerts import Resolution
from services.console.counting import (
    GROUP_NAMES,
    GROUPS,
    Shares,
    advice,
    bucket,
    bucket_seconds,
    counts_of,
    quantile,
    shares,
)
from services.console.teams import NO_TEAM, TeamEntry, Teams

NOW = datetime(2026, 3, 3, 23, 30, tzinfo=UTC)


@dataclass
class Settled:
    received_at: datetime = NOW
    title: str = "sudo"
    resolution: str = "confirmed"
    asked_at: datetime | None = NOW
    responded_at: datetime | None = NOW + timedelta(seconds=60)
    resolved_at: datetime = NOW + timedelta(seconds=70)
    closed_at: datetime | None = NOW + timedelta(seconds=70)


def test_an_alert_counts_once_in_each_dimension() -> None:
    counts = {count.dimension: count for count in counts_of(Settled(), "platform")}
    assert {name: count.key for name, count in counts.items()} == {
        "all": "bot", "title": "sudo", "team": "platform", "hour": "23", "answer": f"{bucket(60):03}",
    }  # fmt: skip
    assert {count.day for count in counts.values()} == {"2026-03-03"}


@pytest.mark.parametrize("closed_at", [None, NOW + timedelta(hours=3)])
def test_what_the_team_closes_later_was_not_saved(closed_at: datetime | None) -> None:
    assert counts_of(Settled(closed_at=closed_at), "t")[0].key == "team"


def test_an_alert_without_an_answer_has_no_time_to_answer() -> None:
    assert "answer" not in {count.dimension for count in counts_of(Settled(responded_at=None), "t")}


@given(st.floats(min_value=0, max_value=10_000_000))
def test_a_bucket_is_within_a_tenth_of_what_is_in_it(seconds: float) -> None:
    assert bucket_seconds(bucket(seconds)) == pytest.approx(max(seconds, 1.0), rel=0.11)


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95]))
def test_a_quantile_is_close_to_the_exact_one(times: list[int], share: float) -> None:
    exact = sorted(times)[max(0, -(-int(share * 1000) * len(times) // 1000) - 1)]
    found = quantile(Counter(bucket(time) for time in times), share)
    assert found == pytest.approx(exact, rel=0.11)


def test_nothing_has_no_quantile() -> None:
    assert quantile({}, 0.5) is None


def test_every_resolution_counts_as_something() -> None:
    assert {GROUPS.get(resolution, "other") for resolution in Resolution} == set(GROUP_NAMES)


def test_shares_are_added_up_largest_first() -> None:
    found = shares([("a", "confirmed", 1), ("b", "denied", 3), ("a", "proof_denied", 1), ("b", "whatever", 1)])
    assert [(share.key, share.total, dict(share.by_group)) for share in found] == [
        ("b", 4, {"denied": 3, "other": 1}), ("a", 2, {"confirmed": 1, "denied": 1}),
    ]  # fmt: skip
    assert Shares("x", {}).share("denied") == 0.0


def test_a_title_that_is_always_confirmed_should_be_tuned_and_a_silent_one_asked_elsewhere() -> None:
    titles = [
        Shares("noise", {"confirmed": 1180, "silent": 24}),
        Shares("good", {"confirmed": 50, "denied": 50}),
        Shares("silent", {"silent": 90, "confirmed": 5}),
        Shares("few", {"confirmed": 19}),
    ]
    assert [(entry.title, entry.text) for entry in advice(titles)] == [
        ("noise", "98 % confirmed of 1,204: tune or drop this detection"),
        ("silent", "95 % silent of 95: ask somebody else, or at another time"),
    ]
    assert advice([Shares(str(n), {"confirmed": 30}) for n in range(20)], most=3)[-1].title == "2"


def test_a_team_is_the_first_that_an_owner_matches() -> None:
    teams = Teams(teams=(TeamEntry(name="db", owners=("db-*",)), TeamEntry(name="it", owners=("ALICE", "db-1", "U7"))))
    assert [teams.of("db-1", None), teams.of("alice", "U1"), teams.of("x", "u7"), teams.of("x", None)] == [
        "db", "it", "it", NO_TEAM,
    ]  # fmt: skip
