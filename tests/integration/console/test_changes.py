"""Every change that an analyst can make: what it does to the record, and whose name stands beside it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import insert

from common.errors import DatabaseUnavailable
from common.messages import AllowPushes, ReplyReceived
from common.records.console_tables import TriageRow
from common.records.tables import AlertRow, BlacklistRow, IgnoredRow, QuarantineRow
from common.topology import DISPATCHER_QUEUE, INGEST_QUEUE
from common.unit_of_work import UnitOfWork
from services.console.access import Role
from tests.integration.console.conftest import House


def test_an_analyst_takes_an_alert_and_the_others_see_it(each_house: House) -> None:
    digest = each_house.alert(1)
    each_house.visitor().post(f"/alerts/{digest}/take")
    assert each_house.row(TriageRow, TriageRow.alert_hash == digest).taken_by == "analyst:mara"
    assert "mara has it" in each_house.visitor(Role.VIEWER, "otto").get("/inbox").text
    assert [row.actor for row in each_house.history("taken")] == ["analyst:mara"]


def test_closing_keeps_the_resolution_and_who_had_it(each_house: House) -> None:
    digest = each_house.alert(1)
    visitor = each_house.visitor()
    visitor.post(f"/alerts/{digest}/take")
    visitor.post("/inbox/close", {"alert": digest, "verdict": "incident", "comment": "host isolated"})
    assert visitor.said() == "Closed 1 alert as incident."
    alert = each_house.row(AlertRow, AlertRow.hash == digest)
    assert (alert.status, alert.resolution, alert.closed_at) == ("closed", "no_response", each_house.clock.now())
    work = each_house.row(TriageRow, TriageRow.alert_hash == digest)
    assert (work.verdict, work.closed_by, work.taken_by) == ("incident", "analyst:mara", "analyst:mara")
    (entry,) = each_house.history("closed")
    assert (entry.actor, entry.detail) == ("analyst:mara", {"verdict": "incident", "comment": "host isolated"})


def test_many_alerts_are_closed_at_once_or_none_is(each_house: House) -> None:
    waiting = [each_house.alert(number) for number in (1, 2, 3)]
    closed = each_house.alert(4, status="closed")
    visitor = each_house.visitor()
    visitor.post("/inbox/close", {"alert": [*waiting, closed], "verdict": "benign"})
    assert "1 of 4 do not wait" in visitor.said()
    assert each_house.history("closed") == []
    visitor.post("/inbox/close", {"alert": waiting, "verdict": "benign"})
    assert visitor.said() == "Closed 3 alerts as benign."
    assert len(each_house.history("closed")) == 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"verdict": "benign"}, "choose 1 to"),
        ({"alert": "0" * 64, "verdict": "benign"}, "no such alert"),
        ({"alert": "zz", "verdict": "benign"}, "no such alert"),
        ({"alert": "0" * 64, "verdict": "whatever"}, "the verdict is one of"),
    ],
)
def test_a_closing_that_cannot_be_is_refused_in_words(house: House, data: dict[str, str], said: str) -> None:
    visitor = house.visitor()
    assert visitor.post("/inbox/close", data).status_code == 303
    assert said in visitor.said()


def test_a_comment_is_in_the_story_whatever_the_status(house: House) -> None:
    digest = house.alert(1, status="closed")
    visitor = house.visitor()
    visitor.post(f"/alerts/{digest}/comment", {"comment": "seen this before"})
    assert house.history("commented")[0].detail == {"comment": "seen this before"}
    assert "seen this before" in visitor.get(f"/alerts/{digest}").text
    visitor.post(f"/alerts/{digest}/comment", {"comment": "  "})
    assert visitor.said() == "write something"


@pytest.mark.parametrize(("table", "model"), [("blacklist", BlacklistRow), ("ignored", IgnoredRow)])
def test_somebody_is_silenced_until_a_day_and_lifted(
    each_house: House, table: str, model: type[BlacklistRow | IgnoredRow]
) -> None:
    each_house.person()
    visitor = each_house.visitor()
    until = (each_house.clock.now() + timedelta(days=9)).strftime("%Y-%m-%d")
    given = {"person": "alice", "title": "sudo on db-7", "until": until, "reason": "migration"}
    for _ in range(2):
        visitor.post(f"/silences/{table}", given)
    row = each_house.row(model)
    assert len(each_house.history(f"{table}_added")) == 1, "a second click is not a second entry"
    assert (row.person_id, row.added_by, row.reason) == ("U1", "analyst:mara", "migration")
    assert row.until == each_house.clock.now().replace(hour=0) + timedelta(days=10)
    assert "migration" in visitor.get("/people").text
    visitor.post(f"/silences/{table}/{row.id}/lift")
    assert each_house.row(model).lifted_by == "analyst:mara"
    assert "migration" not in visitor.get("/people").text
    assert "migration" in visitor.get("/people?ended=yes").text
    assert [entry.actor for entry in each_house.history(f"{table}_lifted")] == ["analyst:mara"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"person": "nobody", "until": "7", "reason": "r"}, "nobody in the directory"),
        ({"person": "alice", "until": "soon", "reason": "r"}, "say when it ends"),
        ({"person": "alice", "until": "0", "reason": "r"}, "it has to end by itself"),
        ({"person": "alice", "until": "9999", "reason": "r"}, "it has to end by itself"),
        ({"person": "alice", "until": "7", "reason": " "}, "say why"),
    ],
)
def test_a_silence_without_end_or_reason_is_refused(house: House, given: dict[str, str], said: str) -> None:
    house.person()
    visitor = house.visitor()
    visitor.post("/silences/blacklist", given)
    assert said in visitor.said()
    assert house.row(BlacklistRow) is None


def test_who_put_themselves_on_the_blacklist_shows(house: House) -> None:
    house.person()
    with house.engine.begin() as connection:
        connection.execute(
            insert(BlacklistRow),
            [{"person_id": "U1", "added_by": "person:U1", "reason": "stop", "created_at": house.clock.now(),
              "until": house.clock.now() + timedelta(days=30), "lifted_at": None, "lifted_by": None}],
        )  # fmt: skip
    assert "by themselves" in house.visitor(Role.VIEWER).get("/people").text


def test_pushes_are_allowed_again_through_the_dispatcher(house: House) -> None:
    house.person()
    house.visitor().post("/people/U1/allow-pushes")
    (delivery,) = house.published(DISPATCHER_QUEUE.name)
    assert delivery.type == "AllowPushes"
    assert AllowPushes.model_validate_json(delivery.body) == AllowPushes(person_id="U1", analyst="analyst:mara")


def test_a_new_alert_goes_through_the_exchange_like_any_other(house: House) -> None:
    visitor = house.visitor()
    given = {"owners": "alice, bob@example.com", "title": "check", "description": "Was this you?", "severity": "high"}
    preview = visitor.post("/new/preview", given).text
    assert "Send to 2 people" in preview
    assert "Yes, it was me" in preview
    assert house.published(INGEST_QUEUE.name) == []
    answer = visitor.post("/new", given)
    bodies = [json.loads(delivery.body) for delivery in house.published(INGEST_QUEUE.name)]
    assert [(body["owner"], body["source"], body["severity"]) for body in bodies] == [
        ("alice", "custom", "high"), ("bob@example.com", "custom", "high"),
    ]  # fmt: skip
    assert answer.headers["location"] == f"/alerts/{bodies[0]['hash']}/sent"
    assert [row.actor for row in house.history("published")] == ["analyst:mara"] * 2


def test_a_new_alert_that_is_sent_twice_is_the_same_alert(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = house.visitor()
    given = {"owners": "alice bob", "title": "check", "description": "Was this you?"}
    found = re.search(r'name="event_time" value="([^"]+)"', visitor.post("/new/preview", given).text)
    assert found is not None
    given |= {"event_time": html.unescape(found[1])}
    house.clock.advance(timedelta(seconds=9))
    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, "finish", raising(DatabaseUnavailable("gone away")))
        assert visitor.post("/new", given).status_code == 503
    assert house.published(INGEST_QUEUE.name) == [], "all of it or nothing"
    for _ in range(2):
        assert visitor.post("/new", given).status_code == 303
    hashes = [json.loads(delivery.body)["hash"] for delivery in house.published(INGEST_QUEUE.name)]
    assert len(hashes) == 4
    assert len(set(hashes)) == 2
    visitor.post("/new", given | {"severity": "critical"})
    worse = [json.loads(delivery.body) for delivery in house.published(INGEST_QUEUE.name)]
    assert [body["severity"] for body in worse] == ["critical", "critical"]
    assert not {body["hash"] for body in worse} & set(hashes), "who goes back to change the form sends something else"


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"owners": " "}, "name at least one"),
        ({"owners": " ".join(f"p{n}" for n in range(51))}, "at most 50"),
        ({"title": ""}, "title: missing"),
        ({"url": "javascript:alert(1)"}, "url: must be an http"),
        ({"description": "x" * 1025}, "description: has 1025"),
    ],
)
@pytest.mark.parametrize("path", ["/new", "/new/preview"])
def test_a_new_alert_that_is_none_stays_in_the_form(house: House, path: str, change: dict[str, str], said: str) -> None:
    given = {"owners": "alice", "title": "check", "description": "Was this you?", "reason": "kept words"}
    answer = house.visitor().post(path, given | change)
    assert answer.status_code == 422
    assert said in answer.text
    assert "kept words" in answer.text
    assert house.published(INGEST_QUEUE.name) == []


def test_a_quarantined_alert_is_mended_and_sent_again(house: House) -> None:
    number = house.quarantined(b'{"title": "t",\n "description": "d"}')
    visitor = house.visitor()
    body = '{"title": "t",\r\n "description": "d", "owner": "alice"}'
    visitor.post(f"/quarantine/{number}/retry", {"body": body})
    (delivery,) = house.published(INGEST_QUEUE.name)
    assert delivery.body == b'{"title": "t",\n "description": "d", "owner": "alice"}'
    row = house.row(QuarantineRow)
    assert (row.state, row.decided_by) == ("retried", "analyst:mara")


def test_what_was_not_changed_is_sent_again_byte_by_byte(house: House) -> None:
    body = b'{"title": "t",\r\n "bad": "\xff"}'
    number = house.quarantined(body)
    visitor = house.visitor()
    shown = visitor.get(f"/quarantine/{number}").text
    assert "\\xff" in shown
    as_shown = body.decode(errors="backslashreplace").replace("\r\n", "\n").replace("\n", "\r\n")
    visitor.post(f"/quarantine/{number}/retry", {"body": as_shown})
    assert house.published(INGEST_QUEUE.name)[0].body == body


def test_a_message_between_services_is_sent_again_by_admins_only(house: House) -> None:
    number = house.quarantined(b"{}", "securitybot.events", queue="securitybot.dispatcher", routing_key="X", type="X")
    analyst, admin = house.visitor(), house.visitor(Role.ADMIN, "root")
    analyst.post(f"/quarantine/{number}/retry")
    assert "by admins only" in analyst.said()
    assert house.row(QuarantineRow).state == "waiting"
    admin.post(f"/quarantine/{number}/retry")
    assert house.row(QuarantineRow).state == "retried"


def test_a_quarantined_message_is_dropped_with_a_note(house: House) -> None:
    number = house.quarantined()
    visitor = house.visitor()
    visitor.post(f"/quarantine/{number}/drop", {"note": ""})
    assert visitor.said() == "say why it is dropped"
    visitor.post(f"/quarantine/{number}/drop", {"note": "a test"})
    assert (house.row(QuarantineRow).state, house.row(QuarantineRow).note) == ("dropped", "a test")


def test_the_web_chat_speaks_for_the_visitor_and_nobody_else(house: House) -> None:
    visitor = house.visitor(name="Mara@example.com")
    visitor.post("/chat", {"text": "yes", "action": "yes", "subject": "q-1", "person": "alice"})
    (delivery,) = house.published(DISPATCHER_QUEUE.name)
    reply = ReplyReceived.model_validate_json(delivery.body)
    assert (reply.person_id, reply.text, reply.action, reply.subject) == ("mara", "yes", "yes", "q-1")
    visitor.post("/chat", {"text": " "})
    assert "say something" in visitor.said()
