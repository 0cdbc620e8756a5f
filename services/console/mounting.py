"""Taking paths by their beginning, whatever is behind it.

Starlette's `Mount` takes no path with a line feed in it, and what it does not take is answered by somebody else:
without our headers, and not in the form that our callers know.
"""

from __future__ import annotations

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send


class Everything(BaseRoute):
    """A route for every path that no route before it has taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take every HTTP request."""
        return (Match.FULL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        await self._app(scope, receive, send)


def by_prefix(prefix: str, app: ASGIApp, others: ASGIApp) -> ASGIApp:
    """Return an application that gives what is below `prefix` to `app`, and the rest to `others`."""

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(f"{prefix}/"):
            root = scope.get("root_path", "")
            below = {"app_root_path": scope.get("app_root_path", root), "root_path": root + prefix}
            await app({**scope, **below}, receive, send)
        else:
            await others(scope, receive, send)

    return choose
