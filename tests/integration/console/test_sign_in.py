"""Signing in with a local account, and what keeps guessers out."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest

from common.records.analysts import add_analyst, list_analysts, remove_analyst
from common.records.console_tables import AnalystRow, SessionRow
from services.console.gate import LOOPBACK_COOKIE, SECURE_COOKIE
from tests.integration.console.conftest import House

PASSWORD = "correct horse battery"


@pytest.fixture
def staffed(house: House) -> House:
    house.desk.change(lambda work: add_analyst(work, "mara", "analyst", PASSWORD, "analyst:root"))
    return house


def sign_in(
    client: httpx.Client, password: str = PASSWORD, name: str = "mara", target: str = "/alerts"
) -> httpx.Response:
    page = client.get(f"/sign-in?next={quote(target)}").text
    token, target = (page.split(f'name="{field}" value="')[1].split('"')[0] for field in ("csrf", "next"))
    return client.post("/sign-in", data={"csrf": token, "name": name, "password": password, "next": target})


def test_the_right_password_opens_a_session_where_one_wanted_to_go(staffed: House) -> None:
    client = staffed.browser()
    answer = sign_in(client, target="/alerts?status=open")
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?status=open")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "mara" in client.get("/inbox").text
    assert staffed.history("signed_in")[0].actor == "analyst:mara"
    assert PASSWORD not in staffed.row(AnalystRow).password_hash
    assert staffed.row(AnalystRow).password_hash.startswith("$argon2id$")


def test_away_from_loopback_the_cookie_is_secure_and_of_this_host_only(staffed: House) -> None:
    client = staffed.browser()
    client.headers["host"] = "console.example"
    page = client.get("/sign-in")
    assert "Secure" in page.headers["set-cookie"]
    form = {"csrf": page.text.split('name="csrf" value="')[1].split('"')[0], "name": "mara", "password": PASSWORD}
    cookie = page.headers["set-cookie"].partition(";")[0]
    answer = client.post("/sign-in", data=form, headers={"cookie": cookie})
    assert answer.headers["set-cookie"].startswith(f"{SECURE_COOKIE}=")
    assert "Secure" in answer.headers["set-cookie"]
    assert "Path=/" in answer.headers["set-cookie"]


def test_signing_in_again_rotates_the_session(staffed: House) -> None:
    client = staffed.browser()
    sign_in(client)
    first = client.cookies[LOOPBACK_COOKIE]
    sign_in(client)
    assert client.cookies[LOOPBACK_COOKIE] != first
    old = staffed.browser()
    old.cookies.set(LOOPBACK_COOKIE, first)
    assert old.get("/inbox").status_code == 303


def test_a_session_that_a_stranger_planted_is_not_taken_up(staffed: House) -> None:
    client = staffed.browser()
    client.cookies.set(LOOPBACK_COOKIE, "planted")
    sign_in(client)
    planted = staffed.browser()
    planted.cookies.set(LOOPBACK_COOKIE, "planted")
    assert planted.get("/inbox").status_code == 303


@pytest.mark.parametrize(
    ("name", "password"), [("mara", "wrong password"), ("nobody", PASSWORD), ("", ""), ("ma\x00ra", "\ud800")]
)
def test_wrong_names_and_passwords_get_the_same_answer(staffed: House, name: str, password: str) -> None:
    answer = sign_in(staffed.browser(), password.encode(errors="replace").decode(), name)
    assert answer.status_code == 403
    assert "Name or password is wrong." in answer.text
    assert staffed.row(SessionRow) is None


def test_five_failures_close_the_door_for_a_quarter_of_an_hour(staffed: House) -> None:
    for _ in range(5):
        assert sign_in(staffed.browser(), "wrong password").status_code == 403
    assert sign_in(staffed.browser()).status_code == 429
    staffed.clock.advance(timedelta(minutes=16))
    assert sign_in(staffed.browser()).status_code == 303


def test_an_address_that_tries_many_names_is_stopped(staffed: House) -> None:
    for number in range(20):
        staffed.desk.gate.sessions.failed(f"name-{number}", "127.0.0.1")
    assert sign_in(staffed.browser()).status_code == 429


def test_a_form_that_was_not_asked_for_signs_nobody_in(staffed: House) -> None:
    given = {"name": "mara", "password": PASSWORD, "csrf": "x"}
    assert staffed.browser().post("/sign-in", data=given).status_code == 403
    client = staffed.browser()
    page = client.get("/sign-in").text
    good = given | {"csrf": page.split('name="csrf" value="')[1].split('"')[0]}
    assert client.post("/sign-in", data=good, headers={"origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_nobody_is_sent_to_another_site(staffed: House, target: str) -> None:
    assert sign_in(staffed.browser(), target=target).headers["location"] == "/inbox"


def test_a_removed_account_is_out_at_once_and_a_new_role_counts_at_once(staffed: House) -> None:
    client = staffed.browser()
    sign_in(client)
    staffed.desk.change(lambda work: add_analyst(work, "mara", "viewer", PASSWORD, "analyst:root"))
    assert client.get("/inbox").status_code == 303, "a new password ends the sessions"
    sign_in(client)
    assert client.get("/new").status_code == 403
    staffed.desk.change(lambda work: remove_analyst(work, "mara", "analyst:root"))
    assert client.get("/inbox").status_code == 303
    assert sign_in(client).status_code == 403
    assert staffed.desk.read(list_analysts)[0]["removed_at"] is not None
