"""The whole service on the embedded bus: messages in, messages out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from sqlalchemy import Engine

from common import codec
from common.bus.embedded import KombuBus
from common.errors import ConfigurationError
from common.messages import AuthenticationSettled, AuthenticationStarted, AuthResult, Message, ReplyReceived
from common.service import Runtime
from common.settings import Settings
from common.topology import DISPATCHER_QUEUE
from services.auth_poller import wiring
from services.auth_poller.wiring import RememberedCheck, build, load_authenticator
from tests.fakes.clock import FakeClock
from tests.fakes.duo import FakeDuo
from tests.integration.auth_poller.conftest import a_start
from tests.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS is deprecated:DeprecationWarning")


class _Dispatcher:
    """Stands for the dispatcher: sends to the auth poller and hears from it."""

    def __init__(self, runtime: Runtime) -> None:
        self._transactions = runtime.transactions("dispatcher")
        self._consumer = runtime.bus.consume([DISPATCHER_QUEUE.name], prefetch=10)

    def send(self, message: Message) -> None:
        self._transactions.run(lambda work: work.emit(message, owner="U1"))

    def hear(self, kind: type[Message]) -> Message:
        """Return the next message of this type; others are skipped."""
        for _ in range(10):
            deliveries = self._consumer.take(1, timeout=5)
            self._consumer.ack(deliveries)
            for delivery in deliveries:
                message = codec.decode(delivery).message
                if isinstance(message, kind):
                    return message
        raise AssertionError(f"no {kind.__name__} came")

    def close(self) -> None:
        self._consumer.close()


@contextmanager
def _running(bus: KombuBus, engine: Engine, settings: Settings) -> Iterator[_Dispatcher]:
    runtime = Runtime(settings, bus, engine)
    service = build(runtime)
    threads = [threading.Thread(target=runnable.run) for runnable in service.runnables]
    for thread in threads:
        thread.start()
    dispatcher = _Dispatcher(runtime)
    yield dispatcher
    for runnable in service.runnables:
        runnable.stop()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    dispatcher.close()


@pytest.mark.parametrize(("action", "result"), [("approve", AuthResult.APPROVED), ("refuse", AuthResult.DENIED)])
def test_a_simulated_push_is_answered_in_chat(
    memory_bus: KombuBus, engine: Engine, action: str, result: AuthResult
) -> None:
    with _running(memory_bus, engine, Settings(auth="local")) as dispatcher:
        dispatcher.send(a_start("r1"))
        assert cast("AuthenticationStarted", dispatcher.hear(AuthenticationStarted)).approve_in_chat
        dispatcher.send(ReplyReceived(person_id="U1", action=action, subject="r1", received_at=datetime.now(UTC)))
        settled = cast("AuthenticationSettled", dispatcher.hear(AuthenticationSettled))
    assert (settled.request_id, settled.person_id, settled.result) == ("r1", "U1", result)


def test_a_push_to_a_phone_is_answered_there(memory_bus: KombuBus, engine: Engine, duo: FakeDuo) -> None:
    duo.add_user("ada", verified=True, answers="allow", after=0.2)
    settings = Settings(
        auth="duo", duo_ikey=duo.ikey, duo_skey=duo.skey, duo_host=f"{duo.host}:{duo.port}", duo_ca_file=duo.ca_file
    )
    with _running(memory_bus, engine, settings) as dispatcher:
        dispatcher.send(a_start("r1"))
        started = cast("AuthenticationStarted", dispatcher.hear(AuthenticationStarted))
        settled = cast("AuthenticationSettled", dispatcher.hear(AuthenticationSettled))
    assert started.code == duo.code_of(duo.pushes[0].txid)
    assert settled.result is AuthResult.APPROVED


def test_without_a_second_factor_everything_is_unproved(memory_bus: KombuBus, engine: Engine) -> None:
    with _running(memory_bus, engine, Settings(auth="none")) as dispatcher:
        dispatcher.send(a_start("r1"))
        settled = cast("AuthenticationSettled", dispatcher.hear(AuthenticationSettled))
    assert settled.result is AuthResult.UNPROVED


def test_a_second_factor_that_nobody_registered_is_a_settings_error() -> None:
    with pytest.raises(ConfigurationError, match="SECURITYBOT_AUTH is 'okta': it may be one of duo, local, none"):
        load_authenticator(Settings(auth="okta"))


@pytest.mark.parametrize("name", ["local", "none"])
def test_what_needs_nothing_from_outside_is_always_ready(name: str) -> None:
    assert load_authenticator(Settings(auth=name)).check() is None


def test_who_scrapes_does_not_wait_for_a_second_factor_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "PATIENCE", 0.05)
    clock, asked, may_answer = FakeClock(), threading.Semaphore(0), threading.Semaphore(0)

    def hang() -> str | None:
        asked.release()
        assert may_answer.acquire(timeout=10)
        return None

    check = RememberedCheck(hang, clock)
    assert check() == check() == "has not answered yet"
    may_answer.release()
    eventually(lambda: check() is None)
    clock.advance(timedelta(seconds=30))
    assert check() is None, "what was known before"
    may_answer.release()
    assert asked.acquire(timeout=10)
    assert asked.acquire(timeout=10)
    assert not asked.acquire(blocking=False), "one at a time"


def test_a_check_that_breaks_is_a_problem() -> None:
    assert RememberedCheck(lambda: str(1 / 0), FakeClock())() == "could not be asked: ZeroDivisionError"


def test_readiness_asks_the_second_factor_only_now_and_then() -> None:
    clock = FakeClock()
    answers = iter(["wrong keys", None])
    check = RememberedCheck(lambda: next(answers), clock)
    assert check() == check() == "wrong keys"
    clock.advance(timedelta(seconds=30))
    assert check() is None
