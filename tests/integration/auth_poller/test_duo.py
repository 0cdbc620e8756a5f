"""The real duo_client against the fake Duo, over TLS."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from common.errors import ConfigurationError
from common.messages import AuthResult
from common.settings import load_settings
from services.auth_poller.duo import PUSH_OPEN, DuoAuthenticator, from_settings
from services.auth_poller.port import AuthTemporary, Prepared, Settled, Started
from tests.fakes.duo import STATUSES, Failure, FakeDuo
from tests.integration.auth_poller.conftest import a_request

pytestmark = pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS is deprecated:DeprecationWarning")


def _adapter(duo: FakeDuo, **settings: str) -> DuoAuthenticator:
    names = {f"SECURITYBOT_{name.upper()}": value for name, value in settings.items()}
    return from_settings(load_settings(duo.settings() | names, dotenv=None))


def _push(duo: FakeDuo) -> tuple[DuoAuthenticator, str]:
    adapter = _adapter(duo)
    started = adapter.start(a_request(), Prepared())
    assert isinstance(started, Started)
    return adapter, started.transaction


def _result(adapter: DuoAuthenticator, transaction: str) -> Settled:
    for _ in range(10):
        if settled := adapter.poll(transaction, 5):
            return settled
    raise AssertionError("no result")


def test_a_push_shows_the_alert_and_is_approved(duo: FakeDuo) -> None:
    duo.add_user("ada")
    adapter = _adapter(duo)
    request = a_request(title="sudo on déjà-vu & more\x00", facts=(("Host", "db-7 = ☎"), ("Request", "r1")))
    prepared = adapter.prepare(request)
    assert prepared == Prepared()
    started = adapter.start(request, prepared)
    assert isinstance(started, Started)
    assert started.code is None
    assert adapter.poll(started.transaction, 5) is None
    duo.answer("ada", "allow")
    assert _result(adapter, started.transaction) == Settled(AuthResult.APPROVED, "allow")
    [push] = duo.pushes
    assert push.pushinfo == {"Alert": "sudo on déjà-vu & more", "Host": "db-7 = ☎", "Request": "r1"}
    assert push.type == "Security alert"


def test_a_verified_push_uses_the_transaction_and_shows_the_code_that_preauth_gave(duo: FakeDuo) -> None:
    duo.add_user("ada", verified=True)
    adapter = _adapter(duo)
    prepared = adapter.prepare(a_request())
    assert isinstance(prepared, Prepared)
    assert prepared.transaction is not None
    started = adapter.start(a_request(), prepared)
    assert started == Started(prepared.transaction, duo.code_of(prepared.transaction), open_for=PUSH_OPEN)
    assert started.code is not None
    assert duo.pushes[0].verified


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("allow", AuthResult.APPROVED),
        ("bypass", AuthResult.UNPROVED),
        ("deny", AuthResult.DENIED),
        ("fraud", AuthResult.FRAUD),
        ("timeout", AuthResult.TIMED_OUT),
        ("timeout_waiting", AuthResult.TIMED_OUT),
        ("locked_out", AuthResult.UNAVAILABLE),
        ("push_failed", AuthResult.PUSH_FAILED),
    ],
)
def test_every_end_of_a_push_is_told_apart(duo: FakeDuo, status: str, expected: AuthResult) -> None:
    duo.add_user("ada")
    adapter, transaction = _push(duo)
    duo.answer("ada", status)
    assert _result(adapter, transaction) == Settled(expected, STATUSES[status][1])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"preauth": "allow"}, Settled(AuthResult.UNPROVED, "preauth_allow")),
        ({"preauth": "deny"}, Settled(AuthResult.UNAVAILABLE, "preauth_deny")),
        ({"preauth": "enroll"}, Settled(AuthResult.UNPROVED, "enroll")),
        ({"capabilities": ("auto", "sms")}, Settled(AuthResult.UNAVAILABLE, "no_push_device")),
        ({"capabilities": ()}, Settled(AuthResult.UNAVAILABLE, "no_push_device")),
    ],
)
def test_who_cannot_be_pushed_is_settled_by_preauth(duo: FakeDuo, how: dict[str, object], expected: Settled) -> None:
    duo.add_user("ada", **how)
    assert _adapter(duo).prepare(a_request()) == expected
    assert duo.pushes == []


def test_a_person_whom_duo_does_not_know_is_no_proof(duo: FakeDuo) -> None:
    assert _adapter(duo).prepare(a_request()) == Settled(AuthResult.UNPROVED, "enroll")
    assert _adapter(duo).start(a_request(), Prepared()) == Settled(AuthResult.UNAVAILABLE, "unknown_user")


@pytest.mark.parametrize(
    ("settings", "detail"), [({"duo_skey": "wrong"}, "wrong_keys"), ({"duo_ikey": "DIWRONG"}, "wrong_keys")]
)
def test_wrong_keys_are_unavailable_and_the_log_says_what_to_do_without_the_key(
    duo: FakeDuo, settings: dict[str, str], detail: str
) -> None:
    duo.add_user("ada")
    adapter = _adapter(duo, **settings)
    with capture_logs() as logs:
        assert adapter.prepare(a_request()) == Settled(AuthResult.UNAVAILABLE, detail)
    [line] = logs
    assert line["log_level"] == "error"
    assert "SECURITYBOT_DUO_SKEY" in line["advice"]
    assert duo.skey not in str(line)
    assert "wrong'" not in str(line)


def test_a_clock_that_is_off_is_unavailable_and_the_check_says_so(duo: FakeDuo) -> None:
    duo.add_user("ada")
    duo.clock_offset = 600
    assert _adapter(duo).prepare(a_request()) == Settled(AuthResult.UNAVAILABLE, "clock_skew")
    assert "clock" in str(_adapter(duo).check())


@pytest.mark.parametrize("mode", ["500", "503", "429", "lost", "garbage"])
def test_a_failed_preauth_may_be_repeated(duo: FakeDuo, mode: Failure) -> None:
    duo.add_user("ada")
    duo.fail_next("preauth", mode)
    with pytest.raises(AuthTemporary) as caught:
        _adapter(duo).prepare(a_request())
    assert not caught.value.may_have_started
    assert _adapter(duo).prepare(a_request()) == Prepared()


@pytest.mark.parametrize("mode", ["500", "503", "lost", "garbage"])
def test_a_push_whose_answer_is_lost_may_have_started(duo: FakeDuo, mode: Failure) -> None:
    duo.add_user("ada")
    duo.fail_next("auth", mode)
    with pytest.raises(AuthTemporary) as caught:
        _adapter(duo).start(a_request(), Prepared())
    assert caught.value.may_have_started


def test_a_push_that_was_rate_limited_has_not_started_and_the_client_does_not_sleep(duo: FakeDuo) -> None:
    duo.add_user("ada")
    duo.fail_next("auth", "429")
    with pytest.raises(AuthTemporary, match="42901") as caught:  # a client that slept would have asked again by itself
        _adapter(duo).start(a_request(), Prepared())
    assert not caught.value.may_have_started
    assert duo.calls.count("auth") == 1
    assert duo.pushes == []


def test_a_duo_that_is_away_has_started_nothing() -> None:
    adapter = DuoAuthenticator("DI", "key", "localhost", 1)
    with pytest.raises(AuthTemporary, match="cannot be reached") as caught:
        adapter.start(a_request(), Prepared())
    assert not caught.value.may_have_started
    assert "cannot be reached" in str(adapter.check())


def test_a_server_with_another_authority_is_sent_nothing(duo: FakeDuo) -> None:
    duo.add_user("ada")
    adapter = DuoAuthenticator(duo.ikey, duo.skey, duo.host, duo.port)  # trusts Duo's own authorities only
    with pytest.raises(AuthTemporary, match="CERTIFICATE_VERIFY_FAILED") as caught:
        adapter.start(a_request(), Prepared())
    assert not caught.value.may_have_started
    assert duo.calls == []


def test_a_long_poll_ends_when_the_caller_has_no_more_time(duo: FakeDuo) -> None:
    duo.add_user("ada")
    duo.poll_seconds = 30
    adapter, transaction = _push(duo)
    assert adapter.poll(transaction, 5) is None  # tells `pushed` at once
    began = time.monotonic()
    assert adapter.poll(transaction, 1) is None
    assert time.monotonic() - began < 15


def test_an_expired_long_poll_is_polled_again(duo: FakeDuo) -> None:
    duo.add_user("ada")
    duo.expired_poll = "40002"
    duo.poll_seconds = 0.05
    adapter, transaction = _push(duo)
    assert adapter.poll(transaction, 5) is None
    with pytest.raises(AuthTemporary, match="expired"):
        adapter.poll(transaction, 5)
    duo.answer("ada", "allow")
    assert adapter.poll(transaction, 5) == Settled(AuthResult.APPROVED, "allow")


def test_an_alert_as_long_as_it_may_be_still_makes_a_push(duo: FakeDuo) -> None:
    duo.add_user("ada")
    facts = tuple((f"Fact {number}", "☎" * 3000) for number in range(30))
    assert isinstance(_adapter(duo).start(a_request(title="☠" * 255, facts=facts), Prepared()), Started)
    assert len(quote(str(duo.pushes[0].pushinfo))) > 5_000


def test_the_check_is_content_with_right_keys_and_names_what_is_wrong(duo: FakeDuo) -> None:
    assert _adapter(duo).check() is None
    assert "SECURITYBOT_DUO_SKEY" in str(_adapter(duo, duo_skey="wrong").check())
    duo.fail_next("check", "refuse")
    assert "Auth API" in str(_adapter(duo).check())
    duo.fail_next("check", "500")
    assert "50000" in str(_adapter(duo).check())


@pytest.mark.parametrize("host", ["https://api-1.example.com", "api:port", "api:1:2", "api/x", "a b"])
def test_a_host_that_is_none_is_a_settings_error(duo: FakeDuo, host: str) -> None:
    with pytest.raises(ConfigurationError, match="SECURITYBOT_DUO_HOST"):
        _adapter(duo, duo_host=host)


def test_a_ca_file_that_is_not_there_is_a_settings_error(duo: FakeDuo) -> None:
    with pytest.raises(ConfigurationError, match="SECURITYBOT_DUO_CA_FILE"):
        _adapter(duo, duo_ca_file="/nowhere/ca.pem")
