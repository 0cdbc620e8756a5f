"""How many to take at once, so that one that cannot be handled holds up no other. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

LEFT_OUT = timedelta(minutes=10)


class Portions:
    """After a failure half as many at a time, until the one that fails is alone; it is left out for a while."""

    def __init__(self, most: int) -> None:
        self.size = self._most = most
        self._left_out: dict[str, datetime] = {}

    def left_out(self, now: datetime) -> list[str]:
        """Return the keys that are not to be taken now."""
        self._left_out = {key: until for key, until in self._left_out.items() if until > now}
        return list(self._left_out)

    def failed(self, keys: Sequence[str], now: datetime) -> None:
        """Learn that these together could not be handled."""
        if len(keys) > 1:
            self.size = len(keys) // 2
        else:
            self.size = self._most
            self._left_out |= dict.fromkeys(keys, now + LEFT_OUT)

    def done(self, count: int) -> None:
        """Learn that `count` were handled; fewer than asked for means that nothing more is due."""
        if count < self.size:
            self.size = self._most
