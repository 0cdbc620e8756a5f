"""Pure: what Slack tells becomes a reply, a person, or is ignored with a reason.

Only direct messages and clicks of people count: bots, edits, other channels and other apps' messages do not; those that
might be meant to pass for an answer are attempts, which the history keeps. The
payload comes from Slack (a signed request, or the socket that we opened), but nothing in it is taken for granted: its
shape is checked field by field, and what a person wrote is cut to a length.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from common.ids import derived_id
from common.messages import ReplyReceived
from services.chat_gateway.port import Attempt, Person, Reply

MOST_TEXT = 4_000
MOST_ID = 64
MOST_FIELD = 255
MOST_SUBJECT = 255
HUMAN_SUBTYPES = (None, "file_share", "thread_broadcast", "me_message")
"""With a screenshot beside the words, in a thread and "also sent to the conversation", with `/me` before them."""
REVISIONS = ("message_changed", "message_deleted")
_LINK = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")


@dataclass(frozen=True, slots=True)
class Own:
    """Who we are at Slack, from `auth.test`."""

    user_id: str
    bot_id: str
    team_id: str = ""
    enterprise_id: str = ""
    """The Enterprise Grid that our workspace belongs to; empty for a workspace of its own."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing for us; `reason` is for the log."""

    reason: str


Translated = Reply | Person | Attempt | Ignored


def event(payload: object, own: Own, now: datetime) -> Translated:
    """Translate the body of an Events API callback."""
    body = _mapping(payload)
    inner = _mapping(body.get("event"))
    match inner.get("type"):
        case "message":
            return _message(body, inner, own, now)
        case "user_change" | "team_join":
            return person(inner.get("user"), own) or Ignored("not a person")
        case _:
            return Ignored("other event")


def click(payload: object, own: Own, now: datetime) -> Translated:
    """Translate an interactivity payload."""
    body = _mapping(payload)
    if body.get("type") != "block_actions":
        return Ignored("other interaction")
    message, channel = _mapping(body.get("message")), _mapping(body.get("channel"))
    who = _text(_mapping(body.get("user")), "id", MOST_ID)
    pressed = [action for action in _list(body.get("actions")) if _mapping(action).get("type") == "button"]
    trigger = _text(body, "trigger_id", MOST_FIELD)
    if not _text(channel, "id", MOST_ID).startswith("D"):
        return Attempt("click outside direct messages", who or None)
    if message.get("bot_id") != own.bot_id:
        return Attempt("click in a message that is not ours", who or None)
    if not who or not pressed or not trigger:
        return Attempt("incomplete click", who or None)
    action = _mapping(pressed[0])
    name = _text(action, "action_id", MOST_FIELD)
    if not name:
        return Attempt("incomplete click", who)
    reply = ReplyReceived(
        person_id=who,
        text=_comment(body),
        action=name,
        subject=_text(action, "value", MOST_SUBJECT) or None,
        received_at=_moment(action.get("action_ts"), now),
    )
    return Reply(derived_id("slack", "click", who, trigger), reply)


def person(payload: object, own: Own) -> Person | None:
    """Translate a user object; bots, who has left and people of other organisations are not active."""
    user = _mapping(payload)
    profile = _mapping(user.get("profile"))
    chat_id = _text(user, "id", MOST_ID)
    if not chat_id:
        return None
    username = _text(user, "name", MOST_FIELD)
    shown = _text(profile, "display_name", MOST_FIELD) or _text(profile, "real_name", MOST_FIELD)
    left = any(user.get(flag) is True for flag in ("deleted", "is_bot", "is_workflow_bot"))
    return Person(
        chat_id,
        username.lower()[:MOST_FIELD],
        _text(profile, "email", MOST_FIELD).lower()[:MOST_FIELD] or None,
        shown or username or chat_id,
        _text(user, "tz", MOST_ID) or None,
        _text(user, "locale", 16) or None,
        active=not left and chat_id != "USLACKBOT" and not _external(user, own),
    )


