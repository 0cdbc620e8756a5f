"""The long run: `python -m tests.faults.long`. Thousands of alerts, hundreds of people, dozens of kill -9; a verdict.

Everything is real but Slack and Duo: all services as processes, RabbitMQ and MariaDB. Services, broker and database
are killed at random moments and started again at once, while Slack loses answers and asks to wait. At the end the
checker compares what the outside world saw with what was sent, and the figures are printed. Exit 1 where one is not
as it must be.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pika
import pika.exceptions
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.crowd import HABITS, Crowd, Habit
from tests.fakes.slack.server import Failure
from tests.faults.checker import Checker, Findings
from tests.faults.probes import AT_LEAST, Probes
from tests.outside import Outcomes, alert, publish
from tests.servers import MariaServer, RabbitServer
from tests.stack import SERVICES, Stack, new_database, new_vhost
from tests.waiting import eventually

POLICIES: dict[str, Any] = {
    "defaults": {
        "clock": "always", "answer_within": "20s", "remind_before": "8s", "proof": "always", "proof_within": "30s",
        "escalate_within": "10m", "proof_memory": "0s",
        # a channel takes one message a second: no more reports than that
        "reports": ["proof_fraud", "unreachable", "proof_unavailable", "unknown_owner"],
    },
    "limits": {"pushes_per_hour": 1000},
}  # fmt: skip
TITLES = 8
BURST = 4
"""Alerts of one title that a person gets at once: one live card."""
PROBED = 60
SETTLE_SECONDS = 400.0
RECOVERY_SECONDS = 10.0
TIMES_SLOWER = 3.0
"""Than the median: still normal latency."""
WEIGHTS = {"ingest": 5, "dispatcher": 6, "chat-gateway": 6, "auth-poller": 5, "broker": 3, "database": 3}
Send = Callable[[list[dict[str, Any]]], None]


class Slack:
    """How often the fake Slack misbehaves."""

    def __init__(self, seed: int, lost: float, limited: float) -> None:
        self._chance = random.Random(seed)
        self._lost, self._limited = lost, limited
        self.counts: Counter[str] = Counter()

    def __call__(self, method: str) -> tuple[Failure, dict[str, Any]] | None:
        draw = self._chance.random()
        failure: tuple[Failure, dict[str, Any]] | None = None
        if draw < self._lost:
            failure = ("lost", {})
        elif draw < self._lost + self._limited:
            failure = ("429", {"retry_after": 1})
        self.counts[failure[0] if failure else "answered"] += 1
        return failure


class Killer:
    """Kills something at random, starts it again at once, and waits a while."""

    def __init__(self, stack: Stack, rabbit: RabbitServer, maria: MariaServer, seed: int) -> None:
        self._stack, self._rabbit, self._maria = stack, rabbit, maria
        self._chance = random.Random(seed)
        self.kills: list[tuple[float, str]] = []

    def strike(self) -> None:
        """Do it once."""
        victim = self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        self.kills.append((time.time(), victim))
        if victim == "broker":
            self._rabbit.kill()
            self._rabbit.start()
        elif victim == "database":
            self._maria.kill()
            self._maria.start()
        else:
            self._stack.restart(next(name for name in SERVICES if name == victim))


class Run:
    """One long run."""

    def __init__(  # noqa: PLR0917 - made in one place
        self, options: argparse.Namespace, stack: Stack, crowd: Crowd, killer: Killer, slack: Slack, outcomes: Outcomes
    ) -> None:
        self._options = options
        self._stack, self._crowd, self._outcomes = stack, crowd, outcomes
        self.killer, self.slack = killer, slack
        self._chance = random.Random(options.seed)
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self.published: list[dict[str, Any]] = []
        self.probes = Probes(stack, crowd.members[:PROBED], self.send)

    def send(self, alerts: list[dict[str, Any]]) -> None:
        """Publish until the broker has confirmed; ids let it recognise what arrives twice."""
        for body in alerts:
            while True:
                with contextlib.suppress(pika.exceptions.AMQPError, OSError):
                    publish(self._stack.amqp_url, [body], message_id=body["hash"])
                    break
                time.sleep(0.2)
            with self._lock:
                self.published.append(body)

    def _burst(self) -> None:
        member = self._chance.choice(self._crowd.members[PROBED:])
        title = f"rule {self._chance.randrange(TITLES)}"
        self.send([dict(alert(member.name, title)) for _ in range(BURST)])

    def go(self, progress: Progress) -> None:
        """Publish and kill, until all alerts are out and all kills are done; then wait until all is quiet."""
        options, began = self._options, time.monotonic()
        sent = progress.add_task("published", total=options.alerts)
        killed = progress.add_task("kills", total=options.kills)
        settled = progress.add_task("outcomes", total=options.alerts)
        killing = threading.Thread(target=self._kill, args=(progress, killed), daemon=True)
        self.probes.start()
        killing.start()
        while len(self.published) < options.alerts and self._failure is None:
            late = len(self.published) / options.alerts * options.seconds - (time.monotonic() - began)
            time.sleep(max(0.0, late))
            self._burst()
            progress.update(sent, completed=len(self.published))
            progress.update(settled, completed=len(self._outcomes.everything()))
        killing.join()
        if self._failure is not None:
            raise self._failure
        self.probes.stop()
        deadline = time.monotonic() + SETTLE_SECONDS
        while not self._quiet() and time.monotonic() < deadline:
            progress.update(settled, completed=len(self._outcomes.everything()), total=len(self.published))
            time.sleep(1)

    def _kill(self, progress: Progress, task: Any) -> None:
        pause = self._options.seconds / (self._options.kills + 1)
        for number in range(self._options.kills):
            began = time.monotonic()
            try:
                self.killer.strike()
            except BaseException as error:  # noqa: BLE001 - raised where the run waits for this thread
                self._failure = error
                return
            progress.update(task, completed=number + 1)
            time.sleep(max(1.0, pause * self._chance.uniform(0.6, 1.4) - (time.monotonic() - began)))

    def _quiet(self) -> bool:
        under_way = (
            "SELECT (SELECT COUNT(*) FROM outbox) + (SELECT COUNT(*) FROM auth_requests WHERE state <> 'settled') "
            "+ (SELECT COUNT(*) FROM chat_deliveries WHERE state = 'pending') n"
        )
        done = len(self._outcomes.everything()) >= len(self.published)
        return done and self._stack.rows(under_way)[0]["n"] == 0 and not any(self._stack.queue_depths().values())

    def verdict(self) -> Findings:
        """Let the checker compare."""
        habits = {member.id: member.habit for member in self._crowd.members}
        return Checker(self._stack, self.published, self._outcomes.everything(), habits).check()


def habits(people: int) -> list[Habit]:
    """Return everybody's habit; the first answer the probes."""
    probed: list[Habit] = ["denies"] * PROBED
    return probed + [HABITS[n % len(HABITS)] if n % 100 else "cries fraud" for n in range(people)]


