"""A TCP proxy that misbehaves on demand: cuts, stalls (half-open connections), refuses, and slows down."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections import deque
from typing import Self

CHUNK = 65_536


class Proxy:
    """Listens on `port` and forwards to `target`, both on this machine."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.latency = 0.0
        """Seconds that each chunk takes longer, in each direction."""
        self._flowing = threading.Event()
        self._flowing.set()
        self._refusing = False
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self.heal()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.cut()
        self._thread.join(5)

    def cut(self) -> None:
        """Close every connection at once."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for side in pair:
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)

    def away(self) -> None:
        """Be gone: what is open is cut, what is new is closed at once."""
        self._refusing = True
        self.cut()

    def stall(self) -> None:
        """Let nothing through, and close nothing: both sides see a connection that is open and silent."""
        self._flowing.clear()

    def heal(self) -> None:
        """Work again. What was stalled goes on as if nothing had been."""
        self._refusing = False
        self.latency = 0.0
        self._flowing.set()

    def _accept(self) -> None:
        while not self._stopping:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            if self._refusing:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._flowing.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        back = threading.Thread(target=self._forward, args=(server, client), daemon=True)
        back.start()
        self._forward(client, server)
        back.join()
        with self._lock:
            self._pairs.discard(pair)
        for side in pair:
            side.close()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        """Carry bytes until either side ends. What is late waits in order; nothing is read while it is stalled."""
        late: deque[tuple[float, bytes]] = deque()
        open_ = True
        try:
            while open_ or late:
                self._flowing.wait()
                pause = max(0.0, late[0][0] - time.monotonic()) if late else 0.5
                if open_ and select.select([source], [], [], pause)[0]:
                    chunk = source.recv(CHUNK)
                    open_ = bool(chunk)
                    if chunk and self.latency:
                        late.append((time.monotonic() + self.latency, chunk))
                    elif chunk:
                        self._flowing.wait()
                        sink.sendall(b"".join(part for _, part in late) + chunk)
                        late.clear()
                elif not open_ and late:
                    time.sleep(pause)
                while late and late[0][0] <= time.monotonic():
                    self._flowing.wait()
                    sink.sendall(late.popleft()[1])
        except (OSError, ValueError):
            pass
        finally:
            for side in (source, sink):
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
