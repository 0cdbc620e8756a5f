"""The poller and the real duo_client together: restarts, outages, and many pushes at once."""

from __future__ import annotations

from collections import Counter

import pytest

from common.messages import AuthResult
from common.settings import load_settings
from services.auth_poller import requests
from services.auth_poller.duo import DuoAuthenticator, from_settings
from services.auth_poller.poller import Poller
from services.auth_poller.port import State
from tests.fakes.duo import FakeDuo
from tests.integration.auth_poller.conftest import Bench, a_start
from tests.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS is deprecated:DeprecationWarning")

MANY = 500


def _adapter(duo: FakeDuo) -> DuoAuthenticator:
    return from_settings(load_settings(duo.settings(), dotenv=None))


def _ask(bench: Bench, poller: Poller, *request_ids: str, instance: str = "one") -> None:
    fresh = bench.transactions().run(
        lambda work: requests.insert_new(work, [a_start(request_id, 300) for request_id in request_ids], instance)
    )
    poller.offer(fresh)


def _pushes(duo: FakeDuo) -> Counter[str]:
    return Counter(push.pushinfo["Request"] for push in duo.pushes)


def test_a_restart_goes_on_polling_and_sends_no_second_push(bench: Bench, duo: FakeDuo) -> None:
    duo.add_user("ada", verified=True)
    poller = bench.run(_adapter(duo), "one")
    _ask(bench, poller, "r1")
    eventually(lambda: duo.open_polls == 1)
    poller.stop()
    eventually(lambda: duo.open_polls == 0)
    bench.lapse()
    bench.run(_adapter(duo), "two")
    eventually(lambda: duo.open_polls == 1)
    duo.answer("ada", "allow")
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.APPROVED
    assert bench.bus.started()[0].code is not None
    assert _pushes(duo) == {"r1": 1}


def test_a_kill_between_duos_answer_and_our_note_of_it_sends_no_second_push(bench: Bench, duo: FakeDuo) -> None:
    duo.add_user("ada", answers="allow")
    request = a_start()
    bench.transactions().run(lambda work: requests.insert_new(work, [request], "killed"))
    bench.transactions().run(lambda work: requests.begin_asking(work, "r1", "killed"))
    [fresh] = [bench.transactions().run(lambda work: requests.load(work, "r1"))]
    assert fresh is not None
    adapter = _adapter(duo)
    prepared = adapter.prepare(fresh)
    adapter.start(fresh, prepared)  # type: ignore[arg-type]  # ada can be pushed
    bench.lapse()
    bench.run(_adapter(duo), "two")
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].detail == "interrupted"
    assert _pushes(duo) == {"r1": 1}


def test_a_lost_answer_of_duo_sends_no_second_push(bench: Bench, duo: FakeDuo) -> None:
    duo.add_user("ada", answers="allow")
    duo.fail_next("auth", "lost")
    _ask(bench, bench.run(_adapter(duo)), "r1")
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.UNAVAILABLE
    assert _pushes(duo) == {"r1": 1}


def test_a_duo_that_stutters_is_asked_again_until_it_answers(bench: Bench, duo: FakeDuo) -> None:
    duo.add_user("ada", answers="allow", after=0.1)
    duo.fail_next("preauth", "503")
    duo.fail_next("auth", "429")
    duo.fail_next("auth_status", "500")
    _ask(bench, bench.run(_adapter(duo)), "r1")
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.APPROVED
    assert _pushes(duo) == {"r1": 1}


@pytest.mark.timeout(500)
@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
def test_five_hundred_pushes_are_in_flight_at_once(bench: Bench, duo: FakeDuo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.auth_poller.duo.LONG_POLL_SECONDS", 300.0)  # none is over before the last has begun
    duo.poll_seconds = duo.push_seconds = 300
    duo.add_user("ada")
    poller = bench.run(_adapter(duo))
    _ask(bench, poller, *(f"r{number}" for number in range(MANY)))
    eventually(lambda: duo.open_polls == MANY, timeout=200, every=0.5)
    assert Counter(bench.states()) == {State.ASKED.value: MANY}
    assert poller.in_flight() == MANY
    duo.answer("ada", "allow")
    eventually(lambda: len(bench.bus.settled()) == MANY, timeout=200, every=0.5)
    assert {settled.result for settled in bench.bus.settled()} == {AuthResult.APPROVED}
    assert set(_pushes(duo).values()) == {1}
    assert len(_pushes(duo)) == MANY
