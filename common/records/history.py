"""The history and its seals as they are stored: what was tampered with must still be readable, to be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Connection, RowMapping, Text, func, insert, null, select, type_coerce

from common.history_chain import Entry, Seal
from common.records.tables import HistoryRow, HistorySealRow

T = TypeVar("T")
Read = Callable[[Callable[[Connection], T]], T]
"""Puts a question to the record in a transaction of its own."""

PAGE = 1000
SEALS_PAGE = 20
_RAW = null().type
"""As the driver gives it: a value that no type would take any more is shown as changed, and stops nothing."""
_ENTRY = (
    HistoryRow.id,
    type_coerce(HistoryRow.at, _RAW),
    HistoryRow.actor,
    HistoryRow.action,
    type_coerce(HistoryRow.alert_hash, _RAW),
    HistoryRow.person_id,
    type_coerce(HistoryRow.detail, Text()),
)
_SEAL = (
    HistorySealRow.number,
    HistorySealRow.after_id,
    HistorySealRow.through_id,
    HistorySealRow.digests,
    type_coerce(HistorySealRow.sealed_at, _RAW).label("sealed_at"),
    type_coerce(HistorySealRow.previous_hash, _RAW).label("previous_hash"),
    HistorySealRow.key_id,
    type_coerce(HistorySealRow.hash, _RAW).label("hash"),
)


def moment(value: object) -> str:
    """Return a time without zone, as it is stored, in the spelling that is sealed; what is no time stays as it is."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return str(value)
    return value.isoformat(timespec="microseconds") if isinstance(value, datetime) else str(value)


def read_entries(connection: Connection, after: int | None, through: int, most: int) -> list[Entry]:
    """Return the rows with ids above `after` (None: from the lowest) up to `through`, by id, at most `most`."""
    query = select(*_ENTRY).where(HistoryRow.id <= through).order_by(HistoryRow.id).limit(most)
    rows = connection.execute(query if after is None else query.where(HistoryRow.id > after))
    return [
        Entry(number, moment(at), actor, action, _hex(alert), person, detail)
        for number, at, actor, action, alert, person, detail in rows
    ]


def all_entries(read: Read[list[Entry]], after: int | None, through: int) -> Iterator[Entry]:
    """Yield the rows of a range, however many they are."""
    while True:
        page = read(lambda connection, after=after: read_entries(connection, after, through, PAGE))  # type: ignore[misc]
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].id


def last_seal(connection: Connection) -> Seal | None:
    """Return the newest seal."""
    row = connection.execute(select(*_SEAL).order_by(HistorySealRow.number.desc()).limit(1)).mappings().first()
    return _seal(row) if row else None


def all_seals(read: Read[list[Seal]]) -> Iterator[Seal]:
    """Yield the seals by number."""
    after: int | None = None
    while True:
        page = read(lambda connection, after=after: _seals(connection, after))  # type: ignore[misc]
        yield from page
        if len(page) < SEALS_PAGE:
            return
        after = page[-1].number


def add_seal(connection: Connection, seal: Seal) -> None:
    """Write a new seal."""
    connection.execute(
        insert(HistorySealRow).values(
            number=seal.number,
            after_id=seal.after,
            through_id=seal.through,
            digests=seal.digests,
            sealed_at=datetime.fromisoformat(seal.sealed_at).replace(tzinfo=UTC),
            previous_hash=seal.previous,
            key_id=seal.key_id,
            hash=seal.hash,
        )
    )


def unsealed(connection: Connection, through: int | None) -> tuple[int, datetime | None]:
    """Return how many rows have come after the last sealed one, and when the first of them did."""
    query = select(func.count(), func.min(HistoryRow.at)).select_from(HistoryRow)
    found = connection.execute(query.where(HistoryRow.id > (0 if through is None else through))).one()
    return int(found[0]), found[1]


def _seals(connection: Connection, after: int | None) -> list[Seal]:
    query = select(*_SEAL).order_by(HistorySealRow.number).limit(SEALS_PAGE)
    rows: Sequence[RowMapping] = (
        connection.execute(query if after is None else query.where(HistorySealRow.number > after)).mappings().all()
    )
    return [_seal(row) for row in rows]


def _seal(row: RowMapping) -> Seal:
    return Seal(
        number=row["number"],
        after=row["after_id"],
        through=row["through_id"],
        digests=bytes(row["digests"]),
        sealed_at=moment(row["sealed_at"]),
        previous=_hex(row["previous_hash"]) or "",
        key_id=row["key_id"],
        hash=_hex(row["hash"]) or "",
    )


def _hex(value: object) -> str | None:
    if value is None:
        return None
    return bytes(value).hex() if isinstance(value, bytes | bytearray | memoryview) else str(value)
