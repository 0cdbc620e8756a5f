"""Carries the pushes in flight: a small thread each, which spends its life waiting for the second factor's answer."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from common.errors import Temporary
from common.logs import get_logger
from common.service import Runtime
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.auth_poller import requests
from services.auth_poller.port import Authenticator, Request
from services.auth_poller.push import Push, Surroundings

log = get_logger(__name__)

MOST = 600
"""Pushes in flight in this process; what is beyond stays in the record until somebody has room."""
STARTS_AT_ONCE = 32
LOOK_EVERY = 2.0
STOP_SECONDS = 7.0
"""For pushes whose start was begun; a process has 9 to stop."""


class Poller:
    """Holds the claims of this process's requests, and takes over what another process left behind."""

    name = "auth-poller-pushes"

    def __init__(
        self,
        authenticator: Authenticator,
        transactions: Transactions,
        runtime: Runtime,
        most: int = MOST,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self._transactions = transactions
        self._instance = runtime.instance
        self._most = most
        self._look_every = look_every
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._held: set[str] = set()
        self._asking: set[str] = set()
        self._around = Surroundings(
            authenticator,
            transactions,
            runtime.clock,
            runtime.instance,
            self._stopping,
            threading.Semaphore(STARTS_AT_ONCE),
            self._while_asking,
        )

    def run(self) -> None:
        """Renew claims and take over lapsed ones until `stop`; then let go, so that another process goes on at once."""
        while not self._stopping.is_set():
            try:
                self.look()
            except Temporary as error:
                log.warning("cannot_renew_claims", cause=str(error))
            self._stopping.wait(self._look_every)
        self._let_go()

    def stop(self) -> None:
        """Ask `run` to return soon (thread-safe)."""
        self._stopping.set()

    def offer(self, found: Iterable[Request]) -> None:
        """Carry requests that this process has claimed. What there is no room for is found again when its claim lapses.

        Never blocks or raises: the worker calls it between its commit and its acknowledgement.
        """
        for request in found:
            self._carry(request)

    def look(self) -> None:
        """Renew the claims that are held, and take over as many lapsed ones as there is room for."""
        with self._changed:
            held = set(self._held)

        def renew_and_take_over(work: UnitOfWork) -> list[Request]:
            requests.renew(work, held, self._instance)
            room = self._most - len(held)
            return requests.take_over(work, room, self._instance) if room > 0 else []

        taken = self._transactions.run(renew_and_take_over)
        if taken:
            log.info("requests_taken_over", count=len(taken))
        self.offer(taken)

    def in_flight(self) -> int:
        """Return how many requests this process carries."""
        with self._changed:
            return len(self._held)

    def _carry(self, request: Request) -> None:
        with self._changed:
            if request.request_id in self._held or len(self._held) >= self._most or self._stopping.is_set():
                return
            self._held.add(request.request_id)
        thread = threading.Thread(target=self._thread, args=(request,), name="push", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            log.exception("no_thread_for_a_push", request_id=request.request_id)
            self._drop(request)

    def _thread(self, request: Request) -> None:
        try:
            Push(request, self._around).run()
        finally:
            self._drop(request)

    def _drop(self, request: Request) -> None:
        with self._changed:
            if not self._stopping.is_set():
                self._held.discard(request.request_id)

    @contextmanager
    def _while_asking(self, request_id: str) -> Iterator[None]:
        with self._changed:
            self._asking.add(request_id)
        try:
            yield
        finally:
            with self._changed:
                self._asking.discard(request_id)
                self._changed.notify_all()

    def _let_go(self) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: not self._asking, STOP_SECONDS):
                log.warning("stopped_while_asking", count=len(self._asking))
            held = set(self._held)
        if not held:
            return
        try:
            self._transactions.run(lambda work: requests.let_go(work, held, self._instance))
        except Temporary as error:
            log.warning("claims_kept", cause=str(error))
