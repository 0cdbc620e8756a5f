"""Tables, JSON, and text that a stranger wrote: nothing in it reaches the terminal as a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from common.hidden_characters import escape_hidden

PIPE_WIDTH = 200
"""Columns where standard output is no terminal."""

Row = Mapping[str, Any]


def visible(value: object) -> str:
    """Return text in which every character that a terminal might act on is written as its escape."""
    return escape_hidden(value if isinstance(value, str) else plain(value))


def plain(value: object) -> str:
    """Return a value of the record as text."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def print_json(value: object) -> None:
    """Print JSON in ASCII: what is no ASCII is escaped, so a terminal shows it harmlessly."""
    click.echo(json.dumps(value, default=_json_value, indent=2 if isinstance(value, dict | list) else None))


def print_json_line(value: object) -> None:
    """Print JSON on one line."""
    click.echo(json.dumps(value, default=_json_value))


def print_table(rows: Sequence[Row], columns: Mapping[str, str], empty: str) -> None:
    """Print `columns` (name in the row to heading) as a table, or `empty` where there is nothing."""
    if not rows:
        click.echo(empty)
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in columns.values():
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(row[name])) for name in columns))
    _console().print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values below each other."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(Text(name, "bold"), Text(visible(value)))
    _console().print(table)


def _console() -> Any:
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(markup=False, highlight=False, emoji=False, width=width)


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    raise TypeError(type(value).__name__)
