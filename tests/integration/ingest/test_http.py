"""`POST /v1/alerts` as a sender sees it, and what the intake makes of what it publishes."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event, select

from common import api_tokens
from common.alert_form import MAX_BODY
from common.api_tokens import Scope, TokenCheck
from common.bus.embedded import KombuBus
from common.bus.port import Delivery, Publication
from common.errors import BusUnavailable
from common.http import HttpServer, create_app
from common.records.changes import retry_quarantined
from common.records.tables import ApiTokenRow, HistoryRow, QuarantineRow
from common.settings import SHIPPED_CONFIG
from common.topology import ALERTS, INGEST_QUEUE
from common.transactions import Transactions
from common.worker import Received
from common.yaml_files import load_yaml
from services.ingest.handlers import IntakeHandler
from services.ingest.http import MAX_ALERTS, MAX_REQUEST, AlertsApi
from services.ingest.sources import Sources
from tests.fakes.clock import FakeClock
from tests.servers import free_port

VALID = {"owner": "alice", "title": "sudo", "description": "You ran sudo on db-7"}


class Api:
    """The routes with a real record, and a sender's side of them."""

    def __init__(self, engine: Engine, bus: Any, rate: float = 0.0) -> None:
        self.clock = FakeClock()
        self.bus = bus
        self.transactions = Transactions(engine, bus, self.clock, "ingest")
        sources = load_yaml(SHIPPED_CONFIG / "sources.yaml", Sources).sources
        tokens = TokenCheck(engine, self.clock, rate)
        port = free_port()
        app = create_app({}, AlertsApi(self.transactions, tokens, self.clock, sources).routes())
        self.server = HttpServer(app, "127.0.0.1", port)
        self.server.start()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        self.token = self.create("tool", Scope.PUBLISH)

    def close(self) -> None:
        self.client.close()
        self.server.stop()

    def create(self, name: str, scope: Scope) -> str:
        return self.transactions.run(lambda work: api_tokens.create(work, name, scope, "analyst:test"))

    def post(self, value: Any, path: str = "/v1/alerts", **headers: str) -> httpx.Response:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        given = {"authorization": f"Bearer {self.token}", "content-type": "application/json"} | headers
        response: httpx.Response = self.client.post(path, content=content, headers=given)
        return response

    def published(self) -> list[Delivery]:
        consumer = self.bus.consume([INGEST_QUEUE.name], prefetch=5000)
        taken: list[Delivery] = consumer.take(5000, timeout=0)
        consumer.ack(taken)
        consumer.close()
        return taken

    def intake(self) -> None:
        """Let the intake do what it does with all that is published."""
        handler = IntakeHandler(self.clock)
        batch = [Received(delivery, handler.decode(delivery)) for delivery in self.published()]
        self.transactions.run(lambda work: handler.handle(work, batch))


@pytest.fixture
def api(sqlite_engine: Engine, memory_bus: KombuBus) -> Iterator[Api]:
    api = Api(sqlite_engine, memory_bus)
    yield api
    api.close()


def test_an_alert_is_published_and_its_hash_is_answered(api: Api) -> None:
    response = api.post(VALID)
    assert response.status_code == 202
    (accepted,) = response.json()["accepted"]
    assert accepted["duplicate"] is False
    assert response.json()["rejected"] == []
    (delivery,) = api.published()
    assert (delivery.exchange, delivery.routing_key) == (ALERTS, "alert.http")
    api.clock.advance(timedelta(days=2))
    assert IntakeHandler(api.clock).decode(delivery).hash == accepted["hash"]


def test_each_alert_of_a_list_is_accepted_or_rejected_by_its_index(api: Api) -> None:
    response = api.post([VALID, {"owner": "a"}, VALID | {"title": "x", "source": "edr"}, 7, VALID | {"source": "a b"}])
    assert response.status_code == 202
    assert len(response.json()["accepted"]) == 3
    rejected = {entry["index"]: entry["error"] for entry in response.json()["rejected"]}
    assert list(rejected) == [1, 3]
    assert "title: missing" in rejected[1]
    published = api.published()
    assert [delivery.routing_key for delivery in published] == ["alert.http", "alert.edr", "alert.http"]
    assert IntakeHandler(api.clock).decode(published[2]).source == "a b", "no word of a routing key, and kept"


