"""What happens around a question: repeats, what the person sees, whose word counts, and what cannot be taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.outside import Outcomes, alert, publish, send
from tests.person import Person, buttons, reported, visible
from tests.stack import CHANNEL, Stack
from tests.waiting import eventually

People = Callable[..., Person]


def settle(stack: Stack, outcomes: Outcomes, person: Person, title: str) -> None:
    """Let everything that was sent so far pass through all services, and end the open question."""
    person.click(person.card(title), "no")
    closing = send(stack.amqp_url, person.name, "the last one")
    person.click(person.card("the last one"), "no")
    outcomes.wait(closing)


def test_the_same_alert_again_is_one_more_occurrence_of_it(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    body = alert(person.name, "seen twice")
    publish(stack.amqp_url, [body, body])
    settle(stack, outcomes, person, "seen twice")
    row = stack.alert(body["hash"])
    assert row is not None
    assert row["occurrences"] == 2
    assert len([m for m in person.messages() if "seen twice" in visible(m) and "Was this you" in visible(m)]) <= 1
    assert len(outcomes.of(body["hash"])) == 1


def test_alerts_of_one_title_are_one_live_card_and_answered_together(
    stack: Stack, outcomes: Outcomes, person: Person
) -> None:
    first = send(stack.amqp_url, person.name, "many of them")
    card = person.card("many of them")
    others = [alert(person.name, "many of them") for _ in range(3)]
    publish(stack.amqp_url, others)
    more = person.read("and 3 more like it")
    assert more["ts"] == card["ts"]
    person.click(more, "no", "never seen it")
    for digest in [first, *(other["hash"] for other in others)]:
        assert outcomes.wait(digest)["resolution"] == "denied"


def test_one_question_at_a_time_and_then_one_more_thing(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    send(stack.amqp_url, person.name, "first thing")
    card = person.card("first thing")
    second = send(stack.amqp_url, person.name, "second thing")
    eventually(lambda: (row := stack.alert(second)) and row["escalate_at"])
    assert "asked" not in stack.history(second)
    assert not [m for m in person.messages() if "second thing" in visible(m)]
    person.click(card, "no")
    assert "One more thing" in visible(person.card("second thing"))
    person.click(person.card("second thing"), "not_sure")
    assert outcomes.wait(second)["resolution"] == "not_sure"


def test_an_answered_prompt_shows_the_answer_and_has_no_buttons(stack: Stack, person: Person) -> None:
    send(stack.amqp_url, person.name, "answered once")
    card = person.card("answered once")
    assert {"yes", "no", "not_sure", "wrong_person"} <= set(buttons(card))
    person.click(card, "no", "it was not me")
    updated = person.read("You said it was not you")
    assert updated["ts"] == card["ts"]
    assert buttons(updated) == []


def test_another_persons_click_and_words_have_no_effect(
    stack: Stack, outcomes: Outcomes, people: People, person: Person
) -> None:
    stranger = people()
    digest = send(stack.amqp_url, person.name, "only mine")
    card = person.card("only mine")
    direct = stack.slack.workspace.direct(person.id).id
    stack.slack.click(stranger.id, card["ts"], "yes", "I am them", channel_id=direct)
    stack.slack.say(stranger.id, "no", channel=direct, user=stranger.id)
    stranger.say("yes")
    person.say("no", bot_id="B0OTHER")
    person.say("no", subtype="message_changed")
    person.say("no", channel_type="channel")
    stranger.read("I have not asked you anything")
    row = stack.alert(digest)
    assert row is not None
    assert row["resolution"] is None
    assert "yes" in buttons(person.card("only mine"))
    person.click(card, "not_sure")
    assert outcomes.wait(digest)["resolution"] == "not_sure"
    assert stranger.pushes() == person.pushes() == []
    noted = stack.rows(
        "SELECT action, person_id, detail FROM history WHERE person_id IN (:one, :other) AND action IN "
        "('reply_refused', 'click_ignored') ORDER BY id", one=person.id, other=stranger.id,
    )  # fmt: skip
    # a set: what is not acknowledged within a second is sent again
    assert {(row["action"], row["person_id"], json.loads(row["detail"]).get("reason")) for row in noted} == {
        ("click_ignored", stranger.id, None),
        ("reply_refused", person.id, "by a bot"),
        ("reply_refused", person.id, "edited or deleted"),
    }
    for service in ("chat-gateway", "dispatcher"):
        assert '"reply_refused"' in (stack.folder / f"{service}.log").read_text()
        answer = stack.processes[service].get("/metrics")
        assert answer is not None
        assert 'securitybot_replies_total{outcome="refused"}' in answer.text


def test_a_click_on_an_old_card_does_not_answer_the_open_one(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    send(stack.amqp_url, person.name, "old card")
    old = person.card("old card")
    clickable = {**old}
    person.click(old, "no")
    new = send(stack.amqp_url, person.name, "new card")
    card = person.card("new card")
    message = stack.slack.workspace.find(stack.slack.workspace.direct(person.id), old["ts"])
    message["blocks"] = clickable["blocks"]  # a client that still shows the buttons
    person.click(old, "yes")
    person.say("status")
    person.read("I am waiting for your answer about “new card”")
    person.click(card, "not_sure")
    assert outcomes.wait(new)["resolution"] == "not_sure"


def test_what_is_no_answer_is_explained(stack: Stack, person: Person) -> None:
    send(stack.amqp_url, person.name, "maybe it was")
    card = person.card("maybe it was")
    person.say("maybe")
    person.read("I need to know whether “maybe it was” was you")
    person.click(card, "no")


def test_alert_text_cannot_speak_slack(stack: Stack, person: Person) -> None:
    hostile = "<!channel> <@U1> *bold* <https://evil.example|bank> \u202egnp.exe"
    send(stack.amqp_url, person.name, "hostile", description=hostile, reason=f"``` {hostile}")
    card = person.card("hostile")
    assert "<!channel>" not in card["text"]
    assert "\u202e" not in json.dumps(card, ensure_ascii=False)
    assert not [block for block in card["blocks"] if "mrkdwn" in json.dumps(block)]
    person.click(card, "no")
    report = reported(stack, person.name, "hostile")
    assert "\u202e" not in report
    posted = [message["text"] for message in stack.slack.messages_in(CHANNEL)]
    assert not [text for text in posted if "<!channel>" in text]


def test_what_cannot_be_taken_is_in_the_quarantine_once_and_stops_nothing(
    stack: Stack, outcomes: Outcomes, person: Person
) -> None:
    before = {row["id"] for row in stack.rows("SELECT id FROM quarantine")}
    known = alert(person.name, "known hash")
    bad = [
        b"{",
        b'{"owner": "x"}',
        b"[]",
        b"\xff\xfe",
        b"",
        b"a" * 70_000,
        json.dumps(known | {"title": "other"}).encode(),
    ]
    publish(stack.amqp_url, [known, *bad])
    person.click(person.card("known hash"), "no")
    outcomes.wait(known["hash"])
    rows = eventually(
        lambda: (
            new if len(new := [r for r in stack.rows("SELECT * FROM quarantine") if r["id"] not in before]) >= 7 else []
        )
    )
    assert sorted(bytes(row["body"]) for row in rows) == sorted(bad)
    assert all(row["reason"] for row in rows)
    listed = json.loads(stack.run("quarantine", "list", "--json").stdout)
    assert {row["id"] for row in rows} <= {row["id"] for row in listed}


def test_a_quarantined_alert_can_be_mended_and_sent_again(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    body = alert(person.name, "mended")
    publish(stack.amqp_url, [{key: value for key, value in body.items() if key != "description"} | {"source": "m"}])
    row = eventually(
        lambda: next((r for r in stack.rows("SELECT * FROM quarantine") if body["hash"] in str(r["body"])), None)
    )
    better = stack.folder / "body.json"
    better.write_text(json.dumps(body))
    assert row is not None
    stack.run("quarantine", "retry", str(row["id"]), "--body", str(better))
    person.click(person.card("mended", timeout=40), "no")
    assert outcomes.wait(body["hash"])["resolution"] == "denied"


def test_alerts_over_http_take_the_same_way(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    token = stack.secret(
        json.loads(stack.run("tokens", "create", person.name, "--scope", "publish", "--json").stdout)["token"]
    )
    body = alert(person.name, "over http")
    answer = post(stack, token, [body, {"owner": "nobody"}])
    assert answer.status_code == 202
    assert answer.json()["accepted"] == [{"hash": body["hash"], "duplicate": False}]
    assert [entry["index"] for entry in answer.json()["rejected"]] == [1]
    person.click(person.card("over http"), "no")
    assert outcomes.wait(body["hash"])["resolution"] == "denied"
    assert post(stack, token, body).json()["accepted"] == [{"hash": body["hash"], "duplicate": True}]
    assert post(stack, "sbt_wrong", body).status_code == 401
    stack.run("tokens", "revoke", person.name)


def test_the_command_line_publishes_and_shows(stack: Stack, outcomes: Outcomes, person: Person) -> None:
    lines = "\n".join(json.dumps(alert(person.name, "from stdin")) for _ in range(3))
    digests = stack.run("publish", "-", given=lines).stdout.split()
    assert len(digests) == 3
    person.card("from stdin")
    person.click(person.card("from stdin"), "no")
    for digest in digests:
        outcomes.wait(digest)
    shown = json.loads(stack.run("alerts", "show", digests[0], "--json").stdout)
    assert shown["resolution"] == "denied"
    assert next(entry["action"] for entry in shown["history"]) == "received"


def post(stack: Stack, token: str, body: Any) -> httpx.Response:
    """Publish over HTTP."""
    port = stack.processes["ingest"].port
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"http://127.0.0.1:{port}/v1/alerts", json=body, headers=headers, timeout=10)
