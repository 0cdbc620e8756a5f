"""Every page on SQLite and MariaDB, and that no text of the record ever becomes markup."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import insert

from common.ids import new_id
from common.messages import Button, ChatContent, Part
from common.records.tables import BlacklistRow, ChatDeliveryRow, ConversationRow, HistoryRow, IgnoredRow
from services.console.access import Role
from tests.integration.console.conftest import House

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}\u202e</textarea></title><b id=bad>"
ALLOWED_SCRIPTS = {"/static/app.js"}


class Markup(HTMLParser):
    """Collects what a browser would run or show that is not ours."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and given.get("src") not in ALLOWED_SCRIPTS:
            self.found.append("script")
        if tag in ("img", "iframe", "object") or given.get("id") == "bad":
            self.found.append(tag)
        self.found += [name for name, value in attrs if name.startswith("on") or name == "style"]
        self.found += [str(value) for name, value in attrs if name in ("href", "src") and "javascript:" in str(value)]


def furnish(house: House, text: str) -> str:
    """Put `text` into every field that a stranger may write."""
    now = house.clock.now()
    house.person("U1", "alice", display_name=text[:255], email=text[:255], time_zone=text[:60], locale=None)
    digest = house.alert(
        1, owner=text[:255], title=text[:255], description=text, reason=text, url="https://siem.example/" + text,
        source=text[:64], context={text: [text]}, comment=text, responded_at=now, occurrences=3,
    )  # fmt: skip
    house.alert(2, title=text[:255])
    house.alert(3, status="in_progress", resolution=None, resolved_at=None)
    house.quarantined(f'{{"x": "{text}"}}'.encode(), reason=text, routing_key=text[:255], message_id=text[:255])
    silence = {"person_id": "U1", "added_by": f"analyst:{text}"[:255], "reason": text, "created_at": now}
    end = {"until": now + timedelta(days=1), "lifted_at": None, "lifted_by": None}
    content = ChatContent(
        summary=text, parts=(Part(kind="heading", text=text), Part(kind="quote", text=text),
                             Part(kind="facts", facts=((text, text),)), Part(kind="link", text=text, url="https://x.example/")),
        buttons=(Button(action="yes", label=text),), comment_label=text, subject=text[:60],
    )  # fmt: skip
    question = {"id": "q", "first": {"title": text, "hash": digest}, "severity": "high", "asked_at": text,
                "deadline": text, "count": 2}  # fmt: skip
    with house.engine.begin() as connection:
        connection.execute(insert(BlacklistRow), [silence | end])
        connection.execute(insert(IgnoredRow), [silence | end | {"title": text[:255]}])
        connection.execute(insert(HistoryRow), [
            {"at": now, "actor": f"person:{text}"[:255], "action": "said_yes", "alert_hash": digest, "person_id": "U1",
             "detail": {"comment": text, "resolution": "denied", text: text}}])  # fmt: skip
        talk = {"person_id": "U1", "question": question, "pushes_stopped_at": "2026-03-03T12:00:00Z"}
        connection.execute(insert(ConversationRow), [{"person_id": "U1", "version": 1, "due_at": None, "state": talk}])
        connection.execute(insert(ChatDeliveryRow), [_delivery(content, now, state) for state in ("sent", "failed")])
    return digest


def _delivery(content: ChatContent, now: Any, state: str) -> dict[str, Any]:
    return {
        "message_id": new_id(), "kind": "send", "target": None, "recipient_kind": "person", "recipient_id": "mara",
        "sequence": 1, "content": content.model_dump(mode="json"), "notify": False, "state": state, "channel": None,
        "posted_as": None, "error": HOSTILE if state == "failed" else None, "claimed_by": None, "claimed_until": None,
        "created_at": now, "completed_at": now,
    }  # fmt: skip