def test_a_duplicate_is_one_that_is_in_the_record_or_twice_in_the_request(api: Api) -> None:
    assert [entry["duplicate"] for entry in api.post([VALID, VALID]).json()["accepted"]] == [False, True]
    api.intake()
    assert [entry["duplicate"] for entry in api.post(VALID).json()["accepted"]] == [True]


def test_a_hash_that_belongs_to_another_alert_is_told_to_the_sender_at_once(api: Api) -> None:
    digest = {"hash": "d" * 64}
    response = api.post([VALID | digest, VALID | digest | {"owner": "bob"}])
    assert [entry["index"] for entry in response.json()["rejected"]] == [1]
    api.intake()
    response = api.post(VALID | digest | {"title": "other"})
    assert response.status_code == 422
    assert "belongs to another alert" in response.json()["rejected"][0]["error"]


def test_nothing_accepted_is_a_problem_that_names_every_error(api: Api) -> None:
    response = api.post([{"owner": "a"}, {"title": "t"}])
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert (response.json()["accepted"], len(response.json()["rejected"])) == ([], 2)
    assert api.post([]).json()["detail"] == "the list is empty"
    assert api.published() == []


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b"{", {}, 400, "not JSON"),
        (b'{"a":1,"a":2}', {}, 400, "is there twice"),
        (b"[" * 100000, {}, 400, "nested too deeply"),
        (b"owner=alice", {"content-type": "application/x-www-form-urlencoded"}, 415, "Content-Type"),
        (b"{}", {"content-encoding": "gzip"}, 415, "compressed"),
        (b'"' + b"x" * MAX_BODY + b'"', {}, 413, "at most 65536"),
        (b"[" + b" " * MAX_REQUEST + b"]", {}, 413, f"at most {MAX_REQUEST}"),
        (json.dumps([1] * (MAX_ALERTS + 1)).encode(), {}, 413, f"at most {MAX_ALERTS}"),
    ],
)
def test_a_request_that_cannot_be_taken_gets_a_problem(
    api: Api, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    response = api.post(body, **headers)
    assert response.status_code == status
    assert said in response.json()["detail"]
    assert response.json()["status"] == status


def test_a_body_that_is_streamed_is_stopped_at_the_limit(api: Api) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(2 * MAX_REQUEST // 65536):
            yield b" " * 65536

    headers = {"authorization": f"Bearer {api.token}", "content-type": "application/json"}
    assert api.client.post("/v1/alerts", content=endless(), headers=headers).status_code == 413


def test_content_types_that_end_in_json_are_json(api: Api) -> None:
    assert api.post(VALID, **{"content-type": "application/vnd.tool+json; charset=utf-8"}).status_code == 202


def test_a_tools_own_payload_is_mapped(api: Api) -> None:
    payload = {"sid": "1", "search_name": "Log-in", "results_link": "https://s.example/", "result": {"user": "alice"}}
    response = api.post(payload, "/v1/alerts/splunk")
    assert response.status_code == 202
    (delivery,) = api.published()
    alert = IntakeHandler(api.clock).decode(delivery)
    assert (alert.owner, alert.title, alert.source, delivery.routing_key) == (
        "alice",
        "Log-in",
        "splunk",
        "alert.splunk",
    )


def test_an_unknown_source_says_which_are_known(api: Api) -> None:
    response = api.post({}, "/v1/alerts/nagios")
    assert response.status_code == 404
    assert "elastalert, osquery, splunk" in response.json()["detail"]


def test_a_payload_without_what_the_mapping_needs_goes_to_the_quarantine_and_can_be_mended_there(api: Api) -> None:
    good = {"sid": "1", "search_name": "Log-in", "result": {"user": "alice"}}
    response = api.post([{"search_name": "x", "result": {"host": "db-7"}}, good], "/v1/alerts/splunk")
    assert response.status_code == 202
    assert "owner: missing" in response.json()["rejected"][0]["error"]
    assert len(api.published()) == 1
    with api.transactions.engine.begin() as connection:
        (row,) = connection.execute(select(QuarantineRow.__table__)).all()
    assert (row.queue, row.routing_key, row.state) == ("securitybot.ingest", "alert.splunk", "waiting")
    assert "owner: missing" in row.reason
    assert json.loads(row.body)["context"] == {"host": "db-7"}
    mended = json.dumps(json.loads(row.body) | {"owner": "alice"}).encode()
    api.transactions.run(lambda work: retry_quarantined(work, row.id, "test", mended))
    (delivery,) = api.published()
    assert IntakeHandler(api.clock).decode(delivery).owner == "alice"


def test_a_payload_of_which_nothing_can_be_taken_is_safe_all_the_same(api: Api) -> None:
    response = api.post({"search_name": "x"}, "/v1/alerts/splunk")
    assert (response.status_code, response.json()["accepted"]) == (202, [])
    assert api.post([], "/v1/alerts/splunk").status_code == 422


def test_a_payload_that_is_nested_without_end_is_refused_before_it_is_mapped(api: Api) -> None:
    deep = b'{"search_name":' + b'{"a":' * 300 + b"1" + b"}" * 301
    assert api.post(deep, "/v1/alerts/splunk").status_code == 400


@pytest.mark.parametrize("shown", ["", "Basic YTpi", "Bearer", "Bearer sbt_wrong", "Bearer \xff"])
def test_without_a_valid_token_nothing_is_taken(api: Api, shown: str) -> None:
    response = api.client.post(
        "/v1/alerts", json=VALID, headers=[(b"authorization", shown.encode("latin-1"))] if shown else []
    )
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert api.published() == []


def test_a_token_for_reading_may_not_publish_and_an_admins_may(api: Api) -> None:
    api.token = api.create("reader", Scope.READ)
    response = api.post(VALID)
    assert response.status_code == 403
    assert 'scope="publish"' in response.headers["www-authenticate"]
    api.token = api.create("admin", Scope.ADMIN)
    assert api.post(VALID).status_code == 202


def test_a_revoked_token_is_refused_after_ten_seconds_at_the_latest(api: Api) -> None:
    assert api.post(VALID).status_code == 202
    api.transactions.run(lambda work: api_tokens.revoke(work, "tool", "analyst:test"))
    api.clock.advance(timedelta(seconds=10))
    assert api.post(VALID).status_code == 401


@pytest.fixture
def slow(sqlite_engine: Engine, memory_bus: KombuBus) -> Iterator[Api]:
    """Two alerts a second and token, twenty at once."""
    api = Api(sqlite_engine, memory_bus, rate=2.0)
    yield api
    api.close()


def test_a_token_that_is_used_too_much_has_to_wait_for_as_long_as_it_is_told(slow: Api) -> None:
    assert {slow.post(VALID).status_code for _ in range(20)} == {202}

    response = slow.post(VALID)

    assert (response.status_code, response.headers["retry-after"]) == (429, "1")
    assert response.headers["content-type"] == "application/problem+json"
    assert "'tool' is used too much: 2 a second" in response.json()["detail"]
    slow.clock.advance(timedelta(seconds=1))
    assert [slow.post(VALID).status_code for _ in range(3)] == [202, 202, 429]


def test_every_alert_of_a_list_counts_and_no_list_is_too_long_to_ever_go(slow: Api) -> None:
    assert slow.post([VALID] * 50).status_code == 202

    response = slow.post(VALID)

    assert (response.status_code, response.headers["retry-after"]) == (429, "16")
    slow.clock.advance(timedelta(seconds=16))
    assert slow.post(VALID).status_code == 202


def test_one_tokens_storm_does_not_hold_up_another(slow: Api) -> None:
    slow.post([VALID] * 50)
    assert slow.post(VALID).status_code == 429

    slow.token = slow.create("other", Scope.PUBLISH)

    assert slow.post(VALID).status_code == 202


def test_a_token_that_is_not_valid_or_not_for_this_is_told_so_first(slow: Api) -> None:
    slow.token = slow.create("reader", Scope.READ)
    assert {slow.post(VALID).status_code for _ in range(25)} == {403}
    slow.token = "sbt_unknown"
    assert {slow.post(VALID).status_code for _ in range(25)} == {401}


class BrokerAway(KombuBus):
    """Durable, and takes nothing."""

    def __init__(self) -> None:
        super().__init__("memory://")
        self.durable = True

    def publish(self, publications: Sequence[Publication], timeout: float = 30.0) -> frozenset[int]:
        raise BusUnavailable("connection refused")


def test_while_the_broker_is_away_the_sender_is_asked_to_come_again(sqlite_engine: Engine) -> None:
    bus = BrokerAway()
    api = Api(sqlite_engine, bus)
    response = api.post(VALID)
    api.close()
    bus.close()
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert "connection refused" not in response.text


def test_while_the_database_is_away_the_sender_is_asked_to_come_again(api: Api, sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE api_tokens")
    assert api.post(VALID).status_code == 503


def test_a_tokens_use_is_noted_once_a_minute_and_costs_no_query_in_between(api: Api, sqlite_engine: Engine) -> None:
    def last_used() -> Any:
        with sqlite_engine.connect() as connection:
            return connection.scalar(select(ApiTokenRow.last_used_at))

    api.post(VALID)
    first = api.clock.now()
    assert last_used() == first
    api.clock.advance(timedelta(seconds=30))
    api.post(VALID)
    assert last_used() == first
    api.clock.advance(timedelta(seconds=31))
    api.post(VALID)
    assert last_used() == api.clock.now()


def test_only_the_hash_of_a_token_is_kept_and_its_making_is_in_the_history(api: Api, sqlite_engine: Engine) -> None:
    with sqlite_engine.connect() as connection:
        row = connection.execute(select(ApiTokenRow.__table__)).one()
        note = connection.execute(select(HistoryRow.__table__)).one()
    assert api.token.startswith("sbt_")
    assert len(api.token) == 47
    assert api.token not in repr(row)
    assert (note.actor, note.action, note.detail) == (
        "analyst:test", "token_created", {"name": "tool", "scope": "publish"},
    )  # fmt: skip


def test_only_the_digest_of_a_shown_token_reaches_the_database(api: Api, sqlite_engine: Engine) -> None:
    """So how long the look-up takes tells nothing about the token itself."""
    asked: list[str] = []
    event.listen(sqlite_engine, "before_cursor_execute", lambda *given: asked.append(repr(given[2:4])))
    assert api.post(VALID).status_code == 202
    assert any("api_tokens" in query for query in asked)
    assert not any(api.token in query for query in asked)


def test_a_token_is_believed_only_after_a_comparison_in_constant_time(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[Any, Any]] = []

    def differ(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(hmac, "compare_digest", differ)
    assert api.post(VALID).status_code == 401
    digest = hashlib.sha256(api.token.encode()).hexdigest()
    assert compared == [(digest, digest)]


def test_the_cache_of_tokens_does_not_grow_without_end(sqlite_engine: Engine, memory_bus: KombuBus) -> None:
    clock = FakeClock()
    transactions = Transactions(sqlite_engine, memory_bus, clock, "test")
    check = TokenCheck(sqlite_engine, clock)
    tokens = transactions.run(
        lambda work: [
            api_tokens.create(work, f"t{number}", Scope.READ, "a") for number in range(api_tokens.MOST_CACHED + 5)
        ]
    )
    assert all(check.verify(token) for token in tokens)
    assert len(check._cache) == api_tokens.MOST_CACHED
    assert check.verify("sbt_unknown") is None
