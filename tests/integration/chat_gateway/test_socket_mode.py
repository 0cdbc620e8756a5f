"""Words and clicks over Socket Mode: only people's own, published before they are acknowledged, once each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from common.clock import SystemClock
from common.messages import Button, ChatContent, Recipient, ReplyReceived, SendChatMessage
from common.retry import Backoff
from services.chat_gateway.slack.adapter import SlackChat
from services.chat_gateway.slack.inbound import Inbound
from services.chat_gateway.slack.socket_mode import SocketMode
from services.chat_gateway.slack.web import SlackWeb
from tests.fakes.slack import FakeSlack
from tests.integration.chat_gateway.conftest import GARBLED, Bench, RememberingIntake
from tests.waiting import eventually

QUESTION = ChatContent(
    summary="was it you?", buttons=(Button(action="yes", label="Yes"),), comment_label="Why?", subject="q-1"
)


class Listener:
    """The listener alone, on a thread."""

    def __init__(self, slack: FakeSlack) -> None:
        self.intake = RememberingIntake()
        web = SlackWeb(slack.bot_token, slack.api_url, 5.0)
        chat = SlackChat(web, slack.app_token)
        inbound = Inbound(chat.own, self.intake, SystemClock())
        self.socket = SocketMode(slack.app_token, web, inbound, silence=4.5, backoff=Backoff(first=0.1, longest=0.2))
        self._thread = threading.Thread(target=self.socket.run, daemon=True)
        self._thread.start()

    def said(self) -> list[str]:
        """Return the words in the order of their arrival, those of one event once."""
        return list({reply.id: reply.message.text for reply in self.intake.taken}.values())

    def stop(self) -> None:
        self.socket.stop()
        self._thread.join(9)
        assert not self._thread.is_alive()


@pytest.fixture
def listener(slack: FakeSlack) -> Iterator[Listener]:
    listener = Listener(slack)
    eventually(lambda: listener.socket.connected() and slack.socket.connections())
    yield listener
    listener.stop()


def test_a_persons_words_become_a_reply_on_the_bus(bench: Bench, alice: str) -> None:
    bench.start(bench.chat(app_token=bench.slack.app_token))
    bench.slack.say(alice, "yes &amp; no")
    [reply] = eventually(lambda: bench.heard(ReplyReceived))
    assert (reply.person_id, reply.text, reply.action) == (alice, "yes & no", None)
    eventually(lambda: not bench.slack.socket.unacknowledged())


def test_a_click_becomes_a_reply_with_the_comment(bench: Bench, alice: str) -> None:
    bench.start(bench.chat(app_token=bench.slack.app_token))
    recipient = Recipient(kind="person", id=alice)
    bench.publish(("m-1", SendChatMessage(recipient=recipient, sequence=1, content=QUESTION)))
    [message] = eventually(lambda: bench.slack.messages_to(alice))
    bench.slack.click(alice, message["ts"], "yes", "deploying")
    [reply] = eventually(lambda: bench.heard(ReplyReceived))
    assert (reply.person_id, reply.action, reply.subject, reply.text) == (alice, "yes", "q-1", "deploying")


def test_words_keep_their_order(slack: FakeSlack, listener: Listener, alice: str) -> None:
    for number in range(40):
        slack.say(alice, f"{number}")
    eventually(lambda: len(listener.said()) == 40)
    assert listener.said() == [f"{number}" for number in range(40)]


@pytest.mark.parametrize(
    "fields",
    [
        {"bot_id": "B9", "app_id": "A9"},
        {"subtype": "message_changed"},
        {"channel_type": "channel", "channel": "C1"},
        {"user": "U0BOT0001"},
    ],
)
def test_bots_edits_and_other_channels_are_acknowledged_and_ignored(
    slack: FakeSlack, listener: Listener, alice: str, fields: dict[str, Any]
) -> None:
    slack.say(alice, "yes", **fields)
    slack.say(alice, "the end")
    eventually(lambda: len(slack.socket.acknowledged) == 2)
    assert listener.said() == ["the end"]


def test_a_click_outside_direct_messages_is_ignored(slack: FakeSlack, listener: Listener, alice: str) -> None:
    slack.add_channel("C1")
    posted = SlackChat(SlackWeb(slack.bot_token, slack.api_url)).send(
        Recipient(kind="channel", id="C1"), QUESTION, "m-1"
    )
    slack.click(alice, posted.posted_as, "yes", channel_id="C1")
    eventually(lambda: len(slack.socket.acknowledged) == 1)
    assert listener.intake.taken == []


def test_nothing_is_acknowledged_before_it_is_safe(slack: FakeSlack, listener: Listener, alice: str) -> None:
    acknowledged: list[int] = []
    listener.intake.before = lambda: acknowledged.append(len(slack.socket.acknowledged))
    slack.say(alice, "yes")
    eventually(lambda: slack.socket.acknowledged)
    assert acknowledged[0] == 0


def test_while_the_broker_is_away_slack_keeps_the_words(slack: FakeSlack, listener: Listener, alice: str) -> None:
    listener.intake.away = True
    slack.say(alice, "yes")
    threading.Event().wait(0.5)
    assert slack.socket.acknowledged == []
    listener.intake.away = False
    eventually(lambda: slack.socket.acknowledged)
    assert listener.said() == ["yes"]


def test_words_that_come_twice_have_one_id(slack: FakeSlack, listener: Listener, alice: str) -> None:
    taken = threading.Event()
    listener.intake.before = lambda: taken.is_set() or taken.wait(2)
    slack.say(alice, "yes")
    eventually(lambda: len(listener.intake.taken) >= 2)
    taken.set()
    assert len({reply.id for reply in listener.intake.taken}) == 1


def test_who_we_are_not_knowing_nothing_is_taken(slack: FakeSlack, listener: Listener, alice: str) -> None:
    slack.fail_next("auth.test", "500", times=2)
    slack.say(alice, "yes")
    eventually(lambda: listener.said() == ["yes"])
    assert len(slack.requests("auth.test")) == 3


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
def test_a_socket_that_slack_wants_renewed_is_renewed(
    slack: FakeSlack, listener: Listener, alice: str, reason: str
) -> None:
    slack.socket.disconnect(reason)
    eventually(lambda: slack.socket.connections_made == 2)
    slack.say(alice, "yes")
    eventually(lambda: listener.said() == ["yes"])


def test_a_socket_that_is_cut_is_opened_again(slack: FakeSlack, listener: Listener, alice: str) -> None:
    slack.socket.cut()
    slack.say(alice, "yes")
    eventually(lambda: listener.said() == ["yes"], timeout=20)


def test_a_socket_that_is_open_and_deaf_is_left(slack: FakeSlack, alice: str) -> None:
    slack.socket.mute_next = True
    listener = Listener(slack)
    try:
        eventually(lambda: slack.socket.connections_made == 1)
        slack.say(alice, "yes")
        eventually(lambda: listener.said() == ["yes"], timeout=20)
        assert listener.socket.connected()
    finally:
        listener.stop()


def test_what_comes_while_slack_gives_no_new_socket_is_taken_from_the_old_one(
    slack: FakeSlack, listener: Listener, alice: str
) -> None:
    slack.fail_next("apps.connections.open", "429", retry_after=120, times=100)
    slack.socket.disconnect("warning")
    eventually(lambda: len(slack.requests("apps.connections.open")) == 2)
    slack.say(alice, "yes")
    eventually(lambda: slack.socket.acknowledged)
    assert listener.said() == ["yes"]
    assert slack.socket.connections_made == 1


def test_slack_is_asked_for_a_socket_no_earlier_than_it_says(slack: FakeSlack) -> None:
    slack.fail_next("apps.connections.open", "429", retry_after=2)
    listener = Listener(slack)
    try:
        eventually(listener.socket.connected)
        first, second = slack.requests("apps.connections.open")
        assert second["at"] - first["at"] >= 1.9
    finally:
        listener.stop()


@pytest.mark.parametrize("answer", GARBLED)
def test_garbled_answers_are_waited_out(slack: FakeSlack, alice: str, answer: dict[str, Any]) -> None:
    for method in ("apps.connections.open", "auth.test"):
        slack.fail_next(method, "garbled", **answer)
    listener = Listener(slack)
    try:
        eventually(listener.socket.connected)
        slack.say(alice, "yes")
        eventually(lambda: listener.said() == ["yes"])
    finally:
        listener.stop()


def test_slack_being_away_at_start_is_waited_for(slack: FakeSlack, alice: str) -> None:
    slack.fail_next("apps.connections.open", "500", times=2)
    listener = Listener(slack)
    try:
        eventually(listener.socket.connected)
        slack.say(alice, "yes")
        eventually(lambda: listener.said() == ["yes"])
    finally:
        listener.stop()
