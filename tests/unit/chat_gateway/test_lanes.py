"""Order, rate and folding within one recipient's messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import ChatContent
from services.chat_gateway.jobs import Job
from services.chat_gateway.lanes import GAP_SECONDS, Lane

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


def a_job(sequence: int, kind: str = "send", **more: Any) -> Job:
    name = more.pop("message_id", f"m{sequence}")
    return Job(name, kind, "U1", "person", sequence, NOW, ChatContent(summary="s"), **more)  # type: ignore[arg-type]


def a_lane(*jobs: Job, last: int | None = 0, kind: str = "person", now: float = 100.0) -> Lane:
    lane = Lane(kind)
    if last is not None:
        lane.knows(last)
    for job in jobs:
        lane.add(job, now)
    return lane


def run_out(lane: Lane, now: float = 100.0) -> list[tuple[str, float]]:
    """Take everything as soon as it may go; return names and times."""
    taken = []
    while (ready := lane.next_at(now, {})) is not None:
        now = max(now, ready)
        job, _ = lane.take(now)
        taken.append((job.message_id, now))
        lane.done(job, now, success=True)
    return taken


@given(st.permutations(range(1, 8)))
def test_a_persons_messages_go_by_sequence_however_they_came(order: list[int]) -> None:
    names = [name for name, _ in run_out(a_lane(*(a_job(sequence) for sequence in order)))]
    assert names == [f"m{sequence}" for sequence in range(1, 8)]


def test_a_missing_message_is_waited_for_but_not_for_ever() -> None:
    lane = a_lane(a_job(2))
    assert lane.next_at(100.0, {}) == 100.0 + GAP_SECONDS
    lane.add(a_job(1), 101.0)
    assert [name for name, _ in run_out(lane, 101.0)] == ["m1", "m2"]
    assert run_out(a_lane(a_job(2)))[0][1] == 100.0 + GAP_SECONDS


def test_a_late_message_goes_at_once() -> None:
    lane = a_lane(a_job(3), last=7)
    assert lane.next_at(100.0, {}) == 100.0


def test_a_channels_messages_go_as_they_came() -> None:
    jobs = [a_job(0, message_id=name) for name in "bca"]
    assert [name for name, _ in run_out(a_lane(*jobs, kind="channel"))] == ["b", "c", "a"]


def test_a_conversation_starts_with_a_burst_and_goes_on_once_a_second() -> None:
    times = [at - 100 for _, at in run_out(a_lane(*(a_job(sequence) for sequence in range(1, 7))))]
    assert times == pytest.approx([0, 0, 0, 1, 2, 3])


def test_updates_need_no_turn_of_the_rate() -> None:
    jobs = [a_job(1), a_job(2), a_job(3), a_job(4, "update", target="m1")]
    assert run_out(a_lane(*jobs))[-1] == ("m4", 100.0)


def test_of_waiting_updates_only_the_newest_is_sent() -> None:
    jobs = [a_job(1, "update", target="a"), a_job(2, "update", target="b"), a_job(3, "update", target="a")]
    lane = a_lane(*jobs)
    run_out(lane)
    assert [job.superseded for job in jobs] == [True, False, False]


def test_a_job_to_try_again_goes_before_its_followers() -> None:
    lane = a_lane(a_job(1), a_job(2))
    job, since = lane.take(100.0)
    lane.again(job, since, 103.0)
    assert lane.next_at(100.0, {}) == 103.0
    assert [name for name, _ in run_out(lane, 103.0)] == ["m1", "m2"]


def test_a_lane_is_called_by_one_thread_at_a_time() -> None:
    lane = a_lane(a_job(1), a_job(2))
    lane.take(100.0)
    assert lane.next_at(100.0, {}) is None


def test_a_blocked_method_waits_and_others_do_not() -> None:
    lane = a_lane(a_job(1))
    assert lane.next_at(100.0, {"send": 130.0}) == 130.0
    assert lane.next_at(100.0, {"update": 130.0}) == 100.0


def test_a_message_does_not_wait_for_updates_that_are_put_off() -> None:
    jobs = [a_job(1, "update", target="a"), a_job(2, "update", target="b"), a_job(3), a_job(4), a_job(6)]
    lane, blocked = a_lane(*jobs), {"update": 130.0}
    taken = []
    while (ready := lane.next_at(100.0, blocked)) == 100.0:
        job, _ = lane.take(ready, blocked)
        taken.append(job.message_id)
        lane.done(job, 100.0, success=True)
    assert taken == ["m3", "m4"], "and not what may stand behind one that is not here yet"
    assert lane.next_at(100.0, blocked) == 130.0
    assert [name for name, _ in run_out(lane, 130.0)] == ["m1", "m2", "m6"]


def test_patience_begins_again_when_the_lane_works() -> None:
    lane = a_lane(a_job(1), a_job(2))
    job, since = lane.take(500.0)
    assert since == 100.0
    lane.done(job, 550.0, success=True)
    assert lane.take(551.0)[1] == 550.0


def test_a_cleared_lane_forgets_what_waited() -> None:
    lane = a_lane(a_job(1), a_job(2))
    assert [job.message_id for job in lane.clear()] == ["m1", "m2"]
    assert lane.reached() == 0
    assert lane.next_at(100.0, {}) is None
