"""Pages of records → CSV or JSON, as text in pieces. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

COLUMNS = (
    "hash", "received_at", "event_time", "owner", "person_id", "title", "description", "reason", "url", "severity",
    "source", "status", "resolution", "performed", "authenticated", "comment", "asked_at", "responded_at",
    "resolved_at", "closed_at", "last_seen_at", "occurrences", "context",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins like this is run by spreadsheets; an apostrophe before it keeps it text."""


def as_csv(pages: Iterable[Sequence[Mapping[str, Any]]], columns: Sequence[str] = COLUMNS) -> Iterator[str]:
    """Yield CSV (RFC 4180) with a line of headings."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for page in pages:
        writer.writerows([[_cell(row[name]) for name in columns] for row in page])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def as_json_lines(pages: Iterable[Sequence[Mapping[str, Any]]], columns: Sequence[str] = COLUMNS) -> Iterator[str]:
    """Yield one JSON array, an object a line."""
    yield "["
    separator = "\n"
    for page in pages:
        lines = [_ENCODER.encode({name: row[name] for name in columns}) for row in page]
        if lines:
            yield separator + ",\n".join(lines)
            separator = ",\n"
    yield "\n]\n"


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, dict | list):
        return _ENCODER.encode(value)
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


def _time(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(type(value).__name__)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_time)
