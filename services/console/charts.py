"""Pictures as SVG, made on the server. Pure.

No script runs for them and no style stands in them, so that the strict policy of the page holds; colours come from
the style sheet by class, light and dark. What a picture says is in its label and titles, the numbers in the table
beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from services.console.counting import Shares
from services.console.rendering import visible

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 12, 24
MOST_LABELS = 8
_GRID = 4


def columns(label: str, keys: Sequence[str], names: Sequence[str], values: Sequence[Mapping[str, int]]) -> Markup:
    """Return stacked columns: one a key, its parts in the order of `names`."""
    most = nice(max((sum(value.values()) for value in values), default=0))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(keys))
    parts = [_grid(most, lambda value: f"{value:,.0f}")]
    for index, (key, value) in enumerate(zip(keys, values, strict=True)):
        x, below = LEFT + index * step, 0
        for name in names:
            count = value.get(name, 0)
            if not count:
                continue
            top, bottom = _y(below + count, most), _y(below, most)
            below += count
            box = (x + step * 0.12, top, step * 0.76, max(0.8, bottom - top), min(2.0, step / 6))
            parts.append(_rect(name, box, f"{key}: {count:,} {name}"))
        parts.append(_key(key, x + step / 2, index, len(keys)))
    return _picture(label, parts)


def curves(
    label: str, keys: Sequence[str], lines: Mapping[str, Sequence[float | None]], show: Callable[[float], str]
) -> Markup:
    """Return lines over `keys` on a logarithmic scale; where nothing was measured a line is broken."""
    known = [value for line in lines.values() for value in line if value]
    least, most = (math.log(min(known)), math.log(max(known))) if known else (0.0, 1.0)
    least, most = least - 0.3, most + 0.3
    step = (WIDTH - LEFT - RIGHT) / max(1, len(keys))

    def at(value: float) -> float:
        return _y(math.log(value) - least, most - least)

    parts = [_line(math.exp(least + (most - least) * i / _GRID), at, show) for i in range(1, _GRID)] if known else []
    for index, key in enumerate(keys):
        parts.append(_key(key, LEFT + (index + 0.5) * step, index, len(keys)))
    for number, (name, line) in enumerate(lines.items()):
        points = [(LEFT + (i + 0.5) * step, value, keys[i]) for i, value in enumerate(line)]
        parts.append(f'<path class="line line-{number}" d="{_path(points, at)}"/>')
        for x, value, key in points:
            if value:
                dot = f'<circle class="dot dot-{number}" cx="{x:.1f}" cy="{at(value):.1f}" r="2.6">'
                parts.append(f"{dot}<title>{visible(f'{key}: {name} {show(value)}')}</title></circle>")
    return _picture(label, parts)


def rows(label: str, found: Sequence[Shares], names: Sequence[str]) -> Markup:
    """Return one bar a key, as wide as its share of the largest, split by what its alerts count as."""
    height, gap, text = 12, 34, 15
    most = max((share.total for share in found), default=1)
    parts = []
    for index, share in enumerate(found):
        y = index * gap + text
        parts.append(f'<text class="label" x="0" y="{y - 4}">{visible(_short(share.key))}</text>')
        parts.append(f'<text class="value" x="{WIDTH}" y="{y - 4}" text-anchor="end">{share.total:,}</text>')
        x = 0.0
        parts.append(f'<rect class="track" x="0" y="{y}" width="{WIDTH}" height="{height}" rx="3"/>')
        for name in names:
            width = WIDTH * share.by_group.get(name, 0) / most
            if width:
                box = (x, float(y), max(0.8, width), float(height), 3.0)
                parts.append(_rect(name, box, f"{share.key}: {share.share(name):.0%} {name}"))
            x += width
    return _picture(label, parts, max(1, len(found)) * gap)


def nice(value: float) -> float:
    """Return the round number that a scale ends at."""
    if value <= _GRID:
        return float(_GRID)
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10) if step * power >= value)


def _rect(name: str, box: tuple[float, float, float, float, float], title: str) -> str:
    x, y, width, height, radius = box
    return (
        f'<rect class="fill-{name}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{radius:.1f}"><title>{visible(title)}</title></rect>'
    )


def _y(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / most


def _grid(most: float, show: Callable[[float], str]) -> str:
    return "".join(_line(most * i / _GRID, lambda value: _y(value, most), show) for i in range(_GRID + 1))


def _line(value: float, at: Callable[[float], float], show: Callable[[float], str]) -> str:
    y = at(value)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{visible(show(value))}</text>'
    )


def _key(key: str, x: float, index: int, count: int) -> str:
    every = max(1, math.ceil(count / MOST_LABELS))
    if (count - 1 - index) % every:
        return ""
    shown = key[5:] if len(key) == len("2026-03-03") else key
    return f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 7}" text-anchor="middle">{visible(shown)}</text>'


def _path(points: Sequence[tuple[float, float | None, str]], at: Callable[[float], float]) -> str:
    steps, drawing = [], False
    for x, value, _ in points:
        if value:
            steps.append(f"{'L' if drawing else 'M'}{x:.1f} {at(value):.1f}")
        drawing = bool(value)
    return "".join(steps)


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _picture(label: str, parts: Sequence[str], height: float = HEIGHT) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH,
        f"{height:.0f}",
        label,
        Markup("".join(parts)),  # noqa: S704 - every text in the parts was escaped
    )
