"""An application that is made when the first request for it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send


def lazily(make: Callable[[], ASGIApp]) -> ASGIApp:
    """Return an application that `make` makes at its first request."""
    made: list[ASGIApp] = []
    lock = threading.Lock()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with lock:
            if not made:
                made.append(make())
        await made[0](scope, receive, send)

    return app
