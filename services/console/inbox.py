"""What waits for the team, worst first: one covering index, walked group by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from common.alerts import Resolution, Severity, Status
from common.records.tables import AlertRow
from services.console.finding import LISTED, Found, Record
from services.console.searches import Cursor

WORST_FIRST = (
    Resolution.PROOF_FRAUD,
    Resolution.DENIED,
    Resolution.PROOF_DENIED,
    Resolution.PROOF_REFUSED,
    Resolution.NO_RESPONSE,
    Resolution.PROOF_TIMEOUT,
    Resolution.UNKNOWN_OWNER,
    Resolution.UNREACHABLE,
    Resolution.PROOF_UNAVAILABLE,
    Resolution.NOT_SURE,
    Resolution.WRONG_PERSON,
    Resolution.CONFIRMED_UNPROVED,
    Resolution.BLACKLISTED,
    Resolution.IGNORED,
    Resolution.CONFIRMED,
)
SEVERITIES = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts of one resolution and severity that wait."""

    resolution: str
    severity: str
    alerts: int


def groups_in_order(counts: dict[tuple[str, str], int]) -> list[Group]:
    """Return the groups, worst first. Pure. Within a resolution the severity decides, then the age."""
    resolutions = [str(resolution) for resolution in WORST_FIRST]
    severities = [str(severity) for severity in SEVERITIES]
    groups = [Group(resolution, severity, alerts) for (resolution, severity), alerts in counts.items()]
    return sorted(groups, key=lambda g: (resolutions.index(g.resolution), severities.index(g.severity)))


def waiting_groups(connection: Connection) -> list[Group]:
    """Count what waits, by resolution and severity; read from the index alone."""
    rows = connection.execute(
        select(AlertRow.resolution, AlertRow.severity, func.count())
        .where(AlertRow.status == Status.VERIFYING.value)
        .group_by(AlertRow.resolution, AlertRow.severity)
    )
    return groups_in_order({(resolution or "", severity): count for resolution, severity, count in rows if resolution})


def waiting(connection: Connection, groups: Sequence[Group], cursor: Cursor | None, limit: int) -> Found:
    """Return the next page of `groups`, oldest first within each; the cursor's key names its group."""
    page: list[Record] = []
    names = [f"{group.resolution}/{group.severity}" for group in groups]
    start = names.index(cursor.key) if cursor and cursor.key in names else 0
    for index in range(start, len(groups)):
        behind = cursor if cursor and names[index] == cursor.key else None
        page += _of_group(connection, groups[index], behind, limit + 1 - len(page))
        if len(page) > limit:
            page = page[:limit]
            last = page[-1]
            key = f"{last['resolution']}/{last['severity']}"
            return Found(page, Cursor(key, last["received_at"], last["id"]).encode())
    return Found(page, None)


def _of_group(connection: Connection, group: Group, behind: Cursor | None, most: int) -> list[dict[str, Any]]:
    query = select(*LISTED).where(
        AlertRow.status == Status.VERIFYING.value,
        AlertRow.resolution == group.resolution,
        AlertRow.severity == group.severity,
    )
    if behind is not None:
        query = query.where(
            and_(
                AlertRow.received_at >= behind.at,
                or_(AlertRow.received_at > behind.at, AlertRow.id > behind.number),
            )
        )
    query = query.order_by(AlertRow.received_at, AlertRow.id).limit(most)
    return [dict(row) for row in connection.execute(query).mappings()]
