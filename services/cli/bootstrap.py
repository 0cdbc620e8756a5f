"""`securitybot bootstrap`: what a deployment is started with is made once."""

from __future__ import annotations

from pathlib import Path

import click

from common.errors import ConfigurationError


@click.command()
@click.option("--into", "folder", type=click.Path(path_type=Path), required=True, help="Folder for the files.")
@click.option("--rabbitmq", default="rabbitmq:5672", show_default=True, help="HOST:PORT of the broker.")
@click.option("--mysql", default="mysql:3306", show_default=True, help="HOST:PORT of the database.")
@click.option("--vhost", default="securitybot", show_default=True, help="Virtual host at the broker.")
@click.option("--database", default="securitybot", show_default=True, help="Name of the database.")
@click.option("--ca-file", help="Path, where the services run, of the CA of broker and database: both by TLS then.")
@click.option("--group", type=int, help="Group id of the services: may read what is theirs.")
@click.option("--rabbitmq-group", type=int, help="Group id of RabbitMQ: may read definitions.json.")
@click.option("--mysql-group", type=int, help="Group id of the database: may read mysql_root and users.sql.")
@click.option(
    "--chat",
    envvar="SECURITYBOT_CHAT",
    default="local",
    show_default=True,
    help="With `local` the console may publish what is typed on its chat page.",
)
def bootstrap(  # noqa: PLR0913, PLR0917 - click passes each option by name
    folder: Path,
    rabbitmq: str,
    mysql: str,
    vhost: str,
    database: str,
    ca_file: str | None,
    group: int | None,
    rabbitmq_group: int | None,
    mysql_group: int | None,
    chat: str,
) -> None:
    """Make the secrets and rights of a deployment: a user a service, at the broker and in the database.

    Passwords that are there are kept. Names are printed, values never.

    \b
    securitybot bootstrap --into secrets --group 10001 --rabbitmq-group 999 --mysql-group 999
    """
    from common.rights import SERVICES
    from services.cli.database_users import NAME
    from services.cli.deployment import Deployment, Groups, place_of, services_with

    for name in (vhost, database):
        if not NAME.fullmatch(name):
            raise click.UsageError(f"{name!r} is no name of 1 to 64 letters, digits, - and _")
    tls = f"?cafile={ca_file}" if ca_file else ""
    verified = f"?ssl_ca={ca_file}" if ca_file else ""  # PyMySQL then checks certificate and host name
    writer = Deployment(folder, Groups(group, rabbitmq_group, mysql_group))
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        writer.broker(place_of(rabbitmq, 5672, vhost, tls), services_with(chat))
        writer.record(place_of(mysql, 3306, database, verified), SERVICES)
        writer.seals()
    except OSError as error:
        raise ConfigurationError(f"{error.filename or folder}: cannot be written: {error.strerror}") from None
