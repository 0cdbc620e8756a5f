"""One test for each defect of dropbox/securitybot that we must not have inherited, in the order of the list.

Where the defect is of one service alone, its real code stands here with the fakes of its own tests.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event
from starlette.applications import Starlette
from starlette.types import ASGIApp

from common import api_tokens
from common.api_tokens import Scope, TokenCheck
from common.bus.embedded import KombuBus
from common.bus.port import Publication
from common.http import create_app
from common.messages import AuthResult, ReplyReceived
from common.records import triage
from common.records.tables import AlertRow, BlacklistRow, HistoryRow, IgnoredRow, QuarantineRow
from common.service import Runtime
from common.settings import SHIPPED_CONFIG, Settings, load_settings
from common.topology import ALERTS
from common.transactions import Transactions
from services.auth_poller import requests
from services.auth_poller.duo_results import interpret_preauth, interpret_status
from services.auth_poller.port import AuthTemporary, Settled, Started, State
from services.chat_gateway.slack.blocks import render
from services.chat_gateway.slack.translate import Ignored, Own, click
from services.chat_gateway.slack.translate import event as slack_event
from services.console import wiring as console
from services.console.web import Page
from services.dispatcher.policies import WorkingHours
from services.ingest.http import AlertsApi
from tests.fakes.slack import FakeSlack
from tests.flow.conftest import both
from tests.flow.town import ALICE, BOB, Town
from tests.integration.auth_poller.conftest import Bench as PollerBench
from tests.integration.auth_poller.conftest import FakeAuthenticator, a_request, a_start
from tests.integration.chat_gateway.conftest import Bench as ChatBench
from tests.waiting import eventually

NO_PROOF = [result for result in AuthResult if result is not AuthResult.APPROVED]


# --- fail-open 2FA --------------------------------------------------------------------------------------------------


def duo_preauth(**answer: Any) -> Settled:
    """What Duo's preauth settles by itself."""
    settled = interpret_preauth(answer)
    assert isinstance(settled, Settled)
    return settled


def answered_with(town: Town, settled: Settled) -> Any:
    """Let alice say yes and take the push, the second factor settle it, and return the alert's row."""
    digest = town.alert()
    town.clicks(ALICE, "yes")
    town.clicks(ALICE, "push")
    town.phones.answer(settled.result, settled.detail)
    return town.row(digest)


def test_a_missing_push_device_does_not_count_as_proof(town: Town) -> None:
    settled = duo_preauth(result="auth", devices=[{"capabilities": ["sms", "phone"]}])
    row = answered_with(town, settled)
    assert (row.resolution, row.authenticated, row.status) == ("proof_unavailable", False, "verifying")
    assert len(town.reports()) == 1


@pytest.mark.parametrize(
    ("answer", "resolution"),
    [("allow", "confirmed_unproved"), ("enroll", "confirmed_unproved"), ("deny", "proof_unavailable")],
)
def test_a_preauth_that_lets_through_or_refuses_does_not_count_as_proof(
    town: Town, answer: str, resolution: str
) -> None:
    row = answered_with(town, duo_preauth(result=answer))
    assert (row.resolution, row.status) == (resolution, "verifying")
    assert row.authenticated is not True
    assert len(town.reports()) == 1


def test_a_bypass_does_not_count_as_proof(town: Town) -> None:
    settled = interpret_status({"result": "allow", "status": "bypass", "success": True})
    assert settled is not None
    row = answered_with(town, settled)
    assert (row.resolution, row.authenticated, row.status) == ("confirmed_unproved", False, "verifying")


# --- suppression before proof -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", NO_PROOF)
def test_a_push_that_was_not_approved_mutes_nothing(town: Town, result: AuthResult) -> None:
    town.alert()
    town.clicks(ALICE, "yes")
    for _ in range(3):
        if town.phones.pushes and not any(m.content.buttons for m in town.chat.to(ALICE)):
            break
        town.clicks(ALICE, "push")
        town.phones.answer(result)
    assert town.rows(IgnoredRow) == []
    assert town.row(town.alert()).status == "in_progress"


