"""The outcome message against CloudEvents 1.0 and the contract."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.alerts import Resolution
from common.topology import OUTCOMES
from services.dispatcher.outcomes import outcome

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
ALERT: dict[str, Any] = {
    "id": 7, "hash": "a" * 64, "owner": "alice", "title": "sudo", "description": "d 😀", "reason": None, "url": None,
    "severity": "high", "source": "osquery", "event_time": NOW - timedelta(hours=1),
    "received_at": NOW - timedelta(minutes=5), "last_seen_at": NOW, "context": {"pid": 1}, "occurrences": 3,
    "person_id": "U1", "matched_by": "username", "question_id": "q", "escalate_at": NOW, "status": "verifying",
    "resolution": "denied", "performed": False, "authenticated": None, "comment": "not me",
    "asked_at": NOW - timedelta(minutes=4), "responded_at": NOW, "resolved_at": NOW, "closed_at": None,
}  # fmt: skip
CONTRACT = {"resolution", "performed", "comment", "authenticated", "responded_at", "closed_at"}
ALERTS_OWN = {
    "hash", "owner", "title", "description", "reason", "url", "event_time", "severity", "source", "context",
}  # fmt: skip


def event(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(outcome(ALERT | changes, NOW).body)
    return body


def test_the_attributes_that_cloudevents_requires_are_there() -> None:
    made = event()
    assert made["specversion"] == "1.0"
    assert made["type"] == "securitybot.alert.closed.v1"
    assert made["subject"] == "a" * 64
    assert made["datacontenttype"] == "application/json"
    for name in ("id", "source"):
        assert isinstance(made[name], str)
        assert made[name]
    assert datetime.fromisoformat(made["time"]) == NOW
    assert all(name.isalnum() and name.islower() for name in made), "attribute names by the specification"


def test_the_data_is_the_alert_with_what_the_contract_promises() -> None:
    data = event()["data"]
    assert set(data) >= CONTRACT | ALERTS_OWN
    assert (data["resolution"], data["performed"], data["authenticated"]) == ("denied", False, None)
    assert (data["comment"], data["context"]) == ("not me", {"pid": 1})
    assert data["responded_at"] == data["closed_at"] == "2026-03-03T12:00:00Z"


def test_nothing_of_the_record_that_is_nobodys_business_is_in_it() -> None:
    assert not {"id", "question_id", "escalate_at"} & set(event()["data"])


@pytest.mark.parametrize("resolution", Resolution)
def test_it_is_routed_by_its_resolution(resolution: Resolution) -> None:
    publication = outcome(ALERT | {"resolution": resolution.value}, NOW)
    assert (publication.exchange, publication.routing_key) == (OUTCOMES, f"outcome.{resolution}")
    assert publication.content_type == "application/cloudevents+json"
    assert publication.correlation_id == "a" * 64
    assert not publication.mandatory, "anybody or nobody may listen"


def test_made_again_it_has_the_same_id_and_another_alert_has_another() -> None:
    again = outcome(ALERT, NOW + timedelta(days=1))
    assert outcome(ALERT, NOW).message_id == again.message_id == event()["id"]
    assert event(hash="b" * 64)["id"] != event()["id"]
