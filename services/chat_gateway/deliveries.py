"""`chat_deliveries` rows <-> jobs: whose they are, and how they ended.

A row belongs to the process that has claimed it, as long as the claim lasts. Claims are renewed while the process
lives; where they run out, any process takes the row over and looks in the chat system before it posts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, Select, bindparam, func, or_, select, update
from sqlalchemy.orm import aliased

from common.ids import derived_id
from common.messages import DELIVERED_LATE, ChatContent, ChatMessageDelivered, ChatMessageUndeliverable, PersonLookedUp
from common.records.bulk import Update
from common.records.tables import ChatDeliveryRow as Row
from common.unit_of_work import UnitOfWork
from services.chat_gateway.jobs import Job, Outcome
from services.chat_gateway.port import Posted

LEASE = timedelta(seconds=8)
"""How long a claim lasts: a killed process's messages go on after at most this and one sweep."""
RENEW_EVERY = 2.0
SWEEP_EVERY = 1.0
SWEEP_MOST = 500
LANE_MOST = 100
"""Of one recipient in hand: a channel that gets more than it takes must not fill the memory that others need."""
FRESH = timedelta(seconds=1)
"""A claim this young is not renewed yet: a storm's rows are not written twice within moments."""

# The queries of every batch, built once: building one costs as much as running it.
_RECIPIENTS: BindParameter[str] = bindparam("recipients", expanding=True)
_NOT_OURS = (
    select(Row.recipient_id)
    .where(
        Row.recipient_id.in_(_RECIPIENTS),
        Row.state == "pending",
        or_(
            Row.claimed_by.is_(None),
            Row.claimed_by != bindparam("us"),
            Row.claimed_until < bindparam("now", type_=Row.claimed_until.type),
        ),
    )
    .distinct()
)
_FINISHED = (
    select(Row.recipient_id, func.max(Row.sequence))
    .where(Row.recipient_id.in_(_RECIPIENTS), Row.state.in_(("sent", "failed")))
    .group_by(Row.recipient_id)
)


@dataclass(frozen=True, slots=True)
class Target:
    """A message that is to be updated."""

    state: str
    place: Posted | None
    created_at: datetime


