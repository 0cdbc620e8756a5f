"""Bodies and headers that nobody should send: mutated from good ones, by a seed, so that a find can be repeated."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pika

KIB = 1024
HEADERS: tuple[dict[str, Any], ...] = (
    {}, {"owner": "U1"}, {"x-death": "not a list"}, {"x-death": [{"queue": 1}]}, {"": ""}, {"traceparent": "00-x"},
    {"x" * 200: "y" * 2000}, {"nested": {"a": [1, {"b": None}]}}, {"x-delivery-count": -1}, {"bytes": b"\xff\x00"},
)  # fmt: skip


def mutated(
    good: dict[str, Any], number: int, seed: int, kind: str = "AlertAccepted"
) -> Iterator[tuple[bytes, pika.BasicProperties]]:
    """Yield `number` bodies that each differ from `good`, with properties that may be hostile too."""
    chance = random.Random(seed)
    for index in range(number):
        body = chance.choice(MUTATIONS)(json.dumps(good).encode(), chance)
        if index % 200 == 0:
            body = b'{"title": "' + b"a" * (64 * KIB) + b'"}'
        if index % 1000 == 1:
            body = b"[" * (KIB * KIB)
        yield body, _properties(chance, f"mutated-{seed}-{index}", kind)


def _properties(chance: random.Random, message_id: str, kind: str) -> pika.BasicProperties:
    version = {"version": 1} if chance.random() < 0.7 else {}  # without it, a message is refused at a glance
    return pika.BasicProperties(
        message_id=message_id,
        content_type=chance.choice(["application/json", "text/plain", "", "\u00e9" * 50]),
        type=chance.choice([kind, kind, kind, kind, None, "AlertAccepted", "Nothing", "x" * 255]),
        correlation_id=chance.choice([None, "0" * 64, "\n{}", "x" * 255]),
        headers=chance.choice(HEADERS) | version,
        delivery_mode=2,
    )


def _truncated(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body))]


def _flipped(body: bytes, chance: random.Random) -> bytes:
    changed = bytearray(body)
    for _ in range(chance.randrange(1, 8)):
        changed[chance.randrange(len(changed))] = chance.randrange(128, 256)
    return bytes(changed)


def _noise(_: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(0, 500))


def _nested(_: bytes, chance: random.Random) -> bytes:
    depth = chance.choice([50, 1000, 20_000])
    return b'{"a":' * depth + b"1" + b"}" * depth


def _wrong_type(body: bytes, chance: random.Random) -> bytes:
    value = json.loads(body)
    value[chance.choice(sorted(value))] = chance.choice([None, 1, -1.5, True, [], {}, "", "x" * 20_000, [[]], {"a": 1}])
    value["extra"] = chance.random()
    del value[chance.choice([name for name in sorted(value) if name != "extra"])]
    return json.dumps(value).encode()


def _huge_number(_: bytes, chance: random.Random) -> bytes:
    return b'{"title": ' + b"9" * chance.choice([30, 400, 5000]) + b', "owner": 1e999, "description": NaN}'


def _twice(body: bytes, chance: random.Random) -> bytes:
    key = chance.choice(sorted(json.loads(body)))
    return body[:-1] + f', "{key}": "again"}}'.encode()


def _not_an_object(_: bytes, chance: random.Random) -> bytes:
    return chance.choice([b"null", b"[]", b'"text"', b"0", b"[{}]", b"\xef\xbb\xbf{}", b"{}", b" ", b"{}{}"])


def _surrogates(_: bytes, __: random.Random) -> bytes:
    return b'{"title": "\\ud800", "owner": "\\u0000", "description": "\xed\xa0\x80"}'


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _truncated, _flipped, _noise, _nested, _wrong_type, _huge_number, _twice, _not_an_object, _surrogates,
)  # fmt: skip
