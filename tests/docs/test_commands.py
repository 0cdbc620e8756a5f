"""Every command of the documentation: run elsewhere (tests/e2e/test_documented_commands.py), or for a reason only read.

What is only read must still be right in what can be known: commands and options of ours, files, targets, services.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from services.cli.main import cli
from tests.docs.pages import PAGES, Block, blocks, runnable
from tests.stack import ROOT

BLOCKS = [block for page in PAGES for block in runnable(page)]
SHELL = [block for block in BLOCKS if block.language == "sh"]


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each simple command of a block."""
    text = re.sub(r"\s# .*$", "", block.text.replace("\\\n", " "), flags=re.MULTILINE)
    text = re.sub(r"\$\((.*?)\)", r"; \1 ;", text)
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";|&<>\n")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    words: list[str] = []
    for token in lexer:
        if set(token) <= set(";|&\n"):
            yield from [words] if words else []
            words = []
        else:
            words.append(token)
    yield from [words] if words else []


def command_of(words: list[str]) -> list[str]:
    """Return a command without variables and redirections; the files that it would write are there from now on."""
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words = words[1:]
    while (at := next((at for at, word in enumerate(words) if word in "<>"), None)) is not None:
        if words[at] == ">":
            Path(words[at + 1]).parent.mkdir(exist_ok=True)
            Path(words[at + 1]).touch()
        words = words[:at] + words[at + 2 :]
    return words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_that_could_be_run_is_run_or_says_why_not(page: Path) -> None:
    assert [str(block) for block in runnable(page) if block.mark is None] == []


def test_a_marked_block_is_one_that_could_be_run() -> None:
    assert [str(block) for page in PAGES for block in blocks(page) if block.mark and block not in BLOCKS] == []


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_a_shell_understands_it(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_python_understands_it(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_what_it_names_is_there(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in map(command_of, commands(block)):
        match words:
            case ["securitybot", *arguments]:
                takes(arguments)
            case ["docker", "compose", *arguments]:
                compose_takes(arguments)
            case ["make", target]:
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
            case ["kubectl", "apply", "--kustomize", folder]:
                assert (ROOT / folder / "kustomization.yaml").exists()
            case ["cp", source, _]:
                assert (ROOT / source).exists()
            case _:
                pass


def takes(arguments: list[str]) -> None:
    """Let the command line read the arguments without doing anything."""
    command: click.Command = cli
    context = click.Context(cli, info_name="securitybot")
    while isinstance(command, click.Group):
        name, command_or_none, arguments = command.resolve_command(context, arguments)
        assert command_or_none is not None
        command = command_or_none
        context = click.Context(command, info_name=name, parent=context)
    command.make_context(command.name, list(arguments), parent=context)


def compose_takes(arguments: list[str]) -> None:
    """Look whether files and services are there that a `docker compose` command names."""
    files, rest = ["docker-compose.yml"], list(arguments)
    while rest[0] in ("-f", "--profile"):
        files += [rest[1]] if rest[0] == "-f" else []
        rest = rest[2:]
    services: dict[str, object] = {}
    for file in files:
        services |= yaml.safe_load((ROOT / file).read_text())["services"]
    action, *rest = rest
    assert action in ("up", "run", "exec", "stop", "restart", "logs", "build", "ps", "down", "pull"), action
    given = iter(rest)
    for word in given:
        if word in ("--entrypoint", "--tail"):
            next(given)
        elif word == "--scale":
            assert next(given).partition("=")[0] in services
        elif not word.startswith("-"):
            assert word in services, f"no service {word}"
            if word == "cli":
                takes(list(given))
            if action in ("run", "exec"):
                return
