"""One installation for the fault tests, with a proxy before its broker and one before its record."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pika
import pika.exceptions
import pytest
from sqlalchemy import make_url

from tests.crowd import Crowd, Habit
from tests.faults.checker import Checker, Findings
from tests.outside import Outcomes, alert, publish
from tests.proxy import Proxy
from tests.servers import MariaServer, RabbitServer
from tests.stack import Stack, new_database, new_vhost
from tests.waiting import eventually

LONG = os.environ.get("SECURITYBOT_FAULTS") == "long"
"""Set by `make faults`: every fault for as long as the issue names; otherwise a form that fits into CI."""
only_long = pytest.mark.skipif(not LONG, reason="`make faults` runs it; in CI another test covers most of it")
POLICIES: dict[str, Any] = {
    "defaults": {
        "clock": "always", "answer_within": "90s", "remind_before": "0s", "proof": "always", "back_off": "1h",
        "proof_memory": "0s",
        # the reporting channel takes a message a second: what is told there is told slowly
        "reports": ["unreachable", "unknown_owner", "proof_unavailable"],
    },
    "titles": [{"match": "reported*", "reports": ["denied"]}],
    "limits": {"pushes_per_hour": 1000},
}  # fmt: skip
HABITS: tuple[Habit, ...] = ("confirms", "writes", "denies", "is unsure", "takes no push", "refuses", "confirms")
SETTLED_SECONDS = 420.0 if LONG else 120.0
"""A person is asked one thing at a time: a minute's flood is several minutes of conversation; workers share cores."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mind that pika leaves a socket to the garbage collector where the handshake fails, which happens a lot here."""
    for item in items:
        if "/faults/" in item.path.as_posix():
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@dataclass(slots=True)
class Broken:
    """An installation under test, with everything that can go wrong at hand."""

    stack: Stack
    rabbit: RabbitServer
    maria: MariaServer
    broker_way: Proxy
    database_way: Proxy
    crowd: Crowd
    outcomes: Outcomes
    published: list[dict[str, Any]]
    uncounted: set[str] = field(default_factory=set)
    quarantined: int = 0
    """Messages that have to be in the quarantine by now."""

    def send(self, number: int, title: str = "fault", people: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """Publish alerts of one title, spread over the crowd."""
        names = people or [member.name for member in self.crowd.members]
        alerts = [alert(names[n % len(names)], title) for n in range(number)]
        publish(self.stack.amqp_url, alerts)
        self.published += alerts
        return alerts

    def flood(self, seconds: float, per_second: float = 20.0) -> threading.Thread:
        """Publish in the background for a while, again and again what the broker does not confirm."""
        stop = time.monotonic() + seconds

        def run() -> None:
            while time.monotonic() < stop:
                names = [member.name for member in self.crowd.members]
                alerts = [alert(name, f"flood {time.monotonic():.0f}") for name in names[: max(1, int(per_second / 4))]]
                self._insist(alerts)
                time.sleep(0.25)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _insist(self, alerts: list[dict[str, Any]]) -> None:
        """Publish until it is confirmed; the ids let a repeat be recognised, as every careful publisher does."""
        for body in alerts:
            while True:
                with contextlib.suppress(pika.exceptions.AMQPError, OSError):
                    publish(self.stack.amqp_url, [body], message_id=body["hash"])
                    self.published.append(body)
                    break
                time.sleep(0.2)

    def told(self, words: str) -> bool:
        """Tell whether any service has logged `words`: that the fault was met, not missed."""
        return any(words in log for _, log in self.stack.logs())

    def token(self) -> str:
        """Return a new token that may publish over HTTP."""
        name = f"token{len(self.published)}"
        made = json.loads(self.stack.run("tokens", "create", name, "--scope", "publish", "--json").stdout)
        return self.stack.secret(str(made["token"]))

    def deliverable(self) -> bool:
        """Tell whether all queues are there."""
        try:
            return len(self.stack.queue_depths()) > 0
        except pika.exceptions.AMQPError:
            return False

    def settled(self, seconds: float = SETTLED_SECONDS) -> None:
        """Wait until every alert has its outcome and nothing is under way any more."""
        stack, wanted = self.stack, {str(body["hash"]) for body in self.published}

        def quiet() -> bool:
            counts = (
                "SELECT (SELECT COUNT(*) FROM outbox) + (SELECT COUNT(*) FROM auth_requests WHERE state <> 'settled') "
                "+ (SELECT COUNT(*) FROM chat_deliveries WHERE state = 'pending') n"
            )
            return stack.rows(counts)[0]["n"] == 0 and not any(stack.queue_depths().values())

        def missing() -> int:
            return len([digest for digest in wanted if not self.outcomes.of(digest)])

        def still_quiet() -> bool:
            """A message that a consumer holds is in no queue's depth; what comes of it is seen a moment later."""
            if not quiet():
                return False
            time.sleep(1.2)
            return quiet()

        with contextlib.suppress(AssertionError):  # the checker tells better what is missing
            eventually(lambda: missing() == 0 and still_quiet(), seconds, every=0.1)

    def verify(self, seconds: float = SETTLED_SECONDS) -> Findings:
        """Wait until all is settled, and let the checker have its say about everything so far."""
        self.settled(seconds)
        habits = {member.id: member.habit for member in self.crowd.members}
        found = Checker(
            self.stack, self.published, self.outcomes.everything(), habits,
            uncounted=self.uncounted, quarantined=self.quarantined,
        ).check()  # fmt: skip
        assert found.problems == []
        return found


def broken(rabbit: RabbitServer, maria: MariaServer, habits: Sequence[Habit] = HABITS) -> Iterator[Broken]:
    """Yield an installation in which nothing runs yet."""
    amqp_url, database_url = new_vhost(rabbit), new_database(maria)
    with (
        Proxy(rabbit.port) as broker_way,
        Proxy(maria.port) as database_way,
        Stack(amqp_url, database_url, POLICIES) as stack,
    ):
        stack.more = {
            "SECURITYBOT_AMQP_URL": _through(amqp_url, broker_way) + "?heartbeat=4",
            "SECURITYBOT_DATABASE_URL": _through(database_url, database_way),
        }
        with Outcomes(amqp_url) as outcomes, Crowd(stack, habits) as crowd:
            yield Broken(stack, rabbit, maria, broker_way, database_way, crowd, outcomes, [])


def _through(url: str, proxy: Proxy) -> str:
    return make_url(url).set(port=proxy.port).render_as_string(hide_password=False)


@pytest.fixture(scope="package")
def installation(rabbit: RabbitServer, mariadb: MariaServer) -> Iterator[Broken]:
    """All services, ready; every test leaves it working again."""
    for place in broken(rabbit, mariadb):
        place.stack.start()
        place.stack.wait_ready()
        yield place


@pytest.fixture
def place(installation: Broken) -> Iterator[Broken]:
    """The shared installation, healed and whole at the end of a test."""
    yield installation
    installation.stack.slack.heal()
    installation.stack.duo.heal()
    installation.broker_way.heal()
    installation.database_way.heal()
    for name, process in list(installation.stack.processes.items()):
        if "-" in name and name[-1].isdigit():
            process.popen.terminate()
            process.popen.wait(30)
            del installation.stack.processes[name]
        elif not process.alive():
            installation.stack.start(name)  # type: ignore[arg-type]  # the keys without a number are the names
    installation.stack.wait_ready()


@pytest.fixture
def own_place(rabbit: RabbitServer, mariadb: MariaServer) -> Iterator[Broken]:
    """An installation of its own, in which nothing runs yet."""
    yield from broken(rabbit, mariadb)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Collect such sockets with the test that left them, so that they do not fail another folder's test."""
    yield
    told, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        gc.collect()
    finally:
        sys.unraisablehook = told
