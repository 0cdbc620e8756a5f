"""A small HTTP/1.1 server on threads: one request a connection, as slack_sdk makes them, and quick to answer."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

THREADS = 48
MOST_HEADER = 65_536


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def arguments(self) -> dict[str, Any]:
        """Return a JSON object's or a form's fields."""
        if self.headers.get("content-type", "").startswith("application/json"):
            return dict(json.loads(self.body or b"{}"))
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What goes out; `headers` besides the usual, or in their place."""

    status: int
    body: bytes
    headers: Mapping[str, str]


Respond = Callable[[HttpRequest], HttpAnswer | None]
"""None: close the connection without a word."""


class HttpServer:
    """Threads that accept, read, answer, close."""

    def __init__(self, respond: Respond, port: int = 0) -> None:
        self._respond = respond
        self._socket = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError, ValueError):
                connection.settimeout(30)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        request = _read(connection)
        answer = self._respond(request) if request else None
        if answer is None:
            return
        usual = {"Content-Type": "application/json", "Connection": "close", "Content-Length": len(answer.body)}
        head = [f"HTTP/1.1 {answer.status} Fake"]
        head += [f"{name}: {value}" for name, value in {**usual, **answer.headers}.items()]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + answer.body)


def _read(connection: socket.socket) -> HttpRequest | None:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65_536)
        if not chunk or len(data) > MOST_HEADER:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    missing = int(headers.get("content-length", "0")) - len(body)
    parts = [body]
    while missing > 0:
        chunk = connection.recv(min(missing, 65_536))
        if not chunk:
            return None
        parts.append(chunk)
        missing -= len(chunk)
    return HttpRequest(method, path, headers, b"".join(parts))
