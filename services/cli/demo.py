"""`securitybot demo`: everything in one process, and a conversation in the terminal.

Memory bus, SQLite, local chat, simulated push. Killed and started again it goes on where it was: what was decided is
in the record, and what was not yet handled in its outbox.
"""

from __future__ import annotations

import getpass
import io
import os
import queue
import re
import socket
import sys
import threading
import time
from functools import partial
from typing import Any

import click
from sqlalchemy import select

from common.alert_publication import prepare
from common.errors import ConfigurationError
from common.ids import new_id
from common.local_chat import local_reply
from common.logs import configure_logging
from common.records.migrate import create_or_migrate
from common.records.queries import list_silences
from common.records.tables import AlertRow, ConversationRow, HistoryRow, IgnoredRow
from common.service import Process, Runtime, open_runtime
from common.settings import SHARED_HTTP_PORT, Settings, load_settings
from services.cli.output import print_table
from services.cli.run import ALL, load_build
from services.cli.terminal_chat import TerminalChat, shown_verdict
from services.console.wiring import build_with as build_console
from services.dispatcher.conversation_state import Conversation

POLL_SECONDS = 0.05
QUIET_SECONDS = 0.4
"""A script's next line is read once the bot has said something and then nothing for this long."""
PATIENCE_SECONDS = 15.0
"""How long a script waits for the bot to say anything."""
CHANNEL = "security-team"
QUIT = ("quit", "exit")
TITLES = ("sudo on db-7", "log-in from a new country", "new ssh key on db-7")
"""Of the first alert: the first that its person has not just confirmed, which would mute it for a day."""
ALERTS = AlertRow.__table__


def run_demo() -> int:
    """Run until the script ends, or until Ctrl-C or `quit` in a terminal. Returns the exit code."""
    settings = _demo_settings(load_settings())
    configure_logging(settings.log_format, settings.secrets(), level="WARNING")
    runtime = open_runtime(settings)
    create_or_migrate(runtime.engine)
    person = _own_handle()
    console = partial(build_console, demo_name=person)
    process = Process(runtime, [console if name == "console" else load_build(name) for name in ALL])
    try:
        if process.start():
            Demo(runtime, person, process.address).run()
    except KeyboardInterrupt:
        click.echo()
    finally:
        process.stop()
    return 0


def _demo_settings(settings: Settings) -> Settings:
    """Keep what the user set for database, configuration and logs; the rest is what makes it a demo.

    Raises:
        ConfigurationError: the database is no file. On its memory bus the demo would lose what waits in the outbox of a
            real installation, and it signs in whoever is at this machine.
    """
    if not settings.database_url.get_secret_value().startswith("sqlite"):
        raise ConfigurationError(
            "SECURITYBOT_DATABASE_URL is set to a server's: the demo works on a file of its own, so leave it out, or "
            "set it to sqlite:///demo.db"
        )
    return settings.model_copy(
        update={
            "amqp_url": type(settings.amqp_url)("memory://"),
            "chat": "local",
            "auth": "local",
            "reporting_channel": CHANNEL,
            "http_port": settings.http_port if settings.http_port is not None else _free_port(settings.http_host),
        }
    )


