"""Calls the chat system, on threads of its own, and writes down how each call ended.

Exactly one visible message for a `SendChatMessage`: the row exists before the call, and wherever it is not certain
that nothing was posted (a lost answer, a row of a process that died), the chat is searched before it posts again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from common import metrics
from common.clock import Clock
from common.errors import Temporary
from common.logs import get_logger
from common.retry import Backoff
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.chat_gateway.calls import Calls, TargetMissing
from services.chat_gateway.deliveries import Deliveries
from services.chat_gateway.directory import store
from services.chat_gateway.jobs import Job, Outcome
from services.chat_gateway.port import (
    ChatContentRefused,
    ChatRateLimited,
    ChatRefused,
    ChatUnavailable,
    ChatUncertain,
    ChatUnreachable,
)
from services.chat_gateway.schedule import Schedule, Turn

log = get_logger(__name__)

THREADS = 16
PATIENCE = {"person": 600.0, "channel": 86_400.0, "look_up": 600.0}
"""Seconds for which a chat system that is away is tried: a person's alert is better escalated after that, a report to
the team is worth a day."""
SLOWER = 10
"""How much longer the pauses grow where somebody has to put something right first."""
TARGET_SECONDS = 5.0
"""How long an update waits for the message it belongs to."""
COMPLETE_MOST = 250
LEASE_MARGIN = timedelta(seconds=2)
LEASE_PAUSE = 0.5
STOP_SECONDS = 6.0
"""For calls in flight; one that takes longer is found by who takes the row over."""


class Deliverer:
    """A pool of threads that call, and one (`run`) that writes the outcomes in groups."""

    name = "chat-deliverer"

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        calls: Calls,
        schedule: Schedule,
        deliveries: Deliveries,
        transactions: Transactions,
        clock: Clock,
        *,
        threads: int = THREADS,
        backoff: Backoff | None = None,
        patience: Mapping[str, float] = PATIENCE,
    ) -> None:
        self._calls = calls
        self._schedule = schedule
        self._deliveries = deliveries
        self._transactions = transactions
        self._clock = clock
        self._backoff = backoff or Backoff(first=1.0, longest=30.0)
        self._slow_backoff = Backoff(self._backoff.first, SLOWER * self._backoff.longest)
        self._patience = patience
        self._outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._lease_until: datetime | None = None
        self._threads = [
            threading.Thread(target=self._work, name=f"{self.name}-{number}", daemon=True) for number in range(threads)
        ]

    # --- the claim ------------------------------------------------------------------------------------------------

    def claimed(self, until: datetime) -> None:
        """Learn that the first rows are ours until then; later ones hold longer, and `renewed` tells of all."""
        if self._lease_until is None:
            self._lease_until = until

    def renewed(self, until: datetime) -> None:
        """Learn that all rows are ours until then. After a lapse, what waited is left to who takes it over."""
        if self._lease_until is not None and self._lease_until < self._clock.now():
            dropped = self._schedule.clear()
            log.warning("claims_lapsed", messages=len(dropped))
        self._lease_until = until

    def _holds(self) -> bool:
        return self._lease_until is not None and self._clock.now() < self._lease_until - LEASE_MARGIN

    # --- calling --------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (turn := self._schedule.take()) is not None:
            if not self._holds():
                self._schedule.again(turn, LEASE_PAUSE)
                continue
            self._attempt(turn)

    def _attempt(self, turn: Turn) -> None:
        job = turn.job
        method = job.calls
        try:
            outcome = self._calls.make(job)
        except ChatRateLimited as error:
            metrics.CHAT_WAITS.labels(method).inc()
            log.warning("chat_rate_limited", method=method, seconds=error.retry_after)
            self._schedule.block(method, error.retry_after)
            self._schedule.again(turn, 0.0)
        except ChatRefused as error:
            self._refused(turn, error)
        except TargetMissing as error:
            self._retry(turn, error, TARGET_SECONDS, "the message to update is not known")
        except (ChatUncertain, ChatUnavailable, Temporary) as error:
            if isinstance(error, ChatUncertain):
                job.find_first = True
                job.settles_at = self._clock.now() + timedelta(seconds=error.settles_in)
            self._retry(turn, error, self._patience[job.recipient_kind], "unavailable")
        except Exception as error:
            # a bug: tried again like a lost answer, then reported as undeliverable
            log.exception("chat_call_failed", method=method, message_id=job.message_id)
            job.find_first = True
            self._retry(turn, error, self._patience[job.recipient_kind], "internal error")
        else:
            if outcome is None:
                self._schedule.again(turn, 0.0)
            else:
                self._finish(turn, outcome)

    def _refused(self, turn: Turn, error: ChatRefused) -> None:
        """Give up, at a report to the team only after all that may help: nobody is told of it in another way."""
        job = turn.job
        report = job.recipient_kind == "channel"
        if report and isinstance(error, ChatUnreachable):
            self._retry(turn, error, self._patience["channel"], error.reason)
        elif report and isinstance(error, ChatContentRefused) and job.make_plain():
            log.error("report_made_plain", channel=job.lane, message_id=job.message_id, reason=error.reason)
            self._schedule.again(turn, 0.0)
        else:
            self._finish(turn, Outcome(job, self._clock.now(), error=error.reason))

    def _retry(self, turn: Turn, error: Exception, patience: float, reason: str) -> None:
        if self._schedule.age(turn) > patience:
            self._finish(turn, Outcome(turn.job, self._clock.now(), error=reason))
            return
        to_repair = isinstance(error, ChatUnreachable)
        pause = (self._slow_backoff if to_repair else self._backoff).pause(turn.job.attempts)
        if isinstance(error, ChatUncertain):
            pause = max(pause, error.settles_in)
        turn.job.attempts += 1
        metrics.CHAT_RETRIES.labels(turn.job.calls).inc()
        if to_repair:
            self._tell_of_report(turn.job, reason, again_in=round(pause, 2))
        else:
            log.warning(
                "chat_call_again", method=turn.job.calls, message_id=turn.job.message_id, cause=str(error),
                seconds=round(pause, 2), attempt=turn.job.attempts,
            )  # fmt: skip
        self._schedule.again(turn, pause)

    def _tell_of_report(self, job: Job, reason: str, again_in: float | None = None) -> None:
        log.error(
            "report_undeliverable", channel=job.lane, message_id=job.message_id, reason=reason, again_in=again_in,
            hint="is the bot a member of the channel, and is its id right? The report is in the history",
        )  # fmt: skip

    def _finish(self, turn: Turn, outcome: Outcome) -> None:
        metrics.CHAT_CALLS.labels(turn.job.kind, "failed" if outcome.error else "done").inc()
        if outcome.error and turn.job.recipient_kind == "channel":
            self._tell_of_report(turn.job, outcome.error)
        elif outcome.error:
            log.warning("chat_message_undeliverable", message_id=turn.job.message_id, reason=outcome.error)
        self._outcomes.put(outcome)
        self._schedule.done(turn, success=outcome.error is None)

    # --- writing down ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Call and write down until `stop`; then let other processes go on with what is left."""
        for thread in self._threads:
            thread.start()
        while not self._stopping.is_set():
            self._write_down(self._group())
        for thread in self._threads:
            thread.join(STOP_SECONDS / len(self._threads))
        self._leave()

    def stop(self) -> None:
        """Ask `run` to return soon (thread-safe)."""
        self._stopping.set()
        self._schedule.stop()
        self._outcomes.put(None)

    def _group(self) -> list[Outcome]:
        """Return the next outcome with all others that are there."""
        group: list[Outcome] = []
        item = self._outcomes.get()
        while True:
            if item is not None:
                group.append(item)
            if len(group) == COMPLETE_MOST or self._outcomes.empty():
                return group
            item = self._outcomes.get()

    def _write_down(self, group: Sequence[Outcome]) -> None:
        attempt = 0
        while group:
            try:
                self._transactions.run(lambda work: self._complete(work, group))
            except Temporary as error:
                pause = self._backoff.pause(attempt)
                attempt += 1
                log.warning("waiting", service=self.name, cause=str(error), seconds=round(pause, 2), attempt=attempt)
                if self._stopping.wait(pause) and attempt > 1:
                    return
            else:
                return

    def _complete(self, work: UnitOfWork, group: Sequence[Outcome]) -> None:
        store(work, [outcome.person for outcome in group if outcome.person])
        self._deliveries.complete(work, group)

    def _leave(self) -> None:
        while not self._outcomes.empty():
            self._write_down(self._group())
        waiting = self._schedule.clear()
        try:
            self._transactions.run(lambda work: self._deliveries.release(work, waiting))
        except Temporary as error:
            log.warning("claims_not_released", cause=str(error))