def test_a_refused_push_mutes_nothing(town: Town) -> None:
    town.alert()
    town.clicks(ALICE, "yes")
    town.clicks(ALICE, "no_push")
    assert town.rows(IgnoredRow) == []
    assert town.row(town.alert()).status == "in_progress"


def test_a_hijacked_chat_that_says_yes_and_never_takes_the_push_mutes_nothing(town: Town) -> None:
    first = town.alert()
    town.clicks(ALICE, "yes")
    town.pass_time(timedelta(minutes=15))
    assert town.row(first).resolution == "proof_timeout"
    assert town.row(town.alert()).status == "in_progress"
    assert len(town.reports()) == 1


# --- silent escalation ------------------------------------------------------------------------------------------------


def test_a_time_out_is_told_to_the_channel(town: Town) -> None:
    town.alert()
    town.pass_time(timedelta(hours=2))
    assert town.reports() == ["Alice (alice): no response: sudo on db-7 (1)"]
    assert "the security team will look at" in town.told(ALICE)[-1]


def test_a_refused_push_is_told_to_the_channel(town: Town) -> None:
    town.alert()
    town.clicks(ALICE, "yes")
    town.clicks(ALICE, "no_push")
    assert town.reports() == ["Alice (alice): proof refused: sudo on db-7 (1)"]


@pytest.mark.parametrize(
    ("result", "reported"),
    [(AuthResult.DENIED, "proof denied"), (AuthResult.UNAVAILABLE, "proof unavailable")],
)
def test_a_failed_proof_is_told_to_the_channel(town: Town, result: AuthResult, reported: str) -> None:
    town.alert()
    town.clicks(ALICE, "yes")
    town.clicks(ALICE, "push")
    town.phones.answer(result)
    assert town.reports() == [f"Alice (alice): {reported}: sudo on db-7 (1)"]


def test_an_unknown_user_is_told_to_the_channel(town: Town) -> None:
    town.alert(owner="who-is-that")
    assert town.reports() == ["who-is-that: unknown owner: sudo on db-7 (1)"]


def test_alerts_of_who_has_opted_out_are_told_to_the_channel(town: Town) -> None:
    town.says(ALICE, "stop")
    town.says(ALICE, "yes")
    town.phones.answer(AuthResult.APPROVED)
    town.alert()
    assert town.reports()[-1] == "Alice (alice): blacklisted: sudo on db-7 (1)"


# --- stop and ignore without proof ------------------------------------------------------------------------------------


def test_stop_needs_a_push_and_is_reported(town: Town) -> None:
    town.says(ALICE, "stop")
    assert town.rows(BlacklistRow) == []
    assert town.row(town.alert()).status == "in_progress"
    town.clicks(ALICE, "push")
    assert town.rows(BlacklistRow) == []
    town.phones.answer(AuthResult.APPROVED)
    (row,) = town.rows(BlacklistRow)
    assert row.until == town.clock.now() + timedelta(days=30), "it ends by itself"
    assert town.reports() == ["Alice (alice) asked not to be asked until 2026-04-02 12:00 UTC (proved with a push)."]


def test_ignore_needs_a_push_is_reported_and_leaves_the_pending_alert_alone(town: Town) -> None:
    digest = town.alert()
    town.says(ALICE, "ignore current 1h")
    assert town.rows(IgnoredRow) == []
    town.says(ALICE, "yes")
    town.phones.answer(AuthResult.APPROVED)
    assert len(town.rows(IgnoredRow)) == 1
    assert "asked not to be asked about “sudo on db-7”" in town.reports()[0]
    assert town.row(digest).resolution is None, "the pending alert still wants its answer"
    town.pass_time(timedelta(hours=2))
    assert town.row(digest).resolution == "no_response"


def test_a_push_approved_earlier_is_no_proof_for_stop(town: Town) -> None:
    town.alert()
    town.confirms(ALICE)
    town.says(ALICE, "stop")
    assert town.rows(BlacklistRow) == []
    assert "once a push shows that it is really you" in town.told(ALICE)[-1]


# --- the shared loop --------------------------------------------------------------------------------------------------


