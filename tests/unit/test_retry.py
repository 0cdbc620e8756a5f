"""Pauses between tries."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from common.retry import Backoff


class Always(random.Random):
    """Chance that always gives the same."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self._value = value

    def random(self) -> float:
        return self._value


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(first=0.5, longest=3.0)

    assert [backoff.pause(attempt, Always(1.0)) for attempt in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_chance_takes_off_half_at_the_most() -> None:
    backoff = Backoff(first=1.0, longest=8.0)

    assert backoff.pause(2, Always(0.0)) == 2.0
    assert backoff.pause(2, Always(1.0)) == 4.0


@given(st.integers(min_value=0, max_value=10**9))
def test_no_attempt_waits_longer_than_the_longest_or_not_at_all(attempt: int) -> None:
    assert 0 < Backoff().pause(attempt) <= Backoff().longest


def test_many_clients_do_not_come_back_at_the_same_moment() -> None:
    assert len({Backoff().pause(3) for _ in range(50)}) > 40
