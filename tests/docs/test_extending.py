"""The example of docs/extending.md, installed as anybody would: chat, second factor and source are swapped."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.servers import free_port
from tests.stack import ROOT, SCRIPT
from tests.waiting import eventually

SECONDS = 60.0


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has put the example."""
    folder = tmp_path_factory.mktemp("example")
    source = shutil.copytree(ROOT / "examples" / "folders", folder / "source")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", folder / "site", source], check=True, cwd=folder)
    return folder / "site"


@dataclass
class Bot:
    """The whole bot in one process, with the folders for chat and phones."""

    home: Path
    environment: dict[str, str]
    url: str

    @property
    def folders(self) -> Path:
        return self.home / "folders"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, *arguments], env=self.environment, cwd=self.home, capture_output=True, text=True, check=False
        )

    def messages(self, person: str) -> list[dict[str, Any]]:
        paths = sorted((self.folders / person).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text()) for path in paths]

    def verdict(self, digest: str) -> dict[str, Any] | None:
        alert: dict[str, Any] = json.loads(self.run("alerts", "show", digest, "--json").stdout)
        return alert if alert["resolution"] else None

    def says(self, person: str, text: str) -> None:
        say = self.folders / person / "say"
        say.mkdir(exist_ok=True)
        (say / "new").write_text(json.dumps({"text": text}))
        (say / "new").rename(say / f"{len(self.messages(person))}.json")


def mapping_of_the_documentation() -> dict[str, Any]:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "sources.md").read_text(), re.DOTALL)
    (text,) = [block for block in blocks if "mytool" in block]
    mapping: dict[str, Any] = yaml.safe_load(text)
    return mapping


@pytest.fixture
def bot(installed: Path, tmp_path: Path) -> Iterator[Bot]:
    (tmp_path / "folders" / "alice").mkdir(parents=True)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "config" / "sources.yaml").write_text(yaml.safe_dump(mapping_of_the_documentation()))
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SECURITYBOT_")}
    environment = kept | {
        "PYTHONPATH": str(installed),
        "FOLDERS": str(tmp_path / "folders"),
        "SECURITYBOT_CHAT": "folders",
        "SECURITYBOT_AUTH": "folders",
        "SECURITYBOT_HTTP_PORT": str(port),
    }
    bot = Bot(tmp_path, environment, f"http://127.0.0.1:{port}")
    assert bot.run("migrate").returncode == 0
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([SCRIPT, "run", "all"], env=environment, cwd=tmp_path, stdout=log, stderr=log)
        try:
            eventually(lambda: is_ready(bot.url), SECONDS)
            yield bot
        finally:
            process.terminate()
            process.wait(30)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_an_alert_from_a_new_source_is_asked_in_a_new_chat_and_proved_with_a_new_second_factor(bot: Bot) -> None:
    assert bot.run("check").returncode == 0
    token = bot.run("tokens", "create", "mytool", "--scope", "publish").stdout.strip()
    payload = {
        "id": 7, "rule": {"name": "sudo"}, "actor": {"login": "alice"}, "host": "db-7", "message": "a root shell",
        "at": 1772539200, "level": "notice",
    }  # fmt: skip
    answer = httpx.post(f"{bot.url}/v1/alerts/mytool", json=payload, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 202, answer.text
    (accepted,) = answer.json()["accepted"]

    (question,) = eventually(lambda: bot.messages("alice"), SECONDS)
    assert "sudo" in question["summary"]
    bot.says("alice", "yes, I was patching it")
    eventually(lambda: [m for m in bot.messages("alice") if "push" in json.dumps(m["buttons"])], SECONDS)
    bot.says("alice", "yes")
    push = eventually(lambda: next((bot.folders / ".pushes").glob("*"), None), SECONDS)
    assert push is not None
    push.rename(push.with_name(push.name + ".approved"))

    alert = eventually(lambda: bot.verdict(accepted["hash"]), SECONDS)
    assert alert is not None
    assert alert["resolution"] == "confirmed"
    assert alert["authenticated"] is True
    assert alert["severity"] == "low"
    assert alert["comment"] == "I was patching it"
