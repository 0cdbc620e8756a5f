"""Slack as a chat system."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from starlette.routing import BaseRoute

from common.clock import Clock, SystemClock
from common.errors import ConfigurationError
from common.logs import get_logger
from common.messages import ChatContent, Recipient
from common.runnable import Runnable
from common.settings import Settings
from services.chat_gateway.port import ChatFailure, ChatRateLimited, ChatRefused, Intake, Person, Posted
from services.chat_gateway.slack import translate
from services.chat_gateway.slack.blocks import render
from services.chat_gateway.slack.http_events import HttpEvents
from services.chat_gateway.slack.inbound import Inbound
from services.chat_gateway.slack.inspection import inspect
from services.chat_gateway.slack.socket_mode import SocketMode
from services.chat_gateway.slack.web import TIMEOUT, Misconfigured, SlackWeb

log = get_logger(__name__)

EVENT_TYPE = "securitybot_message"
PAGE = 200
MOST_WAITS = 10
"""For one page; who waits longer begins anew."""
MOST_PAGES = 20
"""Of a channel's history, where a message is looked for: 4,000 messages since it was decided."""
CLOCK_SKEW = timedelta(seconds=60)
CHECK_EVERY = timedelta(seconds=30)
UNREADABLE = frozenset({"missing_scope", "not_in_channel", "method_not_supported_for_channel_type"})
CHANNEL_GONE = "channel_not_found"
NOBODY = frozenset({"users_not_found", "user_not_found", "user_not_visible"})
T = TypeVar("T")


class SlackChat:
    """Web API, and Socket Mode or HTTP events."""

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        web: SlackWeb,
        app_token: str | None = None,
        signing_secret: str | None = None,
        clock: Clock | None = None,
        reporting_channel: str | None = None,
        *,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._web = web
        self._wait = wait
        self._app_token = app_token
        self._signing_secret = signing_secret
        self._clock = clock or SystemClock()
        self._reporting_channel = reporting_channel
        self._channels: dict[str, str] = {}
        """Person to the channel of their direct messages."""
        self._own: translate.Own | None = None
        self._checked_at: datetime | None = None
        self._checking = threading.Lock()
        self._socket: SocketMode | None = None

    # --- out ------------------------------------------------------------------------------------------------------

    def send(self, recipient: Recipient, content: ChatContent, message_id: str) -> Posted:
        """Post with the message id as metadata, by which `find` knows it again."""
        post = {"unfurl_links": False, "unfurl_media": False} | _message(content, message_id)

        def send(channel: str) -> Posted:
            answer = self._web.call("chat.postMessage", {"channel": channel} | post, creates=True)
            return Posted(str(answer.get("channel") or channel), str(answer.get("ts")))

        return self._in_channel(recipient, send)

    def update(self, channel: str, posted_as: str, content: ChatContent, message_id: str) -> None:
        """Replace the message; doing it twice shows the same."""
        self._web.call("chat.update", {"channel": channel, "ts": posted_as} | _message(content, message_id))

    def find(self, recipient: Recipient, message_id: str, since: datetime) -> Posted | None:
        """Look through the channel's history. Where the app may not read it, nothing is found."""
        return self._in_channel(recipient, lambda channel: self._find_in(channel, message_id, since - CLOCK_SKEW))

    def _find_in(self, channel: str, message_id: str, since: datetime) -> Posted | None:
        history = {"channel": channel, "oldest": f"{since.timestamp():.6f}", "include_all_metadata": True}
        try:
            for message in self._pages("conversations.history", history, "messages", MOST_PAGES):
                if self._is_ours(message, message_id):
                    return Posted(channel, str(message.get("ts")))
        except (ChatRefused, Misconfigured) as error:
            if error.reason not in UNREADABLE:
                raise
            log.warning("chat_history_unreadable", channel=channel, reason=error.reason)
        return None

    def _pages(
        self, method: str, arguments: Mapping[str, Any], field: str, most: int | None = None
    ) -> Iterator[Mapping[str, Any]]:
        """Return the objects of `field` of all pages, of at most `most`.

        All pages of a large workspace are more than Slack gives out within a minute: where there is no end to them
        (`most`), the same page is asked for again when Slack allows it, not the first.
        """
        cursor, pages, waits = "", 0, 0
        while most is None or pages < most:
            try:
                page = self._web.call(method, {**arguments, "limit": PAGE} | ({"cursor": cursor} if cursor else {}))
            except ChatRateLimited as limit:
                if most is not None or not pages or waits == MOST_WAITS:
                    raise
                waits += 1
                log.info("waiting_for_next_page", method=method, seconds=limit.retry_after, page=pages + 1)
                self._wait(limit.retry_after)
                continue
            waits = 0
            yield from _objects(page.get(field))
            cursor, pages = _next(page), pages + 1
            if not cursor:
                return

    def _is_ours(self, message: Mapping[str, Any], message_id: str) -> bool:
        metadata = message.get("metadata")
        if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE:
            return False
        payload = metadata.get("event_payload")
        ours = message.get("bot_id") == self.own().bot_id
        return ours and isinstance(payload, dict) and payload.get("message_id") == message_id

    def _in_channel(self, recipient: Recipient, call: Callable[[str], T]) -> T:
        """Make a call that needs the channel; where Slack does not know the one remembered any more, once again."""
        remembered = self._channels.get(recipient.id)
        try:
            return call(self._channel(recipient))
        except ChatRefused as error:
            if remembered is None or error.reason != CHANNEL_GONE:
                raise
        self._channels.pop(recipient.id, None)
        return call(self._channel(recipient))

    def _channel(self, recipient: Recipient) -> str:
        if recipient.kind == "channel":
            return recipient.id
        known = self._channels.get(recipient.id)
        if known is None:
            opened = self._web.call("conversations.open", {"users": recipient.id}).get("channel")
            known = opened.get("id") if isinstance(opened, dict) else None
            if not isinstance(known, str):
                raise ChatRefused("no_channel")
            self._channels[recipient.id] = known
        return known

    # --- people ---------------------------------------------------------------------------------------------------

    def directory(self) -> Iterator[Person]:
        """Return everybody, a page of the Web API at a time."""
        own = self.own()
        users = self._pages("users.list", {"include_locale": True}, "members")
        return (person for user in users if (person := translate.person(user, own)) is not None)

    def look_up(self, handle: str) -> Person | None:
        """Ask for a chat id or an e-mail address. Slack cannot be asked for a user name."""
        try:
            if "@" in handle:
                answer = self._web.call("users.lookupByEmail", {"email": handle})
            elif handle.isascii() and handle.isalnum() and handle[:1] in ("U", "W"):
                answer = self._web.call("users.info", {"user": handle, "include_locale": True})
            else:
                return None
        except ChatRefused as error:
            if error.reason in NOBODY:
                return None
            raise
        return translate.person(answer.get("user"), self.own())

    # --- in -------------------------------------------------------------------------------------------------------

    def listen(self, intake: Intake) -> Sequence[Runnable]:
        """Return the Socket Mode listener, unless events come over HTTP."""
        if self._signing_secret is not None or self._app_token is None:
            return ()
        self._socket = SocketMode(self._app_token, self._web, Inbound(self.own, intake, self._clock))
        return (self._socket,)

    def routes(self, intake: Intake) -> Sequence[BaseRoute]:
        """Return the signed HTTP routes, where a signing secret is set."""
        if self._signing_secret is None:
            return ()
        return HttpEvents(self._signing_secret, Inbound(self.own, intake, self._clock), self._clock).routes()

    # --- well? ----------------------------------------------------------------------------------------------------

    def own(self) -> translate.Own:
        """Return who we are at Slack; asked once.

        Raises:
            ChatFailure: it cannot be asked now.
        """
        if self._own is None:
            self._own = self._authenticate()
        return self._own

    def check(self) -> str | None:
        """Tell whether Slack takes our token and, in Socket Mode, whether the socket is open and alive."""
        with self._checking:
            now = self._clock.now()
            if self._checked_at is None or now - self._checked_at > CHECK_EVERY:
                try:
                    self._own = self._authenticate()
                except ChatFailure as error:
                    return str(error)
                self._checked_at = now
        return None if self._socket is None or self._socket.connected() else "Slack's socket is not connected"

    def inspect(self) -> Mapping[str, str | None]:
        """Tell `securitybot check` of scopes, clock, socket and reporting channel; posts nothing."""
        app_token = None if self._signing_secret else self._app_token
        return inspect(self._web, app_token, self._reporting_channel, self._clock.now())

    def _authenticate(self) -> translate.Own:
        answer = self._web.call("auth.test", {})
        return translate.Own(
            str(answer.get("user_id")),
            str(answer.get("bot_id")),
            str(answer.get("team_id") or ""),
            str(answer.get("enterprise_id") or ""),
        )


