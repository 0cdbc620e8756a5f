"""When to wait, to go on and to give up. Pure: the time comes in, nothing is done here."""

from __future__ import annotations

from datetime import datetime, timedelta

from common.messages import AuthResult
from common.retry import Backoff
from services.auth_poller.port import AuthTemporary, Settled

GRACE = timedelta(seconds=3)
"""An answer given in the last moment still gets through to us after `expires_at`."""
LAST_LOOK = 5.0
"""Seconds for the one poll of a request that was already over when this process found it."""
QUICK = 1.0
"""A poll that returned sooner than this did not wait; the next one does (seconds)."""

INTERRUPTED = Settled(AuthResult.PUSH_FAILED, "interrupted")
"""Killed while asking: a push may be on its way, and nobody knows its transaction. Not believed, and not sent again
unless the person asks for another."""
_NOT_ASKED = Settled(AuthResult.PUSH_FAILED, "not_asked_in_time")
"""Nobody let it expire: this poller, or whatever brings it its work, was away."""
_EXPIRED = Settled(AuthResult.TIMED_OUT, "expired")

_AFTER_QUICK = Backoff(first=0.05, longest=2.0)
_AFTER_FAILURE = Backoff(first=0.5, longest=8.0)


def before_asking(expires_at: datetime, now: datetime, failure: AuthTemporary | None) -> Settled | None:
    """Return the end of a request that has no time left to be asked, None while there is some."""
    if now < expires_at:
        return None
    return _unavailable(failure) if failure else _NOT_ASKED


def after_asking(failure: AuthTemporary) -> Settled | None:
    """Return the end of a request whose push may be on its way unknown, None where it may be sent again."""
    return Settled(AuthResult.UNAVAILABLE, f"answer_lost: {failure}") if failure.may_have_started else None


def after_poll(expires_at: datetime, now: datetime, failure: AuthTemporary | None) -> Settled | None:
    """Return the end of a request that was polled without a result, None while waiting makes sense."""
    if now < expires_at + GRACE:
        return None
    return _unavailable(failure) if failure else _EXPIRED


def seconds_to_poll(expires_at: datetime, now: datetime) -> float:
    """Return for how long the next poll may wait."""
    return max((expires_at + GRACE - now).total_seconds(), LAST_LOOK)


def pause_after_failure(failures: int) -> float:
    """Return the seconds to wait after this many failures in a row."""
    return _AFTER_FAILURE.pause(failures - 1)


def pause_after_poll(quick: int) -> float:
    """Return the seconds to wait after this many polls in a row that returned at once.

    A second factor that does not long-poll, or that tells its intermediate steps, is not asked in a tight loop.
    """
    return _AFTER_QUICK.pause(quick - 1) if quick else 0.0


def _unavailable(failure: AuthTemporary) -> Settled:
    return Settled(AuthResult.UNAVAILABLE, str(failure))
