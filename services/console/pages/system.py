"""System: services, queues, what waits how long, how much goes through, and what went wrong lately."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select
from starlette.responses import Response

from common.errors import BusUnavailable
from common.records.console_tables import ProgressRow
from common.records.queries import list_quarantine
from common.records.tables import AuthRequestRow, ChatDeliveryRow, OutboxRow
from common.topology import TOPOLOGY
from services.console.desk import Desk
from services.console.web import Page, Visit

SHOWN = 8


def show(desk: Desk, visit: Visit) -> Response:
    """Show how the bot is."""
    queues: dict[str, int] | None = None
    trouble = ""
    try:
        queues = desk.bus.depths([queue.name for queue in TOPOLOGY.queues])
    except BusUnavailable as error:
        trouble = str(error)
    rates = {
        what: sum(health.per_minute(what) or 0.0 for health in desk.pulse.services.values())
        for what in ("calls", "waits", "pushes", "failed", "quarantined")
    }
    if all(health.state == "in this process" for health in desk.pulse.services.values()):
        gateway = desk.pulse.services["chat-gateway"]
        rates = {what: gateway.per_minute(what) or 0.0 for what in rates}
    return desk.page(
        "system.html", visit.request, visit.who, queues=queues, trouble=trouble, rates=rates,
        services=list(desk.pulse.services.values()), connected=desk.bus.connected(), **desk.read(_waits),
    )  # fmt: skip


def _waits(connection: Connection) -> dict[str, Any]:
    """Return the oldest of what waits, and the newest of what failed."""
    pending = ChatDeliveryRow.state == "pending"
    failed = (
        select(ChatDeliveryRow.created_at, ChatDeliveryRow.recipient_id, ChatDeliveryRow.error)
        .where(ChatDeliveryRow.state == "failed")
        .order_by(ChatDeliveryRow.created_at.desc())
        .limit(SHOWN)
    )
    return {
        "outbox": connection.execute(select(func.count(), func.min(OutboxRow.created_at))).one(),
        "deliveries": connection.execute(
            select(func.count(), func.min(ChatDeliveryRow.created_at)).where(pending)
        ).one(),
        "pushes": connection.execute(
            select(func.count(), func.min(AuthRequestRow.created_at)).where(AuthRequestRow.state != "settled")
        ).one(),
        "failed": [dict(row) for row in connection.execute(failed).mappings()],
        "quarantined": list_quarantine(connection, "waiting", SHOWN),
        "progress": [dict(row) for row in connection.execute(select(ProgressRow.__table__)).mappings()],
    }


PAGES = (Page("/system", show),)
