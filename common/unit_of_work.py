"""What a handler works with in one transaction: reads, writes, emits. Only `Transactions.run` commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from common.bus.port import Publication
from common.codec import encode
from common.ids import new_id
from common.messages import Message
from common.outbox import outbox_values
from common.records.base import Base
from common.records.bulk import Insert, Write, write
from common.records.tables import HistoryRow, OutboxRow


class UnitOfWork:
    """What a handler works with: `connection` to read and update, `insert`, `emit` and `note` to add."""

    def __init__(self, connection: Connection, now: datetime, actor: str) -> None:
        self.connection = connection
        self.now = now
        self.actor = actor
        self.hopeful = False
        """Take for new what nearly always is, without a look: where it is not, a unique key refuses it, and the work is
        done again, not hopeful any more. That saves a query of every batch."""
        self.outgoing: list[tuple[str, Publication]] = []
        """Outbox id and publication, in the order in which they were decided."""
        self._rows: dict[type[Base], list[dict[str, Any]]] = {}
        self._writes: list[Write] = []
        self._after_commit: list[Callable[[], None]] = []

    def insert(self, table: type[Base], **values: Any) -> None:
        """Add a row; all rows of a table are written with one statement at the end. What is not given is NULL."""
        self._rows.setdefault(table, []).append(values)

    def write(self, write: Write) -> None:
        """Add rows that are changed or replaced; they go out with the inserts, before them."""
        self._writes.append(write)

    def emit(
        self, message: Message, *, owner: str | None = None, about: str | None = None, message_id: str | None = None
    ) -> str:
        """Send `message` on the internal exchange after the commit.

        Args:
            owner: chat id of the person whose message it is.
            about: the alert's hash or what else the story's log lines share.
            message_id: a derived id, where the same cause must give the same id; otherwise a new one.

        Returns:
            The message's id.
        """
        publication = encode(message, message_id=message_id or new_id(), owner=owner, correlation_id=about)
        self.publish(publication)
        return publication.message_id

    def publish(self, publication: Publication) -> None:
        """Send any publication after the commit."""
        self.outgoing.append((new_id(), publication))

    def note(
        self,
        action: str,
        *,
        alert: str | None = None,
        person: str | None = None,
        actor: str | None = None,
        **detail: Any,
    ) -> None:
        """Add a row to the history: who (`actor`, default this service) did what."""
        self.insert(
            HistoryRow,
            at=self.now,
            actor=actor or self.actor,
            action=action,
            alert_hash=alert,
            person_id=person,
            detail=detail,
        )

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once the transaction is safe and its messages are on their way. It must not raise."""
        self._after_commit.append(action)

    def flush(self) -> None:
        """Write the rows added so far, so that a later query of this transaction sees them."""
        writes, self._writes = self._writes, []
        rows, self._rows = self._rows, {}
        write(self.connection, *writes, *(Insert(table, _same_keys(values)) for table, values in rows.items()))

    def finish(self) -> None:
        """Write everything that is left, the outbox rows last."""
        for row_id, publication in self.outgoing:
            self.insert(OutboxRow, **outbox_values(row_id, publication, self.now))
        self.flush()

    def writes(self) -> bool:
        """Tell whether there is anything that `finish` has to write."""
        return bool(self.outgoing or self._rows or self._writes)

    def committed(self) -> None:
        """Run what waited for the commit."""
        for action in self._after_commit:
            action()


def _same_keys(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give all rows the same keys, as `executemany` needs it."""
    keys = set().union(*rows)
    return [{key: row.get(key) for key in keys} for row in rows]
