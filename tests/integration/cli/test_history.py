"""`securitybot history verify`: what an operator sees and a script reads."""

from __future__ import annotations

import json

import pytest

from common.history_chain import SealKey
from tests.history import History
from tests.integration.cli.conftest import CommandLine


@pytest.fixture
def history(line: CommandLine) -> History:
    history = History(line.engine, line.clock)
    history.write(3)
    history.seal()
    return history


def test_an_untouched_history_is_told_so_with_what_is_not_sealed_yet(line: CommandLine, history: History) -> None:
    history.write(2)

    printed = line.ok("history", "verify")

    assert "nothing was changed, removed or put in" in printed
    assert " ".join(printed.split()).startswith("sealed rows 3 seals 1 last seal 1:")
    assert "2, the first of 2026-03-03 12:04:00Z" in printed
    assert line.json("history", "verify")["unsealed_since"] == "2026-03-03T12:04:00Z"


def test_an_empty_record_is_sound(line: CommandLine) -> None:
    said = line.json("history", "verify")

    assert (said["sound"], said["seals"], said["last_seal"], said["unsealed_rows"]) == (True, 0, None, 0)


def test_what_was_tampered_with_is_listed_and_the_exit_code_is_1(line: CommandLine, history: History) -> None:
    history.tamper("UPDATE history SET actor = :who WHERE id = 2", who="person:U2\x1b[2J")
    history.tamper("DELETE FROM history WHERE id = 3")

    result = line.run("history", "verify")

    assert result.exit_code == 1
    assert [row.split()[:3] for row in result.stdout.splitlines() if row.startswith((" changed", "changed"))] == [
        ["changed", "2", "1"]
    ]
    assert [row.split()[:3] for row in result.stdout.splitlines() if row.strip().startswith("removed")] == [
        ["removed", "3", "1"]
    ]
    (told,) = result.stderr.splitlines()
    assert told.startswith("securitybot: the history is not what was sealed: 1 changed, 1 removed;")


def test_a_script_reads_the_same_as_json(line: CommandLine, history: History) -> None:
    history.tamper("DELETE FROM history WHERE id = 3")

    result = line.run("history", "verify", "--json")

    assert result.exit_code == 1
    assert '"removed": 1' in result.stdout
    assert '"sound": false' in result.stdout


def test_a_kept_seal_must_still_be_there(line: CommandLine, history: History) -> None:
    last = line.json("history", "verify")["last_seal"]
    kept = f"{last['number']}:{last['hash']}"
    line.ok("history", "verify", "--seal", kept)

    history.tamper("DELETE FROM history_seals")

    assert line.run("history", "verify", "--seal", kept).exit_code == 1
    assert "is no NUMBER:HASH" in line.refused("history", "verify", "--seal", "last", code=2)


def test_with_a_key_the_seals_are_proved_and_since_when_is_told(
    line: CommandLine, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.write(1)
    history.seal(SealKey(b"k" * 32))
    assert line.run("history", "verify").exit_code == 1

    monkeypatch.setenv("SECURITYBOT_HISTORY_KEY", f"{'n' * 32} {'k' * 32}")

    assert "it has no key" in line.run("history", "verify").stdout
    last = json.loads(line.run("history", "verify", "--json").stdout)["last_seal"]
    kept = ("--seal", f"{last['number']}:{last['hash']}")
    assert "since seal 2 (2026-03-03T12:04:00" in line.ok("history", "verify", *kept)
    assert line.json("history", "verify", *kept)["key_since_seal"] == 2
