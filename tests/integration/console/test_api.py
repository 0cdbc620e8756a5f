"""The API: scopes, problem details, changes under the token's name; and schemathesis over its own document."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from common.api_tokens import Scope
from common.records.console_tables import TriageRow
from common.records.tables import AlertRow, BlacklistRow, QuarantineRow
from common.topology import DISPATCHER_QUEUE, INGEST_QUEUE
from tests.integration.console.conftest import House

SETTINGS = settings(
    max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate], derandomize=True,
)  # fmt: skip
"""Enough examples of each operation to reach every kind of parameter, and still seconds."""
EXCLUDED = [positive_data_acceptance, ignored_auth]
"""What a cursor is, and that an end lies ahead, no schema can say: those may be refused with a problem. And the check
for ignored tokens sends ours all the same; `test_scopes_are_kept` tries every operation without."""


def furnish(house: House) -> str:
    house.person()
    house.quarantined(b"\xff{}")
    for number in range(5):
        house.alert(number + 10, title=f"title {number}", performed=bool(number % 2))
    return house.alert(1)


def test_the_lists_have_the_filters_of_the_original(each_house: House) -> None:
    digest = furnish(each_house)
    api = each_house.api(Scope.READ)
    found = api.get("/api/v1/alerts", params={"titles": ["title 1", "title 3"], "performed": "true"}).json()
    assert sorted(alert["title"] for alert in found["alerts"]) == ["title 1", "title 3"]
    first = api.get("/api/v1/alerts", params={"limit": 4}).json()
    second = api.get("/api/v1/alerts", params={"limit": 4, "cursor": first["cursor"]}).json()
    assert len(first["alerts"]) + len(second["alerts"]) == 6
    assert second["cursor"] is None
    after = (each_house.clock.now() - timedelta(minutes=5)).isoformat()
    assert [a["hash"] for a in api.get("/api/v1/alerts", params={"after": after}).json()["alerts"]] == [digest]
    story = api.get(f"/api/v1/alerts/{digest}").json()
    assert (story["alert"]["hash"], story["triage"]["taken_by"]) == (digest, None)
    assert api.get("/api/v1/people", params={"search": "ali"}).json()[0]["chat_id"] == "U1"
    assert api.get("/api/v1/quarantine/1").json()["body"] == "\\xff{}"


def test_times_may_go_without_a_zone_and_states_by_the_originals_numbers(house: House) -> None:
    digest = furnish(house)
    api = house.api(Scope.READ)

    def hashes(**filters: str) -> list[str]:
        return [alert["hash"] for alert in api.get("/api/v1/alerts", params=filters).json()["alerts"]]

    since = (house.clock.now() - timedelta(minutes=5)).replace(tzinfo=None).isoformat()
    assert hashes(after=since) == [digest]
    assert len(hashes(after=f"{house.clock.now():%Y-%m-%d}")) == 6
    assert hashes(status="2") == hashes(status="verifying") != []


@pytest.mark.parametrize("path", ["ignored", "blacklist", "quarantine", "people"])
def test_every_list_goes_on_where_its_page_ended(each_house: House, path: str) -> None:
    api = each_house.api(Scope.ADMIN)
    until = (each_house.clock.now() + timedelta(days=3)).isoformat()
    for number in range(5):
        each_house.person(f"U{number}", f"user {number}")
        each_house.quarantined(b"{}")
        silence = {"person": f"U{number}", "until": until, "reason": "why"}
        assert api.post("/api/v1/blacklist", json=silence).status_code == 204
        assert api.post("/api/v1/ignored", json=silence | {"title": f"t{number}"}).status_code == 204
    whole = api.get(f"/api/v1/{path}").json()
    assert len(whole) == 5
    pages, url = [], f"/api/v1/{path}?limit=2"
    while url:
        page = api.get(url)
        pages.append(page.json())
        following = page.links.get("next")
        url = f"/api/v1/{path}{following['url']}" if following else ""
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [row for page in pages for row in page] == whole


def test_silences_are_found_by_person_and_title(house: House) -> None:
    api = house.api(Scope.ADMIN)
    until = (house.clock.now() + timedelta(days=3)).isoformat()
    house.person("U1", "alice")
    house.person("U2", "bob")
    for chat_id, title in (("U1", "sudo"), ("U2", "sudo"), ("U2", "vpn")):
        entry = {"person": chat_id, "until": until, "reason": "why", "title": title}
        assert api.post("/api/v1/ignored", json=entry).status_code == 204

    def found(**filters: Any) -> list[tuple[str, str]]:
        rows = api.get("/api/v1/ignored", params=filters).json()
        return [(row["username"], row["title"]) for row in rows]

    assert found(owner="U1") == found(owner="Alice") == [("alice", "sudo")]
    assert found(titles=["vpn"]) == [("bob", "vpn")]
    assert found(owner="bob", titles=["sudo", "vpn"]) == [("bob", "vpn"), ("bob", "sudo")]
    assert api.get("/api/v1/ignored", params={"nonsense": "1"}).status_code == 422


def test_a_token_that_asks_too_much_has_to_wait(build: Callable[..., House]) -> None:
    house = build(api_rate="1")
    api = house.api(Scope.READ)
    answers = [api.get("/api/v1/people") for _ in range(11)]
    house.clock.advance(timedelta(seconds=1))
    later = api.get("/api/v1/people")
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert (answers[-1].headers["retry-after"], answers[-1].json()["status"]) == ("1", 429)
    assert later.status_code == 200


def test_changes_are_made_under_the_tokens_name(each_house: House) -> None:
    digest = furnish(each_house)
    api = each_house.api(Scope.ADMIN)
    until = (each_house.clock.now() + timedelta(days=3)).isoformat()
    silence = {"person": "alice", "until": until, "reason": "why"}
    for path, body in (
        (f"/alerts/{digest}/take", None),
        (f"/alerts/{digest}/comment", {"comment": "c"}),
        (f"/alerts/{digest}/close", {"verdict": "benign"}),
        ("/blacklist", silence),
        ("/ignored", silence | {"title": "sudo"}),
        ("/blacklist/1/lift", None),
        ("/ignored/1/lift", None),
        ("/people/U1/allow-pushes", None),
    ):
        answer = api.post(f"/api/v1{path}", json=body)
        assert answer.status_code == 204, (path, answer.text)
    assert api.post("/api/v1/quarantine/1/retry", json={"body": "{}"}).status_code == 200
    assert each_house.row(AlertRow, AlertRow.hash == digest).status == "closed"
    assert each_house.row(TriageRow).closed_by == "token:tool"
    assert each_house.row(BlacklistRow).lifted_by == "token:tool"
    assert each_house.row(QuarantineRow).decided_by == "token:tool"
    assert each_house.published(DISPATCHER_QUEUE.name)[0].type == "AllowPushes"
    assert each_house.published(INGEST_QUEUE.name)[0].body == b"{}"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/alerts/" + "0" * 64 + "/take", None, 404),
        ("/alerts/xyz/take", None, 422),
        ("/quarantine/1/drop", {"note": "n", "more": 1}, 422),
        ("/quarantine/99/drop", {"note": "n"}, 409),
        ("/people/nobody/allow-pushes", None, 404),
        ("/blacklist", {"person": "alice", "until": "2026-03-03T11:00:00Z", "reason": "r"}, 409),
    ],
)
def test_what_cannot_be_done_is_a_problem(house: House, path: str, body: object, status: int) -> None:
    furnish(house)
    answer = house.api().post(f"/api/v1{path}", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_scopes_are_kept_and_a_cookie_is_no_token(house: House) -> None:
    digest = furnish(house)
    reader, publisher = house.api(Scope.READ, "r"), house.api(Scope.PUBLISH, "p")
    assert house.browser().get("/api/v1/alerts").status_code == 401
    assert house.visitor().get("/api/v1/alerts").status_code == 401
    assert publisher.get("/api/v1/alerts").status_code == 403
    assert reader.get("/api/v1/alerts").status_code == 200
    operations = [
        (method, path)
        for path, methods in house.browser().get("/api/openapi.json").json()["paths"].items()
        for method in methods
        if method != "get"
    ]
    assert len(operations) >= 9
    for method, path in operations:
        filled = path.format(hash=digest, number=1, table="ignored", chat_id="U1")
        answer = reader.request(method, f"/api{filled}", json={})
        assert answer.status_code == 403, path
    assert house.history("taken") == []


def test_nobody_without_a_token_fills_the_memory(house: House) -> None:
    body = b'{"title": "' + b"x" * 300_000 + b'"}'
    answer = house.visitor().client.post("/api/v1/ignored", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_the_documentation_comes_from_this_machine(house: House) -> None:
    page = house.browser().get("/api/docs")
    assert "http" not in page.text.replace("http-equiv", "")
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js"):
        assert house.browser().get(f"/api/docs/assets/{asset}").status_code == 200


def test_no_request_gets_a_5xx_or_an_answer_outside_the_schema(build: Callable[..., House]) -> None:
    house = build(api_rate="0")
    furnish(house)
    api = house.api()
    tried = 0

    def check(case: schemathesis.Case[Any]) -> None:
        nonlocal tried
        tried += 1
        case.call_and_validate(headers=dict(api.headers), excluded_checks=EXCLUDED)

    for result in schemathesis.openapi.from_url(f"{house.url}/api/openapi.json").get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        SETTINGS(given(case=operation.as_strategy())(check))()
    assert tried > 100
