"""Order, updates and Slack's rate limits."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import insert

from common.ids import new_id
from common.messages import ChatContent, ChatMessageUndeliverable, Recipient
from common.records.tables import ChatDeliveryRow
from services.chat_gateway import lanes
from services.chat_gateway.handlers import IN_HAND_MOST
from services.chat_gateway.port import Posted
from services.chat_gateway.schedule import Schedule
from tests.integration.chat_gateway.conftest import Bench, a_send
from tests.waiting import eventually


def test_a_persons_messages_are_shown_in_their_order(bench: Bench, alice: str) -> None:
    bench.start()
    for sequence in (2, 3, 1):
        bench.send(alice, f"message {sequence}", sequence)
    eventually(lambda: len(bench.texts(alice)) == 3)
    assert bench.texts(alice) == ["message 1", "message 2", "message 3"]


def test_the_order_holds_after_a_restart(bench: Bench, alice: str) -> None:
    first = bench.start(instance="one")
    name = bench.send(alice, "message 1", 1)
    eventually(lambda: bench.state(name) == "sent")
    first.stop()
    bench.gateways.remove(first)
    bench.start(instance="two")
    bench.send(alice, "message 3", 3)
    bench.send(alice, "message 2", 2)
    eventually(lambda: len(bench.texts(alice)) == 3)
    assert bench.texts(alice) == ["message 1", "message 2", "message 3"]


def test_a_message_that_never_comes_holds_up_its_followers_for_a_while_only(
    bench: Bench, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "GAP_SECONDS", 2.0)
    bench.start()
    began = time.monotonic()
    bench.send(alice, "message 2", 2)
    eventually(lambda: bench.texts(alice) == ["message 2"])
    assert time.monotonic() - began >= 2


def test_a_message_goes_on_soon_after_another_gateway_has_sent_the_one_before(bench: Bench, alice: str) -> None:
    bench.start()
    bench.send(alice, "message 2", 2)
    time.sleep(1.5)
    assert bench.texts(alice) == []
    now = bench.clock.now()
    with bench.engine.begin() as connection:
        connection.execute(
            insert(ChatDeliveryRow).values(
                message_id=new_id(), kind="send", recipient_kind="person", recipient_id=alice, sequence=1, content={},
                notify=False, state="sent", created_at=now, completed_at=now,
            )
        )  # fmt: skip
    eventually(lambda: bench.texts(alice) == ["message 2"], timeout=10)  # the gap would run out after 20 s


def test_an_answered_prompt_is_updated_in_place(bench: Bench, alice: str) -> None:
    bench.start()
    name = bench.send(alice, "was it you?", 1)
    update = bench.update(alice, name, "you said yes", 2)
    eventually(lambda: bench.state(update) == "sent")
    assert bench.texts(alice) == ["you said yes"]
    assert bench.row(update).posted_as == bench.row(name).posted_as


def test_an_update_finds_a_message_that_another_process_sent(bench: Bench, alice: str) -> None:
    first = bench.start(instance="one")
    name = bench.send(alice, "was it you?", 1)
    eventually(lambda: bench.state(name) == "sent")
    first.stop()
    bench.gateways.remove(first)
    bench.start(instance="two")
    bench.update(alice, name, "you said yes", 2)
    eventually(lambda: bench.texts(alice) == ["you said yes"])


def test_updates_that_pile_up_are_folded_into_the_newest(bench: Bench, alice: str) -> None:
    bench.slack.fail_next("chat.postMessage", "429", retry_after=3)
    bench.start()
    name = bench.send(alice, "1 alert", 1)
    updates = [bench.update(alice, name, f"{number} alerts", number) for number in range(2, 30)]
    eventually(lambda: all(bench.state(update) == "sent" for update in updates))
    assert bench.texts(alice) == ["29 alerts"]
    assert len(bench.slack.requests("chat.update")) == 1


def test_an_update_of_a_message_that_failed_fails_too(bench: Bench, alice: str) -> None:
    bench.slack.fail_next("chat.postMessage", "refuse", error="restricted_action")
    bench.start()
    name = bench.send(alice, "was it you?", 1)
    update = bench.update(alice, name, "you said yes", 2)
    eventually(lambda: {told.target for told in bench.heard(ChatMessageUndeliverable)} == {name, update})
    assert bench.state(update) == "failed"


def test_an_update_of_a_message_that_never_comes_fails_after_a_while(bench: Bench, alice: str) -> None:
    bench.start()
    update = bench.update(alice, new_id(), "you said yes", 1)
    eventually(lambda: bench.state(update) == "failed", timeout=15)
    assert bench.row(update).error == "the message to update is not known"


def test_retry_after_is_honoured_for_everybody_and_nothing_is_lost(
    bench: Bench, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, blocked = Schedule.block, threading.Event()

    def noted(schedule: Schedule, method: str, seconds: float) -> None:
        block(schedule, method, seconds)
        blocked.set()

    monkeypatch.setattr(Schedule, "block", noted)
    bob = bench.slack.add_user("bob")
    bench.slack.fail_next("chat.postMessage", "429", retry_after=1)
    bench.start()
    bench.send(alice, "to alice", 1)
    assert blocked.wait(30)
    bench.send(bob, "to bob", 1)
    eventually(lambda: bench.texts(alice) and bench.texts(bob))
    refused, *later = [call["at"] for call in bench.slack.requests("chat.postMessage")]
    assert len(later) == 2
    assert min(later) - refused >= 0.95


def test_a_channel_gets_a_burst_and_then_no_more_than_a_message_a_second(bench: Bench) -> None:
    bench.slack.add_channel("C1")
    bench.start()
    began = time.time()
    bench.publish(*((new_id(), a_send("C1", f"report {number}", 0, kind="channel")) for number in range(4)))
    eventually(lambda: len(bench.slack.messages_in("C1")) == 4)
    third, fourth = [call["at"] - began for call in bench.slack.requests("chat.postMessage")][2:]
    assert third > 0.95
    assert fourth > 1.95


def test_a_slow_recipient_holds_up_nobody_else(bench: Bench, alice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = bench.slack.add_user("bob")
    chat = bench.chat()
    send, begun, go_on = chat.send, threading.Event(), threading.Event()

    def slowly(recipient: Recipient, content: ChatContent, message_id: str) -> Posted:
        if recipient.id == alice:
            begun.set()
            assert go_on.wait(60)
        return send(recipient, content, message_id)

    monkeypatch.setattr(chat, "send", slowly)
    bench.start(chat)
    bench.send(alice, "to alice", 1)
    assert begun.wait(30)
    bench.send(bob, "to bob", 1)
    eventually(lambda: bench.texts(bob))
    assert bench.texts(alice) == []
    go_on.set()
    eventually(lambda: bench.texts(alice))


@pytest.mark.parametrize("restarted", [False, True], ids=["as they come", "after a restart"])
def test_a_flooded_channel_holds_up_no_person(bench: Bench, alice: str, restarted: bool) -> None:
    channel = bench.slack.add_channel("C1")
    flood = [(new_id(), a_send(channel, f"report {n}", 0, kind="channel")) for n in range(IN_HAND_MOST + 100)]
    first = bench.start(instance="one")
    bench.publish(*flood)
    if restarted:
        eventually(lambda: bench.state(flood[-1][0]) == "pending", 30)
        bench.send(alice, "hello", 1)
        first.stop()
        bench.gateways.remove(first)
        bench.start(instance="two")
    else:
        bench.send(alice, "hello", 1)
    eventually(lambda: bench.texts(alice) == ["hello"], 15)
