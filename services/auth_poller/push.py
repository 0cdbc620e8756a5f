"""One request from where it stands to its end, on a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeVar

from common import failpoints
from common.clock import Clock
from common.errors import Temporary
from common.logs import get_logger
from common.messages import AuthResult
from common.retry import Backoff
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.auth_poller import polling, requests
from services.auth_poller.port import Authenticator, AuthTemporary, Request, Settled, Started, State

log = get_logger(__name__)
T = TypeVar("T")

_RECORD_AWAY = Backoff(first=0.1, longest=1.0)
"""Short, because what waits here is known to nobody else."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all pushes of a process share."""

    authenticator: Authenticator
    transactions: Transactions
    clock: Clock
    instance: str
    stopping: threading.Event
    starting: threading.Semaphore
    """Bounds how many calls that start something are made at once; long polls are not counted."""
    asking: Callable[[str], AbstractContextManager[None]]
    """Held from before a push may be started until its transaction is stored: the process should not end in there."""


class Push:
    """Carries one request. `run` ends when it is settled, when chat settles it, or when the process stops."""

    def __init__(self, request: Request, around: Surroundings) -> None:
        self._request = request
        self._around = around
        self._log = log.bind(request_id=request.request_id)

    def run(self) -> None:
        """Go on with the request; a bug settles it too, so that nobody waits for it."""
        try:
            self._carry()
        except Exception:  # noqa: BLE001 - a bug: its fate is named below
            self._log.exception("push_broke")
            self._settle(Settled(AuthResult.UNAVAILABLE, "internal error"))

    def _carry(self) -> None:
        if self._request.state is State.ASKING:
            self._after_interruption()
        if self._request.state is State.NEW:
            self._ask()
        if self._request.state is State.ASKED:
            self._settle(self._await_answer())

    def _after_interruption(self) -> None:
        """A process was killed between its call and our note of the answer: end it, unless it lives and noted it."""
        if not self._settle(polling.INTERRUPTED, only_from=State.ASKING):
            self._reload()

    # --- asking -------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        around, request = self._around, self._request
        prepared = self._insist(lambda: around.authenticator.prepare(request))
        if prepared is None or isinstance(prepared, Settled):
            self._settle(prepared)
            return
        with around.asking(request.request_id):
            if around.stopping.is_set():
                return  # the process waits for those that are past this line, and may be gone before the others
            if not self._record(lambda work: requests.begin_asking(work, request.request_id, around.instance)):
                return
            failpoints.reached("before-push")
            started = self._insist(lambda: around.authenticator.start(request, prepared))
            failpoints.reached("after-push")
            if started is None:
                self._record(lambda work: requests.not_asked(work, request.request_id, around.instance))
            elif isinstance(started, Started):
                self._keep(started)
            else:
                self._settle(started)

    def _keep(self, started: Started) -> None:
        """Store the transaction, however long the record is away: a push is out, and only this process knows of it."""
        expires_at = max(self._request.expires_at, self._around.clock.now() + started.open_for)
        self._request = replace(self._request, expires_at=expires_at)
        if not self._record(lambda work: requests.store_started(work, self._request, started)):
            self._reload()
            return
        self._log.info("push_started", verified=started.code is not None)
        if not started.approve_in_chat:
            self._request = replace(self._request, state=State.ASKED, transaction=started.transaction)

    def _insist(self, call: Callable[[], T]) -> T | Settled | None:
        """Call until it works or the request's time is up; None: the process stops."""
        failures: list[AuthTemporary] = []
        while True:
            try:
                with self._around.starting:  # the wait for it may be long: what is looked at afterwards counts
                    if self._around.stopping.is_set():
                        return None
                    over = polling.before_asking(
                        self._request.expires_at, self._around.clock.now(), failures[-1] if failures else None
                    )
                    return over or call()
            except AuthTemporary as failure:
                failures.append(failure)
                self._log.warning("second_factor_failed", cause=str(failure), attempt=len(failures))
                if lost := polling.after_asking(failure):
                    return lost
            self._around.stopping.wait(polling.pause_after_failure(len(failures)))

    # --- waiting ------------------------------------------------------------------------------------------------

    def _await_answer(self) -> Settled | None:
        """Poll until the person has answered or time is up; None: the process stops, another one goes on."""
        request, clock = self._request, self._around.clock
        assert request.transaction is not None
        failures = quick = 0
        while not self._around.stopping.is_set():
            failure: AuthTemporary | None = None
            began = time.monotonic()
            try:
                most = polling.seconds_to_poll(request.expires_at, clock.now())
                settled = self._around.authenticator.poll(request.transaction, most)
            except AuthTemporary as error:
                settled, failure = None, error
                self._log.warning("poll_failed", cause=str(error), attempt=failures + 1)
            settled = settled or polling.after_poll(request.expires_at, clock.now(), failure)
            if settled:
                failpoints.reached("after-answer")
                return settled
            failures = failures + 1 if failure else 0
            quick = quick + 1 if time.monotonic() - began < polling.QUICK else 0
            pause = polling.pause_after_failure(failures) if failures else polling.pause_after_poll(quick)
            self._around.stopping.wait(pause)
        return None

    # --- the record ---------------------------------------------------------------------------------------------

    def _settle(self, settled: Settled | None, only_from: State | None = None) -> bool:
        if settled is None:
            return True
        done = self._record(lambda work: requests.settle(work, self._request, settled, only_from=only_from))
        if done:
            self._log.info("push_settled", result=settled.result.value, detail=settled.detail)
            self._request = replace(self._request, state=State.SETTLED)
        return done

    def _reload(self) -> None:
        """Take the request as the record has it: another process was faster."""
        found = self._record(lambda work: requests.load(work, self._request.request_id))
        self._request = found or replace(self._request, state=State.SETTLED)

    def _record(self, action: Callable[[UnitOfWork], T]) -> T:
        """Run a transaction until it succeeds; gives up only with the process itself."""
        attempt = 0
        while True:
            try:
                return self._around.transactions.run(action)
            except Temporary as error:
                pause = _RECORD_AWAY.pause(attempt)
                attempt += 1
                self._log.warning("record_away", cause=str(error), attempt=attempt)
                time.sleep(pause)
