"""Reports on their way to the team's channels: at once while a channel keeps up, otherwise several in one message.

A chat system takes one message a second and channel, so a storm's thousand reports would take a quarter of an hour.
While a channel has messages before it that are not posted yet, a report is kept in the record, in the transaction that
caused it; the periodic work takes the most urgent ones, in the transaction that sends them together.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, or_, select

from common.messages import ChatContent, Recipient, SendChatMessage
from common.records.tables import ChatDeliveryRow, ReportRow
from common.unit_of_work import UnitOfWork
from common.worker import Tick
from services.dispatcher.wording import MOST_TOGETHER, Told, Wording

EVERY = 1.0
AHEAD = 3
"""Messages of a channel on their way at once: the burst that it takes, and one more."""
FORGOTTEN_AFTER = timedelta(minutes=5)
"""A message that the gateway has not even noted by then (it is down, or the message is in the quarantine) holds up no
other any more."""
_IS_KEPT = ReportRow.content.is_not(None)
_OF_CHANNEL = select(func.count(), func.count(ReportRow.content)).where(ReportRow.channel == bindparam("channel"))


class Reports:
    """What one unit of work has to tell the channels."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work
        self._room: dict[str, int] = {}

    def tell(self, channel: str, content: ChatContent, about: str | None, urgency: int) -> None:
        """Send it, or keep it until the channel has room."""
        room = self._room.get(channel)
        if room is None:
            rows, kept = self._work.connection.execute(_OF_CHANNEL, {"channel": channel}).one()
            room = 0 if kept else AHEAD - rows
        self._room[channel] = room - 1
        if room > 0:
            _send(self._work, channel, content, about)
            return
        self._work.insert(
            ReportRow, channel=channel, urgency=urgency, content=content.model_dump(exclude_defaults=True),
            about=about, created_at=self._work.now,
        )  # fmt: skip


class Reporting:
    """The periodic work; what is kept is locked while it is sent, so that replicas share it."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording

    def ticks(self) -> tuple[Tick, ...]:
        """Return what the worker runs periodically."""
        return (Tick("reports", EVERY, self.tell_more),)

    def tell_more(self, work: UnitOfWork) -> None:
        """Send one message to each channel that has room, with as many reports as fit."""
        channels = work.connection.scalars(select(ReportRow.channel).distinct()).all()
        if channels:
            _forget_posted(work)
        for channel in channels:
            rows, kept = work.connection.execute(_OF_CHANNEL, {"channel": channel}).one()
            if kept and rows - kept < AHEAD - 1:
                self._tell(work, channel)

    def _tell(self, work: UnitOfWork, channel: str) -> None:
        rows = _most_urgent(work.connection, channel)
        if not rows:
            return  # another process has them
        told = [Told(ChatContent.model_validate(row.content), row.about) for row in rows]
        content, count = self._wording.together(told)
        work.connection.execute(delete(ReportRow).where(ReportRow.id.in_([row.id for row in rows[:count]])))
        _send(work, channel, content, rows[0].about if count == 1 else None)


def _most_urgent(connection: Connection, channel: str) -> list[Row[Any]]:
    query = select(ReportRow.id, ReportRow.content, ReportRow.about).where(ReportRow.channel == channel, _IS_KEPT)
    query = query.order_by(ReportRow.urgency.desc(), ReportRow.id).limit(MOST_TOGETHER)
    return list(connection.execute(query.with_for_update(skip_locked=True)))


def _send(work: UnitOfWork, channel: str, content: ChatContent, about: str | None) -> None:
    """Send it, with a row that counts until it is posted."""
    recipient = Recipient(kind="channel", id=channel)
    message_id = work.emit(SendChatMessage(recipient=recipient, sequence=0, content=content), about=about)
    work.insert(ReportRow, channel=channel, urgency=0, message_id=message_id, created_at=work.now)


def _forget_posted(work: UnitOfWork) -> None:
    forgotten = and_(ChatDeliveryRow.message_id.is_(None), ReportRow.created_at < work.now - FORGOTTEN_AFTER)
    posted = (
        select(ReportRow.id)
        .join(ChatDeliveryRow, ChatDeliveryRow.message_id == ReportRow.message_id, isouter=True)
        .where(ReportRow.message_id.is_not(None), or_(ChatDeliveryRow.state != "pending", forgotten))
        .order_by(ReportRow.id)
    )
    if ids := work.connection.scalars(posted).all():
        work.connection.execute(delete(ReportRow).where(ReportRow.id.in_(ids)))
