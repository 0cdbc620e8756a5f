"""What Slack says that must not be trusted or remembered: foreigners, channels that move, answers that are none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from common.messages import ChatContent, Recipient
from services.chat_gateway.port import ChatFailure, ChatRefused, ChatUnavailable, ChatUncertain
from services.chat_gateway.slack.adapter import SlackChat
from services.chat_gateway.slack.web import SlackWeb
from tests.fakes.slack import FakeSlack
from tests.integration.chat_gateway.conftest import GARBLED, Bench
from tests.integration.chat_gateway.test_directory import looked_up
from tests.waiting import eventually

OTHER = "T0OTHER01"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
HI = ChatContent(summary="hi")


@pytest.fixture
def chat(slack: FakeSlack) -> SlackChat:
    return SlackChat(SlackWeb(slack.bot_token, slack.api_url, 5.0))


# --- people of other organisations ------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_stranger", [True, False])
def test_who_is_here_through_a_shared_channel_is_never_asked(bench: Bench, is_stranger: bool) -> None:
    guest = bench.slack.add_user("guest", "guest@other.example", team_id=OTHER, is_stranger=is_stranger)
    bench.start()
    assert guest not in bench.people(), "Slack lists only the workspace's own people"
    assert looked_up(bench, guest) is None
    assert looked_up(bench, "guest@other.example") is None


def test_who_is_of_the_same_enterprise_grid_is_found(bench: Bench) -> None:
    bench.slack.workspace.enterprise_id = "E1"
    sibling = bench.slack.add_user("sibling", team_id=OTHER, enterprise_id="E1")
    partner = bench.slack.add_user("partner", team_id="T0OTHER02", enterprise_id="E2")
    bench.start()
    assert looked_up(bench, sibling) == sibling
    assert looked_up(bench, partner) is None


def test_a_change_of_somebody_of_another_organisation_makes_nobody_active(bench: Bench) -> None:
    bench.start(bench.chat(app_token=bench.slack.app_token))
    guest = bench.slack.add_user("guest", team_id=OTHER)
    bench.slack.change_user(guest, real_name="Another Name")
    eventually(lambda: guest in bench.people())
    assert bench.people()[guest].active is False


# --- channels that have moved -----------------------------------------------------------------------------------------


def test_direct_messages_that_have_moved_are_opened_again(slack: FakeSlack, chat: SlackChat, alice: str) -> None:
    to_alice = Recipient(kind="person", id=alice)
    chat.send(to_alice, HI, "m-1")
    slack.workspace.move_direct(alice)
    posted = chat.send(to_alice, HI, "m-2")
    assert len(slack.messages_to(alice)) == 2
    slack.workspace.move_direct(alice)
    found = chat.find(to_alice, "m-2", LONG_AGO)
    assert found is not None
    assert found.posted_as == posted.posted_as
    assert found.channel != posted.channel
    assert len(slack.requests("conversations.open")) == 3


def test_a_channel_that_is_not_there_when_opened_anew_is_refused(slack: FakeSlack, chat: SlackChat, alice: str) -> None:
    to_alice = Recipient(kind="person", id=alice)
    chat.send(to_alice, HI, "m-1")
    slack.fail_next("chat.postMessage", "refuse", times=3, error="channel_not_found")
    with pytest.raises(ChatRefused, match="channel_not_found"):
        chat.send(to_alice, HI, "m-2")
    assert len(slack.requests("chat.postMessage")) == 1 + 2


def test_who_has_left_is_refused_after_one_more_look(slack: FakeSlack, chat: SlackChat, alice: str) -> None:
    to_alice = Recipient(kind="person", id=alice)
    chat.send(to_alice, HI, "m-1")
    slack.change_user(alice, tell=False, deleted=True)
    with pytest.raises(ChatRefused, match="user_disabled"):
        chat.send(to_alice, HI, "m-2")
    assert len(slack.requests("conversations.open")) == 2


def test_a_channel_by_its_id_is_tried_once(slack: FakeSlack, chat: SlackChat) -> None:
    with pytest.raises(ChatRefused, match="channel_not_found"):
        chat.send(Recipient(kind="channel", id="C404"), HI, "m-1")
    assert len(slack.requests("chat.postMessage")) == 1
    assert slack.requests("conversations.open") == []


# --- answers that are none --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", GARBLED)
def test_after_a_garbled_answer_a_post_is_uncertain_and_anything_else_is_not(
    slack: FakeSlack, answer: dict[str, Any]
) -> None:
    slack.add_channel("C1")
    web = SlackWeb(slack.bot_token, slack.api_url, 5.0)
    slack.fail_next("chat.postMessage", "garbled", times=2, **answer)
    for creates, kind in ((True, ChatUncertain), (False, ChatUnavailable)):
        with pytest.raises(ChatFailure) as caught:
            web.call("chat.postMessage", {"channel": "C1", "text": "hi"}, creates=creates)
        assert type(caught.value) is kind
    assert len(slack.messages_in("C1")) == 2


@pytest.mark.parametrize("answer", GARBLED)
def test_a_directory_that_is_garbled_is_read_again(bench: Bench, alice: str, answer: dict[str, Any]) -> None:
    bench.slack.fail_next("users.list", "garbled", **answer)
    bench.start()
    assert alice in bench.people()


@pytest.mark.parametrize("answer", GARBLED)
def test_the_check_of_the_socket_survives_a_garbled_answer(slack: FakeSlack, answer: dict[str, Any]) -> None:
    slack.fail_next("apps.connections.open", "garbled", **answer)
    told = SlackChat(SlackWeb(slack.bot_token, slack.api_url, 5.0), slack.app_token).inspect()["socket"]
    assert told is not None
    assert told.startswith("apps.connections.open: ")


def test_the_check_of_the_socket_says_what_to_do_about_a_wrong_app_token(slack: FakeSlack) -> None:
    told = SlackChat(SlackWeb(slack.bot_token, slack.api_url, 5.0), "xapp-wrong").inspect()["socket"]
    assert told is not None
    assert "(invalid_auth)" in told
    assert "connections:write" in told
