"""Who may do what, as a list; tests/integration/test_rights.py shows that broker and database keep to it."""

from __future__ import annotations

import hashlib
from base64 import b64decode

import pytest

from common.messages import ALL_MESSAGES, AuthenticationSettled, ReplyReceived
from common.records.schema import SCHEMA
from common.rights import CONSOLE_WITH_LOCAL_CHAT, PUBLISHER, SERVICES, rights_of_transactions
from common.topology import ALERTS, EVENTS, OUTCOMES, TOPOLOGY, retry_key
from services.cli.broker_definitions import definitions, one_of, password_hash
from services.cli.database_users import grant_statements, user_statements


def publishers(key: str) -> set[str]:
    return {name for name, rights in SERVICES.items() if rights.may_publish(EVENTS, key)}


def test_only_the_auth_poller_says_what_became_of_a_push() -> None:
    assert publishers(AuthenticationSettled.type_name()) == {"auth-poller"}


def test_only_the_gateway_says_what_a_person_said_unless_the_console_is_the_chat() -> None:
    assert publishers(ReplyReceived.type_name()) == {"chat-gateway"}
    assert CONSOLE_WITH_LOCAL_CHAT.may_publish(EVENTS, "ReplyReceived")


def test_every_message_has_a_service_that_publishes_it_from_the_outbox() -> None:
    with_outbox_sweep = set(SERVICES) - {"console"}
    for message in ALL_MESSAGES:
        assert publishers(message.type_name()) & with_outbox_sweep, message


def test_a_quarantined_message_is_sent_again_by_the_service_that_reads_its_queue() -> None:
    for queue in TOPOLOGY.queues:
        if any(binding.routing_key == retry_key(queue.name) for binding in queue.bindings):
            (name,) = publishers(retry_key(queue.name))
            assert queue in SERVICES[name].consumes


def test_a_publisher_publishes_alerts_and_nothing_else() -> None:
    assert PUBLISHER.may_publish(ALERTS, "alert.x")
    assert not PUBLISHER.may_publish(OUTCOMES, "outcome.confirmed")
    assert (PUBLISHER.event_keys, PUBLISHER.consumes, PUBLISHER.tables) == ((), (), {})


def test_every_table_is_somebodys_and_every_right_is_on_a_table() -> None:
    named = {table for rights in SERVICES.values() for table in rights.tables}
    assert named == {*SCHEMA.tables, "alembic_version"}


def test_nobody_changes_the_history_or_its_seals() -> None:
    for rights in SERVICES.values():
        for table in ("history", "history_seals"):
            assert set(rights.tables.get(table, "SELECT").split(", ")) <= {"INSERT", "SELECT"}


def test_transactions_that_are_no_services_may_publish_anything() -> None:
    assert rights_of_transactions("analyst:mara") is None
    assert rights_of_transactions("dead-letters") is not None


def test_a_password_is_kept_as_rabbitmq_keeps_it() -> None:
    """The vector of RabbitMQ's documentation: https://www.rabbitmq.com/docs/passwords#this-is-the-algorithm."""
    salt = bytes.fromhex("908DC60A")
    assert password_hash("test12", salt) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"
    assert b64decode(password_hash("test12", salt))[4:] == hashlib.sha256(salt + b"test12").digest()


def test_definitions_hold_no_password_and_no_guest() -> None:
    whole = definitions("v", {"a": (password_hash("secret-password", b"salt"), PUBLISHER)})
    assert "secret-password" not in str(whole)
    assert [user["name"] for user in whole["users"]] == ["a"]
    (permission,) = whole["permissions"]
    assert (permission["configure"], permission["read"]) == ("^$", "^$")
    assert permission["write"] == r"^(securitybot\.alerts)$"


def test_a_pattern_takes_what_it_names_and_nothing_that_begins_or_ends_so() -> None:
    assert one_of(["a.b", "c-d"]) == r"^(a\.b|c-d)$"
    assert one_of([]) == "^$"


@pytest.mark.parametrize("wrong", ["x'; DROP TABLE alerts; --", "", "a`b"])
def test_no_name_and_no_password_breaks_out_of_the_sql(wrong: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        user_statements(wrong, {}, "admin")
    with pytest.raises(ValueError, match="letters, digits"):
        grant_statements("securitybot", {wrong: SERVICES["ingest"]})
    with pytest.raises(ValueError, match="16 or more"):
        user_statements("securitybot", {"a": wrong}, "a")
