"""Keeps `people` as the chat system's directory has it: at start, every hour, and as changes are told."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from common.clock import Clock
from common.errors import Temporary
from common.logs import get_logger
from common.records.bulk import Upsert
from common.records.tables import PersonRow
from common.retry import Backoff
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.chat_gateway.port import Chat, ChatFailure, ChatRateLimited, ChatUnavailable, Person

log = get_logger(__name__)

REFRESH_EVERY = 3600.0
READ_LATELY = timedelta(seconds=10)
"""A look-up by user name needs the whole directory read; many of them in a row have it read once."""
CHUNK = 500
_FIELDS = ("username", "email", "display_name", "time_zone", "locale", "active")


class Directory:
    """Refreshes the table on a thread of its own, and answers look-ups on the deliverer's."""

    name = "chat-directory"

    def __init__(self, chat: Chat, transactions: Transactions, clock: Clock, backoff: Backoff | None = None) -> None:
        self._chat = chat
        self._transactions = transactions
        self._clock = clock
        self._backoff = backoff or Backoff(first=1.0, longest=60.0)
        self._stopping = threading.Event()
        self._reading = threading.Lock()
        self._read: tuple[datetime, datetime] | None = None
        """When the last whole read began and ended."""

    def run(self) -> None:
        """Refresh until `stop`."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                self.refresh()
            except (ChatFailure, Temporary) as error:
                pause = error.retry_after if isinstance(error, ChatRateLimited) else self._backoff.pause(attempt)
                attempt += 1
                log.warning("directory_not_refreshed", cause=str(error), seconds=round(pause, 1), attempt=attempt)
                self._stopping.wait(pause)
            else:
                attempt = 0
                self._stopping.wait(REFRESH_EVERY)

    def stop(self) -> None:
        """Ask `run` to return soon."""
        self._stopping.set()

    def check(self) -> str | None:
        """Readiness: the directory was read at least once by this process."""
        return None if self._read else "the directory of people has not been read yet"

    def refresh(self) -> None:
        """Read the whole directory into the table.

        Raises:
            ChatFailure: it cannot be read now.
            DatabaseUnavailable: it cannot be written now.
        """
        with self._reading:
            self._read_all()

    def _read_all(self) -> None:
        began, people = self._clock.now(), iter(self._chat.directory())
        count = 0
        while chunk := list(itertools.islice(people, CHUNK)):
            self._keep(chunk, began)
            count += len(chunk)
        self._read = (began, self._clock.now())
        log.info("directory_refreshed", people=count)

    def _refresh_since(self, asked_at: datetime) -> None:
        """Read the directory unless that began after `asked_at`, or ended a moment ago.

        One thread reads. The others, whom other people's messages wait for, come again.
        """
        if self._is_fresh(asked_at):
            return
        if not self._reading.acquire(blocking=False):
            raise ChatUnavailable("the directory of people is being read")
        try:
            self._read_all()
        finally:
            self._reading.release()

    def _is_fresh(self, asked_at: datetime) -> bool:
        if self._read is None:
            return False
        began, ended = self._read
        return began >= asked_at or self._clock.now() - ended < READ_LATELY

    def keep(self, people: Sequence[Person]) -> None:
        """Write what changed, in transactions of its own.

        Raises:
            DatabaseUnavailable: nothing was written.
        """
        self._keep(people, None)

    def _keep(self, people: Sequence[Person], read_since: datetime | None) -> None:
        self._transactions.run(lambda work: store(work, people, read_since))

    def look_up(self, handle: str, asked_at: datetime) -> Person | None:
        """Return who answers to a chat id, an e-mail address or a user name, asking the chat system.

        Raises:
            ChatFailure: it cannot be asked now, or another thread is reading the directory.
            DatabaseUnavailable: what it said cannot be read or written now.
        """
        handle = handle.removeprefix("@")  # as in `@alice`
        person = self._chat.look_up(handle)
        if person is None and handle and "@" not in handle:
            self._refresh_since(asked_at)
            person = self._transactions.run(lambda work: _by_username(work, handle))
        return person


def store(work: UnitOfWork, people: Iterable[Person], read_since: datetime | None = None) -> None:
    """Insert newcomers and update who changed. Two replicas may look the same newcomer up at once: both are right.

    `read_since`: when the reading that gave `people` began. What was told meanwhile is newer than what was read.
    """
    wanted = {person.chat_id: person for person in people}
    if not wanted:
        return
    rows = work.connection.execute(select(PersonRow.__table__).where(PersonRow.chat_id.in_(wanted.keys()))).all()
    known = {row.chat_id: row for row in rows}
    changed = [
        asdict(person) | {"updated_at": work.now}
        for person in wanted.values()
        if person.chat_id not in known or _outdated(known[person.chat_id], person, read_since)
    ]
    work.write(Upsert(PersonRow, changed))


def _outdated(row: Any, person: Person, read_since: datetime | None) -> bool:
    if read_since is not None and row.updated_at > read_since:
        return False
    return any(getattr(row, field) != getattr(person, field) for field in _FIELDS)


def _by_username(work: UnitOfWork, handle: str) -> Person | None:
    """Return the one active person of that user name; nobody where two share it."""
    rows = work.connection.execute(
        select(PersonRow.__table__).where(PersonRow.username == handle.lower(), PersonRow.active.is_(True)).limit(2)
    ).all()
    if len(rows) != 1:
        return None
    return Person(rows[0].chat_id, *(getattr(rows[0], field) for field in _FIELDS))
