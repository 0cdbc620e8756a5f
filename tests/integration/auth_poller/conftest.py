"""What these tests share: a record in a file, a bus that only remembers, a fake second factor, the fake Duo."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, update

from common.bus.port import Consumer, Publication
from common.clock import SystemClock
from common.errors import BusUnavailable
from common.messages import AuthenticationSettled, AuthenticationStarted, StartAuthentication
from common.records.tables import AuthRequestRow
from common.service import Runtime
from common.settings import Settings
from common.topology import Topology
from common.transactions import Transactions
from services.auth_poller.poller import Poller
from services.auth_poller.port import Answer, Authenticator, Prepared, Request, Settled, Started
from tests.fakes.duo import FakeDuo
from tests.waiting import eventually


class RememberingBus:
    """Confirms everything and keeps it, so that tests see what was published."""

    durable = True

    def __init__(self) -> None:
        self.published: list[Publication] = []

    def declare(self, topology: Topology) -> None: ...

    def publish(self, publications: Sequence[Publication], timeout: float = 30.0) -> frozenset[int]:
        self.published.extend(publications)
        return frozenset()

    def consume(self, queues: Sequence[str], prefetch: int) -> Consumer:
        raise BusUnavailable("this bus delivers nothing")

    def connected(self) -> bool:
        return True

    def problem(self) -> str | None:
        return None

    def depths(self, queues: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(queues, 0)

    def close(self) -> None: ...

    def started(self) -> list[AuthenticationStarted]:
        bodies = [p.body for p in list(self.published) if p.type == "AuthenticationStarted"]
        return [AuthenticationStarted.model_validate_json(body) for body in bodies]

    def settled(self) -> list[AuthenticationSettled]:
        bodies = [p.body for p in list(self.published) if p.type == "AuthenticationSettled"]
        return [AuthenticationSettled.model_validate_json(body) for body in bodies]


class FakeAuthenticator:
    """A second factor that answers from lists; an exception in a list is raised, the last entry repeats."""

    def __init__(self) -> None:
        self.prepared: list[Prepared | Settled | Exception] = [Prepared()]
        self.begun: list[Started | Settled | Exception] = [Started("tx-1")]
        self.polled: list[Settled | Exception | None] = [None]
        self.prepares: list[str] = []
        self.starts: list[str] = []
        self.polls: list[str] = []
        self.may_start = threading.Event()
        self.may_start.set()
        self.in_start = threading.Event()

    def prepare(self, request: Request) -> Prepared | Settled:
        self.prepares.append(request.request_id)
        answer: Prepared | Settled = _next(self.prepared)
        return answer

    def start(self, request: Request, prepared: Prepared) -> Started | Settled:
        self.starts.append(request.request_id)
        self.in_start.set()
        assert self.may_start.wait(10)
        answer: Started | Settled = _next(self.begun)
        return answer

    def poll(self, transaction: str, most: float) -> Settled | None:
        self.polls.append(transaction)
        answer: Settled | None = _next(self.polled)
        return answer

    def answered(self, request: Request, answer: Answer) -> Settled | None:
        return None

    def check(self) -> str | None:
        return None


def _next(answers: list[Any]) -> Any:
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


class Bench:
    """The record, the bus, and pollers that stand for processes."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.bus = RememberingBus()
        self.clock = SystemClock()
        self.pollers: list[Poller] = []
        self._threads: list[threading.Thread] = []

    def runtime(self, instance: str) -> Runtime:
        return Runtime(Settings(), self.bus, self.engine, self.clock, instance)

    def transactions(self) -> Transactions:
        return Transactions(self.engine, self.bus, self.clock, "auth-poller")

    def poller(self, authenticator: Authenticator, instance: str = "one", most: int = 600) -> Poller:
        poller = Poller(authenticator, self.transactions(), self.runtime(instance), most, look_every=0.05)
        self.pollers.append(poller)
        return poller

    def run(self, authenticator: Authenticator, instance: str = "one") -> Poller:
        poller = self.poller(authenticator, instance)
        thread = threading.Thread(target=poller.run, daemon=True)
        self._threads.append(thread)
        thread.start()
        return poller

    def insert(self, request: Request, *, claimed_by: str = "gone", lapsed: float = 60.0) -> None:
        """Put a request into the record whose claim lapsed some seconds ago (or, negative, has yet to)."""
        now = self.clock.now()
        with self.engine.begin() as connection:
            connection.execute(
                insert(AuthRequestRow).values(
                    request_id=request.request_id,
                    person_id=request.person_id,
                    username=request.username,
                    title=request.title,
                    facts=request.facts,
                    state=request.state.value,
                    transaction=request.transaction,
                    claimed_by=claimed_by,
                    claimed_until=now - timedelta(seconds=lapsed),
                    created_at=now,
                    expires_at=request.expires_at,
                )
            )

    def lapse(self, seconds: float = 60.0) -> None:
        """Let all claims have lapsed, as if their processes had been killed."""
        until = self.clock.now() - timedelta(seconds=seconds)
        with self.engine.begin() as connection:
            connection.execute(update(AuthRequestRow).values(claimed_until=until))

    def row(self, request_id: str) -> AuthRequestRow:
        with self.engine.connect() as connection:
            row = connection.execute(
                select(AuthRequestRow.__table__).where(AuthRequestRow.request_id == request_id)
            ).one()
        return AuthRequestRow(**row._mapping)

    def lease(self, request_id: str) -> timedelta:
        """Return for how much longer a request is claimed."""
        until = self.row(request_id).claimed_until
        assert until is not None
        return until - self.clock.now()

    def states(self) -> Collection[str]:
        with self.engine.connect() as connection:
            return list(connection.scalars(select(AuthRequestRow.state)))

    def stop(self) -> None:
        for poller in self.pollers:
            poller.stop()
        for thread in self._threads:
            thread.join(10)


def a_request(request_id: str = "r1", seconds: float = 30.0, **fields: object) -> Request:
    """Return a request for Ada that expires in so many seconds."""
    values: dict[str, object] = {
        "person_id": "U1",
        "username": "ada",
        "title": "sudo",
        "facts": (("Host", "db-7"), ("Request", request_id)),
        "expires_at": datetime.now(UTC) + timedelta(seconds=seconds),
    }
    return Request(request_id, **(values | fields))  # type: ignore[arg-type]


def a_start(request_id: str = "r1", seconds: float = 30.0, username: str = "ada") -> StartAuthentication:
    """Return the message that asks for `a_request`."""
    request = a_request(request_id, seconds, username=username)
    return StartAuthentication(
        request_id=request_id,
        person_id=request.person_id,
        username=request.username,
        title=request.title,
        facts=request.facts,
        expires_at=request.expires_at,
    )


both = pytest.mark.parametrize("database_url", ["sqlite", "mariadb"], indirect=True)
"""For what depends on the database's own way of locking; a fresh MariaDB costs each test over a second."""


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


@pytest.fixture
def bench(engine: Engine) -> Iterator[Bench]:
    bench = Bench(engine)
    yield bench
    bench.stop()
    eventually(lambda: not any(thread.name == "push" for thread in threading.enumerate()))


@pytest.fixture
def duo() -> Iterator[FakeDuo]:
    with FakeDuo(poll_seconds=0.3) as fake:
        yield fake
