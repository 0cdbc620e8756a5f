"""`securitybot check`: whether everything is there that the services need, one line each with what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import click

from common.errors import BusUnavailable, ConfigurationError, SecuritybotError
from services.cli.output import visible
from services.cli.session import is_embedded, read_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from common.plugins import Group
    from common.rights import Rights
    from common.settings import Settings

Results = Iterator[tuple[str, str | None]]
"""Name of a check, and what is wrong; None: all is well."""
WIDTH = 16


@click.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Check settings and YAML files, broker, database, chat and second factor: a line each, exit 1 if one is not well.

    Rights at broker and in the database are checked for the service whose user the settings name (as
    `securitybot bootstrap` makes them), otherwise for all services. Queues that are missing are declared where
    the user may do that; nothing else is changed, and nobody is told anything.

    \b
    securitybot check && securitybot run all
    """
    try:
        settings = read_settings()
        _read_files(settings)
    except ConfigurationError as error:
        for line in error.problems:
            _tell("settings", line)
        context.exit(1)
    well = [_tell(name, problem) for name, problem in _everything(settings)]
    context.exit(0 if all(well) else 1)


def _read_files(settings: Settings) -> None:
    """Raise `ConfigurationError` with every mistake of every YAML file."""
    from common.yaml_files import load_yaml
    from services.console.teams import Teams
    from services.dispatcher.configuration import load_configuration
    from services.ingest.sources import Sources

    folder = settings.config_dir
    problems: list[str] = []
    for read in (
        lambda: load_configuration(folder, second_factor=True, reporting_channel=None),
        lambda: load_yaml(folder / "sources.yaml", Sources, optional=True),
        lambda: load_yaml(folder / "teams.yaml", Teams, optional=True),
    ):
        try:
            read()
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(*problems)


def _everything(settings: Settings) -> Results:
    yield "settings", None
    service, rights = _wanted(settings)
    yield from _broker(settings, rights)
    yield from _database(settings, rights, service)
    if service in (None, "chat-gateway"):
        yield from _plugin(settings, "securitybot.chat", settings.chat)
    if service in (None, "auth-poller"):
        yield from _plugin(settings, "securitybot.auth", settings.auth)


def _wanted(settings: Settings) -> tuple[str | None, Mapping[str, Rights]]:
    """Return the service whose user the settings name, if any, and the rights to look for by service."""
    from urllib.parse import urlsplit

    from common.rights import CONSOLE_WITH_LOCAL_CHAT, SERVICES
    from services.cli.deployment import PREFIX

    services = SERVICES if settings.chat != "local" else {**SERVICES, "console": CONSOLE_WITH_LOCAL_CHAT}
    user = urlsplit(settings.amqp_url.get_secret_value()).username or ""
    service = user.removeprefix(PREFIX)
    if user.startswith(PREFIX) and service in services:
        return service, {service: services[service]}
    return None, services


# --- broker -----------------------------------------------------------------------------------------------------------


def _broker(settings: Settings, rights: Mapping[str, Rights]) -> Results:
    from common.bus import open_bus
    from common.topology import TOPOLOGY

    if is_embedded(settings):
        yield "broker", None
        return
    url = settings.amqp_url.get_secret_value()
    try:
        bus = open_bus(url)
        try:
            bus.declare(TOPOLOGY)
        finally:
            bus.close()
    except ConfigurationError as error:
        yield "broker", "; ".join(error.problems)
    except BusUnavailable as error:
        yield "broker", f"{error}; is the broker up, and is SECURITYBOT_AMQP_URL right?"
    else:
        yield "broker", None
        if url.startswith("amqp"):
            yield "broker-rights", _told(lambda: _broker_rights(url, rights))


def _broker_rights(url: str, rights: Mapping[str, Rights]) -> str | None:
    from common.bus.rabbit_rights import refused_publications
    from common.topology import EVENTS

    wanted = {
        (exchange, key)
        for own in rights.values()
        for exchange, keys in ((EVENTS, own.event_keys), *((name, ("check",)) for name in own.whole_exchanges))
        for key in keys
    }
    refused = refused_publications(url, sorted(wanted))
    if not refused:
        return None
    names = ", ".join(key if exchange == EVENTS else exchange for exchange, key in refused)
    return f"this user may not publish {names}: import definitions.json of `securitybot bootstrap` at the broker"


# --- database ---------------------------------------------------------------------------------------------------------


def _database(settings: Settings, rights: Mapping[str, Rights], service: str | None) -> Results:
    from common.records.database import clock_problem, create_database
    from common.service import database_problem

    try:
        engine = create_database(settings.database_url.get_secret_value())
    except ConfigurationError as error:
        yield "database", "; ".join(error.problems)
        return
    try:
        problem = database_problem(engine)
        if problem is not None and "securitybot migrate" not in problem:
            problem = f"{problem}; is the database up, and is SECURITYBOT_DATABASE_URL right?"
        yield "database", problem
        if problem is None and engine.dialect.name != "sqlite":
            yield "database-rights", _told(lambda: _of_record(engine, lambda c: _table_rights(c, rights, service)))
            yield "database-clock", _told(lambda: _of_record(engine, clock_problem))
    finally:
        engine.dispose()


def _of_record(engine: Engine, question: Callable[[Connection], str | None]) -> str | None:
    from common.records.database import translated_errors

    with translated_errors(), engine.connect() as connection:
        return question(connection)


def _table_rights(connection: Connection, rights: Mapping[str, Rights], service: str | None) -> str | None:
    from common.records.missing_rights import may, missing_rights

    missing = sorted({line for own in rights.values() for line in missing_rights(connection, own.tables)})
    if missing:
        return f"this user lacks {', '.join(missing)}: run `securitybot migrate --grants` as the administrator"
    if service is not None and (may(connection, "history", "DELETE") or may(connection, "history", "UPDATE")):
        return (
            f"this user may rewrite the history, which {service} never needs: give it the rights of grants.sql and no "
            "others"
        )
    return None


# --- chat and second factor -------------------------------------------------------------------------------------------


def _plugin(settings: Settings, group: Group, name: str) -> Results:
    from common.plugins import load_plugin

    what, variable = ("chat", "SECURITYBOT_CHAT") if group == "securitybot.chat" else ("auth", "SECURITYBOT_AUTH")
    try:
        plugin = load_plugin(group, name, variable)(settings)
    except ConfigurationError as error:
        yield what, "; ".join(error.problems)
        return
    problem: str | None = plugin.check()
    yield what, None if problem is None else f"{name}: {problem}"
    if problem is None and hasattr(plugin, "inspect"):
        for detail, wrong in plugin.inspect().items():
            yield f"{what}-{detail}", wrong


def _told(question: Callable[[], str | None]) -> str | None:
    try:
        return question()
    except SecuritybotError as error:
        return str(error)


def _tell(name: str, problem: str | None) -> bool:
    click.echo(f"{name:<{WIDTH}} " + ("ok" if problem is None else f"failed  {visible(problem)}"))
    return problem is None
