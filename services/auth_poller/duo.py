"""Duo's Auth API through `duo_client`: preauth, an asynchronous push, the long poll of its status."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import duo_client  # type: ignore[import-untyped]

from common.clock import SystemClock, skew_problem
from common.errors import ConfigurationError
from common.logs import get_logger
from common.messages import AuthResult
from common.settings import Settings
from services.auth_poller.duo_results import (
    INVALID_PARAMETERS,
    advice,
    interpret_auth,
    interpret_preauth,
    interpret_refusal,
    interpret_status,
)
from services.auth_poller.port import Answer, AuthTemporary, Prepared, Request, Settled, Started
from services.auth_poller.pushinfo import encode_pushinfo

log = get_logger(__name__)

CONNECT_SECONDS = 10.0
CALL_SECONDS = 15.0
LONG_POLL_SECONDS = 65.0
"""Duo answers a long poll after 60 s at the latest."""
SHORTEST_POLL = 1.0
PUSH_OPEN = timedelta(seconds=60)
"""For as long Duo takes an answer to a push."""
_HOST = re.compile(r"(?P<name>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?")
TYPE = "Security alert"
"""Heads the notification on the phone."""


class _NotSent(Exception):
    """The connection failed before anything of the request went out."""


class _Client(duo_client.Auth):  # type: ignore[misc]  # the package has no types
    """Duo's own client, one a call: it keeps no connection, never sleeps, and closes what it opened.

    The library waits up to 63 s within a call that was rate-limited; here the poller waits, which knows the deadline.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._MAX_BACKOFF_WAIT_SECS = 0

    def _attempt_single_request(self, conn: http.client.HTTPConnection, *request: Any) -> Any:
        wait = self.timeout
        try:
            conn.timeout = min(wait, CONNECT_SECONDS)
            conn.connect()
            conn.sock.settimeout(wait)
        except (OSError, http.client.HTTPException) as error:
            conn.close()
            raise _NotSent(_cause(error)) from error
        try:
            return super()._attempt_single_request(conn, *request)
        except BaseException:
            conn.close()
            raise


class DuoAuthenticator:
    """Asks for a Duo Push."""

    def __init__(self, ikey: str, skey: str, host: str, port: int | None = None, ca_file: str | None = None) -> None:
        self._options: dict[str, Any] = {"ikey": ikey, "skey": skey, "host": host, "port": port, "ca_certs": ca_file}

    def prepare(self, request: Request) -> Prepared | Settled:
        """Ask with `preauth` whether the person has a device that takes a push, verified where policy wants it."""
        try:
            response = self._client().preauth(username=request.username, client_supports_verified_push="1")
        except _FAILURES as error:
            return _settled_by(error)
        return interpret_preauth(response)

    def start(self, request: Request, prepared: Prepared) -> Started | Settled:
        """Send the push. No answer, a garbled one or a 5xx may all mean that it is on its way."""
        try:
            response = self._client().auth(
                factor="push",
                device="auto",
                username=request.username,
                async_txn=True,
                type=TYPE,
                pushinfo=encode_pushinfo(request.title, request.facts),
                txid=prepared.transaction,
            )
        except _FAILURES as error:
            return _settled_by(error, starting=True)
        transaction = interpret_auth(response)
        if transaction is None:
            raise AuthTemporary("Duo's answer to the push has no txid", may_have_started=True)
        return Started(transaction, prepared.code, open_for=PUSH_OPEN)

    def poll(self, transaction: str, most: float) -> Settled | None:
        """Wait for the next change of the push's status."""
        seconds = min(LONG_POLL_SECONDS, max(most, SHORTEST_POLL))
        try:
            response = self._client(seconds).json_api_call("GET", "/auth/v2/auth_status", {"txid": transaction})
        except TimeoutError as error:
            if seconds < LONG_POLL_SECONDS:
                return None
            raise AuthTemporary("Duo did not answer the long poll") from error
        except _FAILURES as error:
            if _code(error) == INVALID_PARAMETERS:
                raise AuthTemporary("Duo does not know the transaction, or its long poll expired") from error
            return _settled_by(error)
        return interpret_status(response)

    def answered(self, request: Request, answer: Answer) -> None:
        """Return None: whoever has the chat account must not be able to stand in for the phone."""
        del request, answer

    def check(self) -> str | None:
        """Ask Duo whether it takes our keys."""
        try:
            self._client().check()
        except _FAILURES as error:
            try:
                settled = _settled_by(error)
            except AuthTemporary as temporary:
                return str(temporary)
            return advice(settled.detail) or f"Duo refuses: {settled.detail}"
        return None

    def inspect(self) -> Mapping[str, str | None]:
        """Compare our clock with Duo's: its requests hold for 5 minutes."""
        try:
            theirs = datetime.fromtimestamp(self._client().ping()["time"], UTC)
        except _FAILURES as error:
            return {"clock": f"Duo did not tell its time: {type(error).__name__}"}
        except (KeyError, TypeError):
            return {"clock": "Duo's answer has no time"}
        return {"clock": skew_problem("Duo's", theirs, SystemClock().now())}

    def _client(self, seconds: float = CALL_SECONDS) -> _Client:
        return _Client(**self._options, timeout=seconds)


