"""Words and clicks over HTTP: signed, fresh, answered with 200 only once they are safe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette

from common.http import HttpServer
from services.chat_gateway.port import Attempt
from services.chat_gateway.slack.adapter import SlackChat
from services.chat_gateway.slack.http_events import MOST_BYTES
from services.chat_gateway.slack.web import SlackWeb
from tests.fakes.clock import FakeClock
from tests.fakes.slack import FakeSlack
from tests.integration.chat_gateway.conftest import RememberingIntake
from tests.servers import free_port
from tests.waiting import eventually

MESSAGE = {
    "type": "event_callback",
    "event_id": "Ev1",
    "event": {"type": "message", "channel_type": "im", "user": "U1", "text": "yes", "ts": "1772539000.000100"},
}
CLICK = {
    "type": "block_actions",
    "user": {"id": "U1"},
    "channel": {"id": "D1"},
    "message": {"bot_id": "B0BOT0001"},
    "trigger_id": "1.2",
    "actions": [{"type": "button", "action_id": "no", "value": "q-1"}],
}


class Http:
    """The routes alone, on a server."""

    def __init__(self, slack: FakeSlack) -> None:
        self.slack = slack
        self.clock = FakeClock()
        self.intake = RememberingIntake()
        web = SlackWeb(slack.bot_token, slack.api_url, 5.0)
        chat = SlackChat(web, None, slack.signing_secret, self.clock)
        port = free_port()
        self.server = HttpServer(Starlette(routes=list(chat.routes(self.intake))), "127.0.0.1", port)
        self.server.start()
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, trust_env=False)

    def close(self) -> None:
        self.client.close()
        self.server.stop()

    def post(self, path: str, body: str, headers: dict[str, str] | None = None) -> int:
        signed = self.slack.poster.signed(body, self.clock.now().timestamp()) if headers is None else headers
        raw = [(name.encode(), value.encode("latin-1")) for name, value in signed.items()]
        return self.client.post(path, content=body, headers=raw).status_code


@pytest.fixture
def http(slack: FakeSlack) -> Iterator[Http]:
    http = Http(slack)
    yield http
    http.close()


def test_a_signed_message_is_taken(http: Http) -> None:
    assert http.post("/slack/events", json.dumps(MESSAGE)) == 200
    assert [reply.message.text for reply in http.intake.taken] == ["yes"]


def test_a_signed_click_is_taken(http: Http) -> None:
    assert http.post("/slack/interactivity", urlencode({"payload": json.dumps(CLICK)})) == 200
    [reply] = http.intake.taken
    assert (reply.message.person_id, reply.message.action, reply.message.subject) == ("U1", "no", "q-1")


def test_slack_can_verify_the_address(http: Http) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "abc"})
    headers = http.slack.poster.signed(body, http.clock.now().timestamp())
    answer = http.client.post("/slack/events", content=body, headers=headers)
    assert answer.json() == {"challenge": "abc"}


def test_a_request_without_slacks_signature_is_refused(http: Http) -> None:
    body = json.dumps(MESSAGE)
    good = http.slack.poster.signed(body, http.clock.now().timestamp())
    for headers in (
        {},
        good | {"X-Slack-Signature": "v0=" + "0" * 64},
        good | {"X-Slack-Signature": "v0=\u00fc"},
        good | {"X-Slack-Request-Timestamp": "now"},
        http.slack.poster.signed("another body", http.clock.now().timestamp()),
    ):
        assert http.post("/slack/events", body, headers) == 401
        assert http.post("/slack/interactivity", body, headers) == 401
    assert http.intake.taken == []


def test_refused_requests_are_kept_once_a_minute_with_their_number(http: Http) -> None:
    reason = "not signed by Slack, or too old"
    for _ in range(3):
        http.post("/slack/events", json.dumps(MESSAGE), {})
    assert http.intake.refused == [Attempt(reason, times=1)]
    http.clock.advance(timedelta(minutes=1))
    http.post("/slack/events", json.dumps(MESSAGE), {})
    assert http.intake.refused == [Attempt(reason, times=1), Attempt(reason, times=3)]


def test_a_request_is_refused_whether_or_not_that_can_be_kept(http: Http) -> None:
    http.intake.away = True
    assert http.post("/slack/events", json.dumps(MESSAGE), {}) == 401


@pytest.mark.parametrize(("minutes", "status"), [(4, 200), (6, 401), (-6, 401)])
def test_a_recorded_request_is_refused_after_five_minutes(http: Http, minutes: int, status: int) -> None:
    body = json.dumps(MESSAGE)
    headers = http.slack.poster.signed(body, http.clock.now().timestamp())
    http.clock.advance(timedelta(minutes=minutes))
    assert http.post("/slack/events", body, headers) == status


def test_a_request_that_is_replayed_within_them_has_the_same_id(http: Http) -> None:
    for _ in range(2):
        assert http.post("/slack/events", json.dumps(MESSAGE)) == 200
    assert len({reply.id for reply in http.intake.taken}) == 1


@pytest.mark.parametrize("body", ["", "[]", "null", "{", "[" * 5_000])
def test_what_is_not_understood_is_refused(http: Http, body: str) -> None:
    assert http.post("/slack/events", body) == 400


@pytest.mark.parametrize("body", ["", "payload", "other=1", "&".join(["payload=1"] * 20)])
def test_a_form_that_is_not_understood_is_refused(http: Http, body: str) -> None:
    assert http.post("/slack/interactivity", body) == 400


def test_a_request_longer_than_slacks_is_refused(http: Http) -> None:
    assert http.post("/slack/events", "x" * (MOST_BYTES + 1)) == 401


def test_while_the_broker_is_away_slack_is_told_to_try_again(http: Http) -> None:
    http.intake.away = True
    assert http.post("/slack/events", json.dumps(MESSAGE)) == 503


def test_slack_tries_again_and_the_words_arrive_once_the_broker_is_back(http: Http, alice: str) -> None:
    http.clock.advance(datetime.now(UTC) - http.clock.now())
    http.slack.poster.url = http.url
    http.intake.away = True
    http.slack.say(alice, "yes")
    eventually(lambda: http.slack.poster.statuses)
    http.intake.away = False
    eventually(lambda: 200 in http.slack.poster.statuses)
    assert [reply.message.text for reply in http.intake.taken] == ["yes"]


def test_with_a_signing_secret_there_is_no_socket(slack: FakeSlack) -> None:
    chat = SlackChat(SlackWeb(slack.bot_token, slack.api_url), slack.app_token, slack.signing_secret)
    assert list(chat.listen(RememberingIntake())) == []


def test_without_a_signing_secret_there_are_no_routes(slack: FakeSlack) -> None:
    chat = SlackChat(SlackWeb(slack.bot_token, slack.api_url), slack.app_token)
    assert list(chat.routes(RememberingIntake())) == []