def plain(text: str) -> str:
    """Return what a person typed: links and mentions as they were shown, entities as characters."""
    shown = _LINK.sub(lambda match: match[2] or match[1].lstrip("!"), text)
    return html.unescape(shown) if "&" in shown else shown


def _external(user: Mapping[str, Any], own: Own) -> bool:
    """Tell whether somebody is here only through a channel shared with another organisation (Slack Connect)."""
    if user.get("is_stranger") is True:
        return True
    team = _text(user, "team_id", MOST_ID)
    if not team or not own.team_id or team == own.team_id:
        return False
    grid = _text(_mapping(user.get("enterprise_user")), "enterprise_id", MOST_ID)
    return not own.enterprise_id or grid != own.enterprise_id


def _message(body: Mapping[str, Any], inner: Mapping[str, Any], own: Own, now: datetime) -> Translated:
    nothing = _not_said_by_a_person(inner, own)
    if nothing is not None:
        return nothing
    who = _text(inner, "user", MOST_ID)
    event_id = _text(body, "event_id", MOST_FIELD)
    if not who or not event_id:
        return Ignored("incomplete message")
    text = plain(_text(inner, "text", 4 * MOST_TEXT)).strip()[:MOST_TEXT]
    if not text:
        return Ignored("no words")
    thread = _text(inner, "thread_ts", MOST_ID) or None
    reply = ReplyReceived(person_id=who, text=text, thread=thread, received_at=_moment(inner.get("ts"), now))
    return Reply(derived_id("slack", "event", event_id), reply)


def _not_said_by_a_person(inner: Mapping[str, Any], own: Own) -> Attempt | Ignored | None:
    if inner.get("channel_type") != "im":
        return Ignored("not a direct message")
    if inner.get("subtype") in REVISIONS:
        return _revision(inner, own)
    who, bot = _text(inner, "user", MOST_ID), _text(inner, "bot_id", MOST_ID)
    if who == own.user_id or (bot and bot == own.bot_id):
        return Ignored("our own")
    if bot or inner.get("app_id") or inner.get("bot_profile"):
        return Attempt("by a bot", who or bot or None)
    if inner.get("subtype") not in HUMAN_SUBTYPES or inner.get("hidden"):
        return Ignored("notice")
    return None


def _revision(inner: Mapping[str, Any], own: Own) -> Attempt | Ignored:
    """Somebody's change of what they said is an attempt; ours, and Slack's (it unfolds links), are nothing."""
    now, before = _mapping(inner.get("message")), _mapping(inner.get("previous_message"))
    said = now or before or inner
    who = _text(said, "user", MOST_ID)
    ours = who == own.user_id or said.get("bot_id") == own.bot_id
    if ours or not who or (now and "edited" not in now):
        return Ignored("notice")
    return Attempt("edited or deleted", who)


def _comment(body: Mapping[str, Any]) -> str:
    """Return the text of the comment field: the only text field that our messages have."""
    values = _mapping(_mapping(body.get("state")).get("values"))
    for block in values.values():
        for element in _mapping(block).values():
            if _mapping(element).get("type") == "plain_text_input":
                return _text(_mapping(element), "value", MOST_TEXT).strip()
    return ""


def _moment(stamp: object, now: datetime) -> datetime:
    """Return when it was said, by Slack's clock; never later than now, and now where Slack does not tell."""
    if not isinstance(stamp, str) or not re.fullmatch(r"[0-9]{9,11}\.[0-9]{1,6}", stamp):
        return now
    try:
        return min(now, datetime.fromtimestamp(float(stamp), UTC))
    except (ValueError, OverflowError, OSError):
        return now


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(values: Mapping[str, Any], name: str, most: int) -> str:
    """Return a text field, cut to `most`; empty where it is missing, or no text that can be stored."""
    value = values.get(name)
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode("utf-8")[:most]
