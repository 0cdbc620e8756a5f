"""`securitybot run`, `migrate` and `demo`."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

from common.errors import ConfigurationError
from services.cli.session import is_embedded, read_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.service import Build
    from common.settings import Settings

WIRINGS = {
    "ingest": "services.ingest.wiring",
    "dispatcher": "services.dispatcher.wiring",
    "chat-gateway": "services.chat_gateway.wiring",
    "auth-poller": "services.auth_poller.wiring",
    "console": "services.console.wiring",  # last: its routes take every path that is left
}
ALL = ("ingest", "dispatcher", "chat-gateway", "auth-poller", "console")


@click.command()
@click.argument("names", metavar="SERVICE...", nargs=-1, required=True, type=click.Choice([*WIRINGS, "all"]))
@click.pass_context
def run(context: click.Context, names: tuple[str, ...]) -> None:
    """Run one or several services in this process until SIGTERM or Ctrl-C.

    SERVICE is ingest, dispatcher, chat-gateway, auth-poller, console, or all.

    \b
    securitybot run all
    SECURITYBOT_AMQP_URL=amqps://… securitybot run dispatcher
    """
    _load_structlog_alone()
    chosen = ALL if "all" in names else tuple(name for name in WIRINGS if name in names)
    settings = read_settings()
    builds = [load_build(name) for name in chosen]
    if is_embedded(settings) and not set(ALL) <= set(chosen):
        raise click.UsageError(
            "SECURITYBOT_AMQP_URL is memory://, which works within one process only: use `securitybot demo` or "
            "`securitybot run all`, or set it to amqp://…"
        )
    from common import failpoints
    from common.logs import configure_logging
    from common.service import Process, open_runtime

    configure_logging(settings.log_format, settings.secrets())
    failpoints.arm(os.environ)
    context.exit(Process(open_runtime(settings), builds).run())


def _load_structlog_alone() -> None:
    """Keep structlog from loading rich, which it does where rich is installed: 9 MB that a service never uses."""
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment] # makes the import fail, as the import system documents
        try:
            import structlog  # noqa: F401
        finally:
            del sys.modules["rich"]


def load_build(name: str) -> Build:
    """Return the `build` of a service; only what it needs itself is imported.

    Raises:
        ConfigurationError: the service or a package that it needs is not installed.
    """
    module = WIRINGS[name]
    try:
        build: Build = import_module(module).build
    except ModuleNotFoundError as error:
        missing = error.name or "?"
        if module.startswith(missing):
            raise ConfigurationError(f"{name} is not part of this installation") from None
        raise ConfigurationError(
            f"{name} needs the package {missing!r}, which is not installed: install securitybot[{name}]"
        ) from None
    return build


@click.command()
@click.option("--grants", is_flag=True, help="Give the users of `securitybot bootstrap` their rights on tables.")
def migrate(grants: bool) -> None:
    """Bring database and broker to what this release needs; safe to run again.

    The database gets the newest schema, RabbitMQ every exchange, queue and binding. Needs users who may do that.

    \b
    SECURITYBOT_DATABASE_URL=mysql+pymysql://… SECURITYBOT_AMQP_URL=amqps://… securitybot migrate
    """
    from common.records.database import create_database
    from common.records.migrate import migrate as migrate_database

    settings = read_settings()
    engine = create_database(settings.database_url.get_secret_value())
    try:
        before, after = migrate_database(engine)
        click.echo(f"at schema {after} already" if before == after else f"schema {before or 'none'} -> {after}")
        if grants:
            click.echo(f"granted: {', '.join(_grant(engine))}")
    finally:
        engine.dispose()
    if not is_embedded(settings):
        _declare(settings)
        click.echo("broker: exchanges, queues and bindings are there")


def _grant(engine: Engine) -> list[str]:
    """Give every service's user its rights on tables. Returns whose."""
    from sqlalchemy import text

    from common.records.database import translated_errors
    from common.rights import SERVICES
    from services.cli.database_users import grant_statements
    from services.cli.deployment import PREFIX

    if engine.url.get_backend_name() == "sqlite" or engine.url.database is None:
        raise click.UsageError("--grants is for MySQL and MariaDB: SQLite has no users")
    users = {PREFIX + name: rights for name, rights in SERVICES.items()}
    with translated_errors(), engine.begin() as connection:
        for statement in grant_statements(engine.url.database, users):
            connection.execute(text(statement))
    return list(users)


def _declare(settings: Settings) -> None:
    from common.bus import open_bus
    from common.topology import TOPOLOGY

    bus = open_bus(settings.amqp_url.get_secret_value())
    try:
        bus.declare(TOPOLOGY)
    finally:
        bus.close()


@click.command()
@click.pass_context
def demo(context: click.Context) -> None:
    """Try everything in one process: memory bus, SQLite, local chat, simulated push.

    \b
    securitybot demo
    """
    _load_structlog_alone()
    from services.cli.demo import run_demo

    context.exit(run_demo())
