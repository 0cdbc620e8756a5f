"""What a command works with: settings and the record, and whose name its changes carry."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from common.bus.port import Consumer, Publication
    from common.settings import Settings
    from common.topology import Topology
    from common.unit_of_work import UnitOfWork

T = TypeVar("T")


def read_settings() -> Settings:
    """Return the settings, with logging set to what has to be seen beside a command's own output: errors."""
    from common.logs import configure_logging
    from common.settings import load_settings

    settings = load_settings()
    configure_logging(settings.log_format, settings.secrets(), level="ERROR")
    return settings


def is_embedded(settings: Settings) -> bool:
    """Tell whether the bus lives within one process only."""
    return urlsplit(settings.amqp_url.get_secret_value()).scheme == "memory"


def actor() -> str:
    """Return who stands in the history beside a change made here: the user of the operating system."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = f"uid {os.getuid()}"
    return f"analyst:{name}"[:255]


@dataclass(frozen=True, slots=True)
class Record:
    """The record, open."""

    engine: Engine

    def now(self) -> datetime:
        """Return the time."""
        from common.clock import SystemClock

        return SystemClock().now()

    def read(self, question: Callable[[Connection], T]) -> T:
        """Return the answer of a query."""
        from common.records.database import translated_errors

        with translated_errors(), self.engine.connect() as connection:
            return question(connection)

    def change(self, action: Callable[[UnitOfWork], T]) -> T:
        """Run `action` in one transaction. What it publishes goes to the outbox, and the services send it."""
        from common.clock import SystemClock
        from common.transactions import Transactions

        return Transactions(self.engine, OutboxOnly(), SystemClock(), actor()).run(action)


@contextmanager
def open_record() -> Iterator[Record]:
    """Yield the record, once it is known to be there with this release's schema.

    Raises:
        DatabaseUnavailable: it is not; the text says what to do.
    """
    from common.errors import DatabaseUnavailable
    from common.records.database import create_database, translated_errors
    from common.records.migrate import schema_problem

    engine = create_database(read_settings().database_url.get_secret_value())
    try:
        with translated_errors(), engine.connect() as connection:
            problem = schema_problem(connection)
        if problem:
            raise DatabaseUnavailable(problem)
        yield Record(engine)
    finally:
        engine.dispose()


class OutboxOnly:
    """A bus that takes nothing: a message stays in the outbox, and a running service sends it within 15 seconds.

    So a change needs no broker where it is made, and is not lost when the broker is away.
    """

    durable = True

    def declare(self, topology: Topology) -> None:
        """Nothing is declared."""

    def publish(self, publications: Sequence[Publication], timeout: float = 0.0) -> frozenset[int]:
        """Refuse all."""
        del timeout
        return frozenset(range(len(publications)))

    def consume(self, queues: Sequence[str], prefetch: int) -> Consumer:
        """Nothing comes from here."""
        raise NotImplementedError

    def connected(self) -> bool:
        """Tell that there is no broker."""
        return False

    def problem(self) -> str | None:
        """Nothing is expected of it."""
        return None

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """There are no queues."""
        return dict.fromkeys(queues, 0)

    def close(self) -> None:
        """Nothing is open."""
