from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from common.messages import AuthResult
from services.auth_poller import polling
from services.auth_poller.port import AuthTemporary, Settled

EXPIRES = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
FAILURE = AuthTemporary("Duo answered 500")


def test_a_request_may_begin_until_the_moment_it_expires() -> None:
    assert polling.before_asking(EXPIRES, EXPIRES - MOMENT, None) is None
    assert polling.before_asking(EXPIRES, EXPIRES - MOMENT, FAILURE) is None
    assert polling.before_asking(EXPIRES, EXPIRES, None) == Settled(AuthResult.PUSH_FAILED, "not_asked_in_time")


def test_a_request_that_could_not_begin_in_time_was_not_the_persons_fault() -> None:
    assert polling.before_asking(EXPIRES, EXPIRES, FAILURE) == Settled(AuthResult.UNAVAILABLE, "Duo answered 500")


def test_a_push_is_polled_a_little_longer_than_it_lasts() -> None:
    last = EXPIRES + polling.GRACE
    assert polling.after_poll(EXPIRES, last - MOMENT, None) is None
    assert polling.after_poll(EXPIRES, last, None) == Settled(AuthResult.TIMED_OUT, "expired")
    assert polling.after_poll(EXPIRES, last, FAILURE) == Settled(AuthResult.UNAVAILABLE, "Duo answered 500")


@pytest.mark.parametrize("may_have_started", [True, False])
def test_a_push_is_sent_again_only_when_none_was_started_for_certain(may_have_started: bool) -> None:
    settled = polling.after_asking(AuthTemporary("lost", may_have_started=may_have_started))
    assert settled == (Settled(AuthResult.UNAVAILABLE, "answer_lost: lost") if may_have_started else None)


def test_a_poll_waits_for_no_longer_than_the_request_lasts_but_looks_once_more_at_an_old_one() -> None:
    assert polling.seconds_to_poll(EXPIRES, EXPIRES - timedelta(seconds=30)) == 33
    assert polling.seconds_to_poll(EXPIRES, EXPIRES + timedelta(hours=1)) == polling.LAST_LOOK


def test_pauses_grow_and_stay_bounded() -> None:
    assert polling.pause_after_poll(0) == 0
    assert 0 < polling.pause_after_poll(1) <= 0.05
    assert 1 <= polling.pause_after_poll(50) <= 2
    assert 0.25 <= polling.pause_after_failure(1) <= 0.5
    assert 4 <= polling.pause_after_failure(50) <= 8
