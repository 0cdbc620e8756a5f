"""The fake refuses what Duo refuses, and takes every signature that duo_client makes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import duo_client  # type: ignore[import-untyped]
import pytest

from tests.fakes.duo import FakeDuo

pytestmark = pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS is deprecated:DeprecationWarning")
ROOT = Path(__file__).resolve().parents[3]


def _client(duo: FakeDuo, **options: Any) -> Any:
    named = {"ikey": duo.ikey, "skey": duo.skey, "host": duo.host, "port": duo.port, "ca_certs": str(duo.ca_file)}
    return duo_client.Auth(**(named | {"timeout": 5} | options))


@pytest.mark.parametrize(
    "options",
    [{}, {"sig_version": 2}, {"sig_version": 2, "digestmod": hashlib.sha1}],
    ids=["version 5", "version 2 with SHA-512", "version 2 with SHA-1"],
)
def test_it_takes_every_signature_of_the_client_and_no_other(duo: FakeDuo, options: dict[str, Any]) -> None:
    duo.add_user("ad a~ü&=")
    assert _client(duo, **options).preauth(username="ad a~ü&=")["result"] == "auth"
    with pytest.raises(RuntimeError, match="Invalid signature"):
        _client(duo, skey="other", **options).preauth(username="ad a~ü&=")


@pytest.mark.parametrize(
    ("changed", "about"),
    [
        ({"username": "nobody"}, "username"),
        ({"factor": "owl"}, "factor"),
        ({"device": "other"}, "device"),
        ({"async_txn": False}, "async"),
        ({"pushinfo": "x" * 20_000}, "pushinfo"),
        ({"pushinfo": "no pairs"}, "pushinfo"),
        ({"txid": "made up"}, "txid"),
    ],
)
def test_it_refuses_bad_parameters(duo: FakeDuo, changed: dict[str, Any], about: str) -> None:
    duo.add_user("ada")
    right = {"factor": "push", "username": "ada", "device": "auto", "async_txn": True}
    if about == "txid":
        duo.add_user("ada", verified=True)
    with pytest.raises(RuntimeError, match=f"Invalid request parameters \\({about}\\)"):
        _client(duo).auth(**(right | changed))
    assert duo.pushes == []


def test_it_knows_no_other_transactions_and_paths(duo: FakeDuo) -> None:
    with pytest.raises(RuntimeError, match="txid"):
        _client(duo).auth_status("made up")
    with pytest.raises(RuntimeError, match="not found"):
        _client(duo).json_api_call("GET", "/auth/v2/other", {})


def test_a_verified_user_gets_no_push_from_a_client_that_cannot_show_the_code(duo: FakeDuo) -> None:
    duo.add_user("ada", verified=True)
    [device] = _client(duo).preauth(username="ada")["devices"]
    assert "push" not in device["capabilities"]


def test_a_push_that_nobody_answers_expires(duo: FakeDuo) -> None:
    duo.push_seconds, duo.poll_seconds = 2.0, 30.0
    duo.add_user("ada")
    client = _client(duo, timeout=20)
    txid = client.auth(factor="push", username="ada", device="auto", async_txn=True)["txid"]
    statuses = [client.auth_status(txid)["status"] for _ in range(2)]
    assert statuses == ["pushed", "timeout"]


def test_it_runs_as_a_process_that_others_control(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    command = [sys.executable, "-m", "tests.fakes.duo", "--ca-file", str(ca_file), "--poll-seconds", "0.2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        info = json.loads(process.stdout.readline())
        try:
            _control(info, "/users", {"name": "ada"})
            settings = info["settings"]
            client = duo_client.Auth(
                settings["SECURITYBOT_DUO_IKEY"],
                settings["SECURITYBOT_DUO_SKEY"],
                "localhost",
                port=int(settings["SECURITYBOT_DUO_HOST"].partition(":")[2]),
                ca_certs=str(ca_file),
                timeout=5,
            )
            txid = client.auth(factor="push", username="ada", device="auto", async_txn=True, pushinfo="Request=r1")
            assert _control(info, "/answer", {"who": "ada", "status": "fraud"}) == 1
            assert client.auth_status(txid["txid"])["status"] == "fraud"
            assert [push["pushinfo"] for push in _control(info, "/pushes")] == [{"Request": "r1"}]
        finally:
            process.terminate()
    assert process.returncode == 0


def _control(info: dict[str, Any], path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{info['control_port']}{path}", data, timeout=5) as answer:
        return json.load(answer)
