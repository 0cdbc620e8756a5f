"""The inbox: what waits for the team, worst first; and what analysts do with it, one by one or many at once."""

from __future__ import annotations

from sqlalchemy import Connection
from starlette.responses import Response

from common.errors import ChangeRefused
from common.records import triage
from services.console.access import Role
from services.console.desk import Desk
from services.console.finding import Found, Record, triage_of
from services.console.inbox import Group, waiting, waiting_groups
from services.console.searches import PAGE, decode_cursor
from services.console.web import Page, Visit


def show(desk: Desk, visit: Visit) -> Response:
    """Show what waits; `resolution` and `severity` narrow it, `mine` shows what the visitor has taken."""
    parameters = visit.request.query_params
    resolution, severity = parameters.get("resolution"), parameters.get("severity")
    cursor = decode_cursor(parameters.get("cursor"))

    def read(connection: Connection) -> tuple[list[Group], Found, dict[str, Record]]:
        every = waiting_groups(connection)
        chosen = [
            group
            for group in every
            if resolution in (None, "", group.resolution) and severity in (None, "", group.severity)
        ]
        found = waiting(connection, chosen, cursor, PAGE)
        return every, found, triage_of(connection, [row["hash"] for row in found.alerts])

    groups, found, taken = desk.read(read)
    by_resolution: dict[str, int] = {}
    for group in groups:
        by_resolution[group.resolution] = by_resolution.get(group.resolution, 0) + group.alerts
    return desk.page(
        "inbox.html", visit.request, visit.who, found=found, taken=taken, total=sum(by_resolution.values()),
        by_resolution=by_resolution, resolution_chosen=resolution, parameters=dict(parameters),
    )  # fmt: skip


def take(desk: Desk, visit: Visit) -> Response:
    """Take an alert."""
    desk.change(lambda work: triage.take(work, _digest(visit), visit.who.actor))
    return visit.back("It is yours now.")


def comment(desk: Desk, visit: Visit) -> Response:
    """Comment on an alert."""
    desk.change(lambda work: triage.comment(work, _digest(visit), visit.text("comment"), visit.who.actor))
    return visit.back("Your comment is in the story.")


def close(desk: Desk, visit: Visit) -> Response:
    """Close one alert, or all that are ticked."""
    hashes = [_checked(str(value)) for value in visit.form.getlist("alert")]
    verdict, words = visit.text("verdict"), visit.text("comment")
    count = desk.change(lambda work: triage.close(work, hashes, verdict, words, visit.who.actor))
    what = "1 alert" if count == 1 else f"{count} alerts"
    return visit.back(f"Closed {what} as {verdict}.")


def _digest(visit: Visit) -> str:
    return _checked(visit.path("hash"))


def _checked(digest: str) -> str:
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):  # noqa: PLR2004 - SHA-256 in hex
        raise ChangeRefused("there is no such alert")
    return digest


PAGES = (
    Page("/inbox", show),
    Page("/inbox/close", close, Role.ANALYST, "POST"),
    Page("/alerts/{hash}/take", take, Role.ANALYST, "POST"),
    Page("/alerts/{hash}/comment", comment, Role.ANALYST, "POST"),
)
