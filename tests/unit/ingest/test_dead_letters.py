"""What the broker gave up on: where it came from and why."""

from __future__ import annotations

from datetime import date
from typing import Any

from common.bus.port import Delivery
from services.ingest.dead_letters import before_death, death_key, reason_of_death


def dead(headers: dict[str, Any], message_id: str | None = "m-1") -> Delivery:
    return Delivery(
        queue="securitybot.dead", exchange="securitybot.dead", routing_key="ReplyReceived", body=b"{}",
        message_id=message_id, type="ReplyReceived", correlation_id=None, headers=headers, content_type=None,
        redelivered=False, tag=None,
    )  # fmt: skip


def death(queue: str, reason: str = "delivery_limit", exchange: str = "securitybot.events") -> dict[str, Any]:
    return {"queue": queue, "reason": reason, "exchange": exchange, "routing-keys": ["ReplyReceived"], "count": 1}


def test_exchange_routing_key_and_queue_are_those_before_death() -> None:
    before = before_death(
        dead({"x-death": [death("securitybot.dispatcher")], "x-first-death-queue": "q", "version": 1, "owner": "U1"})
    )
    assert (before.exchange, before.routing_key) == ("securitybot.events", "ReplyReceived")
    assert before.queue == "securitybot.dispatcher"
    assert before.headers == {"version": 1, "owner": "U1"}


def test_the_death_counts_that_the_broker_lists_first_and_none_that_a_publisher_wrote() -> None:
    headers = {"x-death": [death("securitybot.ingest"), death("forged", "expired", "securitybot.events")]}
    assert before_death(dead(headers)).queue == "securitybot.ingest"
    assert "from queue securitybot.ingest" in reason_of_death(dead(headers))


def test_the_reason_names_what_happened_and_where() -> None:
    assert reason_of_death(dead({"x-death": [death("securitybot.dispatcher")]})) == (
        "dead-lettered: delivery_limit after 20 redeliveries from queue securitybot.dispatcher"
    )
    assert reason_of_death(dead({"x-death": [death("q", "expired")]})) == "dead-lettered: expired from queue q"


def test_a_dead_letter_without_its_story_is_kept_all_the_same() -> None:
    stories: list[dict[str, Any]] = [{}, {"x-death": "gone"}, {"x-death": []}, {"x-death": ["gone"]}]
    for headers in stories:
        assert reason_of_death(dead(headers)) == "dead-lettered: the broker does not say why"
        assert before_death(dead(headers)).exchange == "securitybot.dead"


def test_two_queues_that_gave_up_on_the_same_message_are_two_dead_letters() -> None:
    one, other = (dead({"x-death": [death(queue)]}) for queue in ("dispatcher", "auth-poller"))
    today = date(2026, 3, 3)
    assert death_key(one, today) == death_key(dead({"x-death": [death("dispatcher")]}), today)
    assert death_key(one, today) != death_key(other, today)
