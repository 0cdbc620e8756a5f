"""The Web API's methods, on the workspace. Each returns the answer's fields or raises `SlackRefuses`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.slack.checks import check_message
from tests.fakes.slack.workspace import APP, BOT, BOT_USER, TEAM, Object, SlackRefuses, Workspace

Arguments = Mapping[str, Any]
KEPT = ("text", "blocks", "metadata")


class WebApi:
    """Answers calls."""

    def __init__(self, workspace: Workspace, bot_token: str, app_token: str, socket_url: Callable[[], str]) -> None:
        self._workspace = workspace
        self._bot_token = bot_token
        self._app_token = app_token
        self._socket_url = socket_url
        self._methods: dict[str, Callable[[Arguments], Object]] = {
            "auth.test": self._auth_test,
            "conversations.open": self._open,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "users.list": self._list,
            "users.info": self._info,
            "users.lookupByEmail": self._by_email,
        }

    def call(self, method: str, arguments: Arguments, token: str) -> Object:
        """Return the whole answer of a call."""
        try:
            return {"ok": True, **self._answer(method, arguments, token)}
        except SlackRefuses as error:
            answer: Object = {"ok": False, "error": error.code}
            return answer | ({"response_metadata": {"messages": list(error.details)}} if error.details else {})

    def _answer(self, method: str, arguments: Arguments, token: str) -> Object:
        if not token:
            raise SlackRefuses("not_authed")
        if method == "apps.connections.open":
            if token != self._app_token:
                raise SlackRefuses("invalid_auth" if token != self._bot_token else "not_allowed_token_type")
            return {"url": self._socket_url()}
        if token != self._bot_token:
            raise SlackRefuses("invalid_auth")
        if method not in self._methods:
            raise SlackRefuses("unknown_method")
        return self._methods[method](arguments)

    def _auth_test(self, _: Arguments) -> Object:
        own = {"team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT, "user": "securitybot", "url": "https://fake/"}
        return own | ({"enterprise_id": self._workspace.enterprise_id} if self._workspace.enterprise_id else {})

    def _open(self, arguments: Arguments) -> Object:
        user = self._workspace.user(str(arguments.get("users", "")))
        if user.is_bot:
            raise SlackRefuses("cannot_dm_bot")
        if user.deleted:
            raise SlackRefuses("user_disabled")
        return {"channel": {"id": self._workspace.direct(user.id).id}}

    def _post(self, arguments: Arguments) -> Object:
        channel = self._workspace.channel(arguments.get("channel"))
        check_message(arguments)
        kept = {name: arguments[name] for name in KEPT if name in arguments}
        asked = {name: arguments.get(name) for name in ("mrkdwn", "parse", "link_names", "unfurl_links")}
        message = self._workspace.post(
            channel, {"user": BOT_USER, "bot_id": BOT, "app_id": APP, **kept, "asked": asked}
        )
        return {"channel": channel.id, "ts": message["ts"], "message": _shown(message, metadata=True)}

    def _update(self, arguments: Arguments) -> Object:
        channel = self._workspace.channel(arguments.get("channel"))
        check_message(arguments)
        with self._workspace.lock:
            message = self._workspace.find(channel, arguments.get("ts"))
            if message.get("bot_id") != BOT:
                raise SlackRefuses("cant_update_message")
            message.update({name: arguments[name] for name in KEPT if name in arguments})
            message["edited"] = {"user": BOT_USER, "ts": self._workspace.stamp()}
        return {"channel": channel.id, "ts": message["ts"]}

    def _history(self, arguments: Arguments) -> Object:
        channel = self._workspace.channel(arguments.get("channel"))
        oldest, limit = str(arguments.get("oldest", "0")), min(int(arguments.get("limit", 100)), 999)
        metadata = str(arguments.get("include_all_metadata", "")).lower() in ("1", "true")
        with self._workspace.lock:
            newer = [message for message in reversed(channel.messages) if float(message["ts"]) > float(oldest)]
        page, more = _page(newer, arguments, limit)
        return {"messages": [_shown(message, metadata=metadata) for message in page]} | more

    def _list(self, arguments: Arguments) -> Object:
        with self._workspace.lock:
            everybody = [user for user in self._workspace.users.values() if user.team_id == TEAM]
        page, more = _page(everybody, arguments, int(arguments.get("limit", 1000)))
        return {"members": [user.as_slack_shows() for user in page]} | more

    def _info(self, arguments: Arguments) -> Object:
        return {"user": self._workspace.user(str(arguments.get("user"))).as_slack_shows()}

    def _by_email(self, arguments: Arguments) -> Object:
        wanted = str(arguments.get("email")).lower()
        with self._workspace.lock:
            for user in self._workspace.users.values():
                if user.email and user.email.lower() == wanted and not user.deleted:
                    return {"user": user.as_slack_shows()}
        raise SlackRefuses("users_not_found")


def _page(items: list[Any], arguments: Arguments, limit: int) -> tuple[list[Any], Object]:
    """Return a page, and the cursor of the next one."""
    start = int(str(arguments.get("cursor") or "0"))
    end = start + limit
    return items[start:end], {"response_metadata": {"next_cursor": str(end) if end < len(items) else ""}}


def _shown(message: Object, *, metadata: bool) -> Object:
    hidden = {"asked"} if metadata else {"asked", "metadata"}
    return {name: value for name, value in message.items() if name not in hidden}
