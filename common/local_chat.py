"""What somebody says in the local chat, in a terminal or a browser, as the message to the dispatcher. Pure."""

from __future__ import annotations

from datetime import datetime

from common.bus.port import Publication
from common.codec import encode
from common.ids import new_id
from common.messages import ReplyReceived


def local_reply(
    person_id: str, now: datetime, *, text: str = "", action: str | None = None, subject: str | None = None
) -> Publication:
    """Return the publication that says what `person_id` typed or clicked in the local chat.

    Each call is a new event. Who calls must have made sure that it is that person.
    """
    reply = ReplyReceived(person_id=person_id, text=text, action=action, subject=subject, received_at=now)
    return encode(reply, message_id=new_id(), owner=person_id, correlation_id=None)
