"""How texts, times and numbers are shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from starlette.responses import Response

from services.console.flash import FLASH_COOKIE, MAX_FLASH, read_flash, set_flash
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


def test_words_of_the_record_are_shown_as_people_write_them() -> None:
    assert (words("not_sure"), words(None)) == ("not sure", "–")
    assert (actor("analyst:mara"), actor("ingest")) == ("mara", "ingest")
    assert (plain(True), plain(False), plain(NOW)) == ("yes", "no", "2026-03-03 12:00:00 UTC")


def test_numbers_are_grouped_and_a_share_of_nothing_is_a_dash() -> None:
    assert number(1204) == "1\u202f204"
    assert (percent(1, 3), percent(1, 0)) == ("33 %", "–")


def test_json_is_shown_in_order_and_with_its_own_letters() -> None:
    assert pretty({"b": 1, "a": "ü"}).index('"a": "ü"') < pretty({"b": 1, "a": "ü"}).index('"b": 1')
    assert json.loads(pretty({"b": 1, "a": "ü"})) == {"a": "ü", "b": 1}


def test_what_an_object_lacks_is_nothing_at_any_depth() -> None:
    nested = loose({"a": {"b": 1}})
    assert (nested["a"]["c"], nested["z"], loose(None)["x"]) == (None, None, None)


def test_an_address_keeps_its_parameters_but_for_those_changed() -> None:
    assert query({"a": "1", "b": ["x", "y"]}, b=None, c="&") == "?a=1&c=%26"


def test_only_web_addresses_become_links() -> None:
    assert link("https://x.example/\u202e<a>") == "https://x.example/%E2%80%AE%3Ca%3E"
    assert link("javascript:alert(1)") == "#"


def test_what_a_page_says_is_read_from_the_cookie_or_not_at_all() -> None:
    assert read_flash({}) is None
    assert read_flash({FLASH_COOKIE: "_w=="}) is None
    response = Response()
    set_flash(response, "<b>" * MAX_FLASH, refused=True)
    cookie = response.headers["set-cookie"].partition(";")[0].partition("=")[2].strip('"')
    assert read_flash({FLASH_COOKIE: cookie}) == (True, ("<b>" * MAX_FLASH)[:MAX_FLASH])


def test_the_history_is_told_in_the_persons_own_words() -> None:
    assert said("said_yes", {"comment": "patching"}) == "Yes: patching"
    assert said("resolved", {"resolution": "denied"}) == "No"
    assert said("resolved", {"resolution": "confirmed"}) is None
    assert said("push_started", {"request": "r"}) == "Send the push"
