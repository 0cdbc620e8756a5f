"""One installation for most tests; what kills or misconfigures a service starts its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.outside import Outcomes
from tests.person import Person
from tests.servers import MariaServer, RabbitServer
from tests.stack import Stack, new_database, new_vhost

POLICIES: dict[str, Any] = {
    "defaults": {"clock": "always", "answer_within": "2m", "remind_before": "30s", "proof": "always", "back_off": "1h"},
    "titles": [
        {"match": "soon over*", "answer_within": "8s", "remind_before": "6s"},
        {"match": "one push*", "pushes": 1},
        {"match": "no proof*", "proof": "never"},
    ],
    "limits": {"pushes_per_hour": 20},
}


@pytest.fixture(scope="package")
def stack(rabbit: RabbitServer, mariadb: MariaServer) -> Iterator[Stack]:
    """Every service, ready. No test may harm it."""
    with Stack(new_vhost(rabbit), new_database(mariadb), POLICIES) as stack:
        stack.start()
        stack.wait_ready()
        yield stack


@pytest.fixture(scope="package")
def outcomes(stack: Stack) -> Iterator[Outcomes]:
    """Who listens to `securitybot.outcomes` of the shared installation."""
    with Outcomes(stack.amqp_url) as outcomes:
        yield outcomes


@pytest.fixture
def own_stack(rabbit: RabbitServer, mariadb: MariaServer) -> Iterator[Stack]:
    """An installation in which nothing runs yet, to start, kill and misconfigure."""
    with Stack(new_vhost(rabbit), new_database(mariadb), POLICIES) as stack:
        yield stack


@pytest.fixture
def http_stack(rabbit: RabbitServer, mariadb: MariaServer) -> Iterator[Stack]:
    """Like `own_stack`, with events over signed HTTP instead of Socket Mode."""
    with Stack(new_vhost(rabbit), new_database(mariadb), POLICIES, http_events=True) as stack:
        yield stack


@pytest.fixture
def person(stack: Stack) -> Person:
    """Somebody new whom the bot knows."""
    return Person(stack)


@pytest.fixture
def people(stack: Stack) -> Callable[..., Person]:
    """Make somebody new whom the bot knows, with what they have at Duo."""

    def join(**how: Any) -> Person:
        return Person(stack, **how)

    return join
