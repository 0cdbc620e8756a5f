"""How long to wait before the next try."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Growing pauses with equal jitter, so that many clients do not come back at the same moment.

    `first` and `longest` are seconds; the upper bound of attempt n (from 0) is `first * 2**n`, at most `longest`.
    """

    first: float = 0.2
    longest: float = 15.0

    def pause(self, attempt: int, chance: random.Random | None = None) -> float:
        """Return the seconds to wait after failed attempt number `attempt` (from 0): half to all of its bound."""
        bound: float = min(self.longest, self.first * 2 ** min(attempt, 30))
        return bound * (0.5 + 0.5 * (chance or _chance).random())


_chance = random.Random()  # noqa: S311 - jitter, not a secret
