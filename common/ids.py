"""Message ids: unique and ordered (UUIDv7), or derived from what caused the message, so that a repeat is recognised."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid

_RANDOM_BITS = 74
_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562, 5.7) that is greater than every one this process made before.

    The order lets a sweep of the outbox publish in the order in which the messages were decided.
    """
    global _last  # noqa: PLW0603 - one counter a process is the point
    with _lock:
        candidate = (time.time_ns() // 1_000_000) << _RANDOM_BITS | int.from_bytes(os.urandom(10)) >> (
            80 - _RANDOM_BITS
        )
        _last = candidate if candidate > _last else _last + 1
        value = _last
    milliseconds, random = value >> _RANDOM_BITS, value & ((1 << _RANDOM_BITS) - 1)
    number = milliseconds << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | (random & ((1 << 62) - 1))
    return str(uuid.UUID(int=number))


def derived_id(*parts: str) -> str:
    """Return the same UUIDv8 (RFC 9562, 5.8) for the same parts, e.g. `derived_id("reply", slack_event_id)`."""
    digits = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
