"""Reads the YAML files of the configuration directory into frozen models; a mistake names file and key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from common.errors import ConfigurationError

M = TypeVar("M", bound=BaseModel)


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that is written twice: the second would silently win.

    Only `true` and `false` are booleans, as in YAML 1.2: `yes` and `no` are words that people say to the bot.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - how PyYAML keeps them
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def load_yaml(path: Path, model: type[M], *, optional: bool = False) -> M:
    """Return `model` filled from the file.

    Args:
        optional: a file that is not there means all defaults.

    Raises:
        ConfigurationError: one line a mistake: the file, the key and what is wrong with it.
    """
    try:
        data = yaml.load(path.read_text("utf-8"), _UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        if optional:
            return model()
        raise ConfigurationError(f"{path} is missing; SECURITYBOT_CONFIG_DIR must name the folder with it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    try:
        return model.model_validate({} if data is None else data)
    except ValidationError as error:
        raise ConfigurationError(*(_line(path, problem) for problem in error.errors(include_url=False))) from None


def _line(path: Path, problem: Any) -> str:
    where = ".".join(str(step) for step in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "unknown key"
    elif problem["type"] == "missing":
        message = "missing"
    return f"{path}: {where}: {message}" if where else f"{path}: {message}"
