"""Unit tests open no sockets."""

from __future__ import annotations

import socket
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make connecting and listening fail; an event loop's own socket pair is no way out of the process."""

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a unit test opens no sockets: tests/integration is the place for that")

    for method in ("connect", "connect_ex", "bind"):
        monkeypatch.setattr(socket.socket, method, refuse)
