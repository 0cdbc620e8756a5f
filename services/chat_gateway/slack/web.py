"""Slack's Web API through slack_sdk: one call each, its outcome as one of the chat's own failures.

slack_sdk's retry handlers are off: the default one posts a second time when the answer of the first call was lost.
"""

from __future__ import annotations

import http.client
import logging
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from services.chat_gateway.port import (
    ChatContentRefused,
    ChatFailure,
    ChatRateLimited,
    ChatRefused,
    ChatUnavailable,
    ChatUncertain,
    ChatUnreachable,
)

TIMEOUT = 10
TOO_MANY = 429
SERVER_ERROR = 500
RETRY_AFTER = 5.0
"""Where Slack asks to wait and does not say how long."""
MOST_RETRY_AFTER = 300.0
RATE_LIMITED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
BROKEN = frozenset({"internal_error", "fatal_error", "request_timeout"})
"""Slack failed, and some of the work may be done."""
AWAY = frozenset({"service_unavailable", "team_added_to_org", "accesslimited", "external_channel_migrating"})
MISCONFIGURED = frozenset({
    "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission",
    "missing_scope", "not_allowed_token_type", "ekm_access_denied", "org_login_required", "two_factor_setup_required",
    "messages_tab_disabled", "team_access_not_granted",
})  # fmt: skip
"""Not this message's fault: it may be sent once the operator has put it right."""
NOT_SLACKS = (AttributeError, LookupError)
"""What slack_sdk raises for an answer that is JSON but no object, or in a charset that does not exist."""
UNREACHABLE = frozenset({"not_in_channel", "channel_not_found", "is_archived"})
RESTRICTED = "restricted_action"
"""Also how the longer codes begin that say who may post in the channel, and what."""
CONTENT = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"})
_CODE = re.compile(r"[a-z0-9_]{1,80}")


class Misconfigured(ChatUnavailable):
    """The operator has to put something right first. `reason` is Slack's word for it."""

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(f"{method}: {reason}")
        self.reason = reason


class SlackWeb:
    """Makes Web API calls; thread-safe."""

    def __init__(self, token: str, api_url: str, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        logger = logging.getLogger("slack_sdk.web")
        logger.setLevel(logging.CRITICAL)  # it logs each failure that we log better, and bodies when it debugs
        self.client = WebClient(
            token=token,
            base_url=api_url,
            timeout=timeout,  # type: ignore[arg-type]  # urllib takes fractions
            ssl=ssl.create_default_context() if api_url.startswith("https:") else None,
            retry_handlers=[],
            logger=logger,
        )

    def call(self, method: str, arguments: Mapping[str, Any], *, creates: bool = False) -> Mapping[str, Any]:
        """Call `method` once and return the answer's fields.

        Args:
            method: the Web API method's name.
            arguments: the method's own.
            creates: a call that must not be repeated blindly: what may have been carried out is `ChatUncertain`.

        Raises:
            ChatFailure: what the outcome means for the caller.
        """
        data = self._answer(method, arguments, creates=creates).data
        if not isinstance(data, dict):
            raise self._lost(method, TypeError("not a JSON object"), creates=creates)
        return data

    def headers(self, method: str) -> Mapping[str, str]:
        """Call a method without arguments and return the answer's headers, names in lower case.

        Raises:
            ChatFailure: as for `call`.
        """
        return {name.lower(): str(value) for name, value in self._answer(method, {}, creates=False).headers.items()}

    def _answer(self, method: str, arguments: Mapping[str, Any], *, creates: bool) -> SlackResponse:
        try:
            return self._ask(method, dict(arguments))
        except SlackApiError as error:
            raise _meaning(method, error, self._timeout, creates=creates) from error
        except URLError as error:
            refused = isinstance(error.reason, ConnectionRefusedError | socket.gaierror)
            raise self._lost(method, error.reason, creates=creates and not refused) from error
        except (OSError, http.client.HTTPException, SlackClientError, ValueError, *NOT_SLACKS) as error:
            raise self._lost(method, error, creates=creates) from error

    def _lost(self, method: str, error: object, *, creates: bool) -> ChatFailure:
        """Return what a call without an answer means."""
        return _unclear(f"{method}: {type(error).__name__}", self._timeout, creates=creates)

    def _ask(self, method: str, arguments: dict[str, Any]) -> SlackResponse:
        """Methods that write take JSON; those that read take forms only."""
        if method.startswith("chat."):
            return self.client.api_call(method, json=arguments)
        return self.client.api_call(method, params=arguments)


def _unclear(cause: str, settles_in: float, *, creates: bool) -> ChatFailure:
    """Slack may be at it still, also where its edge gave up on it or the connection went."""
    return ChatUncertain(cause, settles_in) if creates else ChatUnavailable(cause)


def _meaning(method: str, error: SlackApiError, settles_in: float, *, creates: bool) -> ChatFailure:
    """Return what an answer that is not `ok` means."""
    response: Any = error.response
    data = response.data if isinstance(response.data, dict) else {}
    code = data.get("error")
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        code = ""
    if response.status_code == TOO_MANY or code in RATE_LIMITED:
        return ChatRateLimited(method, _seconds(response.headers))
    if response.status_code >= SERVER_ERROR or not code or code in BROKEN:
        return _unclear(f"{method}: {code or response.status_code}", settles_in, creates=creates)
    if code in MISCONFIGURED:
        return Misconfigured(method, code)
    if code in AWAY:
        return ChatUnavailable(f"{method}: {code}")
    if code in UNREACHABLE or code.startswith(RESTRICTED):
        return ChatUnreachable(code)
    return ChatContentRefused(code) if code in CONTENT else ChatRefused(code)


def _seconds(headers: Mapping[str, Any]) -> float:
    """Return what `Retry-After` says, within reason."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    try:
        return min(MOST_RETRY_AFTER, max(0.0, float(str(value))))
    except ValueError:
        return RETRY_AFTER
