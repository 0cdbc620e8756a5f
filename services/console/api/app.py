"""The API as an application of its own, with its documentation."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from common.api_tokens import TokenCheck
from common.errors import ChangeRefused, Temporary
from common.logs import get_logger
from common.problem import ProblemError, problem
from services.console.api.models import Problem
from services.console.api.routes import make_router
from services.console.desk import Desk

log = get_logger(__name__)

ERRORS = {400: "the request is malformed", 401: "no valid token", 403: "the token is not for this",
          404: "there is no such thing", 409: "cannot be done as things are", 422: "a parameter is wrong",
          429: "the token is used too much: wait", 503: "the record is away: try again"}  # fmt: skip
MOST_BODY = 256 * 1024
"""Bytes; a body is read before the token in its head is looked at."""
DOCS = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>securitybot API</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/api/docs/assets/swagger-ui.css"></head><body><div id="swagger-ui"></div>
<script src="/api/docs/assets/swagger-ui-bundle.js"></script><script src="/static/docs.js"></script></body></html>"""


def create_api(desk: Desk) -> ASGIApp:
    """Return the application for everything under `/api`."""
    responses = {
        status: {"description": text, "content": {"application/problem+json": {"schema": Problem.model_json_schema()}}}
        for status, text in ERRORS.items()
    }
    app = FastAPI(
        title="securitybot", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json",
        max_body_size=MOST_BODY,
        responses=responses,  # type: ignore[arg-type]
        description="The record of the bot. Tokens: `securitybot tokens create NAME --scope read|admin`.",
    )  # fmt: skip
    app.state.tokens = TokenCheck(desk.runtime.engine, desk.runtime.clock, desk.runtime.settings.api_rate)
    app.include_router(make_router(desk), prefix="/v1")
    assets = Path(str(files("fastapi_offline"))) / "static"
    app.mount("/docs/assets", StaticFiles(directory=assets))
    app.add_api_route("/docs", lambda: HTMLResponse(DOCS), include_in_schema=False)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(ChangeRefused, _refused)
    app.add_exception_handler(Temporary, _away)
    return app


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [
        {"where": ".".join(str(step) for step in found["loc"]), "what": found["msg"]} for found in error.errors()
    ]
    status = 400 if any(found["type"] == "json_invalid" for found in error.errors()) else 422
    detail = "; ".join(f"{entry['where']}: {entry['what']}" for entry in problems[:10])
    return problem(status, detail, errors=problems)


async def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return error.response


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return problem(422 if request.method == "GET" else 409, str(error))


async def _away(_: Request, error: Exception) -> JSONResponse:
    log.warning("api_not_served", cause=str(error))
    return problem(503, "the record cannot be reached at the moment", headers={"Retry-After": "5"})
