"""Holds the whole history against its seals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.history_chain import (
    NO_KEY,
    Fault,
    Finding,
    Seal,
    SealKey,
    check_hash,
    check_place,
    compare,
    count,
)
from common.records.history import Read, all_entries, all_seals, unsealed

MOST_SHOWN = 100


@dataclass(slots=True)
class Verification:
    """What has been found so far; complete once `run` has ended."""

    keys: Sequence[SealKey] = ()
    kept: dict[int, str] = field(default_factory=dict)
    """Numbers and hashes of seals that were written down elsewhere: they must be part of the chain."""
    seals: int = 0
    rows: int = 0
    """Rows that the seals cover."""
    faults: Counter[Fault] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    """The first `MOST_SHOWN`."""
    last: Seal | None = None
    key_since: Seal | None = None
    """The first of the seals that were made with a key, without a break to the last."""
    _without_key: int = 0
    """The last seal that has no key: where there are keys, anybody may have made it and those before it anew."""
    _vouched: int = 0
    """The last seal that was kept elsewhere: the chain up to it is what it was then."""
    unsealed: int = 0
    unsealed_since: datetime | None = None

    @property
    def is_sound(self) -> bool:
        """Tell whether nothing was found."""
        return not self.faults

    def run(self, read: Read[Any]) -> Iterator[Seal]:
        """Check seal after seal, yielding each."""
        for seal in all_seals(read):
            self._check(seal, read)
            yield seal
        if self.keys and self._without_key > self._vouched:
            hint = "it has no key; a later one that was kept elsewhere vouches for it and all before: `--seal`"
            self._add(Finding(Fault.SEAL_UNPROVED, self._without_key, None, hint))
        for number in self.kept:
            self._add(Finding(Fault.SEAL_MISSING, number, None, "it was kept elsewhere, and is not in the chain"))
        through = self.last.through if self.last else None
        self.unsealed, self.unsealed_since = read(lambda connection: unsealed(connection, through))

    def _check(self, seal: Seal, read: Read[Any]) -> None:
        for finding in check_place(seal, self.last):
            self._add(finding)
        kept = self.kept.pop(seal.number, None)
        if kept == seal.hash:
            self._vouched = seal.number
        elif kept is not None:
            self._add(Finding(Fault.SEAL_CHANGED, seal.number, None, "it is not the one that was kept elsewhere"))
        self.seals += 1
        wrong = check_hash(seal, self.keys)
        if wrong is not None:
            self._add(wrong)
        if wrong is None or wrong.fault is Fault.SEAL_UNPROVED:
            self.rows += count(seal)
            after = None if self.last is None else seal.after
            for different in compare(seal, all_entries(read, after, seal.through)):
                self._add(different)
        if seal.number > 0:
            if seal.key_id == NO_KEY:
                self._without_key, self.key_since = seal.number, None
            else:
                self.key_since = self.key_since or seal
            self.last = seal

    def _add(self, finding: Finding) -> None:
        self.faults[finding.fault] += 1
        if len(self.findings) < MOST_SHOWN:
            self.findings.append(finding)
