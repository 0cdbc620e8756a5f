"""What each of Slack's answers, and each missing one, means for a call."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from common.messages import ChatContent, Part, Recipient
from services.chat_gateway.port import (
    ChatFailure,
    ChatRateLimited,
    ChatRefused,
    ChatUnavailable,
    ChatUncertain,
)
from services.chat_gateway.slack.adapter import SlackChat
from services.chat_gateway.slack.web import SlackWeb
from tests.fakes.slack import FakeSlack
from tests.fakes.slack.checks import check_blocks, check_message
from tests.fakes.slack.workspace import SlackRefuses
from tests.servers import free_port

POST = {"channel": "C1", "text": "hi"}


@pytest.fixture
def web(slack: FakeSlack) -> SlackWeb:
    slack.add_channel("C1")
    return SlackWeb(slack.bot_token, slack.api_url, 5.0)


def failure(web: SlackWeb, *, creates: bool = True) -> ChatFailure:
    with pytest.raises(ChatFailure) as caught:
        web.call("chat.postMessage", POST, creates=creates)
    return caught.value


@pytest.mark.parametrize("mode", ["lost", "lost_500", "500", "timeout", "closed"])
def test_without_a_good_answer_a_post_is_uncertain_and_anything_else_is_not(
    slack: FakeSlack, web: SlackWeb, mode: Any
) -> None:
    if mode == "timeout":
        web = SlackWeb(slack.bot_token, slack.api_url, 0.3)
    slack.fail_next("chat.postMessage", mode, times=2)
    assert isinstance(failure(web), ChatUncertain)
    assert isinstance(failure(web, creates=False), ChatUnavailable)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("channel_not_found", ChatRefused),
        ("invalid_blocks", ChatRefused),
        ("invalid_auth", ChatUnavailable),
        ("messages_tab_disabled", ChatUnavailable),
        ("team_access_not_granted", ChatUnavailable),
        ("service_unavailable", ChatUnavailable),
        ("external_channel_migrating", ChatUnavailable),
        ("internal_error", ChatUncertain),
        ("fatal_error", ChatUncertain),
        ("ratelimited", ChatRateLimited),
        ("Not A Code", ChatUncertain),
    ],
)
def test_slacks_error_codes_have_their_meaning(
    slack: FakeSlack, web: SlackWeb, code: str, kind: type[ChatFailure]
) -> None:
    slack.fail_next("chat.postMessage", "refuse", error=code)
    assert type(failure(web)) in (kind, *kind.__subclasses__())


@pytest.mark.parametrize(("said", "seconds"), [("7", 7), ("soon", 5), ("100000", 300), ("-1", 0)])
def test_retry_after_is_read_within_reason(slack: FakeSlack, web: SlackWeb, said: str, seconds: float) -> None:
    slack.fail_next("chat.postMessage", "429", retry_after=said)
    error = failure(web)
    assert isinstance(error, ChatRateLimited)
    assert error.retry_after == seconds


def test_where_nobody_listens_nothing_was_posted() -> None:
    assert isinstance(failure(SlackWeb("xoxb", f"http://127.0.0.1:{free_port()}/api/", 5.0)), ChatUnavailable)


def test_a_wrong_token_is_named_by_the_check(slack: FakeSlack) -> None:
    assert SlackChat(SlackWeb("xoxb-wrong", slack.api_url)).check() == "auth.test: invalid_auth"


def test_no_failure_shows_the_token(slack: FakeSlack) -> None:
    for mode in ("500", "closed", "429"):
        slack.fail_next("auth.test", mode)
        assert slack.bot_token not in repr(SlackChat(SlackWeb(slack.bot_token, slack.api_url)).check())


def test_a_message_of_every_part_is_taken_by_slack(slack: FakeSlack, alice: str) -> None:
    parts = (
        Part(kind="heading", text="Alert"),
        Part(kind="text", text="words"),
        Part(kind="quote", text="quoted"),
        Part(kind="code", text="sudo -i"),
        Part(kind="link", text="more", url="https://example.com"),
        Part(kind="facts", facts=(("Host", "db-7"),)),
    )
    chat = SlackChat(SlackWeb(slack.bot_token, slack.api_url))
    chat.send(Recipient(kind="person", id=alice), ChatContent(summary="s", parts=parts), "m-1")
    assert len(slack.messages_to(alice)[0]["blocks"]) == len(parts)


@pytest.mark.parametrize(
    "blocks",
    [
        {},
        [{"type": "unheard_of"}],
        [{"type": "divider"}] * 51,
        [{"type": "header"}],
        [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        [{"type": "header", "text": {"type": "plain_text", "text": "x"}, "more": 1}],
        [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": []}]}],
        [
            {
                "type": "rich_text",
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": ""}]}],
            }
        ],
        [{"type": "actions", "elements": [{"type": "button", "action_id": "a"}]}],
        [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}],
        [{"type": "section", "text": {"type": "plain_text", "text": "x" * 3000}}] * 5,
        [
            {
                "type": "actions",
                "elements": [
                    {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "x"}} for _ in range(2)
                ],
            }
        ],
    ],
)
def test_the_fake_refuses_blocks_that_slack_refuses(blocks: Any) -> None:
    with pytest.raises(SlackRefuses):
        check_blocks(blocks)


@pytest.mark.parametrize("message", [{}, {"text": ""}, {"text": "x" * 40_001}, {"text": "x", "metadata": {}}])
def test_the_fake_refuses_messages_that_slack_refuses(message: Any) -> None:
    with pytest.raises(SlackRefuses):
        check_message(message)


@pytest.fixture
def process() -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "tests.fakes.slack"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield json.loads(running.stdout.readline())
        running.terminate()


def test_the_fake_runs_as_a_process_with_the_same_helpers(process: dict[str, str]) -> None:
    def control(helper: str, /, **arguments: Any) -> Any:
        url = process["api_url"].replace("/api/", f"/_control/{helper}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(url, json.dumps(arguments).encode())) as answer:
            return json.load(answer)["result"]

    user = control("add_user", name="alice")
    chat = SlackChat(SlackWeb(process["bot_token"], process["api_url"]))
    chat.send(Recipient(kind="person", id=user), ChatContent(summary="hi"), "m-1")
    assert [message["text"] for message in control("messages_to", user_id=user)] == ["hi"]
    assert [call["message_id"] for call in control("requests", method="chat.postMessage")] == ["m-1"]


def test_a_directory_of_more_pages_than_a_minute_gives_goes_on_where_it_was(slack: FakeSlack) -> None:
    people = {slack.add_user(f"person{number}") for number in range(650)}
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)

    chat = SlackChat(SlackWeb(slack.bot_token, slack.api_url), wait=wait)
    read = chat.directory()
    known = [next(read) for _ in range(200)]
    slack.fail_next("users.list", "429", retry_after=30, times=2)
    known += read
    assert people <= {person.chat_id for person in known}
    assert len(known) == len({person.chat_id for person in known})
    assert waits == [30.0, 30.0]
    assert len(slack.requests("users.list")) == 4 + 2


def test_a_page_that_slack_puts_off_for_ever_is_given_up(slack: FakeSlack) -> None:
    for number in range(250):
        slack.add_user(f"person{number}")
    read = SlackChat(SlackWeb(slack.bot_token, slack.api_url), wait=lambda _: None).directory()
    for _ in range(200):
        next(read)
    slack.fail_next("users.list", "429", retry_after=30, times=100)
    with pytest.raises(ChatRateLimited):
        list(read)
    assert len(slack.requests("users.list")) == 1 + 11
