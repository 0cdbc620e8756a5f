"""Who may do what: each page and each change is tried by everybody who may not."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from common.records.console_tables import SessionRow
from common.records.schema import SCHEMA
from services.console.access import Role
from services.console.wiring import pages
from tests.integration.console.conftest import House, Visitor

FILLED = {"hash": "0" * 64, "number": "1", "table": "blacklist", "chat_id": "U1", "kind": "csv", "name": "by-title"}
OWN = ("/sign-out",)
"""What changes nothing but the visitor's own session."""


def path_of(pattern: str) -> str:
    return re.sub(r"\{(\w+)(:row)?\}", lambda match: FILLED[match[1]], pattern)


def everything(house: House) -> dict[str, int]:
    """Return the number of rows of each table."""
    with house.engine.connect() as connection:
        return {
            name: connection.scalar(select(func.count()).select_from(table)) or 0
            for name, table in SCHEMA.tables.items()
            if name != SessionRow.__tablename__
        }


def furnished(house: House) -> str:
    house.person()
    house.quarantined()
    return house.alert(1)


def test_a_viewers_session_can_change_nothing(house: House) -> None:
    digest = furnished(house)
    viewer = house.visitor(Role.VIEWER)
    before = everything(house)
    tried = 0
    for page in pages(house.desk):
        if page.method != "POST" or page.path in OWN:
            continue
        answer = viewer.post(path_of(page.path).replace("0" * 64, digest), {"alert": digest, "verdict": "benign"})
        assert answer.status_code == 403, page.path
        tried += 1
    assert tried >= 11
    assert everything(house) == before


def test_every_change_needs_more_than_a_viewer(house: House) -> None:
    lax = [page.path for page in pages(house.desk) if page.method != "GET" and page.needs is Role.VIEWER]
    assert lax == list(OWN)


def test_nobody_without_a_session_sees_or_changes_anything(house: House) -> None:
    furnished(house)
    stranger = Visitor(house.browser())
    before = everything(house)
    for page in pages(house.desk):
        answer = stranger.get(path_of(page.path)) if page.method == "GET" else stranger.post(path_of(page.path))
        assert answer.status_code == (303 if page.method == "GET" else 401), page.path
        assert answer.headers.get("location", "/sign-in").startswith("/sign-in")
        assert "sudo" not in answer.text
    assert everything(house) == before


def test_a_form_without_the_sessions_token_changes_nothing(house: House) -> None:
    digest = furnished(house)
    visitor, other = house.visitor(Role.ADMIN), house.visitor(Role.ADMIN)
    before = everything(house)
    for page in pages(house.desk):
        if page.method == "POST":
            for token in ("", "x", other.csrf, "ÿ"):
                answer = visitor.post(path_of(page.path).replace("0" * 64, digest), {"csrf": token})
                assert answer.status_code == 403, page.path
    assert everything(house) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_a_form_from_another_site_changes_nothing(house: House, headers: dict[str, str]) -> None:
    digest = furnished(house)
    assert house.visitor().post(f"/alerts/{digest}/take", None, **headers).status_code == 403
    assert house.visitor().post(f"/alerts/{digest}/take", None, origin=house.url).status_code == 303


def test_a_session_ends_idle_and_absolutely(house: House) -> None:
    visitor = house.visitor()
    for _ in range(11):
        house.clock.advance(timedelta(minutes=59))
        assert visitor.get("/inbox").status_code == 200
    house.clock.advance(timedelta(minutes=59))
    assert visitor.get("/inbox").status_code == 200
    house.clock.advance(timedelta(minutes=15))
    assert visitor.get("/inbox").status_code == 303, "twelve hours are over"
    idle = house.visitor()
    house.clock.advance(timedelta(minutes=61))
    assert idle.get("/inbox").status_code == 303


def test_signing_out_ends_the_session_on_the_server(house: House) -> None:
    visitor = house.visitor()
    token = dict(visitor.client.cookies)
    visitor.post("/sign-out")
    again = house.browser()
    again.cookies.update(token)
    assert again.get("/inbox").status_code == 303


def test_every_answer_has_a_strict_policy(house: House) -> None:
    furnished(house)
    visitor = house.visitor()
    for path in ("/inbox", "/sign-in", "/nowhere", "/static/app.js", "/api/v1/alerts", "/alerts/export.csv"):
        headers = visitor.get(path).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_no_page_has_inline_script_or_style(house: House) -> None:
    digest = furnished(house)
    visitor = house.visitor(Role.ADMIN)
    for path in (
        "/inbox", "/alerts", f"/alerts/{digest}", "/people", "/people/U1", "/new", "/quarantine", "/quarantine/1",
        "/insight", "/system", "/chat", "/sign-in",
    ):  # fmt: skip
        text = visitor.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text), path
        assert not re.search(r'(?:src|href)="(?:https?:)?//', text), path


def test_the_demo_signs_in_by_itself_on_loopback_only(build: Callable[..., House]) -> None:
    house = build(demo_name="root")
    assert "you are signed in as" in house.browser().get("/inbox").text
    assert house.browser().get("/inbox", headers={"host": "evil.example"}).status_code == 303
    assert house.browser().post("/alerts/x/take", data={"csrf": ""}).status_code == 403


def test_a_form_that_is_too_large_is_not_read(house: House) -> None:
    visitor = house.visitor()
    assert visitor.post("/chat", {"text": "x" * 300_000}).status_code == 413
    answer = visitor.client.post("/chat", content=b"{}", headers={"content-type": "application/json"})
    assert answer.status_code == 415
    assert visitor.client.put("/inbox").status_code == 405
