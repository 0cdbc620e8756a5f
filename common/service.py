"""What a service is made of, and the process that runs one or several of them until it is told to stop."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType
from typing import Any

from sqlalchemy import Engine, text
from starlette.routing import BaseRoute

from common.bus import open_bus
from common.bus.port import Bus
from common.clock import Clock, SystemClock
from common.errors import Temporary
from common.http import Check, HttpServer, create_app
from common.ids import new_id
from common.logs import get_logger
from common.records.database import clock_problem, create_database, translated_errors
from common.records.migrate import schema_problem
from common.retry import Backoff
from common.runnable import Runnable
from common.settings import HTTP_PORTS, SHARED_HTTP_PORT, Settings
from common.topology import TOPOLOGY
from common.transactions import Transactions

log = get_logger(__name__)

STOP_SECONDS = 9.0
"""Container runtimes kill after 10."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a service is built from. One a process; `transactions` makes each service its own."""

    settings: Settings
    bus: Bus
    engine: Engine
    clock: Clock = field(default_factory=SystemClock)
    instance: str = field(default_factory=lambda: f"{socket.gethostname()[:20]}-{os.getpid()}-{new_id()[-6:]}")
    """Names this process in claims."""

    def transactions(self, service: str) -> Transactions:
        """Return the transactions of one service."""
        return Transactions(self.engine, self.bus, self.clock, service)


@dataclass(frozen=True, slots=True)
class Service:
    """A service, wired and not yet running."""

    name: str
    runnables: Sequence[Runnable]
    routes: Sequence[BaseRoute] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)


Build = Callable[[Runtime], Service]
"""A service's `build` function, in its `wiring` module."""


def open_runtime(settings: Settings) -> Runtime:
    """Return a runtime for `settings`; connects lazily, waits for nothing."""
    return Runtime(
        settings,
        open_bus(settings.amqp_url.get_secret_value()),
        create_database(settings.database_url.get_secret_value()),
    )


def database_problem(engine: Engine, *, clock: bool = False) -> str | None:
    """Readiness check: the record answers, has this release's schema and, where `clock`, about the same time."""
    try:
        with translated_errors(), engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            return schema_problem(connection) or (clock_problem(connection) if clock else None)
    except Temporary as error:
        return str(error)


class Process:
    """Runs services in this process: one thread a runnable, one HTTP server for all."""

    def __init__(self, runtime: Runtime, builds: Sequence[Build]) -> None:
        self._runtime = runtime
        self._builds = builds
        self._stopping = threading.Event()
        self._failed = False
        self.services: list[Service] = []
        self._threads: list[threading.Thread] = []
        self._waits_for = ""
        self._http: HttpServer | None = None

    def run(self) -> int:
        """Start, wait for SIGTERM or SIGINT, stop cleanly. Returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            if self.start():
                self._stopping.wait()
        finally:
            self.stop()
        return 1 if self._failed else 0

    def start(self) -> bool:
        """Wait for broker and database, then start everything. False: told to stop before that."""
        self.services = [build(self._runtime) for build in self._builds]
        self._listen()
        if not (self._wait_for("database", self._database_ready) and self._wait_for("broker", self._declare)):
            return False
        if not self._runtime.bus.durable:
            self._runtime.transactions("restart").sweep(timedelta(0), most=None)  # a bus in memory takes all
        for service in self.services:
            for runnable in service.runnables:
                thread = threading.Thread(target=self._guard, args=(runnable,), name=runnable.name, daemon=True)
                self._threads.append(thread)
                thread.start()
        # What is loaded by now stays: the collector need not look at it again and again (5-10 % of a busy service).
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        log.info("started", services=[service.name for service in self.services], instance=self._runtime.instance)
        return True

    @property
    def address(self) -> str:
        """Where this process listens, once started."""
        assert self._http is not None
        return self._http.address

    def stop(self) -> None:
        """Stop every runnable, then the HTTP server, then the connections; under 10 s."""
        self._stopping.set()
        for service in self.services:
            for runnable in service.runnables:
                runnable.stop()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("stopped_late", thread=thread.name)
        self._runtime.bus.close()
        self._runtime.engine.dispose()
        if self._http is not None:  # otherwise a mistake in the settings was found, which is told in one line
            self._http.stop()
            log.info("stopped")

    def _listen(self) -> None:
        settings = self._runtime.settings
        default = HTTP_PORTS[self.services[0].name] if len(self.services) == 1 else SHARED_HTTP_PORT
        port = default if settings.http_port is None else settings.http_port
        checks: dict[str, Check] = {
            "broker": self._runtime.bus.problem,
            "database": lambda: database_problem(self._runtime.engine, clock=True),
            "threads": self._threads_problem,
        }
        routes: list[BaseRoute] = []
        for service in self.services:
            checks |= service.checks
            routes += service.routes
        http = HttpServer(create_app(checks, routes), settings.http_host, port)
        http.start()
        self._http = http

    def _threads_problem(self) -> str | None:
        if not self._threads:
            return self._waits_for or "starting"
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        return f"ended: {', '.join(dead)}" if dead else None

    def _database_ready(self) -> None:
        problem = database_problem(self._runtime.engine)
        if problem:
            raise Temporary(problem)

    def _declare(self) -> None:
        self._runtime.bus.declare(TOPOLOGY)

    def _wait_for(self, what: str, action: Callable[[], None]) -> bool:
        backoff, attempt = Backoff(), 0
        while not self._stopping.is_set():
            try:
                action()
            except Temporary as error:
                pause = backoff.pause(attempt)
                attempt += 1
                self._waits_for = f"waiting for the {what}: {error}"
                log.warning("waiting_for", what=what, cause=str(error), attempt=attempt, seconds=round(pause, 2))
                self._stopping.wait(pause)
            else:
                return True
        return False

    def _guard(self, runnable: Runnable) -> None:
        """A thread that dies takes the process with it: better restarted than half alive."""
        try:
            runnable.run()
        except Exception:
            log.exception("thread_died", thread=runnable.name)
            self._failed = True
            self._stopping.set()

    def _on_signal(self, number: int, _frame: FrameType | None) -> Any:
        log.info("stopping", signal=signal.Signals(number).name)
        self._stopping.set()
