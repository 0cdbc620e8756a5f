"""Writes `docs/configuration.md` from the models that check the settings and the YAML files: `python -m …` prints it.

A name, its default and what stands under it in the code: nothing here is written by hand twice.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from datetime import time, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from common.settings import HTTP_PORTS, PREFIX, SHIPPED_CONFIG, Settings
from common.texts import Takes, Texts
from services.console.teams import TeamEntry, Teams
from services.dispatcher.chat_commands import Commands, CommandWords
from services.dispatcher.durations import format_duration
from services.dispatcher.owners import GlobOwner, Owners
from services.dispatcher.policies import Limits, Policies, Policy, TitlePolicy, WorkingHours
from services.ingest.sources import FieldMapping, SourceMapping, Sources

INTRODUCTION = """\
# Configuration

*Generated from the models that check it: `make docs` writes this page anew.*

Two things are configured. **Settings** are environment variables: addresses, secrets, which adapter. **YAML files** say
how the bot behaves; each service checks its own at start and tells every mistake with its place, `securitybot check`
those of all.
"""

SETTINGS = f"""\
## Settings

Environment variables; a `.env` file in the working directory is read where the environment is silent. Any name may be
given as `NAME_FILE` instead, a path to read the value from (Docker and Kubernetes secrets).

`{PREFIX}HTTP_PORT` by default: {", ".join(f"{name} {port}" for name, port in HTTP_PORTS.items())}.
"""

FILES: tuple[tuple[str, str, tuple[tuple[str, str, type[BaseModel]], ...]], ...] = (
    (
        "policies.yaml",
        "What the bot does with which alert. Durations are written `90s`, `30m`, `2h`, `1h30m`, `30d`. May be absent.",
        (
            ("The file", "", Policies),
            ("A policy", "Under `defaults`, `severities.<severity>` and in each of `titles`.", Policy),
            ("A title's rule", "An entry of `titles` has this too:", TitlePolicy),
            ("Working hours", "Under `working_hours`.", WorkingHours),
            ("Limits", "Under `limits`.", Limits),
        ),
    ),
    (
        "owners.yaml",
        "Who answers for what is no person: hosts, service accounts. May be absent.",
        (("The file", "", Owners), ("A glob", "An entry of `globs`.", GlobOwner)),
    ),
    (
        "sources.yaml",
        "What `POST /v1/alerts/<source>` makes of a tool's webhook; see [Sources](sources.md). May be absent.",
        (
            ("The file", "", Sources),
            ("A source", "Under `sources.<name>`.", SourceMapping),
            ("A field, long form", "Under `sources.<name>.fields.<field>`.", FieldMapping),
        ),
    ),
    (
        "teams.yaml",
        "Teams of owners, for the console's page Insight. May be absent.",
        (("The file", "", Teams), ("A team", "An entry of `teams`.", TeamEntry)),
    ),
    (
        "commands.yaml",
        "What people can say to the bot: a key a meaning, all of them needed.",
        (("A meaning", f"Under each of {', '.join(f'`{name}`' for name in Commands.model_fields)}.", CommandWords),),
    ),
)


def page() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, SETTINGS, *_settings(), *_files(), *_texts()]) + "\n"


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return what stands under each field of a model, those of its bases included."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel or base.__module__.startswith("pydantic"):
            continue
        tree = _classes(base.__module__)[base.__name__]
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                assert isinstance(field.target, ast.Name)
                found[field.target.id] = " ".join(str(text.value.value).split())
    return found


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    file = sys.modules[module].__file__
    assert file is not None
    return {part.name: part for part in ast.parse(Path(file).read_text()).body if isinstance(part, ast.ClassDef)}


def fields(model: type[BaseModel]) -> Iterable[tuple[str, FieldInfo]]:
    """Return the fields under the names that a file gives them; of a title's rule only what makes it one."""
    own = {"match"} if model is TitlePolicy else set(model.model_fields)
    return [(field.alias or name, field) for name, field in model.model_fields.items() if name in own]


def _settings() -> Iterator[str]:
    told = docstrings(Settings)
    rows = [
        (f"`{PREFIX}{name.upper()}`", _default(field), told[name] + (" *Secret.*" if _is_secret(field) else ""))
        for name, field in Settings.model_fields.items()
    ]
    yield _table(("name", "default", "meaning"), rows)


def _files() -> Iterator[str]:
    yield f"## YAML files\n\nIn the folder `{PREFIX}CONFIG_DIR`; the shipped ones are in `config/`, with comments.\n"
    for name, about, parts in FILES:
        yield f"### {name}\n\n{about}\n"
        for title, where, model in parts:
            told = docstrings(model)
            names = {field.alias or key: key for key, field in model.model_fields.items()}
            rows = [
                (f"`{key}`", _type(field.annotation) + _bounds(field), _default(field), told[names[key]])
                for key, field in fields(model)
            ]
            yield "\n".join(part for part in (f"#### {title}\n", f"{where}\n" if where else "") if part)
            yield _table(("field", "is", "default", "meaning"), rows)


def _texts() -> Iterator[str]:
    shipped = yaml.safe_load((SHIPPED_CONFIG / "messages.yaml").read_text("utf-8"))
    yield "### messages.yaml\n\nEvery sentence that the bot says: all of them needed, with no other placeholders.\n"
    rows = [
        (f"`{name}`", " ".join(f"`{{{placeholder}}}`" for placeholder in _placeholders(field)), shipped[name])
        for name, field in Texts.model_fields.items()
    ]
    yield _table(("key", "placeholders", "as shipped"), rows)


def _placeholders(field: FieldInfo) -> list[str]:
    return sorted(name for takes in field.metadata if isinstance(takes, Takes) for name in takes.names)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, cells)) + " |" for cells in lines) + "\n"


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in (field.annotation, *get_args(field.annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*needed*"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return _value(value)


def _value(value: Any) -> str:  # noqa: PLR0911 - a line a kind
    match value:
        case None | "":
            return "–"
        case timedelta():
            return f"`{format_duration(value)}`"
        case time():
            return f"`{value:%H:%M}`"
        case Enum():
            return f"`{value.value}`"
        case frozenset():
            return ", ".join(sorted(_value(one) for one in value))
        case BaseModel():
            return "see below"
        case dict() | tuple() if not value:
            return "–"
    return f"`{value}`"


def _type(annotation: Any) -> str:  # noqa: PLR0911 - a line a kind
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(_type(one) for one in arguments if one is not NoneType)
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if origin is dict:
        return f"{_type(arguments[0])} → {_type(arguments[1])}"
    if origin in (frozenset, tuple):
        return f"list: {_type(arguments[0])}"
    if origin is not None:  # Annotated
        return _type(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{one.value}`" for one in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "see below"
    return {timedelta: "duration", time: "time", str: "text", int: "number", bool: "`true`, `false`"}[annotation]


def _bounds(field: FieldInfo) -> str:
    bounds = {name: getattr(one, name) for one in field.metadata for name in ("ge", "le", "gt") if hasattr(one, name)}
    if "ge" in bounds and "le" in bounds:
        return f", {bounds['ge']} to {bounds['le']}"
    return f", at least {bounds['ge']}" if "ge" in bounds else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - what it is for
