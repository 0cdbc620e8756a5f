"""The chain over the history: what a seal says, and what shows that a row or a seal is not what it was. Pure.

A seal covers every row of the history whose id is above `after` and not above `through`. It holds the digest of each,
the hash of the seal before it and its own hash, which with a key is an HMAC: then nobody can make one who can merely
write to the database.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

NO_HASH = "0" * 64
"""What the first seal has in place of the hash of the one before."""
NO_KEY = ""
MIN_KEY = 32
"""Characters of a key: `openssl rand -hex 32` gives 64."""
_ROW = struct.Struct(">q32s")


class Entry(NamedTuple):
    """A row of the history as it is stored."""

    id: int
    at: str
    """`2026-03-03T12:00:00.000000`, in UTC."""
    actor: str
    action: str
    alert_hash: str | None
    person_id: str | None
    detail: str
    """The JSON as it was written, not what it means."""


@dataclass(frozen=True, slots=True)
class SealKey:
    """A key by which seals are made and checked."""

    secret: bytes

    @property
    def id(self) -> str:
        """Return what stands in the seals that were made with it."""
        return hashlib.sha256(b"securitybot history key\0" + self.secret).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"SealKey({self.id})"


@dataclass(frozen=True, slots=True)
class Seal:
    """What is known of some rows since `sealed_at`."""

    number: int
    """From 1, without gaps."""
    after: int
    through: int
    digests: bytes
    """By id: each row's id (8 bytes, big endian) and SHA-256."""
    sealed_at: str
    """As in `Entry.at`."""
    previous: str
    key_id: str
    """Whose HMAC `hash` is; empty: it is a plain SHA-256."""
    hash: str


class Fault(StrEnum):
    """What is wrong."""

    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    SEAL_CHANGED = "seal changed"
    SEAL_MISSING = "seal missing"
    SEAL_UNPROVED = "seal unproved"
    """Nothing shows that it was changed, and nothing that it was not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was sealed."""

    fault: Fault
    seal: int
    row: int | None
    explanation: str


def read_keys(text: str) -> tuple[SealKey, ...]:
    """Return the keys in `text`, separated by white space: the first seals, all of them check.

    Raises:
        ValueError: one is too short to be a secret.
    """
    words = text.split()
    if any(len(word) < MIN_KEY for word in words):
        raise ValueError(f"a key has at least {MIN_KEY} characters; `openssl rand -hex 32` makes one")
    return tuple(SealKey(word.encode()) for word in words)


def make_seal(previous: Seal | None, entries: Sequence[Entry], through: int, now: str, key: SealKey | None) -> Seal:
    """Return the seal over `entries`, which are all the rows after those of `previous` up to the id `through`."""
    seal = Seal(
        number=previous.number + 1 if previous else 1,
        after=previous.through if previous else 0,
        through=through,
        digests=b"".join(_ROW.pack(entry.id, digest(entry)) for entry in entries),
        sealed_at=now,
        previous=previous.hash if previous else NO_HASH,
        key_id=key.id if key else NO_KEY,
        hash=NO_HASH,
    )
    return replace(seal, hash=_hash(seal, key))


def digest(entry: Entry) -> bytes:
    """Return the SHA-256 of everything in a row."""
    return hashlib.sha256(json.dumps(entry, separators=(",", ":")).encode()).digest()


def check_place(seal: Seal, previous: Seal | None) -> Iterator[Finding]:
    """Tell what is wrong with where a seal stands, given the one that stands before it."""
    expected = previous.number + 1 if previous else 1
    if seal.number < expected:
        yield Finding(Fault.SEAL_CHANGED, seal.number, None, "there is no place for it in the chain")
    elif seal.number > expected:
        missing = str(expected) if seal.number == expected + 1 else f"{expected} to {seal.number - 1}"
        after = previous.through if previous else 0
        lost = f"the rows {after + 1} to {seal.after} cannot be checked"
        yield Finding(Fault.SEAL_MISSING, expected, None, f"seal {missing} is gone, so {lost}")
    elif seal.previous != (previous.hash if previous else NO_HASH) or seal.after != (
        previous.through if previous else 0
    ):
        yield Finding(Fault.SEAL_CHANGED, seal.number, None, "it does not follow from the one before: one was changed")
    if previous and previous.key_id != NO_KEY and seal.key_id == NO_KEY:
        yield Finding(Fault.SEAL_UNPROVED, seal.number, None, "it was made without a key, the one before with one")


def check_hash(seal: Seal, keys: Sequence[SealKey]) -> Finding | None:
    """Return what is wrong with what a seal says of itself."""
    key = next((key for key in keys if key.id == seal.key_id), None)
    if seal.key_id != NO_KEY and key is None:
        hint = f"it was made with the key {seal.key_id}: add that to SECURITYBOT_HISTORY_KEY"
        return Finding(Fault.SEAL_UNPROVED, seal.number, None, hint)
    if seal.hash != _hash(seal, key) or len(seal.digests) % _ROW.size:
        return Finding(Fault.SEAL_CHANGED, seal.number, None, "its hash is not that of what it says")
    return None


def compare(seal: Seal, entries: Iterable[Entry]) -> Iterator[Finding]:
    """Tell in which rows the history differs from what was sealed; `entries` are those of the seal's range, by id."""
    sealed = dict(_ROW.iter_unpack(seal.digests))
    for entry in entries:
        known = sealed.pop(entry.id, None)
        if known is None:
            yield Finding(Fault.INSERTED, seal.number, entry.id, "it was not there when its neighbours were sealed")
        elif known != digest(entry):
            yield Finding(Fault.CHANGED, seal.number, entry.id, "it is not what it was when it was sealed")
    for row in sealed:
        yield Finding(Fault.REMOVED, seal.number, row, "it was there when it was sealed")


def count(seal: Seal) -> int:
    """Return how many rows a seal covers."""
    return len(seal.digests) // _ROW.size


def _hash(seal: Seal, key: SealKey | None) -> str:
    facts = (
        "securitybot history seal", 1, seal.number, seal.after, seal.through, hashlib.sha256(seal.digests).hexdigest(),
        seal.sealed_at, seal.previous, seal.key_id,
    )  # fmt: skip
    said = json.dumps(facts, separators=(",", ":")).encode()
    return hmac.new(key.secret, said, hashlib.sha256).hexdigest() if key else hashlib.sha256(said).hexdigest()
