"""A fake of Duo's Auth API: TLS, checked signatures, and a person's phone that tests answer.

It refuses what Duo refuses: unknown keys (40102, 40103), a date that is too far off (40105), bad parameters (40002), a
long poll or transaction that it does not know (40002), too many requests (42901).
"""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
import threading
import time
from collections import deque
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import parse_qsl

import trustme

from tests.fakes.duo_http import Exchange, HttpRequest, Reply, serve
from tests.fakes.duo_signature import signature_problem

T = TypeVar("T")
Failure = Literal["500", "503", "429", "timeout", "lost", "garbage", "refuse"]
"""`lost`: the call is done, its answer never arrives. `timeout`: neither done nor answered. `garbage`: 200, no JSON."""

STATUSES: Mapping[str, tuple[str, str]] = {
    "allow": ("allow", "allow"),
    "bypass": ("allow", "bypass"),
    "deny": ("deny", "deny"),
    "fraud": ("deny", "fraud"),
    "timeout": ("deny", "timeout"),
    "timeout_waiting": ("waiting", "timeout"),
    "locked_out": ("deny", "locked_out"),
    "push_failed": ("waiting", "push_failed"),
    "pushed": ("waiting", "pushed"),
}
"""Result and status by the name that tests use."""
FAILURES: Mapping[str, tuple[int, int, str]] = {
    "500": (500, 50000, "Internal server error"),
    "503": (503, 50300, "Service unavailable"),
    "429": (429, 42901, "Too many requests"),
    "refuse": (403, 40301, "Access forbidden"),
}


@dataclass(slots=True)
class User:
    name: str
    preauth: str = "auth"
    capabilities: tuple[str, ...] = ("auto", "push", "mobile_otp")
    verified: bool = False
    answers: str | None = None
    """What happens to each push by itself, one of `STATUSES`."""
    after: float = 0.0
    """Seconds until then."""


@dataclass(slots=True)
class Push:
    txid: str
    user: str
    type: str
    pushinfo: dict[str, str]
    verified: bool
    at: float = field(default_factory=time.time)


