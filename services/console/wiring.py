"""Puts the console together."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from common.errors import ConfigurationError
from common.service import Runtime, Service
from common.settings import Settings
from common.texts import Texts
from common.transactions import Transactions
from common.yaml_files import load_yaml
from services.console.access import read_role_mapping
from services.console.clerk import Clerk
from services.console.desk import Desk
from services.console.gate import Gate
from services.console.lazily import lazily
from services.console.live import Feed
from services.console.mounting import Everything, by_prefix
from services.console.pages import alerts, chat, compose, inbox, insight, people, quarantine, signing_in, system
from services.console.pulse import WATCHED, Pulse
from services.console.rendering import Templates
from services.console.rollup import count_more
from services.console.sessions import Sessions
from services.console.teams import Teams
from services.console.web import Page, SecurityHeaders, Visit, http_error, not_found, route
from services.console.word_index import index_more

if TYPE_CHECKING:
    from services.console.oidc import Oidc

NAME = "console"
STATIC = Path(__file__).parent / "static"


def build(runtime: Runtime) -> Service:
    """Return the service."""
    return build_with(runtime, None)


def build_with(runtime: Runtime, demo_name: str | None) -> Service:
    """Return the service; with a `demo_name`, whoever sits at this machine is signed in as that."""
    desk = make_desk(runtime, demo_name)
    clerk = Clerk(desk.transactions, [index_more, partial(count_more, team_of=desk.teams.of)])
    return Service(NAME, runnables=[desk.feed, desk.pulse, clerk], routes=[Everything(application(desk))])


def make_desk(runtime: Runtime, demo_name: str | None) -> Desk:
    """Return what the pages work with.

    Raises:
        ConfigurationError: settings or YAML files cannot be used.
    """
    settings = runtime.settings
    transactions = runtime.transactions(NAME)
    return Desk(
        runtime=runtime,
        transactions=transactions,
        gate=Gate(Sessions(runtime.engine, transactions, runtime.clock), demo_name),
        templates=Templates(
            has_chat=settings.chat == "local", is_demo=demo_name is not None, has_oidc=settings.oidc_issuer is not None
        ),
        texts=load_yaml(settings.config_dir / "messages.yaml", Texts),
        teams=load_yaml(settings.config_dir / "teams.yaml", Teams, optional=True),
        feed=Feed(runtime.engine),
        pulse=Pulse(_service_urls(settings)),
        oidc=_oidc(settings, transactions),
    )


def pages(desk: Desk) -> tuple[Page, ...]:
    """Return every page and every change."""
    modules = [inbox, alerts, people, compose, quarantine, insight, system]
    return (
        *(page for module in modules for page in module.PAGES),
        *(chat.PAGES if desk.runtime.settings.chat == "local" else ()),
        Page("/", _home),
        Page("/live", _live),
        Page("/sign-out", signing_in.sign_out, method="POST"),
    )


def application(desk: Desk) -> SecurityHeaders:
    """Return the console as one ASGI application."""
    routes: list[BaseRoute] = [
        Mount("/static", app=StaticFiles(directory=STATIC)),
        *signing_in.routes(desk),
        *(route(page, desk) for page in pages(desk)),
    ]
    handlers = {HTTPException: http_error(desk)}
    site = ExceptionMiddleware(Router(routes, default=not_found(desk)), handlers=handlers)
    return SecurityHeaders(by_prefix("/api", lazily(lambda: _api(desk)), site))


def _home(_: Desk, __: Visit) -> Response:
    return RedirectResponse("/inbox", status_code=303)


def _live(desk: Desk, _: Visit) -> Response:
    return StreamingResponse(desk.feed.events(), media_type="text/event-stream")


def _api(desk: Desk) -> ASGIApp:
    from services.console.api.app import create_api  # noqa: PLC0415 - FastAPI is for those who call it

    return create_api(desk)


def _oidc(settings: Settings, transactions: Transactions) -> Oidc | None:
    if not settings.oidc_issuer:
        return None
    try:
        from services.console.oidc import Client, Oidc  # noqa: PLC0415 - 10 MB that only its users need
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"SECURITYBOT_OIDC_ISSUER needs {error.name}: install securitybot[console]") from None
    assert settings.oidc_client_id
    assert settings.oidc_client_secret
    try:
        roles = read_role_mapping(settings.oidc_roles)
    except ValueError as error:
        raise ConfigurationError(f"SECURITYBOT_OIDC_ROLES: {error}") from None
    secret = settings.oidc_client_secret.get_secret_value()
    return Oidc(Client(settings.oidc_issuer, settings.oidc_client_id, secret, roles), transactions)


def _service_urls(settings: Settings) -> dict[str, str]:
    urls: dict[str, str] = {}
    for pair in settings.service_urls.replace(",", " ").split():
        name, separator, url = pair.partition("=")
        if not separator or name not in WATCHED or not url.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"SECURITYBOT_SERVICE_URLS: {pair!r} is no service=url pair; the services are {', '.join(WATCHED)}"
            )
        urls[name] = url.rstrip("/")
    return urls
