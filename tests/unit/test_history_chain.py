"""The chain over the history, on plain data: whatever is done to one row or one seal is found, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from common.history_chain import (
    NO_HASH,
    Entry,
    Fault,
    Finding,
    Seal,
    SealKey,
    check_hash,
    check_place,
    compare,
    count,
    make_seal,
    read_keys,
)

KEY, OTHER = SealKey(b"k" * 32), SealKey(b"o" * 32)
NOW = "2026-03-03T12:00:00.000000"
TEXT = st.text(max_size=4)
ENTRIES = st.lists(
    st.builds(
        Entry,
        id=st.integers(1, 400),
        at=TEXT,
        actor=TEXT,
        action=TEXT,
        alert_hash=st.none() | TEXT,
        person_id=st.none() | TEXT,
        detail=TEXT,
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda entry: entry.id,
).map(lambda entries: sorted(entries, key=lambda entry: entry.id))
KEYS = st.sampled_from([None, KEY])


def chain(entries: Sequence[Entry], most: int, key: SealKey | None = None) -> list[Seal]:
    """Seal `entries`, at most `most` at once."""
    seals: list[Seal] = []
    for start in range(0, len(entries), most):
        some = entries[start : start + most]
        seals.append(make_seal(seals[-1] if seals else None, some, some[-1].id, NOW, key))
    return seals


def verify(seals: Sequence[Seal], entries: Sequence[Entry], *keys: SealKey) -> list[Finding]:
    """Hold `entries` against `seals`."""
    findings: list[Finding] = []
    previous: Seal | None = None
    for seal in seals:
        findings += check_place(seal, previous)
        wrong = check_hash(seal, keys)
        findings += [wrong] if wrong else []
        findings += compare(seal, [entry for entry in entries if seal.after < entry.id <= seal.through])
        previous = seal
    return findings


def faults(findings: Sequence[Finding]) -> list[tuple[Fault, int | None]]:
    return [(finding.fault, finding.row) for finding in findings]


@given(ENTRIES, st.integers(1, 10), KEYS)
def test_an_untouched_history_is_sound_however_it_was_cut(entries: list[Entry], most: int, key: SealKey | None) -> None:
    seals = chain(entries, most, key)

    assert verify(seals, entries, KEY) == []
    assert sum(count(seal) for seal in seals) == len(entries)


@given(ENTRIES, st.integers(1, 10), st.data())
def test_any_change_of_any_field_of_any_row_is_found(entries: list[Entry], most: int, data: st.DataObject) -> None:
    seals = chain(entries, most)
    index = data.draw(st.integers(0, len(entries) - 1))
    name = data.draw(st.sampled_from(Entry._fields[1:]))
    changes: dict[str, Any] = {name: data.draw(TEXT)}
    changed = entries[index]._replace(**changes)
    assume(changed != entries[index])

    assert faults(verify(seals, [*entries[:index], changed, *entries[index + 1 :]])) == [(Fault.CHANGED, changed.id)]


@given(ENTRIES, st.integers(1, 10), st.data())
def test_any_row_that_is_removed_is_found(entries: list[Entry], most: int, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(entries))

    found = verify(chain(entries, most), [entry for entry in entries if entry is not gone])

    assert faults(found) == [(Fault.REMOVED, gone.id)]


@given(ENTRIES, st.integers(1, 10), st.data())
def test_any_row_that_is_put_in_among_sealed_ones_is_found(
    entries: list[Entry], most: int, data: st.DataObject
) -> None:
    taken = {entry.id for entry in entries}
    number = data.draw(st.integers(1, entries[-1].id).filter(lambda number: number not in taken))
    new = entries[0]._replace(id=number)

    assert faults(verify(chain(entries, most), [*entries, new])) == [(Fault.INSERTED, number)]


@given(ENTRIES, st.integers(1, 10), st.data())
def test_rows_that_change_places_are_found(entries: list[Entry], most: int, data: st.DataObject) -> None:
    one, other = (data.draw(st.sampled_from(entries)) for _ in range(2))
    assume(one._replace(id=0) != other._replace(id=0))
    swapped = {one.id: other._replace(id=one.id), other.id: one._replace(id=other.id)}

    found = verify(chain(entries, most), [swapped.get(entry.id, entry) for entry in entries])

    assert sorted(faults(found)) == sorted([(Fault.CHANGED, one.id), (Fault.CHANGED, other.id)])


@given(ENTRIES, st.integers(1, 4), KEYS, st.data())
def test_any_change_of_any_field_of_any_seal_is_found(
    entries: list[Entry], most: int, key: SealKey | None, data: st.DataObject
) -> None:
    seals = chain(entries, most, key)
    index = data.draw(st.integers(0, len(seals) - 1))
    name = data.draw(st.sampled_from([field.name for field in fields(Seal)]))
    old = getattr(seals[index], name)
    values: dict[type, st.SearchStrategy[Any]] = {int: st.integers(0, 500), bytes: st.binary(max_size=90), str: TEXT}
    new = data.draw(values[type(old)])
    assume(new != old)

    changed = [*seals[:index], replace(seals[index], **{name: new}), *seals[index + 1 :]]

    found = []
    for previous, seal in zip([None, *changed], changed, strict=False):
        found += [*check_place(seal, previous), check_hash(seal, [KEY])]
    assert any(found)


@given(ENTRIES, st.data())
def test_a_seal_that_is_gone_is_found_with_the_rows_that_it_covered(entries: list[Entry], data: st.DataObject) -> None:
    seals = chain(entries, 1)
    assume(len(seals) > 1)
    gone = data.draw(st.sampled_from(seals[:-1]))

    (finding,) = verify([seal for seal in seals if seal is not gone], entries)

    assert (finding.fault, finding.seal) == (Fault.SEAL_MISSING, gone.number)
    assert f"the rows {gone.after + 1} to {gone.through} cannot be checked" in finding.explanation


def test_a_forger_without_the_key_can_seal_nothing_anew() -> None:
    entries = [Entry(number, NOW, "a", "b", None, None, "{}") for number in range(1, 5)]
    forged = [entries[0]._replace(actor="somebody else"), *entries[1:]]
    honest = chain(entries, 2, KEY)

    without_key = chain(forged, 2)
    with_another = [replace(seal, key_id=KEY.id) for seal in chain(forged, 2, OTHER)]
    first_only = [without_key[0], honest[1]]

    assert verify(without_key, forged) == []  # what the newest seal's missing key shows: tests of the whole command
    assert {finding.fault for finding in verify(with_another, forged, KEY)} == {Fault.SEAL_CHANGED}
    assert [finding.fault for finding in verify(first_only, forged, KEY)] == [Fault.SEAL_CHANGED]
    assert [finding.fault for finding in verify([honest[0], without_key[1]], entries, KEY)] == [
        Fault.SEAL_CHANGED, Fault.SEAL_UNPROVED,
    ]  # fmt: skip


def test_a_seal_whose_key_is_not_at_hand_is_neither_believed_nor_called_changed() -> None:
    entries = [Entry(1, NOW, "a", "b", None, None, "{}")]

    (finding,) = verify(chain(entries, 1, KEY), entries, OTHER)

    assert finding.fault is Fault.SEAL_UNPROVED
    assert KEY.id in finding.explanation


def test_a_chain_goes_on_with_a_new_key_and_is_checked_with_both() -> None:
    entries = [Entry(number, NOW, "a", "b", None, None, "{}") for number in (1, 2, 3)]
    seals: list[Seal] = []
    for entry, key in zip(entries, (None, OTHER, KEY), strict=True):
        seals.append(make_seal(seals[-1] if seals else None, [entry], entry.id, NOW, key))

    assert verify(seals, entries, KEY, OTHER) == []


def test_the_seal_of_known_rows_is_what_it_always_was() -> None:
    """What earlier releases sealed must verify for ever."""
    entry = Entry(7, NOW, "person:U1", "resolved", "ab" * 32, "U1", '{"comment":"ja, ich – 🦆"}')

    seal = make_seal(None, [entry], 9, NOW, None)

    assert (seal.number, seal.after, seal.through, seal.previous) == (1, 0, 9, NO_HASH)
    assert seal.hash == "a54c63acb946cf3ffbb303494ffcea4a81ef945c04ee2b6a25f762a45aa31092"
    assert make_seal(None, [entry], 9, NOW, KEY).hash == (
        "fcdaedbda902036ed997548a5514a5c4feac20fef933b227bc7e3652ea38bc59"
    )


def test_keys_are_told_apart_without_showing_them() -> None:
    first, second = read_keys(f"{'a' * 32}\n {'b' * 40} ")

    assert first.id != second.id
    assert "a" * 32 not in repr((first, second))
    with pytest.raises(ValueError, match="at least 32 characters"):
        read_keys("short")
