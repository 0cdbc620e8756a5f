"""Events and clicks over HTTP: signed by Slack, fresh, and answered with 200 only once they are safe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from slack_sdk.signature import Clock as SlackClock
from slack_sdk.signature import SignatureVerifier
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from common.clock import Clock
from common.errors import Temporary
from common.logs import get_logger
from services.chat_gateway.slack.inbound import Inbound

log = get_logger(__name__)

MOST_BYTES = 1_000_000


class _VerifierClock(SlackClock):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now().timestamp()


class HttpEvents:
    """`POST /slack/events` and `POST /slack/interactivity`."""

    def __init__(self, signing_secret: str, inbound: Inbound, clock: Clock) -> None:
        self._verifier = SignatureVerifier(signing_secret, _VerifierClock(clock))
        self._inbound = inbound

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes for the process's HTTP server."""
        return (
            Route("/slack/events", self._events, methods=["POST"]),
            Route("/slack/interactivity", self._interactivity, methods=["POST"]),
        )

    async def _events(self, request: Request) -> Response:
        body = await _body(request)
        if body is None or not self._signed(body, request.headers):
            return await self._refused()
        payload = _json(body)
        if not isinstance(payload, dict):
            return _bad()
        if payload.get("type") == "url_verification":
            return JSONResponse({"challenge": str(payload.get("challenge", ""))})
        return await run_in_threadpool(self._take, "event", payload)

    async def _interactivity(self, request: Request) -> Response:
        body = await _body(request)
        if body is None or not self._signed(body, request.headers):
            return await self._refused()
        try:
            payload = _json(parse_qs(body.decode(), max_num_fields=10)["payload"][0].encode())
        except (KeyError, ValueError):
            return _bad()
        return await run_in_threadpool(self._take, "click", payload)

    def _signed(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Tell whether Slack signed this within the last 5 minutes. What cannot be checked is not signed."""
        try:
            return bool(self._verifier.is_valid_request(body, dict(headers)))
        except (ValueError, TypeError):
            return False

    async def _refused(self) -> Response:
        log.warning("slack_request_refused")
        await run_in_threadpool(self._inbound.unsigned)
        return PlainTextResponse("not signed by Slack, or too old", status_code=401)

    def _take(self, kind: str, payload: object) -> Response:
        try:
            self._inbound.take([("event" if kind == "event" else "click", payload)])
        except Temporary as error:
            log.warning("slack_event_not_taken", cause=str(error))
            return PlainTextResponse("try again", status_code=503)
        return PlainTextResponse("")


async def _body(request: Request) -> bytes | None:
    """Return the body; None for one that is longer than anything Slack sends."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MOST_BYTES:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _bad() -> Response:
    return PlainTextResponse("not understood", status_code=400)