@contextmanager
def poller_bench(engine: Engine) -> Iterator[PollerBench]:
    bench = PollerBench(engine)
    try:
        yield bench
    finally:
        bench.stop()
        eventually(lambda: not any(thread.name == "push" for thread in threading.enumerate()))


class OneHangs(FakeAuthenticator):
    """The long poll of the first push hangs; the others' are approved at once."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def start(self, request: Any, prepared: Any) -> Started | Settled:
        return Started(f"tx-{request.request_id}")

    def poll(self, transaction: str, most: float) -> Settled | None:
        if transaction == "tx-r0":
            self.let_go.wait(5)
            return None
        return Settled(AuthResult.APPROVED, "allow")


def ask_poller(bench: PollerBench, poller: Any, *request_ids: str) -> None:
    """Do what the auth poller's handler does with `StartAuthentication`."""

    def keep(work: Any) -> None:
        fresh = requests.insert_new(work, [a_start(request_id) for request_id in request_ids], "one")
        work.after_commit(lambda: poller.offer(fresh))

    bench.transactions().run(keep)


def test_one_pending_push_does_not_stall_others(sqlite_engine: Engine) -> None:
    second_factor = OneHangs()
    with poller_bench(sqlite_engine) as bench:
        ask_poller(bench, bench.run(second_factor), *(f"r{number}" for number in range(10)))
        eventually(lambda: len(bench.bus.settled()) == 9)
        assert "r0" not in [settled.request_id for settled in bench.bus.settled()]
        second_factor.let_go.set()


def test_a_person_who_thinks_stalls_nobody_else(town: Town) -> None:
    town.alert()
    town.clicks(ALICE, "yes")
    town.clicks(ALICE, "push")
    digest = town.alert(owner="bob")
    town.confirms(BOB)
    assert town.row(digest).resolution == "confirmed"


@pytest.mark.parametrize("error", [AuthTemporary("connection reset"), ValueError("a bug of an adapter")])
def test_an_unexpected_error_of_the_second_factor_ends_one_request_and_no_process(
    sqlite_engine: Engine, error: Exception
) -> None:
    second_factor = FakeAuthenticator()
    second_factor.prepared = [error, *second_factor.prepared] if isinstance(error, AuthTemporary) else [error]
    second_factor.polled = [Settled(AuthResult.APPROVED, "allow")]
    with poller_bench(sqlite_engine) as bench:
        poller = bench.run(second_factor)
        ask_poller(bench, poller, "r1")
        eventually(bench.bus.settled)
        second_factor.prepared = FakeAuthenticator().prepared
        ask_poller(bench, poller, "r2")
        eventually(lambda: len(bench.bus.settled()) == 2)
        assert bench.bus.settled()[1].result is AuthResult.APPROVED


