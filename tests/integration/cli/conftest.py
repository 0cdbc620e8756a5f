"""The command line with a record of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from common.records.database import create_database
from common.records.migrate import migrate
from common.records.tables import PersonRow
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.cli.main import cli
from services.cli.session import OutboxOnly
from tests.fakes.clock import FakeClock


class CommandLine:
    """Runs commands as a person would, and gives a hand at the record behind them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.clock = FakeClock()
        self._transactions = Transactions(engine, OutboxOnly(), self.clock, "test")

    def run(self, *arguments: str, input: str | bytes | None = None) -> Result:  # noqa: A002 - CliRunner's name for it
        """Run `securitybot arguments`; whatever it ends with."""
        result = CliRunner().invoke(cli, list(arguments), input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def ok(self, *arguments: str) -> str:
        """Run a command that must work; returns what it printed."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """Run with `--json` and return what it says."""
        return json.loads(self.ok(*arguments, "--json"))

    def refused(self, *arguments: str, code: int = 1) -> str:
        """Run a command that must fail with one line; returns that line."""
        result = self.run(*arguments)
        assert result.exit_code == code, (result.exit_code, result.output)
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("securitybot: ")
        return line

    def write(self, action: Callable[[UnitOfWork], object]) -> None:
        """Change the record directly."""
        self._transactions.run(action)

    def add_person(self, chat_id: str, username: str, email: str | None = None, *, active: bool = True) -> None:
        """Put somebody into the directory."""
        self.write(
            lambda work: work.insert(
                PersonRow, chat_id=chat_id, username=username, email=email, display_name=username.title(),
                active=active, updated_at=work.now,
            )
        )  # fmt: skip


@pytest.fixture
def line(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    """A command line on a migrated SQLite record."""
    monkeypatch.setenv("SECURITYBOT_DATABASE_URL", sqlite_url)
    for name in ("SECURITYBOT_AMQP_URL", "SECURITYBOT_CHAT", "SECURITYBOT_AUTH", "SECURITYBOT_HTTP_PORT"):
        monkeypatch.delenv(name, raising=False)
    engine = create_database(sqlite_url)
    migrate(engine)
    yield CommandLine(engine)
    engine.dispose()
