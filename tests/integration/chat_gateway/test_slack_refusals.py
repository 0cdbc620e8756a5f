"""Which failures of Slack's leave hope, and how long what is unclear takes to settle."""

from __future__ import annotations

from typing import Any

import pytest

from services.chat_gateway.port import ChatContentRefused, ChatRefused, ChatUncertain, ChatUnreachable
from services.chat_gateway.slack.web import SlackWeb
from tests.fakes.slack import FakeSlack

POST = {"channel": "C1", "text": "hi"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("not_in_channel", ChatUnreachable),
        ("channel_not_found", ChatUnreachable),
        ("is_archived", ChatUnreachable),
        ("restricted_action", ChatUnreachable),
        ("restricted_action_thread_only_channel", ChatUnreachable),
        ("invalid_blocks", ChatContentRefused),
        ("invalid_blocks_format", ChatContentRefused),
        ("msg_blocks_too_long", ChatContentRefused),
        ("msg_too_long", ChatContentRefused),
        ("user_disabled", ChatRefused),
        ("cannot_dm_bot", ChatRefused),
    ],
)
def test_a_refusal_tells_whether_the_place_or_the_content_is_at_fault(
    slack: FakeSlack, code: str, kind: type[ChatRefused]
) -> None:
    slack.add_channel("C1")
    slack.fail_next("chat.postMessage", "refuse", error=code)
    with pytest.raises(ChatRefused) as raised:
        SlackWeb(slack.bot_token, slack.api_url, 5.0).call("chat.postMessage", POST, creates=True)
    assert (type(raised.value), raised.value.reason) == (kind, code)


@pytest.mark.parametrize("mode", ["timeout", "closed", "500", "lost", "lost_500"])
def test_an_unclear_post_takes_as_long_to_settle_as_a_call_may_last_however_its_answer_was_lost(
    slack: FakeSlack, mode: Any
) -> None:
    slack.add_channel("C1")
    slack.fail_next("chat.postMessage", mode)
    with pytest.raises(ChatUncertain) as raised:
        SlackWeb(slack.bot_token, slack.api_url, 1.5).call("chat.postMessage", POST, creates=True)
    assert raised.value.settles_in == 1.5
