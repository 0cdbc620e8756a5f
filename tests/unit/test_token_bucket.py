"""A rate with bursts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.token_bucket import TokenBucket


@given(st.lists(st.floats(0, 3), max_size=30))
def test_it_never_lets_more_through_than_burst_and_rate(pauses: list[float]) -> None:
    bucket, now, taken = TokenBucket(1.0, 3), 0.0, 0
    for pause in pauses:
        now += pause
        if bucket.free_at(now) <= now:
            bucket.take(now)
            taken += 1
    assert taken <= 3 + now + 1e-6


def test_what_was_taken_beyond_what_was_there_is_paid_before_anything_else_goes() -> None:
    bucket = TokenBucket(2.0, 4)

    bucket.take(0.0, 10)

    assert bucket.free_at(0.0) == 3.5
    assert bucket.free_at(3.5) == 3.5


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    bucket = TokenBucket(1.0, 2)
    bucket.take(100.0)

    assert bucket.free_at(50.0) == 50.0
    bucket.take(50.0)
    assert bucket.free_at(50.0) == 51.0
