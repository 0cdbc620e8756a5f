"""The dispatcher's YAML files, read and checked together at start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.errors import ConfigurationError
from common.texts import Texts
from common.yaml_files import load_yaml
from services.dispatcher.chat_commands import Commands
from services.dispatcher.owners import Owners
from services.dispatcher.policies import Policies
from services.dispatcher.wording import Wording


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that an operator writes for the dispatcher."""

    wording: Wording
    commands: Commands
    policies: Policies
    owners: Owners
    second_factor: bool
    reporting_channel: str | None


def load_configuration(folder: Path, *, second_factor: bool, reporting_channel: str | None) -> Configuration:
    """Read `messages`, `commands`, `policies` and `owners` from `folder`; the last two may be absent.

    Raises:
        ConfigurationError: every mistake of every file, a line each.
    """
    problems: list[str] = []
    loaded = {}
    for name, model, optional in (
        ("messages.yaml", Texts, False),
        ("commands.yaml", Commands, False),
        ("policies.yaml", Policies, True),
        ("owners.yaml", Owners, True),
    ):
        try:
            loaded[name] = load_yaml(folder / name, model, optional=optional)
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(*problems)
    texts, commands = loaded["messages.yaml"], loaded["commands.yaml"]
    policies, owners = loaded["policies.yaml"], loaded["owners.yaml"]
    assert isinstance(texts, Texts)
    assert isinstance(commands, Commands)
    assert isinstance(policies, Policies)
    assert isinstance(owners, Owners)
    return Configuration(Wording(texts, commands), commands, policies, owners, second_factor, reporting_channel)
