"""The local chat in a browser: the visitor's own conversation with the bot, as the person sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from starlette.responses import RedirectResponse, Response

from common.errors import ChangeRefused
from common.local_chat import local_reply
from common.messages import ChatContent
from common.records.tables import ChatDeliveryRow, HistoryRow
from services.console.access import Identity, Role
from services.console.desk import Desk
from services.console.web import Page, Visit

SHOWN = 60
MAX_WORDS = 2000
ANSWERS = {
    "said_yes": "Yes",
    "resolved denied": "No",
    "resolved not_sure": "Not sure",
    "resolved wrong_person": "Wrong person",
    "resolved proof_refused": "No push",
    "push_started": "Send the push",
    "stop": "Stop asking me",
    "ignore": "Ignore that",
    "start": "Ask me again",
}


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message: the bot's as it stands now, or what the record has of the person's answer."""

    message_id: str
    at: datetime
    content: ChatContent
    mine: bool = False


def show(desk: Desk, visit: Visit) -> Response:
    """Show the conversation, and what the security team's channel has heard."""
    person, channel = person_of(visit.who), desk.runtime.settings.reporting_channel
    bubbles, answers, reports = desk.read(
        lambda connection: (
            _bubbles(connection, person),
            _answers(connection, person),
            _bubbles(connection, channel) if channel else [],
        )
    )
    bubbles = sorted([*bubbles, *answers], key=lambda bubble: bubble.at)[-SHOWN:]
    return desk.page(
        "chat.html", visit.request, visit.who, bubbles=bubbles, reports=reports, channel=channel, person=person
    )


def say(desk: Desk, visit: Visit) -> Response:
    """Say something, or click a button."""
    text, action = visit.text("text").strip(), visit.text("action") or None
    if not text and not action:
        raise ChangeRefused("say something, or use a button")
    if len(text) > MAX_WORDS:
        raise ChangeRefused(f"at most {MAX_WORDS} characters")
    subject = visit.text("subject")[:100] or None
    reply = local_reply(person_of(visit.who), desk.now(), text=text, action=action, subject=subject)
    desk.transactions.publish_now([reply])
    return RedirectResponse("/chat#end", status_code=303)


def person_of(who: Identity) -> str:
    """Return the chat id of the visitor in the local chat: never anybody else's."""
    return who.name.lower().partition("@")[0]


def _bubbles(connection: Connection, recipient: str) -> list[Bubble]:
    rows: list[Any] = list(
        connection.execute(
            select(ChatDeliveryRow.__table__)
            .where(ChatDeliveryRow.recipient_id == recipient, ChatDeliveryRow.state == "sent")
            .order_by(ChatDeliveryRow.created_at.desc(), ChatDeliveryRow.sequence.desc())
            .limit(SHOWN)
        )
    )
    found: dict[str, Bubble] = {}
    for row in reversed(rows):
        content = ChatContent.model_validate(row.content)
        if row.kind == "send":
            found[row.message_id] = Bubble(row.message_id, row.created_at, content)
        elif row.target in found:
            found[row.target] = Bubble(row.target, found[row.target].at, content)
    return list(found.values())


def _answers(connection: Connection, person: str) -> list[Bubble]:
    """Return what the person answered, as the history tells it: no chat system keeps their words here."""
    rows = connection.execute(
        select(HistoryRow.id, HistoryRow.at, HistoryRow.action, HistoryRow.detail)
        .where(HistoryRow.person_id == person, HistoryRow.actor == f"person:{person}")
        .order_by(HistoryRow.id.desc())
        .limit(SHOWN)
    )
    said = ((row, words_of(row.action, row.detail)) for row in rows)
    return [Bubble(str(row.id), row.at, ChatContent(summary=words), mine=True) for row, words in said if words]


def words_of(action: str, detail: Mapping[str, Any]) -> str | None:
    """Return an entry of the history in the person's own words; None where they said nothing with it."""
    words = ANSWERS.get(f"{action} {detail.get('resolution', '')}".strip())
    comment = detail.get("comment") or ""
    return f"{words}: {comment}" if words and comment else words


PAGES = (
    Page("/chat", show),
    Page("/chat", say, Role.ANALYST, "POST"),
)
