"""Signing in through an identity provider, over real sockets; and every token that must not be believed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey

from common.records.analysts import add_analyst, remove_analyst
from common.records.console_tables import SessionRow
from common.records.tables import HistoryRow
from tests.fakes.oidc import CLIENT_ID, CLIENT_SECRET, FakeProvider
from tests.integration.console.conftest import House


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    provider = FakeProvider()
    yield provider
    provider.close()


@pytest.fixture
def oidc_house(build: Callable[..., House], provider: FakeProvider) -> House:
    return build(
        oidc_issuer=provider.issuer, oidc_client_id=CLIENT_ID, oidc_client_secret=CLIENT_SECRET,
        oidc_roles="soc=analyst, soc-leads=admin everyone=viewer",
    )  # fmt: skip


def arrive(client: httpx.Client, target: str = "/alerts") -> httpx.Response:
    """Go the whole way as a browser does."""
    begun = client.get("/sign-in/oidc", params={"next": target})
    with httpx.Client(trust_env=False) as browser:
        sent_back = browser.get(begun.headers["location"])
    return client.get(sent_back.headers["location"])


def test_somebody_of_a_known_group_is_signed_in_with_its_role(oidc_house: House) -> None:
    client = oidc_house.browser()
    assert "Continue with single sign-on" in client.get("/sign-in").text
    answer = arrive(client, "/alerts?status=open")
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?status=open")
    session = oidc_house.row(SessionRow)
    assert (session.analyst, session.role, session.provider) == ("mara", "analyst", "oidc")
    assert "mara" in client.get("/inbox").text


def test_the_highest_of_the_groups_counts(oidc_house: House, provider: FakeProvider) -> None:
    provider.claims["groups"] = ["everyone", "soc-leads", "soc", "other"]
    arrive(oidc_house.browser())
    assert oidc_house.row(SessionRow).role == "admin"


def test_the_history_tells_who_that_is_for_the_provider(oidc_house: House, provider: FakeProvider) -> None:
    provider.claims["sub"] = "00u-4711"
    arrive(oidc_house.browser())
    signed_in = oidc_house.row(HistoryRow)
    assert (signed_in.actor, signed_in.detail["subject"]) == ("analyst:mara", "00u-4711")


@pytest.mark.parametrize("called", ["mara", "Mara", " mara "])
def test_nobody_signs_in_under_the_name_of_a_local_account(
    oidc_house: House, provider: FakeProvider, called: str
) -> None:
    add = lambda work: add_analyst(work, "mara", "admin", "correct horse battery", "analyst:root")  # noqa: E731
    oidc_house.desk.change(add)
    provider.claims["preferred_username"] = called
    client = oidc_house.browser()
    answer = arrive(client)
    assert answer.status_code == 403
    assert "local account" in answer.text
    assert client.get("/inbox").status_code == 303
    oidc_house.desk.change(lambda work: remove_analyst(work, "mara", "analyst:root"))
    assert arrive(client).status_code == 303


@pytest.mark.parametrize("groups", [[], ["other"], None])
def test_no_group_no_access(oidc_house: House, provider: FakeProvider, groups: Any) -> None:
    provider.claims["groups"] = groups
    answer = arrive(oidc_house.browser())
    assert answer.status_code == 403
    assert "None of your groups" in answer.text
    assert oidc_house.row(SessionRow) is None


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "another"},
        {"aud": "another-client"},
        {"iss": "https://evil.example"},
        {"exp": int(time.time()) - 600},
    ],
)
def test_a_token_that_was_not_made_for_this_sign_in_is_refused(
    oidc_house: House, provider: FakeProvider, change: dict[str, Any]
) -> None:
    provider.change = change
    answer = arrive(oidc_house.browser())
    assert answer.status_code == 403
    assert "cannot be trusted" in answer.text
    assert oidc_house.row(SessionRow) is None


def test_a_token_signed_with_another_key_is_refused(oidc_house: House, provider: FakeProvider) -> None:
    provider.sign_with = RSAKey.generate_key(2048, {"kid": "k1"})
    assert arrive(oidc_house.browser()).status_code == 403
    assert oidc_house.row(SessionRow) is None


def test_a_key_of_an_unknown_kind_does_not_spoil_the_others(oidc_house: House, provider: FakeProvider) -> None:
    provider.odd_keys = [{"kty": "XYZ"}, {"kty": "EC", "crv": "P-000", "x": "AA", "y": "AA"}, {"kid": "k9"}]
    assert arrive(oidc_house.browser()).status_code == 303


def test_a_way_back_works_once_and_in_the_browser_that_began_it(oidc_house: House) -> None:
    client = oidc_house.browser()
    begun = client.get("/sign-in/oidc")
    with httpx.Client(trust_env=False) as browser:
        back = browser.get(begun.headers["location"]).headers["location"]
    assert oidc_house.browser().get(back).status_code == 403, "another browser: nobody is signed in by a link"
    assert client.get(back).status_code == 303
    client.cookies.set("securitybot_flow", back.split("state=")[1])
    assert client.get(back).status_code == 403


def test_a_sign_in_that_took_too_long_begins_again(oidc_house: House) -> None:
    client = oidc_house.browser()
    begun = client.get("/sign-in/oidc")
    with httpx.Client(trust_env=False) as browser:
        back = browser.get(begun.headers["location"]).headers["location"]
    oidc_house.clock.advance(timedelta(minutes=11))
    answer = client.get(back)
    assert answer.status_code == 403
    assert "took too long" in answer.text


def test_a_provider_that_says_no_or_is_away_is_told_in_words(oidc_house: House, provider: FakeProvider) -> None:
    client = oidc_house.browser()
    provider.down = True
    assert client.get("/sign-in/oidc").status_code == 503
    provider.down = False
    state = client.get("/sign-in/oidc").headers["location"].split("state=")[1].partition("&")[0]
    answer = client.get("/sign-in/oidc/callback", params={"state": state, "error": "access_denied"})
    assert answer.status_code == 403
    assert "did not let you in" in answer.text
    state = client.get("/sign-in/oidc").headers["location"].split("state=")[1].partition("&")[0]
    answer = client.get("/sign-in/oidc/callback", params={"state": state, "code": "forged"})
    assert "did not accept" in answer.text


def test_a_provider_that_calls_itself_another_is_not_used(oidc_house: House, provider: FakeProvider) -> None:
    provider.calls_itself = "https://evil.example"
    assert oidc_house.browser().get("/sign-in/oidc").status_code == 503


def test_without_a_provider_its_paths_lead_to_the_form(house: House) -> None:
    client = house.browser()
    assert client.get("/sign-in/oidc").headers["location"] == "/sign-in"
    assert client.get("/sign-in/oidc/callback").headers["location"] == "/sign-in"
