"""The stack under measurement: private broker and database, fake Slack, and every service as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
from sqlalchemy import Engine, create_engine, text

from common.records.database import create_database
from common.records.migrate import migrate
from tests.servers import MariaServer, RabbitServer, free_port
from tests.waiting import eventually

SERVICES = ("ingest", "dispatcher", "chat-gateway", "auth-poller")


class Stack:
    """Starts with `with`; everything is gone at its end."""

    def __init__(self, chat: str = "slack") -> None:
        self._chat = chat
        self.rabbit, self.maria = RabbitServer(), MariaServer()
        self.folder = Path(tempfile.mkdtemp(prefix="securitybot-bench-"))
        self.processes: dict[str, psutil.Popen] = {}
        self.ports: dict[str, int] = {}
        self.slack: dict[str, Any] = {}
        self._slack_process: subprocess.Popen[str] | None = None
        self.engine: Engine

    def __enter__(self) -> Self:
        self.rabbit.start()
        self.maria.start()
        server = create_engine(self.maria.url)
        with server.begin() as connection:
            connection.execute(text("CREATE DATABASE bench CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"))
        self.database_url = f"{self.maria.url}/bench"
        self.engine = create_database(self.database_url)
        migrate(self.engine)
        if self._chat == "slack":
            self._start_slack()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(15)
        if self._slack_process is not None:
            self._slack_process.terminate()
        self.rabbit.remove()
        self.maria.remove()

    def _start_slack(self) -> None:
        self._slack_process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.slack"], stdout=subprocess.PIPE, text=True
        )
        assert self._slack_process.stdout is not None
        self.slack = json.loads(self._slack_process.stdout.readline())
        self.control("add_channel", channel_id="C0SECURITY")

    def control(self, helper: str, **arguments: Any) -> Any:
        """Move the fake Slack."""
        base = self.slack["api_url"].removesuffix("api/")
        answer = httpx.post(f"{base}_control/{helper}", json=arguments, timeout=60)
        answer.raise_for_status()
        return answer.json()["result"]

    def start_services(self) -> None:
        """Start every service and wait until each is ready."""
        for name in SERVICES:
            self.ports[name] = free_port()
            environment = os.environ | {
                "MALLOC_ARENA_MAX": "2",  # as in the container images
                "SECURITYBOT_AMQP_URL": self.rabbit.url,
                "SECURITYBOT_DATABASE_URL": self.database_url,
                "SECURITYBOT_CHAT": self._chat,
                "SECURITYBOT_AUTH": "none",
                "SECURITYBOT_REPORTING_CHANNEL": "C0SECURITY",
                "SECURITYBOT_HTTP_PORT": str(self.ports[name]),
            }
            if self._chat == "slack":
                environment |= {
                    "SECURITYBOT_SLACK_BOT_TOKEN": self.slack["bot_token"],
                    "SECURITYBOT_SLACK_APP_TOKEN": self.slack["app_token"],
                    "SECURITYBOT_SLACK_API_URL": self.slack["api_url"],
                }
            log = (self.folder / f"{name}.log").open("w")
            script = Path(sys.executable).with_name("securitybot")
            self.processes[name] = psutil.Popen([str(script), "run", name], env=environment, stderr=log)
        for name in SERVICES:
            eventually(partial(self._ready, name), 30)

    def processor_seconds(self) -> dict[str, float]:
        """Return the processor time used so far by each service, the broker and the database."""
        used = {name: sum(process.cpu_times()[:2]) for name, process in self.processes.items()}
        for name, server in (("broker", self.rabbit), ("database", self.maria)):
            root = psutil.Process(server.pid)
            used[name] = sum(sum(process.cpu_times()[:2]) for process in [root, *root.children(recursive=True)])
        return used

    def _ready(self, name: str) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[name]}/readyz").status_code == 200
        except httpx.TransportError:
            return False
