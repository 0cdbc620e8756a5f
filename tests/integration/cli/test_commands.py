"""Help, failures, `check` and `run`; some of it as real processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import click
import pytest

from common.settings import SHIPPED_CONFIG
from services.cli import run as run_module
from services.cli.main import cli
from tests.integration.cli.conftest import CommandLine
from tests.servers import free_port
from tests.stack import ROOT
from tests.waiting import eventually

COMMAND = [str(Path(sys.executable).with_name("securitybot"))]


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SECURITYBOT_")}
    return kept | {f"SECURITYBOT_{name.upper()}": value for name, value in settings.items()}


def execute(*arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**settings),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def all_commands(group: Any = cli, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        nested = isinstance(command, click.Group)
        found += all_commands(command, (*path, name)) if nested else [(*path, name)]
    return found


@pytest.mark.parametrize("path", all_commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(line: CommandLine, path: tuple[str, ...]) -> None:
    text = line.ok(*path, "--help")
    assert re.search(rf"^ +.*securitybot {' '.join(path)}", text, re.MULTILINE), text


def test_no_arguments_show_the_help_and_fail(line: CommandLine) -> None:
    result = line.run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Commands:" in result.stderr


def test_every_wrong_setting_is_one_line_and_no_secret_is_shown(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECURITYBOT_HTTP_PORT", "99999")
    monkeypatch.setenv("SECURITYBOT_DATABASE_URL", "oracle://u:geheim@h/d")
    result = line.run("alerts", "list")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 2
    assert "geheim" not in result.output


def test_a_database_that_is_away_is_one_line_and_exit_1(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURITYBOT_DATABASE_URL", "sqlite:////no/such/folder/x.db")
    told = line.refused("alerts", "list")
    assert "unable to open database file" in told
    assert "is SECURITYBOT_DATABASE_URL right?" in told


def test_the_demo_leaves_a_servers_record_alone(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURITYBOT_DATABASE_URL", "mysql+pymysql://bot:geheim@db.example.com/securitybot")
    told = line.refused("demo", code=2)
    assert "the demo works on a file of its own" in told
    assert "geheim" not in told


def test_odd_arguments_are_mistakes_in_the_usage(line: CommandLine) -> None:
    assert "is not UTF-8" in line.refused("people", "list", "\udcff", code=2)
    assert "'ID'" in line.refused("quarantine", "show", "9" * 20, code=2)
    assert "'ID'" in line.refused("blacklist", "lift", "0", code=2)


def test_an_unknown_command_points_to_the_help(line: CommandLine) -> None:
    assert line.refused("alert", code=2).endswith("see `securitybot --help`")
    assert "see `securitybot tokens create --help`" in line.refused("tokens", "create", code=2)


def test_a_reader_that_goes_away_early_is_no_traceback(line: CommandLine, sqlite_url: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*COMMAND, "alerts", "list", "--json"], env=environment(database_url=sqlite_url), cwd=tmp_path,
            stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


# --- check --------------------------------------------------------------------------------------------------------


def test_check_says_ok_in_a_line_each(line: CommandLine) -> None:
    assert [text.split() for text in line.ok("check").splitlines()] == [
        [name, "ok"] for name in ("settings", "broker", "database", "chat", "auth")
    ]


def test_check_says_what_is_wrong_and_what_to_do(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECURITYBOT_AMQP_URL", f"amqp://guest:guest@127.0.0.1:{free_port()}/")
    monkeypatch.setenv("SECURITYBOT_DATABASE_URL", f"sqlite:///{tmp_path / 'empty.db'}")
    monkeypatch.setenv("SECURITYBOT_CHAT", "pigeon")
    result = line.run("check")
    assert result.exit_code == 1
    settings, broker, database, chat, auth = result.stdout.splitlines()
    assert settings.split() == ["settings", "ok"]
    assert "failed" in broker
    assert "SECURITYBOT_AMQP_URL right?" in broker
    assert "securitybot migrate" in database
    assert "SECURITYBOT_CHAT is 'pigeon': it may be one of" in chat
    assert auth.split() == ["auth", "ok"]


def test_check_stops_at_settings_that_are_wrong(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURITYBOT_HTTP_PORT", "many")
    monkeypatch.setenv("SECURITYBOT_LOG_FORMAT", "xml")
    result = line.run("check")
    assert result.exit_code == 1
    assert [text.split()[:2] for text in result.stdout.splitlines()] == [["settings", "failed"]] * 2


def test_check_reads_the_files_of_every_service(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "config"
    shutil.copytree(SHIPPED_CONFIG, folder)
    for name in ("policies", "sources", "teams", "owners"):
        (folder / f"{name}.yaml").write_text("nonsense: 1\n")
    monkeypatch.setenv("SECURITYBOT_CONFIG_DIR", str(folder))
    result = line.run("check")
    assert result.exit_code == 1
    failed = [text for text in result.stdout.splitlines() if text.startswith("settings")]
    assert all(any(f"{name}.yaml" in text for text in failed) for name in ("policies", "sources", "teams", "owners"))
    assert all("nonsense" in text for text in failed)


def test_check_names_the_keys_that_the_chat_needs(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURITYBOT_CHAT", "slack")
    result = line.run("check")
    assert result.exit_code == 1
    (wrong,) = [text for text in result.stdout.splitlines() if not text.endswith("ok")]
    assert wrong.startswith("chat")
    assert "SECURITYBOT_SLACK_BOT_TOKEN is not set" in wrong


def test_check_reaches_a_real_broker(line: CommandLine, amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURITYBOT_AMQP_URL", amqp_url)
    assert line.ok("check").split().count("ok") == 6


# --- run ----------------------------------------------------------------------------------------------------------


def test_one_service_on_the_memory_bus_is_refused(line: CommandLine) -> None:
    assert "securitybot run all" in line.refused("run", "ingest", code=2)


def test_a_service_that_is_not_installed_is_said_so(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(run_module.WIRINGS, "console", "services.none.wiring")
    assert line.refused("run", "console", code=2) == "securitybot: console is not part of this installation"


def test_a_package_that_is_missing_is_named_with_the_extra_that_brings_it(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "needs_slack.py").write_text("import slack_sdk_is_not_here\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(run_module.WIRINGS, "chat-gateway", "needs_slack")
    problem = line.refused("run", "chat-gateway", code=2)
    assert "'slack_sdk_is_not_here'" in problem
    assert "securitybot[chat-gateway]" in problem


def test_help_is_there_and_loads_no_library_that_it_does_not_need(tmp_path: Path) -> None:
    code = (
        "import sys; import services.cli.main; "
        "print(sorted({'sqlalchemy','pydantic','rich','starlette','alembic','kombu','pika'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
    assert execute("--help", cwd=tmp_path).returncode == 0


def test_an_installed_package_needs_nothing_of_its_checkout(tmp_path: Path) -> None:
    source, installed = tmp_path / "source", tmp_path / "installed"
    for name in ("common", "services", "migrations", "config"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(installed), str(source)], check=True, timeout=120, capture_output=True)
    shutil.rmtree(source)
    done = subprocess.run(
        [sys.executable, str(installed / "bin" / "securitybot"), "check"],
        env=environment(database_url=f"sqlite:///{tmp_path / 'record.db'}") | {"PYTHONPATH": str(installed)},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[0].split() == ["settings", "ok"], done.stdout + done.stderr


def test_ingest_runs_as_a_process_takes_an_alert_and_stops_cleanly(
    amqp_url: str, sqlite_url: str, tmp_path: Path
) -> None:
    port = free_port()
    settings = {"amqp_url": amqp_url, "database_url": sqlite_url, "http_port": str(port), "log_format": "json"}
    assert execute("migrate", cwd=tmp_path, **settings).returncode == 0
    made = execute("tokens", "create", "test", "--scope", "publish", cwd=tmp_path, **settings)
    process = subprocess.Popen(
        [*COMMAND, "run", "ingest"], env=environment(**settings), cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        eventually(lambda: _answers(f"http://127.0.0.1:{port}/readyz"), timeout=20)
        body = json.dumps({"owner": "alice", "title": "sudo", "description": "d"}).encode()
        headers = {"Authorization": f"Bearer {made.stdout.strip()}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/alerts", body, headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            digest = json.load(response)["accepted"][0]["hash"]
        published = execute("publish", "--owner", "bob", "--title", "t", "--description", "d", cwd=tmp_path, **settings)
        assert published.returncode == 0, published.stderr

        def hashes() -> set[str]:
            listed = execute("alerts", "list", "--json", cwd=tmp_path, **settings)
            return {alert["hash"] for alert in json.loads(listed.stdout)}

        eventually(lambda: hashes() == {digest, published.stdout.strip()}, every=0.2)
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=15)
    assert process.returncode == 0, log
    events = [json.loads(text)["event"] for text in log.splitlines()]
    assert "started" in events
    assert events[-1] == "stopped"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
