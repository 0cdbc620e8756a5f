"""What the security team does with alerts that wait for it. Each change leaves a row in the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from common.alerts import Status
from common.errors import ChangeRefused
from common.records.bulk import Upsert
from common.records.console_tables import TriageRow
from common.records.tables import AlertRow
from common.unit_of_work import UnitOfWork

VERDICTS = ("benign", "incident")
MAX_COMMENT = 4000
MOST_AT_ONCE = 500


def take(work: UnitOfWork, digest: str, actor: str) -> None:
    """Say that the analyst looks after an alert; from then on the others see who does.

    Raises:
        ChangeRefused: there is none, or it does not wait for the team.
    """
    _waiting(work, [digest])
    work.write(Upsert(TriageRow, [{"alert_hash": digest, "taken_by": actor, "taken_at": work.now}]))
    work.note("taken", alert=digest, actor=actor)


def comment(work: UnitOfWork, digest: str, text: str, actor: str) -> None:
    """Add words to an alert's story, whatever its status.

    Raises:
        ChangeRefused: there is no such alert, or no words.
    """
    if work.connection.scalar(select(AlertRow.id).where(AlertRow.hash == digest)) is None:
        raise ChangeRefused("there is no such alert")
    work.note("commented", alert=digest, actor=actor, comment=_checked(text, required=True))


def close(work: UnitOfWork, digests: Sequence[str], verdict: str, text: str, actor: str) -> int:
    """Close alerts that wait for the team. All or none; the resolution stays what the bot found. Returns how many.

    Raises:
        ChangeRefused: one of them does not wait for the team (somebody else was quicker), or the verdict is unknown.
    """
    if verdict not in VERDICTS:
        raise ChangeRefused(f"the verdict is one of {', '.join(VERDICTS)}")
    words = _checked(text, required=False)
    hashes = list(dict.fromkeys(digests))
    rows = _waiting(work, hashes)
    work.connection.execute(
        update(AlertRow).where(AlertRow.hash.in_(hashes)).values(status=Status.CLOSED.value, closed_at=work.now)
    )
    work.write(Upsert(TriageRow, [{"alert_hash": digest, "verdict": verdict, "closed_by": actor} for digest in hashes]))
    for row in rows:
        work.note("closed", alert=row.hash, person=row.person_id, actor=actor, verdict=verdict, comment=words)
    return len(rows)


def _waiting(work: UnitOfWork, hashes: Sequence[str]) -> Sequence[Any]:
    """Lock and return the alerts, all of which wait for the team."""
    if not 1 <= len(hashes) <= MOST_AT_ONCE:
        raise ChangeRefused(f"choose 1 to {MOST_AT_ONCE} alerts")
    rows = work.connection.execute(
        select(AlertRow.hash, AlertRow.status, AlertRow.person_id)
        .where(AlertRow.hash.in_(hashes))
        .order_by(AlertRow.id)
        .with_for_update()
    ).all()
    if len(rows) < len(hashes):
        raise ChangeRefused("there is no such alert")
    gone = [row for row in rows if row.status != Status.VERIFYING]
    if gone:
        raise ChangeRefused(
            f"{len(gone)} of {len(rows)} do not wait for the team any more (or not yet); look again"
            if len(rows) > 1
            else f"the alert is {gone[0].status.replace('_', ' ')}: it does not wait for the team"
        )
    return rows


def _checked(text: str, *, required: bool) -> str:
    text = text.strip()
    if required and not text:
        raise ChangeRefused("write something")
    if len(text) > MAX_COMMENT:
        raise ChangeRefused(f"a comment has at most {MAX_COMMENT} characters")
    return text
