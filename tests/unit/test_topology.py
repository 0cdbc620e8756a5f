"""Exchanges, queues and bindings."""

from __future__ import annotations

from common.messages import ALL_MESSAGES
from common.topology import (
    ALERTS,
    DEAD,
    DELIVERY_LIMIT,
    EVENTS,
    INGEST_QUEUE,
    NEVER,
    OUTCOMES,
    TOPOLOGY,
    Binding,
    Topology,
    retry_key,
)


def test_the_exchanges_of_the_contract_are_topic_exchanges() -> None:
    types = {exchange.name: exchange.type for exchange in TOPOLOGY.exchanges}

    assert types == {ALERTS: "topic", OUTCOMES: "topic", EVENTS: "topic", DEAD: "topic"}
    assert (ALERTS, OUTCOMES) == ("securitybot.alerts", "securitybot.outcomes")


def test_every_message_has_a_queue_that_takes_it() -> None:
    bound = {binding.routing_key for queue in TOPOLOGY.queues for binding in queue.bindings}

    assert {message.type_name() for message in ALL_MESSAGES} <= bound


def test_every_binding_names_a_message_that_there_is() -> None:
    known = {message.type_name() for message in ALL_MESSAGES}

    internal = [binding for queue in TOPOLOGY.queues for binding in queue.bindings if binding.exchange == EVENTS]

    own = {retry_key(queue.name) for queue in TOPOLOGY.queues}
    assert {binding.routing_key for binding in internal} <= known | own


def test_every_exchange_that_is_bound_is_declared() -> None:
    declared = {exchange.name for exchange in TOPOLOGY.exchanges}

    assert {binding.exchange for queue in TOPOLOGY.queues for binding in queue.bindings} <= declared


def test_alerts_of_every_source_go_to_ingest() -> None:
    assert INGEST_QUEUE.bindings == (Binding(ALERTS, "#"),)


def test_every_queue_is_a_quorum_queue_and_all_but_the_dead_letters_dead_letter_at_least_once() -> None:
    for queue in TOPOLOGY.queues:
        assert queue.arguments["x-queue-type"] == "quorum"
        assert queue.arguments["x-overflow"] == "reject-publish", "at-least-once dead letters need it"
        if queue.name == DEAD:
            assert "x-dead-letter-exchange" not in queue.arguments
            assert queue.arguments["x-delivery-limit"] == NEVER, "RabbitMQ 4 would drop dead letters"
        else:
            assert queue.arguments["x-dead-letter-exchange"] == DEAD
            assert queue.arguments["x-dead-letter-strategy"] == "at-least-once"
            assert queue.arguments["x-delivery-limit"] == DELIVERY_LIMIT


def test_the_dead_letter_queue_is_declared_before_the_queues_that_need_it() -> None:
    assert TOPOLOGY.queues[0].name == DEAD


def test_queue_names_are_unique() -> None:
    names = [queue.name for queue in Topology().queues]

    assert len(set(names)) == len(names)
