"""Puts the auth poller together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from common import backlog, metrics
from common.clock import Clock
from common.messages import AuthResult
from common.plugins import load_plugin
from common.service import Runtime, Service
from common.settings import Settings
from common.worker import Worker
from services.auth_poller.handlers import AuthHandler
from services.auth_poller.poller import Poller
from services.auth_poller.port import Authenticator

REMEMBERED = timedelta(seconds=30)
"""Readiness is asked every few seconds, the second factor is not."""


def load_authenticator(settings: Settings) -> Authenticator:
    """Return the second factor that the settings name.

    Raises:
        ConfigurationError: nobody registered that name.
    """
    from_settings = load_plugin("securitybot.auth", settings.auth, "SECURITYBOT_AUTH")
    authenticator: Authenticator = from_settings(settings)
    return authenticator


def build(runtime: Runtime) -> Service:
    """Return the service: a worker that takes requests, and the poller that carries them."""
    authenticator = load_authenticator(runtime.settings)
    transactions = runtime.transactions("auth-poller")
    poller = Poller(authenticator, transactions, runtime)
    handler = AuthHandler(authenticator, poller, runtime.instance)
    worker = Worker(handler, runtime.bus, transactions, [backlog.measuring(backlog.PUSHES)])
    for result in AuthResult:
        metrics.PUSHES.labels(result.value)  # from 0 on: the first failure is an increase too
    ready = RememberedCheck(authenticator.check, runtime.clock)
    return Service("auth-poller", (worker, poller), checks={"auth": ready})


class RememberedCheck:
    """Asks a check at most every `REMEMBERED`, one caller at a time."""

    def __init__(self, check: Callable[[], str | None], clock: Clock) -> None:
        self._check = check
        self._clock = clock
        self._lock = threading.Lock()
        self._asked_at: datetime | None = None
        self._problem: str | None = None

    def __call__(self) -> str | None:
        with self._lock:
            now = self._clock.now()
            if self._asked_at is None or now - self._asked_at >= REMEMBERED:
                self._problem = self._check()
                self._asked_at = now
            return self._problem
