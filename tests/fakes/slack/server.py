"""The fake as one object: its servers, its faults, and the helpers that tests and `/_control/` use."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Literal, Self
from urllib.parse import urlencode

from tests.fakes.slack.http_events import EventsPoster
from tests.fakes.slack.http_server import HttpAnswer, HttpRequest, HttpServer
from tests.fakes.slack.socket_mode import SocketModeServer
from tests.fakes.slack.web_api import WebApi
from tests.fakes.slack.workspace import APP, BOT, TEAM, Object, SlackRefuses, Workspace

Failure = Literal["429", "500", "timeout", "lost", "lost_500", "garbled", "closed", "refuse"]
"""`lost`: the call is carried out, its answer is lost; `lost_500`: the answer is an error; `garbled`: it is
`body`, with `headers`. `timeout`, `closed`: neither carried out nor answered. `refuse`: the error code in `error`."""
HELPERS = (
    "add_user", "change_user", "add_channel", "messages_to", "messages_in", "say", "click", "fail_next", "requests",
    "forget", "heal", "join",
)  # fmt: skip


SCOPES = (
    "chat:write", "im:write", "im:history", "channels:history", "groups:history", "metadata.message:read",
    "users:read", "users:read.email",
)  # fmt: skip
"""What an app made from our manifest gets."""


class FakeSlack:
    """Starts with its creation; `stop` ends it."""

    bot_token = "xoxb-fake-bot-token"
    app_token = "xapp-fake-app-token"
    signing_secret = "fake-signing-secret"

    def __init__(self, port: int = 0, *, hold: float = 30.0, resend_after: float = 1.0) -> None:
        self.workspace = Workspace()
        self.socket = SocketModeServer(resend_after=resend_after)
        self.poster = EventsPoster(self.signing_secret)
        self._api = WebApi(self.workspace, self.bot_token, self.app_token, lambda: self.socket.url)
        self._hold = hold
        self.scopes = set(SCOPES)
        """Of the bot token."""
        self.clock_offset = 0.0
        """Seconds that this server's clock is ahead."""
        self._failures: defaultdict[str, deque[tuple[Failure, dict[str, Any]]]] = defaultdict(deque)
        self.chaos: Callable[[str], tuple[Failure, dict[str, Any]] | None] | None = None
        """Asked at every call whether it fails, and how; beside `fail_next`."""
        self._log: list[Object] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._http = HttpServer(self._respond, port)

    @property
    def api_url(self) -> str:
        """Return what `SECURITYBOT_SLACK_API_URL` is set to."""
        return f"http://127.0.0.1:{self._http.port}/api/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close every socket."""
        self._stopping.set()
        self._http.stop()
        self.socket.stop()

    # --- people and channels --------------------------------------------------------------------------------------

    def add_user(self, name: str, email: str | None = None, **more: Any) -> str:
        """Let somebody be in the workspace; returns the user id. The bot is not told."""
        return self.workspace.add_user(name, email, **more).id

    def join(self, name: str, email: str | None = None, **more: Any) -> str:
        """Let somebody join, and tell the bot."""
        user = self.workspace.add_user(name, email, **more)
        self._event({"type": "team_join", "user": user.as_slack_shows()})
        return user.id

    def change_user(self, user_id: str, *, tell: bool = True, **fields: Any) -> None:
        """Change somebody's fields, and tell the bot."""
        user = self.workspace.user(user_id)
        for name, value in fields.items():
            setattr(user, name, value)
        if tell:
            self._event({"type": "user_change", "user": user.as_slack_shows()})

    def add_channel(self, channel_id: str, *, member: bool = True) -> str:
        """Create a channel."""
        return self.workspace.add_channel(channel_id, member=member).id

    # --- what people see and do -----------------------------------------------------------------------------------

    def messages_to(self, user_id: str) -> list[Object]:
        """Return what the bot posted to a person, oldest first, as it looks now."""
        return self.messages_in(self.workspace.direct(user_id).id)

    def messages_in(self, channel_id: str) -> list[Object]:
        """Return what the bot posted in a channel, oldest first, as it looks now."""
        with self.workspace.lock:
            return [
                dict(message)
                for message in self.workspace.channels[channel_id].messages
                if message.get("bot_id") == BOT
            ]

    def say(self, user_id: str, text: str, **fields: Any) -> str:
        """Let a person write to the bot; `fields` change the event. Returns the event's id."""
        channel = self.workspace.direct(user_id)
        posted = self.workspace.post(channel, {"user": user_id, "text": text})
        event = {**posted, "channel": channel.id, "channel_type": "im", "client_msg_id": f"c{posted['ts']}"}
        return self._event(event | fields)

    def click(
        self, user_id: str, ts: str, action: str, comment: str | None = None, *, channel_id: str | None = None
    ) -> str:
        """Let a person click a button that the message has now. Returns the trigger's id."""
        channel = self.workspace.channels[channel_id or self.workspace.direct(user_id).id]
        message = self.workspace.find(channel, ts)
        blocks = message.get("blocks", [])
        button = next(
            (element for block in blocks if block["type"] == "actions" for element in block["elements"]
             if element["action_id"] == action), None,
        )  # fmt: skip
        if button is None:
            raise SlackRefuses("no_such_button")
        number = self.workspace.number()
        payload = {
            "type": "block_actions", "api_app_id": APP, "team": {"id": TEAM}, "user": {"id": user_id},
            "container": {"type": "message", "message_ts": ts, "channel_id": channel.id},
            "channel": {"id": channel.id, "name": "directmessage" if channel.user else "general"},
            "message": {name: value for name, value in message.items() if name != "asked"},
            "trigger_id": f"{number}.trigger", "state": {"values": _state(blocks, comment)},
            "actions": [{**button, "block_id": "b1", "action_ts": self.workspace.stamp()}],
        }  # fmt: skip
        if self.poster.url:
            self.poster.post("/slack/interactivity", urlencode({"payload": json.dumps(payload)}), form=True)
        else:
            self.socket.deliver(f"click-{number}", "interactive", payload)
        return str(payload["trigger_id"])

    def _event(self, event: Object) -> str:
        number = self.workspace.number()
        event_id = f"Ev{number:08d}"
        body = {
            "type": "event_callback", "team_id": TEAM, "api_app_id": APP, "event_id": event_id,
            "event_time": int(time.time()), "event": event,
        }  # fmt: skip
        if self.poster.url:
            self.poster.post("/slack/events", json.dumps(body))
        else:
            self.socket.deliver(f"event-{number}", "events_api", body)
        return event_id

    # --- faults and the log ---------------------------------------------------------------------------------------

    def fail_next(self, method: str, mode: Failure, times: int = 1, **options: Any) -> None:
        """Let the next calls of `method` fail (`retry_after` for 429, `error` for refuse)."""
        with self._lock:
            self._failures[method].extend([(mode, options)] * times)

    def heal(self) -> None:
        """Forget the failures that did not happen yet."""
        with self._lock:
            self._failures.clear()

    def requests(self, method: str | None = None) -> list[Object]:
        """Return the calls in the order of their arrival: `at` (seconds since the epoch), method, channel, message."""
        with self._lock:
            return [dict(entry) for entry in self._log if method in (None, entry["method"])]

    def forget(self) -> None:
        """Empty the log."""
        with self._lock:
            self._log.clear()

    def _respond(self, request: HttpRequest) -> HttpAnswer | None:
        if request.path.startswith("/_control/"):
            return self._control(request)
        if request.method != "POST" or not request.path.startswith("/api/"):
            return _json(404, {"ok": False, "error": "not_found"})
        method, arguments = request.path.removeprefix("/api/"), request.arguments()
        at = time.time()
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        token = token if scheme == "Bearer" else str(arguments.get("token", ""))
        metadata = arguments.get("metadata")
        payload = metadata.get("event_payload", {}) if isinstance(metadata, dict) else {}
        entry = {
            "at": at,
            "method": method,
            "channel": arguments.get("channel"),
            "message_id": payload.get("message_id"),
        }
        with self._lock:
            self._log.append(entry)
            failures = self._failures.get(method)
            mode, options = failures.popleft() if failures else (None, {})
            if mode is None and self.chaos is not None:
                mode, options = self.chaos(method) or (None, {})
        return (
            self._failed(mode, options, method, arguments, token)
            if mode
            else HttpAnswer(200, json.dumps(self._api.call(method, arguments, token)).encode(), self._headers())
        )

    def _headers(self) -> dict[str, str]:
        date = formatdate(time.time() + self.clock_offset, usegmt=True)
        return {"X-OAuth-Scopes": ",".join(sorted(self.scopes)), "Date": date}

    def _failed(
        self, mode: Failure, options: dict[str, Any], method: str, arguments: dict[str, Any], token: str
    ) -> HttpAnswer | None:
        match mode:
            case "429":
                headers = {"Retry-After": str(options.get("retry_after", 1))}
                return HttpAnswer(429, b'{"ok":false,"error":"ratelimited"}', headers)
            case "500":
                return HttpAnswer(500, b"<html>oops</html>", {})
            case "refuse":
                return _json(200, {"ok": False, "error": options.get("error", "fatal_error")})
            case "lost" | "lost_500":
                self._api.call(method, arguments, token)
                return HttpAnswer(500, b"", {}) if mode == "lost_500" else None
            case "garbled":
                self._api.call(method, arguments, token)
                return HttpAnswer(200, options["body"].encode(), options.get("headers", {}))
            case "timeout":
                self._stopping.wait(self._hold)
        return None

    def _control(self, request: HttpRequest) -> HttpAnswer:
        """Answer `POST /_control/<helper>` with the helper's result; the body holds its keyword arguments."""
        name = request.path.removeprefix("/_control/")
        if name not in HELPERS:
            return _json(404, {"error": f"helpers: {', '.join(HELPERS)}"})
        try:
            return _json(200, {"result": getattr(self, name)(**json.loads(request.body or b"{}"))})
        except (TypeError, ValueError, KeyError, SlackRefuses) as error:
            return _json(400, {"error": repr(error)})


def _json(status: int, value: Object) -> HttpAnswer:
    return HttpAnswer(status, json.dumps(value).encode(), {})


def _state(blocks: list[Object], comment: str | None) -> Object:
    return {
        block["block_id"]: {block["element"]["action_id"]: {"type": "plain_text_input", "value": comment}}
        for block in blocks
        if block["type"] == "input"
    }
