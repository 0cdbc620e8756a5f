"""`POST /v1/alerts`: alerts over HTTP. Checked here, published, and answered once they are safe.

202 where at least one alert was accepted; 422 where none was. A tool that sends its own payload to
`POST /v1/alerts/{source}` seldom reads the answer: what cannot be taken of it goes into the quarantine, and the answer
is 202. Otherwise 400: no JSON; 401, 403: the token; 404: no such
source; 413: too large; 415: no JSON by its type; 429: too much with this token, 503: broker or database away, both
again after `Retry-After`. Errors are problem details (RFC 9457).

They then take the same way as everybody's: the published body carries its hash and time, so the intake makes the same
alert of it, whenever it reads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from common.alert_form import MAX_BODY
from common.alert_publication import prepare
from common.alerts import Alert
from common.api_tokens import Scope, Token, TokenCheck
from common.bus.port import Delivery, Publication
from common.clock import Clock
from common.errors import BadMessage, Temporary
from common.ids import new_id
from common.logs import get_logger
from common.problem import ProblemError, problem
from common.quarantine import quarantine
from common.records.database import translated_errors
from common.strict_json import parse_json, value_problem
from common.topology import ALERTS, INGEST_QUEUE
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.ingest.admission import Known, Occurrence, Refuse, admit
from services.ingest.handlers import IntakeHandler, load_known
from services.ingest.sources import SourceMapping, map_payload

log = get_logger(__name__)

MAX_REQUEST = 8 * 1024 * 1024
"""Bytes of a request: 2,000 alerts of 4 KiB. A single alert is held to its own limit."""
MAX_ALERTS = 2000
"""osquery sends up to 1,024 lines at once, and the same again and again until they are taken."""
RETRY_AFTER = 5
"""Seconds that a sender is asked to wait while broker or database is away."""
DEFAULT_SOURCE = "http"


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of the alerts of one request, before any is published."""

    accepted: list[tuple[Alert, bool]]
    """With whether it is a repeat of one that is known."""
    publications: list[Publication]
    rejected: list[dict[str, Any]]


