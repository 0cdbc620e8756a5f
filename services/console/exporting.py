"""Exports of alerts as CSV or JSON, as text in pieces. Pure.

A million rows go through here, so a row is a tuple as the database gave it: times as text, JSON as it is kept, truth as
0 and 1 (see `export_query`); nothing is parsed to be written again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from json.encoder import encode_basestring
from typing import Any

Row = Sequence[Any]

TIMES = ("received_at", "event_time", "asked_at", "responded_at", "resolved_at", "closed_at", "last_seen_at")
TRUTHS = ("performed", "authenticated")
COLUMNS = (
    "hash", "received_at", "event_time", "owner", "person_id", "title", "description", "reason", "url", "severity",
    "source", "status", "resolution", "performed", "authenticated", "comment", "asked_at", "responded_at",
    "resolved_at", "closed_at", "last_seen_at", "occurrences", "context",
)  # fmt: skip
STRANGERS = ("owner", "person_id", "title", "description", "reason", "url", "source", "comment")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins like this is run by spreadsheets; an apostrophe before it keeps it text."""
_TRUTH = {None: None, 0: "no", 1: "yes"}
_JSON_TRUTH = {None: "null", 0: "false", 1: "true"}
_TIME_AT = [COLUMNS.index(name) for name in TIMES]
_TRUTH_AT = [COLUMNS.index(name) for name in TRUTHS]
_STRANGER_AT = [COLUMNS.index(name) for name in STRANGERS]


def as_csv(pages: Iterable[Sequence[Row]]) -> Iterator[str]:
    """Yield CSV (RFC 4180) with a line of headings."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for page in pages:
        writer.writerows([_cells(row) for row in page])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def as_json(pages: Iterable[Sequence[Row]]) -> Iterator[str]:
    """Yield one JSON array, an object a line."""
    yield "["
    separator = "\n"
    for page in pages:
        if page:
            yield separator + ",\n".join([_object(row) for row in page])
            separator = ",\n"
    yield "\n]\n"


def _cells(row: Row) -> list[Any]:
    cells = list(row)
    for at in _TIME_AT:
        cells[at] = iso_time(cells[at])
    for at in _TRUTH_AT:
        cells[at] = _TRUTH[cells[at]]
    for at in _STRANGER_AT:
        value = cells[at]
        if value:
            cells[at] = plain_cell(value)
    return cells


def plain_cell(value: str) -> str:
    """Return the text of a cell as no spreadsheet runs it."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def iso_time(text: str | None) -> str | None:
    """Return a time as the databases write it (UTC) in the form of RFC 3339."""
    return None if text is None else text.replace(" ", "T", 1) + "Z"


def _object(row: Row) -> str:
    parts = [name + write(value) for (name, write), value in zip(_WRITERS, row, strict=True)]
    return "{" + ",".join(parts) + "}"


def _text(value: Any) -> str:
    return "null" if value is None else encode_basestring(value)


def _time(value: Any) -> str:
    return "null" if value is None else f'"{iso_time(value)}"'


def _kept(value: Any) -> str:
    return "null" if value is None else str(value)


def _writer(name: str) -> Callable[[Any], str]:
    if name in TIMES:
        return _time
    if name in TRUTHS:
        return _JSON_TRUTH.__getitem__
    return _kept if name in ("context", "occurrences") else _text


_WRITERS = [(f'"{name}":', _writer(name)) for name in COLUMNS]
