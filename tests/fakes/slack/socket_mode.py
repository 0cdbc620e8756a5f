"""The Socket Mode side: a websocket that says hello, delivers envelopes, and sends those again that nobody took."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tests.fakes.slack.workspace import APP, Object


@dataclass(slots=True)
class _Envelope:
    body: Object
    sent_at: float | None = None
    tries: int = 0


class SocketModeServer:
    """Accepts any number of connections; each envelope goes to one of them, as at Slack."""

    def __init__(self, port: int = 0, resend_after: float = 1.0) -> None:
        self.resend_after = resend_after
        self.acknowledged: list[str] = []
        self.connections_made = 0
        self.mute_next = False
        """The next connection says hello and nothing after it: open and deaf."""
        self._lock = threading.RLock()
        self._connections: list[ServerConnection] = []
        self._muted: list[ServerConnection] = []
        self._waiting: OrderedDict[str, _Envelope] = OrderedDict()
        self._stopping = threading.Event()
        self._server: Server = serve(self._handle, "127.0.0.1", port, close_timeout=1)
        self.port: int = self._server.socket.getsockname()[1]
        self._threads = [
            threading.Thread(target=self._server.serve_forever, daemon=True),
            threading.Thread(target=self._send_again, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def url(self) -> str:
        """Return what `apps.connections.open` gives."""
        return f"ws://127.0.0.1:{self.port}/link/?ticket=fake&app_id={APP}"

    def deliver(self, envelope_id: str, kind: str, payload: Object) -> None:
        """Send an envelope, now or when somebody connects."""
        body = {"envelope_id": envelope_id, "type": kind, "accepts_response_payload": False, "payload": payload}
        with self._lock:
            self._waiting[envelope_id] = _Envelope(body)
        self._send_waiting()

    def unacknowledged(self) -> list[str]:
        """Return the envelopes that wait for their acknowledgement."""
        with self._lock:
            return list(self._waiting)

    def connections(self) -> int:
        """Return how many sockets are open."""
        with self._lock:
            return len(self._connections)

    def disconnect(self, reason: str = "refresh_requested") -> None:
        """Tell every client to open another socket."""
        for connection in self._open():
            _send(connection, {"type": "disconnect", "reason": reason, "debug_info": {}})

    def cut(self) -> None:
        """Close every socket without a word."""
        for connection in self._open():
            connection.socket.close()

    def stop(self) -> None:
        """Close everything."""
        self._stopping.set()
        self._server.shutdown()
        for connection in self._open():
            connection.close()
        for thread in self._threads:
            thread.join(5)

    def _open(self) -> list[ServerConnection]:
        with self._lock:
            return [*self._connections, *self._muted]

    def _handle(self, connection: ServerConnection) -> None:
        _send(connection, {"type": "hello", "num_connections": 1, "connection_info": {"app_id": APP},
                           "debug_info": {"approximate_connection_time": 18060}})  # fmt: skip
        with self._lock:
            self.connections_made += 1
            muted, self.mute_next = self.mute_next, False
            (self._muted if muted else self._connections).append(connection)
        if muted:
            connection.send_data = lambda: None  # type: ignore[method-assign]
        self._send_waiting()
        try:
            for message in connection:
                self._acknowledge(json.loads(message))
        except (ConnectionClosed, OSError, ValueError):
            pass
        finally:
            with self._lock:
                (self._muted if muted else self._connections).remove(connection)

    def _acknowledge(self, message: dict[str, Any]) -> None:
        with self._lock:
            envelope_id = str(message.get("envelope_id"))
            if self._waiting.pop(envelope_id, None) is not None:
                self.acknowledged.append(envelope_id)

    def _send_waiting(self) -> None:
        with self._lock:
            if not self._connections:
                return
            now = time.monotonic()
            for envelope in self._waiting.values():
                if envelope.sent_at is not None and now - envelope.sent_at < self.resend_after:
                    continue
                if envelope.tries:
                    envelope.body |= {"retry_attempt": envelope.tries, "retry_reason": "timeout"}
                envelope.tries += 1
                envelope.sent_at = now
                _send(self._connections[-1], envelope.body)

    def _send_again(self) -> None:
        while not self._stopping.wait(0.1):
            self._send_waiting()


def _send(connection: ServerConnection, message: Object) -> None:
    try:
        connection.send(json.dumps(message))
    except (ConnectionClosed, OSError):
        return  # the client is going; what was not acknowledged is sent again
