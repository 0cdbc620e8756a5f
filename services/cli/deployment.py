"""What `securitybot bootstrap` makes: the secrets and rights of a deployment, as files.

What a deployment is started with is made once: a password a user at the broker and in the database, URLs for the
services' settings, definitions for RabbitMQ and SQL for the database. Run again, it keeps every password that is there,
makes those that are missing, and writes the rest anew.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from common.errors import ConfigurationError
from common.rights import CONSOLE_WITH_LOCAL_CHAT, PUBLISHER, SERVICES, Rights
from services.cli.broker_definitions import SALT_BYTES, definitions, password_hash
from services.cli.database_users import PASSWORD, grant_statements, script, user_statements

PREFIX = "securitybot-"
"""Of every user's name, so that they are told from others' on a server that is shared."""
ADMIN = "admin"
PUBLISHES = "publisher"
READABLE_BY_GROUP, PRIVATE = 0o640, 0o600


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is reached, and under which name the installation stands there."""

    host: str
    port: int
    name: str
    """The virtual host, or the database."""
    query: str = ""


@dataclass(frozen=True, slots=True)
class Groups:
    """Group ids that may read the files; None: their owner alone."""

    services: int | None = None
    broker: int | None = None
    database: int | None = None


class Deployment:
    """The files in one folder."""

    def __init__(self, folder: Path, groups: Groups) -> None:
        self._folder = folder
        self._groups = groups

    def broker(self, place: Place, services: Mapping[str, Rights]) -> None:
        """Write passwords, URLs and definitions of the broker's users."""
        users: dict[str, tuple[str, Rights | None]] = {}
        for name, rights in {**services, PUBLISHES: PUBLISHER, ADMIN: None}.items():
            password = self._password(f"rabbitmq_{_file(name)}", self._groups.services)
            users[PREFIX + name] = (password_hash(password, secrets.token_bytes(SALT_BYTES)), rights)
            scheme = "amqps" if place.query else "amqp"
            url = f"{scheme}://{PREFIX}{name}:{password}@{place.host}:{place.port}/{place.name}{place.query}"
            self._write(f"amqp_url_{_file(name)}", url, self._groups.services)
        whole = json.dumps(definitions(place.name, users), indent=1)
        self._write("definitions.json", whole + "\n", self._groups.broker)

    def record(self, place: Place, services: Mapping[str, Rights]) -> None:
        """Write passwords, URLs and SQL of the database's users."""
        self._password("mysql_root", self._groups.database)
        passwords = {}
        for name in (*services, ADMIN):
            password = self._password(f"mysql_{_file(name)}", self._groups.services)
            passwords[PREFIX + name] = password
            url = f"mysql+pymysql://{PREFIX}{name}:{password}@{place.host}:{place.port}/{place.name}{place.query}"
            self._write(f"database_url_{_file(name)}", url, self._groups.services)
        users = script(user_statements(place.name, passwords, PREFIX + ADMIN))
        self._write("users.sql", users, self._groups.database)
        granted = {PREFIX + name: rights for name, rights in services.items()}
        self._write("grants.sql", script(grant_statements(place.name, granted)), self._groups.database)

    def seals(self) -> None:
        """Write the key of the history's seals. One that is there is kept, older ones after it too."""
        path = self._folder / "history_key"
        if path.exists():
            self._protect(path, self._groups.services)
            click.echo(f"kept   {path.name}")
        else:
            self._write(path.name, secrets.token_urlsafe(32), self._groups.services)

    def _password(self, name: str, group: int | None) -> str:
        path = self._folder / name
        if path.exists():
            password = path.read_text("utf-8").strip()
            if not PASSWORD.fullmatch(password):
                raise ConfigurationError(f"{path}: no password of 16 or more letters, digits, - and _")
            self._protect(path, group)
            click.echo(f"kept   {name}")
            return password
        password = secrets.token_urlsafe(32)
        self._write(name, password, group)
        return password

    def _write(self, name: str, content: str, group: int | None) -> None:
        """Write through a new file, so that nobody ever reads half of it, nor a secret that all may read."""
        path, new = self._folder / name, self._folder / f".{name}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "w", encoding="utf-8") as file:
            file.write(content)
        self._protect(new, group)
        new.replace(path)
        click.echo(f"wrote  {name}")

    def _protect(self, path: Path, group: int | None) -> None:
        if group is None:
            path.chmod(PRIVATE)
            return
        try:
            os.chown(path, -1, group)
        except PermissionError:
            raise ConfigurationError(
                f"{path}: cannot be given to group {group}: run as root, or as a member of that group"
            ) from None
        path.chmod(READABLE_BY_GROUP)


def services_with(chat: str) -> dict[str, Rights]:
    """Return every service's rights; with the local chat the console may also publish what is typed there."""
    return {**SERVICES, "console": CONSOLE_WITH_LOCAL_CHAT} if chat == "local" else dict(SERVICES)


def place_of(address: str, port: int, name: str, query: str) -> Place:
    """Return the place at HOST:PORT, or at HOST and the usual port."""
    host, separator, number = address.rpartition(":")
    if not separator:
        return Place(address, port, name, query)
    if not host or not number.isdigit():
        raise click.UsageError(f"{address!r} is no HOST:PORT")
    return Place(host, int(number), name, query)


def _file(name: str) -> str:
    return name.replace("-", "_")
