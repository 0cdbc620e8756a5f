"""The site: built without a warning, complete, and whole without any other host."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from common.settings import PREFIX, Settings
from common.texts import Texts
from scripts.configuration_reference import FILES, docstrings, fields, page
from services.dispatcher.policies import Policy, PolicyChange
from tests.stack import ROOT

ELSEWHERE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"?(?:https?:)?//", re.IGNORECASE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_the_navigation(site: Path) -> None:
    def leaves(entry: object) -> list[str]:
        if isinstance(entry, dict):
            entry = list(entry.values())
        return [leaf for one in entry for leaf in leaves(one)] if isinstance(entry, list) else [str(entry)]

    named = leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert sorted(named) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    assert all((site / name.replace(".md", ".html")).exists() for name in named)


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert pages
    assert [path.name for path in pages if ELSEWHERE.search(path.read_text())] == []
    sheets = [path for path in site.rglob("*.css") if re.search(r"url\(\"?(?:https?:)?//", path.read_text())]
    assert sheets == []


def test_the_configuration_reference_is_what_the_models_say() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == page(), "`make docs` writes it anew"


def test_every_setting_is_in_the_reference_with_its_meaning() -> None:
    text = page()
    meanings = docstrings(Settings)
    for name in Settings.model_fields:
        assert f"| `{PREFIX}{name.upper()}` |" in text
        assert meanings[name]


def test_every_field_of_the_yaml_files_is_in_the_reference_with_its_meaning() -> None:
    text = page()
    for file, _, parts in FILES:
        section = text[text.index(f"### {file}") :]
        for title, _, model in parts:
            table = section[section.index(f"#### {title}") :].split("####")[1]
            assert [name for name, _ in fields(model) if f"| `{name}` |" not in table] == []
    assert all(f"| `{name}` |" in text for name in Texts.model_fields)


def test_what_a_policy_is_and_what_may_change_it_are_the_same() -> None:
    assert set(Policy.model_fields) == set(PolicyChange.model_fields)
