"""The console over real sockets on a real record, and visitors who are signed in."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, insert, select, text

from common import api_tokens
from common.api_tokens import Scope
from common.bus.embedded import KombuBus
from common.bus.port import Delivery
from common.http import HttpServer, create_app
from common.records.database import create_database
from common.records.tables import AlertRow, HistoryRow, PersonRow, QuarantineRow
from common.rights import SERVICES
from common.service import Runtime
from common.settings import load_settings
from common.transactions import Transactions
from services.cli.database_users import grant_statements
from services.console.access import Role, csrf_token
from services.console.desk import Desk
from services.console.gate import LOOPBACK_COOKIE
from services.console.mounting import Everything
from services.console.wiring import application, make_desk
from tests.fakes.clock import FakeClock
from tests.servers import free_port


@dataclass
class Visitor:
    """A browser with a session."""

    client: httpx.Client
    csrf: str = ""

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=headers)

    def post(self, path: str, data: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        return self.client.post(path, data={"csrf": self.csrf, "back": "/inbox"} | (data or {}), headers=headers)

    def said(self, path: str = "/inbox") -> str:
        """Return what the next page says about what was done."""
        page = self.get(path).text
        return page.split('role="status">')[1].split("</p>")[0] if 'role="status">' in page else ""


class House:
    """The console, its record, and what it publishes."""

    def __init__(
        self,
        engine: Engine,
        bus: KombuBus,
        demo_name: str | None = None,
        *,
        own_engine: Engine | None = None,
        **settings: str,
    ) -> None:
        """`own_engine`: with the console's own rights, where the database knows rights."""
        self.engine, self.bus, self.clock = engine, bus, FakeClock()
        given = {f"SECURITYBOT_{name.upper()}": value for name, value in settings.items()}
        runtime = Runtime(load_settings(given, dotenv=None), bus, own_engine or engine, self.clock)
        self.desk: Desk = make_desk(runtime, demo_name)
        self.url = f"http://127.0.0.1:{free_port()}"
        self._server = HttpServer(
            create_app({}, [Everything(application(self.desk))]), "127.0.0.1", int(self.url.rpartition(":")[2])
        )
        self._server.start()
        self._clients: list[httpx.Client] = []

    def close(self) -> None:
        self.desk.feed.stop()
        for client in self._clients:
            client.close()
        self._server.stop()

    def browser(self) -> httpx.Client:
        client = httpx.Client(base_url=self.url, trust_env=False, timeout=30)
        self._clients.append(client)
        return client

    def visitor(self, role: Role = Role.ANALYST, name: str = "mara") -> Visitor:
        token = self.desk.gate.sessions.open(name, role, "oidc")
        client = self.browser()
        client.cookies.set(LOOPBACK_COOKIE, token)
        return Visitor(client, csrf_token(token))

    def api(self, scope: Scope = Scope.ADMIN, name: str = "tool") -> httpx.Client:
        transactions = Transactions(self.engine, self.bus, self.clock, "analyst:test")
        token = transactions.run(lambda work: api_tokens.create(work, name, scope, "analyst:test"))
        client = self.browser()
        client.headers["authorization"] = f"Bearer {token}"
        return client

    # --- the record -------------------------------------------------------------------------------------------------

    def alert(self, number: int, **values: Any) -> str:
        """Add an alert that waits for the team, unless `values` say otherwise; return its hash."""
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        now = self.clock.now()
        row: dict[str, Any] = {
            "hash": digest, "owner": "alice", "title": "sudo on db-7", "description": f"alice ran sudo, job {number}",
            "reason": None, "url": None, "severity": "medium", "source": "osquery", "context": None,
            "event_time": now, "received_at": now - timedelta(minutes=number), "last_seen_at": now, "occurrences": 1,
            "status": "verifying", "person_id": "U1", "matched_by": "username", "question_id": None,
            "escalate_at": None, "asked_at": now - timedelta(minutes=number), "responded_at": None,
            "resolved_at": now - timedelta(minutes=number) + timedelta(seconds=30), "closed_at": None,
            "resolution": "no_response", "performed": None, "authenticated": None, "comment": "",
        }  # fmt: skip
        with self.engine.begin() as connection:
            connection.execute(insert(AlertRow), [row | values])
        return str(values.get("hash", digest))

    def person(self, chat_id: str = "U1", username: str = "alice", **values: Any) -> None:
        row = {
            "chat_id": chat_id, "username": username, "email": f"{username}@example.com", "display_name": username,
            "time_zone": None, "locale": None, "active": True, "updated_at": self.clock.now(),
        }  # fmt: skip
        with self.engine.begin() as connection:
            connection.execute(insert(PersonRow), [row | values])

    def quarantined(self, body: bytes = b"{}", exchange: str = "securitybot.alerts", **values: Any) -> int:
        row = {
            "received_at": self.clock.now(), "queue": "securitybot.ingest", "exchange": exchange,
            "routing_key": "alert.osquery", "message_id": "m-1", "type": None, "correlation_id": None, "headers": {},
            "body": body, "reason": "owner: missing", "state": "waiting", "note": None, "decided_by": None,
            "decided_at": None,
        }  # fmt: skip
        with self.engine.begin() as connection:
            connection.execute(insert(QuarantineRow), [row | values])
            return int(connection.scalar(select(QuarantineRow.id).order_by(QuarantineRow.id.desc())) or 0)

    def row(self, table: Any, *where: Any) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(select(table.__table__).where(*where)).first()

    def history(self, action: str) -> list[Any]:
        with self.engine.connect() as connection:
            query = select(HistoryRow.__table__).where(HistoryRow.action == action).order_by(HistoryRow.id)
            return list(connection.execute(query))

    def published(self, queue: str) -> list[Delivery]:
        consumer = self.bus.consume([queue], prefetch=100)
        taken: list[Delivery] = consumer.take(100, timeout=0.2)
        consumer.ack(taken)
        consumer.close()
        return taken


@dataclass
class Builder:
    """Makes houses, and closes them at the end."""

    engine: Engine
    bus: KombuBus
    made: list[House] = field(default_factory=list)

    def __call__(self, demo_name: str | None = None, **settings: str) -> House:
        house = House(self.engine, self.bus, demo_name, own_engine=None, **settings)
        self.made.append(house)
        return house


@pytest.fixture
def build(sqlite_engine: Engine, memory_bus: KombuBus) -> Iterator[Callable[..., House]]:
    """Houses on SQLite with other settings."""
    builder = Builder(sqlite_engine, memory_bus)
    yield builder
    for house in builder.made:
        house.close()


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    """The console on SQLite."""
    return build()


@pytest.fixture
def each_house(engine: Engine, memory_bus: KombuBus) -> Iterator[House]:
    """The console on SQLite and, with its own rights only, on MariaDB."""
    own_engine = with_rights_of("console", engine) if engine.dialect.name != "sqlite" else None
    house = House(engine, memory_bus, own_engine=own_engine)
    yield house
    house.close()
    if own_engine is not None:
        own_engine.dispose()


def with_rights_of(service: str, engine: Engine) -> Engine:
    """Return an engine on the same database for a new user that has the rights of `service`."""
    database, user, password = str(engine.url.database), f"{service}-{secrets.token_hex(4)}", secrets.token_hex(16)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'"))
        for statement in grant_statements(database, {user: SERVICES[service]}):
            connection.execute(text(statement))
    return create_database(engine.url.set(username=user, password=password).render_as_string(hide_password=False))