def from_settings(settings: Settings, timeout: float = TIMEOUT) -> SlackChat:
    """Entry point `slack`.

    Raises:
        ConfigurationError: a token is missing. Only who talks to Slack has them, so the settings do not ask for them.
    """
    token, app_token, secret = settings.slack_bot_token, settings.slack_app_token, settings.slack_signing_secret
    missing = [] if token else ["SECURITYBOT_SLACK_BOT_TOKEN is not set; SECURITYBOT_CHAT=slack needs it"]
    if not (app_token or secret):
        missing.append(
            "SECURITYBOT_SLACK_APP_TOKEN (Socket Mode) or SECURITYBOT_SLACK_SIGNING_SECRET (HTTP) must be set"
        )
    if token is None or missing:
        raise ConfigurationError(*missing)
    return SlackChat(
        SlackWeb(token.get_secret_value(), settings.slack_api_url, timeout),
        app_token.get_secret_value() if app_token else None,
        secret.get_secret_value() if secret else None,
        reporting_channel=settings.reporting_channel,
    )


def _message(content: ChatContent, message_id: str) -> dict[str, Any]:
    """Return what a post and an update have in common. Nothing in it is interpreted, mentions or unfurls."""
    text, blocks = render(content)
    return {
        "text": text,
        "blocks": blocks,
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"message_id": message_id}},
    }


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _next(page: Mapping[str, Any]) -> str:
    metadata = page.get("response_metadata")
    cursor = metadata.get("next_cursor") if isinstance(metadata, dict) else None
    return cursor if isinstance(cursor, str) else ""
