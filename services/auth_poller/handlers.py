"""What the auth poller does with a message: keep a request, or take a click on the simulated push."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from common import codec
from common.bus.port import Delivery
from common.errors import BadMessage
from common.logs import get_logger
from common.messages import Envelope, ReplyReceived, StartAuthentication
from common.topology import AUTH_POLLER_QUEUE
from common.unit_of_work import UnitOfWork
from common.worker import Received
from services.auth_poller import requests
from services.auth_poller.poller import Poller
from services.auth_poller.port import Answer, Authenticator, State

log = get_logger(__name__)

Taken = Envelope[StartAuthentication] | Envelope[ReplyReceived]
_ANSWERS = ("approve", "refuse")


class AuthHandler:
    """Writes what was asked for and hands it to the poller; never waits for the second factor."""

    name = "auth-poller"
    queue = AUTH_POLLER_QUEUE.name

    def __init__(self, authenticator: Authenticator, poller: Poller, instance: str) -> None:
        self._authenticator = authenticator
        self._poller = poller
        self._instance = instance

    def decode(self, delivery: Delivery) -> Taken:
        """Return the envelope of one of the two messages that this service takes."""
        envelope = codec.decode(delivery)
        if not isinstance(envelope.message, StartAuthentication | ReplyReceived):
            raise BadMessage(f"{envelope.message.type_name()} is not for the auth poller")
        return cast("Taken", envelope)

    def handle(self, work: UnitOfWork, batch: Sequence[Received[Taken]]) -> None:
        """Keep the new requests, hand them over once that is safe, and settle what was clicked."""
        messages = [received.message.message for received in batch]
        starts = [message for message in messages if isinstance(message, StartAuthentication)]
        if starts:
            fresh = requests.insert_new(work, starts, self._instance)
            work.after_commit(lambda: self._poller.offer(fresh))
        for message in messages:
            if isinstance(message, ReplyReceived) and message.action in _ANSWERS and message.subject:
                self._click(work, message, cast("Answer", message.action), message.subject)

    def _click(self, work: UnitOfWork, reply: ReplyReceived, answer: Answer, request_id: str) -> None:
        """Settle a request by the click of its own person, in time, where the second factor is one in chat."""
        request = requests.load(work, request_id)
        if request is None or request.state is not State.ASKED or work.now >= request.expires_at:
            return
        if request.person_id != reply.person_id:
            log.warning("click_by_somebody_else", request_id=request.request_id, person_id=reply.person_id)
            return
        settled = self._authenticator.answered(request, answer)
        if settled:
            requests.settle(work, request, settled)
