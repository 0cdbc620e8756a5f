"""Ends this process, as kill -9 does, when it reaches a named point for the n-th time. For the tests of crashes.

Off, and next to free, unless `securitybot run` finds `SECURITYBOT_FAILPOINT=name[:n]` in its environment. The points
stand where a crash is most likely to lose or repeat something; `POINTS` tells what is done and what is not at each.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import NoReturn

from common.errors import ConfigurationError
from common.logs import get_logger

log = get_logger(__name__)

VARIABLE = "SECURITYBOT_FAILPOINT"
POINTS: Mapping[str, str] = {
    "after-receive": "a batch has been taken from the queue, and nothing done with it",
    "before-commit": "everything is written, and nothing committed",
    "after-commit": "committed, and nothing published",
    "between-publishes": "the first message of several is published",
    "before-confirms": "published, perhaps on the wire, and not confirmed",
    "after-confirms": "confirmed, and not yet known to be in our own books",
    "before-ack": "committed and published, and the batch not acknowledged",
    "after-ack": "acknowledged, perhaps on the wire",
    "before-call": "the chat system is about to be called",
    "after-call": "the chat system has carried the call out, and we have not written that down",
    "before-push": "a push is about to be started",
    "after-push": "a push is on its way, and we have not written down its transaction",
    "after-answer": "the second factor has told the result, and we have not written it down",
    "before-intake": "somebody's words or click have come, and are not published",
    "after-intake": "they are published, and the chat system does not know that we have them",
}


class _Trap:
    """Counts how often its point is reached."""

    def __init__(self, point: str, times: int) -> None:
        self.point = point
        self._left = times
        self._lock = threading.Lock()

    def sprung(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left == 0


_trap: _Trap | None = None


def arm(environment: Mapping[str, str]) -> None:
    """Set the trap that `environment` asks for, if any.

    Raises:
        ConfigurationError: there is no such point.
    """
    global _trap  # noqa: PLW0603 - one a process
    point, _, times = environment.get(VARIABLE, "").partition(":")
    if not point:
        _trap = None
        return
    if point not in POINTS or not (times or "1").isdecimal():
        raise ConfigurationError(f"{VARIABLE} must be name[:n] with one of: {', '.join(POINTS)}")
    _trap = _Trap(point, int(times or "1"))
    log.warning("failpoint_armed", point=point, times=times or "1")


def reached(point: str, first: Callable[[], object] | None = None) -> None:
    """Tell that `point` is reached; does not return where the trap is set there and this is the time.

    `first` is done before the end where the state that is to be left behind needs something more.
    """
    if _trap is not None and _trap.point == point and _trap.sprung():
        if first is not None:
            first()
        _end()


def _end() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives SIGKILL")
