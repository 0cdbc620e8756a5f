"""Searches and cursors, to and from the address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from common.errors import ChangeRefused
from services.console.rendering import query
from services.console.searches import AlertSearch, Cursor, as_parameters, decode_cursor, read_search

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


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
