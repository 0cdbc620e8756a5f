"""Seals the history, some rows at a time, behind those who write it. Nothing is asked of them.

A seal says of a range of ids which rows it holds, so none may come into that range later. Ids are given out before
their transactions commit, in any order; hence a range is sealed only when
- its ids were given out a minute ago: no INSERT takes that long whose client still waits for it (`STATEMENT_SECONDS`);
- and nothing in it is uncommitted, however long a transaction stalls: a dirty read shows such rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from common import metrics
from common.history_chain import NO_KEY, Seal, SealKey, count, make_seal
from common.logs import get_logger
from common.records.console_tables import ProgressRow
from common.records.database import STATEMENT_SECONDS
from common.records.history import add_seal, last_seal, moment, read_entries
from common.records.tables import HistoryRow
from common.unit_of_work import UnitOfWork
from common.worker import Tick

log = get_logger(__name__)

EVERY = 1.0
MOST = 250
"""Rows of a seal: some 8 ms of work, once a second at the most, and 10 KB. That is 3 million alerts a day; a storm's
backlog is worked off behind it."""
SETTLED_AFTER = timedelta(seconds=2 * STATEMENT_SECONDS)
LOOK_EVERY = timedelta(seconds=5)
TOLD_AFTER = timedelta(minutes=10)
NAME = "history_seals"
_NOTED = select(ProgressRow.at, ProgressRow.position).where(ProgressRow.name == NAME)
_NOTE = update(ProgressRow).where(ProgressRow.name == NAME)
_FIRST_NOTE = insert(ProgressRow).values(name=NAME)


class Sealing:
    """The periodic work. One process at a time: who holds the progress row, which notes what ids were out when."""

    def __init__(self, keys: Sequence[SealKey] = ()) -> None:
        self._keys = keys
        self._next = datetime.min.replace(tzinfo=UTC)
        """Before this there is nothing to do."""

    def ticks(self) -> tuple[Tick, ...]:
        """Return what the worker runs periodically."""
        return (Tick("seal_history", EVERY, self.seal),)

    def seal(self, work: UnitOfWork) -> None:
        """Seal the next rows that are settled, if there are any."""
        if work.now < self._next:
            return
        self._next = work.now + LOOK_EVERY
        noted = work.connection.execute(_NOTED.with_for_update(skip_locked=True)).first()
        if noted is None and work.connection.execute(_NOTED).first() is not None:
            return  # another process is at it
        last = last_seal(work.connection)
        if last is not None and not self._may_follow(last):
            return
        done = last.through if last else 0
        through = noted.position if noted else 0
        if noted is not None and through > done:
            if work.now >= noted.at + SETTLED_AFTER or _has_one_writer(work.connection):
                self._seal(work, last, through)
        elif (through := _highest(work.connection)) > done:
            statement = _FIRST_NOTE if noted is None else _NOTE
            work.connection.execute(statement.values(at=work.now, position=through))
            if _has_one_writer(work.connection):
                self._seal(work, last, through)

    def _seal(self, work: UnitOfWork, last: Seal | None, through: int) -> None:
        after = last.through if last else None
        there = _uncommitted_too(work.connection, after, through)
        entries = read_entries(work.connection, after, through, MOST)
        committed = {entry.id for entry in entries}
        waits_for = next((row for row in there if row.id not in committed), None)
        if waits_for is not None:
            entries = [entry for entry in entries if entry.id < waits_for.id]
            _tell_of(waits_for, work.now)
        if len(entries) == MOST or waits_for is not None:
            if not entries:
                return
            through = entries[-1].id
        key = self._keys[0] if self._keys else None
        seal = make_seal(last, entries, through, moment(work.now.replace(tzinfo=None)), key)
        add_seal(work.connection, seal)
        work.after_commit(lambda: _log(seal, last))
        self._next = work.now

    def _may_follow(self, last: Seal) -> bool:
        """Tell whether this process knows the key of the newest seal; it would make a chain that nobody believes."""
        if last.key_id == NO_KEY or last.key_id in {key.id for key in self._keys}:
            return True
        log.error("history_not_sealed", seal=last.number, key=last.key_id,
                  hint="SECURITYBOT_HISTORY_KEY has to hold this key; a new one stands before it")  # fmt: skip
        return False


def _highest(connection: Connection) -> int:
    return connection.scalar(select(func.max(HistoryRow.id))) or 0


def _has_one_writer(connection: Connection) -> bool:
    """SQLite: this transaction has the write lock, so everything that has an id is committed."""
    return connection.dialect.name == "sqlite"


def _uncommitted_too(connection: Connection, after: int | None, through: int) -> list[Row[Any]]:
    """Return what an insert has put into the range, be it committed or not."""
    if _has_one_writer(connection):
        return []
    dirty = connection.engine.execution_options(isolation_level="READ UNCOMMITTED")
    query = select(HistoryRow.id, HistoryRow.at).where(HistoryRow.id > (after or 0), HistoryRow.id <= through)
    with dirty.connect() as other:
        return list(other.execute(query.order_by(HistoryRow.id).limit(MOST)))


def _tell_of(row: Row[Any], now: datetime) -> None:
    """A transaction that does not end keeps everything after it from being sealed."""
    if row.at < now - TOLD_AFTER:
        log.warning("history_sealing_waits", row=row.id, since=row.at.isoformat(),
                    hint="a transaction has been open since then: end its connection")  # fmt: skip


def _log(seal: Seal, last: Seal | None) -> None:
    """A log that is kept elsewhere holds the chain's hashes: `securitybot history verify --seal` takes them."""
    if last is not None and last.key_id == NO_KEY and seal.key_id != NO_KEY:
        log.warning("history_key_adopted", seal=seal.number, key=seal.key_id, hash=seal.hash)
    metrics.HISTORY_SEALED.inc(count(seal))
    log.info("history_sealed", seal=seal.number, rows=count(seal), hash=seal.hash)
