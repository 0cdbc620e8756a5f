"""Message ids."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from common.ids import derived_id, new_id


def test_new_ids_grow_even_within_a_millisecond() -> None:
    ids = [new_id() for _ in range(5000)]

    assert ids == sorted(ids)
    assert len(set(ids)) == 5000


def test_new_ids_are_uuids_of_version_7_that_tell_when_they_were_made() -> None:
    before = time.time_ns() // 1_000_000

    made = uuid.UUID(new_id())

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000 + 1


def test_threads_never_get_the_same_id() -> None:
    with ThreadPoolExecutor(8) as threads:
        ids = [made for many in threads.map(lambda _: [new_id() for _ in range(500)], range(8)) for made in many]

    assert len(set(ids)) == 4000


def test_the_same_cause_gives_the_same_id_and_another_cause_another() -> None:
    assert derived_id("reply", "Ev1") == derived_id("reply", "Ev1")
    assert len({derived_id("reply", "Ev1"), derived_id("reply", "Ev2"), derived_id("click", "Ev1")}) == 3


def test_where_one_part_ends_matters() -> None:
    assert derived_id("ab", "c") != derived_id("a", "bc")


def test_a_derived_id_stays_the_same_over_releases() -> None:
    assert derived_id("reply", "Ev1") == "33ea7792-477e-82e3-9459-255157da7e1b"
