"""Exactly one visible message for a `SendChatMessage`, whatever happens to the call or to the process."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from common import codec
from common.ids import new_id
from common.messages import ChatContent, ChatMessageDelivered, ChatMessageUndeliverable, Envelope, Part, Recipient
from common.records.tables import ChatDeliveryRow
from common.transactions import Transactions
from services.chat_gateway.deliveries import Deliveries
from services.chat_gateway.jobs import job_of
from services.chat_gateway.slack.adapter import EVENT_TYPE
from tests.fakes.clock import FakeClock
from tests.integration.chat_gateway.conftest import Bench, a_send
from tests.waiting import eventually


def test_a_message_is_shown_and_recorded(bench: Bench, alice: str) -> None:
    bench.start()
    name = bench.send(alice, "was it you?")
    eventually(lambda: bench.state(name) == "sent")
    [message] = bench.slack.messages_to(alice)
    row = bench.row(name)
    assert (row.posted_as, row.channel) == (message["ts"], f"D{alice[1:]}")
    assert message["metadata"] == {"event_type": EVENT_TYPE, "event_payload": {"message_id": name}}
    assert message["asked"] == {"mrkdwn": False, "parse": "none", "link_names": False, "unfurl_links": False}


def test_a_delivery_in_time_is_nothing_to_tell(bench: Bench, alice: str) -> None:
    gateway = bench.start()
    name = bench.send(alice, "was it you?", notify=True)
    eventually(lambda: bench.state(name) == "sent")
    bench.gateways.remove(gateway)
    gateway.stop()
    assert bench.heard(ChatMessageDelivered) == []


@pytest.mark.parametrize("mode", ["lost", "lost_500"])
def test_a_message_whose_confirmation_was_lost_is_not_posted_again(bench: Bench, alice: str, mode: str) -> None:
    bench.slack.fail_next("chat.postMessage", mode)  # type: ignore[arg-type]
    bench.start()
    name = bench.send(alice, "was it you?")
    eventually(lambda: bench.state(name) == "sent")
    [message] = bench.slack.messages_to(alice)
    assert bench.row(name).posted_as == message["ts"]
    assert len(bench.slack.requests("chat.postMessage")) == 1


@pytest.mark.parametrize("mode", ["timeout", "closed", "500"])
def test_a_message_that_did_not_arrive_is_looked_for_and_posted(bench: Bench, alice: str, mode: str) -> None:
    bench.slack.fail_next("chat.postMessage", mode)  # type: ignore[arg-type]
    bench.start()
    name = bench.send(alice, "was it you?")
    eventually(lambda: bench.state(name) == "sent")
    assert bench.texts(alice) == ["was it you?"]
    assert len(bench.slack.requests("conversations.history")) == 1


def test_while_the_history_cannot_be_read_nothing_is_posted_again(bench: Bench, alice: str) -> None:
    bench.slack.fail_next("chat.postMessage", "lost")
    bench.slack.fail_next("conversations.history", "500", times=2)
    bench.start()
    name = bench.send(alice, "was it you?")
    eventually(lambda: bench.state(name) == "sent")
    assert len(bench.slack.messages_to(alice)) == 1


def test_an_app_that_may_not_read_the_channel_posts_nevertheless(bench: Bench, alice: str) -> None:
    bench.slack.fail_next("chat.postMessage", "500")
    bench.slack.fail_next("conversations.history", "refuse", times=99, error="missing_scope")
    bench.start()
    name = bench.send(alice, "was it you?")
    eventually(lambda: bench.state(name) == "sent")
    assert bench.texts(alice) == ["was it you?"]


def claim_as_dead_process(bench: Bench, message_id: str, alice: str, sequence: int = 1) -> None:
    """Leave a row as a process does that was killed ten seconds ago, between its row and the end of its call."""
    past = FakeClock(datetime.now(UTC) - timedelta(seconds=10))
    job = job_of(Envelope(message_id, a_send(alice, f"message {sequence}", sequence), alice, None), past.now())
    dead = Deliveries("dead")
    Transactions(bench.engine, bench.bus, past, "dead").run(lambda work: dead.add(work, [job], 100, {job.lane}))


def test_a_row_of_a_killed_process_whose_call_arrived_is_found(bench: Bench, alice: str) -> None:
    claim_as_dead_process(bench, "m-1", alice)
    posted = bench.chat().send(Recipient(kind="person", id=alice), a_send(alice, "message 1", 1).content, "m-1")
    bench.start()
    eventually(lambda: bench.state("m-1") == "sent")
    assert bench.row("m-1").posted_as == posted.posted_as
    assert len(bench.slack.messages_to(alice)) == 1


def test_a_row_of_a_killed_process_whose_call_did_not_arrive_is_posted(bench: Bench, alice: str) -> None:
    claim_as_dead_process(bench, "m-1", alice)
    bench.start()
    eventually(lambda: bench.state("m-1") == "sent")
    assert bench.texts(alice) == ["message 1"]


def test_rows_of_a_killed_process_go_on_in_their_order(bench: Bench, alice: str) -> None:
    for sequence in (3, 1, 2):
        claim_as_dead_process(bench, f"m-{sequence}", alice, sequence)
    bench.start()
    bench.send(alice, "message 4", 4)
    eventually(lambda: len(bench.texts(alice)) == 4)
    assert bench.texts(alice) == [f"message {sequence}" for sequence in (1, 2, 3, 4)]


def test_a_live_process_keeps_its_rows_and_later_ones_wait_for_it(bench: Bench, alice: str) -> None:
    job = job_of(Envelope("m-1", a_send(alice, "message 1", 1), alice, None), bench.clock.now())
    other = Deliveries("other")
    bench.transactions().run(lambda work: other.add(work, [job], 100, {job.lane}))
    bench.start()
    bench.send(alice, "message 2", 2)
    bench.send(bench.slack.add_user("bob"), "to bob", 1)
    eventually(lambda: len(bench.slack.requests("chat.postMessage")) == 1)
    assert bench.texts(alice) == []
    bench.transactions().run(lambda work: other.release(work, [job]))
    eventually(lambda: len(bench.texts(alice)) == 2)
    assert bench.texts(alice) == ["message 1", "message 2"]


def test_whose_last_message_is_done_here_has_none_elsewhere(bench: Bench, alice: str) -> None:
    looks: list[str] = []

    def watch(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT DISTINCT chat_deliveries.recipient_id"):
            looks.append(statement)

    event.listen(bench.engine, "before_cursor_execute", watch)
    bench.start()
    for sequence in (1, 2, 4):  # of 3 nothing is known: some other process may be at it
        name = bench.send(alice, f"message {sequence}", sequence)
        eventually(lambda name=name: bench.row(name))  # type: ignore[misc]
        eventually(lambda: len(bench.texts(alice)) >= min(sequence, 2))  # noqa: B023
    assert len(looks) == 2, "for the first, and for the one after the gap"
    bench.send(alice, "message 3", 3)
    eventually(lambda: len(bench.texts(alice)) == 4)
    assert bench.texts(alice) == [f"message {sequence}" for sequence in (1, 2, 3, 4)]


def test_a_stopped_process_leaves_what_waits_to_the_next_at_once(bench: Bench, alice: str) -> None:
    bench.slack.fail_next("chat.postMessage", "429", retry_after=60)
    first = bench.start(instance="one")
    name = bench.send(alice, "was it you?")
    eventually(lambda: bench.slack.requests("chat.postMessage"))
    first.stop()
    bench.gateways.remove(first)
    assert bench.row(name).claimed_by is None
    bench.start(instance="two")
    eventually(lambda: bench.state(name) == "sent")
    assert len(bench.slack.messages_to(alice)) == 1
    assert bench.slack.requests("conversations.history") == []


def test_two_processes_share_the_work_and_show_each_message_once(bench: Bench) -> None:
    people = [bench.slack.add_user(f"person{number}") for number in range(10)]
    bench.start(instance="one")
    bench.start(instance="two")
    for sequence in (1, 2):
        bench.publish(*((f"{person}-{sequence}", a_send(person, f"{sequence}", sequence)) for person in people))
    eventually(lambda: all(len(bench.slack.messages_to(person)) == 2 for person in people), timeout=15)
    assert all(bench.texts(person) == ["1", "2"] for person in people)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        ({"deleted": True}, "user_disabled"),
        ({"is_bot": True}, "cannot_dm_bot"),
    ],
)
def test_who_cannot_be_reached_is_told_at_once(bench: Bench, alice: str, prepare: dict[str, bool], reason: str) -> None:
    bench.slack.change_user(alice, tell=False, **prepare)
    bench.start()
    name = bench.send(alice, "was it you?")
    [undeliverable] = eventually(lambda: bench.heard(ChatMessageUndeliverable))
    assert (undeliverable.target, undeliverable.reason) == (name, reason)
    assert (bench.state(name), bench.row(name).error) == ("failed", reason)


def test_a_report_waits_for_its_channel_and_holds_up_nobody(bench: Bench, alice: str) -> None:
    bench.slack.add_channel("C1", member=False)
    bench.start()
    bench.publish(*((name, a_send(name[:2], f"report {name}", 0, kind="channel")) for name in ("C1-1", "C1-2", "C2-1")))
    eventually(lambda: len(bench.slack.requests("chat.postMessage")) >= 3)
    bench.send(alice, "was it you?")
    eventually(lambda: bench.texts(alice))
    assert {bench.state(name) for name in ("C1-1", "C1-2", "C2-1")} == {"pending"}
    assert bench.heard(ChatMessageUndeliverable) == []
    bench.slack.workspace.channels["C1"].member = True
    bench.slack.add_channel("C2")
    eventually(lambda: len(bench.slack.messages_in("C1")) == 2 and bench.slack.messages_in("C2"))


@pytest.mark.parametrize("reason", ["restricted_action_read_only_channel", "is_archived"])
def test_what_an_operator_can_put_right_loses_no_report(bench: Bench, reason: str) -> None:
    bench.slack.add_channel("C1")
    bench.slack.fail_next("chat.postMessage", "refuse", error=reason)
    bench.start()
    bench.publish(("m-1", a_send("C1", "report", 0, kind="channel")))
    eventually(lambda: bench.state("m-1") == "sent")


@pytest.mark.parametrize("reason", ["invalid_blocks", "msg_blocks_too_long", "msg_too_long"])
def test_a_report_that_slack_does_not_take_is_shown_as_its_summary(bench: Bench, reason: str) -> None:
    bench.slack.add_channel("C1")
    bench.slack.fail_next("chat.postMessage", "refuse", error=reason)
    bench.start()
    parts = (Part(kind="heading", text="20 reports"), Part(kind="text", text="one after the other"))
    content = ChatContent(summary="20 reports", parts=parts)
    bench.publish(("m-1", a_send("C1", "", 0, kind="channel").model_copy(update={"content": content})))
    eventually(lambda: bench.state("m-1") == "sent")
    [message] = bench.slack.messages_in("C1")
    assert message["text"] == "20 reports"
    assert "one after the other" not in str(message["blocks"])


def test_a_summary_that_slack_does_not_take_is_told(bench: Bench) -> None:
    bench.slack.add_channel("C1")
    bench.slack.fail_next("chat.postMessage", "refuse", times=9, error="invalid_blocks")
    bench.start()
    bench.publish(("m-1", a_send("C1", "report", 0, kind="channel")))
    [undeliverable] = eventually(lambda: bench.heard(ChatMessageUndeliverable))
    assert undeliverable.recipient == Recipient(kind="channel", id="C1")
    assert undeliverable.reason == "invalid_blocks"
    assert len(bench.slack.requests("chat.postMessage")) == 1


def test_a_card_whose_message_was_given_up_and_is_shown_all_the_same_is_updated(bench: Bench, alice: str) -> None:
    claim_as_dead_process(bench, "m-1", alice)
    given_up = {"state": "failed", "error": "unavailable"}
    with bench.engine.begin() as connection:
        connection.execute(update(ChatDeliveryRow).where(ChatDeliveryRow.message_id == "m-1").values(given_up))
    bench.chat().send(Recipient(kind="person", id=alice), a_send(alice, "was it you?", 1).content, "m-1")
    bench.slack.fail_next("conversations.history", "429", retry_after=1)
    bench.start()
    for sequence, text in ((2, "you said yes"), (3, "it is over")):
        name = bench.update(alice, "m-1", text, sequence)
        eventually(lambda name=name: bench.state(name) == "sent")  # type: ignore[misc]
        assert bench.texts(alice) == [text]
    looked = bench.slack.requests("conversations.history")
    assert len(looked) == 2, "refused for a second, and then once for both"
    assert looked[1]["at"] - looked[0]["at"] >= 0.95


def test_a_token_that_is_refused_makes_no_message_undeliverable(bench: Bench, alice: str) -> None:
    gateway = bench.start()
    bench.slack.fail_next("chat.postMessage", "refuse", error="invalid_auth")
    name = bench.send(alice, "was it you?")
    eventually(lambda: bench.state(name) == "sent")
    bench.gateways.remove(gateway)
    gateway.stop()
    assert bench.heard(ChatMessageUndeliverable) == []


def test_a_message_from_the_quarantine_keeps_its_name_and_is_shown_once(bench: Bench, alice: str) -> None:
    bench.start()
    original = new_id()
    for _ in range(2):
        sent = codec.encode(a_send(alice, "was it you?", 1), message_id=new_id(), owner=None, correlation_id=None)
        bench.bus.publish([replace(sent, headers={**sent.headers, codec.ORIGINAL_ID_HEADER: original})])
    update = bench.update(alice, original, "you said yes", 2)
    eventually(lambda: bench.state(update) == "sent")
    assert bench.texts(alice) == ["you said yes"]
