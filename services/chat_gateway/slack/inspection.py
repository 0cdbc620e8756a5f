"""What `securitybot check` asks Slack: scopes of the token, the app token, the reporting channel, and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from common.clock import skew_problem
from services.chat_gateway.port import ChatFailure, ChatRefused
from services.chat_gateway.slack.web import Misconfigured, SlackWeb

SCOPES = frozenset({
    "chat:write", "im:write", "im:history", "channels:history", "groups:history", "metadata.message:read",
    "users:read", "users:read.email",
})  # fmt: skip
"""Of the bot token, as `config/slack-manifest.yaml` asks for them."""
SCOPES_HEADER = "x-oauth-scopes"


def inspect(web: SlackWeb, app_token: str | None, channel: str | None, now: datetime) -> Mapping[str, str | None]:
    """Return what is wrong with each, and what to do; None: nothing. Posts nothing."""
    try:
        headers = web.headers("auth.test")
    except ChatFailure:
        return {}  # `check` says so
    found = {"scopes": _scopes(headers), "clock": _clock(headers, now)}
    if app_token is not None:
        found["socket"] = _socket(web, app_token)
    found["channel"] = _channel(web, channel)
    return found


def _scopes(headers: Mapping[str, str]) -> str | None:
    given = {scope.strip() for scope in headers.get(SCOPES_HEADER, "").split(",")}
    missing = sorted(SCOPES - given)
    if not missing:
        return None
    return (
        f"the bot token lacks {', '.join(missing)}: add them under OAuth & Permissions, install the app again, and set "
        "SECURITYBOT_SLACK_BOT_TOKEN to the token that is shown then"
    )


def _clock(headers: Mapping[str, str], now: datetime) -> str | None:
    try:
        return skew_problem("Slack's", parsedate_to_datetime(headers.get("date", "")), now)
    except ValueError:
        return "Slack's answer has no date: something between here and Slack changes its answers"


def _socket(web: SlackWeb, app_token: str) -> str | None:
    try:
        web.call("apps.connections.open", {"token": app_token})
    except (ChatRefused, Misconfigured) as error:
        return (
            f"Slack refuses SECURITYBOT_SLACK_APP_TOKEN ({error.reason}): make one under App-Level Tokens with the "
            "scope connections:write"
        )
    except ChatFailure as error:
        return str(error)
    return None


def _channel(web: SlackWeb, channel: str | None) -> str | None:
    if channel is None:
        return "SECURITYBOT_REPORTING_CHANNEL is not set: nobody hears of what the owners do not confirm"
    try:
        web.call("conversations.history", {"channel": channel, "limit": 1})
    except ChatRefused as error:
        return f"SECURITYBOT_REPORTING_CHANNEL {channel}: {error.reason}; give the channel's id, and invite the bot"
    except ChatFailure as error:
        return str(error)
    return None
