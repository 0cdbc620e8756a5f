"""How things look: texts, times, pictures, exports, words, addresses of searches."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from starlette.datastructures import QueryParams
from starlette.responses import Response

from common.errors import ChangeRefused
from services.console.charts import columns, curves, nice, rows
from services.console.counting import GROUP_NAMES, Shares
from services.console.exporting import COLUMNS, as_csv, as_json
from services.console.flash import FLASH_COOKIE, MAX_FLASH, read_flash, set_flash
from services.console.inbox import SEVERITIES, WORST_FIRST, groups_in_order
from services.console.pages.chat import words_of as said
from services.console.rendering import (
    actor,
    duration,
    link,
    loose,
    moment,
    number,
    percent,
    plain,
    pretty,
    query,
    visible,
    words,
)
from services.console.searches import AlertSearch, Cursor, as_parameters, decode_cursor, read_search
from services.console.words import MAX_WORD, MIN_WORD, MOST_WORDS, has_all, terms_of, words_of

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


def test_invisible_characters_show_as_escapes_and_markup_as_text() -> None:
    assert visible("<b>\u202e\x00\tx\n") == Markup("&lt;b&gt;\\u202e\\x00\tx\n")
    assert visible(None) == "–"
    assert visible(["a"]) == Markup("[&#34;a&#34;]")


@given(st.text(max_size=60))
def test_whatever_the_text_no_markup_comes_of_it(text: str) -> None:
    assert "<" not in visible(text)
    assert '"' not in visible(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (200_000, "2 d"), (None, "–")]
)
def test_a_duration_is_shown_in_its_largest_unit(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_moment_is_told_from_now_with_the_exact_time_behind_it() -> None:
    assert ">3 min ago<" in moment(NOW - timedelta(minutes=3), NOW)
    assert ">in 2 h<" in moment(NOW + timedelta(hours=2), NOW)
    assert 'title="2026-03-03 12:00:00 UTC"' in moment(NOW, NOW)
    assert moment(None, NOW) == "–"


def test_small_things() -> None:
    assert (words("not_sure"), words(None)) == ("not sure", "–")
    assert (actor("analyst:mara"), actor("ingest")) == ("mara", "ingest")
    assert (percent(1, 3), percent(1, 0)) == ("33 %", "–")
    assert number(1204) == "1\u202f204"
    assert (plain(True), plain(False), plain(NOW)) == ("yes", "no", "2026-03-03 12:00:00 UTC")
    assert json.loads(pretty({"b": 1, "a": "ü"})) == {"a": "ü", "b": 1}
    assert query({"a": "1", "b": ["x", "y"]}, b=None, c="&") == "?a=1&c=%26"
    nested = loose({"a": {"b": 1}})
    assert (nested["a"]["c"], nested["z"], loose(None)["x"]) == (None, None, None)
    assert link("https://x.example/\u202e<a>") == "https://x.example/%E2%80%AE%3Ca%3E"
    assert link("javascript:alert(1)") == "#"


def test_what_a_page_says_is_read_from_the_cookie_or_not_at_all() -> None:
    assert read_flash({}) is None
    assert read_flash({FLASH_COOKIE: "_w=="}) is None
    response = Response()
    set_flash(response, "<b>" * MAX_FLASH, refused=True)
    cookie = response.headers["set-cookie"].partition(";")[0].partition("=")[2].strip('"')
    assert read_flash({FLASH_COOKIE: cookie}) == (True, ("<b>" * MAX_FLASH)[:MAX_FLASH])


def parse(picture: str) -> ET.Element:
    return ET.fromstring(picture)


HOSTILE = "<script>&\"'"


def test_pictures_are_sound_svg_without_script_or_style() -> None:
    values = [{"confirmed": 3, "denied": 1}, {}, {"other": 2}]
    pictures = [
        columns(HOSTILE, ["2026-03-01", HOSTILE, "2026-03-03"], GROUP_NAMES, values),
        curves("x", ["a", HOSTILE], {"median": [60.0, None], HOSTILE: [None, 4000.0]}, duration),
        curves("x", ["a"], {"median": [None]}, duration),
        rows("x", [Shares(HOSTILE * 9, {"confirmed": 2, "denied": 1})], GROUP_NAMES),
        rows("x", [], GROUP_NAMES),
    ]
    for picture in pictures:
        root = parse(picture)
        assert root.get("role") == "img"
        assert not [e for e in root.iter() if e.tag in ("script", "style") or "style" in e.attrib]
    bars = list(parse(pictures[0]).iter("rect"))
    assert [bar.get("class") for bar in bars] == ["fill-confirmed", "fill-denied", "fill-other"]
    heights = [float(bar.get("height") or 0) for bar in bars]
    assert heights[0] == pytest.approx(3 * heights[1], rel=0.02)


@given(st.floats(min_value=0, max_value=1e9))
def test_a_scale_ends_at_a_round_number_above_its_values(value: float) -> None:
    assert value <= nice(value) <= max(4.0, 2 * value)


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


def test_the_inbox_is_sorted_by_what_is_worst() -> None:
    counts = {(str(resolution), str(severity)): 1 for resolution in WORST_FIRST for severity in SEVERITIES}
    order = [(group.resolution, group.severity) for group in groups_in_order(dict(reversed(counts.items())))]
    assert order == list(counts)
    assert order[0] == ("proof_fraud", "critical")


def test_words_are_whole_and_in_parts() -> None:
    assert words_of("sudo on DB-7.example!", None, "alice@example.com") == {
        "sudo", "on", "db-7.example", "db", "example", "alice@example.com", "alice", "com",
    }  # fmt: skip
    assert words_of("x" * 500) == {"x" * MAX_WORD}
    assert len(words_of(" ".join(f"w{n}" for n in range(500)))) == MOST_WORDS


@given(st.text(max_size=80))
def test_a_text_is_found_by_itself(text: str) -> None:
    if any(len(term) >= MIN_WORD for term in terms_of(text)):
        assert has_all(words_of(text), terms_of(text))


def test_a_search_goes_into_the_address_and_back() -> None:
    search = AlertSearch(
        text="db-7 ran", titles=("a", "b"), owner="U1", status=("open",), resolution=("denied",), severity=("low",),
        source="s", performed=False, authenticated=True, after=NOW, before=NOW + timedelta(days=1), sort="oldest",
    )  # fmt: skip
    address = query(as_parameters(search))
    assert read_search(QueryParams(address[1:]), NOW) == search
    assert as_parameters(AlertSearch()) == {}
    assert read_search(QueryParams("after=24h&before=2026-03-03"), NOW) == AlertSearch(
        after=NOW - timedelta(days=1), before=NOW.replace(hour=0)
    )


@pytest.mark.parametrize(
    "text", ["status=x", "sort=x", "performed=1", "after=0001-01-01T00:00:00%2B14:00", "before=soon", "resolution=no"]
)
def test_a_search_that_is_none_names_the_parameter(text: str) -> None:
    with pytest.raises(ChangeRefused, match=text.partition("=")[0]):
        read_search(QueryParams(text), NOW)


@given(st.text(max_size=20), st.datetimes(timezones=st.just(UTC)), st.integers(0, 2**63 - 1))
def test_a_cursor_goes_into_the_address_and_back(key: str, at: datetime, row: int) -> None:
    assert decode_cursor(Cursor(key, at, row).encode()) == Cursor(key, at, row)


@pytest.mark.parametrize("text", ["x", "W10", "WyJhIiwgIngiLCAxXQ", "ÿÿÿ", "WzEsICIyMDI2LTAzLTAzIiwgMV0"])
def test_a_cursor_of_somebody_elses_is_refused(text: str) -> None:
    with pytest.raises(ChangeRefused, match="cursor"):
        decode_cursor(text)


def test_the_history_is_told_in_the_persons_own_words() -> None:
    assert said("said_yes", {"comment": "patching"}) == "Yes: patching"
    assert said("resolved", {"resolution": "denied"}) == "No"
    assert said("resolved", {"resolution": "confirmed"}) is None
    assert said("push_started", {"request": "r"}) == "Send the push"
