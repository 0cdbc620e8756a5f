from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages import AuthResult
from services.auth_poller.duo_results import (
    advice,
    interpret_auth,
    interpret_preauth,
    interpret_refusal,
    interpret_status,
)
from services.auth_poller.port import Prepared, Settled

_RESULTS = ["allow", "deny", "waiting", "enroll", "auth"]
_WORDS = st.sampled_from([*_RESULTS, "bypass", "fraud", "timeout", "locked_out", "push_failed", "sent"])
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_STATUS = st.dictionaries(st.sampled_from(["result", "status", "status_msg", "success", "x"]), _ANYTHING)
_PREAUTH = st.dictionaries(st.sampled_from(["result", "devices", "txid", "verification_code"]), _ANYTHING)
_PUSH = {"devices": [{"capabilities": ["auto", "push"]}]}


@given(_STATUS | _ANYTHING)
def test_nothing_but_an_allow_for_the_reason_allow_is_proof(response: Any) -> None:
    settled = interpret_status(response)
    if settled is not None and settled.result is AuthResult.APPROVED:
        assert response["result"] == "allow"
        assert response["status"] == "allow"


@given(_PREAUTH | _ANYTHING)
def test_preauth_never_proves_anything(response: Any) -> None:
    answer = interpret_preauth(response)
    if isinstance(answer, Settled):
        assert answer.result in (AuthResult.UNPROVED, AuthResult.UNAVAILABLE)
        assert answer.detail.isprintable()
        assert len(answer.detail) <= 120
    else:
        assert response["result"] == "auth"
        assert (answer.transaction is None) == (answer.code is None)


@given(st.integers(100, 599), _ANYTHING, _ANYTHING)
def test_no_error_answer_is_proof(status: int, code: Any, about: Any) -> None:
    settled = interpret_refusal(status, code, about)
    assert settled is None or settled.result is AuthResult.UNAVAILABLE


@pytest.mark.parametrize(
    ("result", "status", "expected"),
    [
        ("allow", "allow", AuthResult.APPROVED),
        ("allow", "bypass", AuthResult.UNPROVED),
        ("deny", "deny", AuthResult.DENIED),
        ("deny", "fraud", AuthResult.FRAUD),
        ("deny", "timeout", AuthResult.TIMED_OUT),
        ("waiting", "timeout", AuthResult.TIMED_OUT),
        ("allow", "timeout", AuthResult.TIMED_OUT),
        ("deny", "locked_out", AuthResult.UNAVAILABLE),
        ("waiting", "push_failed", AuthResult.PUSH_FAILED),
    ],
)
def test_each_status_has_its_result(result: str, status: str, expected: AuthResult) -> None:
    assert interpret_status({"result": result, "status": status}) == Settled(expected, status)


@pytest.mark.parametrize("status", ["pushed", "calling", "answered", "", "something new", None])
def test_a_push_that_waits_is_not_settled(status: str | None) -> None:
    assert interpret_status({"result": "waiting", "status": status}) is None


@pytest.mark.parametrize(
    "response",
    [
        {"result": "allow", "status": "trusted_device"},
        {"result": "allow"},
        {"result": "deny", "status": "sent"},
        {"result": "yes", "status": "allow"},
        {"success": True, "status": "allow"},
        {},
        [],
        None,
    ],
)
def test_what_is_not_known_to_be_proof_is_none(response: object) -> None:
    settled = interpret_status(response)
    assert settled is not None
    assert settled.result is AuthResult.UNAVAILABLE
    assert settled.detail.startswith("unknown")


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({"result": "auth", **_PUSH}, Prepared()),
        ({"result": "auth", **_PUSH, "txid": "t", "verification_code": "042"}, Prepared("t", "042")),
        ({"result": "auth", **_PUSH, "txid": "t", "verification_code": 421}, Prepared("t", "421")),
        ({"result": "auth", **_PUSH, "txid": "t"}, Prepared()),
        ({"result": "allow"}, Settled(AuthResult.UNPROVED, "preauth_allow")),
        ({"result": "enroll"}, Settled(AuthResult.UNPROVED, "enroll")),
        ({"result": "deny"}, Settled(AuthResult.UNAVAILABLE, "preauth_deny")),
        ({"result": "auth"}, Settled(AuthResult.UNAVAILABLE, "no_push_device")),
        ({"result": "auth", "devices": "push"}, Settled(AuthResult.UNAVAILABLE, "no_push_device")),
        (
            {"result": "auth", "devices": [{"capabilities": "push"}, {"capabilities": ["sms"]}, 7]},
            Settled(AuthResult.UNAVAILABLE, "no_push_device"),
        ),
    ],
)
def test_preauth_tells_who_can_be_pushed(response: object, expected: Prepared | Settled) -> None:
    assert interpret_preauth(response) == expected


@pytest.mark.parametrize(
    "fields",
    [{"txid": None}, {"txid": 7}, {"txid": "t" * 256}, {"verification_code": "1" * 17}, {"verification_code": ""}],
)
def test_a_verified_push_that_cannot_be_shown_is_not_sent(fields: dict[str, object]) -> None:
    answer = interpret_preauth({"result": "auth", **_PUSH, "txid": "t", "verification_code": "042"} | fields)
    assert isinstance(answer, Settled)
    assert answer.result is AuthResult.UNAVAILABLE


def test_a_started_push_has_a_transaction() -> None:
    assert interpret_auth({"txid": "t"}) == "t"
    assert [interpret_auth(response) for response in ({}, {"txid": ""}, {"txid": 7}, "t", None)] == [None] * 5


@pytest.mark.parametrize(
    ("status", "code", "about", "expected"),
    [
        (500, 50000, None, None),
        (503, None, None, None),
        (429, 42901, None, None),
        (200, None, None, None),
        (401, 40102, None, "wrong_keys"),
        (401, 40103, None, "wrong_keys"),
        (401, 40105, None, "clock_skew"),
        (403, 40301, None, "wrong_application"),
        (400, 40002, "username", "unknown_user"),
        (400, 40002, "device", "refused 40002 device"),
        (404, None, None, "refused 404"),
        (400, "a\nb", "\x1b[31m\u202e" + "x" * 90, f"refused a b [31m{'x' * 35}…"),
    ],
)
def test_an_error_answer_settles_what_asking_again_does_not_help(
    status: int, code: object, about: object, expected: str | None
) -> None:
    settled = interpret_refusal(status, code, about)
    assert settled == (None if expected is None else Settled(AuthResult.UNAVAILABLE, expected))


def test_what_an_operator_can_repair_has_advice_and_nothing_else_has() -> None:
    assert all(advice(detail) for detail in ("wrong_keys", "clock_skew", "wrong_application"))
    assert advice("unknown_user") is None
