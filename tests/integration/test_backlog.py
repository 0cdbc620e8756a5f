"""What waits, on SQLite and MariaDB, and what `/metrics` says of it and of the checks of `/readyz`."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine, delete

from common import backlog
from common.alerts import Status
from common.bus.embedded import KombuBus
from common.http import HttpServer, create_app
from common.records.tables import AlertRow, OutboxRow, QuarantineRow
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from tests.fakes.clock import FakeClock
from tests.history import History


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def transactions(engine: Engine, memory_bus: KombuBus, clock: FakeClock) -> Transactions:
    return Transactions(engine, memory_bus, clock, "test")


def add_alert(work: UnitOfWork, number: int, status: Status, *, verdict_in: timedelta) -> None:
    work.insert(
        AlertRow, hash=f"{number:064x}", owner="alice", title="sudo", description="sudo", severity="low", source="test",
        event_time=work.now, received_at=work.now, last_seen_at=work.now, occurrences=1, status=status,
        escalate_at=work.now + verdict_in,
    )  # fmt: skip


def waits(what: str) -> tuple[float | None, float | None]:
    """Return how many rows wait, and for how many seconds the oldest has."""
    labels = {"what": what}
    return (
        REGISTRY.get_sample_value("securitybot_waiting", labels),
        REGISTRY.get_sample_value("securitybot_oldest_waiting_seconds", labels),
    )


def test_rows_of_the_history_wait_until_they_are_sealed(engine: Engine, clock: FakeClock) -> None:
    history = History(engine, clock)
    measure = backlog.measuring(backlog.SEALS).run
    history.write(2)
    clock.advance(timedelta(minutes=3))
    history.write(1)
    history.run(measure)
    assert waits("seal") == (3, 180)

    history.seal()
    history.run(measure)
    assert waits("seal") == (0, 0)


def test_alerts_are_measured_by_whom_they_wait_for(transactions: Transactions, clock: FakeClock) -> None:
    def arrive(work: UnitOfWork) -> None:
        add_alert(work, 1, Status.OPEN, verdict_in=timedelta(minutes=10))
        add_alert(work, 2, Status.IN_PROGRESS, verdict_in=timedelta(hours=6))
        add_alert(work, 3, Status.VERIFYING, verdict_in=timedelta(minutes=1))
        add_alert(work, 4, Status.CLOSED, verdict_in=timedelta(minutes=1))

    transactions.run(arrive)
    clock.advance(timedelta(minutes=12))
    transactions.run(backlog.measuring(backlog.ALERTS, backlog.OVERDUE, backlog.TEAM).run)
    assert waits("verdict") == (2, 720)
    assert waits("overdue") == (1, 120)
    assert waits("team") == (1, 720)


def test_what_is_settled_waits_no_more(transactions: Transactions, clock: FakeClock) -> None:
    def quarantine(work: UnitOfWork) -> None:
        for state in ("waiting", "waiting", "retried", "dropped"):
            work.insert(
                QuarantineRow, received_at=work.now, queue="q", exchange="e", routing_key="k", headers={}, body=b"?",
                reason="not JSON", state=state,
            )  # fmt: skip

    transactions.run(quarantine)
    clock.advance(timedelta(seconds=30))
    measure = backlog.measuring(backlog.QUARANTINE).run
    transactions.run(measure)
    assert waits("quarantine") == (2, 30)
    transactions.run(lambda work: work.connection.execute(delete(QuarantineRow)))
    transactions.run(measure)
    assert waits("quarantine") == (0, 0)


def test_an_outbox_that_is_not_drained_grows_old(transactions: Transactions, clock: FakeClock) -> None:
    def decide(work: UnitOfWork) -> None:
        work.insert(
            OutboxRow, id="1", message_id="m", exchange="e", routing_key="k", headers={}, content_type="text/plain",
            mandatory=True, body=b"", created_at=work.now,
        )  # fmt: skip

    transactions.run(decide)
    clock.advance(timedelta(minutes=5))
    transactions.run(backlog.measuring(backlog.OUTBOX).run)
    assert waits("outbox") == (1, 300)


def test_metrics_tell_which_check_of_readiness_fails() -> None:
    server = HttpServer(create_app({"broker": lambda: None, "database": lambda: "away"}), "127.0.0.1", 0)
    server.start()
    lines = httpx.get(f"{server.address}/metrics").text.splitlines()
    server.stop()
    assert 'securitybot_ready{check="broker"} 1.0' in lines
    assert 'securitybot_ready{check="database"} 0.0' in lines
