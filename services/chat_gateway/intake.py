"""What comes in from the chat system becomes messages, durably, before the chat system hears that we have it."""

from __future__ import annotations

from collections.abc import Sequence

from common import failpoints, metrics
from common.codec import encode
from common.logs import get_logger
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.chat_gateway.directory import Directory
from services.chat_gateway.port import Attempt, Person, Reply

log = get_logger(__name__)


class BusIntake:
    """Publishes replies and keeps people."""

    def __init__(self, transactions: Transactions, directory: Directory) -> None:
        self._transactions = transactions
        self._directory = directory

    def replies(self, replies: Sequence[Reply]) -> None:
        """Publish `ReplyReceived`; safe on return. Raises `Temporary` otherwise.

        The chat system delivers a click once and words a few times: while the broker is away the outbox keeps them.
        """
        failpoints.reached("before-intake")
        self._transactions.publish_or_keep(
            [
                encode(reply.message, message_id=reply.id, owner=reply.message.person_id, correlation_id=None)
                for reply in replies
            ]
        )
        failpoints.reached("after-intake")
        metrics.REPLIES.labels("taken").inc(len(replies))

    def people(self, people: Sequence[Person]) -> None:
        """Write newcomers and changes to the directory; safe on return. Raises `Temporary` otherwise."""
        self._directory.keep(people)

    def attempts(self, attempts: Sequence[Attempt]) -> None:
        """Keep in the history what did not count. Raises `Temporary` otherwise."""

        def note(work: UnitOfWork) -> None:
            for attempt in attempts:
                work.note("reply_refused", person=attempt.who, reason=attempt.reason, times=attempt.times)

        self._transactions.run(note)
        for attempt in attempts:
            metrics.REPLIES.labels("refused").inc(attempt.times)
            log.warning("reply_refused", person=attempt.who, reason=attempt.reason, times=attempt.times)
