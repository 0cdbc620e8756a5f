"""Looking at the record and changing it from the command line."""

from __future__ import annotations

import getpass
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from common.api_tokens import Scope, TokenCheck
from common.bus.embedded import KombuBus
from common.bus.port import Bus, Delivery
from common.bus.rabbitmq import RabbitBus
from common.clock import SystemClock
from common.quarantine import quarantine
from common.records.migrate import newest_revision
from common.records.tables import AlertRow, HistoryRow, OutboxRow, QuarantineRow
from common.topology import AUTH_POLLER_QUEUE, DISPATCHER_QUEUE, INGEST_QUEUE, TOPOLOGY
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from tests.integration.cli.conftest import CommandLine
from tests.waiting import eventually

HOSTILE = "[bold]sudo[/bold] \x1b[2J\u202e"


def rows(engine: Engine, table: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(table.__table__)).all())


def add_alert(line: CommandLine, digest: str, **values: Any) -> None:
    def insert(work: UnitOfWork) -> None:
        given = {
            "hash": digest, "owner": "alice", "title": "sudo", "description": "d", "severity": "high", "source": "edr",
            "event_time": work.now, "received_at": work.now, "last_seen_at": work.now, "occurrences": 1,
            "status": "open", "context": {"pid": 1},
        }  # fmt: skip
        work.insert(AlertRow, **given | values)
        work.note("received", alert=digest, source="edr")

    line.write(insert)


# --- alerts -----------------------------------------------------------------------------------------------------


def test_alerts_are_listed_newest_first_and_filtered(line: CommandLine) -> None:
    later = line.clock.now() + timedelta(hours=1)
    add_alert(line, "a" * 64)
    add_alert(line, "b" * 64, received_at=later, title="su", severity="low", status="closed", resolution="denied")
    add_alert(line, "c" * 64, received_at=later, owner="bob", person_id="U2")

    def hashes(*options: str) -> str:
        return "".join(alert["hash"][0] for alert in line.json("alerts", "list", *options))

    assert hashes() == "cba"
    assert hashes("--status", "closed") == "b"
    assert hashes("--resolution", "denied") == "b"
    assert hashes("--owner", "alice") == "ba"
    assert hashes("--owner", "U2") == "c"
    assert hashes("--title", "sudo") == "ca"
    assert hashes("--severity", "low") == "b"
    assert hashes("--limit", "1") == "c"
    assert hashes("--after", later.isoformat()) == "cb"
    assert hashes("--before", later.isoformat()) == "a"


def test_a_strangers_text_reaches_the_terminal_as_text(line: CommandLine) -> None:
    add_alert(line, "a" * 64, title=HOSTILE, description=HOSTILE, reason=HOSTILE)
    for output in (line.ok("alerts", "list"), line.ok("alerts", "show", "aaaa")):
        assert "[bold]sudo[/bold] \\x1b[2J\\u202e" in output
        assert "\x1b" not in output
    assert line.ok("alerts", "list", "--json").isascii()


def test_one_alert_is_shown_with_its_history_by_the_beginning_of_its_hash(line: CommandLine) -> None:
    add_alert(line, "ab" * 32)
    add_alert(line, "ac" * 32)
    shown = line.json("alerts", "show", "ABAB")
    assert (shown["hash"], shown["context"]) == ("ab" * 32, {"pid": 1})
    assert [(entry["actor"], entry["action"]) for entry in shown["history"]] == [("test", "received")]
    assert "received" in line.ok("alerts", "show", "ab" * 32)


def test_a_hash_that_names_none_or_several_is_an_error_that_says_what_to_do(line: CommandLine) -> None:
    add_alert(line, "abab1" + "0" * 59)
    add_alert(line, "abab2" + "0" * 59)
    assert "give more digits" in line.refused("alerts", "show", "abab")
    assert "alerts list" in line.refused("alerts", "show", "ffff")
    assert "hex digits" in line.refused("alerts", "show", "xyz1", code=2)
    assert "hex digits" in line.refused("alerts", "show", "ab", code=2)


