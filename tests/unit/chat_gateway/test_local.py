"""The local chat."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from common import codec
from common.bus.port import Delivery
from common.local_chat import local_reply
from common.messages import ChatContent, Recipient, ReplyReceived
from common.plugins import load_plugin
from common.settings import Settings
from services.chat_gateway.local import LocalChat
from services.chat_gateway.port import Posted
from services.chat_gateway.slack.adapter import SlackChat

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("handle", ["alice", "Alice", " alice@example.com ", "ALICE@other.example"])
def test_a_user_name_and_its_addresses_are_one_person(handle: str) -> None:
    person = LocalChat().look_up(handle)
    assert person is not None
    assert (person.chat_id, person.username, person.active) == ("alice", "alice", True)


def test_the_address_is_kept() -> None:
    person = LocalChat().look_up("Alice@Example.com")
    assert person is not None
    assert person.email == "alice@example.com"


@pytest.mark.parametrize("handle", ["", "two words", "@example.com", "a@b@c", "<script>", "x" * 100])
def test_what_looks_like_no_name_is_nobody(handle: str) -> None:
    assert LocalChat().look_up(handle) is None


def test_every_call_works_at_once() -> None:
    chat, recipient = LocalChat(), Recipient(kind="person", id="alice")
    content = ChatContent(summary="hi")
    posted = chat.send(recipient, content, "m-1")
    chat.update(posted.channel, posted.posted_as, content, "m-1")
    assert chat.find(recipient, "m-1", NOW) == posted == Posted("alice", "m-1")
    assert chat.check() is None


def test_what_is_said_in_it_is_a_reply_of_that_person() -> None:
    publication = local_reply("alice", NOW, action="yes", subject="q-1", text="my job")
    delivery = Delivery(
        "q", publication.exchange, publication.routing_key, publication.body, publication.message_id,
        publication.type, None, publication.headers, "application/json", redelivered=False, tag=0,
    )  # fmt: skip
    envelope = codec.decode(delivery)
    assert envelope.message == ReplyReceived(
        person_id="alice", action="yes", subject="q-1", text="my job", received_at=NOW
    )
    assert envelope.owner == "alice"
    assert local_reply("alice", NOW).message_id != local_reply("alice", NOW).message_id


def test_both_chats_are_found_by_name() -> None:
    slack = Settings(chat="slack", slack_bot_token="xoxb-1", slack_app_token="xapp-1")
    for settings, kind in ((Settings(), LocalChat), (slack, SlackChat)):
        chat = load_plugin("securitybot.chat", settings.chat, "SECURITYBOT_CHAT")(settings)
        assert isinstance(chat, kind)
