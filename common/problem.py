"""Errors of the HTTP side as problem details (RFC 9457): what is wrong and what to do, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> JSONResponse:
    """Return an `application/problem+json` response; `members` are the problem type's own additions."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(
        content | members,
        status_code=status,
        headers=None if headers is None else dict(headers),
        media_type="application/problem+json",
    )


class ProblemError(Exception):
    """Raised below an endpoint to end the request with `response`."""

    def __init__(self, response: JSONResponse) -> None:
        super().__init__(response.status_code)
        self.response = response
