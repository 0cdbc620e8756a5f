"""Pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.charts import columns, curves, nice, rows
from services.console.counting import GROUP_NAMES, Shares
from services.console.rendering import duration

HOSTILE = "<script>&\"'"


def parse(picture: str) -> ET.Element:
    return ET.fromstring(picture)


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
