"""Tools' own payloads, through the mappings that are shipped."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from common.alert_form import to_alert
from common.errors import ConfigurationError
from common.settings import SHIPPED_CONFIG
from common.yaml_files import load_yaml
from services.ingest.sources import SourceMapping, Sources, map_payload, render

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
SHIPPED = load_yaml(SHIPPED_CONFIG / "sources.yaml", Sources).sources

SPLUNK: dict[str, Any] = {
    "sid": "scheduler__admin__search__RMD5_at_1772539200_1",
    "search_name": "Log-in from a new country",
    "app": "search",
    "owner": "admin",
    "results_link": "https://splunk.example:8000/app/search/@go?sid=1",
    "result": {
        "user": "alice",
        "_time": "1772539200.25",
        "message": "Log-in of alice from BR",
        "urgency": "High",
        "severity": "4",
        "_raw": "raw event",
    },
}
OSQUERY: dict[str, Any] = {
    "name": "sudo_commands",
    "hostIdentifier": "db-7",
    "calendarTime": "Tue Mar  3 12:00:00 2026 UTC",
    "unixTime": 1772539200,
    "epoch": 0,
    "counter": 3,
    "decorations": {"username": "alice"},
    "columns": {"cmdline": "sudo -i", "pid": "4711"},
    "action": "added",
}
ELASTALERT = {
    "rule_name": "Impossible travel",
    "user.name": "alice",
    "message": "Paris, then Lima",
    "@timestamp": "2026-03-03T12:00:00Z",
    "kibana_discover_url": "https://kibana.example/x",
    "log": {"level": "WARNING"},
}


def alerts(source: str, payload: object) -> list[Any]:
    return [
        to_alert(value, routing_key=f"alert.{source}", message_id=None, received_at=NOW)
        for value in map_payload(source, SHIPPED[source], payload)
    ]


def test_splunks_webhook_becomes_an_alert() -> None:
    (alert,) = alerts("splunk", SPLUNK)
    assert (alert.owner, alert.title, alert.source) == ("alice", "Log-in from a new country", "splunk")
    assert (alert.description, alert.reason, alert.severity) == ("Log-in of alice from BR", "raw event", "high")
    assert alert.event_time == datetime(2026, 3, 3, 12, 0, 0, 250000, tzinfo=UTC)
    assert alert.url == SPLUNK["results_link"]
    assert alert.context == SPLUNK["result"]


def test_splunk_sending_the_same_result_again_is_the_same_event() -> None:
    again = SPLUNK | {"results_link": "https://splunk.example/other"}
    assert alerts("splunk", SPLUNK)[0].hash == alerts("splunk", again)[0].hash
    assert alerts("splunk", SPLUNK)[0].hash != alerts("splunk", SPLUNK | {"sid": "other"})[0].hash


def test_each_result_of_one_search_is_an_event_of_its_own() -> None:
    results = [{"user": "alice", "host": "db-1"}, {"user": "alice", "host": "db-2"}, {"user": "bob", "host": "db-1"}]
    assert len({alerts("splunk", SPLUNK | {"result": result})[0].hash for result in results}) == 3


@pytest.mark.parametrize(
    ("field", "value", "usable"),
    [
        ("severity", "HIGH", "high"),
        ("severity", "unknown", "medium"),
        ("_time", "2026-03-03T12:00:00.000+0000", NOW),
        ("_time", "1772539200000", NOW),
        ("_time", "1772539200000000", NOW),
        ("_time", "Tuesday", None),
        ("_time", "1e999", None),
    ],
)
def test_an_alert_is_not_lost_for_a_field_that_it_can_do_without(field: str, value: str, usable: Any) -> None:
    (alert,) = alerts("splunk", SPLUNK | {"result": {"user": "alice", field: value}})
    found = alert.severity.value if field == "severity" else alert.event_time
    assert found == (NOW if usable is None else usable)
    odd = value if usable in (None, "medium") else None
    name = "severity" if field == "severity" else "event_time"
    assert (alert.context or {}).get("not_understood") == (None if odd is None else {name: odd})


def test_a_link_that_cannot_be_used_is_kept_beside_the_payload() -> None:
    long = "https://splunk.example/" + "x" * 3000
    (alert,) = alerts("splunk", SPLUNK | {"results_link": long})
    assert alert.url is None
    assert alert.context == SPLUNK["result"] | {"not_understood": {"url": long[:1023] + "…"}}


def test_osquerys_result_log_becomes_an_alert_one_line_or_many() -> None:
    (alert,) = alerts("osquery", OSQUERY)
    assert (alert.owner, alert.title) == ("alice", "sudo_commands")
    assert alert.description == 'sudo_commands on db-7: added {"cmdline":"sudo -i","pid":"4711"}'
    assert alert.event_time == NOW
    many = alerts("osquery", {"node_key": "k", "log_type": "result", "data": [OSQUERY, OSQUERY | {"counter": 4}]})
    assert [a.title for a in many] == ["sudo_commands", "sudo_commands"]
    assert many[0].hash == alert.hash != many[1].hash


def test_osquery_without_a_user_asks_by_the_host() -> None:
    assert alerts("osquery", OSQUERY | {"decorations": {}})[0].owner == "db-7"


def test_elastalert_becomes_an_alert_with_keys_that_hold_dots() -> None:
    (alert,) = alerts("elastalert", ELASTALERT)
    assert (alert.owner, alert.title, alert.severity) == ("alice", "Impossible travel", "medium")
    assert alert.context == ELASTALERT


def test_what_a_payload_does_not_have_is_left_out_and_then_named_by_the_normal_form() -> None:
    (value,) = map_payload("elastalert", SHIPPED["elastalert"], {"rule_name": "x"})
    assert value == {
        "source": "elastalert", "title": "x", "description": "x", "severity": "medium", "context": {"rule_name": "x"},
    }  # fmt: skip


def test_long_texts_are_cut_to_their_limits() -> None:
    (alert,) = alerts("elastalert", ELASTALERT | {"message": "x" * 5000, "rule_name": "t" * 300})
    assert len(alert.description) == 1024
    assert alert.title == "t" * 254 + "…"


@pytest.mark.parametrize("payload", [None, 1, "text", [], [None], {"data": "x"}, {"result": [[]]}])
def test_a_payload_of_another_shape_raises_nothing(payload: object) -> None:
    for source, mapping in SHIPPED.items():
        assert isinstance(map_payload(source, mapping, payload), list)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{a}", "1"), ("{a}-{b.c}", "1-two"), ("{x|b.c}", "two"), ("{list.1}", "y"), ("{list.9}", None), ("{x}", None),
        ("{b}", '{"c":"two"}'), ("{t}", "true"), ("{null}", None), ("plain", "plain"), ("{a.b}", None),
        ("{dots.in.key}", "d"), ("{list.x}", None),
    ],
)  # fmt: skip
def test_a_template_finds_values_by_path(template: str, text: str | None) -> None:
    item = {"a": 1, "b": {"c": "two"}, "list": ["x", "y"], "t": True, "null": None, "dots.in": {"key": "d"}}
    assert render(template, item) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sources: {a b: {fields: {title: t, owner: o, description: d}}}", "cannot be a source"),
        ("sources: {x: {fields: {title: t}}}", "where description, owner come from"),
        ("sources: {x: {fields: {titel: t, title: t, owner: o, description: d}}}", "titel: no field of an alert"),
        ("sources: {x: {fields: {title: '{a', owner: o, description: d}}}", "sources.x.fields.title.from: has a brace"),
        ("sources: {x: {fields: {title: '{a|}', owner: o, description: d}}}", "names no path"),
        ("sources: {x: {fields: {title: {from: a, as: date}, owner: o, description: d}}}", "sources.x.fields.title.as"),
        ("sources: {x: {feilds: {}}}", "sources.x.feilds: unknown key"),
        ("sources: {x: {fields: []}}", "sources.x.fields"),
    ],
)
def test_a_mistake_in_the_mapping_names_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_yaml(path, Sources)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_time_that_is_none_is_kept_beside_the_alert() -> None:
    mapping = SourceMapping.model_validate(
        {"fields": {"owner": "o", "title": "t", "description": "d", "event_time": {"from": "{at}", "as": "epoch"}}}
    )
    for given in ("soon", "2026-03-03T12:00:00", "nan", "inf", "-1e30"):
        (value,) = map_payload("x", mapping, {"at": given})
        assert ("event_time" in value, value["context"]) == (False, {"not_understood": {"event_time": given}}), given
