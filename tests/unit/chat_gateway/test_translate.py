"""Whose words and clicks count."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chat_gateway.port import Attempt, Person, Reply
from services.chat_gateway.slack.translate import MOST_TEXT, Ignored, Own, click, event, person, plain

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
OWN = Own("U0BOT", "B0BOT")
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from([
    "type", "event", "event_id", "user", "id", "text", "channel", "channel_type", "subtype", "ts", "actions",
    "action_id", "value", "state", "values", "message", "bot_id", "trigger_id", "profile", "name", "email", "tz",
    "action_ts", "team_id", "is_stranger", "enterprise_user", "enterprise_id",
])  # fmt: skip
WORDS = st.sampled_from([
    "message", "event_callback", "block_actions", "im", "button", "U1", "D1", "B0BOT", "user_change", "1772539200.5",
    "99999999999.9", "\ud800", "plain_text_input",
])  # fmt: skip
SHAPED = st.recursive(
    JSON | WORDS,
    lambda inner: st.dictionaries(FIELDS, inner, max_size=8) | st.lists(inner, max_size=3),
    max_leaves=30,
)


def a_message(**fields: Any) -> dict[str, Any]:
    inner = {"type": "message", "channel_type": "im", "user": "U1", "text": "yes", "ts": "1772539000.000100"}
    return {"type": "event_callback", "event_id": "Ev1", "event": {**inner, **fields}}


def a_click(**fields: Any) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "user": {"id": "U1"},
        "channel": {"id": "D1"},
        "message": {"bot_id": "B0BOT"},
        "trigger_id": "1.2.3",
        "state": {"values": {"comment": {"comment_text": {"type": "plain_text_input", "value": "my job"}}}},
        "actions": [{"type": "button", "action_id": "yes", "value": "q-1", "action_ts": "1772539000.000100"}],
        **fields,
    }


def reply(result: object) -> Reply:
    assert isinstance(result, Reply), result
    return result


@given(st.one_of(JSON, SHAPED))
def test_no_payload_breaks_the_translation(payload: object) -> None:
    for result in (event(payload, OWN, NOW), click(payload, OWN, NOW)):
        assert isinstance(result, Reply | Person | Attempt | Ignored)
        if isinstance(result, Reply):
            assert len(result.message.text) <= MOST_TEXT
            assert result.message.received_at <= NOW
            result.message.model_dump_json()


def test_a_persons_direct_message_is_a_reply_by_that_person() -> None:
    message = reply(event(a_message(), OWN, NOW)).message
    assert (message.person_id, message.text, message.action, message.subject) == ("U1", "yes", None, None)
    assert message.received_at == datetime(2026, 3, 3, 11, 56, 40, 100, tzinfo=UTC)


def test_words_in_a_thread_say_under_which_message() -> None:
    assert reply(event(a_message(), OWN, NOW)).message.thread is None
    assert reply(event(a_message(thread_ts="170.000100"), OWN, NOW)).message.thread == "170.000100"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"user": "U0BOT"}, "our own"),
        ({"bot_id": "B0BOT"}, "our own"),
        ({"subtype": "message_changed", "message": {"user": "U0BOT", "bot_id": "B0BOT", "edited": {}}}, "notice"),
        ({"subtype": "message_changed", "message": {"user": "U1", "text": "a link unfolds"}}, "notice"),
        ({"subtype": "message_deleted", "previous_message": {"user": "U0BOT"}}, "notice"),
        ({"subtype": "channel_join"}, "notice"),
        ({"hidden": True}, "notice"),
        ({"channel_type": "channel"}, "not a direct message"),
        ({"channel_type": "mpim"}, "not a direct message"),
        ({"text": "  "}, "no words"),
        ({"user": None}, "incomplete message"),
        ({"type": "reaction_added"}, "other event"),
    ],
)
def test_what_is_not_a_persons_own_direct_message_is_ignored(fields: dict[str, Any], reason: str) -> None:
    assert event(a_message(**fields), OWN, NOW) == Ignored(reason)


@pytest.mark.parametrize(
    ("fields", "attempt"),
    [
        ({"bot_id": "B1"}, Attempt("by a bot", "U1")),
        ({"bot_id": "B1", "user": None, "subtype": "bot_message"}, Attempt("by a bot", "B1")),
        ({"app_id": "A1"}, Attempt("by a bot", "U1")),
        ({"subtype": "message_changed"}, Attempt("edited or deleted", "U1")),
        ({"subtype": "message_changed", "message": {"user": "U2", "edited": {}}}, Attempt("edited or deleted", "U2")),
        ({"subtype": "message_deleted", "previous_message": {"user": "U2"}}, Attempt("edited or deleted", "U2")),
    ],
)
def test_what_might_pass_for_an_answer_is_told_as_an_attempt(fields: dict[str, Any], attempt: Attempt) -> None:
    assert event(a_message(**fields), OWN, NOW) == attempt


def test_words_beside_a_screenshot_count() -> None:
    assert reply(event(a_message(subtype="file_share"), OWN, NOW)).message.text == "yes"


@pytest.mark.parametrize("subtype", ["thread_broadcast", "me_message"])
def test_words_that_were_also_sent_to_the_conversation_are_words(subtype: str) -> None:
    assert reply(event(a_message(subtype=subtype, thread_ts="1.2"), OWN, NOW)).message.thread == "1.2"


def test_the_same_event_has_the_same_id_and_another_has_another() -> None:
    first, again = reply(event(a_message(), OWN, NOW)), reply(event(a_message(), OWN, NOW))
    other = reply(event(a_message() | {"event_id": "Ev2"}, OWN, NOW))
    assert first.id == again.id != other.id


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("a &amp; b &lt;c&gt;", "a & b <c>"),
        ("see <https://example.com/x|example.com/x>", "see example.com/x"),
        ("see <https://example.com/x>", "see https://example.com/x"),
        ("<@U1> told <!here>", "@U1 told here"),
        ("&amp;lt;", "&lt;"),
    ],
)
def test_slacks_own_spelling_is_undone(typed: str, read: str) -> None:
    assert plain(typed) == read


def test_a_very_long_message_is_cut() -> None:
    assert len(reply(event(a_message(text="x" * 20_000), OWN, NOW)).message.text) == MOST_TEXT


@pytest.mark.parametrize("stamp", ["later", None, 5, "99999999999.000000"])
def test_a_time_that_cannot_be_is_now(stamp: object) -> None:
    assert reply(event(a_message(ts=stamp), OWN, NOW)).message.received_at == NOW


def test_a_click_carries_action_subject_and_comment_of_the_clicker() -> None:
    message = reply(click(a_click(), OWN, NOW)).message
    assert (message.person_id, message.action, message.subject, message.text) == ("U1", "yes", "q-1", "my job")


def test_a_click_without_a_comment_has_no_words() -> None:
    state = {"values": {"comment": {"comment_text": {"type": "plain_text_input", "value": None}}}}
    assert reply(click(a_click(state=state), OWN, NOW)).message.text == ""


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"channel": {"id": "C1"}}, "click outside direct messages"),
        ({"message": {"bot_id": "B1"}}, "click in a message that is not ours"),
        ({"message": {}}, "click in a message that is not ours"),
        ({"user": {}}, "incomplete click"),
        ({"trigger_id": None}, "incomplete click"),
        ({"actions": []}, "incomplete click"),
        ({"actions": [{"type": "button", "action_id": ""}]}, "incomplete click"),
        ({"actions": [{"type": "plain_text_input", "action_id": "yes"}]}, "incomplete click"),
    ],
)
def test_what_is_not_a_click_in_our_own_direct_message_is_an_attempt(fields: dict[str, Any], reason: str) -> None:
    assert click(a_click(**fields), OWN, NOW) == Attempt(reason, None if "user" in fields else "U1")


def test_other_interactions_are_ignored() -> None:
    assert click(a_click(type="view_submission"), OWN, NOW) == Ignored("other interaction")


def test_a_click_delivered_twice_has_one_id_and_a_second_click_another() -> None:
    first, again = reply(click(a_click(), OWN, NOW)), reply(click(a_click(), OWN, NOW))
    assert first.id == again.id != reply(click(a_click(trigger_id="4.5.6"), OWN, NOW)).id


def test_a_newcomer_is_a_person_with_names_in_lower_case() -> None:
    user = {
        "id": "U2",
        "name": "Bob",
        "tz": "Europe/Rome",
        "profile": {"email": "Bob@Example.com", "display_name": "B"},
    }
    payload = {"event": {"type": "team_join", "user": user}}
    assert event(payload, OWN, NOW) == Person("U2", "bob", "bob@example.com", "B", "Europe/Rome", None, active=True)


@pytest.mark.parametrize("fields", [{"deleted": True}, {"is_bot": True}, {"id": "USLACKBOT"}])
def test_bots_and_who_has_left_are_not_active(fields: dict[str, Any]) -> None:
    somebody = person({"id": "U2", "name": "x"} | fields, OWN)
    assert somebody is not None
    assert somebody.active is False


WORKSPACE = Own("U0BOT", "B0BOT", "T1")
GRID = Own("U0BOT", "B0BOT", "T1", "E1")


@pytest.mark.parametrize(
    ("own", "fields", "active"),
    [
        (WORKSPACE, {"team_id": "T1"}, True),
        (WORKSPACE, {"team_id": "T1", "is_stranger": False}, True),
        (WORKSPACE, {}, True),
        (WORKSPACE, {"team_id": 5}, True),
        (WORKSPACE, {"team_id": "T2"}, False),
        (WORKSPACE, {"team_id": "T2", "is_stranger": False}, False),
        (WORKSPACE, {"team_id": "T2", "enterprise_user": {"enterprise_id": "E2"}}, False),
        (WORKSPACE, {"team_id": "T2", "enterprise_user": {"enterprise_id": ""}}, False),
        (WORKSPACE, {"is_stranger": True}, False),
        (GRID, {"team_id": "T1", "enterprise_user": {"enterprise_id": "E1"}}, True),
        (GRID, {"team_id": "T2", "enterprise_user": {"enterprise_id": "E1"}}, True),
        (GRID, {"team_id": "T2", "enterprise_user": {"enterprise_id": "E2"}}, False),
        (GRID, {"team_id": "T2", "enterprise_user": "E1"}, False),
        (GRID, {"team_id": "T2"}, False),
    ],
)
def test_people_of_other_organisations_are_not_active_however_they_are_told(
    own: Own, fields: dict[str, Any], active: bool
) -> None:
    user = {"id": "U2", "name": "x"} | fields
    for told in (person(user, own), event({"event": {"type": "user_change", "user": user}}, own, NOW)):
        assert isinstance(told, Person)
        assert told.active is active


def test_a_user_without_an_id_is_nobody() -> None:
    assert event({"event": {"type": "user_change", "user": {"name": "x"}}}, OWN, NOW) == Ignored("not a person")
