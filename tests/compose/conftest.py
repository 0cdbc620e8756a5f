"""The stack of docker-compose.yml in containers, once for all tests that use it."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.compose.browser import Browser
from tests.compose.docker import Compose, DockerMissing, copy_checkout, daemon, run
from tests.compose.standins import provide
from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
LISTEN = """
import pika, sys
channel = pika.BlockingConnection(pika.URLParameters(open("/secrets/amqp_url_admin").read())).channel()
channel.queue_declare("heard", durable=True, arguments={"x-queue-type": "quorum"})
channel.queue_bind("heard", "securitybot.outcomes", "outcome.#")
"""


@dataclass
class Installation:
    """What is up, and how long that took."""

    compose: Compose
    console: str
    ingest: str
    seconds_to_up: float
    seconds_to_first_question: float
    bases: dict[str, str]
    browsers: list[Browser] = field(default_factory=list)

    def analyst(self, name: str, role: str = "analyst") -> Browser:
        """Return the browser of somebody who has just got an account."""
        self.compose.cli("analysts", "add", name, "--role", role, given=PASSWORD + "\n")
        browser = Browser(self.console, name, PASSWORD)
        self.browsers.append(browser)
        return browser


@pytest.fixture(scope="session")
def stack() -> Iterator[Installation]:
    """Up from a clean checkout, with one alert asked about: alice's "first alert"."""
    if not os.environ.get("SECURITYBOT_TEST_COMPOSE"):
        pytest.skip("minutes in containers: `make compose-test` runs it")
    folder = Path(tempfile.mkdtemp(prefix="securitybot-compose-"))
    try:
        with daemon():
            bases = provide()
            yield from _up(folder, bases)
    except DockerMissing as error:
        pytest.skip(f"no containers here: {error}")
    finally:
        shutil.rmtree(folder)


def _up(folder: Path, bases: dict[str, str]) -> Iterator[Installation]:
    copy_checkout(ROOT, folder)
    console, ingest = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    settings = {"CONSOLE_ADDRESS": console, "INGEST_ADDRESS": ingest, "SECURITYBOT_IMAGE": "securitybot-test"}
    compose = Compose(folder, f"securitybot-test-{secrets.token_hex(3)}", settings)
    compose("build", "-q")
    began = time.monotonic()
    try:
        compose("up", "-d")
        up = time.monotonic() - began
        installation = Installation(compose, f"http://{console}", f"http://{ingest}", up, 0.0, bases)
        alice = installation.analyst("alice")
        compose.cli("publish", "--owner", "alice", "--title", "first alert", "--description", "a root shell on db-7")
        alice.wait_for("first alert")
        installation.seconds_to_first_question = time.monotonic() - began
        compose.python(LISTEN)
        yield installation
        for browser in installation.browsers:
            browser.close()
    finally:
        _keep_logs(compose)
        compose("down", "--volumes", "--remove-orphans", check=False)
        run("docker", "image", "prune", "-f", check=False)


def _keep_logs(compose: Compose) -> None:
    """Write every container's log where the operator of the tests asked for it."""
    if target := os.environ.get("SECURITYBOT_TEST_COMPOSE_LOGS"):
        Path(target).write_text(compose("logs", "--no-color", check=False))
