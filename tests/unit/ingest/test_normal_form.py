"""The normal form: what is taken, what is refused, and that it is the same however it was written."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.alert_form import MAX_BODY, parse_rfc3339, read_alert, to_alert, to_body
from common.alerts import Alert, Severity
from common.errors import BadMessage

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
VALID = {"owner": "alice", "title": "sudo", "description": "You ran sudo on db-7"}


def read(value: object, *, routing_key: str = "alert.osquery", message_id: str | None = None) -> Alert:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_alert(body, routing_key=routing_key, message_id=message_id, received_at=NOW)


def refusal(value: object, **how: Any) -> str:
    with pytest.raises(BadMessage) as caught:
        read(value, **how)
    return caught.value.reason


def test_the_least_that_an_alert_needs_is_owner_title_and_description() -> None:
    alert = read(VALID)
    assert (alert.owner, alert.title, alert.description) == ("alice", "sudo", "You ran sudo on db-7")
    assert (alert.severity, alert.source, alert.event_time) == (Severity.MEDIUM, "osquery", NOW)
    assert (alert.reason, alert.url, alert.context) == (None, None, None)


def test_everything_that_an_alert_may_have_is_kept() -> None:
    alert = read(
        VALID
        | {
            "hash": "AB" * 32,
            "reason": " because ",
            "url": "https://siem.example/1?q=a",
            "event_time": "2026-03-03T13:00:00.5+02:00",
            "severity": "critical",
            "source": "edr",
            "context": {"pid": [1, 2.5, None, True], "big": 2**80},
        }
    )
    assert alert.hash == "ab" * 32
    assert alert.reason == "because"
    assert alert.event_time == datetime(2026, 3, 3, 11, 0, 0, 500000, tzinfo=UTC)
    assert (alert.severity, alert.source) == (Severity.CRITICAL, "edr")
    assert alert.context == {"pid": [1, 2.5, None, True], "big": 2**80}


@pytest.mark.parametrize("name", ["ldap", "username"])
def test_ldap_and_username_are_read_as_owner(name: str) -> None:
    value = {"title": "t", "description": "d", name: "alice"}
    assert read(value).owner == "alice"
    assert read(value).hash == read({"title": "t", "description": "d", "owner": "alice"}).hash


def test_an_owner_given_twice_is_taken_when_both_agree_and_refused_when_not() -> None:
    assert read(VALID | {"ldap": "alice"}).owner == "alice"
    assert "owner and ldap say different things" in refusal(VALID | {"ldap": "bob"})


def test_null_and_empty_optional_fields_are_absent() -> None:
    assert read(VALID | {"reason": None, "url": "", "severity": None}) == read(VALID)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"owner": None}, "owner: missing"),
        ({"owner": "   "}, "owner: is only white space"),
        ({"owner": "x" * 256}, "owner: has 256 characters, at most 255"),
        ({"owner": 7}, "owner: must be a string, is a number"),
        ({"title": ""}, "title: missing"),
        ({"title": "x" * 256}, "title: has 256"),
        ({"title": ["x"]}, "title: must be a string, is a list"),
        ({"description": "x" * 1025}, "description: has 1025"),
        ({"reason": "x" * 16385}, "reason: has 16385"),
        ({"url": "ftp://x"}, "url: must be an http"),
        ({"url": "https://"}, "url: must be an http"),
        ({"url": "https://a b"}, "url: must be an http"),
        ({"url": "http://[::1"}, "url: must be an http"),
        ({"url": "http://a:99999/"}, "url: must be an http"),
        ({"url": "https://a/" + "x" * 2040}, "url: has 2050"),
        ({"source": "x" * 65}, "source: has 65"),
        ({"severity": "urgent"}, "severity: must be one of low, medium, high, critical"),
        ({"severity": 3}, "severity: must be a string"),
        ({"event_time": "yesterday"}, "event_time: must be RFC 3339"),
        ({"event_time": 1772539200}, "event_time: must be a string"),
        ({"hash": "abc"}, "hash: must be 64 hex digits"),
        ({"context": [1]}, "context: must be an object, is a list"),
        ({"title": "a\0b"}, "title: holds a NUL"),
        ({"title": "\ud800"}, "title: holds half a surrogate pair"),
        ({"context": {"a": ["\ud800"]}}, "context: holds half a surrogate pair"),
        ({"context": {"a\0": 1}}, "context: holds a NUL"),
        ({"context": {"n": 10**300}}, "context: holds an integer of more than 300 digits"),
        ({"reasn": "x"}, "unknown field 'reasn'; put it in context"),
    ],
)
def test_what_is_wrong_is_named_with_its_field(change: dict[str, Any], said: str) -> None:
    assert said in refusal(VALID | change)


def test_everything_that_is_wrong_is_named_at_once() -> None:
    reason = refusal({"owner": 1, "url": "x", "sev": "high"})
    assert all(name in reason for name in ("owner:", "title:", "description:", "url:", "'sev'"))


def test_many_unknown_fields_are_counted_instead_of_listed() -> None:
    reason = refusal(VALID | {f"field{n}": n for n in range(100)})
    assert "and 95 more unknown fields" in reason
    assert len(reason) < 500


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"[]", "must be one JSON object"),
        (b'"alert"', "must be one JSON object"),
        (b'{"owner":"a","owner":"b"}', "the key 'owner' is there twice"),
        (b'{"context":{"a":NaN}}', "NaN is no JSON"),
        (b'{"context":{"a":-Infinity}}', "-Infinity is no JSON"),
        (b"[" * 60000, "nested too deeply"),
        (b'{"a":' * 10000, "nested too deeply"),
        (b'{"context":' + b"1" * 5000 + b"}", "more than 300 digits"),
        (b" " * (MAX_BODY + 1), "65537 bytes; at most 65536"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_place(body: bytes, said: str) -> None:
    assert said in refusal(body)


def test_a_number_that_overflows_to_infinity_is_refused() -> None:
    assert "not finite" in refusal(json.dumps(VALID)[:-1].encode() + b',"context":{"a":1e999}}')


def test_context_may_be_64_levels_deep_and_no_deeper() -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(levels - 1):
            value = {"a": value}
        return value

    assert read(VALID | {"context": nested(64)}).context == nested(64)
    assert "nested too deeply" in refusal(VALID | {"context": nested(65)})


@pytest.mark.parametrize(("key", "source"), [("alert.osquery", "osquery"), ("a.b.c", "c"), ("plain", "plain")])
def test_the_routing_keys_last_word_is_the_source_where_none_is_given(key: str, source: str) -> None:
    assert read(VALID, routing_key=key).source == source


@pytest.mark.parametrize("key", ["", "alert.", "alert." + "x" * 65])
def test_a_routing_key_without_a_usable_word_cannot_stand_for_the_source(key: str) -> None:
    assert "source: missing" in refusal(VALID, routing_key=key)
    assert read(VALID | {"source": "edr"}, routing_key=key).source == "edr"


def test_the_computed_hash_is_the_documented_one() -> None:
    canonical = (
        '{"date":"2026-03-03","description":"Größe \\"1\\"","owner":"alice","source":"osquery","title":"sudo"}'
    ).encode()
    alert = read(VALID | {"description": 'Größe "1"', "severity": "high", "context": {"not": "counted"}})
    assert alert.hash == hashlib.sha256(canonical).hexdigest()


def test_event_time_counts_before_message_id_and_message_id_before_the_date() -> None:
    canonical = {"description": VALID["description"], "owner": "alice", "source": "osquery", "title": "sudo"}

    def digest(**more: str) -> str:
        text = json.dumps(canonical | more, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    assert read(VALID, message_id="m-1").hash == digest(message_id="m-1")
    timed = VALID | {"event_time": "2026-03-03T13:00:00+01:00"}
    assert read(timed, message_id="m-1").hash == digest(event_time="2026-03-03T12:00:00.000000Z")
    assert read(timed, message_id="m-2").hash == read(timed, message_id="m-1").hash


def test_a_message_id_that_is_no_text_is_refused_only_where_it_is_needed() -> None:
    assert "message_id" in refusal(VALID, message_id="\ud800")
    assert read(VALID | {"hash": "0" * 64}, message_id="\ud800").hash == "0" * 64


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-03T12:00:00Z", NOW),
        ("2026-03-03t12:00:00z", NOW),
        ("2026-03-03 12:00:00+00:00", NOW),
        ("2026-03-03T12:00:00.1234567891Z", NOW + timedelta(microseconds=123456)),
        ("2026-03-03T14:30:00+02:30", NOW),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ],
)
def test_rfc_3339_becomes_utc(text: str, moment: datetime) -> None:
    assert parse_rfc3339(text) == moment


@pytest.mark.parametrize(
    "text",
    ["2026-03-03", "2026-03-03T12:00:00", "20260303T120000Z", "2026-W10-2T12:00:00Z", "2026-02-30T12:00:00Z",
     "2026-03-03T12:00:61Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00",
     "9999-12-31T23:59:59Z", "3000-01-01T00:00:00Z",
     "\uff12\uff10\uff12\uff16-03-03T12:00:00Z", "2026-03-03T12:00:00+25:00"],
)  # fmt: skip
def test_what_is_not_rfc_3339_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_rfc3339(text)


def test_the_pinned_body_must_fit_as_well() -> None:
    room = MAX_BODY - len(json.dumps(VALID | {"context": {"x": ""}}, separators=(",", ":")))
    alert = read(json.dumps(VALID | {"context": {"x": "y" * room}}, separators=(",", ":")).encode())
    with pytest.raises(BadMessage, match="at most 65536"):
        to_body(alert)


_text = st.text(min_size=1, max_size=40).filter(lambda text: text.strip() and "\0" not in text)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=12,
)
_alerts = st.fixed_dictionaries(
    {"owner": _text, "title": _text, "description": _text},
    optional={
        "reason": _text,
        "url": st.sampled_from(["https://a.example/x", "http://b:1/?q=%20"]),
        "severity": st.sampled_from([str(severity) for severity in Severity]),
        "source": _text,
        "event_time": st.timedeltas(timedelta(0), timedelta(days=376_000)).map(
            lambda age: (datetime(1970, 1, 1, tzinfo=UTC) + age).isoformat()
        ),
        "context": st.dictionaries(_text, _json, max_size=4),
    },
)


@given(_alerts)
def test_a_normal_form_read_again_is_the_same(value: dict[str, Any]) -> None:
    alert = to_alert(value, routing_key="alert.x", message_id="m", received_at=NOW)
    later = NOW + timedelta(days=3)
    again = read_alert(to_body(alert), routing_key="alert.other", message_id=None, received_at=later)
    assert again == alert.model_copy(update={"received_at": later})


@given(_alerts, st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_nothing(value: dict[str, Any], chance: Any) -> None:
    keys = list(value)
    chance.shuffle(keys)
    assert read(value, message_id="m") == read({key: value[key] for key in keys}, message_id="m")


@given(st.binary(max_size=200), st.text(max_size=20), st.none() | st.text(max_size=20))
def test_arbitrary_bytes_are_an_alert_or_a_bad_message(body: bytes, key: str, message_id: str | None) -> None:
    try:
        alert = read_alert(body, routing_key=key, message_id=message_id, received_at=NOW)
    except BadMessage as error:
        error.reason.encode()
    else:
        assert len(alert.hash) == 64


_anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["owner", "ldap", "title", "description", "url", "hash", "event_time", "source", "context"])
        | st.text(max_size=5),
        _anything,
    )
)
def test_any_object_is_an_alert_or_a_bad_message(value: dict[str, Any]) -> None:
    try:
        alert = to_alert(value, routing_key="alert.x", message_id=None, received_at=NOW)
    except BadMessage as error:
        error.reason.encode()
    else:
        to_body(alert)