@pytest.mark.parametrize("mode", ["500", "timeout", "garbage", "429"])
def test_an_unexpected_error_of_slack_ends_no_process_and_loses_no_message(
    sqlite_engine: Engine, memory_bus: KombuBus, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with FakeSlack() as slack:
        bench = ChatBench(sqlite_engine, memory_bus, slack)
        alice = slack.add_user("alice")
        slack.fail_next("conversations.open", mode, **({"retry_after": 1} if mode == "429" else {}))
        bench.start()
        bench.send(alice, "was it you?")
        eventually(lambda: bench.texts(alice) == ["was it you?"])
        bench.close()


# --- people -----------------------------------------------------------------------------------------------------------


def test_a_newcomer_is_found(town: Town) -> None:
    town.chat.newcomers["erin"] = "U0ERIN"
    digest = town.alert(owner="erin")
    assert town.row(digest).person_id == "U0ERIN"
    assert len(town.asked("U0ERIN")) == 1


def test_slack_telling_of_a_newcomer_is_enough(
    sqlite_engine: Engine, memory_bus: KombuBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FakeSlack() as slack:
        bench = ChatBench(sqlite_engine, memory_bus, slack)
        bench.start(bench.chat(app_token=slack.app_token))
        eventually(lambda: slack.requests("apps.connections.open"))
        erin = slack.join("erin", "erin@example.com")
        eventually(lambda: erin in bench.people())
        bench.close()


def test_a_message_from_an_unknown_id_is_answered(town: Town) -> None:
    town.says("U0STRANGER", "hello")
    town.says("U0STRANGER", "yes")
    assert len(town.told("U0STRANGER")) == 2
    assert town.rows(QuarantineRow) == []


def test_empty_text_is_answered(town: Town) -> None:
    for text in ("", " ", "\n", "…", "```"):
        town.says(ALICE, text)
        assert town.told(ALICE)[-1].startswith("I did not understand that.")
    assert town.rows(QuarantineRow) == []
    nothing = {"type": "message", "channel_type": "im", "user": "U1", "text": ""}
    translated = slack_event({"event_id": "Ev1", "event": nothing}, Own("U0BOT", "B0BOT"), town.clock.now())
    assert isinstance(translated, Ignored), "a message without words (a picture) is none of Slack's that we take"


# --- restarts and crashes ---------------------------------------------------------------------------------------------


def test_a_restart_asks_nobody_again(town: Town) -> None:
    town.alert()
    town.alert(owner="bob")
    told = town.told(ALICE), town.told(BOB)
    for _ in range(2):
        town.stop_services()
        town.start_services()
        town.tick()
        town.settle()
    assert (town.told(ALICE), town.told(BOB)) == told
    town.says(ALICE, "no")
    assert len(town.outcomes) == 1


def test_a_restart_goes_on_with_a_push_in_flight_and_sends_no_second_one(sqlite_engine: Engine) -> None:
    second_factor = FakeAuthenticator()
    second_factor.polled = [None, Settled(AuthResult.APPROVED, "allow")]
    with poller_bench(sqlite_engine) as bench:
        bench.insert(a_request("r1", state=State.ASKED, transaction="tx-7"), claimed_by="the killed one")
        bench.run(second_factor, instance="the next")
        eventually(bench.bus.settled)
        assert bench.bus.settled()[0].result is AuthResult.APPROVED
    assert second_factor.starts == []
    assert set(second_factor.polls) == {"tx-7"}


class Killed(BaseException):
    """The process is gone."""


@both
@pytest.mark.parametrize("table", ["alerts", "history", "outbox"])
def test_a_crash_between_inserts_leaves_no_half_alert(town: Town, table: str) -> None:
    digest = town.publish()

    def crash(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if f"INSERT INTO {table} " in statement.replace("`", ""):
            event.remove(town.engine, "after_cursor_execute", crash)
            raise Killed

    event.listen(town.engine, "after_cursor_execute", crash)
    with pytest.raises(Killed):
        town.settle()
    assert town.rows(AlertRow) == []
    town.stop_services()
    town.start_services()
    town.settle()
    assert town.row(digest).status == "in_progress"
    assert [row.action for row in town.rows(HistoryRow)].count("received") == 1
    assert len(town.asked(ALICE)) == 1


# --- publishing -------------------------------------------------------------------------------------------------------


def test_the_first_duplicate_does_not_abort_the_batch(town: Town) -> None:
    known = town.alert()
    town.publish(hash=known)
    town.publish(hash=known, owner="bob")
    town.bus.publish([Publication(ALERTS, "alert.osquery", b"no JSON", message_id="x")])
    behind = [town.publish(owner="bob", title=f"title {number}") for number in range(3)]
    town.settle()
    assert all(town.row(digest).person_id == BOB for digest in behind)
    assert town.row(known).occurrences == 2
    town.expected_in_quarantine = 2


def test_alerts_of_one_person_and_title_are_one_card(town: Town) -> None:
    for _ in range(13):
        town.publish()
    town.settle()
    town.pass_time(timedelta(seconds=2))
    (card,) = town.asked(ALICE)
    assert "and 12 more like it" in card.text


class Visitor:
    """Somebody who sends HTTP requests to an application, from this machine; without sockets."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def get(self, path: str) -> httpx.Response:
        return self._send("GET", path)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self._send("POST", path, **more)

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, client=("127.0.0.1", 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.request(method, path, **more)

        return asyncio.run(send())


class Api:
    """Ingest's HTTP side, as a detection tool sees it."""

    def __init__(self, engine: Engine, bus: KombuBus, town: Town) -> None:
        self.transactions = Transactions(engine, bus, town.clock, "ingest")
        api = AlertsApi(self.transactions, TokenCheck(engine, town.clock), town.clock, {})
        self.client = Visitor(create_app({}, api.routes()))

    def post(self, token: str | None) -> int:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        body = json.dumps({"owner": "alice", "title": "t", "description": "d", "hash": "f" * 64})
        headers["content-type"] = "application/json"
        return int(self.client.post("/v1/alerts", content=body, headers=headers).status_code)


def test_the_api_wants_a_token(town: Town) -> None:
    api = Api(town.engine, town.bus, town)
    read = api.transactions.run(lambda work: api_tokens.create(work, "reader", Scope.READ, "analyst:mara"))
    assert [api.post(None), api.post("sbt_guessed"), api.post(read)] == [401, 401, 403]
    town.settle()
    assert town.rows(AlertRow) == []


def test_publishers_do_not_write_the_record(town: Town) -> None:
    api = Api(town.engine, town.bus, town)
    token = api.transactions.run(lambda work: api_tokens.create(work, "tool", Scope.PUBLISH, "analyst:mara"))
    assert api.post(token) == 202
    assert town.rows(AlertRow) == [], "it is on the bus; only the intake writes"
    town.settle()
    assert town.row("f" * 64).status == "in_progress"


# --- the front end ----------------------------------------------------------------------------------------------------


def console_visitor(town: Town, demo_name: str | None = None) -> Visitor:
    """Return a browser; with a `demo_name` it is signed in."""
    return Visitor(Starlette(routes=console.build_with(_runtime(town), demo_name).routes))


def test_the_front_end_listens_on_this_machine_only_unless_told_otherwise() -> None:
    assert load_settings({}, dotenv=None).http_host == "127.0.0.1"


def test_the_front_end_wants_a_sign_in(town: Town) -> None:
    browser = console_visitor(town)
    for page in console.pages(console.make_desk(_runtime(town), None)):
        path = a_path(page)
        if page.method == "GET":
            response = browser.get(path)
            assert (response.status_code, response.headers["location"][:8]) == (303, "/sign-in"), page.path
        else:
            assert browser.post(path, data={"title": "t"}).status_code == 401, page.path


def test_a_form_from_elsewhere_publishes_no_trusted_looking_question(town: Town) -> None:
    form = {"owners": "alice", "title": "Please call this number", "description": "d", "severity": "high"}
    browser = console_visitor(town, demo_name="mara")
    changes = [page for page in console.pages(console.make_desk(_runtime(town), "mara")) if page.method == "POST"]
    assert changes
    for page in changes:
        path = a_path(page)
        refused = browser.post(path, data=form, headers={"origin": "http://evil.example"})
        guessed = browser.post(path, data=form | {"csrf": "guessed"})
        assert (refused.status_code, guessed.status_code) == (403, 403), page.path
    town.settle()
    assert town.rows(AlertRow) == []


def a_path(page: Page) -> str:
    """Return a path of the page, with something in place of its parameters."""
    return re.sub(r"\{\w+\}", "f" * 64, re.sub(r"\{\w+:row\}", "1", page.path))


def _runtime(town: Town) -> Runtime:
    return Runtime(Settings(config_dir=SHIPPED_CONFIG), town.bus, town.engine, town.clock)


# --- business hours ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Los_Angeles"])
def test_business_hours_use_the_zones_real_offset(zone: str) -> None:
    """A pytz zone attached directly gives local mean time: Berlin 53 minutes ahead, and days that begin at odd ones."""
    hours = WorkingHours().of(zone)
    opening = hours.next_opening(datetime(2026, 3, 3, 3, 0, tzinfo=UTC)).astimezone(hours.zone)
    assert (opening.hour, opening.minute) == (10, 0)


def test_the_day_is_the_persons_own() -> None:
    """Sunday 23:30 UTC is Monday morning in Auckland and Sunday afternoon in Los Angeles; Friday 23:30 likewise."""
    sunday, friday = datetime(2026, 3, 1, 23, 30, tzinfo=UTC), datetime(2026, 3, 6, 23, 30, tzinfo=UTC)
    auckland, los_angeles = WorkingHours().of("Pacific/Auckland"), WorkingHours().of("America/Los_Angeles")
    assert (auckland.is_open(sunday), los_angeles.is_open(sunday)) == (True, False)
    assert (auckland.is_open(friday), los_angeles.is_open(friday)) == (False, True)


def test_the_deadline_follows_the_persons_own_zone(town: Town) -> None:
    town.add_person("U0AKL", "kiri", time_zone="Pacific/Auckland")
    digest = town.alert(owner="kiri")  # Tuesday 12:00 UTC is Wednesday 01:00 there: the clock starts at 10:00
    town.pass_time(timedelta(hours=10, minutes=59))
    assert town.row(digest).status == "in_progress"
    town.pass_time(timedelta(minutes=1))
    assert town.row(digest).resolution == "no_response"


# --- stubs that were never filled -------------------------------------------------------------------------------------


def test_reminders_are_sent(town: Town) -> None:
    town.alert()
    town.pass_time(timedelta(minutes=89))
    assert len(town.told(ALICE)) == 1
    town.pass_time(timedelta(minutes=1))
    assert town.told(ALICE)[-1].startswith("I still need your answer about “sudo on db-7”.")
    town.pass_time(timedelta(minutes=29))
    assert len(town.told(ALICE)) == 2, "reminded once"


def test_analysts_can_close(town: Town) -> None:
    digest = town.alert()
    town.says(ALICE, "no, never")
    assert town.row(digest).status == "verifying"
    town.transactions.run(lambda work: triage.close(work, [digest], "incident", "host isolated", "analyst:mara"))
    row = town.row(digest)
    assert (row.status, row.closed_at, row.resolution) == ("closed", town.clock.now(), "denied")
    closed = [(row.actor, row.detail["verdict"]) for row in town.rows(HistoryRow) if row.action == "closed"]
    assert closed == [("analyst:mara", "incident")]


# --- a defect of another bot: MozDef compared the answer with a word that its gateway never sent -----


def test_every_answer_that_the_gateway_can_send_is_understood(town: Town) -> None:
    """Each button of each message, clicked as Slack renders it and tells of it."""
    seen: set[str] = set()
    for answers in itertools.product(["yes", "no", "not_sure", "wrong_person"], ["push", "no_push"]):
        town.alert(title=f"title {len(seen)} {answers}", severity="high")
        for action in answers:
            messages = [m for m in town.chat.to(ALICE) if action in [b.action for b in m.content.buttons]]
            if messages:
                seen |= {button.action for button in messages[-1].content.buttons}
                town.tell(as_slack_tells(messages[-1].content, action, town))
                town.settle()
        if town.phones.pushes:
            town.phones.answer(AuthResult.DENIED)
    assert seen == {"yes", "no", "not_sure", "wrong_person", "push", "no_push"}
    assert {event["data"]["resolution"] for event in town.outcomes} == {
        "denied", "not_sure", "wrong_person", "proof_refused", "proof_denied",
    }  # fmt: skip
    assert "click_ignored" not in [row.action for row in town.rows(HistoryRow)]


def as_slack_tells(content: Any, action: str, town: Town) -> ReplyReceived:
    """Render a message for Slack, press a button of it, and translate what Slack tells of that."""
    _, blocks = render(content)
    buttons = [element for block in blocks if block["type"] == "actions" for element in block["elements"]]
    pressed = next(button for button in buttons if button["action_id"] == action)
    payload = {
        "type": "block_actions", "user": {"id": ALICE}, "channel": {"id": "D1"}, "message": {"bot_id": "B0BOT"},
        "trigger_id": "1.2.3", "state": {"values": {}}, "actions": [{**pressed, "type": "button"}],
    }  # fmt: skip
    translated = click(payload, Own("U0BOT", "B0BOT"), town.clock.now())
    assert not isinstance(translated, Ignored)
    assert hasattr(translated, "message")
    message: ReplyReceived = translated.message
    return message
