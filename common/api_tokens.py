"""Bearer tokens of the HTTP side: made by `securitybot tokens create`, checked at each request.

Only a token's SHA-256 is kept. That is enough without salt or stretching: a token holds 256 random bits, which nobody
guesses from the digest.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Engine, or_, select, update
from starlette.requests import Request

from common import metrics
from common.clock import Clock
from common.errors import ChangeRefused
from common.problem import ProblemError, problem
from common.records.database import translated_errors
from common.records.tables import ApiTokenRow
from common.token_bucket import TokenBucket
from common.unit_of_work import UnitOfWork

PREFIX = "sbt_"
"""Lets secret scanners find a token that got into a repository."""
CACHED = timedelta(seconds=10)
"""A revoked token is refused after this at the latest."""
MOST_CACHED = 1000
USE_NOTED_EVERY = timedelta(minutes=1)
MAX_NAME = 64
BURST_SECONDS = 10
"""What a token may do at once: as much as in so many seconds."""


class Scope(StrEnum):
    """What a token is good for; `admin` may do what the others may."""

    PUBLISH = "publish"
    READ = "read"
    ADMIN = "admin"

    def allows(self, needed: Scope) -> bool:
        """Tell whether a token of this scope may do what needs `needed`."""
        return self in (needed, Scope.ADMIN)


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was shown and is valid."""

    id: int
    name: str
    scope: Scope


def create(work: UnitOfWork, name: str, scope: Scope, actor: str) -> str:
    """Make a token and return it; it can never be shown again.

    Raises:
        ChangeRefused: the name cannot be used.
    """
    if not name.isprintable() or not 1 <= len(name.strip()) <= MAX_NAME:
        raise ChangeRefused(f"a token's name has 1 to {MAX_NAME} printable characters")
    name = name.strip()
    if work.connection.scalar(select(ApiTokenRow.id).where(ApiTokenRow.name == name)) is not None:
        raise ChangeRefused(f"there is a token {name!r} already (revoked ones keep their name); choose another name")
    token = PREFIX + secrets.token_urlsafe(32)
    work.insert(ApiTokenRow, name=name, token_hash=_digest(token), scope=scope.value, created_at=work.now)
    work.note("token_created", actor=actor, name=name, scope=scope.value)
    return token


def revoke(work: UnitOfWork, name: str, actor: str) -> None:
    """End a token for good.

    Raises:
        ChangeRefused: no token of that name is valid.
    """
    done = work.connection.execute(
        update(ApiTokenRow)
        .where(ApiTokenRow.name == name, ApiTokenRow.revoked_at.is_(None))
        .values(revoked_at=work.now)
    )
    if not done.rowcount:
        raise ChangeRefused(f"no valid token is called {name!r}; see `securitybot tokens list`")
    work.note("token_revoked", actor=actor, name=name)


class TokenCheck:
    """Checks the bearer token of a request, and how much it is used. Thread-safe; one a process and service.

    Rates are counted in this process's memory: with three replicas a token may do three times as much, and a restart
    forgives. They keep one runaway sender from others' way; they are no accounting.
    """

    def __init__(self, engine: Engine, clock: Clock, rate: float = 0.0) -> None:
        """`rate`: what a token may do a second; 0: as much as it likes."""
        self._engine = engine
        self._clock = clock
        self._rate = rate
        self._buckets: dict[int, TokenBucket] = {}
        self._cache: OrderedDict[str, tuple[datetime, Token]] = OrderedDict()
        self._lock = threading.Lock()

    def authorise(self, request: Request, needed: Scope) -> Token:
        """Return the request's token.

        Raises:
            ProblemError: 401 without a valid token, 403 where it is not for this, 429 where it was used too much.
            DatabaseUnavailable: tokens cannot be looked up.
        """
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not shown.strip():
            raise _challenge(
                401, "Bearer", "send `Authorization: Bearer <token>`; `securitybot tokens create` makes one"
            )
        token = self.verify(shown.strip())
        if token is None:
            raise _challenge(401, 'Bearer error="invalid_token"', "the token is unknown or revoked")
        if not token.scope.allows(needed):
            raise _challenge(
                403,
                f'Bearer error="insufficient_scope", scope="{needed}"',
                f"the token {token.name!r} has the scope {token.scope}, this needs {needed}",
            )
        self._limit(token)
        return token

    def charge(self, token: Token, count: int) -> None:
        """Count what a request turned out to be worth beyond 1: not refused any more, but the next may have to wait."""
        if self._rate and count > 0:
            with self._lock:
                self._bucket(token).take(self._clock.now().timestamp(), count)

    def _limit(self, token: Token) -> None:
        if not self._rate:
            return
        now = self._clock.now().timestamp()
        with self._lock:
            bucket = self._bucket(token)
            wait = bucket.free_at(now) - now
            if not wait:
                bucket.take(now)
                return
        metrics.API_LIMITED.labels(token.name).inc()
        detail = f"the token {token.name!r} is used too much: {self._rate:g} a second are allowed; wait, then go on"
        raise ProblemError(problem(429, detail, headers={"Retry-After": str(math.ceil(wait))}))

    def _bucket(self, token: Token) -> TokenBucket:
        return self._buckets.setdefault(token.id, TokenBucket(self._rate, max(1.0, self._rate * BURST_SECONDS)))

    def verify(self, shown: str) -> Token | None:
        """Return the token if it is known and not revoked; costs no query while it is cached."""
        digest, now = _digest(shown), self._clock.now()
        with self._lock:
            cached = self._cache.get(digest)
        if cached is not None and now - cached[0] < CACHED:
            return cached[1]
        token = self._look_up(digest, now)
        with self._lock:
            self._cache.pop(digest, None)
            if token is not None:
                self._cache[digest] = (now, token)
                while len(self._cache) > MOST_CACHED:
                    self._cache.popitem(last=False)
        return token

    def _look_up(self, digest: str, now: datetime) -> Token | None:
        with translated_errors(), self._engine.begin() as connection:
            row = connection.execute(select(ApiTokenRow.__table__).where(ApiTokenRow.token_hash == digest)).first()
            if row is None or row.revoked_at is not None or not hmac.compare_digest(row.token_hash, digest):
                return None
            stale = now - USE_NOTED_EVERY
            if row.last_used_at is None or row.last_used_at <= stale:
                connection.execute(
                    update(ApiTokenRow)
                    .where(
                        ApiTokenRow.id == row.id,
                        or_(ApiTokenRow.last_used_at.is_(None), ApiTokenRow.last_used_at <= stale),
                    )
                    .values(last_used_at=now)
                )
            return Token(row.id, row.name, Scope(row.scope))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def _challenge(status: int, challenge: str, detail: str) -> ProblemError:
    return ProblemError(problem(status, detail, headers={"WWW-Authenticate": challenge}))
