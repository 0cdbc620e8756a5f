"""Which lane goes next, and who waits for it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from common.messages import ChatContent
from services.chat_gateway.jobs import Job
from services.chat_gateway.lanes import GAP_SECONDS
from services.chat_gateway.schedule import Schedule

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


class Seconds:
    """A steady clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_job(lane: str, sequence: int) -> Job:
    return Job(f"{lane}-{sequence}", "send", lane, "person", sequence, NOW, ChatContent(summary="s"))


def taken(schedule: Schedule) -> str | None:
    """Return what may go now; None when all wait."""
    turn = schedule._next(schedule._monotonic())
    return turn.job.message_id if turn else None


def test_a_slow_recipient_holds_up_nobody_else() -> None:
    schedule = Schedule(Seconds())
    schedule.add([a_job("a", 1), a_job("a", 2), a_job("b", 1)], {})
    assert [taken(schedule), taken(schedule)] == ["a-1", "b-1"]
    assert taken(schedule) is None


def test_a_message_that_comes_while_the_one_before_is_being_called_waits_for_its_end() -> None:
    schedule = Schedule(Seconds())
    schedule.add([a_job("a", 1)], {"a": 0})
    turn = schedule.take()
    assert turn is not None
    schedule.add([a_job("a", 2), a_job("b", 1)], {})
    assert taken(schedule) == "b-1"
    schedule.done(turn, success=True)
    assert taken(schedule) == "a-2"


def test_nothing_else_goes_while_a_persons_only_message_is_being_called() -> None:
    schedule = Schedule(Seconds())
    schedule.add([a_job("a", 1)], {"a": 0})
    assert schedule.take() is not None
    schedule.add([a_job("a", 2)], {})
    assert taken(schedule) is None


def test_a_row_that_is_taken_over_twice_is_called_once() -> None:
    schedule = Schedule(Seconds())
    schedule.add([a_job("a", 1)], {})
    schedule.add([a_job("a", 1)], {})
    assert len(schedule) == 1
    turn = schedule.take()
    assert turn is not None
    schedule.add([a_job("a", 1)], {})
    schedule.done(turn, success=True)
    assert len(schedule) == 0


def test_a_message_that_fills_a_gap_goes_before_the_gap_runs_out() -> None:
    schedule = Schedule(Seconds())
    schedule.add([a_job("a", 2)], {"a": 0})
    schedule.add([a_job("a", 1)], {})
    assert taken(schedule) == "a-1"


def test_a_gap_runs_out() -> None:
    seconds = Seconds()
    schedule = Schedule(seconds)
    schedule.add([a_job("a", 2)], {"a": 0})
    seconds.now += GAP_SECONDS
    assert taken(schedule) == "a-2"


def test_a_gap_ends_once_another_process_has_sent_the_earlier_message() -> None:
    schedule = Schedule(Seconds())
    schedule.add([a_job("a", 2), a_job("b", 1)], {"a": 0, "b": 0})
    assert schedule.gaps() == ["a"]
    schedule.learn({"a": 1, "stranger": 7})
    assert schedule.gaps() == []
    assert {taken(schedule), taken(schedule)} == {"a-2", "b-1"}


def test_only_newcomers_and_gaps_have_to_be_looked_up() -> None:
    schedule = Schedule(Seconds())
    assert schedule.unsure([a_job("a", 1)]) == {"a"}
    schedule.add([a_job("a", 1)], {"a": 0})
    assert schedule.unsure([a_job("a", 2), a_job("a", 3)]) == set()
    assert schedule.unsure([a_job("a", 4)]) == {"a"}
    assert schedule.unsure([a_job("b", 1), a_job("a", 2)]) == {"b"}


def test_a_rate_limit_holds_the_method_of_every_lane() -> None:
    seconds = Seconds()
    schedule = Schedule(seconds)
    schedule.block("send", 30)
    schedule.add([a_job("a", 1), a_job("b", 1)], {})
    seconds.now += 29
    schedule.add([a_job("c", 1)], {})
    seconds.now += 1
    assert {taken(schedule), taken(schedule), taken(schedule)} == {"a-1", "b-1", "c-1"}


def test_what_is_being_called_survives_a_lapse_and_what_waits_does_not() -> None:
    schedule = Schedule(Seconds())
    schedule.add([a_job("a", 1), a_job("a", 2)], {})
    turn = schedule.take()
    assert turn is not None
    assert [job.message_id for job in schedule.clear()] == ["a-2"]
    assert schedule.in_hand(["a-1", "a-2"]) == ["a-1"]


def test_waiting_threads_are_woken_for_what_comes_due() -> None:
    schedule = Schedule()
    found: list[str] = []

    def work() -> None:
        while (turn := schedule.take()) is not None:
            found.append(turn.job.message_id)
            schedule.done(turn, success=True)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    schedule.block("send", 0.05)
    schedule.add([a_job(lane, 1) for lane in "abcdef"], {})
    for _ in range(200):
        if len(found) == 6:
            break
        threading.Event().wait(0.01)
    schedule.stop()
    for thread in threads:
        thread.join(2)
    assert sorted(found) == [f"{lane}-1" for lane in "abcdef"]
