"""Alerts: search, one alert with its story, export as a stream."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select
from starlette.responses import RedirectResponse, Response, StreamingResponse

from common.alerts import Resolution, Severity, Status
from common.errors import ChangeRefused
from common.records.queries import alert_history, find_alerts
from common.records.tables import AlertRow, PersonRow
from services.console.desk import Desk
from services.console.export_query import pages
from services.console.exporting import as_csv, as_json
from services.console.finding import Record, find, triage_of
from services.console.searches import SORTS, AlertSearch, as_parameters, decode_cursor, read_search
from services.console.web import Page, Visit

OTHERS = 8
EXPORTS = {"csv": ("text/csv; charset=utf-8", as_csv), "json": ("application/json", as_json)}


def search(desk: Desk, visit: Visit) -> Response:
    """Search; the whole search is in the URL."""
    parameters = visit.request.query_params
    wanted = read_search(parameters, desk.now())
    cursor = decode_cursor(parameters.get("cursor"))
    found = desk.read(lambda connection: find(connection, wanted, cursor))
    return desk.page(
        "alerts.html", visit.request, visit.who, found=found, search=wanted, parameters=as_parameters(wanted),
        after=parameters.get("after", ""), before=parameters.get("before", ""), sorts=SORTS, statuses=list(Status),
        resolutions=list(Resolution), severities=list(Severity), is_first=cursor is None,
    )  # fmt: skip


def export(desk: Desk, visit: Visit) -> Response:
    """Stream the whole result."""
    kind = visit.path("kind")
    if kind not in EXPORTS:
        raise ChangeRefused("exports are csv and json")
    wanted = read_search(visit.request.query_params, desk.now())
    media, write = EXPORTS[kind]
    name = f"alerts-{desk.now().astimezone(UTC):%Y%m%d-%H%M%S}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(write(pages(desk.read, wanted)), media_type=media, headers=headers)


def show(desk: Desk, visit: Visit) -> Response:
    """Show everything that is known of one alert."""
    prefix = visit.path("hash").lower()
    if not prefix or len(prefix) > 64 or set(prefix) - set("0123456789abcdef"):  # noqa: PLR2004 - SHA-256 in hex
        raise ChangeRefused("there is no such alert")
    rows = desk.read(lambda connection: find_alerts(connection, prefix))
    if len(rows) != 1:
        raise ChangeRefused("no alert's hash begins like that" if not rows else "several alerts begin like that")
    alert = rows[0]
    if alert["hash"] != prefix:
        return RedirectResponse(f"/alerts/{alert['hash']}", status_code=307)
    story = desk.read(lambda connection: _story(connection, alert))
    return desk.page("alert.html", visit.request, visit.who, alert=alert, **story)


def _story(connection: Connection, alert: Record) -> dict[str, Any]:
    history = alert_history(connection, alert["hash"])
    person = None
    if alert["person_id"]:
        person = (
            connection.execute(select(PersonRow.__table__).where(PersonRow.chat_id == alert["person_id"]))
            .mappings()
            .first()
        )
    mine = AlertSearch(owner=alert["person_id"] or alert["owner"], limit=OTHERS + 1)
    same = AlertSearch(titles=(alert["title"],), limit=OTHERS + 1)
    raw = {column.name: _plain(alert[column.name]) for column in AlertRow.__table__.columns if column.name != "id"}
    return {
        "history": history,
        "person": person,
        "triage": triage_of(connection, [alert["hash"]]).get(alert["hash"], {}),
        "of_person": _others(connection, mine, alert),
        "of_title": _others(connection, same, alert),
        "raw": raw,
    }


def _others(connection: Connection, wanted: AlertSearch, alert: Record) -> list[Record]:
    return [row for row in find(connection, wanted, None).alerts if row["id"] != alert["id"]][:OTHERS]


def _plain(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


PAGES = (
    Page("/alerts", search),
    Page("/alerts/export.{kind}", export),
    Page("/alerts/{hash}", show),
)
