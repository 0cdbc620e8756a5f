"""Templates, and how values of the record look. Everything is escaped: no text of the record is ever markup."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from common.hidden_characters import escape_hidden
from services.console.access import Identity, Role
from services.console.flash import FLASH_COOKIE, read_flash

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
THEMES = ("light", "dark")
_ABBREVIATED = ((86400 * 2, 86400, "d"), (3600, 3600, "h"), (60, 60, "min"))


class Templates:
    """Renders pages. The engine is loaded with the first page: the demo's first question does not wait for it."""

    def __init__(self, *, has_chat: bool, is_demo: bool, has_oidc: bool) -> None:
        self._globals = {"has_chat": has_chat, "is_demo": is_demo, "has_oidc": has_oidc, "Role": Role}

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see above

        environment = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        environment.filters.update(
            visible=visible, words=words, moment=moment, pretty=pretty, duration=duration, query=query, actor=actor,
            percent=percent, number=number, link=link, loose=loose,
        )  # fmt: skip
        environment.globals.update(self._globals)
        return environment

    def plain(self, template: str, /, **values: Any) -> str:
        """Render a page that knows no request."""
        defaults = {"who": None, "theme": None, "flash": None, "here": "", "back": "/inbox"}
        return self._environment.get_template(template).render(defaults | values)

    def response(self, template: str, request: Request, who: Identity, now: datetime, /, **values: Any) -> Response:
        """Render a page for somebody; what the last page said is shown once."""
        path = request.url.path
        flash = read_flash(request.cookies)
        theme = request.cookies.get("theme")
        html = self.plain(
            template, who=who, flash=flash, theme=theme if theme in THEMES else None, here=path.split("/")[1], now=now,
            back=path + (f"?{request.url.query}" if request.url.query else ""), **values,
        )  # fmt: skip
        response = HTMLResponse(html)
        if flash:
            response.delete_cookie(FLASH_COOKIE)
        return response


class Loose(dict[str, Any]):
    """JSON of the record: a key that is not there is None."""

    def __missing__(self, key: str) -> None:
        """Return nothing."""


def loose(value: Mapping[str, Any] | None) -> Loose:
    """Return the object with missing keys as None, those of its objects too."""
    return Loose({k: loose(v) if isinstance(v, dict) else v for k, v in (value or {}).items()})


def visible(value: object) -> Markup:
    """Return text with its invisible characters shown as escapes; line feeds and tabs stay."""
    text = value if isinstance(value, str) else plain(value)
    return escape(escape_hidden(text, kept="\n\t"))


def plain(value: object) -> str:
    """Return a value of the record as text."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def link(value: str) -> str:
    """Return an address for `href`: http(s) only, and nothing in it that does not show as itself."""
    return quote(value, safe=":/?#[]@!$&'()*+,;=%") if value.startswith(("http://", "https://")) else "#"


def words(value: str | None) -> str:
    """Return an enumeration's value as words."""
    return "–" if value is None else value.replace("_", " ")


def moment(value: datetime | None, now: datetime) -> Markup:
    """Return how long ago something was (or until it is), with the exact time in UTC behind it."""
    if value is None:
        return Markup("–")
    delta = now - value
    text = f"{duration(delta)} ago" if delta >= timedelta(0) else f"in {duration(-delta)}"
    exact = plain(value)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(value.isoformat(), exact, text)


def duration(value: timedelta | float | None) -> str:
    """Return a length of time in its largest fitting unit."""
    if value is None:
        return "–"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    for least, unit, name in _ABBREVIATED:
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def pretty(value: object) -> str:
    """Return JSON over several lines."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def query(parameters: Mapping[str, Any], **changes: Any) -> str:
    """Return a query string with some parameters changed; None takes one out."""
    merged = {**parameters, **changes}
    pairs = [(name, value) for name, value in merged.items() if value not in (None, "", [], ())]
    return "?" + urlencode(pairs, doseq=True)


def actor(value: str) -> str:
    """Return who did something without the kind that stands before the name."""
    return value.partition(":")[2] or value


def percent(part: float, whole: float) -> str:
    """Return a share; nothing of nothing is nothing."""
    return "–" if not whole else f"{100 * part / whole:.0f} %"


def number(value: int) -> str:
    """Return a number with its thousands apart."""
    return f"{value:,}".replace(",", "\u202f")
