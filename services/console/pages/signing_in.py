"""Signing in and out: a local account, or OpenID Connect."""

from __future__ import annotations

import secrets

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from common.errors import Temporary
from common.logs import get_logger
from common.records.analysts import check_password
from services.console.access import Role, is_cross_site, safe_path, same_token
from services.console.desk import Desk
from services.console.gate import is_secure
from services.console.refusal import Refused
from services.console.web import Visit, read_form

log = get_logger(__name__)

FORM_COOKIE = "securitybot_form"
FLOW_COOKIE = "securitybot_flow"
"""Ties a sign-in to the browser that began it: nobody is signed in as somebody else by a link."""
WRONG = "Name or password is wrong."
WAIT = "Too many failed tries. Wait a quarter of an hour."
AWAY = "The record or the identity provider cannot be reached at the moment. Try again in a few seconds."


def routes(desk: Desk) -> list[Route]:
    """Return the routes that need no session."""

    async def show(request: Request) -> Response:
        return _form(desk, request, request.query_params.get("next", "/inbox"), None, 200)

    async def enter(request: Request) -> Response:
        form = await read_form(request)
        target = safe_path(str(form.get("next", "")))
        shown, expected = str(form.get("csrf", "")), request.cookies.get(FORM_COOKIE, "")
        if is_cross_site(request.headers) or not expected or not same_token(shown, expected):
            return _form(desk, request, target, "Please try again.", 403)
        name, password = str(form.get("name", "")).strip(), str(form.get("password", ""))
        try:
            return await run_in_threadpool(_enter, desk, request, (name, password), target)
        except Temporary as error:
            log.warning("sign_in_not_possible", cause=str(error))
            return _form(desk, request, target, AWAY, 503)

    async def to_provider(request: Request) -> Response:
        return await run_in_threadpool(_to_provider, desk, request)

    async def from_provider(request: Request) -> Response:
        return await run_in_threadpool(_from_provider, desk, request)

    return [
        Route("/sign-in", show, methods=["GET"]),
        Route("/sign-in", enter, methods=["POST"]),
        Route("/sign-in/oidc", to_provider, methods=["GET"]),
        Route("/sign-in/oidc/callback", from_provider, methods=["GET"]),
    ]


def sign_out(desk: Desk, visit: Visit) -> Response:
    """End the session."""
    response = RedirectResponse("/sign-in", status_code=303)
    desk.gate.leave(visit.request, response)
    return response


def _enter(desk: Desk, request: Request, given: tuple[str, str], target: str) -> Response:
    name, password = given
    address = request.client.host if request.client else ""
    sessions = desk.gate.sessions
    if sessions.is_throttled(name, address):
        log.warning("sign_in_throttled", address=address)
        return _form(desk, request, target, WAIT, 429)
    role = desk.read(lambda connection: check_password(connection, name, password))
    if role is None:
        sessions.failed(name, address)
        log.warning("sign_in_failed", address=address)
        return _form(desk, request, target, WRONG, 403)
    response = RedirectResponse(target, status_code=303)
    desk.gate.enter(request, response, name, Role(role), "local")
    return response


def _to_provider(desk: Desk, request: Request) -> Response:
    if desk.oidc is None:
        return RedirectResponse("/sign-in", status_code=303)
    try:
        address, state = desk.oidc.begin(_callback(request), safe_path(request.query_params.get("next", "")))
    except Temporary as error:
        log.warning("sign_in_not_possible", cause=str(error))
        return _form(desk, request, "/inbox", AWAY, 503)
    response = RedirectResponse(address, status_code=303)
    response.set_cookie(FLOW_COOKIE, state, max_age=600, httponly=True, samesite="lax", secure=is_secure(request))
    return response


def _from_provider(desk: Desk, request: Request) -> Response:
    if desk.oidc is None:
        return RedirectResponse("/sign-in", status_code=303)
    if not same_token(request.query_params.get("state", ""), request.cookies.get(FLOW_COOKIE, "-")):
        return _form(desk, request, "/inbox", "That sign-in was not started in this browser. Begin again.", 403)
    try:
        arrival = desk.oidc.finish(_callback(request), dict(request.query_params))
    except Refused as error:
        log.warning("sign_in_refused", cause=str(error))
        return _form(desk, request, "/inbox", str(error), 403)
    except Temporary as error:
        log.warning("sign_in_not_possible", cause=str(error))
        return _form(desk, request, "/inbox", AWAY, 503)
    response = RedirectResponse(arrival.next_path, status_code=303)
    desk.gate.enter(request, response, arrival.name, arrival.role, "oidc", subject=arrival.subject)
    response.delete_cookie(FLOW_COOKIE)
    return response


def _callback(request: Request) -> str:
    scheme = "https" if is_secure(request) else request.url.scheme
    return f"{scheme}://{request.headers.get('host', '')}/sign-in/oidc/callback"


def _form(desk: Desk, request: Request, target: str, problem: str | None, status: int) -> Response:
    token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)
    theme = request.cookies.get("theme")
    html = desk.templates.plain(
        "sign_in.html", problem=problem, next=safe_path(target), token=token,
        theme=theme if theme in ("light", "dark") else None,
    )  # fmt: skip
    response = HTMLResponse(html, status)
    response.set_cookie(FORM_COOKIE, token, httponly=True, samesite="strict", secure=is_secure(request))
    return response
