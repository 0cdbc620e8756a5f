"""What a batch works on: people, conversations and silences, loaded with a query each and saved at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Row, bindparam, case, literal, null, select, true, union_all, update

from common.alerts import Status
from common.records.bulk import Insert, Update, Upsert, write
from common.records.tables import AlertRow, BlacklistRow, ChatDeliveryRow, ConversationRow, IgnoredRow, PersonRow
from common.unit_of_work import UnitOfWork
from services.dispatcher.conversation_state import Conversation
from services.dispatcher.owners import Directory, Person

ALERTS = AlertRow.__table__
DELIVERIES = ChatDeliveryRow.__table__


# The queries of every batch, built once: building one costs as much as running it.
_people, _talks = PersonRow.__table__, ConversationRow.__table__
_black, _ignored = BlacklistRow.__table__, IgnoredRow.__table__
_IDS: BindParameter[str] = bindparam("ids", expanding=True)
_NOW = bindparam("now", type_=_black.c.until.type)
_PERSON = select(*(_people.c[field.name] for field in fields(Person)))
_NAMES: BindParameter[str] = bindparam("names", expanding=True)
_PEOPLE = union_all(
    _PERSON.where(_people.c.chat_id.in_(_IDS)),
    _PERSON.where(_people.c.username.in_(_NAMES)),
    _PERSON.where(_people.c.email.in_(_NAMES)),
)
_CONVERSATIONS = select(_talks).where(_talks.c.person_id.in_(_IDS)).order_by(_talks.c.person_id).with_for_update()
_SILENCES = union_all(
    select(_black.c.person_id, null().label("title"), _black.c.added_by, _black.c.reason, _black.c.until).where(
        _black.c.person_id.in_(_IDS), _black.c.until > _NOW, _black.c.lifted_at.is_(None)
    ),
    select(_ignored.c.person_id, _ignored.c.title, _ignored.c.added_by, _ignored.c.reason, _ignored.c.until).where(
        _ignored.c.person_id.in_(_IDS), _ignored.c.until > _NOW, _ignored.c.lifted_at.is_(None)
    ),
)


@dataclass(frozen=True, slots=True)
class Silence:
    """Somebody is not asked: at all (`title` is None), or about one title."""

    title: str | None
    added_by: str
    reason: str
    until: datetime


@dataclass(slots=True)
class _Loaded:
    conversation: Conversation
    version: int
    """0: there is no row yet."""
    changed: bool = False


class Desk:
    """The working set of one unit of work. Everything loaded for update stays locked until the commit."""

    def __init__(self, work: UnitOfWork) -> None:
        self.work = work
        self.directory = Directory(())
        self._people: dict[str, Person] = {}
        self._talks: dict[str, _Loaded] = {}
        self._silences: dict[str, list[Silence]] = {}
        self._placements: list[dict[str, Any]] = []

    # --- loading ------------------------------------------------------------------------------------------------

    def load_people(self, handles: Iterable[str]) -> None:
        """Load everybody whose chat id, e-mail address or user name is among `handles`."""
        wanted = {handle for handle in handles if handle not in self._people}
        if not wanted:
            return
        lowered = {handle.lower().removeprefix("@") for handle in wanted}
        rows = self.work.connection.execute(_PEOPLE, {"ids": sorted(wanted), "names": sorted(lowered)})
        for row in rows:
            self._people[row.chat_id] = Person(*row)
        self.directory = Directory(self._people.values())

    def load_conversations(self, person_ids: Iterable[str]) -> None:
        """Lock and load the conversations of these people, and what silences them; in one order everywhere."""
        wanted = sorted({person_id for person_id in person_ids if person_id not in self._talks})
        if not wanted:
            return
        rows = self.work.connection.execute(_CONVERSATIONS, {"ids": wanted})
        found = {row.person_id: row for row in rows}
        for person_id in wanted:
            row = found.get(person_id)
            if row is None:
                self._talks[person_id] = _Loaded(Conversation(person_id=person_id), version=0)
            else:
                self._talks[person_id] = _Loaded(Conversation.model_validate(row.state), row.version)
            self._silences[person_id] = []
        self._load_silences(wanted)

    def _load_silences(self, person_ids: Sequence[str]) -> None:
        rows = self.work.connection.execute(_SILENCES, {"ids": person_ids, "now": self.work.now})
        for row in rows:
            self._silences[row.person_id].append(Silence(row.title, row.added_by, row.reason, row.until))

    # --- people and conversations ---------------------------------------------------------------------------------

    def person(self, person_id: str) -> Person:
        """Return the person; somebody whom the directory does not know (yet) is known by their id alone."""
        self.load_people([person_id])
        return self._people.get(person_id) or Person(person_id, person_id, None, person_id, None, active=True)

    def conversation(self, person_id: str) -> Conversation:
        """Return where the conversation stands."""
        self.load_conversations([person_id])
        return self._talks[person_id].conversation

    def keep(self, conversation: Conversation) -> None:
        """Take the conversation's new state."""
        loaded = self._talks[conversation.person_id]
        loaded.changed = loaded.changed or conversation != loaded.conversation
        loaded.conversation = conversation

    def silence(self, person_id: str, title: str) -> Silence | None:
        """Return what keeps the person from being asked about `title` now, the blacklist first."""
        matching = [s for s in self._silences.get(person_id, ()) if s.title is None or s.title == title]
        return min(matching, key=lambda s: s.title is not None, default=None)

    def add_silence(self, person_id: str, silence: Silence) -> None:
        """Silence from now on, in the record and for the rest of this batch."""
        self._silences.setdefault(person_id, []).append(silence)
        values: dict[str, Any] = {
            "person_id": person_id,
            "added_by": silence.added_by,
            "reason": silence.reason,
            "created_at": self.work.now,
            "until": silence.until,
        }
        if silence.title is None:
            self.work.insert(BlacklistRow, **values)
        else:
            self.work.insert(IgnoredRow, title=silence.title, **values)

    def lift_own_blacklisting(self, person_id: str) -> bool:
        """End what the person asked for with `stop`; an analyst's entry stays. False: there was nothing to end."""
        actor = f"person:{person_id}"
        black = BlacklistRow.__table__
        self.work.flush()
        lifted = self.work.connection.execute(
            update(BlacklistRow)
            .where(
                black.c.person_id == person_id, black.c.added_by == actor,
                black.c.lifted_at.is_(None), black.c.until > self.work.now,
            )
            .values(lifted_at=self.work.now, lifted_by=actor)
        )  # fmt: skip
        silences = self._silences.get(person_id, [])
        self._silences[person_id] = [s for s in silences if s.title is not None or s.added_by != actor]
        return lifted.rowcount > 0

    def is_blacklisted(self, person_id: str) -> bool:
        """Tell whether the person is not asked about anything now."""
        return any(s.title is None for s in self._silences.get(person_id, ()))

    def shown_as(self, person_id: str, posted_as: str) -> tuple[str, int | None]:
        """Return id and place of the message to the person that the chat system calls `posted_as`.

        Where it is none of ours: `posted_as` itself, without a place.
        """
        found = self.work.connection.execute(
            select(DELIVERIES.c.message_id, DELIVERIES.c.sequence)
            .where(
                DELIVERIES.c.recipient_id == person_id, DELIVERIES.c.kind == "send", DELIVERIES.c.posted_as == posted_as
            )
            .limit(1)
        ).first()  # fmt: skip
        return (posted_as, None) if found is None else (found.message_id, found.sequence)

    def delivered_at(self, message_ids: Sequence[str]) -> dict[str, datetime]:
        """Return when these chat messages reached their person; those that did not are left out."""
        if not message_ids:
            return {}
        rows = self.work.connection.execute(
            select(DELIVERIES.c.message_id, DELIVERIES.c.completed_at).where(
                DELIVERIES.c.message_id.in_(message_ids), DELIVERIES.c.state == "sent"
            )
        )
        return {row.message_id: row.completed_at for row in rows}

    # --- alerts -----------------------------------------------------------------------------------------------------

    def place(self, alert_hash: str, **values: Any) -> None:
        """Set whom an alert concerns and which question it is part of; written before the next query for alerts."""
        self._placements.append({"hash": alert_hash} | values)

    def waiting(self, person_id: str) -> list[Row[Any]]:
        """Lock and return the alerts to ask the person about next: all of one title, that of the worst and oldest."""
        self.write_alerts()
        mine = (ALERTS.c.person_id == person_id, ALERTS.c.status == Status.OPEN, ALERTS.c.question_id.is_(None))
        rank = _severity_rank()
        first = self.work.connection.execute(
            select(ALERTS.c.title).where(*mine).order_by(rank.desc(), ALERTS.c.received_at, ALERTS.c.id).limit(1)
        ).scalar()
        if first is None:
            return []
        return list(
            self.work.connection.execute(
                select(ALERTS)
                .where(*mine, ALERTS.c.title == first)
                .order_by(ALERTS.c.received_at, ALERTS.c.id)
                .with_for_update()
            )
        )

    def count_waiting(self, person_id: str) -> int:
        """Return how many alerts wait behind the open question."""
        self.write_alerts()
        ids = select(ALERTS.c.id).where(
            ALERTS.c.person_id == person_id, ALERTS.c.status == Status.OPEN, ALERTS.c.question_id.is_(None)
        )
        return len(self.work.connection.execute(ids.limit(1000)).all())

    def of_question(self, question_id: str) -> list[Row[Any]]:
        """Lock and return the question's alerts that have no verdict yet."""
        self.write_alerts()
        return list(
            self.work.connection.execute(
                select(ALERTS)
                .where(ALERTS.c.question_id == question_id, ALERTS.c.resolution.is_(None))
                .order_by(ALERTS.c.id)
                .with_for_update()
            )
        )

    def alert(self, alert_hash: str) -> Row[Any]:
        """Return one alert, as it stands now."""
        self.write_alerts()
        return self.work.connection.execute(select(ALERTS).where(ALERTS.c.hash == alert_hash)).one()

    def handled(self, hashes: Sequence[str]) -> set[str]:
        """Return those of the alerts that are in somebody's hands, or have their verdict."""
        taken = (ALERTS.c.hash.in_(hashes), ALERTS.c.escalate_at.is_not(None) | ALERTS.c.resolution.is_not(None))
        return set(self.work.connection.scalars(select(ALERTS.c.hash).where(*taken)))

    def unresolved(self, hashes: Sequence[str]) -> list[Row[Any]]:
        """Lock and return those of the alerts that have no verdict yet."""
        self.write_alerts()
        wanted = (ALERTS.c.hash.in_(hashes), ALERTS.c.resolution.is_(None))
        return list(self.work.connection.execute(select(ALERTS).where(*wanted).order_by(ALERTS.c.id).with_for_update()))

    def without_person(self, alert_hash: str | None) -> list[Row[Any]]:
        """Lock and return open alerts whose owner is being looked up: two answers may come for one owner at once.

        Those of `alert_hash`; None: all, at most 1000, where the answer does not tell for which alert it was asked.
        """
        self.write_alerts()
        wanted = true() if alert_hash is None else ALERTS.c.hash == alert_hash
        return list(
            self.work.connection.execute(
                select(ALERTS)
                .where(ALERTS.c.person_id.is_(None), ALERTS.c.status == Status.OPEN, wanted)
                .order_by(ALERTS.c.id)
                .limit(1000)
                .with_for_update()
            )
        )

    def write_alerts(self) -> None:
        """Write the placements so far."""
        write(self.work.connection, *self._placed())

    def _placed(self) -> list[Update]:
        placements, self._placements = self._placements, []
        by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for placement in placements:
            by_columns.setdefault(tuple(placement), []).append(placement)
        return [Update(AlertRow, rows, key="hash", only_if=("resolution", None)) for rows in by_columns.values()]

    # --- saving -----------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write what has changed. A new conversation that another process wrote first fails, and is done again."""
        for placed in self._placed():
            self.work.write(placed)
        changed = [loaded for loaded in self._talks.values() if loaded.changed]
        rows = [
            {
                "person_id": loaded.conversation.person_id,
                "version": loaded.version + 1,
                "due_at": loaded.conversation.due_at(),
                "state": loaded.conversation.model_dump(mode="json", exclude_defaults=True)
                | {"person_id": loaded.conversation.person_id},
            }
            for loaded in changed
        ]
        self.work.write(Insert(ConversationRow, [row for row in rows if row["version"] == 1]))
        self.work.write(Upsert(ConversationRow, [row for row in rows if row["version"] != 1]))


def _severity_rank() -> Any:
    return case({"critical": 3, "high": 2, "medium": 1}, value=ALERTS.c.severity, else_=literal(0))
