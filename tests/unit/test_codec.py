"""Messages on the wire. `tests/contract/golden` keeps one of each type and version, as an older release wrote it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bus.port import Delivery, Publication
from common.codec import decode, encode
from common.errors import BadMessage
from common.messages import ALL_MESSAGES, LookUpPerson, Message, ReplyReceived
from common.topology import EVENTS

GOLDEN = Path(__file__).parents[1] / "contract" / "golden"
FILES = sorted(GOLDEN.glob("*.json"))


def delivery(**changes: Any) -> Delivery:
    """A delivery as the bus hands it over; a sound look-up unless changed."""
    fields: dict[str, Any] = {
        "queue": "q", "exchange": EVENTS, "body": b'{"handle": "alice"}',
        "message_id": "id", "type": "LookUpPerson", "correlation_id": None, "headers": {"version": 1},
        "content_type": "application/json", "redelivered": False, "tag": None,
    }  # fmt: skip
    fields |= changes
    return Delivery(**({"routing_key": fields["type"]} | fields))


def arrived(publication: Publication) -> Delivery:
    return delivery(
        body=publication.body, message_id=publication.message_id, type=publication.type,
        correlation_id=publication.correlation_id, headers=publication.headers,
    )  # fmt: skip


def from_golden(path: Path) -> Delivery:
    stored = json.loads(path.read_text("utf-8"))
    return delivery(**(stored | {"body": json.dumps(stored["body"]).encode()}))


def contains(whole: Any, part: Any) -> bool:
    """Whether all of `part` is in `whole`; fields that a later release added may be there too."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


@pytest.mark.parametrize("message", ALL_MESSAGES, ids=lambda message: message.type_name())
def test_every_type_has_a_golden_file_of_its_version(message: type[Message]) -> None:
    assert (GOLDEN / f"{message.type_name()}.v{message.version}.json").is_file()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_stored_message_still_says_the_same(path: Path) -> None:
    stored = json.loads(path.read_text("utf-8"))

    envelope = decode(from_golden(path))

    assert type(envelope.message).type_name() == stored["type"]
    assert (envelope.id, envelope.owner) == (stored["message_id"], stored["headers"]["owner"])
    assert envelope.correlation_id == stored["correlation_id"]
    assert contains(envelope.message.model_dump(mode="json", exclude_none=True), without_none(stored["body"]))


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_was_decoded_is_encoded_as_it_came(path: Path) -> None:
    envelope = decode(from_golden(path))

    again = encode(
        envelope.message, message_id=envelope.id, owner=envelope.owner, correlation_id=envelope.correlation_id
    )

    assert decode(arrived(again)) == envelope
    assert (again.exchange, again.routing_key, again.type) == (EVENTS, path.stem.split(".")[0], again.routing_key)
    assert again.mandatory


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.datetimes(timezones=st.just(UTC)))
def test_whatever_a_person_types_survives(text: str, when: datetime) -> None:
    message = ReplyReceived(person_id="U1", text=text, received_at=when)

    envelope = decode(arrived(encode(message, message_id="id", owner="U1", correlation_id=None)))

    assert envelope.message == message


def test_without_an_owner_there_is_no_header_for_it() -> None:
    publication = encode(LookUpPerson(handle="x"), message_id="id", owner=None, correlation_id=None)

    assert dict(publication.headers) == {"version": 1}
    assert decode(arrived(publication)).owner is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"message_id": None}, "message_id is missing"),
        ({"type": None}, "type None version 1 is not one"),
        ({"type": "Nonsense"}, "type 'Nonsense' version 1 is not one"),
        ({"headers": {"version": 99}}, "type 'LookUpPerson' version 99 is not one"),
        ({"headers": {}}, "version None is not one"),
        ({"headers": {"version": "1"}}, "version '1' is not one"),
        ({"body": b"not json"}, "Invalid JSON"),
        ({"body": b"\xff"}, "body: "),
        ({"body": b"[]"}, "body: "),
        ({"body": b"{}"}, "handle: Field required"),
        ({"body": b'{"handle": 3}'}, "handle: Input should be a valid string"),
        ({"body": b'{"handle": "x", "more": 1}'}, "more: Extra inputs"),
    ],
)
def test_what_is_no_message_of_ours_is_refused_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadMessage) as caught:
        decode(delivery(**changes))

    assert reason in caught.value.reason


def test_a_reason_names_every_wrong_field_and_repeats_nothing_of_the_input() -> None:
    body = b'{"person_id": 7, "received_at": "s3cret", "text": ["s3cret"]}'

    with pytest.raises(BadMessage) as caught:
        decode(delivery(type="ReplyReceived", body=body))

    assert all(name in caught.value.reason for name in ("person_id: ", "received_at: ", "text: "))
    assert "s3cret" not in caught.value.reason
