"""How far something that follows the record has come; held locked while it works, so that two consoles take turns."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from common.errors import DatabaseUnavailable
from common.records.console_tables import ProgressRow
from common.unit_of_work import UnitOfWork

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Progress:
    """Locks the row of `name` until the transaction ends."""

    def __init__(self, work: UnitOfWork, name: str) -> None:
        self._work = work
        self._name = name
        row = work.connection.execute(
            select(ProgressRow.at, ProgressRow.position).where(ProgressRow.name == name).with_for_update()
        ).first()
        if row is None:
            try:
                work.connection.execute(insert(ProgressRow), [{"name": name, "at": BEGINNING, "position": 0}])
            except IntegrityError:
                raise DatabaseUnavailable("another console began at the same moment") from None
        self.at: datetime = row.at if row else BEGINNING
        self.position: int = row.position if row else 0

    def move(self, position: int, at: datetime) -> None:
        """Say how far it is now."""
        self._work.connection.execute(
            update(ProgressRow).where(ProgressRow.name == self._name).values(position=position, at=at)
        )

    @staticmethod
    def read(connection: Connection, name: str) -> int:
        """Return the position without locking."""
        return connection.scalar(select(ProgressRow.position).where(ProgressRow.name == name)) or 0
