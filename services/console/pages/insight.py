"""Insight: what happens to the alerts, and what should be tuned; the numbers of each picture one click away."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from starlette.responses import Response

from common.errors import ChangeRefused
from services.console.charts import columns, curves, rows
from services.console.counting import GROUP_NAMES, GROUPS, Shares, advice, quantile
from services.console.desk import Desk
from services.console.exporting import plain_cell
from services.console.rendering import duration
from services.console.rollup import Insight
from services.console.web import Page, Visit

SPANS = {"7": 7, "30": 30, "90": 90}
MOST_TITLES = 15


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers behind a picture."""

    name: str
    heading: str
    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]


def show(desk: Desk, visit: Visit) -> Response:
    """Show the pictures."""
    span, days, data = _data(desk, visit)
    tables = {table.name: table for table in _tables(days, data)}
    by_day = [_groups(data.days.get(day, Counter())) for day in days]
    medians = [quantile(data.answers.get(day, {}), 0.5) for day in days]
    slow = [quantile(data.answers.get(day, {}), 0.95) for day in days]
    every: Counter[int] = Counter()
    for buckets in data.answers.values():
        every.update(buckets)
    return desk.page(
        "insight.html", visit.request, visit.who, span=span, spans=SPANS, data=data, tables=tables,
        advice=advice(data.titles), median=quantile(every, 0.5), slow=quantile(every, 0.95),
        groups=_groups(sum(data.days.values(), Counter())),
        per_day=columns("Alerts a day by what became of them", days, GROUP_NAMES, by_day),
        answer_time=curves("Time to answer", days, {"median": medians, "95th": slow}, duration),
        titles=rows("What became of alerts, by title", data.titles[:MOST_TITLES], GROUP_NAMES),
        teams=rows("What became of alerts, by team of owners", data.teams[:MOST_TITLES], GROUP_NAMES),
        hours=columns(
            "Alerts by hour of the day (UTC)", [f"{hour:02}" for hour in range(24)], GROUP_NAMES, _hours(data.hours)
        ),
    )  # fmt: skip


def download(desk: Desk, visit: Visit) -> Response:
    """Return the numbers of one picture as CSV."""
    _, days, data = _data(desk, visit)
    table = next((table for table in _tables(days, data) if table.name == visit.path("name")), None)
    if table is None:
        raise ChangeRefused("there is no such picture")
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(table.columns)
    writer.writerows([plain_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in table.rows)
    headers = {"Content-Disposition": f'attachment; filename="{table.name}.csv"'}
    return Response(buffer.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _data(desk: Desk, visit: Visit) -> tuple[str, list[str], Insight]:
    span = visit.request.query_params.get("days", "30")
    if span not in SPANS:
        raise ChangeRefused(f"days is one of {', '.join(SPANS)}")
    today = desk.now().date()
    days = [(today - timedelta(days=back)).isoformat() for back in reversed(range(SPANS[span]))]
    return span, days, desk.insight(days[0], days[-1])


def _tables(days: list[str], data: Insight) -> list[Table]:
    empty: Counter[str] = Counter()
    return [
        Table(
            "alerts-a-day", "Alerts a day", ("day", *GROUP_NAMES),
            [(day, *_groups(data.days.get(day, empty)).values()) for day in days],
        ),
        Table(
            "time-to-answer", "Time to answer", ("day", "answers", "median seconds", "95th percentile seconds"),
            [(day, sum(data.answers.get(day, {}).values()), _rounded(data, day, 0.5), _rounded(data, day, 0.95))
             for day in days],
        ),
        _share_table("by-title", "By title", "title", data.titles),
        _share_table("by-team", "By team of owners", "team", data.teams),
        _share_table("by-hour", "By hour", "hour", data.hours),
    ]  # fmt: skip


def _share_table(name: str, heading: str, key: str, found: list[Shares]) -> Table:
    lines: list[tuple[object, ...]] = [
        (share.key, share.total, *(share.by_group.get(group, 0) for group in GROUP_NAMES)) for share in found
    ]
    return Table(name, heading, (key, "alerts", *GROUP_NAMES), lines)


def _rounded(data: Insight, day: str, share: float) -> float | None:
    value = quantile(data.answers.get(day, {}), share)
    return None if value is None else round(value, 1)


def _groups(resolutions: Counter[str]) -> dict[str, int]:
    found = dict.fromkeys(GROUP_NAMES, 0)
    for resolution, alerts in resolutions.items():
        found[GROUPS.get(resolution, "other")] += alerts
    return found


def _hours(hours: list[Shares]) -> list[dict[str, int]]:
    by_hour = {share.key: dict(share.by_group) for share in hours}
    return [by_hour.get(f"{hour:02}", {}) for hour in range(24)]


PAGES = (
    Page("/insight", show),
    Page("/insight/{name}.csv", download),
)
