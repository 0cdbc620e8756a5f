"""What analysts change in the record, from the command line or the console. Each change leaves a row in the history."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from common.bus.port import HeaderValue, Publication
from common.codec import ORIGINAL_ID_HEADER
from common.errors import ChangeRefused
from common.ids import new_id
from common.records.queries import Record, find_people, get_quarantined
from common.records.tables import BlacklistRow, IgnoredRow, QuarantineRow
from common.topology import ALERTS, DEAD, EVENTS, INGEST_QUEUE, retry_key
from common.unit_of_work import UnitOfWork

MAX_TITLE = 255
LONGEST = timedelta(days=366)
"""Every silence ends by itself."""
A_MOMENT = timedelta(minutes=1)
MOST_RETRIED = 256 * 1024
"""Bytes; a broker may close the channel on more, with all else that is in flight there."""
MOST_HEADERS = 32 * 1024
"""Bytes as JSON; all of them share a frame, and a broker closes the connection on one that is too large."""
MOST_IN_SHORT = 255
"""Bytes of what AMQP takes as a short string: a routing key, the name of a header."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Not asking somebody: until when, why, and who says so."""

    until: datetime
    reason: str
    actor: str


def person_by_handle(work: UnitOfWork, handle: str) -> Record:
    """Return the one person whom `handle` (chat id, user name or e-mail address) names.

    Raises:
        ChangeRefused: nobody, or several.
    """
    people = find_people(work.connection, handle)
    if not people:
        raise ChangeRefused(f"nobody in the directory is called {handle!r}; see `securitybot people list`")
    if len(people) > 1:
        ids = ", ".join(str(person["chat_id"]) for person in people)
        raise ChangeRefused(f"{handle!r} names several people; say which by chat id: {ids}")
    return people[0]


def add_ignored(work: UnitOfWork, handle: str, title: str, silence: Silence) -> Record:
    """Let a person not be asked about `title` for a while. Returns the person."""
    _check_silence(work, silence)
    if not 1 <= len(title) <= MAX_TITLE:
        raise ChangeRefused(f"a title has 1 to {MAX_TITLE} characters")
    person = person_by_handle(work, handle)
    values = _silence_values(work, person, silence) | {"title": title}
    if _just_added(work, IgnoredRow, values):
        return person
    work.insert(IgnoredRow, **values)
    _note_silence(work, "ignored_added", person, silence, title=title)
    return person


def add_blacklist(work: UnitOfWork, handle: str, silence: Silence) -> Record:
    """Let a person not be asked about anything for a while. Returns the person."""
    _check_silence(work, silence)
    person = person_by_handle(work, handle)
    values = _silence_values(work, person, silence)
    if _just_added(work, BlacklistRow, values):
        return person
    work.insert(BlacklistRow, **values)
    _note_silence(work, "blacklist_added", person, silence)
    return person


def lift(work: UnitOfWork, table: type[IgnoredRow | BlacklistRow], number: int, actor: str) -> Record:
    """End row `number` of what is ignored or of the blacklist now. Returns it.

    Raises:
        ChangeRefused: there is none, or it has ended before.
    """
    row = work.connection.execute(table.__table__.select().where(table.id == number)).mappings().first()
    name = table.__tablename__
    if row is None:
        raise ChangeRefused(f"{name} has no entry {number}; see `securitybot {name} list`")
    done = work.connection.execute(
        update(table)
        .where(table.id == number, table.lifted_at.is_(None), table.until > work.now)
        .values(lifted_at=work.now, lifted_by=actor)
    )
    if not done.rowcount:
        raise ChangeRefused(f"entry {number} of {name} has ended before; nothing is to be lifted")
    work.note(f"{name}_lifted", person=row["person_id"], actor=actor, entry=number)
    return dict(row)