class AlertsApi:
    """The intake over HTTP."""

    def __init__(
        self, transactions: Transactions, tokens: TokenCheck, clock: Clock, sources: Mapping[str, SourceMapping]
    ) -> None:
        self._transactions = transactions
        self._tokens = tokens
        self._clock = clock
        self._sources = sources

    def routes(self) -> list[Route]:
        """Return the routes that the process has to serve."""
        return [
            Route("/v1/alerts", self._post_alerts, methods=["POST"]),
            Route("/v1/alerts/{source}", self._post_payload, methods=["POST"]),
        ]

    async def _post_alerts(self, request: Request) -> Response:
        return await self._answer(request, lambda body, token: self._take(self._read_alerts(body), token))

    async def _post_payload(self, request: Request) -> Response:
        source = request.path_params["source"]
        return await self._answer(
            request, lambda body, token: self._take(self._read_payload(source, body), token, source)
        )

    async def _answer(self, request: Request, take: Callable[[bytes, Token], Response]) -> Response:
        try:
            token = await run_in_threadpool(self._tokens.authorise, request, Scope.PUBLISH)
            body = await _body(request)
            return await run_in_threadpool(take, body, token)
        except ProblemError as error:
            return error.response
        except Temporary as error:
            log.warning("alerts_not_taken", cause=str(error))
            detail = "the alerts cannot be kept safely now: broker or database is away; send them again"
            return problem(503, detail, headers={"Retry-After": str(RETRY_AFTER)})

    def _read_alerts(self, body: bytes) -> Sequence[object]:
        value = _json(body)
        if isinstance(value, list):
            return value
        if len(body) > MAX_BODY:
            raise ProblemError(problem(413, f"the alert has {len(body)} bytes; at most {MAX_BODY} are taken"))
        return [value]

    def _read_payload(self, source: str, body: bytes) -> Sequence[object]:
        mapping = self._sources.get(source)
        if mapping is None:
            known = ", ".join(sorted(self._sources)) or "none"
            raise ProblemError(problem(404, f"no such source; config/sources.yaml has: {known}"))
        value = _json(body)
        if wrong := value_problem(value):
            raise ProblemError(problem(400, f"the payload {wrong}"))
        return map_payload(source, mapping, value)

    def _take(self, values: Sequence[object], token: Token, source: str | None = None) -> Response:
        self._tokens.charge(token, len(values) - 1)
        if len(values) > MAX_ALERTS:
            raise ProblemError(problem(413, f"{len(values)} alerts in one request; at most {MAX_ALERTS} are taken"))
        checked = self._check(values)
        if checked.publications:
            self._transactions.publish_now(checked.publications)
        if source is not None and checked.rejected:
            self._quarantine(source, values, checked.rejected)
        log.info("alerts_published", token=token.name, accepted=len(checked.accepted), rejected=len(checked.rejected))
        if not checked.accepted and (source is None or not values):
            detail = "no alert was accepted; `rejected` says why" if values else "the list is empty"
            return problem(422, detail, accepted=[], rejected=checked.rejected)
        accepted = [{"hash": alert.hash, "duplicate": duplicate} for alert, duplicate in checked.accepted]
        return JSONResponse({"accepted": accepted, "rejected": checked.rejected}, status_code=202)

    def _quarantine(self, source: str, values: Sequence[object], rejected: Sequence[Mapping[str, Any]]) -> None:
        """Keep what cannot be taken as if it had come over the bus, so that an analyst mends it and sends it again."""

        def keep(work: UnitOfWork) -> None:
            for entry in rejected:
                body = json.dumps(values[entry["index"]], ensure_ascii=False, separators=(",", ":")).encode()
                quarantine(work, _as_delivery(source, body), entry["error"], IntakeHandler.name)

        self._transactions.run(keep)

    def _check(self, values: Sequence[object]) -> Checked:
        received_at = self._clock.now()
        checked = Checked([], [], [])
        sound: list[tuple[int, Alert, Publication]] = []
        for index, value in enumerate(values):
            try:
                alert, publication = prepare(value, source=DEFAULT_SOURCE, message_id=new_id(), received_at=received_at)
                sound.append((index, alert, publication))
            except BadMessage as error:
                checked.rejected.append({"index": index, "error": error.reason})
        with translated_errors(), self._transactions.engine.connect() as connection:
            known = load_known(connection, {alert.hash for _, alert, _ in sound})
        for index, alert, publication in sound:
            admission = admit(alert, known.get(alert.hash))
            if isinstance(admission, Refuse):
                checked.rejected.append({"index": index, "error": admission.reason})
                continue
            known.setdefault(alert.hash, Known(alert.owner, alert.title))
            checked.accepted.append((alert, isinstance(admission, Occurrence)))
            checked.publications.append(publication)
        checked.rejected.sort(key=lambda entry: entry["index"])
        return checked


def _as_delivery(source: str, body: bytes) -> Delivery:
    return Delivery(
        queue=INGEST_QUEUE.name,
        exchange=ALERTS,
        routing_key=f"alert.{source}",
        body=body,
        message_id=None,
        type=None,
        correlation_id=None,
        headers={},
        content_type="application/json",
        redelivered=False,
        tag=None,
    )


async def _body(request: Request) -> bytes:
    """Return the body; stops reading where it is too large."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise ProblemError(problem(415, "send `Content-Type: application/json`"))
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError(problem(415, "compressed bodies are not taken; leave `Content-Encoding` out"))
    too_large = f"the body may have at most {MAX_REQUEST} bytes; send fewer alerts at once"
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > MAX_REQUEST:
        raise ProblemError(problem(413, too_large))
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST:
                raise ProblemError(problem(413, too_large))
    except ClientDisconnect:
        raise ProblemError(problem(400, "the body ended early")) from None
    return bytes(body)


def _json(body: bytes) -> Any:
    try:
        return parse_json(body)
    except BadMessage as error:
        raise ProblemError(problem(400, error.reason)) from None
