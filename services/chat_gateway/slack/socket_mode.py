"""Events and clicks over Slack's Socket Mode: acknowledged only once they are safe, and never from a deaf socket."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

from slack_sdk.errors import SlackClientError

from common.errors import Temporary
from common.logs import get_logger
from common.retry import Backoff
from services.chat_gateway.port import ChatFailure, ChatRateLimited
from services.chat_gateway.slack.inbound import Inbound, Kind
from services.chat_gateway.slack.socket import Socket
from services.chat_gateway.slack.web import SlackWeb

log = get_logger(__name__)

SILENCE_SECONDS = 10.0
"""Without a pong, a message or a new connection for so long, the socket is taken for deaf."""
WATCH_SECONDS = 1.0
MOST_AT_ONCE = 100
KINDS: dict[str, Kind] = {"events_api": "event", "interactive": "click"}

Envelope = tuple[Socket, dict[str, Any]]


class SocketMode:
    """Keeps a socket open; envelopes are translated and published on `run`'s thread, in the order of their arrival."""

    name = "slack-socket"

    def __init__(
        self,
        app_token: str,
        web: SlackWeb,
        inbound: Inbound,
        *,
        silence: float = SILENCE_SECONDS,
        backoff: Backoff | None = None,
    ) -> None:
        self._app_token = app_token
        self._web = web
        self._inbound = inbound
        self._silence = silence
        self._backoff = backoff or Backoff(first=1.0, longest=30.0)
        self._envelopes: queue.SimpleQueue[Envelope | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._socket: Socket | None = None

    def connected(self) -> bool:
        """Tell whether the socket is open and was heard of lately."""
        return self._socket is not None and self._socket.alive(self._silence)

    def run(self) -> None:
        """Listen until `stop`."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                if not self.connected():
                    self._replace()
            except ChatFailure as error:
                pause = error.retry_after if isinstance(error, ChatRateLimited) else self._backoff.pause(attempt)
                attempt += 1
                log.warning("slack_socket_not_opened", cause=str(error), seconds=round(pause, 1), attempt=attempt)
                self._take_for(pause)
            else:
                attempt = 0
                self._take(self._waiting(WATCH_SECONDS))
        if self._socket is not None:
            self._socket.leave()

    def stop(self) -> None:
        """Ask `run` to return soon (thread-safe)."""
        self._stopping.set()
        self._envelopes.put(None)

    def _replace(self) -> None:
        """Open a new socket, and only then leave the old one.

        Raises:
            ChatFailure: it cannot be opened now.
        """
        fresh = Socket(self._app_token, self._web, lambda socket, body: self._envelopes.put((socket, body)))
        try:
            fresh.open()
        except ChatFailure:
            fresh.leave()
            raise
        old, self._socket = self._socket, fresh
        log.info("slack_socket_opened", replaces_another=old is not None)
        if old is not None:
            old.leave()

    def _take_for(self, seconds: float) -> None:
        """Take what comes meanwhile: a socket that Slack wants replaced still delivers until it is closed."""
        ends = time.monotonic() + seconds
        while not self._stopping.is_set() and (left := ends - time.monotonic()) > 0:
            self._take(self._waiting(left))

    def _waiting(self, seconds: float) -> list[Envelope]:
        """Return the envelopes that have come; none after `seconds`."""
        waiting: list[Envelope] = []
        try:
            item = self._envelopes.get(timeout=seconds)
            while item is not None:
                waiting.append(item)
                if len(waiting) == MOST_AT_ONCE:
                    break
                item = self._envelopes.get_nowait()
        except queue.Empty:
            pass
        return waiting

    def _take(self, envelopes: list[Envelope]) -> None:
        if not envelopes:
            return
        known = [(KINDS[body["type"]], body.get("payload")) for _, body in envelopes if body.get("type") in KINDS]
        try:
            self._inbound.take(known)
        except Temporary as error:
            log.warning("slack_envelopes_not_taken", envelopes=len(envelopes), cause=str(error))
            return
        for socket, body in envelopes:
            try:
                socket.send_socket_mode_response({"envelope_id": body["envelope_id"]})
            except (SlackClientError, OSError) as error:
                # its socket went in the meantime: Slack sends it again, and its id is known
                log.warning("slack_envelope_not_acknowledged", cause=type(error).__name__)