def paths(digest: str) -> list[str]:
    return [
        "/inbox", "/inbox?resolution=no_response", "/alerts", "/alerts?text=alert&sort=title", f"/alerts/{digest}",
        f"/alerts/{digest[:9]}", f"/alerts/{digest}/sent", "/people", "/people?ended=yes&text=a", "/people/U1", "/new",
        "/quarantine", "/quarantine?state=all", "/quarantine/1", "/insight", "/insight?days=90", "/system", "/chat",
        "/insight/by-title.csv", "/insight/time-to-answer.csv",
    ]  # fmt: skip


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN])
def test_every_page_shows_hostile_text_as_text(each_house: House, role: Role) -> None:
    digest = furnish(each_house, HOSTILE)
    visitor = each_house.visitor(role)
    visitor.client.follow_redirects = True
    for path in paths(digest):
        if role is Role.VIEWER and path == "/new":
            continue
        answer = visitor.get(path)
        assert answer.status_code == 200, (path, answer.text[:300])
        as_it_came = path.endswith(".csv") or path == "/quarantine/1"
        assert as_it_came or "\u202e" not in answer.text, path
        if answer.headers["content-type"].startswith("text/html"):
            markup = Markup()
            markup.feed(answer.text)
            assert markup.found == [], path


def test_hostile_parameters_come_back_as_text(house: House) -> None:
    visitor = house.visitor(Role.ADMIN)
    for name in (
        "text",
        "titles",
        "owner",
        "source",
        "after",
        "cursor",
        "status",
        "sort",
        "resolution",
        "days",
        "state",
    ):
        for path in ("/alerts", "/inbox", "/people", "/new", "/insight", "/quarantine", "/sign-in"):
            answer = visitor.client.get(path, params={name: HOSTILE, "next": HOSTILE, "title": HOSTILE})
            assert answer.status_code in (200, 404), (path, name)
            markup = Markup()
            markup.feed(answer.text)
            assert markup.found == [], (path, name)


@pytest.mark.parametrize(
    "path",
    ["/alerts/zz", "/alerts/" + "0" * 64, "/alerts/" + "0" * 65, "/people/nobody", "/quarantine/99", "/nowhere",
     "/alerts/export.exe", "/insight/nothing.csv", "/insight?days=5", "/quarantine?state=x", "/alerts?sort=x",
     "/quarantine/" + "9" * 18, "/quarantine/" + "9" * 5000,
     "/alerts?after=yesterday", "/alerts?cursor=%00", "/alerts?performed=perhaps"],
)  # fmt: skip
def test_what_is_not_there_is_told_in_words(house: House, path: str) -> None:
    answer = house.visitor().get(path)
    assert answer.status_code == 404
    assert "<h1>Not found</h1>" in answer.text


def test_a_record_that_is_away_is_told_in_words(house: House) -> None:
    visitor = house.visitor()
    with house.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE sessions")
    answer = visitor.get("/inbox")
    assert answer.status_code == 503
    assert "Try again in a few seconds" in answer.text


def test_the_inbox_is_worst_first_and_pages_through_everything(each_house: House) -> None:
    kinds = [("no_response", "low"), ("proof_fraud", "low"), ("denied", "medium"), ("denied", "critical")]
    for number in range(120):
        resolution, severity = kinds[number % 4]
        each_house.alert(number, resolution=resolution, severity=severity, title=f"{resolution} {severity} {number:03}")
    visitor, path, seen = each_house.visitor(), "/inbox", []
    while path:
        page = visitor.get(path).text
        seen += [part.split("</a>")[0].split(">")[1] for part in page.split('class="row-title"')[1:]]
        path = page.split('class="more"><a class="button" href="')[1].split('"')[0] if 'class="more"><a' in page else ""
        path = path.replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 120
    order = [" ".join(title.split()[:2]) for title in seen]
    assert list(dict.fromkeys(order)) == ["proof_fraud low", "denied critical", "denied medium", "no_response low"]
    numbers = [int(title.split()[2]) for title in seen if title.startswith("denied critical")]
    assert numbers == sorted(numbers, reverse=True), "the oldest first"
