"""`securitybot migrate`: schema, rights on tables, and what the broker has to have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from services.cli.session import is_embedded, read_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.settings import Settings


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
    engine = create_database(settings.database_url.get_secret_value(), statement_seconds=None)  # large tables
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
