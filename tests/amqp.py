"""AMQP's field values as bytes, for headers that pika has no way to write."""

from __future__ import annotations

import struct
from typing import Any

import pika.data
import pytest


class Raw(bytes):
    """A field value as it stands on the wire: its type, then the rest."""


def timestamp(seconds: int) -> Raw:
    """A point in time, in seconds since 1970 without sign."""
    return Raw(b"T" + struct.pack(">Q", seconds))


def string(text: str) -> Raw:
    """A long string."""
    return Raw(b"S" + struct.pack(">I", len(text)) + text.encode())


def table(**fields: bytes) -> bytes:
    """A table with its size before it; as a field value it has an `F` before that."""
    fields_ = b"".join(bytes([len(name)]) + name.encode() + value for name, value in fields.items())
    return struct.pack(">I", len(fields_)) + fields_


def deep(levels: int, kind: str = "table") -> Raw:
    """A table within a table within a table, or the same with arrays."""
    value = b"V"
    for _ in range(levels):
        value = b"F" + table(a=value) if kind == "table" else b"A" + struct.pack(">I", len(value)) + value
    return Raw(value)


def teach_pika_raw_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pika send `Raw` header values as they stand."""
    encode_value = pika.data.encode_value

    def encode(pieces: list[bytes], value: Any) -> int:
        if isinstance(value, Raw):
            pieces.append(bytes(value))
            return len(value)
        size: int = encode_value(pieces, value)
        return size

    monkeypatch.setattr(pika.data, "encode_value", encode)
