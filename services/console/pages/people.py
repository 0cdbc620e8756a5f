"""People: the directory, who is not asked and why, where the conversation with them stands, and how they answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select
from starlette.responses import Response

from common.errors import ChangeRefused
from common.messages import AllowPushes
from common.records.changes import Silence, add_blacklist, add_ignored, lift
from common.records.queries import list_people, list_silences
from common.records.tables import AlertRow, BlacklistRow, ConversationRow, HistoryRow, IgnoredRow, PersonRow
from common.unit_of_work import UnitOfWork
from services.console.access import Role
from services.console.counting import shares
from services.console.desk import Desk
from services.console.finding import Record, find
from services.console.searches import AlertSearch
from services.console.web import Page, Visit

SHOWN = 100
STORY = 30
DAY = timedelta(days=1)
TABLES: dict[str, type[IgnoredRow | BlacklistRow]] = {"ignored": IgnoredRow, "blacklist": BlacklistRow}


def show(desk: Desk, visit: Visit) -> Response:
    """Show the directory, and everybody and everything that is not asked."""
    text = visit.request.query_params.get("text", "").strip()[:200]
    ended = visit.request.query_params.get("ended") == "yes"

    def read(connection: Connection) -> dict[str, Any]:
        now = desk.now()
        return {
            "people": list_people(connection, text or None, inactive=True, limit=SHOWN),
            "blacklist": list_silences(connection, BlacklistRow, now, ended=ended, limit=SHOWN),
            "ignored": list_silences(connection, IgnoredRow, now, ended=ended, limit=SHOWN),
        }

    return desk.page("people.html", visit.request, visit.who, text=text, ended=ended, **desk.read(read))


def person(desk: Desk, visit: Visit) -> Response:
    """Show one person."""
    chat_id = visit.path("chat_id")

    def read(connection: Connection) -> dict[str, Any]:
        row = connection.execute(select(PersonRow.__table__).where(PersonRow.chat_id == chat_id)).mappings().first()
        if row is None:
            raise ChangeRefused("nobody in the directory has that chat id")
        return {"person": dict(row), **_of(connection, chat_id, desk.now())}

    return desk.page("person.html", visit.request, visit.who, **desk.read(read))


def _of(connection: Connection, chat_id: str, now: datetime) -> dict[str, Any]:
    state = connection.scalar(select(ConversationRow.state).where(ConversationRow.person_id == chat_id)) or {}
    answered = connection.execute(
        select(AlertRow.resolution, func.count())
        .where(AlertRow.person_id == chat_id, AlertRow.resolution.is_not(None))
        .group_by(AlertRow.resolution)
    ).all()
    story = connection.execute(
        select(HistoryRow.__table__).where(HistoryRow.person_id == chat_id).order_by(HistoryRow.id.desc()).limit(STORY)
    ).mappings()
    record = shares(("", resolution or "", count) for resolution, count in answered)
    return {
        "talk": state,
        "record": record[0] if record else None,
        "resolutions": sorted(((resolution, count) for resolution, count in answered), key=lambda pair: -pair[1]),
        "history": [dict(row) for row in story],
        "alerts": find(connection, AlertSearch(owner=chat_id, limit=15), None).alerts,
        "blacklist": _silences(connection, BlacklistRow, chat_id),
        "ignored": _silences(connection, IgnoredRow, chat_id),
        "later": now + timedelta(days=7),
    }


def _silences(connection: Connection, table: type[IgnoredRow | BlacklistRow], chat_id: str) -> list[Record]:
    query = select(table.__table__).where(table.person_id == chat_id).order_by(table.id.desc()).limit(STORY)
    return [dict(row) for row in connection.execute(query).mappings()]


def add(desk: Desk, visit: Visit) -> Response:
    """Put somebody on the blacklist, or a title of theirs among what is ignored."""
    silence = Silence(_end(desk, visit), visit.text("reason"), visit.who.actor)
    handle, title = visit.text("person").strip(), visit.text("title").strip()

    def change(work: UnitOfWork) -> Record:
        if visit.path("table") == "ignored":
            return add_ignored(work, handle, title, silence)
        return add_blacklist(work, handle, silence)

    _table(visit)
    who = desk.change(change)
    what = "about that title" if title else "about anything"
    return visit.back(f"{who['username']} is not asked {what} until {silence.until:%Y-%m-%d}.")


def lift_entry(desk: Desk, visit: Visit) -> Response:
    """End an entry now."""
    table = _table(visit)
    desk.change(lambda work: lift(work, table, int(visit.path("number")), visit.who.actor))
    return visit.back("Lifted: the next alert is asked again.")


def allow_pushes(desk: Desk, visit: Visit) -> Response:
    """Let pushes go to somebody again who has marked one as fraudulent."""
    chat_id = visit.path("chat_id")
    desk.change(
        lambda work: work.emit(AllowPushes(person_id=chat_id, analyst=visit.who.actor), owner=chat_id, about=chat_id)
    )
    return visit.back("Pushes may go to them again.")


def _table(visit: Visit) -> type[IgnoredRow | BlacklistRow]:
    table = TABLES.get(visit.path("table"))
    if table is None:
        raise ChangeRefused("there is ignored and blacklist")
    return table


def _end(desk: Desk, visit: Visit) -> datetime:
    """Return the end: a number of days, or the end of a day."""
    value = visit.text("until").strip()
    try:
        if value.isdecimal() and len(value) < 5:  # noqa: PLR2004 - more digits than any allowed number of days has
            return desk.now() + DAY * int(value)
        return datetime.fromisoformat(value).replace(tzinfo=UTC) + DAY
    except (ValueError, OverflowError):
        raise ChangeRefused("say when it ends: a day such as 2026-03-03, or a number of days") from None


PAGES = (
    Page("/people", show),
    Page("/people/{chat_id}", person),
    Page("/people/{chat_id}/allow-pushes", allow_pushes, Role.ANALYST, "POST"),
    Page("/silences/{table}", add, Role.ANALYST, "POST"),
    Page("/silences/{table}/{number:row}/lift", lift_entry, Role.ANALYST, "POST"),
)
