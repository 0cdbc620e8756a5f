"""What comes in from the chat system becomes messages, durably, before the chat system hears that we have it."""

from __future__ import annotations

from collections.abc import Sequence

from common import failpoints, metrics
from common.codec import encode
from common.unit_of_work import Transactions
from services.chat_gateway.directory import Directory
from services.chat_gateway.port import Person, Reply


class BusIntake:
    """Publishes replies and keeps people."""

    def __init__(self, transactions: Transactions, directory: Directory) -> None:
        self._transactions = transactions
        self._directory = directory

    def replies(self, replies: Sequence[Reply]) -> None:
        """Publish `ReplyReceived`; safe on return. Raises `Temporary` otherwise."""
        failpoints.reached("before-intake")
        self._transactions.publish_now(
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
