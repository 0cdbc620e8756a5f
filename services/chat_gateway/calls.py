"""What to call for a job, and in which order. Raises the chat's own failures; decides nothing about trying again."""

from __future__ import annotations

import threading
from collections import OrderedDict

from common import failpoints
from common.clock import Clock
from common.errors import SecuritybotError
from common.messages import ChatContent
from common.transactions import Transactions
from services.chat_gateway.deliveries import Deliveries
from services.chat_gateway.directory import Directory
from services.chat_gateway.jobs import Job, Outcome
from services.chat_gateway.port import Chat, ChatRefused, Posted

REMEMBERED = 20_000
"""Where the latest messages are: their updates need no look into the record."""


class TargetMissing(SecuritybotError):
    """The message to update is not delivered (yet)."""


class Calls:
    """Makes one call at a time for each thread that asks."""

    def __init__(
        self, chat: Chat, directory: Directory, deliveries: Deliveries, transactions: Transactions, clock: Clock
    ) -> None:
        self._chat = chat
        self._directory = directory
        self._deliveries = deliveries
        self._transactions = transactions
        self._clock = clock
        self._posted: OrderedDict[str, Posted] = OrderedDict()
        self._lock = threading.Lock()

    def make(self, job: Job) -> Outcome | None:
        """Do what comes next for `job`; None: there is more to do for it, a call that waits for its own turn.

        Raises:
            ChatFailure: as the chat's methods do.
            TargetMissing: an update came before its message.
            DatabaseUnavailable: the message to update cannot be looked up now.
        """
        if job.superseded:
            return self._done(job, None)
        if job.handle is not None:
            return Outcome(job, self._clock.now(), person=self._directory.look_up(job.handle, job.created_at))
        assert job.content is not None
        if job.kind == "update":
            return self._update(job, job.target or "", job.content)
        if job.find_first:
            found = self._chat.find(job.recipient, job.message_id, job.created_at)
            job.find_first = False
            return self._posted_as(job, found) if found else None
        failpoints.reached("before-call")
        place = self._chat.send(job.recipient, job.content, job.message_id)
        failpoints.reached("after-call")
        return self._posted_as(job, place)

    def _update(self, job: Job, target: str, content: ChatContent) -> Outcome | None:
        """Change what is shown; a message that failed is looked for first, as the failure may be a lost answer."""
        if job.look_since is not None:
            found = self._chat.find(job.recipient, target, job.look_since)
            if found is None:
                raise ChatRefused("the message to update was never delivered")
            self._remember(target, found)
            job.look_since = None
            return None
        place = self._place_of(job, target)
        if place is None:
            return None
        self._chat.update(place.channel, place.posted_as, content, target)
        return self._done(job, place)

    def _posted_as(self, job: Job, place: Posted) -> Outcome:
        self._remember(job.message_id, place)
        return self._done(job, place)

    def _remember(self, message_id: str, place: Posted) -> None:
        with self._lock:
            self._posted[message_id] = place
            if len(self._posted) > REMEMBERED:
                self._posted.popitem(last=False)

    def _done(self, job: Job, place: Posted | None) -> Outcome:
        return Outcome(job, self._clock.now(), posted=place)

    def _place_of(self, job: Job, message_id: str) -> Posted | None:
        """Return where the message is; None: it failed, and `job` has to look for it."""
        with self._lock:
            remembered = self._posted.get(message_id)
        if remembered is not None:
            return remembered
        found = self._transactions.run(lambda work: self._deliveries.target(work, message_id))
        if found is None or found.state == "pending":
            raise TargetMissing(message_id)
        if found.place is None:
            job.look_since = found.created_at
        return found.place
