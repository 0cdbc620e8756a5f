"""Two dispatchers at once, on a real database: a verdict is given once, whoever comes first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select

from common.bus.embedded import KombuBus
from common.bus.port import Delivery
from common.errors import Temporary
from common.messages import Envelope, Message, PersonLookedUp
from common.records.tables import AlertRow, HistoryRow, PersonRow
from common.settings import SHIPPED_CONFIG
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from common.worker import Received
from services.dispatcher.configuration import load_configuration
from services.dispatcher.desk import Desk
from services.dispatcher.handlers import DispatcherHandler
from tests.conftest import migrated
from tests.fakes.clock import FakeClock

ALERTS = 5
DELIVERY = Delivery(
    queue="q", exchange="e", routing_key="k", body=b"", message_id="m", type=None, correlation_id=None, headers={},
    content_type=None, redelivered=False, tag=None,
)  # fmt: skip


@pytest.fixture
def engine(mariadb_url: str) -> Iterator[Engine]:
    yield from migrated(mariadb_url)


class Dispatchers:
    """Handlers with transactions of their own, over one record with alerts whose owner is being looked up."""

    def __init__(self, engine: Engine, bus: KombuBus) -> None:
        self.engine, self.bus, self.clock = engine, bus, FakeClock()
        config = load_configuration(SHIPPED_CONFIG, second_factor=False, reporting_channel="C1")
        self.handler = DispatcherHandler(config)
        now = self.clock.now()
        alert = {
            "owner": "erin", "title": "sudo", "description": "d", "severity": "medium", "source": "s",
            "event_time": now, "received_at": now, "last_seen_at": now, "occurrences": 1, "status": "open",
            "escalate_at": now + timedelta(days=1),
        }  # fmt: skip
        with engine.begin() as connection:
            connection.execute(insert(AlertRow), [alert | {"hash": f"{number:064x}"} for number in range(ALERTS)])

    def take(self, message: PersonLookedUp) -> None:
        envelope: Envelope[Message] = Envelope("m", message, None, None)
        transactions = Transactions(self.engine, self.bus, self.clock, "dispatcher")
        for _ in range(3):  # as the worker does where two got into each other's way
            with suppress(Temporary):
                transactions.run(lambda work: self.handler.handle(work, [Received(DELIVERY, envelope)]))
                return

    def both(self, message: PersonLookedUp, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let both come to the alerts at the same moment, and the first wait for the second before it goes on."""
        save, first, started = Desk.save, threading.Event(), threading.Event()

        def slowly(desk: Desk) -> None:
            if not first.is_set():
                first.set()
                assert started.wait(20)
                second.join(1.0)
            save(desk)

        second = threading.Thread(target=self.take, args=(message,))
        monkeypatch.setattr(Desk, "save", slowly)
        leader = threading.Thread(target=self.take, args=(message,))
        leader.start()
        assert first.wait(20)
        second.start()
        started.set()
        leader.join(20)
        second.join(20)

    def noted(self, action: str) -> int:
        with self.engine.connect() as connection:
            found = select(func.count()).select_from(HistoryRow).where(HistoryRow.action == action)
            return connection.scalar(found) or 0


@pytest.fixture
def dispatchers(engine: Engine, memory_bus: KombuBus) -> Dispatchers:
    return Dispatchers(engine, memory_bus)


def test_an_owner_nobody_knows_gets_one_verdict_an_alert(
    dispatchers: Dispatchers, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatchers.both(PersonLookedUp(handle="erin"), monkeypatch)
    assert dispatchers.noted("resolved") == ALERTS


def test_an_owner_who_is_found_is_asked_once_about_all(
    dispatchers: Dispatchers, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = {"chat_id": "U1", "username": "erin", "display_name": "Erin", "active": True}
    with dispatchers.engine.begin() as connection:
        connection.execute(insert(PersonRow), [person | {"updated_at": dispatchers.clock.now()}])
    dispatchers.both(PersonLookedUp(handle="erin", person_id="U1"), monkeypatch)

    def question(work: UnitOfWork) -> Any:
        return Desk(work).conversation("U1").question

    transactions = Transactions(dispatchers.engine, dispatchers.bus, dispatchers.clock, "test")
    asked = transactions.run(question)
    assert asked.count == ALERTS
    assert dispatchers.noted("asked") == 1
