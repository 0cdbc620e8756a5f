"""Events and clicks over Slack's Socket Mode: acknowledged only once they are safe, and never from a deaf socket.

slack_sdk's client reads the socket and reopens it when Slack says so. What it leaves to us: it notices neither a socket
that never answered a ping nor one that was cut off without a word for half a minute, and it acknowledges nothing.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient

from common.errors import Temporary
from common.logs import get_logger
from common.retry import Backoff
from services.chat_gateway.slack.inbound import Inbound, Kind

log = get_logger(__name__)

PING_SECONDS = 3.0
SILENCE_SECONDS = 10.0
"""Without a pong, a message or a new connection for so long, the socket is taken for deaf."""
WATCH_SECONDS = 1.0
MOST_AT_ONCE = 100
KINDS: dict[str, Kind] = {"events_api": "event", "interactive": "click"}


class SocketMode:
    """Runs the socket; envelopes are translated and published on `run`'s thread, in the order in which they came."""

    name = "slack-socket"

    def __init__(
        self,
        app_token: str,
        web_client: WebClient,
        inbound: Inbound,
        *,
        silence: float = SILENCE_SECONDS,
        backoff: Backoff | None = None,
    ) -> None:
        self._app_token = app_token
        self._web_client = web_client
        self._inbound = inbound
        self._silence = silence
        self._backoff = backoff or Backoff(first=1.0, longest=30.0)
        self._envelopes: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._heard_at = 0.0
        self._client: SocketModeClient | None = None

    def connected(self) -> bool:
        """Tell whether the socket is open and was heard of lately."""
        return self._client is not None and self._client.is_connected() and self._silent_for() <= self._silence

    def run(self) -> None:
        """Listen until `stop`."""
        logger = logging.getLogger("slack_sdk.socket_mode")
        logger.setLevel(logging.ERROR)
        client = SocketModeClient(
            self._app_token,
            logger=logger,
            web_client=self._web_client,
            ping_interval=PING_SECONDS,
            receive_buffer_size=16_384,
            concurrency=1,  # one after the other: a person's words keep their order
        )
        client.message_listeners.append(self._on_message)
        self._client = client
        try:
            attempt = 0
            while not self._stopping.is_set():
                if self._silent_for() > self._silence or not client.is_connected():
                    attempt = 0 if self._reconnect(client) else attempt + 1
                    if attempt:
                        self._stopping.wait(self._backoff.pause(attempt - 1))
                        continue
                self._take(client, self._waiting())
        finally:
            client.close()

    def stop(self) -> None:
        """Ask `run` to return soon (thread-safe)."""
        self._stopping.set()
        self._envelopes.put(None)

    def _reconnect(self, client: SocketModeClient) -> bool:
        """Open a new socket, then leave the old one."""
        try:
            client.connect_to_new_endpoint(force=True)
        except (SlackClientError, OSError, ValueError) as error:
            log.warning("slack_socket_not_opened", cause=f"{type(error).__name__}: {error}"[:300])
            return False
        if not client.is_connected():
            log.warning("slack_socket_not_opened", cause="no connection")
            return False
        self._heard_at = time.monotonic()
        log.info("slack_socket_opened")
        return True

    def _silent_for(self) -> float:
        """Return the seconds since anything came: a message, or a pong to one of our pings."""
        session = self._client.current_session if self._client else None
        pong = session.last_ping_pong_time if session else None
        silent = time.monotonic() - self._heard_at
        return silent if pong is None else min(silent, max(0.0, time.time() - pong))

    def _on_message(self, _client: BaseSocketModeClient, message: dict[str, Any], _raw: str | None) -> None:
        """Called on slack_sdk's thread."""
        self._heard_at = time.monotonic()
        if message.get("envelope_id"):
            self._envelopes.put(message)

    def _waiting(self) -> list[dict[str, Any]]:
        """Return the envelopes that have come; none after a second."""
        waiting: list[dict[str, Any]] = []
        try:
            item = self._envelopes.get(timeout=WATCH_SECONDS)
            while item is not None:
                waiting.append(item)
                if len(waiting) == MOST_AT_ONCE:
                    break
                item = self._envelopes.get_nowait()
        except queue.Empty:
            pass
        return waiting

    def _take(self, client: SocketModeClient, envelopes: list[dict[str, Any]]) -> None:
        if not envelopes:
            return
        known = [
            (KINDS[kind], envelope.get("payload"))
            for envelope in envelopes
            if (kind := envelope.get("type", "")) in KINDS
        ]
        try:
            self._inbound.take(known)
            for envelope in envelopes:
                client.send_socket_mode_response({"envelope_id": envelope["envelope_id"]})
        except Temporary as error:
            log.warning("slack_envelopes_not_taken", envelopes=len(envelopes), cause=str(error))
        except (SlackClientError, OSError, AttributeError) as error:
            # the socket went between the two: Slack sends them again, and their ids are known
            log.warning("slack_envelopes_not_acknowledged", cause=type(error).__name__)
