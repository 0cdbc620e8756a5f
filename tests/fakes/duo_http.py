"""The least HTTP/1.1 server that the fake Duo needs: one request a connection, and answers that can get lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: str

    def parameters(self) -> dict[str, str]:
        """Return what the caller sent, in the query, as a form or as JSON."""
        if "json" in self.headers.get("content-type", "") and self.body:
            loaded = json.loads(self.body)
            return {str(key): str(value) for key, value in loaded.items()}
        return dict(parse_qsl(self.query if self.method == "GET" else self.body, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: str

    @classmethod
    def nothing(cls) -> Self:
        """Return the reply that is never sent: the connection closes instead."""
        return cls(0, "")


class Exchange:
    """The connection of one request, for handlers that wait."""

    def __init__(self, reader: asyncio.StreamReader, closing: asyncio.Event) -> None:
        self._gone = asyncio.ensure_future(reader.read(1))
        self._closing = asyncio.ensure_future(closing.wait())

    async def closed(self) -> None:
        """Wait until the client hangs up or the server stops."""
        await asyncio.wait([self._gone, self._closing], return_when=asyncio.FIRST_COMPLETED)

    async def first(self, work: Awaitable[Any], seconds: float) -> None:
        """Wait for `work`, but no longer than `seconds`, the client or the server."""
        task = asyncio.ensure_future(work)
        await asyncio.wait([task, self._gone, self._closing], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        await _ended(task)

    async def end(self) -> None:
        """Stop watching."""
        await _ended(self._gone)
        await _ended(self._closing)


async def _ended(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError):
        await task


Handler = Callable[[HttpRequest, Exchange], Awaitable[Reply]]


async def serve(
    handler: Handler, closing: asyncio.Event, port: int, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> asyncio.Server:
    """Listen on `port` (0: a free one); `closing` ends every waiting handler."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            if request is not None:
                exchange = Exchange(reader, closing)
                try:
                    reply = await handler(request, exchange)
                finally:
                    await exchange.end()
                if reply.status:
                    writer.write(_encoded(reply))
                    await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client hung up, which is its right
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    return await asyncio.start_server(connected, host, port, ssl=tls, backlog=1024)


async def _read(reader: asyncio.StreamReader) -> HttpRequest | None:
    line = (await reader.readline()).decode("latin-1").split()
    if len(line) != 3:
        return None
    headers: dict[str, str] = {}
    while raw := (await reader.readline()).decode("latin-1").strip():
        name, _, value = raw.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    target = urlsplit(line[1])
    return HttpRequest(line[0], target.path, target.query, headers, body.decode())


def _encoded(reply: Reply) -> bytes:
    body = reply.body.encode()
    head = (
        f"HTTP/1.1 {reply.status} {'OK' if reply.status < 400 else 'Error'}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
