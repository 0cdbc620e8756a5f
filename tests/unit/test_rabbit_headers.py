"""Headers on the wire, as a publisher may write them and pika itself never would."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pika.data
import pika.frame
import pytest
from pika.spec import FRAME_END, FRAME_HEADER, BasicProperties

from common.bus import rabbit_headers
from tests.amqp import deep, string, table, timestamp

ZERO_OF_GO = -62135596800 % 2**64


def decoded(headers: bytes) -> BasicProperties:
    """Decode a header frame with `headers` and the message id `m`; all of the frame has to be used."""
    flags = BasicProperties.FLAG_HEADERS | BasicProperties.FLAG_MESSAGE_ID
    payload = struct.pack(">HHQH", BasicProperties.INDEX, 0, 3, flags) + headers + b"\x01m"
    raw = struct.pack(">BHI", FRAME_HEADER, 1, len(payload)) + payload + bytes([FRAME_END])
    used, frame = pika.frame.decode_frame(raw + b"the next frame")
    assert used == len(raw)
    properties: BasicProperties = frame.properties
    return properties


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(timestamp(1_772_539_200_000), id="a timestamp in milliseconds"),
        pytest.param(timestamp(ZERO_OF_GO), id="the zero time of Go"),
        pytest.param(timestamp(2**63), id="a timestamp of 2**63"),
        pytest.param(b"d" + struct.pack(">d", float("nan")), id="a number that is none"),
        pytest.param(b"f" + struct.pack(">f", float("inf")), id="infinity"),
        pytest.param(b"?" + b"1234", id="a type that is not known"),
        pytest.param(b"S" + struct.pack(">I", 2**31), id="a text that does not end"),
    ],
)
def test_headers_that_cannot_be_read_are_passed_over_and_what_follows_is_read(value: bytes) -> None:
    properties = decoded(table(version=string("1"), bad=value, owner=string("U1")))

    assert properties.headers == {rabbit_headers.UNDECODABLE: True}
    assert properties.message_id == "m"


@pytest.mark.parametrize("kind", ["table", "array"])
def test_headers_nested_a_thousand_deep_are_passed_over_where_it_is_too_deep(kind: str) -> None:
    properties = decoded(table(deep=deep(10_000, kind), owner=string("U1")))

    assert properties.message_id == "m"
    if kind == "table":
        assert properties.headers.keys() == {"deep", "owner"}
    else:
        assert properties.headers == {"undecodable": True}


def test_of_headers_in_which_only_an_inner_table_cannot_be_read_the_rest_is_kept() -> None:
    inner = b"F" + table(at=timestamp(2**63))

    properties = decoded(table(inner=inner, owner=string("U1")))

    assert properties.headers == {"inner": {"undecodable": True}, "owner": "U1"}


def test_headers_that_can_be_read_are_what_they_were() -> None:
    properties = decoded(table(at=timestamp(0), inner=b"F" + table(n=b"I\0\0\0\7"), nothing=b"V"))

    assert properties.headers == {"at": datetime(1970, 1, 1, tzinfo=UTC), "inner": {"n": 7}, "nothing": None}
    assert decoded(table()).headers == {}


def test_the_other_properties_of_a_message_are_read_whatever_they_say() -> None:
    """They are numbers and short strings; pika leaves bytes where a string is no text."""
    noise = b"\x02\xff\xfe"
    flags = 0xFFFC & ~BasicProperties.FLAG_HEADERS
    written = [noise * 2, b"\xff\xff", noise * 4, b"\xff" * 8, noise * 4]

    properties = BasicProperties().decode(struct.pack(">H", flags) + b"".join(written))

    assert properties.timestamp == 2**64 - 1
    assert properties.message_id == properties.cluster_id == b"\xff\xfe"


def test_pika_is_mended_once() -> None:
    assert pika.data.decode_table is rabbit_headers.decode_table
    assert rabbit_headers._decode_table.__module__ == "pika.data"
