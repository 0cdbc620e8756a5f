"""The quarantine: what could not be taken, why; sent again (edited or not), or dropped with a note."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from common.errors import ChangeRefused
from common.records.changes import drop_quarantined, retry_quarantined
from common.records.queries import get_quarantined, list_quarantine
from common.topology import ALERTS
from services.console.access import Identity, Role
from services.console.desk import Desk
from services.console.web import Page, Visit

SHOWN = 200
STATES = ("waiting", "retried", "dropped", "all")


def show(desk: Desk, visit: Visit) -> Response:
    """List what is in the quarantine."""
    state = visit.request.query_params.get("state", "waiting")
    if state not in STATES:
        raise ChangeRefused(f"state is one of {', '.join(STATES)}")
    wanted = None if state == "all" else state
    rows = desk.read(lambda connection: list_quarantine(connection, wanted, SHOWN))
    return desk.page("quarantine.html", visit.request, visit.who, rows=rows, state=state, states=STATES)


def one(desk: Desk, visit: Visit) -> Response:
    """Show one message, byte by byte where it is no text."""
    row = desk.read(lambda connection: _row(connection, visit))
    body = bytes(row.pop("body"))
    try:
        text, is_text = body.decode(), True
    except UnicodeDecodeError:
        text, is_text = body.decode(errors="backslashreplace"), False
    return desk.page(
        "quarantined.html", visit.request, visit.who, row=row, body=text, is_text=is_text,
        may_retry=may_retry(visit.who, row["exchange"]),
    )  # fmt: skip


def retry(desk: Desk, visit: Visit) -> Response:
    """Send it again: as it came, or with the body that the analyst made of it."""
    number = int(visit.path("number"))
    row = desk.read(lambda connection: _row(connection, visit))
    if not may_retry(visit.who, row["exchange"]):
        raise ChangeRefused("messages between services are sent again by admins only: they carry answers and proofs")
    body = _body(visit, bytes(row["body"]))
    desk.change(lambda work: retry_quarantined(work, number, visit.who.actor, body))
    return visit.back(f"Message {number} is on its way again.", "/quarantine")


def drop(desk: Desk, visit: Visit) -> Response:
    """Decide that it need not be handled."""
    number = int(visit.path("number"))
    desk.change(lambda work: drop_quarantined(work, number, visit.who.actor, visit.text("note")))
    return visit.back(f"Message {number} is dropped; it stays in the record.", "/quarantine")


def may_retry(who: Identity, exchange: str) -> bool:
    """Tell whether somebody may send a message again: what is no alert could forge an answer or a proof."""
    return who.role.allows(Role.ANALYST if exchange == ALERTS else Role.ADMIN)


def _body(visit: Visit, before: bytes) -> bytes | None:
    """Return the new body; None where it was left as it came. A browser sends line feeds as CR LF."""
    text = visit.text("body").replace("\r\n", "\n")
    unchanged = not text.strip() or text == before.decode(errors="backslashreplace").replace("\r\n", "\n")
    return None if unchanged else text.encode()


def _row(connection: Connection, visit: Visit) -> dict[str, Any]:
    row = get_quarantined(connection, int(visit.path("number")))
    if row is None:
        raise ChangeRefused("the quarantine has no such message")
    return row


PAGES = (
    Page("/quarantine", show),
    Page("/quarantine/{number:row}", one),
    Page("/quarantine/{number:row}/retry", retry, Role.ANALYST, "POST"),
    Page("/quarantine/{number:row}/drop", drop, Role.ANALYST, "POST"),
)
