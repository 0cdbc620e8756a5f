"""Settings: what is read from where, and what a mistake gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import ConfigurationError
from common.settings import SHIPPED_CONFIG, Settings, load_settings
from services.auth_poller.duo import from_settings as duo_from_settings
from services.chat_gateway.slack.adapter import from_settings as slack_from_settings

SECRETS = {
    "SECURITYBOT_AMQP_URL": "amqps://bot:amqp-s3cret@broker/vhost",
    "SECURITYBOT_DATABASE_URL": "mysql+pymysql://bot:db-s3cret@database/securitybot",
    "SECURITYBOT_CHAT": "slack",
    "SECURITYBOT_SLACK_BOT_TOKEN": "xoxb-s3cret",
    "SECURITYBOT_SLACK_APP_TOKEN": "xapp-s3cret",
    "SECURITYBOT_SLACK_SIGNING_SECRET": "signing-s3cret",
    "SECURITYBOT_AUTH": "duo",
    "SECURITYBOT_DUO_IKEY": "DI123",
    "SECURITYBOT_DUO_SKEY": "duo-s3cret",
    "SECURITYBOT_DUO_HOST": "api-1.duosecurity.com",
}


def load(**values: str) -> Settings:
    """Load from these alone; names without the prefix."""
    return load_settings({f"SECURITYBOT_{name}": value for name, value in values.items()}, dotenv=None)


def problems(**values: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(**values)
    return caught.value.problems


def test_nothing_set_is_the_demo() -> None:
    settings = load()

    assert settings.amqp_url.get_secret_value() == "memory://"
    assert settings.database_url.get_secret_value() == "sqlite:///securitybot.db"
    assert (settings.chat, settings.auth) == ("local", "local")
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", None)


def test_an_empty_value_counts_as_not_set() -> None:
    assert load(CHAT="", HTTP_PORT="").chat == "local"


def test_everything_of_the_contract_is_read() -> None:
    settings = load_settings(SECRETS | {"SECURITYBOT_HTTP_PORT": "9000", "SECURITYBOT_REPORTING_CHANNEL": "C1"}, None)

    assert settings.chat == "slack"
    assert settings.slack_bot_token is not None
    assert settings.slack_bot_token.get_secret_value() == "xoxb-s3cret"
    assert (settings.http_port, settings.reporting_channel) == (9000, "C1")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("HTTP_PORT", "http", "'http'"),
        ("HTTP_PORT", "70000", "65535"),
        ("LOG_FORMAT", "xml", "'console' or 'json'"),
        ("CHAT", "Sl ack", "'Sl ack'"),
        ("SLACK_API_URL", "https://slack.com", "ends in /api/"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable_what_it_was_and_what_it_may_be(
    variable: str, value: str, expected: str
) -> None:
    (line,) = problems(**{variable: value})

    assert line.startswith(f"SECURITYBOT_{variable} is {value!r}: ")
    assert expected in line


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("AMQP_URL", "broker-s3cret", "amqps://user:password@host/vhost"),
        ("DATABASE_URL", "postgresql://bot:s3cret@host/db", "mysql+pymysql://"),
        ("DATABASE_URL", "s3cret", "sqlite:///file.db"),
    ],
)
def test_a_wrong_secret_is_told_without_its_value(variable: str, value: str, expected: str) -> None:
    (line,) = problems(**{variable: value})

    assert line.startswith(f"SECURITYBOT_{variable} is ")
    assert expected in line
    assert "s3cret" not in line


def test_all_mistakes_are_told_at_once() -> None:
    nowhere = {"DUO_SKEY_FILE": "/nowhere/skey", "SLACK_BOT_TOKEN_FILE": "/nowhere/token"}
    lines = problems(HTTP_PORT="x", LOG_FORMAT="x", AMQP_URL="x", OIDC_ISSUER="https://id.example", **nowhere)

    named = sorted(line.split()[0].removeprefix("SECURITYBOT_") for line in lines)
    assert named == [
        "AMQP_URL", "DUO_SKEY_FILE", "HTTP_PORT", "LOG_FORMAT", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_ROLES",
        "SLACK_BOT_TOKEN_FILE",
    ]  # fmt: skip


@pytest.mark.parametrize("variable", ["AMQP_URL", "DATABASE_URL", "HISTORY_KEY", "OIDC_CLIENT_SECRET"])
def test_an_empty_file_is_told_and_does_not_count_as_not_set(tmp_path: Path, variable: str) -> None:
    """Without the URL of the broker, say, a service would start with a bus of its own."""
    (tmp_path / "secret").write_text("\n")
    given = {"OIDC_ISSUER": "https://id.example", "OIDC_CLIENT_ID": "a", "OIDC_ROLES": "soc=analyst"}
    given |= {"OIDC_CLIENT_SECRET": "s"} if variable != "OIDC_CLIENT_SECRET" else {}

    (line,) = problems(**given | {f"{variable}_FILE": str(tmp_path / "secret")})

    assert line.startswith(f"SECURITYBOT_{variable}_FILE names a file, which is empty")


def test_an_empty_file_for_what_is_no_secret_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "chat").write_text("")

    (line,) = problems(CHAT_FILE=str(tmp_path / "chat"))

    assert line.startswith(f"SECURITYBOT_CHAT_FILE is '{tmp_path / 'chat'}', which is empty")


def test_slack_and_duo_say_what_they_need() -> None:
    """Where they are used: the console, say, knows that chat is Slack and is given no token."""
    settings = load(CHAT="slack", AUTH="duo")

    with pytest.raises(ConfigurationError) as slack_needs:
        slack_from_settings(settings)
    with pytest.raises(ConfigurationError) as duo_needs:
        duo_from_settings(settings)

    lines = [*slack_needs.value.problems, *duo_needs.value.problems]
    for name in ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "DUO_IKEY", "DUO_SKEY", "DUO_HOST"):
        assert any(line.startswith(f"SECURITYBOT_{name}") for line in lines), name


def test_a_signing_secret_stands_in_for_the_app_token() -> None:
    slack_from_settings(load(CHAT="slack", SLACK_BOT_TOKEN="xoxb-1", SLACK_SIGNING_SECRET="x"))


def test_an_empty_file_name_counts_as_not_set() -> None:
    assert load(SLACK_BOT_TOKEN_FILE="").slack_bot_token is None


def test_secrets_show_nowhere_but_are_known_to_the_logs() -> None:
    settings = load_settings(SECRETS, None)

    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(settings)
    assert "s3cret" not in settings.model_dump_json()
    assert set(settings.secrets()) == {
        "amqp-s3cret", "db-s3cret", "xoxb-s3cret", "xapp-s3cret", "signing-s3cret", "duo-s3cret",
    }  # fmt: skip


def test_settings_do_not_change() -> None:
    settings = load()

    with pytest.raises(ValueError, match="frozen"):
        settings.chat = "slack"  # type: ignore[misc]


def test_any_name_may_be_read_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("xoxb-from-file\n")

    settings = load(CHAT="slack", SLACK_BOT_TOKEN_FILE=str(secret), SLACK_APP_TOKEN="xapp-1")

    assert settings.slack_bot_token is not None
    assert settings.slack_bot_token.get_secret_value() == "xoxb-from-file"


def test_a_file_that_cannot_be_read_is_told_with_its_path(tmp_path: Path) -> None:
    (line,) = problems(REPORTING_CHANNEL_FILE=str(tmp_path / "nothing"))

    assert line.startswith(f"SECURITYBOT_REPORTING_CHANNEL_FILE is '{tmp_path / 'nothing'}', which cannot be read: ")
    assert "No such file" in line


@pytest.mark.parametrize("variable", ["SLACK_BOT_TOKEN_FILE", "AMQP_URL_FILE", "SLACK_BOT_TOKE_FILE"])
def test_a_secret_in_place_of_its_files_path_is_told_without_it(variable: str) -> None:
    (line,) = problems(**{variable: "xoxb-s3cret"})

    assert line.startswith(f"SECURITYBOT_{variable} names a file, which cannot be read: No such file")
    assert "s3cret" not in line


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    (line,) = problems(DUO_SKEY_FILE=str(tmp_path / "binary"))

    assert "not UTF-8" in line


def test_a_value_and_a_file_for_it_are_one_too_many(tmp_path: Path) -> None:
    (line,) = problems(CHAT="local", CHAT_FILE=str(tmp_path))

    assert "SECURITYBOT_CHAT_FILE and SECURITYBOT_CHAT are both set" in line


def test_duos_ca_file_is_a_setting_of_its_own(tmp_path: Path) -> None:
    assert load(DUO_CA_FILE=str(tmp_path / "ca.pem")).duo_ca_file == tmp_path / "ca.pem"


def test_dotenv_is_read_where_the_environment_is_silent(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("SECURITYBOT_HTTP_PORT=9001\nSECURITYBOT_HTTP_HOST=0.0.0.0\nOTHER=1\n")

    settings = load_settings({"SECURITYBOT_HTTP_PORT": "9002"}, dotenv)

    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 9002)


def test_the_environment_wins_over_dotenv_whichever_of_them_names_a_file(tmp_path: Path) -> None:
    dotenv, secret = tmp_path / ".env", tmp_path / "secret"
    secret.write_text("local")
    dotenv.write_text("SECURITYBOT_CHAT=slack\nSECURITYBOT_AUTH_FILE=/missing\n")

    settings = load_settings({"SECURITYBOT_CHAT_FILE": str(secret), "SECURITYBOT_AUTH": "none"}, dotenv)

    assert (settings.chat, settings.auth) == ("local", "none")


def test_without_a_config_folder_the_shipped_one_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load().config_dir == SHIPPED_CONFIG

    (tmp_path / "config").mkdir()
    assert load().config_dir == Path("config")
    assert load(CONFIG_DIR="elsewhere").config_dir == Path("elsewhere")


def test_a_password_is_known_as_the_url_writes_it_and_as_it_is() -> None:
    settings = load_settings({"SECURITYBOT_AMQP_URL": "amqp://bot:p%40ss%2Fword@broker/"}, dotenv=None)
    assert set(settings.secrets()) == {"p%40ss%2Fword", "p@ss/word"}


def test_the_keys_of_the_history_are_secrets_and_long_enough_to_be() -> None:
    settings = load(HISTORY_KEY=f"{'n' * 32} {'o' * 32}")

    assert [key.secret.decode() for key in settings.history_keys()] == ["n" * 32, "o" * 32]
    assert {"n" * 32, "o" * 32} <= set(settings.secrets())
    assert "nnn" not in repr(settings)
    assert load().history_keys() == ()
    (line,) = problems(HISTORY_KEY="guess me")
    assert line.startswith("SECURITYBOT_HISTORY_KEY is set to something else: a key has at least 32 characters")
    assert "guess" not in line
