"""Reading a message's headers whatever a publisher has put there. Importing this changes pika.

pika raises for some headers that the broker takes: a timestamp outside the years 1 to 9999 (milliseconds, or Go's zero
time), a number that is none, tables in tables a thousand deep. It then ends the connection, the broker sends the same
message again over the next one, and nothing behind it ever arrives.
"""

from __future__ import annotations

import struct
from typing import Any

import pika.data

UNDECODABLE = "undecodable"
"""The one header that stands for those that cannot be read."""
_decode_table = pika.data.decode_table


def decode_table(encoded: bytes, offset: int) -> tuple[dict[Any, Any], int]:
    """Decode as pika does, and pass over a table that pika cannot read: its size stands before it.

    A table within another comes here too, by pika's own call, and the outer one loses no more than that.
    """
    (size,) = struct.unpack_from(">I", encoded, offset)
    end = offset + 4 + size
    try:
        table, read = _decode_table(encoded, offset)
    except Exception:  # noqa: BLE001 - whatever pika raises: none of it may reach the connection
        return {UNDECODABLE: True}, end
    return (table, end) if read == end else ({UNDECODABLE: True}, end)


if _decode_table.__module__ != __name__:  # once, should this be loaded again
    pika.data.decode_table = decode_table
