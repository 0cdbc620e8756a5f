"""Takes what the dispatcher wants said: a row each, in the batch's transaction; once that is safe, straight on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from common import codec
from common.bus.port import Delivery
from common.messages import Envelope, Message
from common.topology import CHAT_GATEWAY_QUEUE
from common.unit_of_work import UnitOfWork
from common.worker import Received, Tick
from services.chat_gateway.deliverer import Deliverer
from services.chat_gateway.deliveries import LANE_MOST, LEASE, RENEW_EVERY, SWEEP_EVERY, Deliveries
from services.chat_gateway.jobs import Job, job_of
from services.chat_gateway.schedule import Schedule

IN_HAND_MOST = 5_000
"""Jobs in memory; in a storm the rest waits in the record, and the sweep brings it as room comes."""


class ChatGatewayHandler:
    """`SendChatMessage`, `UpdateChatMessage` and `LookUpPerson` become rows and then jobs of the deliverer."""

    name = "chat-gateway"
    queue = CHAT_GATEWAY_QUEUE.name

    def __init__(self, deliveries: Deliveries, schedule: Schedule, deliverer: Deliverer) -> None:
        self._deliveries = deliveries
        self._schedule = schedule
        self._deliverer = deliverer

    def decode(self, delivery: Delivery) -> Envelope[Message]:
        """Return the message; raises `BadMessage` for what this release does not know.

        One that comes from the quarantine keeps its name: what was said about it later is meant for it.
        """
        envelope = codec.decode(delivery)
        original = delivery.headers.get(codec.ORIGINAL_ID_HEADER)
        return replace(envelope, id=original) if isinstance(original, str) else envelope

    def handle(self, work: UnitOfWork, batch: Sequence[Received[Envelope[Message]]]) -> None:
        """Write a row for each message; one to three statements however many they are.

        Whose last message is done or in hand here has none elsewhere.
        """
        retried = [one.message.id for one in batch if one.message.id != one.delivery.message_id]
        known = self._deliveries.known(work, retried) if retried else set()
        jobs = [job_of(one.message, work.now) for one in batch if one.message.id not in known]
        waiting = self._schedule.waiting({job.lane for job in jobs})
        unsure = self._schedule.unsure(jobs) | {job.lane for job in jobs if job.recipient_kind != "person"}
        ours = self._deliveries.add(work, jobs, self._room(), unsure, waiting)
        work.after_commit(self._hand_over(work, ours))

    def ticks(self) -> tuple[Tick, ...]:
        """Return what happens by itself: claims are renewed, and what is nobody's any more is taken over."""
        return (Tick("renew_claims", RENEW_EVERY, self._renew), Tick("sweep_chat", SWEEP_EVERY, self._sweep))

    def _renew(self, work: UnitOfWork) -> None:
        until = self._deliveries.renew(work, self._schedule.in_hand)
        work.after_commit(lambda: self._deliverer.renewed(until))

    def _sweep(self, work: UnitOfWork) -> None:
        room = self._room()
        full = self._schedule.full(LANE_MOST // 2)
        jobs = self._deliveries.take_over(work, room, full) if room else []
        if jobs:
            work.after_commit(self._hand_over(work, jobs))
        done = self._deliveries.finished(work, self._schedule.gaps())
        if done:
            work.after_commit(lambda: self._schedule.learn(done))

    def _hand_over(self, work: UnitOfWork, jobs: Sequence[Job]) -> Callable[[], None]:
        done = self._deliveries.finished(work, self._schedule.unsure(jobs))
        until = work.now + LEASE

        def hand_over() -> None:
            self._deliverer.claimed(until)
            self._schedule.add(jobs, done)

        return hand_over

    def _room(self) -> int:
        return max(0, IN_HAND_MOST - len(self._schedule))
