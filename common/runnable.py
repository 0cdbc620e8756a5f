"""Something with a thread of its own: a worker, a listener, a deliverer."""

from __future__ import annotations

from typing import Protocol


class Runnable(Protocol):
    """Something with a thread of its own: a worker, a listener, a deliverer."""

    name: str

    def run(self) -> None:
        """Work until `stop`."""

    def stop(self) -> None:
        """Ask `run` to return soon (thread-safe)."""
