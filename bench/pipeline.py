"""Latency, throughput, and what services use at rest: `python -m bench.pipeline [latency|throughput|rest|demo]...`.

Real broker (quorum queues, confirms), real database (`innodb_flush_log_at_trx_commit=1`), all services as processes.
- latency: published alert → its `chat.postMessage` arrives at (a fake) Slack, one alert at a time, for people to whom
  the bot has talked before; beside it the floor, the same stages without logic (`bench.floor`)
- throughput: published → its `SendChatMessage` is a row of the gateway, in bursts of one alert for each of 1,000 people
- rest: processor and memory of each service; demo: time to its first prompt, and memory
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pika
import psutil
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import text

from bench.floor import floor
from bench.stack import SERVICES, Stack
from common.bus.port import Publication
from common.clock import SystemClock
from common.ids import new_id
from common.local_chat import local_reply

PEOPLE = 1000
WARM_UP = 50
"""Alerts before the measured ones: connections, caches and directory are there then."""
APART = 0.06
"""Seconds between two alerts of the latency measurement."""
MB = 1e6
console = Console()
Measured = list[tuple[str, str, str]]
"""What was measured, its value, and what it should be."""


class Publisher:
    """An outside publisher: plain pika."""

    def __init__(self, url: str) -> None:
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()

    def alert(self, person: str, title: str) -> None:
        """Publish an alert."""
        alert = {"owner": person, "title": title, "description": "somebody did something"}
        body = json.dumps(alert | {"hash": new_id().replace("-", "") * 2}).encode()
        self.publish(Publication("securitybot.alerts", "alert.bench", body, new_id()))

    def publish(self, publication: Publication) -> None:
        """Publish anything."""
        properties = pika.BasicProperties(
            message_id=publication.message_id,
            type=publication.type,
            headers=dict(publication.headers),
            content_type=publication.content_type,
            delivery_mode=2,
        )
        self._channel.basic_publish(publication.exchange, publication.routing_key, publication.body, properties)

    def wait(self, seconds: float) -> None:
        """Keep the connection alive while waiting."""
        self._connection.sleep(seconds)


def latency(alerts: int) -> Measured:
    """Measure one alert at a time."""
    with Stack("slack") as stack:
        bare = floor(stack, alerts, WARM_UP, APART)
        names = [f"person{number}" for number in range(alerts + WARM_UP)]
        people = {name: stack.control("add_user", name=name) for name in names}
        stack.start_services()
        publisher = Publisher(stack.rabbit.url)
        _talk_once(stack, publisher, people)
        sent: dict[str, float] = {}
        for name, chat_id in track(people.items(), "latency", console=console):
            sent[chat_id] = time.time()
            publisher.alert(name, f"latency of {name}")
            publisher.wait(APART)
        publisher.wait(1)
        arrived = {
            request["message_id"]: request["at"] for request in stack.control("requests", method="chat.postMessage")
        }
        times = []
        for chat_id in list(sent)[WARM_UP:]:
            last = stack.control("messages_to", user_id=chat_id)[-1]
            times.append(1000 * (arrived[last["metadata"]["event_payload"]["message_id"]] - sent[chat_id]))
    times.sort()
    median = statistics.median(times)
    return [
        ("idle latency, p50", f"{median:.1f} ms", "<= 10 ms"),
        ("idle latency, p99", f"{times[int(len(times) * 0.99) - 1]:.1f} ms (of {len(times)})", "<= 25 ms"),
        ("the same stages without logic, p50", f"{statistics.median(bare):.1f} ms", ""),
        ("ours, as a multiple of that", f"{median / statistics.median(bare):.2f}", ""),
    ]


def _talk_once(stack: Stack, publisher: Publisher, people: dict[str, str]) -> None:
    """Ask everybody something and let them answer, so that their direct messages are open."""
    for name in people:
        publisher.alert(name, "before")
    while _count(stack, "SELECT COUNT(*) FROM chat_deliveries WHERE notify = 1 AND state = 'sent'") < len(people):
        publisher.wait(0.2)
    for chat_id in people.values():
        stack.control("say", user_id=chat_id, text="no")
    _wait_for_rest(stack, publisher)
    stack.control("forget")


def throughput(rounds: int) -> Measured:
    """Measure bursts; between them, people answer and everything is closed."""
    with Stack("local") as stack:
        stack.start_services()
        names = [f"person{number}" for number in range(PEOPLE)]
        with stack.engine.begin() as connection:
            insert = (
                "INSERT INTO people (chat_id, username, display_name, active, updated_at) VALUES (:n, :n, :n, 1, NOW())"
            )
            connection.execute(text(insert), [{"n": name} for name in names])
        publisher = Publisher(stack.rabbit.url)
        rates, used = [], []
        for number in track(range(rounds), "throughput", console=console):
            before = stack.processor_seconds()
            rates.append(_burst(stack, publisher, names, f"burst {number}"))
            used.append({name: 1000 * (now - before[name]) / PEOPLE for name, now in stack.processor_seconds().items()})
            _answer(stack, publisher, names)
    median = {name: statistics.median(burst[name] for burst in used) for name in used[0]}
    shares = ", ".join(f"{name} {value:.2f}" for name, value in median.items())
    return [
        ("throughput, median of bursts", f"{statistics.median(rates):.0f} alerts/s (best {max(rates):.0f})", ">= 1000"),
        ("processor time an alert", f"{sum(median.values()):.2f} ms: {shares}", ""),
    ]


def _burst(stack: Stack, publisher: Publisher, names: Sequence[str], title: str) -> float:
    """Return the alerts a second."""
    since = SystemClock().now().replace(tzinfo=None)
    taken = f"SELECT COUNT(*) FROM chat_deliveries WHERE created_at >= '{since}' AND notify = 1"
    began = time.perf_counter()
    for name in names:
        publisher.alert(name, title)
    while _count(stack, taken) < PEOPLE:
        time.sleep(0.02)
    return PEOPLE / (time.perf_counter() - began)


def _answer(stack: Stack, publisher: Publisher, names: Sequence[str]) -> None:
    """Let everybody say no, once they can see what to."""
    while _count(stack, _ON_ITS_WAY):
        publisher.wait(0.1)
    for name in names:
        publisher.publish(local_reply(name, SystemClock().now(), text="no"))
    _wait_for_rest(stack, publisher)


_ON_ITS_WAY = "SELECT COUNT(*) FROM chat_deliveries WHERE state = 'pending' AND recipient_kind = 'person'"


def _wait_for_rest(stack: Stack, publisher: Publisher) -> None:
    for busy in (
        "SELECT COUNT(*) FROM alerts WHERE status IN ('open', 'in_progress')",
        _ON_ITS_WAY,
    ):
        while _count(stack, busy):
            publisher.wait(0.1)
    publisher.wait(1)


def _count(stack: Stack, query: str) -> int:
    with stack.engine.connect() as connection:
        return int(connection.scalar(text(query)) or 0)


def at_rest(seconds: float) -> Measured:
    """Measure services that have nothing to do."""
    with Stack("slack") as stack:
        stack.control("add_user", name="alice")
        stack.start_services()
        time.sleep(5)
        before = stack.processor_seconds()
        time.sleep(seconds)
        after = stack.processor_seconds()
        measured = []
        for name in SERVICES:
            memory = stack.processes[name].memory_full_info()
            value = (
                f"{100 * (after[name] - before[name]) / seconds:.1f} % of a core, "
                f"{memory.rss / MB:.0f} MB resident, {memory.pss / MB:.0f} MB its share"
            )
            measured.append((f"{name} at rest", value, "<= 2 %, <= 90 MB"))
        return measured


def demo() -> Measured:
    """Measure the demo, from its start to the first prompt."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = psutil.Popen(
            [str(Path(sys.executable).with_name("securitybot")), "demo"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder,
        )  # fmt: skip
        for line in process.stdout:
            if "[1]" in line:
                break
        prompted = time.perf_counter() - began
        time.sleep(2)
        memory = process.memory_full_info()
        process.terminate()
        process.wait(15)
    value = f"{prompted:.2f} s, {memory.rss / MB:.0f} MB resident, {memory.pss / MB:.0f} MB its share"
    return [("demo: first prompt, memory", value, "<= 2 s, <= 130 MB")]


def main() -> None:
    """Measure what is asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["latency", "throughput", "rest", "demo"], default=[])
    parser.add_argument("--alerts", type=int, default=200, help="of the latency measurement")
    parser.add_argument("--rounds", type=int, default=7, help="bursts of the throughput measurement")
    options = parser.parse_args()
    measures: dict[str, Callable[[], Measured]] = {
        "latency": lambda: latency(options.alerts),
        "throughput": lambda: throughput(options.rounds),
        "rest": lambda: at_rest(10),
        "demo": demo,
    }
    table = Table("measure", "value", "target")
    for name in options.what or measures:
        for row in measures[name]():
            table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