class Deliveries:
    """The rows as one process sees them. Every method works in the caller's transaction."""

    def __init__(self, instance: str) -> None:
        self._instance = instance

    def add(
        self,
        work: UnitOfWork,
        jobs: Sequence[Job],
        most: int,
        unsure: Collection[str],
        waiting: Mapping[str, int] | None = None,
    ) -> list[Job]:
        """Write the rows and return the jobs that are ours to do now, at most `most`, and `LANE_MOST` a recipient.

        `unsure` are the recipients of whom other processes may have rows; `waiting` tells how many are in hand already.
        Where an earlier row of the same recipient is another process's or nobody's, the new one is left to the sweep,
        which keeps the order.
        """
        elsewhere = self._not_ours(work, unsure) if unsure else set()
        ours: list[Job] = []
        in_hand = Counter(waiting)
        for job in jobs:
            mine = len(ours) < most and job.lane not in elsewhere and in_hand[job.lane] < LANE_MOST
            if mine:
                ours.append(job)
                in_hand[job.lane] += 1
            else:
                elsewhere.add(job.lane)
            work.insert(Row, **self._values(job, work.now, mine=mine))
        return ours

    def known(self, work: UnitOfWork, message_ids: Collection[str]) -> set[str]:
        """Return those of the messages that have their row."""
        return set(work.connection.scalars(select(Row.message_id).where(Row.message_id.in_(message_ids))))

    def take_over(self, work: UnitOfWork, most: int, full: Collection[str] = ()) -> list[Job]:
        """Claim pending rows that are nobody's any more, oldest first, and return their jobs.

        What is for recipients of whom enough is in hand (`full`), or of whom another process has something in hand,
        stays where it is, and does not stand before others.
        """
        rows = work.connection.execute(
            select(Row.__table__)
            .where(
                Row.state == "pending",
                or_(Row.claimed_until.is_(None), Row.claimed_until < work.now),
                Row.recipient_id.not_in(full),
                Row.recipient_id.not_in(self._held_elsewhere(work.now)),
            )
            .order_by(Row.created_at, Row.sequence)
            .limit(min(most, SWEEP_MOST))
            .with_for_update(skip_locked=True)
        ).all()
        rows = _at_most(LANE_MOST // 2, rows)
        if rows:
            work.connection.execute(
                update(Row)
                .where(Row.message_id.in_([row.message_id for row in rows]))
                .values(claimed_by=self._instance, claimed_until=work.now + LEASE)
            )
        return [_job(row) for row in rows]

    def renew(self, work: UnitOfWork, ours: Callable[[Collection[str]], Collection[str]]) -> datetime:
        """Renew the claims on what this process still has in hand; returns until when all of them hold now.

        Args:
            work: the transaction.
            ours: returns those of the given message ids that are in hand. A claimed row that is not (a commit whose
                answer was lost) runs out and is taken over.
        """
        ids = list(
            work.connection.scalars(
                select(Row.message_id).where(
                    Row.state == "pending",
                    Row.claimed_by == self._instance,
                    Row.claimed_until >= work.now,
                    Row.claimed_until < work.now + LEASE - FRESH,
                )
            )
        )
        self._claim(work, list(ours(ids)), self._instance, work.now + LEASE)
        return work.now + LEASE - FRESH

    def release(self, work: UnitOfWork, waiting: Sequence[Job]) -> None:
        """Let another process go on at once: as if new, or after looking in the chat where one may be posted.

        Where that is not settled yet, looking proves nothing: those are left to others once it is.
        """
        untouched = [job.message_id for job in waiting if not job.find_first]
        self._claim(work, untouched, None, None)
        uncertain = {job.message_id: job.settles_at or work.now for job in waiting if job.find_first}
        settled = [message_id for message_id, at in uncertain.items() if at <= work.now]
        self._claim(work, settled, self._instance, work.now - timedelta(seconds=1))
        if unsettled := uncertain.keys() - set(settled):
            self._claim(work, sorted(unsettled), self._instance, max(uncertain.values()))

    def _claim(self, work: UnitOfWork, ids: Sequence[str], by: str | None, until: datetime | None) -> None:
        for start in range(0, len(ids), SWEEP_MOST):
            work.connection.execute(
                update(Row)
                .where(
                    Row.message_id.in_(ids[start : start + SWEEP_MOST]),
                    Row.state == "pending",
                    Row.claimed_by == self._instance,
                )
                .values(claimed_by=by, claimed_until=until)
            )

    def complete(self, work: UnitOfWork, outcomes: Sequence[Outcome]) -> None:
        """Write how calls ended, and tell the dispatcher what it has to know."""
        results = [_result(outcome) for outcome in outcomes]
        work.write(Update(Row, results, key="message_id", only_if=("state", "pending")))
        for outcome in outcomes:
            _tell(work, outcome)

    def target(self, work: UnitOfWork, message_id: str) -> Target | None:
        """Return a message that is to be updated; None: there is no such message."""
        row = work.connection.execute(
            select(Row.state, Row.channel, Row.posted_as, Row.created_at).where(Row.message_id == message_id)
        ).one_or_none()
        if row is None:
            return None
        place = Posted(row.channel, row.posted_as) if row.channel and row.posted_as else None
        return Target(row.state, place, row.created_at)

    def finished(self, work: UnitOfWork, recipients: Collection[str]) -> dict[str, int]:
        """Return the highest sequence that is done for each of `recipients`; 0 for who never got a message."""
        if not recipients:
            return {}
        found = work.connection.execute(_FINISHED, {"recipients": sorted(recipients)}).all()
        return dict.fromkeys(recipients, 0) | {row.recipient_id: row[1] for row in found}

    def _not_ours(self, work: UnitOfWork, recipients: Collection[str]) -> set[str]:
        values = {"recipients": sorted(recipients), "us": self._instance, "now": work.now}
        return set(work.connection.scalars(_NOT_OURS, values))

    def _held_elsewhere(self, now: datetime) -> Select[str]:
        held = aliased(Row)
        return select(held.recipient_id).where(
            held.state == "pending", held.claimed_by != self._instance, held.claimed_until >= now
        )

    def _values(self, job: Job, now: datetime, *, mine: bool) -> dict[str, Any]:
        content = {"handle": job.handle} if job.content is None else job.content.model_dump(exclude_defaults=True)
        return {
            "message_id": job.message_id,
            "kind": job.kind,
            "target": job.target,
            "recipient_kind": job.recipient_kind,
            "recipient_id": job.lane,
            "sequence": job.sequence,
            "content": content,
            "notify": job.notify,
            "state": "pending",
            "claimed_by": self._instance if mine else None,
            "claimed_until": now + LEASE if mine else None,
            "created_at": now,
        }


def _at_most(most: int, rows: Sequence[Any]) -> list[Any]:
    """Return the first `most` rows of each recipient, in their order."""
    seen: Counter[str] = Counter()
    kept = []
    for row in rows:
        seen[row.recipient_id] += 1
        if seen[row.recipient_id] <= most:
            kept.append(row)
    return kept


def _job(row: Any) -> Job:
    """Return the job of a row. One that nobody ever claimed was never called, so there is nothing to look for."""
    looks_up = row.kind == "look_up"
    return Job(
        row.message_id,
        row.kind,
        row.recipient_id,
        row.recipient_kind,
        row.sequence,
        row.created_at,
        content=None if looks_up else ChatContent.model_validate(row.content),
        target=row.target,
        handle=row.content["handle"] if looks_up else None,
        notify=row.notify,
        find_first=row.claimed_by is not None,
    )


def _result(outcome: Outcome) -> dict[str, Any]:
    return {
        "message_id": outcome.job.message_id,
        "state": "sent" if outcome.error is None else "failed",
        "channel": outcome.posted.channel if outcome.posted else None,
        "posted_as": outcome.posted.posted_as if outcome.posted else None,
        "error": outcome.error,
        "completed_at": outcome.at,
    }


def _tell(work: UnitOfWork, outcome: Outcome) -> None:
    job = outcome.job
    if job.handle is not None:
        person_id = outcome.person.chat_id if outcome.person and outcome.person.active else None
        work.emit(
            PersonLookedUp(handle=job.handle, person_id=person_id, error=outcome.error),
            about=job.about,
            message_id=derived_id("looked_up", job.message_id),
        )
        return
    owner = job.lane if job.recipient_kind == "person" else None
    if outcome.error is not None:
        work.emit(
            ChatMessageUndeliverable(target=job.message_id, recipient=job.recipient, reason=outcome.error),
            owner=owner,
            about=job.about,
            message_id=derived_id("undeliverable", job.message_id),
        )
    elif job.notify and outcome.at - job.created_at > DELIVERED_LATE:
        work.emit(
            ChatMessageDelivered(target=job.message_id, recipient=job.recipient, delivered_at=outcome.at),
            owner=owner,
            about=job.about,
            message_id=derived_id("delivered", job.message_id),
        )
