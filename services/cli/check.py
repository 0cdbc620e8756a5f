"""`securitybot check`: whether everything is there that the services need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from common.errors import BusUnavailable, ConfigurationError
from services.cli.output import visible
from services.cli.session import is_embedded, read_settings

if TYPE_CHECKING:
    from common.plugins import Group
    from common.settings import Settings


@click.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Check settings, broker, database, chat and second factor: one line each, exit 1 if one is not well.

    \b
    securitybot check && securitybot run all
    """
    try:
        settings = read_settings()
    except ConfigurationError as error:
        for line in error.problems:
            _tell("settings", line)
        context.exit(1)
    _tell("settings", None)
    checks: dict[str, Callable[[Settings], str | None]] = {
        "broker": _broker,
        "database": _database,
        "chat": lambda settings: _plugin(settings, "securitybot.chat", settings.chat),
        "auth": lambda settings: _plugin(settings, "securitybot.auth", settings.auth),
    }
    well = [_tell(name, _outcome(function, settings)) for name, function in checks.items()]
    context.exit(0 if all(well) else 1)


def _outcome(function: Callable[[Settings], str | None], settings: Settings) -> str | None:
    try:
        return function(settings)
    except ConfigurationError as error:
        return "; ".join(error.problems)


def _broker(settings: Settings) -> str | None:
    if is_embedded(settings):
        return None
    from common.bus import open_bus
    from common.topology import TOPOLOGY

    bus = open_bus(settings.amqp_url.get_secret_value())
    try:
        bus.declare(TOPOLOGY)
    except BusUnavailable as error:
        return f"{error}; is the broker up, and is SECURITYBOT_AMQP_URL right?"
    finally:
        bus.close()
    return None


def _database(settings: Settings) -> str | None:
    from common.records.database import create_database
    from common.service import database_problem

    engine = create_database(settings.database_url.get_secret_value())
    try:
        problem = database_problem(engine)
    finally:
        engine.dispose()
    if problem is None or "securitybot migrate" in problem:
        return problem
    return f"{problem}; is the database up, and is SECURITYBOT_DATABASE_URL right?"


def _plugin(settings: Settings, group: Group, name: str) -> str | None:
    from common.plugins import load_plugin

    variable = "SECURITYBOT_CHAT" if group == "securitybot.chat" else "SECURITYBOT_AUTH"
    problem: str | None = load_plugin(group, name, variable)(settings).check()
    return None if problem is None else f"{name}: {problem}"


def _tell(name: str, problem: str | None) -> bool:
    click.echo(f"{name:<9} " + ("ok" if problem is None else f"failed  {visible(problem)}"))
    return problem is None
