"""Exports."""

from __future__ import annotations

import csv
import io
import json

from services.console.exporting import COLUMNS, as_csv, as_json

WHEN = "2026-03-03 12:00:00.000000"
ROW = (
    "ab", WHEN, WHEN, "=1+1", None, "-x", 'a "b"\n', None, None, "low", "@s", "open", None, 1, 0, "", None, None, None,
    None, WHEN, 3, '{"a":[1]}',
)  # fmt: skip


def test_exports_are_csv_and_json_that_programs_read() -> None:
    lines = list(csv.DictReader(io.StringIO("".join(as_csv([[ROW], []])))))
    assert tuple(lines[0]) == COLUMNS
    assert (lines[0]["owner"], lines[0]["title"], lines[0]["source"]) == ("'=1+1", "'-x", "'@s")
    assert (lines[0]["received_at"], lines[0]["closed_at"]) == ("2026-03-03T12:00:00.000000Z", "")
    assert (lines[0]["performed"], lines[0]["authenticated"], lines[0]["context"]) == ("yes", "no", '{"a":[1]}')
    found = json.loads("".join(as_json([[], [ROW], [ROW]])))
    assert len(found) == 2
    assert tuple(found[0]) == COLUMNS
    assert (found[0]["owner"], found[0]["description"], found[0]["context"]) == ("=1+1", 'a "b"\n', {"a": [1]})
    assert (found[0]["performed"], found[0]["authenticated"], found[0]["occurrences"]) == (True, False, 3)
    assert json.loads("".join(as_json([[]]))) == []
