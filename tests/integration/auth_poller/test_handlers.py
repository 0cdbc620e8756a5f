"""What the auth poller takes from the bus, and whose clicks count."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from common.bus.port import Delivery, Publication
from common.codec import encode
from common.errors import BadMessage
from common.messages import AuthResult, LookUpPerson, Message, ReplyReceived
from common.worker import Received
from services.auth_poller.duo import DuoAuthenticator
from services.auth_poller.handlers import AuthHandler, Taken
from services.auth_poller.local import LocalAuthenticator
from services.auth_poller.none import NoAuthenticator
from services.auth_poller.port import Authenticator, State
from tests.integration.auth_poller.conftest import Bench, a_request, a_start
from tests.waiting import eventually


def _delivery(message: Message) -> Delivery:
    sent: Publication = encode(message, message_id=f"id-{id(message)}", owner="U1", correlation_id=None)
    return Delivery(
        "securitybot.auth-poller", sent.exchange, sent.routing_key, sent.body, sent.message_id, sent.type, None,
        sent.headers, sent.content_type, redelivered=False, tag=1,
    )  # fmt: skip


def _handle(bench: Bench, authenticator: Authenticator, *messages: Message) -> None:
    handler = AuthHandler(authenticator, bench.poller(authenticator), "one")
    deliveries = [_delivery(message) for message in messages]
    batch: list[Received[Taken]] = [Received(delivery, handler.decode(delivery)) for delivery in deliveries]
    bench.transactions().run(lambda work: handler.handle(work, batch))


def _click(person_id: str = "U1", action: str | None = "approve", subject: str | None = "r1") -> ReplyReceived:
    return ReplyReceived(person_id=person_id, action=action, subject=subject, received_at=datetime.now(UTC))


def _local_push(bench: Bench) -> None:
    _handle(bench, LocalAuthenticator(), a_start())
    eventually(bench.bus.started)


def test_a_request_is_kept_as_it_came_and_handed_over(bench: Bench) -> None:
    _handle(bench, LocalAuthenticator(), a_start("r1"), a_start("r2"), a_start("r1"))
    eventually(lambda: len(bench.bus.started()) == 2)
    row = bench.row("r1")
    assert (row.person_id, row.username, row.title, row.claimed_by) == ("U1", "ada", "sudo", "one")
    assert row.facts == [["Host", "db-7"], ["Request", "r1"]]


@pytest.mark.parametrize(("action", "result"), [("approve", AuthResult.APPROVED), ("refuse", AuthResult.DENIED)])
def test_a_click_of_the_requests_own_person_settles_the_local_push(
    bench: Bench, action: str, result: AuthResult
) -> None:
    _local_push(bench)
    _handle(bench, LocalAuthenticator(), _click(action=action), _click(action="approve"))
    assert [settled.result for settled in bench.bus.settled()] == [result]
    assert bench.row("r1").state == State.SETTLED


@pytest.mark.parametrize(
    "click",
    [
        _click(person_id="U2"),
        _click(subject="another"),
        _click(subject=None),
        _click(action="yes"),
        _click(action=None),
        _click(action="approve", subject="r1' OR 1=1 --"),
    ],
    ids=["somebody else", "another request", "no request", "another button", "typed", "hostile"],
)
def test_no_other_reply_settles_the_local_push(bench: Bench, click: ReplyReceived) -> None:
    _local_push(bench)
    _handle(bench, LocalAuthenticator(), click)
    assert bench.bus.settled() == []
    assert bench.row("r1").state == State.ASKED


def test_a_click_after_the_request_has_expired_settles_nothing(bench: Bench) -> None:
    bench.insert(a_request(seconds=-1, state=State.ASKED, transaction="r1"), lapsed=-60)
    _handle(bench, LocalAuthenticator(), _click())
    assert bench.bus.settled() == []


@pytest.mark.parametrize(
    "authenticator", [DuoAuthenticator("DI", "key", "localhost", 1), LocalAuthenticator(), NoAuthenticator()]
)
def test_a_click_in_chat_never_approves_a_push_to_a_phone(bench: Bench, authenticator: Authenticator) -> None:
    bench.insert(a_request(state=State.ASKED, transaction="txid-of-duo"), lapsed=-60)
    _handle(bench, authenticator, _click())
    assert bench.bus.settled() == []
    assert bench.row("r1").state == State.ASKED


def test_a_message_for_somebody_else_is_refused_by_name() -> None:
    handler = AuthHandler(LocalAuthenticator(), None, "one")  # type: ignore[arg-type]  # not reached
    with pytest.raises(BadMessage, match="LookUpPerson"):
        handler.decode(_delivery(LookUpPerson(handle="ada")))
