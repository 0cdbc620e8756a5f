"""`securitybot publish`: alerts from options and from JSON lines, safe at the broker when it ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from common.bus.embedded import KombuBus
from common.bus.port import Delivery, Publication
from common.bus.rabbitmq import RabbitBus
from common.errors import BusUnavailable
from common.topology import ALERTS, INGEST_QUEUE, TOPOLOGY
from services.cli.publish import BATCH
from services.ingest.handlers import IntakeHandler
from tests.fakes.clock import FakeClock
from tests.integration.cli.conftest import CommandLine

ALERT = {"owner": "alice", "title": "sudo", "description": "You ran sudo"}


class SharedBus(KombuBus):
    """The broker that the command finds at its URL; outlives the command."""

    def __init__(self) -> None:
        super().__init__("memory://")
        self.batches: list[int] = []
        self.away_after: int | None = None

    def publish(self, publications: Sequence[Publication], timeout: float = 30.0) -> frozenset[int]:
        if self.away_after is not None and len(self.batches) >= self.away_after:
            raise BusUnavailable("connection refused")
        self.batches.append(len(publications))
        return super().publish(publications, timeout)

    def close(self) -> None:
        """Stay open: the command closes what it opened."""

    def taken(self) -> list[Delivery]:
        consumer = self.consume([INGEST_QUEUE.name], prefetch=5000)
        taken = consumer.take(5000, timeout=0)
        consumer.ack(taken)
        consumer.close()
        return taken


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> SharedBus:
    """A bus behind `open_bus`, with nothing declared."""
    shared = SharedBus()
    monkeypatch.setenv("SECURITYBOT_AMQP_URL", "amqp://broker.example/")
    monkeypatch.setattr("common.bus.open_bus", lambda _: shared)
    return shared


def test_one_alert_from_options_is_published_and_its_hash_printed(line: CommandLine, bus: SharedBus) -> None:
    bus.declare(TOPOLOGY)
    out = line.run(
        "publish",
        "--owner",
        "alice",
        "--title",
        "sudo",
        "--description",
        "d",
        "--severity",
        "high",
        "--context",
        '{"pid":1}',
    )
    assert (out.exit_code, out.stderr) == (0, "")
    (delivery,) = bus.taken()
    alert = IntakeHandler(FakeClock()).decode(delivery)
    assert (delivery.exchange, delivery.routing_key, alert.source) == (ALERTS, "alert.cli", "cli")
    assert (alert.hash, alert.severity, alert.context) == (out.stdout.strip(), "high", {"pid": 1})


def test_an_option_that_is_missing_is_a_mistake_in_the_usage(line: CommandLine, bus: SharedBus) -> None:
    result = line.run("publish", "--owner", "alice")
    assert result.exit_code == 2
    assert "missing: --title, --description" in result.stderr
    assert bus.taken() == []


def test_before_any_service_ran_the_queues_are_declared(line: CommandLine, bus: SharedBus) -> None:
    line.ok("publish", "--owner", "a", "--title", "t", "--description", "d")
    assert len(bus.taken()) == 1


def test_json_lines_are_published_in_batches_and_bad_ones_told_by_line(line: CommandLine, bus: SharedBus) -> None:
    bus.declare(TOPOLOGY)
    lines = [json.dumps(ALERT | {"title": f"t{number}"}) for number in range(BATCH + 10)]
    lines[3:3] = ["{", "", json.dumps({"owner": "a"})]
    result = line.run("publish", "-", input="\n".join(lines))
    assert result.exit_code == 1
    assert bus.batches == [BATCH, 10]
    hashes = result.stdout.split()
    assert [IntakeHandler(FakeClock()).decode(delivery).hash for delivery in bus.taken()] == hashes
    problems = result.stderr.splitlines()
    assert len(problems) == 2
    assert problems[0].startswith("securitybot: line 4: body: not JSON")
    assert problems[1].startswith("securitybot: line 6: title: missing")


def test_json_output_has_a_line_for_each_alert(line: CommandLine, bus: SharedBus) -> None:
    bus.declare(TOPOLOGY)
    result = line.run("publish", "-", "--json", input=json.dumps(ALERT) + "\n[]\n")
    told = [json.loads(text) for text in result.stdout.splitlines()]
    assert sorted((entry["line"], "hash" in entry, "error" in entry) for entry in told) == [
        (1, True, False), (2, False, True),
    ]  # fmt: skip


def test_a_line_that_is_not_utf_8_or_too_large_is_one_bad_line(line: CommandLine, bus: SharedBus) -> None:
    result = line.run("publish", "-", input=b"\xff\n" + b"x" * 70000 + b"\n")
    assert "line 1: body: not UTF-8" in result.stderr
    assert "line 2: body: 70000 bytes" in result.stderr
    assert result.exit_code == 1


def test_a_broker_that_goes_away_is_told_with_what_is_safe(line: CommandLine, bus: SharedBus) -> None:
    bus.declare(TOPOLOGY)
    bus.away_after = 1
    result = line.run("publish", "-", input="\n".join(json.dumps(ALERT | {"title": f"t{n}"}) for n in range(300)))
    assert result.exit_code == 1
    assert len(result.stdout.split()) == BATCH
    (told,) = result.stderr.splitlines()
    assert told.startswith(
        "securitybot: connection refused; 250 alerts are published, those from line 251 on may not be"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say --owner, --title and --description"),
        (("-", "--owner", "a"), "leave --owner out"),
        (("--owner", "a", "--title", "t", "--description", "d", "--context", "{"), "--context must be a JSON object"),
        (("--severity", "urgent"), "'--severity'"),
        (("file.json",), "'[-]'"),
    ],
)
def test_a_misuse_says_what_to_do(line: CommandLine, bus: SharedBus, arguments: tuple[str, ...], said: str) -> None:
    assert said in line.refused("publish", *arguments, code=2)


def test_an_alert_that_is_none_names_every_field(line: CommandLine, bus: SharedBus) -> None:
    said = ("--owner", "a", "--title", "t", "--description", "d", "--url", "x", "--event-time", "y", "--hash", "z")
    problem = line.refused("publish", *said)
    assert all(name in problem for name in ("url: must be", "event_time: must be", "hash: must be"))


def test_the_memory_bus_is_no_way_to_another_process(line: CommandLine) -> None:
    problem = line.refused("publish", "--owner", "a", "--title", "t", "--description", "d", code=2)
    assert "memory://" in problem
    assert "securitybot demo" in problem


def test_alerts_reach_a_real_broker(line: CommandLine, amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURITYBOT_AMQP_URL", amqp_url)
    result = line.run("publish", "-", input="\n".join(json.dumps(ALERT | {"title": f"t{n}"}) for n in range(600)))
    assert (result.exit_code, len(result.stdout.split())) == (0, 600)
    bus = RabbitBus(amqp_url)
    assert bus.depths([INGEST_QUEUE.name]) == {INGEST_QUEUE.name: 600}
    bus.close()


def test_on_a_terminal_a_bar_shows_how_far_it_is(amqp_url: str, tmp_path: Path) -> None:
    lines = tmp_path / "alerts.jsonl"
    lines.write_text("\n".join(json.dumps(ALERT | {"title": f"t{number}"}) for number in range(300)))
    ours, theirs = os.openpty()
    printed = tmp_path / "printed"
    with lines.open() as stdin, printed.open("wb") as stdout:
        publishing = subprocess.Popen(
            [Path(sys.executable).with_name("securitybot"), "publish", "-"], stdin=stdin, stdout=stdout,
            stderr=theirs, env=os.environ | {"SECURITYBOT_AMQP_URL": amqp_url, "TERM": "xterm", "COLUMNS": "100"},
            cwd=tmp_path,
        )  # fmt: skip
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # how Linux tells that nobody is there any more
        while chunk := os.read(ours, 65_536):
            seen += chunk
    os.close(ours)
    shown = seen.decode()
    assert (publishing.wait(60), len(printed.read_text().split())) == (0, 300), shown
    assert "publishing" in shown
    assert "300 alerts" in shown
