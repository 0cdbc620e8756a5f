"""`securitybot bootstrap`: secrets and rights as files."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from common.history_chain import read_keys
from services.cli.main import cli


def bootstrap(folder: Path, *arguments: str) -> int:
    return int(cli.main(["bootstrap", "--into", str(folder), *arguments], standalone_mode=False))


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def passwords(folder: Path) -> dict[str, str]:
    return {name: text for name, text in contents(folder).items() if name.startswith(("rabbitmq_", "mysql_"))}


def test_every_user_has_a_password_of_its_own_and_urls_that_hold_it(tmp_path: Path) -> None:
    assert bootstrap(tmp_path, "--rabbitmq", "broker:5673", "--mysql", "record") == 0
    files = contents(tmp_path)
    own = passwords(tmp_path)
    services = ("ingest", "dispatcher", "chat_gateway", "auth_poller", "console", "admin")
    assert set(own) == {
        "mysql_root", "rabbitmq_publisher", *(f"rabbitmq_{name}" for name in services),
        *(f"mysql_{name}" for name in services),
    }  # fmt: skip
    assert len(set(own.values())) == len(own)
    assert min(map(len, own.values())) >= 40
    assert files["amqp_url_chat_gateway"] == (
        f"amqp://securitybot-chat-gateway:{own['rabbitmq_chat_gateway']}@broker:5673/securitybot"
    )
    assert files["database_url_ingest"] == (
        f"mysql+pymysql://securitybot-ingest:{own['mysql_ingest']}@record:3306/securitybot"
    )


def test_run_again_it_keeps_what_is_there_and_makes_what_is_missing(tmp_path: Path) -> None:
    bootstrap(tmp_path)
    before = passwords(tmp_path)
    (tmp_path / "rabbitmq_ingest").unlink()
    bootstrap(tmp_path)
    after = passwords(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"rabbitmq_ingest"}
    assert after["rabbitmq_ingest"] in (tmp_path / "amqp_url_ingest").read_text()


def test_the_key_of_the_historys_seals_is_kept_with_older_ones_beside_it(tmp_path: Path) -> None:
    bootstrap(tmp_path)
    made = (tmp_path / "history_key").read_text()
    assert len(read_keys(made)) == 1
    (tmp_path / "history_key").write_text(f"{'n' * 40} {made}")
    bootstrap(tmp_path)
    assert (tmp_path / "history_key").read_text() == f"{'n' * 40} {made}"


def test_a_password_that_somebody_else_chose_is_kept_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mysql_root").write_text("chosen-by-an-operator\n")
    assert bootstrap(tmp_path) == 0
    (tmp_path / "mysql_root").write_text("short'")
    assert bootstrap(tmp_path) == 2
    told = capsys.readouterr().err
    assert "mysql_root" in told
    assert "short" not in told


def test_names_are_printed_and_values_never(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap(tmp_path)
    bootstrap(tmp_path)
    told = capsys.readouterr()
    assert {"rabbitmq_ingest", "definitions.json"} <= set(told.out.split())
    assert not [value for value in passwords(tmp_path).values() if value in told.out + told.err]


def test_nobody_else_may_read_them_unless_a_group_is_named(tmp_path: Path) -> None:
    group = os.getegid()
    bootstrap(tmp_path / "own")
    bootstrap(tmp_path / "shared", "--group", str(group))
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "own").iterdir()} == {0o600}
    shared = tmp_path / "shared"
    assert stat.S_IMODE((shared / "amqp_url_ingest").stat().st_mode) == 0o640
    assert (shared / "amqp_url_ingest").stat().st_gid == group
    assert stat.S_IMODE((shared / "definitions.json").stat().st_mode) == 0o600


def test_with_a_ca_broker_and_database_are_reached_by_tls(tmp_path: Path) -> None:
    bootstrap(tmp_path, "--ca-file", "/secrets/ca.pem")
    files = contents(tmp_path)
    assert files["amqp_url_ingest"].startswith("amqps://")
    assert files["amqp_url_ingest"].endswith("/securitybot?cafile=/secrets/ca.pem")
    assert files["database_url_ingest"].endswith("/securitybot?ssl_ca=/secrets/ca.pem")


def test_with_another_chat_than_the_local_one_the_console_cannot_speak_for_people(tmp_path: Path) -> None:
    def console_keys(chat: str) -> str:
        bootstrap(tmp_path, "--chat", chat)
        rights = json.loads((tmp_path / "definitions.json").read_text())["topic_permissions"]
        return str(next(right["write"] for right in rights if right["user"] == "securitybot-console"))

    assert console_keys("local") == "^(AllowPushes|ReplyReceived)$"
    assert console_keys("slack") == "^(AllowPushes)$"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--rabbitmq", ":5672"], "HOST:PORT"),
        (["--mysql", "host:port"], "HOST:PORT"),
        (["--vhost", "a/b"], "a/b"),
        (["--database", "x;y"], "x;y"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    assert bootstrap(tmp_path, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert bootstrap(tmp_path / "file" / "folder") == 2
    assert "cannot be written" in capsys.readouterr().err
