"""One that cannot be handled is found by halves, and left out for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.dispatcher.portions import LEFT_OUT, Portions

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


@given(st.integers(1, 60), st.sets(st.integers(0, 59), max_size=4), st.integers(1, 20))
def test_everything_that_can_be_handled_is_handled_whatever_fails(count: int, bad: set[int], most: int) -> None:
    portions, waiting, handled = Portions(most), [str(number) for number in range(count)], set()
    for _ in range(count + 20 * (len(bad) + 1)):
        left_out = portions.left_out(NOW)
        taken = [key for key in waiting if key not in left_out and key not in handled][: portions.size]
        if bad & {int(key) for key in taken}:
            portions.failed(taken, NOW)
        else:
            handled |= set(taken)
            portions.done(len(taken))
    assert handled == {key for key in waiting if int(key) not in bad}
    assert set(portions.left_out(NOW)) == set(waiting) - handled
    assert portions.size == most


def test_what_was_left_out_is_tried_again_after_ten_minutes() -> None:
    portions = Portions(5)
    portions.failed(["a"], NOW)
    assert portions.left_out(NOW + LEFT_OUT - timedelta(seconds=1)) == ["a"]
    assert portions.left_out(NOW + LEFT_OUT) == []
