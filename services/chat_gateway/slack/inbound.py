"""What both ways in share: translate, make safe, and only then let the caller acknowledge."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from common import metrics
from common.clock import Clock
from common.errors import Temporary
from common.logs import get_logger
from services.chat_gateway.port import Attempt, ChatFailure, Intake, Person, Reply
from services.chat_gateway.slack import translate

log = get_logger(__name__)

Kind = Literal["event", "click"]
UNSIGNED_EVERY = timedelta(minutes=1)


class Inbound:
    """Takes Slack's payloads."""

    def __init__(self, own: Callable[[], translate.Own], intake: Intake, clock: Clock) -> None:
        self._own = own
        self._intake = intake
        self._clock = clock
        self._lock = threading.Lock()
        self._unsigned = 0
        self._told_at: datetime | None = None

    def unsigned(self) -> None:
        """Keep that a request was not signed by Slack: in the history at most once a minute, as anybody can send it."""
        with self._lock:
            self._unsigned += 1
            now = self._clock.now()
            if self._told_at is not None and now - self._told_at < UNSIGNED_EVERY:
                return
            self._told_at, times, self._unsigned = now, self._unsigned, 0
        try:
            self._intake.attempts([Attempt("not signed by Slack, or too old", times=times)])
        except Temporary as error:
            log.warning("refused_request_not_kept", cause=str(error))

    def take(self, payloads: Sequence[tuple[Kind, object]]) -> None:
        """Return once everything in `payloads` is safe; the replies first, in their order.

        A click comes once, whatever we answer: it does not wait for what only the record can take.

        Raises:
            Temporary: nothing may be acknowledged; all of it but the clicks comes again.
        """
        try:
            own = self._own()
        except ChatFailure as error:
            raise Temporary(f"who we are at Slack is not known: {error}") from error
        now = self._clock.now()
        results = [
            translate.event(payload, own, now) if kind == "event" else translate.click(payload, own, now)
            for kind, payload in payloads
        ]
        for result in results:
            if isinstance(result, translate.Ignored):
                metrics.REPLIES.labels("ignored").inc()
                log.debug("slack_event_ignored", reason=result.reason)
        replies = [result for result in results if isinstance(result, Reply)]
        if replies:
            self._intake.replies(replies)
        people = [result for result in results if isinstance(result, Person)]
        if people:
            self._intake.people(people)
        attempts = [result for result in results if isinstance(result, Attempt)]
        if attempts:
            self._intake.attempts(attempts)
