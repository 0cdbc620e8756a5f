"""YAML files: a mistake names file and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from common.errors import ConfigurationError
from common.yaml_files import load_yaml


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    hours: int = Field(gt=0)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = "default"
    inner: list[Inner] = []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policies.yaml"


def problems(file: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_yaml(file, Outer)
    return caught.value.problems


def test_a_file_becomes_its_model(file: Path) -> None:
    file.write_text("name: über\ninner: [{hours: 2}]\n", "utf-8")

    assert load_yaml(file, Outer) == Outer(name="über", inner=[Inner(hours=2)])


def test_an_empty_file_is_all_defaults(file: Path) -> None:
    file.write_text("# nothing yet\n")

    assert load_yaml(file, Outer) == Outer()


def test_every_mistake_is_told_with_file_and_key(file: Path) -> None:
    file.write_text("nmae: x\ninner: [{hours: 0}, {}]\n")

    lines = problems(file)

    assert f"{file}: nmae: unknown key" in lines
    assert f"{file}: inner.1.hours: missing" in lines
    assert any(line.startswith(f"{file}: inner.0.hours: ") for line in lines)
    assert len(lines) == 3


def test_what_is_not_yaml_is_told_with_its_line(file: Path) -> None:
    file.write_text("name: [1\n")

    (line,) = problems(file)

    assert "is not YAML" in line
    assert "line 2" in line


def test_a_list_where_keys_belong_is_told(file: Path) -> None:
    file.write_text("- a\n")

    (line,) = problems(file)

    assert line.startswith(f"{file}: ")


def test_a_key_that_is_there_twice_is_told(file: Path) -> None:
    file.write_text("name: a\nname: b\n")

    (line,) = problems(file)

    assert "'name' is there twice" in line


def test_a_tag_that_would_build_an_object_is_refused(file: Path) -> None:
    file.write_text("name: !!python/object/apply:os.getcwd []\n")

    (line,) = problems(file)

    assert "is not YAML" in line


def test_a_missing_file_is_told_unless_it_may_be_missing(file: Path) -> None:
    (line,) = problems(file)

    assert line == f"{file} is missing; SECURITYBOT_CONFIG_DIR must name the folder with it"
    assert load_yaml(file, Outer, optional=True) == Outer()


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, file: Path) -> None:
    file.write_bytes(b"name: \xff\n")

    assert "cannot be read" in problems(tmp_path)[0]
    assert "cannot be read" in problems(file)[0]
