"""Live pages: one cheap look at the record a second, shared by every open page, and told as server-sent events."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, func, select

from common.alerts import Status
from common.errors import Temporary
from common.logs import get_logger
from common.records.database import translated_errors
from common.records.tables import AlertRow, ChatDeliveryRow, HistoryRow, QuarantineRow

log = get_logger(__name__)

LOOK_EVERY = 1.0
TELL_EVERY = 0.25
KEEP_ALIVE = 20.0
MOST_COUNTED = 1000
"""The number beside the inbox: beyond this it is "999+" anyway."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What open pages have to know: that something changed, and how many alerts wait."""

    marker: str
    waiting: int

    def event(self) -> str:
        """Return the server-sent event."""
        return f"data: {json.dumps({'marker': self.marker, 'waiting': self.waiting})}\n\n"


def look(connection: Connection) -> Snapshot:
    """Return the record's state: the ends of three indexes, and two short ranges."""
    history = connection.scalar(select(func.max(HistoryRow.id)))
    quarantine = connection.scalar(select(func.max(QuarantineRow.id)))
    delivery = connection.scalar(select(func.max(ChatDeliveryRow.created_at)))
    pending = select(ChatDeliveryRow.message_id).where(ChatDeliveryRow.state == "pending").limit(MOST_COUNTED)
    sending = connection.scalar(select(func.count()).select_from(pending.subquery()))
    waiting = count_waiting(connection)
    return Snapshot(f"{history}/{quarantine}/{delivery}/{sending}/{waiting}", waiting)


def count_waiting(connection: Connection) -> int:
    """Return how many alerts wait for the team, at most `MOST_COUNTED`."""
    waiting = select(AlertRow.id).where(AlertRow.status == Status.VERIFYING.value).limit(MOST_COUNTED)
    return connection.scalar(select(func.count()).select_from(waiting.subquery())) or 0


class Feed:
    """Looks while somebody watches. `run` on a thread of its own, `events` on the HTTP loop."""

    name = "console-feed"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stopping = threading.Event()
        self._watched = threading.Event()
        self._watchers = 0
        self._lock = threading.Lock()
        self.snapshot: Snapshot | None = None

    def run(self) -> None:
        """Look once a second while there are watchers."""
        while not self._stopping.is_set():
            if not self._watched.wait(LOOK_EVERY):
                continue
            try:
                with translated_errors(), self._engine.connect() as connection:
                    self.snapshot = look(connection)
            except Temporary as error:
                log.warning("feed_not_read", cause=str(error))
            self._stopping.wait(LOOK_EVERY)

    def stop(self) -> None:
        """End `run` and every stream."""
        self._stopping.set()
        self._watched.set()

    async def events(self) -> AsyncIterator[str]:
        """Yield an event at once and then at each change; a comment now and then shows that the line is alive."""
        self._watch(1)
        try:
            told: Snapshot | None = None
            silent = 0.0
            while not self._stopping.is_set():
                if self.snapshot is not None and self.snapshot != told:
                    told, silent = self.snapshot, 0.0
                    yield told.event()
                elif silent >= KEEP_ALIVE:
                    silent = 0.0
                    yield ": here\n\n"
                await asyncio.sleep(TELL_EVERY)
                silent += TELL_EVERY
        finally:
            self._watch(-1)

    def _watch(self, more: int) -> None:
        with self._lock:
            if not self._watchers:
                self.snapshot = None  # nobody has looked since the last watcher left
            self._watchers += more
            if self._watchers:
                self._watched.set()
            elif not self._stopping.is_set():
                self._watched.clear()
