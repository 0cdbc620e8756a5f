"""Servers and buses for every test. A server starts at its first use, once a session."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import NoReturn, TypeVar

import pika
import pika.exceptions
import pytest
from hypothesis import settings
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from common.bus.embedded import KombuBus
from common.ids import new_id
from common.records.database import create_database
from common.records.migrate import migrate
from common.topology import TOPOLOGY
from tests.servers import MariaServer, RabbitServer, ServerMissing
from tests.stack import Stack

settings.register_profile("untimed", deadline=None)  # how fast the machine is, is no matter of these tests
settings.load_profile("untimed")

S = TypeVar("S", RabbitServer, MariaServer)
TAIL = 6_000


def unavailable(reason: str) -> NoReturn:
    """Skip at home, fail in CI: there a test that did not run is a hole."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def running(build: Callable[[], S]) -> Iterator[S]:
    """Start a server, yield it and remove it."""
    try:
        server = build()
    except ServerMissing as error:
        unavailable(str(error))
    try:
        server.start()
        yield server
    finally:
        server.remove()


def pytest_xdist_auto_num_workers() -> int:
    """Workers under `-n auto`: each has servers of its own; given ones serve only one."""
    given = {"SECURITYBOT_TEST_AMQP_URL", "SECURITYBOT_TEST_DATABASE_URL"} & os.environ.keys()
    return 0 if given else max(2, os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of the services' logs beside a failure."""
    report = yield
    if report.failed:
        values = [getattr(value, "stack", value) for value in getattr(item, "funcargs", {}).values()]
        for stack in {id(value): value for value in values if isinstance(value, Stack)}.values():
            if stack.folder.exists():
                report.sections += [(f"log of {name}", log[-TAIL:]) for name, log in stack.logs()]
    return report


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitServer]:
    """The private RabbitMQ, to kill and start again."""
    yield from running(RabbitServer)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaServer]:
    """The private MariaDB, to kill and start again."""
    yield from running(MariaServer)


@pytest.fixture
def amqp_url(request: pytest.FixtureRequest) -> str:
    """A RabbitMQ in which no queue of `TOPOLOGY` holds a message.

    Purged, not deleted: deleting a quorum queue takes a broker that was killed before five seconds.
    """
    url = os.environ.get("SECURITYBOT_TEST_AMQP_URL") or request.getfixturevalue("rabbit").url
    connection = pika.BlockingConnection(pika.URLParameters(url))
    for queue in TOPOLOGY.queues:
        with contextlib.suppress(pika.exceptions.ChannelClosedByBroker):  # not declared yet
            connection.channel().queue_purge(queue.name)
    connection.close()
    return str(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite database that is not there yet."""
    return f"sqlite:///{tmp_path / 'record.db'}"


@pytest.fixture
def mariadb_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh, empty database on the MariaDB server."""
    base = make_url(os.environ.get("SECURITYBOT_TEST_DATABASE_URL") or request.getfixturevalue("mariadb").url)
    name = f"test_{new_id().replace('-', '')}"
    server = create_engine(base, poolclass=NullPool)  # a test may kill the server in between
    with server.begin() as connection:
        connection.execute(text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"))
    yield base.set(database=name).render_as_string(hide_password=False)
    with server.begin() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The test runs once on SQLite and once on MariaDB, each time on an empty database."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated database on both."""
    yield from migrated(database_url)


@pytest.fixture
def sqlite_engine(sqlite_url: str) -> Iterator[Engine]:
    """A migrated SQLite database."""
    yield from migrated(sqlite_url)


def migrated(url: str) -> Iterator[Engine]:
    """Yield an engine on the newest schema."""
    engine = create_database(url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def memory_bus() -> Iterator[KombuBus]:
    """An embedded bus with everything declared."""
    bus = KombuBus("memory://")
    bus.declare(TOPOLOGY)
    yield bus
    bus.close()
