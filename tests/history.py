"""A history for tests: written and sealed as the services do it, and held against its seals as the command does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, text

from common.history_chain import SealKey
from common.records.history_verification import Verification
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.cli.session import OutboxOnly
from services.dispatcher.sealing import SETTLED_AFTER, Sealing
from tests.fakes.clock import FakeClock


class History:
    """The history of a record."""

    START = FakeClock().now()

    def __init__(self, engine: Engine, clock: FakeClock | None = None) -> None:
        self.engine = engine
        self.clock = clock or FakeClock()
        self._transactions = Transactions(engine, OutboxOnly(), self.clock, "test")

    def write(self, rows: int, action: str = "handled", **detail: Any) -> None:
        """Add rows in one transaction."""

        def note(work: UnitOfWork) -> None:
            for number in range(rows):
                work.note(action, alert="a" * 64, person="U1", number=number, **detail)

        self._transactions.run(note)

    def run(self, action: Callable[[UnitOfWork], object]) -> None:
        """Do something in a transaction of its own."""
        self._transactions.run(action)

    def tick(self, sealing: Sealing) -> None:
        """Let a dispatcher do its periodic work once."""
        self.run(sealing.seal)

    def seal(self, *keys: SealKey, times: int = 4) -> None:
        """Let a dispatcher run for some minutes."""
        sealing = Sealing(keys)
        for _ in range(times):
            self.tick(sealing)
            self.clock.advance(SETTLED_AFTER)

    def verify(self, *keys: SealKey, kept: dict[int, str] | None = None) -> Verification:
        """Hold it against its seals."""
        verification = Verification(keys, dict(kept or {}))
        for _ in verification.run(self.read):
            pass
        return verification

    def read(self, question: Callable[[Connection], Any]) -> Any:
        """Put a question to the record."""
        with self.engine.connect() as connection:
            return question(connection)

    def tamper(self, statement: str, **values: Any) -> None:
        """Do what somebody can do who may write to the database; it must change something."""
        with self.engine.begin() as connection:
            assert connection.execute(text(statement), values).rowcount > 0, statement
