"""Between a browser and a page: session, role, CSRF, limits, security headers, and what an error looks like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.datastructures import FormData, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.formparsers import FormParser, MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.errors import ChangeRefused, Temporary
from common.logs import get_logger
from services.console.access import Identity, Role, is_cross_site, safe_path, same_token
from services.console.desk import Desk
from services.console.flash import set_flash

log = get_logger(__name__)

MAX_FORM = 256 * 1024
MAX_FIELDS = 2000
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class RowNumber(IntegerConvertor):
    """The number of a row in a path, such as fits into one: Python refuses to make an int of thousands of digits."""

    regex = "[0-9]{1,18}"


register_url_convertor("row", RowNumber())


@dataclass(frozen=True, slots=True)
class Visit:
    """One request by somebody who is signed in and may do what it asks."""

    request: Request
    who: Identity
    form: FormData

    def text(self, name: str) -> str:
        """Return a form field; empty where it is missing."""
        value = self.form.get(name, "")
        return value if isinstance(value, str) else ""

    def path(self, name: str) -> str:
        """Return a parameter of the path."""
        return str(self.request.path_params[name])

    def back(self, said: str, where: str | None = None) -> Response:
        """Return to where the form says (or `where`), and say what was done there."""
        response = RedirectResponse(where or safe_path(self.text("back")), status_code=303)
        set_flash(response, said)
        return response


Action = Callable[[Desk, Visit], Response]


@dataclass(frozen=True, slots=True)
class Page:
    """One page, or one change: where it is, who may, and what it does."""

    path: str
    action: Action
    needs: Role = Role.VIEWER
    method: str = "GET"


def route(page: Page, desk: Desk) -> Route:
    """Return the route of a page; it runs once session, role and (for a change) origin and token were checked."""

    async def endpoint(request: Request) -> Response:
        try:
            who = await run_in_threadpool(desk.gate.who, request)
            if who is None:
                return _to_sign_in(request)
            if not who.role.allows(page.needs):
                return desk.message(who, 403, f"This needs the role {page.needs}; yours is {who.role}.")
            form = FormData()
            if page.method == "POST":
                form = await read_form(request)
                if is_cross_site(request.headers) or not same_token(str(form.get("csrf", "")), who.csrf):
                    return desk.message(who, 403, "The form was not from this session. Go back, reload, try again.")
            return await run_in_threadpool(_act, desk, page, Visit(request, who, form))
        except Temporary as error:
            log.warning("page_not_served", path=page.path, cause=str(error))
            return desk.message(None, 503, "The record cannot be reached at the moment. Try again in a few seconds.")

    return Route(page.path, endpoint, methods=[page.method])


def _act(desk: Desk, page: Page, visit: Visit) -> Response:
    try:
        return page.action(desk, visit)
    except ChangeRefused as error:
        if page.method == "GET":
            return desk.message(visit.who, 404, str(error))
        response = RedirectResponse(safe_path(visit.text("back")), status_code=303)
        set_flash(response, str(error), refused=True)
        return response


def _to_sign_in(request: Request) -> Response:
    if request.method != "GET" or request.headers.get("x-partial"):
        return Response("signed out", status_code=401, media_type="text/plain")
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?next={quote(target, safe='')}", status_code=303)


async def read_form(request: Request) -> FormData:
    """Read an urlencoded form of limited size.

    Raises:
        HTTPException: it is none, or too large.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise HTTPException(415, "send a form")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_FORM:
                raise HTTPException(413, "the form is too large")
    except ClientDisconnect:
        raise HTTPException(400, "the form ended early") from None

    async def once() -> object:
        yield bytes(body)

    try:
        form = await FormParser(request.headers, once()).parse()  # type: ignore[arg-type]
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None
    if len(form.multi_items()) > MAX_FIELDS:
        raise HTTPException(413, "the form has too many fields")
    return form


class SecurityHeaders:
    """Adds the headers that every answer of the console has; what an answer sets itself stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with headers added at the start of the response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


def not_found(desk: Desk) -> ASGIApp:
    """Return the application for every path that nobody has."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        response = desk.message(None, 404, "There is no such page.")
        await response(scope, receive, send)

    return answer


def http_error(desk: Desk) -> Callable[[Request, Exception], Response]:
    """Return what answers a request that no page takes as it is (wrong method, too large a form)."""

    def answer(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return desk.message(None, error.status_code, f"{error.detail}.")

    return answer