def retry_quarantined(work: UnitOfWork, number: int, actor: str, body: bytes | None = None) -> str:
    """Send a quarantined message again, with a new id, as the inbox knows the old one. Returns the new id.

    The old one goes along: it names the chat message that is updated, and answered in its thread.

    An alert goes to the exchange for alerts, by whatever way it came. A message between services goes to the one queue
    that did not take it: the others have handled it, and would do so again under its new id.

    Raises:
        ChangeRefused: there is none, it was decided on before, nobody knows where it came from, it is too large, or
            AMQP cannot carry it.
    """
    row = _decide(work, number, "retried", actor, "body changed" if body is not None else None)
    if row["exchange"] == DEAD:
        raise ChangeRefused(f"{number} does not say where it was published; publish its body anew and drop it")
    sent = bytes(row["body"]) if body is None else body
    if len(sent) > MOST_RETRIED:
        raise ChangeRefused(f"{number} would have {len(sent)} bytes; at most {MOST_RETRIED} are sent: mend it")
    original: dict[str, HeaderValue] = {}
    if row["queue"] == INGEST_QUEUE.name:
        exchange, routing_key = ALERTS, f"alert.{row['routing_key'].rpartition('.')[2]}"
    elif row["exchange"] == EVENTS:
        exchange, routing_key = EVENTS, retry_key(row["queue"])
        original = {ORIGINAL_ID_HEADER: row["message_id"]} if row["message_id"] else {}
    else:
        raise ChangeRefused(
            f"{number} came from {row['exchange']!r}; nothing is sent there: publish it anew and drop it"
        )
    headers = original | _headers(row["headers"])
    size = len(json.dumps(headers, ensure_ascii=False).encode())
    if size > MOST_HEADERS:
        raise ChangeRefused(
            f"{number} has headers of {size} bytes; at most {MOST_HEADERS} are sent: publish it anew and drop it"
        )
    if any(len(text.encode()) > MOST_IN_SHORT for text in (routing_key, *headers)):
        raise ChangeRefused(
            f"{number} has a routing key, or a header with a name, of more than {MOST_IN_SHORT} bytes: publish it anew "
            "and drop it"
        )
    publication = Publication(
        exchange=exchange,
        routing_key=routing_key,
        body=sent,
        message_id=new_id(),
        type=row["type"],
        correlation_id=row["correlation_id"],
        headers=headers,
    )
    work.publish(publication)
    work.note("quarantine_retried", actor=actor, entry=number, message_id=publication.message_id, new_body=bool(body))
    return publication.message_id


def drop_quarantined(work: UnitOfWork, number: int, actor: str, note: str) -> None:
    """Decide that a quarantined message is not to be handled; it stays in the record.

    Raises:
        ChangeRefused: there is none, it was decided on before, or the note is empty.
    """
    if not note.strip():
        raise ChangeRefused("say why it is dropped")
    _decide(work, number, "dropped", actor, note.strip())
    work.note("quarantine_dropped", actor=actor, entry=number, note=note.strip())


def _decide(work: UnitOfWork, number: int, state: str, actor: str, note: str | None) -> dict[str, Any]:
    row = get_quarantined(work.connection, number)
    if row is None:
        raise ChangeRefused(f"the quarantine has no message {number}; see `securitybot quarantine list`")
    done = work.connection.execute(
        update(QuarantineRow)
        .where(QuarantineRow.id == number, QuarantineRow.state == "waiting")
        .values(state=state, note=note, decided_by=actor, decided_at=work.now)
    )
    if not done.rowcount:
        raise ChangeRefused(f"message {number} was {row['state']} before by {row['decided_by']}")
    return row


def _headers(kept: dict[str, HeaderValue]) -> dict[str, HeaderValue]:
    """Return headers as they can be sent again: without the broker's own, and as text what is no integer of AMQP's."""
    return {
        name: str(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value
        for name, value in kept.items()
        if not name.startswith("x-")
    }


def _check_silence(work: UnitOfWork, silence: Silence) -> None:
    if not silence.reason.strip():
        raise ChangeRefused("say why: the reason stands beside every alert that is silenced by it")
    if not work.now < silence.until <= work.now + LONGEST:
        raise ChangeRefused(f"it has to end by itself: in the future, within {LONGEST.days} days")


def _silence_values(work: UnitOfWork, person: Record, silence: Silence) -> dict[str, Any]:
    return {
        "person_id": person["chat_id"],
        "added_by": silence.actor,
        "reason": silence.reason.strip(),
        "created_at": work.now,
        "until": silence.until,
    }


def _just_added(work: UnitOfWork, table: type[IgnoredRow | BlacklistRow], values: Record) -> bool:
    """Tell whether the same is there since a moment ago: a second click must not make a second entry to lift."""
    columns = table.__table__.c
    same = [columns[name] == value for name, value in values.items() if name not in ("created_at", "until")]
    about = columns["until"].between(values["until"] - A_MOMENT, values["until"] + A_MOMENT)
    lately = columns["created_at"] > work.now - A_MOMENT
    query = select(columns["id"]).where(*same, about, lately, columns["lifted_at"].is_(None))
    return work.connection.scalar(query.limit(1)) is not None


def _note_silence(work: UnitOfWork, action: str, person: Record, silence: Silence, **detail: str) -> None:
    until, reason = silence.until.isoformat(), silence.reason.strip()
    work.note(action, person=person["chat_id"], actor=silence.actor, until=until, reason=reason, **detail)
