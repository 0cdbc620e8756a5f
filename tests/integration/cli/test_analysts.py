"""`securitybot analysts`: accounts made, listed and closed from a terminal or a script."""

from __future__ import annotations

import json

from tests.integration.cli.conftest import CommandLine


def test_an_account_is_made_listed_and_closed(line: CommandLine) -> None:
    assert "no accounts" in line.ok("analysts", "list")
    said = line.run("analysts", "add", "mara", "--role", "analyst", input="correct horse battery\n")
    assert (said.exit_code, said.output) == (0, "mara may sign in as analyst\n")
    (row,) = json.loads(line.ok("analysts", "list", "--json"))
    assert (row["name"], row["role"], row["removed_at"]) == ("mara", "analyst", None)
    assert "password" not in json.dumps(row)
    assert line.ok("analysts", "remove", "mara") == "removed: mara\n"
    assert json.loads(line.ok("analysts", "list", "--json"))[0]["removed_at"] is not None


def test_what_is_wrong_is_told_in_one_line(line: CommandLine) -> None:
    short = line.run("analysts", "add", "mara", "--role", "viewer", input="short\n")
    assert (short.exit_code, "a password has 12 to 256 characters" in short.output) == (1, True)
    name = line.run("analysts", "add", "Mara!", "--role", "viewer", input="correct horse battery\n")
    assert "lower-case letters" in name.output
    assert "no account is called 'nobody'" in line.run("analysts", "remove", "nobody").output
