"""A town for each test, on SQLite; on MariaDB too where a test says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.records.database import create_database
from common.records.migrate import migrate
from services.dispatcher.configuration import Configuration
from tests.flow.town import ALICE, BOB, CAROL, Town, configuration

Build = Callable[..., Town]

both = pytest.mark.parametrize("database_url", ["sqlite", "mariadb"], indirect=True)
"""For what depends on the database; a fresh MariaDB costs each test over a second."""


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database to copy: quicker than migrating one a test."""
    path = tmp_path_factory.mktemp("flow") / "migrated.db"
    engine = create_database(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()  # the last connection's end writes the log back into the file
    return path


@pytest.fixture
def database_url(request: pytest.FixtureRequest, migrated_file: Path, tmp_path: Path) -> str:
    if getattr(request, "param", "sqlite") == "mariadb":
        url: str = request.getfixturevalue("mariadb_url")
        engine = create_database(url)
        migrate(engine)
        engine.dispose()
        return url
    shutil.copy(migrated_file, tmp_path / "record.db")
    return f"sqlite:///{tmp_path / 'record.db'}"


@pytest.fixture
def build(database_url: str) -> Iterator[Build]:
    """Builds a town with another configuration than the shipped one."""
    towns: list[Town] = []

    def build_town(config: Configuration | None = None) -> Town:
        town = populated(database_url, config or configuration())
        towns.append(town)
        return town

    yield build_town
    for town in towns:
        town.close()


@pytest.fixture
def town(build: Build) -> Iterator[Town]:
    """A town with the shipped configuration; what must always hold is checked at the end."""
    town = build()
    yield town
    town.check()


def populated(url: str, config: Configuration) -> Town:
    """Return a town in which alice, bob and carol live."""
    town = Town(create_database(url), config)
    for chat_id, username in ((ALICE, "alice"), (BOB, "bob"), (CAROL, "carol")):
        town.add_person(chat_id, username)
    return town
