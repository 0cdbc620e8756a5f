"""Puts the auth poller together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from common import backlog, metrics
from common.clock import Clock
from common.logs import get_logger
from common.messages import AuthResult
from common.plugins import load_plugin
from common.service import Runtime, Service
from common.settings import Settings
from common.worker import Worker
from services.auth_poller.handlers import AuthHandler
from services.auth_poller.poller import Poller
from services.auth_poller.port import Authenticator

log = get_logger(__name__)

REMEMBERED = timedelta(seconds=30)
"""Readiness is asked every few seconds, the second factor is not."""
PATIENCE = 2.0
"""Seconds; Prometheus gives a scrape 10, Kubernetes a probe less."""


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
    """Asks a check at most every `REMEMBERED`; where the second factor hangs, what was known before is told."""

    def __init__(self, check: Callable[[], str | None], clock: Clock) -> None:
        self._check = check
        self._clock = clock
        self._lock = threading.Lock()
        self._answered_at: datetime | None = None
        self._asking: threading.Thread | None = None
        self._problem: str | None = "has not answered yet"

    def __call__(self) -> str | None:
        with self._lock:
            fresh = self._answered_at is not None and self._clock.now() - self._answered_at < REMEMBERED
            if not fresh and (self._asking is None or not self._asking.is_alive()):
                self._asking = threading.Thread(target=self._ask, name="auth-check", daemon=True)
                self._asking.start()
            asking = self._asking
        if not fresh and asking is not None:
            asking.join(PATIENCE)
        return self._problem

    def _ask(self) -> None:
        try:
            self._problem = self._check()
        except Exception as error:
            log.exception("check_failed")
            self._problem = f"could not be asked: {type(error).__name__}"
        self._answered_at = self._clock.now()