def _free_port(host: str) -> int:
    """Return the usual port, or any (0) where somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return SHARED_HTTP_PORT if probe.connect_ex((host, SHARED_HTTP_PORT)) else 0


class Demo:
    """The conversation of the person at the terminal."""

    def __init__(self, runtime: Runtime, person: str, address: str) -> None:
        self._runtime = runtime
        self._transactions = runtime.transactions("demo")
        self._person = person
        self._address = address
        self._chat = TerminalChat(self._person, CHANNEL)
        self._typed: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._interactive = sys.stdin.isatty()
        self._shown_at = 0.0
        self._settled: set[str] = set()

    def run(self) -> None:
        """Greet, ask, and go on until the input ends."""
        click.echo(f"securitybot demo: you are {self._person}. Answer in words, or with a button's number; `test` asks")
        click.echo("for another alert, `help` shows more, `quit` or Ctrl-C ends.")
        click.echo(f"The record is in {self._runtime.engine.url.database}; without that file everything starts afresh.")
        click.echo(f"The same in a browser, with the security team's side: {self._address}")
        self._begin()
        threading.Thread(target=self._read_lines, name="terminal", daemon=True).start()
        if self._interactive:
            self._converse()
        else:
            self._follow_script()

    def _begin(self) -> None:
        """Take up an open question, or send the first alert."""
        with self._runtime.engine.connect() as connection:
            state = connection.scalar(select(ConversationRow.state).where(ConversationRow.person_id == self._person))
            resolved = connection.scalars(select(ALERTS.c.hash).where(ALERTS.c.resolution.is_not(None)))
            self._settled.update(resolved)
            talk = Conversation.model_validate(state) if state else None
            waiting = connection.scalar(select(ALERTS.c.id).where(ALERTS.c.resolution.is_(None)).limit(1))
            muted = list_silences(
                connection, IgnoredRow, self._runtime.clock.now(), ended=False, limit=len(TITLES), owner=self._person
            )
            title = next((title for title in TITLES if title not in [row["title"] for row in muted]), TITLES[0])
            self._chat.skip_old(connection, talk.question.sequence if talk and talk.question else None)
        if waiting is not None:
            click.echo("(going on where we were)")
            return
        alert = {
            "owner": self._person,
            "title": title,
            "description": f"{self._person} opened a root shell on db-7",
            "reason": "TTY=pts/3 ; PWD=/home ; USER=root ; COMMAND=/bin/bash",
            "event_time": self._runtime.clock.now().isoformat(),
        }
        _, publication = prepare(alert, source="demo", message_id=new_id(), received_at=self._runtime.clock.now())
        self._transactions.publish_now([publication])

    # --- a person at the terminal -----------------------------------------------------------------------------------

    def _converse(self) -> None:
        while True:
            self._show()
            try:
                line = self._typed.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if line is None or line.strip().casefold() in QUIT:
                return
            self._say(line)

    # --- a script ----------------------------------------------------------------------------------------------------

    def _follow_script(self) -> None:
        """Say a line each time the bot has had its say; at the end of the input, show what came of it."""
        self._wait_until_said()
        while (line := self._typed.get()) is not None and line.strip().casefold() not in QUIT:
            if line.strip():
                click.echo(f"you: {line.strip()}")
                self._say(line)
                self._wait_until_said()

    def _wait_until_said(self) -> None:
        began, self._shown_at = time.monotonic(), 0.0
        while time.monotonic() - began < PATIENCE_SECONDS:
            self._show()
            if self._shown_at and time.monotonic() - self._shown_at > QUIET_SECONDS:
                return
            time.sleep(POLL_SECONDS)

    # --- both ---------------------------------------------------------------------------------------------------------

    def _read_lines(self) -> None:
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        for line in sys.stdin:
            self._typed.put(line)
        self._typed.put(None)

    def _say(self, line: str) -> None:
        said = self._chat.read(line)
        now = self._runtime.clock.now()
        reply = local_reply(self._person, now, text=said.text, action=said.action, subject=said.subject)
        self._transactions.publish_now([reply])

    def _show(self) -> None:
        """Show what the bot said since the last time, and the record of every alert that got its verdict."""
        with self._runtime.engine.connect() as connection:
            lines = list(self._chat.news(connection))
            verdicts = connection.execute(select(ALERTS).where(ALERTS.c.resolution.is_not(None))).all()
        for line, for_the_person in lines:
            click.echo(line)
            if for_the_person:
                self._shown_at = time.monotonic()
        new = [row for row in verdicts if row.hash not in self._settled]
        if new and not lines:  # the bot's own words come first
            for row in new:
                self._settled.add(row.hash)
                self._show_outcome(row)
        elif self._interactive and lines:
            click.echo("> ", nl=False)

    def _show_outcome(self, row: Any) -> None:
        click.echo("\nRecorded outcome")
        print_table(
            [{"field": name, "value": value} for name, value in shown_verdict(row).items()],
            {"field": "Field", "value": "Value"},
            "",
        )
        history = HistoryRow.__table__
        with self._runtime.engine.connect() as connection:
            rows = connection.execute(
                select(history).where(history.c.alert_hash == row.hash).order_by(history.c.id)
            ).all()
        print_table([dict(r._mapping) for r in rows], {"at": "When", "actor": "Who", "action": "Did what"}, "")  # noqa: SLF001
        if self._interactive:
            click.echo("> ", nl=False)


def _own_handle() -> str:
    """Return the name of the person at the terminal as a chat user name."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = f"uid{os.getuid()}"
    return re.sub(r"[^a-z0-9._-]", "-", name.lower()).strip("-._") or "you"