def test_a_database_without_a_schema_says_what_to_run(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECURITYBOT_DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    assert "securitybot migrate" in line.refused("alerts", "list")
    assert line.ok("migrate") == f"schema none -> {newest_revision()}\n"
    assert line.ok("migrate") == f"at schema {newest_revision()} already\n"
    assert line.ok("alerts", "list") == "no alerts\n"


# --- ignored and blacklist ----------------------------------------------------------------------------------------


def test_an_analyst_ignores_a_title_for_somebody_and_lifts_it_again(line: CommandLine) -> None:
    line.add_person("U1", "alice", "alice@example.com")
    assert "alice is not asked about 'sudo' until" in line.ok(
        "ignored", "add", "Alice@Example.com", "sudo", "--for", "4h", "--reason", "migration"
    )
    (entry,) = line.json("ignored", "list")
    assert (entry["person_id"], entry["username"], entry["title"], entry["reason"]) == (
        "U1",
        "alice",
        "sudo",
        "migration",
    )
    assert entry["added_by"] == f"analyst:{getpass.getuser()}"
    assert "sudo" in line.ok("ignored", "list")
    line.ok("ignored", "lift", str(entry["id"]))
    assert line.json("ignored", "list") == []
    (lifted,) = line.json("ignored", "list", "--all")
    assert lifted["lifted_by"] == entry["added_by"]
    notes = [(note.action, note.person_id, note.actor) for note in rows(line.engine, HistoryRow)]
    assert notes == [(action, "U1", entry["added_by"]) for action in ("ignored_added", "ignored_lifted")]
    assert "nothing is to be lifted" in line.refused("ignored", "lift", str(entry["id"]))


def test_an_analyst_puts_somebody_on_the_blacklist_and_takes_them_off(line: CommandLine) -> None:
    line.add_person("U1", "alice")
    line.ok("blacklist", "add", "U1", "--for", "14d", "--reason", "on leave")
    (entry,) = line.json("blacklist", "list")
    assert (entry["person_id"], entry["reason"]) == ("U1", "on leave")
    assert "on leave" in line.ok("blacklist", "list", "--all")
    line.ok("blacklist", "lift", str(entry["id"]))
    assert line.ok("blacklist", "list") == "nobody is on the blacklist\n"
    assert [note.action for note in rows(line.engine, HistoryRow)] == ["blacklist_added", "blacklist_lifted"]


def test_what_cannot_be_silenced_is_refused_and_changes_nothing(line: CommandLine) -> None:
    line.add_person("U1", "sam")
    line.add_person("U2", "sam")
    add = ("ignored", "add")
    assert "people list" in line.refused(*add, "nobody", "t", "--for", "4h", "--reason", "r")
    assert "chat id: U1, U2" in line.refused(*add, "sam", "t", "--for", "4h", "--reason", "r")
    assert "say why" in line.refused(*add, "U1", "t", "--for", "4h", "--reason", " ")
    assert "within 366 days" in line.refused(*add, "U1", "t", "--for", "400d", "--reason", "r")
    assert "within 366 days" in line.refused(*add, "U1", "t", "--for", "0m", "--reason", "r")
    assert "1 to 255" in line.refused(*add, "U1", "t" * 256, "--for", "4h", "--reason", "r")
    assert "is no duration" in line.refused(*add, "U1", "t", "--for", "soon", "--reason", "r", code=2)
    assert "no entry 9" in line.refused("blacklist", "lift", "9")
    assert rows(line.engine, HistoryRow) == []


def test_people_are_listed_and_searched(line: CommandLine) -> None:
    line.add_person("U1", "alice", "al@example.com")
    line.add_person("U2", "bob_1", "bob@example.com")
    line.add_person("U3", "gone", active=False)

    def names(*options: str) -> list[str]:
        return [person["username"] for person in line.json("people", "list", *options)]

    assert names() == ["alice", "bob_1"]
    assert names("--all") == ["alice", "bob_1", "gone"]
    assert names("AL") == ["alice"]
    assert names("bob@") == ["bob_1"]
    assert names("bob%") == names("b_b") == []
    assert "al@example.com" in line.ok("people", "list")


# --- quarantine ---------------------------------------------------------------------------------------------------


def add_quarantined(line: CommandLine, **values: Any) -> None:
    given: dict[str, Any] = {
        "queue": "securitybot.ingest", "exchange": "securitybot.alerts", "routing_key": "alert.x",
        "body": b'{"a": "\x1b"}',
        "message_id": "m-1", "type": None, "correlation_id": "c", "headers": {"version": 1, "x-death": "gone"},
        "content_type": None, "redelivered": False, "tag": None,
    }  # fmt: skip
    line.write(lambda work: quarantine(work, Delivery(**given | values), "title: missing", "ingest"))


def test_quarantined_messages_are_listed_and_shown_with_their_bodies(line: CommandLine) -> None:
    add_quarantined(line, body=b'{"a":\n"\x1b\xff"}')
    (entry,) = line.json("quarantine", "list")
    assert (entry["reason"], entry["state"]) == ("title: missing", "waiting")
    assert "body" not in entry
    assert "title: missing" in line.ok("quarantine", "list")
    shown = line.ok("quarantine", "show", "1")
    assert '{"a":\n"\\x1b\\xff"}' in shown
    assert line.json("quarantine", "show", "1")["body"] == '{"a":\n"\x1b\\xff"}'
    assert line.run("quarantine", "show", "1", "--raw").stdout_bytes == b'{"a":\n"\x1b\xff"}'


def test_an_alert_is_sent_again_to_where_it_was_published_with_a_new_id(line: CommandLine, tmp_path: Path) -> None:
    add_quarantined(line)
    better = tmp_path / "body.json"
    better.write_bytes(b'{"better": 1}')
    assert "next as message" in line.ok("quarantine", "retry", "1", "--body", str(better))
    (row,) = rows(line.engine, OutboxRow)
    assert (row.exchange, row.routing_key, row.body) == ("securitybot.alerts", "alert.x", b'{"better": 1}')
    assert row.message_id != "m-1"
    assert row.headers == {"version": 1}
    (kept,) = rows(line.engine, QuarantineRow)
    assert (kept.state, kept.body) == ("retried", b'{"a": "\x1b"}')
    assert kept.decided_by == f"analyst:{getpass.getuser()}"
    (note,) = rows(line.engine, HistoryRow)
    assert (note.action, note.detail["entry"], note.detail["message_id"]) == ("quarantine_retried", 1, row.message_id)
    assert "was retried before by analyst:" in line.refused("quarantine", "retry", "1")
    assert len(rows(line.engine, OutboxRow)) == 1


def test_what_a_broker_would_not_take_is_not_sent_again(line: CommandLine) -> None:
    add_quarantined(line, body=bytes(256 * 1024 + 1))
    assert "at most 262144 are sent: mend it" in line.refused("quarantine", "retry", "1")
    assert rows(line.engine, OutboxRow) == []
    assert rows(line.engine, QuarantineRow)[0].state == "waiting"


def test_numbers_that_amqp_has_not_are_sent_again_as_text(line: CommandLine, amqp_url: str) -> None:
    bus = RabbitBus(amqp_url)
    bus.declare(TOPOLOGY)
    headers = {"most": 2**63 - 1, "least": -(2**63), "more": 2**63, "less": -(2**63) - 1, "yes": True}
    add_quarantined(line, headers=headers)

    line.ok("quarantine", "retry", "1")

    assert Transactions(line.engine, bus, SystemClock(), "ingest").sweep(timedelta(0)) == 1
    (delivery,) = eventually(lambda: bus.consume([INGEST_QUEUE.name], 1).take(1, 5))
    bus.close()
    assert delivery.headers == headers | {"more": str(2**63), "less": str(-(2**63) - 1)}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"headers": {"a": "\u00e9" * 8_000, "b": "\u00e9" * 8_400}}, "at most 32768 are sent"),
        ({"headers": {"\\xe9" * 100: "Latin 1"}}, "more than 255 bytes"),
        ({"routing_key": "k" * 255}, "more than 255 bytes"),
    ],
)
def test_headers_and_keys_that_amqp_cannot_carry_are_not_sent_again(
    line: CommandLine, values: dict[str, Any], expected: str
) -> None:
    add_quarantined(line, **values)
    refusal = line.refused("quarantine", "retry", "1")
    assert expected in refusal
    assert "publish it anew and drop it" in refusal
    assert rows(line.engine, OutboxRow) == []
    assert rows(line.engine, QuarantineRow)[0].state == "waiting"


