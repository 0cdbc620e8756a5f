"""The poller with a fake second factor: what is done once, what goes on after a kill, and what nobody waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest

from common.errors import DatabaseUnavailable
from common.messages import AuthResult
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.auth_poller import polling, requests
from services.auth_poller.local import LocalAuthenticator
from services.auth_poller.none import NoAuthenticator
from services.auth_poller.poller import Poller
from services.auth_poller.port import AuthTemporary, Settled, Started, State
from tests.integration.auth_poller.conftest import Bench, FakeAuthenticator, a_request, a_start, both
from tests.waiting import eventually

T = TypeVar("T")
APPROVED = Settled(AuthResult.APPROVED, "allow")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "pause_after_failure", lambda _: 0.01)


def _ask(bench: Bench, poller: Poller, *request_ids: str, seconds: float = 30.0, instance: str = "one") -> None:
    """Do what the handler does with `StartAuthentication`."""

    def keep(work: UnitOfWork) -> None:
        fresh = requests.insert_new(work, [a_start(request_id, seconds) for request_id in request_ids], instance)
        work.after_commit(lambda: poller.offer(fresh))

    bench.transactions().run(keep)


@both
def test_an_approved_push_is_told_as_started_and_as_settled_once_each(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.begun = [Started("tx-1", code="042")]
    second_factor.polled = [None, None, APPROVED]
    _ask(bench, bench.run(second_factor), "r1")
    eventually(bench.bus.settled)
    [started], [settled] = bench.bus.started(), bench.bus.settled()
    assert (started.request_id, started.person_id, started.code) == ("r1", "U1", "042")
    assert (settled.request_id, settled.result, settled.detail) == ("r1", AuthResult.APPROVED, "allow")
    assert bench.row("r1").state == State.SETTLED
    assert second_factor.starts == ["r1"]


@both
def test_a_request_that_is_asked_for_twice_is_pushed_once(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    poller = bench.run(second_factor)
    _ask(bench, poller, "r1", "r1")
    _ask(bench, poller, "r1")
    eventually(lambda: bench.states() == ["asked"])
    assert second_factor.starts == ["r1"]


def test_a_request_that_expired_before_it_was_begun_is_not_pushed(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    _ask(bench, bench.run(second_factor), "r1", seconds=-1)
    eventually(bench.bus.settled)
    assert (bench.bus.settled()[0].result, bench.bus.settled()[0].detail) == (
        AuthResult.PUSH_FAILED,
        "not_asked_in_time",
    )
    assert second_factor.starts == second_factor.prepares == []


def test_a_request_whose_time_ran_out_while_it_waited_for_its_turn_is_not_pushed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.auth_poller.poller.STARTS_AT_ONCE", 1)
    second_factor = FakeAuthenticator()
    second_factor.may_start.clear()
    poller = bench.run(second_factor)
    _ask(bench, poller, "slow")
    assert second_factor.in_start.wait(10)
    _ask(bench, poller, "late", seconds=0.5)
    time.sleep(0.6)
    second_factor.may_start.set()
    eventually(bench.bus.settled)
    assert (bench.bus.settled()[0].request_id, bench.bus.settled()[0].detail) == ("late", "not_asked_in_time")
    assert second_factor.starts == ["slow"]


def test_a_push_that_began_late_is_asked_about_until_it_ends(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.begun = [Started("tx-1", open_for=timedelta(seconds=60))]
    _ask(bench, bench.run(second_factor), "r1", seconds=5)
    eventually(lambda: bench.states() == ["asked"])
    assert bench.row("r1").expires_at > bench.clock.now() + timedelta(seconds=30)


def test_nobody_is_pushed_whom_prepare_settles(bench: Bench) -> None:
    _ask(bench, bench.run(NoAuthenticator()), "r1")
    eventually(bench.bus.settled)
    assert (bench.bus.settled()[0].result, bench.bus.settled()[0].detail) == (AuthResult.UNPROVED, "none")
    assert bench.bus.started() == []


def test_failures_before_a_push_are_tried_again(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.prepared = [AuthTemporary("Duo answered 500"), *second_factor.prepared]
    second_factor.begun = [AuthTemporary("Duo answered 42901"), *second_factor.begun]
    second_factor.polled = [AuthTemporary("Duo answered 502"), APPROVED]
    _ask(bench, bench.run(second_factor), "r1")
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.APPROVED


def test_a_push_whose_answer_was_lost_is_not_sent_again(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.begun = [AuthTemporary("Duo did not answer", may_have_started=True)]
    _ask(bench, bench.run(second_factor), "r1")
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.UNAVAILABLE
    assert bench.bus.settled()[0].detail == "answer_lost: Duo did not answer"
    assert second_factor.starts == ["r1"]


def test_a_second_factor_that_stays_away_is_unavailable_when_time_is_up(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.prepared = [AuthTemporary("Duo cannot be reached")]
    _ask(bench, bench.run(second_factor), "r1", seconds=1)
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.UNAVAILABLE
    assert "cannot be reached" in bench.bus.settled()[0].detail


def test_a_push_that_nobody_answers_times_out(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    bench.insert(a_request(seconds=-3.5, state=State.ASKED, transaction="tx-1"))
    bench.run(second_factor)
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.TIMED_OUT
    assert second_factor.polls == ["tx-1"]


def test_a_push_that_was_approved_while_nobody_could_ask_still_counts(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.polled = [APPROVED]
    bench.insert(a_request(seconds=-60, state=State.ASKED, transaction="tx-1"))
    bench.run(second_factor)
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.APPROVED


@both
def test_another_process_goes_on_polling_and_sends_no_second_push(bench: Bench) -> None:
    bench.insert(a_request(state=State.ASKED, transaction="tx-of-the-killed"))
    second_factor = FakeAuthenticator()
    second_factor.polled = [None, APPROVED]
    bench.run(second_factor, "two")
    eventually(bench.bus.settled)
    assert second_factor.starts == second_factor.prepares == []
    assert set(second_factor.polls) == {"tx-of-the-killed"}
    assert bench.bus.started() == []


def test_another_process_begins_what_was_not_begun(bench: Bench) -> None:
    bench.insert(a_request(state=State.NEW))
    second_factor = FakeAuthenticator()
    second_factor.polled = [APPROVED]
    bench.run(second_factor, "two")
    eventually(bench.bus.settled)
    assert second_factor.starts == ["r1"]


def test_a_push_that_may_have_been_sent_before_a_kill_is_not_sent_again(bench: Bench) -> None:
    bench.insert(a_request(state=State.ASKING))
    second_factor = FakeAuthenticator()
    bench.run(second_factor, "two")
    eventually(bench.bus.settled)
    assert (bench.bus.settled()[0].result, bench.bus.settled()[0].detail) == (AuthResult.PUSH_FAILED, "interrupted")
    assert second_factor.starts == []


@both
def test_what_another_process_holds_is_left_alone(bench: Bench) -> None:
    bench.insert(a_request("new"), lapsed=-60)
    bench.insert(a_request("asking", state=State.ASKING), lapsed=0)
    second_factor = FakeAuthenticator()
    poller = bench.poller(second_factor, "two")
    poller.look()
    assert poller.in_flight() == 0


@both
def test_a_claim_is_renewed_for_as_long_as_the_push_is_carried(bench: Bench) -> None:
    poller = bench.poller(FakeAuthenticator())
    _ask(bench, poller, "r1")
    eventually(lambda: bench.states() == ["asked"])
    bench.lapse(seconds=-3)
    poller.look()
    assert bench.lease("r1") > timedelta(seconds=3)
    assert bench.row("r1").claimed_by == "one"


def test_a_claim_that_lasts_longer_is_not_shortened_by_its_renewal(bench: Bench) -> None:
    bench.insert(a_request(state=State.ASKED, transaction="r1"), claimed_by="one", lapsed=-60)
    bench.transactions().run(lambda work: requests.renew(work, ["r1"], "one"))
    assert bench.lease("r1") > timedelta(seconds=50)


def test_a_process_that_lost_its_claim_before_asking_does_not_push(bench: Bench) -> None:
    first, second = FakeAuthenticator(), FakeAuthenticator()
    poller = bench.poller(first)
    request = a_request()
    bench.insert(request, claimed_by="two", lapsed=-60)
    poller.offer([request])
    eventually(lambda: poller.in_flight() == 0)
    assert first.prepares == ["r1"]
    assert first.starts == second.starts == []


@both
def test_two_processes_settle_a_request_once(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.polled = [APPROVED]
    request = a_request(state=State.ASKED, transaction="tx-1")
    bench.insert(request)
    pollers = [bench.poller(second_factor, name) for name in ("one", "two")]
    for poller in pollers:
        poller.offer([request])
    eventually(lambda: not any(poller.in_flight() for poller in pollers))
    assert len(bench.bus.settled()) == 1


@both
def test_a_process_that_stops_lets_another_go_on_at_once(bench: Bench) -> None:
    first, second = FakeAuthenticator(), FakeAuthenticator()
    second.polled = [APPROVED]
    poller = bench.run(first, "one")
    _ask(bench, poller, "r1")
    eventually(lambda: bench.states() == ["asked"])
    bench.lapse(seconds=-600)  # so that the claim does not run out by itself
    poller.stop()
    eventually(lambda: bench.lease("r1") <= timedelta(0))
    bench.run(second, "two")
    eventually(bench.bus.settled)
    assert second.starts == []


def test_a_process_that_stops_stores_the_push_that_it_was_starting(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.may_start.clear()
    poller = bench.poller(second_factor)
    thread = threading.Thread(target=poller.run)
    thread.start()
    _ask(bench, poller, "r1")
    assert second_factor.in_start.wait(10)
    poller.stop()
    second_factor.may_start.set()
    thread.join(10)
    assert (bench.row("r1").state, bench.row("r1").transaction) == ("asked", "tx-1")


def test_a_process_that_stops_before_the_push_was_taken_leaves_it_to_another(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.begun = [AuthTemporary("Duo answered 42901")]
    poller = bench.run(second_factor)
    _ask(bench, poller, "r1")
    assert second_factor.in_start.wait(10)
    poller.stop()
    eventually(lambda: bench.states() == ["new"])


def test_what_there_is_no_room_for_waits_in_the_record(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    poller = bench.poller(second_factor, most=1)
    _ask(bench, poller, "r1", "r2")
    eventually(lambda: sorted(bench.states()) == ["asked", "new"])
    second_factor.polled = [APPROVED]
    eventually(lambda: poller.in_flight() == 0)
    bench.lapse()
    poller.look()
    eventually(lambda: bench.states() == ["settled", "settled"])
    assert sorted(second_factor.starts) == ["r1", "r2"]


def test_a_bug_in_a_second_factor_leaves_nobody_waiting(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.polled = [KeyError("surprise")]
    _ask(bench, bench.run(second_factor), "r1")
    eventually(bench.bus.settled)
    assert (bench.bus.settled()[0].result, bench.bus.settled()[0].detail) == (AuthResult.UNAVAILABLE, "internal error")


class _Outage(Transactions):
    """Transactions of a database that can be away."""

    away = False
    failed = 0

    def run(self, action: Callable[[UnitOfWork], T]) -> T:
        if self.away:
            self.failed += 1
            raise DatabaseUnavailable("the database is away")
        return super().run(action)


def test_a_transaction_that_arrives_while_the_database_is_away_is_kept_and_stored_later(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.may_start.clear()
    second_factor.polled = [APPROVED]
    outage = _Outage(bench.engine, bench.bus, bench.clock, "auth-poller")
    poller = Poller(second_factor, outage, bench.runtime("one"))
    _ask(bench, poller, "r1")
    assert second_factor.in_start.wait(10)
    outage.away = True
    second_factor.may_start.set()
    eventually(lambda: outage.failed >= 3)
    assert bench.states() == ["asking"]
    outage.away = False
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.APPROVED
    assert len(bench.bus.started()) == 1
    assert second_factor.starts == ["r1"]


def test_a_result_that_arrives_while_the_database_is_away_is_kept_and_stored_later(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    outage = _Outage(bench.engine, bench.bus, bench.clock, "auth-poller")
    poller = Poller(second_factor, outage, bench.runtime("one"))
    _ask(bench, poller, "r1")
    eventually(lambda: bench.states() == ["asked"])
    outage.away = True
    second_factor.polled = [APPROVED]
    eventually(lambda: outage.failed >= 2)
    outage.away = False
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.APPROVED


def test_a_transaction_that_arrives_after_another_process_gave_up_settles_nothing_again(bench: Bench) -> None:
    first, second = FakeAuthenticator(), FakeAuthenticator()
    first.may_start.clear()
    poller = bench.poller(first)
    _ask(bench, poller, "r1")
    assert first.in_start.wait(10)
    bench.lapse()
    bench.run(second, "two")
    eventually(bench.bus.settled)
    first.may_start.set()
    eventually(lambda: poller.in_flight() == 0)
    assert [settled.detail for settled in bench.bus.settled()] == ["interrupted"]
    assert bench.bus.started() == []


def test_a_process_that_gives_up_too_late_goes_on_with_what_the_other_stored(bench: Bench) -> None:
    second_factor = FakeAuthenticator()
    second_factor.polled = [APPROVED]
    bench.insert(a_request(state=State.ASKED, transaction="tx-1"), lapsed=-60)
    bench.poller(second_factor, "two").offer([a_request(state=State.ASKING)])
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.APPROVED


def test_a_local_push_takes_no_thread_and_expires_by_its_row(bench: Bench) -> None:
    poller = bench.run(LocalAuthenticator())
    _ask(bench, poller, "r1", seconds=2)
    eventually(bench.bus.started)
    assert bench.bus.started()[0].approve_in_chat
    eventually(lambda: poller.in_flight() == 0)
    assert bench.states() == ["asked"]
    eventually(bench.bus.settled)
    assert bench.bus.settled()[0].result is AuthResult.TIMED_OUT
