"""Every sentence is there, says only what it may, and is said somewhere.

That each text renders with the values it gets is checked by `World`, for every decision of the property test.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from common.errors import ConfigurationError
from common.settings import SHIPPED_CONFIG
from common.texts import Texts, placeholders
from common.yaml_files import load_yaml
from services.dispatcher import configuration

SHIPPED = load_yaml(SHIPPED_CONFIG / "messages.yaml", Texts)
SOURCES = "\n".join(
    path.read_text("utf-8")
    for folder in (Path(configuration.__file__).parent, SHIPPED_CONFIG.parent / "common")
    for path in folder.glob("*.py")
    if path.name != "texts.py"
)
BUILT = ("card_", "told_", "button_", "question_", "offer_", "push_title_", "report_")
"""Beginnings of keys that the code puts together."""


def write(folder: Path, changes: Mapping[str, str | None]) -> Path:
    """Write the shipped texts with some changed, or (None) left out."""
    path = folder / "messages.yaml"
    texts = SHIPPED.model_dump() | dict(changes)
    path.write_text(yaml.safe_dump({key: text for key, text in texts.items() if text is not None}))
    return path


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"greeting": "hi"}, "greeting: unknown key"),
        ({"hello": None}, "hello: missing"),
        ({"hello": ""}, "hello: String should have at least 1 character"),
        ({"hello": "Hi {nam}"}, "hello: unknown placeholder {nam}; it may hold {name}"),
        ({"help": "Hi {name}"}, "help: unknown placeholder {name}; it may hold no placeholder"),
        ({"hello": "Hi {}"}, "hello: unknown placeholder {}"),
        ({"hello": "Hi {name.__class__}"}, "hello: unknown placeholder {name.__class__}"),
        ({"hello": "Hi {name"}, "hello: expected '}' before end of string (write {{ and }} for braces)"),
        ({"hello": "Hi }"}, "hello: Single '}' encountered in format string (write {{ and }} for braces)"),
        ({"hello": "Hi {name:d}"}, "hello: a placeholder has a conversion or format that text does not take"),
        ({"hello": "Hi {name!x}"}, "hello: a placeholder has a conversion or format that text does not take"),
        ({"hello": "Hi {name:{width}}"}, "hello: a placeholder has a conversion or format that text does not take"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_file_and_key(
    tmp_path: Path, changes: Mapping[str, str | None], problem: str
) -> None:
    path = write(tmp_path, changes)
    with pytest.raises(ConfigurationError) as error:
        load_yaml(path, Texts)
    assert f"{path}: {problem}" in str(error.value)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        load_yaml(write(tmp_path, {"hello": None, "help": "{x}", "more": "y"}), Texts)
    assert len(error.value.problems) == 3


def test_mistakes_of_all_files_are_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, {"hello": None})
    (tmp_path / "policies.yaml").write_text("default: {}")
    with pytest.raises(ConfigurationError) as error:
        configuration.load_configuration(tmp_path, second_factor=True, reporting_channel=None)
    problems = "\n".join(error.value.problems)
    for part in ("messages.yaml: hello: missing", "policies.yaml: default: unknown key", "commands.yaml is missing"):
        assert part in problems
    assert "owners.yaml" not in problems, "that one may be absent"


def test_a_text_may_leave_a_placeholder_out_and_hold_braces(tmp_path: Path) -> None:
    texts = load_yaml(write(tmp_path, {"hello": "Hi {{you}}"}), Texts)
    assert texts.render("hello", name="Alice") == "Hi {you}"


@pytest.mark.parametrize("key", Texts.model_fields)
def test_every_shipped_text_uses_all_that_it_may_or_is_short_on_purpose(key: str) -> None:
    values = {name: f"<{name}>" for name in placeholders(key)}
    text = SHIPPED.render(key, **values)
    assert "{" not in text
    left_out = {name for name, value in values.items() if value not in text}
    assert not left_out or key in ("offer_push", "offer_push_again", "offer_stop"), left_out


@pytest.mark.parametrize("key", Texts.model_fields)
def test_no_text_is_there_for_nothing(key: str) -> None:
    assert f'"{key}"' in SOURCES or f".{key}" in SOURCES or key.startswith(BUILT)


def test_what_strangers_write_is_never_taken_for_a_placeholder() -> None:
    assert SHIPPED.render("reminder", title="{name} {0} {") == SHIPPED.render("reminder", title="X").replace(
        "X", "{name} {0} {"
    )