def test_a_message_between_services_goes_to_the_one_queue_that_did_not_take_it(line: CommandLine) -> None:
    add_quarantined(
        line,
        exchange="securitybot.events",
        routing_key="ReplyReceived",
        queue="securitybot.dispatcher",
        type="ReplyReceived",
    )
    line.ok("quarantine", "retry", "1")
    (row,) = rows(line.engine, OutboxRow)
    assert (row.exchange, row.routing_key, row.type) == (
        "securitybot.events",
        "retry.securitybot.dispatcher",
        "ReplyReceived",
    )
    assert row.body == b'{"a": "\x1b"}'
    assert row.headers == {"version": 1, "original-id": "m-1"}


@pytest.mark.parametrize("kind", ["memory", "rabbitmq"])
def test_what_is_sent_again_reaches_that_queue_and_no_other(
    line: CommandLine, kind: str, request: pytest.FixtureRequest
) -> None:
    bus: Bus = KombuBus("memory://") if kind == "memory" else RabbitBus(request.getfixturevalue("amqp_url"))
    bus.declare(TOPOLOGY)
    add_quarantined(
        line,
        exchange="securitybot.events",
        routing_key="ReplyReceived",
        queue=DISPATCHER_QUEUE.name,
        type="ReplyReceived",
    )
    line.ok("quarantine", "retry", "1")
    assert Transactions(line.engine, bus, SystemClock(), "dispatcher").sweep(timedelta(0)) == 1
    queues = (DISPATCHER_QUEUE.name, AUTH_POLLER_QUEUE.name)
    assert bus.depths(queues) == {DISPATCHER_QUEUE.name: 1, AUTH_POLLER_QUEUE.name: 0}
    bus.close()


