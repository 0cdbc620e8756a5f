"""The door: session cookie to identity, and in the demo a session without asking, on this machine only."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from services.console.access import ABSOLUTE, LOOPBACK_NAMES, Identity, Role, csrf_token, is_loopback_visit
from services.console.sessions import Sessions

SECURE_COOKIE = "__Host-securitybot"
LOOPBACK_COOKIE = "securitybot"


@dataclass(frozen=True, slots=True)
class Gate:
    """Finds out who asks. `demo_name`: whoever comes from this machine is signed in as that."""

    sessions: Sessions
    demo_name: str | None = None
    _demo_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def who(self, request: Request) -> Identity | None:
        """Return who has sent this request, or None."""
        token = _token(request)
        identity = self.sessions.find(token) if token else None
        if identity is None and self._is_demo(request):
            return Identity(self.demo_name or "demo", Role.ADMIN, "demo", csrf_token(self._demo_secret))
        return identity

    def enter(  # noqa: PLR0913 - who, as what, by whom vouched for
        self, request: Request, response: Response, name: str, role: Role, provider: str, *, subject: str | None = None
    ) -> None:
        """Sign somebody in: a new session, and the old one of this browser is over. `subject`: see `Sessions.open`."""
        token = self.sessions.open(name, role, provider, replaces=_token(request), subject=subject)
        response.set_cookie(
            cookie_name(request), token, max_age=int(ABSOLUTE.total_seconds()), path="/", secure=is_secure(request),
            httponly=True, samesite="lax",
        )  # fmt: skip

    def leave(self, request: Request, response: Response) -> None:
        """Sign out."""
        token = _token(request)
        if token:
            self.sessions.end(token)
        response.delete_cookie(cookie_name(request), path="/", secure=is_secure(request), httponly=True, samesite="lax")

    def _is_demo(self, request: Request) -> bool:
        client = request.client.host if request.client else None
        return self.demo_name is not None and is_loopback_visit(client, request.headers.get("host", ""))


def is_secure(request: Request) -> bool:
    """Tell whether cookies are Secure: always, but where the browser itself says that it talks to its own machine."""
    return urlsplit(f"//{request.headers.get('host', '')}").hostname not in LOOPBACK_NAMES


def cookie_name(request: Request) -> str:
    """Return the cookie's name; with `__Host-` the browser itself insists on Secure and on this host."""
    return SECURE_COOKIE if is_secure(request) else LOOPBACK_COOKIE


def _token(request: Request) -> str | None:
    return request.cookies.get(cookie_name(request))
