"""All services as processes of their own, against a private broker and record, the fake Slack and the fake Duo.

One `Stack` is one installation: a virtual host and a database of its own, a folder with its configuration and logs, and
as many processes as a test starts. Secrets are unique to the run, so that every log can be searched for them.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import httpx
import pika
import yaml
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from common import rights
from common.records.database import create_database
from common.records.migrate import migrate
from services.cli.broker_definitions import SALT_BYTES, definitions, password_hash
from services.cli.database_users import grant_statements
from tests.fakes.duo import FakeDuo
from tests.fakes.slack import FakeSlack
from tests.servers import MariaServer, RabbitServer, free_port
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = str(Path(sys.executable).with_name("securitybot"))
CHANNEL = "C0SECURITY"
Name = Literal["ingest", "dispatcher", "chat-gateway", "auth-poller"]
SERVICES: tuple[Name, ...] = ("ingest", "dispatcher", "chat-gateway", "auth-poller")
QUEUES = (
    "securitybot.ingest", "securitybot.dispatcher", "securitybot.chat-gateway", "securitybot.auth-poller",
    "securitybot.dead",
)  # fmt: skip
READY_SECONDS = 120.0
STOP_SECONDS = 30.0
"""A service stops in 10 s or logs `stopped_late`; a machine that is busy may need longer to end the process."""


def new_vhost(rabbit: RabbitServer) -> str:
    """Return the URL of a virtual host that is new on the server, for its administrator.

    The services' users have the administrator's name with theirs after it, and the same password.
    """
    name, password = f"e2e{secrets.token_hex(4)}", secrets.token_hex(16)
    hashed = password_hash(password, secrets.token_bytes(SALT_BYTES))
    users: dict[str, tuple[str, rights.Rights | None]] = {name: (hashed, None)}
    users |= {f"{name}-{service}": (hashed, own) for service, own in rights.SERVICES.items()}
    path = rabbit.folder / f"{name}.json"
    path.write_text(json.dumps(definitions(name, users)))
    rabbit.ctl("import_definitions", str(path))
    return f"amqp://{name}:{password}@127.0.0.1:{rabbit.port}/{name}"


def new_database(maria: MariaServer) -> str:
    """Return the URL of a database that is new on the server, with the newest schema, for its administrator.

    The services' users have the administrator's name with theirs after it, and the same password.
    """
    name, password = f"e2e{secrets.token_hex(4)}", secrets.token_hex(16)
    server = create_engine(maria.url, poolclass=NullPool)
    with server.begin() as connection:
        for statement in (
            f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            f"CREATE USER {name} IDENTIFIED BY '{password}'",
            f"GRANT ALL ON {name}.* TO {name}",
        ):
            connection.execute(text(statement))
    url = make_url(maria.url).set(username=name, password=password, database=name)
    engine = create_database(url.render_as_string(hide_password=False))
    migrate(engine)
    engine.dispose()
    users = {f"{name}-{service}": own for service, own in rights.SERVICES.items()}
    with server.begin() as connection:
        for user in users:
            connection.execute(text(f"CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'"))
        for statement in grant_statements(name, users):
            connection.execute(text(statement))
    return url.render_as_string(hide_password=False)


class ServiceProcess:
    """One `securitybot run`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path, port: int) -> None:
        self.port = port
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command, env=dict(environment), cwd=log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def get(self, path: str) -> httpx.Response | None:
        """Ask its HTTP side; None while it does not answer."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)
        except httpx.TransportError:
            return None

    def is_ready(self) -> bool:
        """Tell whether it can work; fails where it has ended instead."""
        if self.popen.poll() is not None:
            raise AssertionError(f"ended with {self.popen.returncode}:\n{self.log.read_text()[-3000:]}")
        answer = self.get("/readyz")
        return answer is not None and answer.status_code == 200

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self.popen.poll() is None

    def kill(self) -> None:
        """End it like kill -9."""
        self.popen.kill()
        self.popen.wait()

    def term(self, seconds: float = STOP_SECONDS) -> int:
        """Ask it to stop and return its exit code; fails where that takes longer than `seconds`."""
        self.popen.terminate()
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.send_signal(signal.SIGABRT)
            raise AssertionError(f"{self.log.name} still ran {seconds:g} s after SIGTERM") from None


class Stack:
    """An installation. Leaving it stops everything and looks for secrets in the logs."""

    def __init__(
        self,
        amqp_url: str,
        database_url: str,
        policies: Mapping[str, Any],
        *,
        slack: FakeSlack | None = None,
        duo: FakeDuo | None = None,
        http_events: bool = False,
        own_users: bool = True,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="securitybot-stack-"))
        self.amqp_url, self.database_url = amqp_url, database_url
        self.engine: Engine = create_engine(database_url, poolclass=NullPool)
        """For plain SQL: none of the product's code is between the record and what a test reads."""
        self.slack = slack or FakeSlack()
        self.duo = duo or FakeDuo(poll_seconds=5.0)
        self.processes: dict[str, ServiceProcess] = {}
        self.more: dict[str, str] = {}
        """Environment of the processes that are started from now on."""
        self.own_users = own_users
        """Whether each service runs with its own rights only, as in production."""
        self._http_events = http_events
        self._ports = {name: free_port() for name in SERVICES}
        self._secrets: set[str] = set()
        self._history_key = secrets.token_hex(32)
        config = self.folder / "config"
        shutil.copytree(ROOT / "config", config)
        (config / "policies.yaml").write_text(yaml.safe_dump(dict(policies)))

    def __enter__(self) -> Self:
        self.duo.__enter__()
        self.slack.add_channel(CHANNEL)
        if self._http_events:
            self.slack.poster.url = f"http://127.0.0.1:{self._ports['chat-gateway']}"
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for process in self.processes.values():
                process.popen.terminate()
            for process in self.processes.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.popen.wait(STOP_SECONDS)
                process.kill()
            assert not (leaks := self.leaks()), f"secrets in the logs: {leaks}"
        finally:
            self.slack.stop()
            self.duo.__exit__()
            shutil.rmtree(self.folder)

    # --- processes --------------------------------------------------------------------------------------------------

    def environment(self, port: int = 0) -> dict[str, str]:
        """Return the whole environment of a process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SECURITYBOT_")}
        slack = {
            "SECURITYBOT_CHAT": "slack",
            "SECURITYBOT_SLACK_API_URL": self.slack.api_url,
            "SECURITYBOT_SLACK_BOT_TOKEN": self.slack.bot_token,
            "SECURITYBOT_REPORTING_CHANNEL": CHANNEL,
        }
        if self._http_events:
            slack["SECURITYBOT_SLACK_SIGNING_SECRET"] = self.slack.signing_secret
        else:
            slack["SECURITYBOT_SLACK_APP_TOKEN"] = self.slack.app_token
        ours = {
            "SECURITYBOT_AMQP_URL": self.amqp_url,
            "SECURITYBOT_DATABASE_URL": self.database_url,
            "SECURITYBOT_CONFIG_DIR": str(self.folder / "config"),
            "SECURITYBOT_HISTORY_KEY": self._history_key,
            "SECURITYBOT_HTTP_PORT": str(port),
        }
        environment = kept | slack | self.duo.settings() | ours | self.more
        self._secrets |= _secrets_in(environment)
        return environment

    def start(
        self, *names: Name, replica: int = 0, command: Sequence[str] = (SCRIPT,), **more: str
    ) -> list[ServiceProcess]:
        """Start services (all, where none is named) without waiting for them; `command` stands for `securitybot`."""
        started = []
        for name in names or SERVICES:
            port = self._ports[name] if replica == 0 else free_port()
            key = f"{name}-{replica}" if replica else name
            whole = [*command, "run", name]
            environment = self.environment(port) | self._own_users(name) | more
            process = ServiceProcess(whole, environment, self.folder / f"{key}.log", port)
            self.processes[key] = process
            started.append(process)
        return started

    def _own_users(self, service: str) -> dict[str, str]:
        """Return the settings with which a service has only its own rights; through a proxy it is the administrator."""
        urls = {"SECURITYBOT_AMQP_URL": self.amqp_url, "SECURITYBOT_DATABASE_URL": self.database_url}
        return {
            name: (url := make_url(value)).set(username=f"{url.username}-{service}").render_as_string(False)
            for name, value in urls.items()
            if self.own_users and name not in self.more
        }

    def wait_ready(self) -> None:
        """Wait until every process that should run can work."""
        for process in self.processes.values():
            eventually(process.is_ready, READY_SECONDS)

    def restart(self, name: Name, **more: str) -> ServiceProcess:
        """Kill a service with -9 and start it again."""
        self.processes[name].kill()
        return self.start(name, replica=0, command=(SCRIPT,), **more)[0]

    def run(
        self, *arguments: str, given: str | bytes = b"", check: bool = True, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        done = subprocess.run(
            [SCRIPT, *arguments],
            env=self.environment() | more,
            cwd=self.folder,
            input=given if isinstance(given, str) else given.decode(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not check or done.returncode == 0, (done.returncode, done.stdout, done.stderr)
        return done

    # --- the record and the logs ------------------------------------------------------------------------------------

    def rows(self, statement: str, **values: object) -> list[dict[str, Any]]:
        """Read the record with plain SQL."""
        with self.engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(text(statement), values)]

    def alert(self, digest: str) -> dict[str, Any] | None:
        """Return an alert's row."""
        rows = self.rows("SELECT * FROM alerts WHERE hash = :hash", hash=bytes.fromhex(digest))
        return rows[0] if rows else None

    def history(self, digest: str) -> list[str]:
        """Return what was done about an alert, in order."""
        rows = self.rows("SELECT action FROM history WHERE alert_hash = :hash ORDER BY id", hash=bytes.fromhex(digest))
        return [row["action"] for row in rows]

    def queue_depths(self) -> dict[str, int]:
        """Return how many messages wait in each of the services' queues."""
        connection = pika.BlockingConnection(pika.URLParameters(self.amqp_url))
        channel = connection.channel()
        depths = {name: channel.queue_declare(name, passive=True).method.message_count for name in QUEUES}
        connection.close()
        return depths

    def logs(self) -> Iterator[tuple[str, str]]:
        """Yield every log with its name."""
        for path in sorted(self.folder.glob("*.log")):
            yield path.stem, path.read_text(errors="replace")

    def keep_logs(self, folder: str) -> None:
        """Copy every log to `folder`, which outlives the installation."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob("*.log"):
            shutil.copy(path, folder)

    def secret(self, value: str) -> str:
        """Return `value`, which no log may hold from now on."""
        self._secrets.add(value)
        return value

    def leaks(self) -> list[str]:
        """Return the logs in which a secret of this run stands."""
        return [name for name, log in self.logs() for secret in self._secrets if secret in log]


def _secrets_in(environment: Mapping[str, str]) -> set[str]:
    names = ("_TOKEN", "_SECRET", "_SKEY", "_HISTORY_KEY")
    found = {value for name, value in environment.items() if name.startswith("SECURITYBOT_") and name.endswith(names)}
    for name in ("SECURITYBOT_AMQP_URL", "SECURITYBOT_DATABASE_URL"):
        password = make_url(environment[name]).password
        if password:
            found.add(str(password))
    return found
