"""The local chat in a browser: the visitor's own conversation with the bot, as the person sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from starlette.responses import RedirectResponse, Response

from common.errors import ChangeRefused
from common.local_chat import local_reply
from common.messages import ChatContent
from common.records.tables import ChatDeliveryRow
from services.console.access import Identity, Role
from services.console.desk import Desk
from services.console.web import Page, Visit

SHOWN = 60
MAX_WORDS = 2000


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message of the bot, as it stands now."""

    message_id: str
    at: datetime
    content: ChatContent


def show(desk: Desk, visit: Visit) -> Response:
    """Show the conversation, and what the security team's channel has heard."""
    person, channel = person_of(visit.who), desk.runtime.settings.reporting_channel
    bubbles, reports = desk.read(
        lambda connection: (_bubbles(connection, person), _bubbles(connection, channel) if channel else [])
    )
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


PAGES = (
    Page("/chat", show),
    Page("/chat", say, Role.ANALYST, "POST"),
)
