"""A new alert by hand: to one or many people, previewed as the bot will ask it, sent through the exchange like any."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from common.alert_form import parse_rfc3339
from common.alert_publication import prepare
from common.alerts import Alert, Severity
from common.bus.port import Publication
from common.cards import alert_parts, question_card
from common.errors import BadMessage, ChangeRefused
from common.ids import new_id
from common.messages import ChatContent
from common.unit_of_work import UnitOfWork
from services.console.access import Role
from services.console.desk import Desk
from services.console.web import Page, Visit

SOURCE = "custom"
MOST_OWNERS = 50
FIELDS = ("owners", "title", "description", "reason", "url", "severity")
EVENT_TIME = "event_time"
"""Fixed by the preview, so that what is sent twice (by a second click, say) is the same alert once more. The hash is of
all fields: what goes back to change the severity sends another alert.
"""
UTC_ZONE = ZoneInfo("UTC")


def show(desk: Desk, visit: Visit) -> Response:
    """Show the form; `owner` and `title` may come from the page before."""
    values = dict.fromkeys(FIELDS, "") | {"severity": "medium"}
    given = visit.request.query_params
    values |= {"owners": given.get("owner", ""), "title": given.get("title", "")}
    return _page(desk, visit, values)


def preview(desk: Desk, visit: Visit) -> Response:
    """Show what will be asked, without asking it."""
    values = _given(desk, visit)
    try:
        prepared = _prepare(desk, values)
    except ChangeRefused as error:
        return _page(desk, visit, values, problem=str(error))
    alert = prepared[0][0]
    return _page(desk, visit, values, card=_card(desk, alert), count=len(prepared))


def send(desk: Desk, visit: Visit) -> Response:
    """Publish an alert a person and note who did it: all of it or nothing."""
    values = _given(desk, visit)
    try:
        prepared = _prepare(desk, values)
    except ChangeRefused as error:
        return _page(desk, visit, values, problem=str(error))

    def publish(work: UnitOfWork) -> None:
        for alert, publication in prepared:
            work.publish(publication)
            work.note("published", alert=alert.hash, actor=visit.who.actor, source=alert.source)

    desk.change(publish)
    what = "The alert is" if len(prepared) == 1 else f"{len(prepared)} alerts are"
    return visit.back(f"{what} on the way.", f"/alerts/{prepared[0][0].hash}/sent")


def sent(desk: Desk, visit: Visit) -> Response:
    """Say that it is on its way; the alert itself is there once the intake has taken it."""
    return desk.page("sent.html", visit.request, visit.who, digest=visit.path("hash"))


def _given(desk: Desk, visit: Visit) -> dict[str, str]:
    """Return what the form holds, with the time of its preview."""
    time = visit.text(EVENT_TIME)
    try:
        parse_rfc3339(time)
    except ValueError:
        time = desk.now().isoformat()
    return {name: visit.text(name) for name in FIELDS} | {EVENT_TIME: time}


def _prepare(desk: Desk, values: dict[str, str]) -> list[tuple[Alert, Publication]]:
    owners = list(dict.fromkeys(values["owners"].replace(",", " ").split()))
    if not owners:
        raise ChangeRefused("owners: name at least one person (or host)")
    if len(owners) > MOST_OWNERS:
        raise ChangeRefused(f"owners: at most {MOST_OWNERS} at once")
    fields = {name: values[name].strip() for name in FIELDS if name != "owners" and values[name].strip()}
    now, previewed = desk.now(), parse_rfc3339(values[EVENT_TIME])
    prepared = []
    for index, owner in enumerate(owners):
        alert = fields | {"owner": owner, EVENT_TIME: (previewed + timedelta(microseconds=index)).isoformat()}
        alert["hash"] = hashlib.sha256(json.dumps(alert, sort_keys=True).encode()).hexdigest()
        try:
            prepared.append(prepare(alert, source=SOURCE, message_id=new_id(), received_at=now))
        except BadMessage as error:
            raise ChangeRefused(error.reason) from None
    return prepared


def _card(desk: Desk, alert: Alert) -> ChatContent:
    texts = desk.texts
    summary = texts.render("question_first", name=alert.owner, title=alert.title)
    return question_card(texts, summary, alert_parts(texts, alert, UTC_ZONE))


def _page(desk: Desk, visit: Visit, values: dict[str, str], **more: Any) -> Response:
    shown: dict[str, Any] = {"problem": None, "card": None, "count": 0} | more
    page = desk.page("new.html", visit.request, visit.who, values=values, severities=list(Severity), **shown)
    if shown["problem"]:
        page.status_code = 422
    return page


PAGES = (
    Page("/new", show, Role.ANALYST),
    Page("/new/preview", preview, Role.ANALYST, "POST"),
    Page("/new", send, Role.ANALYST, "POST"),
    Page("/alerts/{hash}/sent", sent),
)