def test_a_dead_letter_without_an_address_cannot_be_sent_again_but_dropped(line: CommandLine) -> None:
    add_quarantined(line, exchange="securitybot.dead")
    assert "publish its body anew" in line.refused("quarantine", "retry", "1")
    assert rows(line.engine, QuarantineRow)[0].state == "waiting"
    assert "--note" in line.refused("quarantine", "drop", "1", code=2)
    assert "say why" in line.refused("quarantine", "drop", "1", "--note", " ")
    line.ok("quarantine", "drop", "1", "--note", "a test")
    assert line.ok("quarantine", "list") == "the quarantine is empty\n"
    (entry,) = line.json("quarantine", "list", "--state", "dropped")
    assert entry["note"] == "a test"
    assert "no message 7" in line.refused("quarantine", "show", "7")
    assert "no message 7" in line.refused("quarantine", "drop", "7", "--note", "x")


# --- tokens -------------------------------------------------------------------------------------------------------


def test_a_token_is_printed_once_works_and_can_be_revoked(line: CommandLine) -> None:
    result = line.run("tokens", "create", "splunk", "--scope", "publish")
    token = result.stdout.strip()
    assert "cannot be shown again" in result.stderr
    found = TokenCheck(line.engine, SystemClock()).verify(token)
    assert found is not None
    assert (found.name, found.scope) == ("splunk", Scope.PUBLISH)
    assert token not in line.ok("tokens", "list")
    assert "token_hash" not in line.json("tokens", "list")[0]
    assert line.json("tokens", "list")[0]["last_used_at"] is not None
    line.ok("tokens", "revoke", "splunk")
    assert TokenCheck(line.engine, SystemClock()).verify(token) is None
    assert "no valid token" in line.refused("tokens", "revoke", "splunk")
    assert "choose another name" in line.refused("tokens", "create", "splunk", "--scope", "read")
    assert "printable" in line.refused("tokens", "create", "a\nb", "--scope", "read")
    assert [note.action for note in rows(line.engine, HistoryRow)] == ["token_created", "token_revoked"]


def test_a_token_comes_as_json_for_scripts(line: CommandLine) -> None:
    made = line.json("tokens", "create", "ci", "--scope", "admin")
    assert (made["name"], made["scope"], made["token"][:4]) == ("ci", "admin", "sbt_")
    assert json.loads(line.ok("tokens", "list", "--json"))[0]["last_used_at"] is None
