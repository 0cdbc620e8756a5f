"""Slack at its worst: limits, errors, silence, lost answers, dropped sockets, repeats, disorder, people who left."""

from __future__ import annotations

import json
import time

import pytest

from tests.fakes.slack.server import Failure
from tests.faults.conftest import LONG, Broken, only_long
from tests.person import Person, visible
from tests.stack import CHANNEL
from tests.waiting import eventually


@pytest.mark.parametrize("mode", ["429", "500", "lost", "lost_500", "closed"] if LONG else ["429", "lost", "lost_500"])
def test_calls_that_fail_are_made_again_and_shown_once(place: Broken, mode: Failure) -> None:
    slack = place.stack.slack
    for method in ("chat.postMessage", "chat.update", "conversations.history", "conversations.open"):
        slack.fail_next(method, mode, times=3)
    place.send(14, f"slack {mode}")
    place.verify()


@only_long
def test_a_call_that_hangs_holds_up_nobody_else(place: Broken) -> None:
    place.stack.slack.fail_next("chat.postMessage", "timeout")
    first, second = (member.name for member in place.crowd.members[:2])
    place.send(1, "hangs", [first])
    began = time.monotonic()
    (other,) = place.send(1, "does not", [second])
    place.outcomes.wait(other["hash"], 10)
    assert time.monotonic() - began < 9
    place.verify()


def test_a_websocket_that_drops_refreshes_or_goes_deaf_loses_no_word(place: Broken) -> None:
    socket = place.stack.slack.socket
    for number, trouble in enumerate((socket.cut, socket.disconnect)):
        place.send(7, f"socket {number}")
        trouble()
    place.verify()


def test_envelopes_delivered_twice_and_out_of_order_count_once(place: Broken) -> None:
    socket = place.stack.slack.socket
    deliver = socket.deliver
    kept: list[tuple[str, str, dict[str, object]]] = []

    def twice_and_late(envelope_id: str, kind: str, payload: dict[str, object]) -> None:
        kept.append((envelope_id, kind, payload))
        if len(kept) % 3 == 0:
            for number, envelope in enumerate(reversed(kept[-3:])):
                deliver(f"{envelope[0]}-{number}", *envelope[1:])
                deliver(f"{envelope[0]}-{number}-again", *envelope[1:])
        else:
            deliver(envelope_id, kind, payload)

    socket.deliver = twice_and_late  # type: ignore[method-assign]
    try:
        place.send(21, "twice")
        place.settled()
    finally:
        socket.deliver = deliver  # type: ignore[method-assign]
    place.verify()


def test_a_person_who_left_and_one_whose_messages_cannot_be_opened_are_escalated(place: Broken) -> None:
    gone, shy = Person(place.stack), Person(place.stack)
    place.stack.slack.change_user(gone.id, deleted=True)
    place.stack.slack.fail_next("conversations.open", "refuse", error="cannot_dm_bot")
    (first,) = place.send(1, "shy", [shy.name])
    assert place.outcomes.wait(first["hash"])["resolution"] == "unreachable"
    (second,) = place.send(1, "gone", [gone.name])
    assert place.outcomes.wait(second["hash"])["resolution"] in ("unreachable", "unknown_owner")
    place.verify()


def test_a_reporting_channel_that_is_not_there_is_not_silent_and_loses_no_report(place: Broken) -> None:
    channel = place.stack.slack.workspace.channels.pop(CHANNEL)

    def told() -> list[dict[str, object]]:
        lines = [json.loads(line) for line in dict(place.stack.logs())["chat-gateway"].splitlines() if line[0] == "{"]
        return [line for line in lines if line["event"] == "report_undeliverable"]

    try:
        place.send(2, "reported later", [m.name for m in place.crowd.members if m.habit == "denies"])
        line = eventually(told, timeout=60)[-1]
        assert (line["level"], line["channel"], line["reason"]) == ("error", CHANNEL, "channel_not_found")
        assert line["again_in"]
    finally:
        place.stack.slack.workspace.channels[CHANNEL] = channel
    place.verify()
    eventually(lambda: any("reported later" in visible(m) for m in place.stack.slack.messages_in(CHANNEL)))