def show(console: Console, run: Run, found: Findings, seconds: float) -> bool:
    """Print the figures; true where all are as they must be."""
    kills, victims = [at for at, _ in run.killer.kills], [victim for _, victim in run.killer.kills]
    median, slow = run.probes.normal(kills)
    recoveries = run.probes.recoveries(kills, max(AT_LEAST, TIMES_SLOWER * median))
    late = [seconds for seconds in recoveries if seconds > RECOVERY_SECONDS]
    worst = sorted(zip(recoveries, victims, strict=True), reverse=True)[:5]
    table = Table("figure", "value")
    for name, value in asdict(found).items():
        if name != "problems":
            table.add_row(name.replace("_", " "), str(value))
    table.add_row("kill -9", f"{len(kills)}: {', '.join(f'{n} {victim}' for victim, n in Counter(victims).items())}")
    table.add_row("Slack calls", ", ".join(f"{number} {how}" for how, number in run.slack.counts.items()))
    table.add_row("latency alert to question", f"median {median:.2f} s, 95th percentile {slow:.2f} s")
    table.add_row("slowest recoveries", ", ".join(f"{after:.1f} s ({victim})" for after, victim in worst))
    table.add_row("seconds", f"{seconds:.0f}")
    console.print(table)
    slowly = [f"recovery took longer than {RECOVERY_SECONDS:g} s {len(late)} times"] if late else []
    for problem in [*found.problems, *slowly]:
        console.print(f"problem: {problem}", markup=False)
    return not found.problems and not late


def main() -> int:
    """Run and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.long", description=__doc__)
    parser.add_argument("--alerts", type=int, default=20_000)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--kills", type=int, default=66)
    parser.add_argument("--seconds", type=float, default=1200.0, help="over which alerts and kills are spread")
    parser.add_argument("--lost", type=float, default=0.02, help="share of Slack's answers that get lost")
    parser.add_argument("--limited", type=float, default=0.05, help="share of calls that Slack answers with 429")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep-logs", help="folder for the services' logs")
    options = parser.parse_args()
    console, began = Console(), time.monotonic()
    rabbit, maria = RabbitServer(), MariaServer()
    try:
        rabbit.start()
        maria.start()
        with Stack(new_vhost(rabbit), new_database(maria), POLICIES) as stack:
            slack = stack.slack.chaos = Slack(options.seed, options.lost, options.limited)
            killer = Killer(stack, rabbit, maria, options.seed)
            crowd = Crowd(stack, habits(options.people))
            stack.start()
            stack.wait_ready()
            eventually(lambda: stack.rows("SELECT COUNT(*) n FROM people")[0]["n"] > options.people, 60, every=1)
            with Outcomes(stack.amqp_url) as outcomes, crowd:
                run = Run(options, stack, crowd, killer, slack, outcomes)
                bars = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
                with Progress(*bars, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
                    run.go(progress)
                found = run.verdict()
            good = show(console, run, found, time.monotonic() - began)
            if options.keep_logs:
                stack.keep_logs(options.keep_logs)
    finally:
        rabbit.remove()
        maria.remove()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
