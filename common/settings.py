"""Settings: a mapping of environment variables becomes one frozen object, or one line a mistake.

The names and defaults are the outside contract. Any name may be given as `NAME_FILE`, a path to read the value from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from common.errors import ConfigurationError
from common.history_chain import SealKey, read_keys

PREFIX = "SECURITYBOT_"
SHIPPED_CONFIG = Path(__file__).resolve().parent.parent / "config"
HTTP_PORTS = {"ingest": 8080, "console": 8081, "chat-gateway": 8082, "dispatcher": 8083, "auth-poller": 8084}
"""Default port of a process that runs one service; a process that runs several listens on `SHARED_HTTP_PORT`."""
SHARED_HTTP_PORT = 8080


class _MappingSource(PydanticBaseSettingsSource):
    """Reads values from the mapping that `load_settings` was given."""

    def __init__(self, settings_cls: type[BaseSettings], environment: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self._environment = environment

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - its signature
        return self._environment.get(PREFIX + field_name.upper()), field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value not in (None, "")}


class Settings(BaseSettings):
    """Everything that an operator sets outside the YAML files. Secrets never show in `repr` or in errors."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    amqp_url: SecretStr = SecretStr("memory://")
    """`amqp://…` or `amqps://…`: RabbitMQ; `memory://`: embedded. May hold a password."""
    database_url: SecretStr = SecretStr("sqlite:///securitybot.db")
    """SQLAlchemy URL; `mysql+pymysql://…` in production. May hold a password."""
    chat: str = Field("local", pattern=r"^[a-z][a-z0-9_-]*$")
    """`slack`, `local` (terminal and web chat), or a plug-in's name."""
    slack_bot_token: SecretStr | None = None
    """`xoxb-…`: the app's bot token."""
    slack_app_token: SecretStr | None = None
    """`xapp-…`: for Socket Mode."""
    slack_signing_secret: SecretStr | None = None
    """Set: events come over HTTP (`POST /slack/events`, `/slack/interactivity`), signed, instead of Socket Mode."""
    slack_api_url: str = "https://slack.com/api/"
    """Base URL of the Web API, ending in `/api/`."""
    reporting_channel: str | None = None
    """Id of the channel that hears of escalations."""
    auth: str = Field("local", pattern=r"^[a-z][a-z0-9_-]*$")
    """`duo`, `local` (approve or refuse in the local chat), `none`, or a plug-in's name."""
    duo_ikey: str | None = None
    """Duo Auth API: integration key (`DI…`)."""
    duo_skey: SecretStr | None = None
    """Duo Auth API: secret key."""
    duo_host: str | None = None
    """Duo Auth API: host name; may carry `:port`."""
    duo_ca_file: Path | None = None
    """CA bundle in place of those that Duo's client pins (a test server, a proxy)."""
    oidc_issuer: str | None = None
    """OpenID Connect issuer of the console's sign-in; without it there are local accounts."""
    oidc_client_id: str | None = None
    """Client at the issuer, whose redirect URI is `https://<console>/sign-in/oidc/callback`."""
    oidc_client_secret: SecretStr | None = None
    """Its secret."""
    oidc_roles: str = ""
    """`group=role` pairs, e.g. `soc=analyst soc-leads=admin`."""
    history_key: SecretStr | None = None
    """Keys of the seals over the history, by white space: the first seals, all check. Without, seals have no key."""
    api_rate: float = Field(100.0, ge=0)
    """What one API token may do a second at one process: alerts at ingest, requests at the console; ten times as many
    at once. 0: no limit."""
    service_urls: str = ""
    """`service=url` pairs for the console's system page, e.g. `ingest=http://ingest:8080`."""
    http_host: str = "127.0.0.1"
    """Where the process listens."""
    http_port: int | None = Field(None, ge=0, le=65535)
    """Absent: the service's own port; a process that runs several services serves all of them on 8080."""
    config_dir: Path = Path("config")
    """Folder of the YAML files; absent and no `config/` here: those that securitybot ships."""
    log_format: Literal["console", "json"] | None = None
    """`console` or `json`; absent: `console` on a terminal, else `json`."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what the caller passes and nothing else: the environment is read once, in `load_settings`."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("amqp_url")
    @classmethod
    def _known_bus(cls, url: SecretStr) -> SecretStr:
        if not urlsplit(url.get_secret_value()).scheme:
            raise ValueError("must be a URL such as amqps://user:password@host/vhost or memory://")
        return url

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: SecretStr) -> SecretStr:
        try:
            backend = make_url(url.get_secret_value()).get_backend_name()
        except ArgumentError:
            backend = ""
        if backend not in ("mysql", "mariadb", "sqlite"):
            raise ValueError(
                "must be a URL such as mysql+pymysql://user:password@host/securitybot or sqlite:///file.db"
            )
        return url

    @field_validator("history_key")
    @classmethod
    def _usable_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            read_keys(keys.get_secret_value())
        return keys

    @field_validator("slack_api_url")
    @classmethod
    def _slack_base_url(cls, url: str) -> str:
        if urlsplit(url).scheme not in ("http", "https") or not url.endswith("/api/"):
            raise ValueError("must be an http(s) URL that ends in /api/")
        return url

    def history_keys(self) -> tuple[SealKey, ...]:
        """Return the keys of the history's seals."""
        return read_keys(self.history_key.get_secret_value()) if self.history_key else ()

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, so that logs can be kept free of them."""
        values = [v.get_secret_value() for name, v in self if isinstance(v, SecretStr) and name != "history_key"]
        values += [key.secret.decode() for key in self.history_keys()]
        written = [urlsplit(v).password or "" for v in values if "://" in v]
        decoded = [unquote(password) for password in written]  # as drivers know it
        return tuple(dict.fromkeys(v for v in [*(v for v in values if "://" not in v), *written, *decoded] if v))


def load_settings(environment: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")) -> Settings:
    """Build the settings once, from the environment and, where it is silent, from `dotenv`.

    Raises:
        ConfigurationError: one line for each variable that is wrong: its name, what it was (never a secret), what it
            may be.
    """
    given = dict(os.environ if environment is None else environment)
    if dotenv is not None and dotenv.is_file():
        said = frozenset(given)
        given |= {
            name: value
            for name, value in dotenv_values(dotenv).items()
            if value is not None and said.isdisjoint({name, f"{name}_FILE", name.removesuffix("_FILE")})
        }
    values, problems = _with_files({name: value for name, value in given.items() if name.startswith(PREFIX)})
    problems += _incomplete(values)
    try:
        settings = Settings(**_MappingSource(Settings, values)())
    except ValidationError as error:
        raise ConfigurationError(*problems, *_explain(error, values)) from None
    if problems:
        raise ConfigurationError(*problems)
    if "SECURITYBOT_CONFIG_DIR" not in values and not settings.config_dir.is_dir():
        return settings.model_copy(update={"config_dir": SHIPPED_CONFIG})
    return settings


def _with_files(values: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the values with those that stand in files, and what is wrong with these."""
    read, problems = dict(values), []
    for name, path in values.items():
        if not path or not name.endswith("_FILE") or name == "SECURITYBOT_DUO_CA_FILE":
            continue
        target = name.removesuffix("_FILE")
        if values.get(target):
            problems.append(f"{name} and {target} are both set; keep one of them")
            continue
        # In place of the path of a secret's file there may be the secret itself, by mistake.
        named = f"{name} names a file" if _is_secret(target) else f"{name} is {path!r}"
        try:
            value = Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            problems.append(f"{named}, which cannot be read: {reason}")
            continue
        if value:
            read[target] = value
        else:
            problems.append(f"{named}, which is empty; take {name} away to leave the setting out")
    return read, problems


def _is_secret(name: str) -> bool:
    """Tell whether what is said under `name` may be a secret: also where it is misspelt."""
    field = Settings.model_fields.get(name.removeprefix(PREFIX).lower())
    return field is None or "SecretStr" in str(field.annotation)


def _incomplete(values: Mapping[str, str]) -> list[str]:
    """Return what is missing beside what is set. A file that cannot be read, or is empty, is not missing."""
    if not values.get(f"{PREFIX}OIDC_ISSUER"):
        return []
    needed = (f"{PREFIX}OIDC_{part}" for part in ("CLIENT_ID", "CLIENT_SECRET", "ROLES"))
    missing = [name for name in needed if not values.get(name, values.get(f"{name}_FILE"))]
    return [f"{name} is not set; SECURITYBOT_OIDC_ISSUER needs it" for name in missing]


def _explain(error: ValidationError, values: Mapping[str, str]) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False):
        message = str(problem["msg"]).removeprefix("Value error, ")
        field = str(problem["loc"][0])
        name = PREFIX + field.upper()
        was = "set to something else" if _is_secret(name) else f"{values.get(name)!r}"
        lines.append(f"{name} is {was}: {message[0].lower()}{message[1:]}")
    return lines