_FAILURES = (_NotSent, OSError, http.client.HTTPException, RuntimeError, ValueError)
"""What duo_client raises: RuntimeError for every error answer, ValueError for one that is not even text."""


def _settled_by(error: Exception, *, starting: bool = False) -> Settled:
    """Return what a failed call settles; raise `AuthTemporary` where it settles nothing."""
    if isinstance(error, _NotSent):
        raise AuthTemporary(f"Duo cannot be reached: {error}") from error
    status = getattr(error, "status", None)
    if not isinstance(error, RuntimeError) or not isinstance(status, int):
        raise AuthTemporary(f"Duo did not answer: {_cause(error)}", may_have_started=starting) from error
    settled = interpret_refusal(status, _code(error), _data(error).get("message_detail"))
    if settled is None:
        rate_limited = status == http.HTTPStatus.TOO_MANY_REQUESTS
        cause = f"Duo answered {_code(error) or status}"
        raise AuthTemporary(cause, may_have_started=starting and not rate_limited) from error
    if settled.result is AuthResult.UNAVAILABLE and advice(settled.detail):
        log.error("duo_refused", code=_code(error), cause=settled.detail, advice=advice(settled.detail))
    return settled


def _data(error: Exception) -> dict[str, Any]:
    data = getattr(error, "data", None)
    return data if isinstance(data, dict) else {}


def _code(error: Exception) -> int | None:
    code = _data(error).get("code")
    return code if isinstance(code, int) else None


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def from_settings(settings: Settings) -> DuoAuthenticator:
    """Entry point `duo`.

    Raises:
        ConfigurationError: a value is missing, the host is no host, or the CA file is not there. Only who talks to Duo
            has the key, so the settings do not ask for it.
    """
    if settings.duo_ikey is None or settings.duo_skey is None or settings.duo_host is None:
        given = {"DUO_IKEY": settings.duo_ikey, "DUO_SKEY": settings.duo_skey, "DUO_HOST": settings.duo_host}
        missing = [name for name, value in given.items() if value is None]
        raise ConfigurationError(*(f"SECURITYBOT_{name} is not set; SECURITYBOT_AUTH=duo needs it" for name in missing))
    host = _HOST.fullmatch(settings.duo_host)
    if host is None:
        raise ConfigurationError(
            f"SECURITYBOT_DUO_HOST is {settings.duo_host!r}: it must be the API hostname, such as "
            "api-xxxxxxxx.duosecurity.com, with :port only where it is not 443"
        )
    if settings.duo_ca_file and not settings.duo_ca_file.is_file():
        raise ConfigurationError(f"SECURITYBOT_DUO_CA_FILE is '{settings.duo_ca_file}': there is no such file")
    return DuoAuthenticator(
        settings.duo_ikey,
        settings.duo_skey.get_secret_value(),
        host["name"],
        int(host["port"]) if host["port"] else None,
        str(settings.duo_ca_file) if settings.duo_ca_file else None,
    )
