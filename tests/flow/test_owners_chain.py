"""Whom an alert is about, where its owner is no person, or nobody yet."""

from __future__ import annotations

from datetime import timedelta

from services.dispatcher.owners import GlobOwner, Owners
from tests.flow.conftest import Build
from tests.flow.town import ALICE, BOB, CAROL, Town, configuration

OWNERS = Owners(
    exact={"deploy-bot": ("alice", "bob@example.com", "dave")},
    globs=(GlobOwner(match="db-*", people=("nobody", "carol")),),
)


def with_owners(build: Build) -> Town:
    return build(configuration(owners=OWNERS))


def test_the_first_of_the_list_is_asked(build: Build) -> None:
    town = with_owners(build)
    row = town.row(town.alert(owner="deploy-bot"))
    assert (row.person_id, row.matched_by) == (ALICE, "owners/username")
    assert town.asked(BOB) == []


def test_where_the_first_cannot_be_reached_the_next_is_asked(build: Build) -> None:
    town = with_owners(build)
    town.chat.unreachable.add(ALICE)
    digest = town.alert(owner="deploy-bot")
    row = town.row(digest)
    assert (row.person_id, row.matched_by, row.status) == (BOB, "owners/email", "in_progress")
    town.confirms(BOB)
    assert town.row(digest).resolution == "confirmed"
    town.outcome(digest)
    assert town.reports() == []


def test_where_nobody_of_the_list_can_be_reached_the_team_hears_of_it_once(build: Build) -> None:
    town = with_owners(build)
    town.chat.unreachable |= {ALICE, BOB}
    digest = town.alert(owner="deploy-bot")
    assert town.row(digest).resolution == "unreachable"
    town.outcome(digest)
    assert len(town.reports()) == 1


def test_a_whole_storm_is_passed_on(build: Build) -> None:
    town = with_owners(build)
    town.chat.unreachable.add(ALICE)
    hashes = [town.publish(owner="deploy-bot") for _ in range(5)]
    town.settle()
    assert {town.row(digest).person_id for digest in hashes} == {BOB}
    assert len(town.asked(BOB)) == 1
    town.says(BOB, "no")
    assert len(town.outcomes) == 5


def test_a_person_away_in_the_list_is_passed_over_by_a_glob(build: Build) -> None:
    town = with_owners(build)
    assert town.row(town.alert(owner="db-7")).person_id == CAROL


def test_an_owner_nobody_knows_is_looked_up_and_then_told(town: Town) -> None:
    digest = town.alert(owner="mallory")
    assert town.row(digest).resolution == "unknown_owner"
    town.outcome(digest)
    assert "mallory: unknown owner: sudo on db-7 (1)" in town.reports()


def test_a_newcomer_is_found_by_looking_them_up(town: Town) -> None:
    town.chat.newcomers["erin"] = "U0ERIN"
    first, second = town.publish(owner="erin"), town.publish(owner="erin")
    town.settle()
    assert {town.row(digest).person_id for digest in (first, second)} == {"U0ERIN"}
    assert len(town.asked("U0ERIN")) == 1
    town.confirms("U0ERIN")
    assert len(town.outcomes) == 2


def test_the_list_is_looked_up_one_after_the_other(build: Build) -> None:
    owners = Owners(exact={"ci": ("frank", "grace")})
    town = build(configuration(owners=owners))
    town.chat.newcomers["grace"] = "U0GRACE"
    assert town.row(town.alert(owner="ci")).person_id == "U0GRACE"


def test_while_chat_cannot_say_who_somebody_is_nobody_else_is_asked_for_them(build: Build) -> None:
    town = build(configuration(owners=Owners(exact={"ci": ("frank", "grace")})))
    town.chat.newcomers["grace"] = "U0GRACE"
    town.chat.cannot_look_up = "unavailable"
    row = town.row(town.alert(owner="ci"))
    assert (row.resolution, row.comment) == ("unreachable", "chat could not say who the owner is: unavailable")
    assert town.asked("U0GRACE") == []


def test_who_has_left_is_not_asked(town: Town) -> None:
    town.add_person("U0GONE", "gone", active=False)
    digest = town.alert(owner="gone")
    assert town.row(digest).resolution == "unknown_owner"


def test_a_display_name_finds_nobody(town: Town) -> None:
    town.add_person("U0EVIL", "evil", display_name="root")
    assert town.row(town.alert(owner="root")).resolution == "unknown_owner"


def test_a_name_that_two_people_have_finds_neither(town: Town) -> None:
    town.add_person("U0TWIN1", "twin", email=None)
    town.add_person("U0TWIN2", "twin", email=None)
    assert town.row(town.alert(owner="twin")).resolution == "unknown_owner"


def test_address_and_chat_id_find_the_person_whatever_the_case_of_the_address(town: Town) -> None:
    by_address = town.row(town.alert(owner="Alice@Example.com"))
    by_id = town.row(town.alert(owner=BOB))
    assert (by_address.person_id, by_address.matched_by) == (ALICE, "email")
    assert (by_id.person_id, by_id.matched_by) == (BOB, "chat_id")


def test_a_late_look_up_asks_nobody_about_an_alert_that_has_its_verdict(town: Town) -> None:
    town.chat.newcomers["erin"] = "U0ERIN"
    town.chat.away = True
    digest = town.alert(owner="erin")
    town.pass_time(timedelta(days=2))
    assert town.row(digest).resolution == "unreachable"
    town.chat.away = False
    town.settle()
    assert town.asked("U0ERIN") == []
    town.outcome(digest)
