"""The rows of `auth_requests`. Every step is conditional on the state before it, so that it happens once.

A row belongs to the process that claims it, for as long as that renews its lease. Only the step to `asking` needs the
claim: it is the one after which a push may be on its way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update

from common import metrics
from common.ids import derived_id
from common.messages import AuthenticationSettled, AuthenticationStarted, StartAuthentication
from common.records.tables import AuthRequestRow
from common.unit_of_work import UnitOfWork
from services.auth_poller.polling import GRACE
from services.auth_poller.port import Request, Settled, Started, State

LEASE = timedelta(seconds=6)
"""With a renewal every 2 s and a look for lapsed claims every 2 s, somebody else goes on after 8 s at the latest."""
ASKING_LEASE = timedelta(seconds=2)
"""Added for `asking`: after an outage of the database the process that knows the transaction stores it first."""
_LONGEST_TITLE = 255
_COLUMNS = AuthRequestRow.__table__.c


def insert_new(work: UnitOfWork, messages: Sequence[StartAuthentication], instance: str) -> list[Request]:
    """Insert a row for each request that is not there yet, claimed by this process, and return those."""
    wanted = {message.request_id: message for message in messages}
    known = work.connection.scalars(select(_COLUMNS.request_id).where(_COLUMNS.request_id.in_(wanted)))
    for request_id in known.all():
        del wanted[request_id]
    for message in wanted.values():
        work.insert(
            AuthRequestRow,
            request_id=message.request_id,
            person_id=message.person_id,
            username=message.username,
            title=message.title[:_LONGEST_TITLE],
            facts=message.facts,
            state=State.NEW.value,
            claimed_by=instance,
            claimed_until=work.now + LEASE,
            created_at=work.now,
            expires_at=message.expires_at,
        )
    return [
        Request(m.request_id, m.person_id, m.username, m.title[:_LONGEST_TITLE], m.facts, m.expires_at)
        for m in wanted.values()
    ]


def load(work: UnitOfWork, request_id: str) -> Request | None:
    """Return a request as the record has it."""
    row = work.connection.execute(select(AuthRequestRow.__table__).where(_COLUMNS.request_id == request_id)).first()
    return None if row is None else _request(row)


def begin_asking(work: UnitOfWork, request_id: str, instance: str) -> bool:
    """Note that a call which may start a push is about to be made. False: another process has taken the request.

    Idempotent for the process that holds the claim, whose commit may have succeeded although it heard otherwise.
    """
    return _step(work, request_id, (State.NEW, State.ASKING), _COLUMNS.claimed_by == instance, state=State.ASKING.value)


def not_asked(work: UnitOfWork, request_id: str, instance: str) -> None:
    """Take back `begin_asking`: no push was started for certain, so another process may begin."""
    _step(work, request_id, (State.ASKING,), _COLUMNS.claimed_by == instance, state=State.NEW.value)


def store_started(work: UnitOfWork, request: Request, started: Started) -> bool:
    """Keep the transaction and tell the dispatcher. False: it is kept already, or the request was settled meanwhile."""
    values: dict[str, Any] = {
        "transaction": started.transaction, "code": started.code, "expires_at": request.expires_at,
    }  # fmt: skip
    if started.approve_in_chat:
        values["claimed_until"] = request.expires_at + GRACE  # nobody has to look at it before that
    if not _step(work, request.request_id, (State.ASKING,), state=State.ASKED.value, **values):
        return False
    message = AuthenticationStarted(
        request_id=request.request_id,
        person_id=request.person_id,
        code=started.code,
        approve_in_chat=started.approve_in_chat,
    )
    _emit(work, message, "authentication-started")
    return True


def settle(work: UnitOfWork, request: Request, settled: Settled, *, only_from: State | None = None) -> bool:
    """Settle a request and tell the dispatcher. False: it was settled before, or is no longer in `only_from`."""
    states = (only_from,) if only_from else (State.NEW, State.ASKING, State.ASKED)
    values = {"state": State.SETTLED.value, "result": settled.result.value, "detail": settled.detail}
    if not _step(work, request.request_id, states, **values, settled_at=work.now):
        return False
    message = AuthenticationSettled(
        request_id=request.request_id,
        person_id=request.person_id,
        result=settled.result,
        detail=settled.detail,
        settled_at=work.now,
    )
    _emit(work, message, "authentication-settled")
    work.after_commit(metrics.PUSHES.labels(settled.result.value).inc)
    return True


def renew(work: UnitOfWork, held: Collection[str], instance: str) -> None:
    """Extend this process's claims of `held`; one that lasts longer already is left as it is."""
    until = work.now + LEASE
    mine = and_(_COLUMNS.request_id.in_(held), _COLUMNS.claimed_by == instance, _COLUMNS.claimed_until < until)
    if held:
        work.connection.execute(update(AuthRequestRow).where(mine).values(claimed_until=until))


def take_over(work: UnitOfWork, most: int, instance: str) -> list[Request]:
    """Claim requests whose claim has lapsed, the oldest first, and return them."""
    lapsed = or_(
        and_(_COLUMNS.state.in_((State.NEW.value, State.ASKED.value)), _COLUMNS.claimed_until < work.now),
        and_(_COLUMNS.state == State.ASKING.value, _COLUMNS.claimed_until < work.now - ASKING_LEASE),
    )
    query = select(AuthRequestRow.__table__).where(lapsed).order_by(_COLUMNS.created_at).limit(most)
    found = [_request(row) for row in work.connection.execute(query.with_for_update(skip_locked=True))]
    if found:
        taken = _COLUMNS.request_id.in_([request.request_id for request in found])
        claim = {"claimed_by": instance, "claimed_until": work.now + LEASE}
        work.connection.execute(update(AuthRequestRow).where(taken).values(claim))
    return found


def let_go(work: UnitOfWork, held: Collection[str], instance: str) -> None:
    """Let another process go on at once with what this one held. What is `asking` is not for anybody to go on with."""
    states = _COLUMNS.state.in_((State.NEW.value, State.ASKED.value))
    mine = and_(_COLUMNS.request_id.in_(held), _COLUMNS.claimed_by == instance, states)
    work.connection.execute(update(AuthRequestRow).where(mine).values(claimed_until=work.now))


def _step(
    work: UnitOfWork, request_id: str, before: Sequence[State], *conditions: ColumnElement[bool], **values: Any
) -> bool:
    expected = _COLUMNS.state.in_([state.value for state in before])
    statement = update(AuthRequestRow).where(_COLUMNS.request_id == request_id, expected, *conditions).values(values)
    return work.connection.execute(statement).rowcount == 1


def _emit(work: UnitOfWork, message: AuthenticationStarted | AuthenticationSettled, cause: str) -> None:
    work.emit(
        message,
        owner=message.person_id,
        about=message.request_id,
        message_id=derived_id(cause, message.request_id),
    )


def _request(row: Any) -> Request:
    return Request(
        row.request_id,
        row.person_id,
        row.username,
        row.title,
        tuple((label, value) for label, value in row.facts),
        row.expires_at,
        State(row.state),
        row.transaction,
    )