@dataclass(slots=True)
class _Transaction:
    user: str
    code: str | None = None
    sent: bool = False
    told: int = 0
    history: list[tuple[str, str]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def over(self) -> bool:
        return bool(self.history) and (
            self.history[-1][0] != "waiting" or self.history[-1][1] in ("timeout", "push_failed")
        )


class _Refused(Exception):
    def __init__(self, status: int, code: int, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"stat": "FAIL", "code": code, "message": message} | ({"message_detail": detail} if detail else {})


def _bad(parameter: str) -> _Refused:
    return _Refused(400, 40002, "Invalid request parameters", parameter)


class FakeDuo:
    """Use as a context manager. Every public method is thread-safe."""

    host = "localhost"

    def __init__(
        self,
        ikey: str = "DIFAKEFAKEFAKEFAKE00",
        skey: str = "not-a-real-secret-key-of-forty-characters",
        poll_seconds: float = 60.0,
        push_seconds: float = 60.0,
        port: int = 0,
    ) -> None:
        self.ikey, self.skey = ikey, skey
        self.poll_seconds, self.push_seconds = poll_seconds, push_seconds
        self.expired_poll: Literal["waiting", "40002"] = "waiting"
        self.clock_offset = 0.0
        self.port = port
        self.pushes: list[Push] = []
        self.calls: list[str] = []
        """Paths of all calls, refused ones included."""
        self.open_polls = 0
        self._users: dict[str, User] = {}
        self._transactions: dict[str, _Transaction] = {}
        self._failures: dict[str, deque[Failure]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="fake-duo-")
        self._authority = trustme.CA()
        self.ca_file = Path(self._folder.name) / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca_file))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-duo", daemon=True)
        self._closing = asyncio.Event()
        self._server: asyncio.Server | None = None

    # --- what tests do ------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._wait(serve(self._answer_request, self._closing, self.port, self._tls()))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    def settings(self) -> dict[str, str]:
        """Return the environment that makes securitybot use this server."""
        return {
            "SECURITYBOT_AUTH": "duo",
            "SECURITYBOT_DUO_IKEY": self.ikey,
            "SECURITYBOT_DUO_SKEY": self.skey,
            "SECURITYBOT_DUO_HOST": f"{self.host}:{self.port}",
            "SECURITYBOT_DUO_CA_FILE": str(self.ca_file),
        }

    def add_user(self, name: str, **how: Any) -> None:
        """Add somebody, or change what they have and do; see `User`."""
        self._users[name] = User(name, **how)

    def answer(self, user_or_txid: str, status: str) -> int:
        """Let the person's waiting pushes, or one of them, come to `status`. Returns how many it was."""

        async def change() -> int:
            waiting = [
                transaction
                for txid, transaction in self._transactions.items()
                if user_or_txid in (txid, transaction.user) and transaction.sent and not transaction.over()
            ]
            for transaction in waiting:
                self._change(transaction, status)
            return len(waiting)

        return self._wait(change())

    def fail_next(self, path: str, mode: Failure, times: int = 1) -> None:
        """Let the next calls of `path` (`preauth`, `auth`, `auth_status`, `check`) fail."""
        self._failures.setdefault(path, deque()).extend([mode] * times)

    def heal(self) -> None:
        """Forget the failures that did not happen yet."""
        self._failures.clear()

    def status_of(self, txid: str) -> str:
        """Return the last status of a push."""
        return self._transactions[txid].history[-1][1]

    def code_of(self, txid: str) -> str | None:
        """Return the verification code of a push."""
        return self._transactions[txid].code

    # --- the API ------------------------------------------------------------------------------------------------

    async def _answer_request(self, request: HttpRequest, exchange: Exchange) -> Reply:
        name = request.path.removeprefix("/auth/v2/")
        self.calls.append(name)
        failures = self._failures.get(name)
        failure = failures.popleft() if failures else None
        if failure == "timeout":
            await exchange.closed()
            return Reply.nothing()
        if failure is not None and failure in FAILURES:
            status, code, message = FAILURES[failure]
            return Reply(status, json.dumps({"stat": "FAIL", "code": code, "message": message}))
        try:
            self._check_signature(request)
            response = await self._call(name, request, exchange)
        except _Refused as refused:
            return Reply(refused.status, json.dumps(refused.body))
        if failure == "lost":
            return Reply.nothing()
        return Reply(200, "<html>" if failure == "garbage" else json.dumps({"stat": "OK", "response": response}))

    def _check_signature(self, request: HttpRequest) -> None:
        problem = signature_problem(request, self.ikey, self.skey, time.time() + self.clock_offset)
        if problem:
            raise _Refused(*problem)

    async def _call(self, name: str, request: HttpRequest, exchange: Exchange) -> dict[str, Any]:
        match request.method, name:
            case "GET", "check" | "ping":
                return {"time": int(time.time() + self.clock_offset)}
            case "POST", "preauth":
                return self._preauth(request.parameters())
            case "POST", "auth":
                return self._auth(request.parameters())
            case "GET", "auth_status":
                return await self._auth_status(request.parameters(), exchange)
        raise _Refused(404, 40401, "Resource not found")

    def _preauth(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        if "username" not in parameters:
            raise _bad("username")
        user = self._users.get(parameters["username"])
        if user is None:
            return {
                "result": "enroll",
                "status_msg": "Enroll an authentication device",
                "enroll_portal_url": "https://x",
            }
        if user.preauth != "auth":
            return {"result": user.preauth, "status_msg": user.preauth.title()}
        supported = parameters.get("client_supports_verified_push") == "1"
        shown = [c for c in user.capabilities if supported or not user.verified or c != "push"]
        response: dict[str, Any] = {
            "result": "auth",
            "status_msg": "Account is active",
            "devices": [{"device": f"D{user.name}", "type": "phone", "capabilities": shown}] if shown else [],
        }
        if user.verified and supported and "push" in shown:
            txid = self._new_transaction(user, code=f"{len(self._transactions) % 1000:03d}")
            code = self._transactions[txid].code
            response |= {"txid": txid, "verification_code": code, "expiration": 60}
        return response

    def _auth(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        user = self._users.get(parameters.get("username", ""))
        if user is None:
            raise _bad("username")
        if parameters.get("factor") != "push":
            raise _bad("factor")
        if parameters.get("device") not in ("auto", f"D{user.name}") or "push" not in user.capabilities:
            raise _bad("device")
        if parameters.get("async") != "1":
            raise _bad("async")
        txid = self._transaction_for(user, parameters.get("txid"))
        self._send(user, txid, parameters.get("type", ""), _pushinfo(parameters.get("pushinfo", "")))
        return {"txid": txid}

    def _transaction_for(self, user: User, reserved: str | None) -> str:
        if not user.verified and reserved is None:
            return self._new_transaction(user)
        transaction = self._transactions.get(reserved or "")
        if reserved is None or transaction is None or transaction.user != user.name or transaction.sent:
            raise _bad("txid")
        return reserved

    def _send(self, user: User, txid: str, kind: str, pushinfo: dict[str, str]) -> None:
        transaction = self._transactions[txid]
        transaction.sent = True
        self._change(transaction, "pushed")
        self.pushes.append(Push(txid, user.name, kind, pushinfo, verified=transaction.code is not None))
        if user.answers:
            self._later(user.after, transaction, user.answers)
        self._later(self.push_seconds, transaction, "timeout")

    async def _auth_status(self, parameters: Mapping[str, str], exchange: Exchange) -> dict[str, str]:
        transaction = self._transactions.get(parameters.get("txid", ""))
        if transaction is None or not transaction.sent:
            raise _bad("txid")
        if transaction.told == len(transaction.history) and not transaction.over():
            self.open_polls += 1
            try:
                await exchange.first(transaction.changed.wait(), self.poll_seconds)
            finally:
                self.open_polls -= 1
            if transaction.told == len(transaction.history) and self.expired_poll == "40002":
                raise _bad("txid")
        transaction.told = len(transaction.history)
        transaction.changed.clear()
        result, status = transaction.history[-1]
        return {"result": result, "status": status, "status_msg": f"It is {status}."}

    # --- inside -------------------------------------------------------------------------------------------------

    def _new_transaction(self, user: User, code: str | None = None) -> str:
        txid = f"00000000-0000-4000-8000-{len(self._transactions):012d}"
        self._transactions[txid] = _Transaction(user.name, code)
        return txid

    def _change(self, transaction: _Transaction, status: str) -> None:
        if not transaction.over():
            transaction.history.append(STATUSES[status])
            transaction.changed.set()

    def _later(self, seconds: float, transaction: _Transaction, status: str) -> None:
        self._loop.call_later(seconds, self._change, transaction, status)

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(self.host).configure_cert(context)
        return context

    async def _stop(self) -> None:
        self._closing.set()
        if self._server is not None:
            self._server.close()
        for _ in range(100):
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            if not others:
                break
            await asyncio.sleep(0.01)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(10)


def _pushinfo(encoded: str) -> dict[str, str]:
    if len(encoded.encode()) >= 20_000:
        raise _bad("pushinfo")
    try:
        pairs = parse_qsl(encoded, strict_parsing=True, keep_blank_values=True, errors="strict") if encoded else []
    except ValueError:
        raise _bad("pushinfo") from None
    return dict(pairs)


if __name__ == "__main__":
    from tests.fakes.duo_control import main

    main()
