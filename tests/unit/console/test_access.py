"""Who may do what, and what a request must show. Nothing here needs a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.console.access import (
    ABSOLUTE,
    IDLE,
    Role,
    csrf_token,
    is_cross_site,
    is_loopback_visit,
    is_session_over,
    is_throttled,
    read_role_mapping,
    role_of_groups,
    safe_path,
    same_token,
)

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


def test_each_role_may_do_what_those_before_it_may() -> None:
    allowed = {role: [needed for needed in Role if role.allows(needed)] for role in Role}
    assert allowed == {
        Role.VIEWER: [Role.VIEWER],
        Role.ANALYST: [Role.VIEWER, Role.ANALYST],
        Role.ADMIN: [Role.VIEWER, Role.ANALYST, Role.ADMIN],
    }


def test_each_session_has_a_csrf_token_of_its_own() -> None:
    assert csrf_token("a") != csrf_token("b")
    assert same_token(csrf_token("a"), csrf_token("a"))
    assert not same_token("ÿ\ud800", csrf_token("a"))


@pytest.mark.parametrize(
    ("headers", "crosses"),
    [
        ({}, False),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-site"}, True),
        ({"origin": "https://a.example", "host": "a.example"}, False),
        ({"origin": "https://b.example", "host": "a.example"}, True),
        ({"origin": "null", "host": "a.example"}, True),
    ],
)
def test_a_request_caused_by_another_site_is_recognised(headers: dict[str, str], crosses: bool) -> None:
    assert is_cross_site(headers) is crosses


def test_a_session_runs_out_idle_or_absolutely() -> None:
    assert not is_session_over(NOW, NOW, NOW + IDLE - timedelta(seconds=1))
    assert is_session_over(NOW, NOW, NOW + IDLE)
    assert is_session_over(NOW, NOW + ABSOLUTE, NOW + ABSOLUTE)


@pytest.mark.parametrize(("name", "address", "waits"), [(4, 19, False), (5, 0, True), (0, 20, True)])
def test_guessing_is_slowed_down_by_name_and_by_address(name: int, address: int, waits: bool) -> None:
    assert is_throttled(name, address) is waits


@pytest.mark.parametrize(
    ("client", "host", "local"),
    [
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("::1", "[::1]:8080", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "evil.example", False),
        ("10.0.0.7", "localhost", False),
        (None, "localhost", False),
        ("unix", "localhost", False),
    ],
)
def test_only_this_machine_by_its_own_name_is_loopback(client: str | None, host: str, local: bool) -> None:
    assert is_loopback_visit(client, host) is local


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("/alerts?status=open", "/alerts?status=open"),
        ("//evil.example", "/inbox"),
        ("/\\evil.example", "/inbox"),
        ("https://evil.example", "/inbox"),
        ("/a\nb", "/inbox"),
        ("", "/inbox"),
    ],
)
def test_nobody_is_sent_to_another_site(path: str, safe: str) -> None:
    assert safe_path(path) == safe


def test_groups_give_the_highest_of_their_roles() -> None:
    mapping = read_role_mapping("soc=analyst, leads=admin\n everyone=viewer")
    assert role_of_groups(["everyone", "soc"], mapping) is Role.ANALYST
    assert role_of_groups(["everyone", "leads", "soc"], mapping) is Role.ADMIN
    assert role_of_groups(["others"], mapping) is None


@pytest.mark.parametrize("text", ["soc", "soc=boss", "=admin", "soc=Admin"])
def test_a_mapping_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no group=role pair"):
        read_role_mapping(text)
