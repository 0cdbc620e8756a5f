"""Messages that can never be handled: none stops a queue, each is in the quarantine with a reason, once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from typing import Any

import pika
import pytest

from tests.faults.conftest import LONG, Broken
from tests.faults.mutations import mutated
from tests.outside import alert
from tests.waiting import eventually

NUMBER = 10_000 if LONG else 600
PERSON = {"person_id": "U1", "received_at": "2026-03-03T12:00:00Z", "text": "yes"}
GOOD: dict[str, dict[str, Any]] = {
    "ReplyReceived": PERSON,
    "SendChatMessage": {"recipient": {"kind": "person", "id": "U1"}, "sequence": 1, "content": {"summary": "x"}},
    "StartAuthentication": {
        "request_id": "r", "person_id": "U1", "username": "u", "title": "t", "expires_at": "2026-03-03T12:00:00Z",
    },
}  # fmt: skip


def publish(place: Broken, exchange: str, key: str, messages: list[tuple[bytes, pika.BasicProperties]]) -> None:
    """Publish raw messages."""
    connection = pika.BlockingConnection(pika.URLParameters(place.stack.amqp_url))
    channel = connection.channel()
    channel.confirm_delivery()
    for body, properties in messages:
        channel.basic_publish(exchange, key, body, properties, mandatory=True)
    connection.close()


def quarantined(place: Broken) -> Counter[str]:
    """Return how often each message is in the quarantine."""
    rows = place.stack.rows("SELECT message_id, reason FROM quarantine WHERE message_id LIKE 'mutated-%'")
    assert all(row["reason"] for row in rows)
    return Counter(row["message_id"] for row in rows)


def handled(place: Broken, among: Collection[str]) -> Counter[str]:
    """Return how many services have dealt with each message, one way or the other."""
    rows = place.stack.rows("SELECT message_id FROM inbox WHERE message_id LIKE 'mutated-%'")
    return Counter(row["message_id"] for row in rows if row["message_id"] in among)


def test_mutated_alerts_are_quarantined_one_by_one(place: Broken) -> None:
    messages = list(mutated(alert("nobody", "mutated"), NUMBER, seed=1))
    publish(place, "securitybot.alerts", "alert.mutations", messages)
    place.send(5, "beside the poison")
    expected = {properties.message_id for _, properties in messages}
    eventually(lambda: len(quarantined(place)) == len(expected), 120 if LONG else 30, every=0.5)
    assert quarantined(place) == Counter(expected)
    bodies = {properties.message_id: body for body, properties in messages}
    for row in place.stack.rows("SELECT message_id, body FROM quarantine WHERE message_id LIKE 'mutated-1-%'"):
        assert bytes(row["body"]) == bodies[row["message_id"]]
    place.quarantined += len(expected)
    place.verify()


@pytest.mark.parametrize("kind", list(GOOD))
def test_mutated_messages_on_the_internal_exchange_stop_nothing(place: Broken, kind: str) -> None:
    seed = sorted(GOOD).index(kind) + 2
    messages = list(mutated(GOOD[kind], NUMBER // 3, seed, kind))
    publish(place, "securitybot.events", kind, messages)
    place.send(5, f"beside the poison of {kind}")
    queues = 2 if kind == "ReplyReceived" else 1
    expected = Counter({str(properties.message_id): queues for _, properties in messages})
    eventually(lambda: handled(place, expected) == expected, 60, every=0.5)
    found = {name: times for name, times in quarantined(place).items() if name in expected}
    assert max(found.values()) <= queues
    assert len(found) > len(messages) / 2
    place.quarantined += sum(found.values())
    place.verify()


def test_a_message_whose_handling_always_fails_can_be_looked_at_and_dropped(place: Broken) -> None:
    body = json.dumps({**PERSON, "person_id": "U" * 300}).encode()  # longer than the record's column
    properties = pika.BasicProperties(message_id="mutated-poison", type="ReplyReceived", delivery_mode=2)
    properties.headers = {"version": 1}
    publish(place, "securitybot.events", "ReplyReceived", [(body, properties)])
    place.send(5, "beside what always fails")
    eventually(lambda: quarantined(place)["mutated-poison"], 20)
    place.quarantined += quarantined(place)["mutated-poison"]
    place.verify()
    (row,) = place.stack.rows("SELECT id FROM quarantine WHERE message_id = 'mutated-poison'")
    shown = json.loads(place.stack.run("quarantine", "show", str(row["id"]), "--json").stdout)
    assert shown["reason"].startswith("could not be handled")
    place.stack.run("quarantine", "drop", str(row["id"]), "--note", "a test")
    (row,) = place.stack.rows("SELECT state, note FROM quarantine WHERE message_id = 'mutated-poison'")
    assert (row["state"], row["note"]) == ("dropped", "a test")
