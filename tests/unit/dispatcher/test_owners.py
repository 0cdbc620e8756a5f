"""Whom an owner names: never by what people choose themselves, never by a guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import ConfigurationError
from common.records.tables import AlertRow
from common.settings import SHIPPED_CONFIG
from common.yaml_files import load_yaml
from services.dispatcher.owners import Directory, GlobOwner, Match, Owners, Person

ALICE = Person("U1", "alice", "alice@example.com", "Alice A", None, active=True)
BOB = Person("U2", "bob", "bob@example.com", "alice", None, active=True)
GONE = Person("U3", "gone", "gone@example.com", "Gone", None, active=False)
TWIN = Person("U4", "twin", None, "Twin", None, active=True)
OTHER_TWIN = Person("U5", "twin", None, "Twin", None, active=True)
DIRECTORY = Directory([ALICE, BOB, GONE, TWIN, OTHER_TWIN])
OWNERS = Owners(
    exact={"deploy-bot": ("alice", "bob"), "db-7": ("bob",)},
    globs=(GlobOwner(match="db-*", people=("gone", "alice")), GlobOwner(match="*", people=("nobody",))),
)


@pytest.mark.parametrize(
    ("handle", "person", "matched_by"),
    [
        ("U1", ALICE, "chat_id"),
        ("alice", ALICE, "username"),
        ("@Alice", ALICE, "username"),
        ("Alice@Example.COM", ALICE, "email"),
    ],
)
def test_an_id_a_name_or_an_address_finds_its_person(handle: str, person: Person, matched_by: str) -> None:
    assert DIRECTORY.find(handle) == Match(person, matched_by)


@pytest.mark.parametrize("handle", ["Alice A", "u1", "gone", "U3", "gone@example.com", "twin", "", "@", "nobody"])
def test_display_names_left_people_and_ambiguous_names_find_nobody(handle: str) -> None:
    assert DIRECTORY.find(handle) is None


def test_a_display_name_that_is_somebody_elses_user_name_does_not_stand_in_the_way() -> None:
    assert DIRECTORY.find("alice") == Match(ALICE, "username")


def test_somebody_who_left_does_not_make_a_name_ambiguous() -> None:
    left = Person("U9", "alice", "alice@example.com", "Alice", None, active=False)
    assert Directory([ALICE, left]).find("alice") == Match(ALICE, "username")


@pytest.mark.parametrize(
    ("owner", "candidates"),
    [
        ("deploy-bot", ("alice", "bob")),
        ("db-7", ("bob",)),
        ("db-8", ("gone", "alice")),
        ("web-1", ("nobody",)),
    ],
)
def test_exact_names_come_before_globs_and_the_first_glob_that_matches_holds(
    owner: str, candidates: tuple[str, ...]
) -> None:
    assert OWNERS.candidates(owner) == candidates


def test_an_owner_that_the_file_does_not_name_is_tried_itself() -> None:
    assert Owners().candidates("alice") == ("alice",)


def test_the_first_of_the_list_whom_chat_knows_is_asked_and_the_match_says_how() -> None:
    assert DIRECTORY.first_of("db-8", OWNERS.candidates("db-8")) == Match(ALICE, "owners/username")
    assert DIRECTORY.first_of("alice", ("alice",)) == Match(ALICE, "username")
    assert DIRECTORY.first_of("web-1", OWNERS.candidates("web-1")) is None


def test_every_way_of_matching_fits_into_its_column() -> None:
    named = Owners.model_validate({"exact": {"host": [ALICE.chat_id], "mail": [ALICE.email], "name": ["alice"]}})
    owners = [ALICE.chat_id, ALICE.email or "", "alice", "host", "mail", "name"]
    matches = [DIRECTORY.first_of(owner, named.candidates(owner)) for owner in owners]
    ways = [match.matched_by for match in matches if match]
    assert ways == ["chat_id", "email", "username", "owners/chat_id", "owners/email", "owners/username"]
    assert max(map(len, ways)) <= AlertRow.__table__.c["matched_by"].type.length  # type: ignore[attr-defined]


def test_the_shipped_file_is_sound_and_names_nobody() -> None:
    assert load_yaml(SHIPPED_CONFIG / "owners.yaml", Owners) == Owners()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("exakt: {}", "exakt: unknown key"),
        ("exact: {db-7: carol}", "exact.db-7: "),
        ("exact: {db-7: []}", "exact.db-7: "),
        ("globs: [{match: 'db-*', people: []}]", "globs.0.people: "),
        ("globs: [{people: [carol]}]", "globs.0.match: missing"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_file_and_key(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "owners.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        load_yaml(path, Owners)
    assert f"{path}: {problem}" in str(error.value)
