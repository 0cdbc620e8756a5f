"""Keeps the counts and the index of words up to date, a little behind the record."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from common.errors import Temporary
from common.logs import get_logger
from common.retry import Backoff
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork

log = get_logger(__name__)

REST = 5.0
BREATH = 0.05
"""Between two batches of a backlog: others want the database too."""

Job = Callable[[UnitOfWork], int]
"""Does some of the work in a transaction of its own; returns how much, 0 when there is nothing left."""


class Clerk:
    """Runs its jobs on a thread of its own."""

    name = "console-clerk"

    def __init__(self, transactions: Transactions, jobs: Sequence[Job]) -> None:
        self._transactions = transactions
        self._jobs = jobs
        self._stopping = threading.Event()

    def run(self) -> None:
        """Work off what there is, rest, look again."""
        backoff, attempt = Backoff(), 0
        while not self._stopping.is_set():
            try:
                busy = self.work()
            except Temporary as error:
                pause = backoff.pause(attempt)
                attempt += 1
                log.warning("clerk_waits", cause=str(error), seconds=round(pause, 2))
                self._stopping.wait(pause)
            else:
                attempt = 0
                self._stopping.wait(BREATH if busy else REST)

    def work(self) -> bool:
        """Do one batch of each job. Tells whether there was any."""
        done = [self._transactions.run(job) for job in self._jobs]
        return any(done)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()
