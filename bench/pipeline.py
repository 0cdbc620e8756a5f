"""Latency, throughput, and what services use at rest: `python -m bench.pipeline`.

Real broker (quorum queues, confirms), real database (`innodb_flush_log_at_trx_commit=1`), all services as processes.
- idle latency: published alert → its `chat.postMessage` arrives at (a fake) Slack, one alert at a time
- throughput: published → its `SendChatMessage` is a row of the gateway, bursts of one alert for each of 1,000 people
- at rest: processor and memory of each service, and memory of the demo
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pika
import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from bench.stack import SERVICES, Stack
from common.codec import encode
from common.ids import new_id
from common.local_chat import local_reply
from common.messages import Message
from common.clock import SystemClock

PEOPLE = 1000
WARM_UP = 50
"""Alerts before the measured ones: connections, caches and directory are there then."""
console = Console()


def alert(person: str, title: str) -> bytes:
    """Return the body of an alert."""
    return json.dumps({"owner": person, "title": title, "description": "somebody did something", "hash": new_id().replace("-", "") * 2}).encode()


class Publisher:
    """An outside publisher: plain pika."""

    def __init__(self, url: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()

    def publish(self, body: bytes) -> None:
        """Publish an alert."""
        properties = pika.BasicProperties(message_id=new_id(), delivery_mode=2, content_type="application/json")
        self._channel.basic_publish("securitybot.alerts", "alert.bench", body, properties)

    def publication(self, publication: object) -> None:
        """Publish one of our own."""
        p = publication
        properties = pika.BasicProperties(message_id=p.message_id, type=p.type, headers=dict(p.headers), delivery_mode=2)  # type: ignore[attr-defined]
        self._channel.basic_publish(p.exchange, p.routing_key, p.body, properties)  # type: ignore[attr-defined]

    def wait(self, seconds: float) -> None:
        """Keep the connection alive while waiting."""
        self._connection.sleep(seconds)


def latency(alerts: int) -> list[float]:
    """Return the milliseconds of each alert."""
    with Stack("slack") as stack:
        people = {name: stack.control("add_user", name=name) for name in (f"person{n}" for n in range(alerts + WARM_UP))}
        stack.start_services()
        publisher = Publisher(stack.rabbit.url)
        sent: dict[str, float] = {}
        for number, (name, chat_id) in enumerate(people.items()):
            sent[chat_id] = time.time()
            publisher.publish(alert(name, f"latency {number}"))
            publisher.wait(0.06)
        publisher.wait(1)
        arrived: dict[str, float] = {}
        for request in stack.control("requests", method="chat.postMessage"):
            arrived.setdefault(request["message_id"], request["at"])
        first = {chat_id: stack.control("messages_to", user_id=chat_id)[0] for chat_id in sent}
        seen = {chat_id: arrived[message["metadata"]["event_payload"]["message_id"]] for chat_id, message in first.items()}
        return [1000 * (seen[chat_id] - at) for chat_id, at in list(sent.items())[WARM_UP:]]


def throughput(rounds: int) -> list[float]:
    """Return the alerts a second of each burst."""
    rates = []
    with Stack("local") as stack:
        stack.start_services()
        names = [f"person{n}" for n in range(PEOPLE)]
        with stack.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO people (chat_id, username, display_name, active, updated_at) VALUES (:n, :n, :n, 1, NOW())"),
                [{"n": name} for name in names],
            )
        publisher = Publisher(stack.rabbit.url)
        for number in range(rounds):
            begun = SystemClock().now().replace(tzinfo=None)
            taken_since = f"SELECT COUNT(*) FROM chat_deliveries WHERE created_at >= '{begun}' AND notify = 1"
            processor = stack.processor_seconds()
            began = time.perf_counter()
            for name in names:
                publisher.publish(alert(name, f"burst {number}"))
            published = time.perf_counter()
            while count(stack, taken_since) < PEOPLE:
                time.sleep(0.02)
            taken = time.perf_counter()
            rates.append(PEOPLE / (taken - began))
            used = {name: 1000 * (seconds - processor[name]) / PEOPLE for name, seconds in stack.processor_seconds().items()}
            console.print(f"burst {number}: published in {published - began:.2f} s, all taken after {taken - began:.2f} s: {rates[-1]:.0f}/s")
            console.print("  processor ms an alert: " + ", ".join(f"{name} {value:.2f}" for name, value in used.items()) + f", all {sum(used.values()):.2f}")
            for name in names:
                publisher.publication(local_reply(name, SystemClock().now(), text="no"))
            while count(stack, "SELECT COUNT(*) FROM alerts WHERE status IN ('open', 'in_progress')"):
                publisher.wait(0.1)
            while count(stack, "SELECT COUNT(*) FROM chat_deliveries WHERE state = 'pending' AND recipient_kind = 'person'"):
                publisher.wait(0.1)
            publisher.wait(1)
    return rates


def count(stack: Stack, query: str) -> int:
    """Return a number from the record."""
    with stack.engine.connect() as connection:
        return int(connection.scalar(text(query)) or 0)


def at_rest(seconds: float) -> dict[str, tuple[float, float]]:
    """Return percent of a core and MB of each service."""
    with Stack("slack") as stack:
        stack.control("add_user", name="alice")
        stack.start_services()
        time.sleep(5)
        before = {name: sum(stack.processes[name].cpu_times()[:2]) for name in SERVICES}
        time.sleep(seconds)
        return {
            name: (
                100 * (sum(stack.processes[name].cpu_times()[:2]) - before[name]) / seconds,
                stack.processes[name].memory_info().rss / 1e6,
            )
            for name in SERVICES
        }


def demo() -> tuple[float, float]:
    """Return seconds to the first prompt, and MB."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = psutil.Popen(
            [str(Path(sys.executable).with_name("securitybot")), "demo"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
        )  # fmt: skip
        for line in process.stdout:
            if "[1]" in line:
                break
        prompted = time.perf_counter() - began
        time.sleep(2)
        memory = process.memory_info().rss / 1e6
        process.terminate()
        process.wait(15)
        return prompted, memory


def main() -> None:
    """Measure what is asked for, and print a table each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=["latency", "throughput", "rest", "demo"], default=[])
    parser.add_argument("--alerts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    wanted = options.what or ["latency", "throughput", "rest", "demo"]
    table = Table("measure", "value", "target")
    if "latency" in wanted:
        times = sorted(latency(options.alerts))
        table.add_row("idle latency p50", f"{statistics.median(times):.1f} ms", "<= 10 ms")
        table.add_row("idle latency p99", f"{times[int(len(times) * 0.99) - 1]:.1f} ms of {len(times)}", "<= 25 ms")
    if "throughput" in wanted:
        rates = throughput(options.rounds)
        table.add_row("throughput, median of bursts", f"{statistics.median(rates):.0f} alerts/s", ">= 1000")
    if "rest" in wanted:
        for name, (cpu, memory) in at_rest(10).items():
            table.add_row(f"{name} at rest", f"{cpu:.1f} % of a core, {memory:.0f} MB", "<= 2 %, <= 90 MB")
    if "demo" in wanted:
        prompted, memory = demo()
        table.add_row("demo", f"first prompt after {prompted:.2f} s, {memory:.0f} MB", "<= 2 s, <= 130 MB")
    console.print(table)


if __name__ == "__main__":
    main()
