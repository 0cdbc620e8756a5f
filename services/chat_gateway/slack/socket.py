"""One Socket Mode connection, from its opening to its end; it is replaced, never reopened.

Read in slack_sdk 3.47: its client swaps sessions inside itself while its reading thread runs on; it never gives up a
socket that has not answered a single ping; it needs 20 s for one that stopped answering; and closing waits up to 3 s
for the reading thread. A client for each connection has nothing to swap, and the rest is watched here.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient

from services.chat_gateway.port import ChatUnavailable
from services.chat_gateway.slack.web import SlackWeb

PING_SECONDS = 3.0
BUFFER = 16_384


class Socket(SocketModeClient):
    """A connection that tells whether it is still good for anything."""

    def __init__(self, app_token: str, web: SlackWeb, on_envelope: Callable[[Socket, dict[str, Any]], None]) -> None:
        logger = logging.getLogger("slack_sdk.socket_mode")
        logger.setLevel(logging.CRITICAL)  # `alive` and our own log lines tell what matters
        self._web = web
        self._ended = threading.Event()
        self._on_envelope = on_envelope
        self._heard_at = time.monotonic()
        super().__init__(
            app_token,
            logger=logger,
            web_client=web.client,
            ping_interval=PING_SECONDS,
            receive_buffer_size=BUFFER,
            concurrency=1,  # one after the other: a person's words keep their order
        )
        self.message_listeners.append(self._listen)

    def open(self) -> None:
        """Connect.

        Raises:
            ChatFailure: not now.
        """
        try:
            self.connect()
        except (SlackClientError, OSError, ValueError) as error:
            raise ChatUnavailable(f"{type(error).__name__}: {error}"[:300]) from error
        if not self.is_connected():
            raise ChatUnavailable("no connection")

    def issue_new_wss_url(self) -> str:
        """Called by slack_sdk, whose own sleeps for as long as Slack asks to wait: `stop` would wait with it."""
        return str(self._web.call("apps.connections.open", {"token": self.app_token}).get("url"))

    def connect_to_new_endpoint(self, force: bool = False) -> None:
        """Called by slack_sdk when Slack says so, or when the session is found closed: this connection is over."""
        del force
        self._ended.set()

    def alive(self, silence: float) -> bool:
        """Tell whether it is open, not about to be closed, and was heard of within `silence` seconds."""
        session = self.current_session
        if session is None or self._ended.is_set() or not session.is_active():
            return False
        if session.consecutive_check_state_error_count:
            return False
        quiet = time.monotonic() - self._heard_at
        if session.last_ping_pong_time is not None:
            quiet = min(quiet, max(0.0, time.time() - session.last_ping_pong_time))
        return quiet <= silence

    def leave(self) -> None:
        """Close at once: the reading thread is woken instead of being waited for."""
        self.current_session_state.terminated = True
        raw = self.current_session.sock if self.current_session else None
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)
        self.close()

    def _listen(self, _client: BaseSocketModeClient, message: dict[str, Any], _raw: str | None) -> None:
        """Called on slack_sdk's thread."""
        self._heard_at = time.monotonic()
        if message.get("envelope_id"):
            self._on_envelope(self, message)
