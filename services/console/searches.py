"""A search for alerts as it stands in the URL, and the cursor that goes on where a page ended. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from common.alerts import Resolution, Severity, Status
from common.errors import ChangeRefused

SORTS = ("newest", "oldest", "title", "owner")
PAGE = 50
MOST = 500
MAX_TEXT = 200
PERFORMED = {"yes": True, "no": False}


class Parameters(Protocol):
    """Query parameters: a name may stand several times."""

    def getlist(self, key: Any) -> list[str]:
        """Return every value of a name."""


@dataclass(frozen=True, slots=True)
class AlertSearch:
    """Which alerts, in which order; what is None does not matter."""

    text: str | None = None
    titles: tuple[str, ...] = ()
    owner: str | None = None
    """As the publisher named them, or a chat id."""
    status: tuple[str, ...] = ()
    resolution: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    source: str | None = None
    performed: bool | None = None
    authenticated: bool | None = None
    after: datetime | None = None
    """Received at or after."""
    before: datetime | None = None
    """Received before."""
    sort: str = "newest"
    limit: int = PAGE


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page; the next page begins behind it."""

    key: str
    """The sort's value: a time, or a title or owner."""
    at: datetime
    number: int

    def encode(self) -> str:
        """Return it for a URL."""
        text = json.dumps([self.key, self.at.isoformat(), self.number])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str | None) -> Cursor | None:
    """Return the cursor in a URL.

    Raises:
        ChangeRefused: it is none of ours.
    """
    if not text:
        return None
    try:
        key, at, number = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        moment = datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, RecursionError):
        key, moment, number = None, None, None
    if not isinstance(key, str) or moment is None or type(number) is not int or not 0 <= number < 2**63:
        raise ChangeRefused("the cursor is not one of ours; begin at the first page")
    return Cursor(key, moment, number)


def read_search(parameters: Parameters, now: datetime) -> AlertSearch:
    """Read a search from a URL.

    Raises:
        ChangeRefused: names the parameter that is wrong.
    """
    return AlertSearch(
        text=_text(parameters, "text"),
        titles=tuple(_texts(parameters, "titles")),
        owner=_text(parameters, "owner"),
        status=_choices(parameters, "status", list(Status)),
        resolution=_choices(parameters, "resolution", list(Resolution)),
        severity=_choices(parameters, "severity", list(Severity)),
        source=_text(parameters, "source"),
        performed=_truth(parameters, "performed"),
        authenticated=_truth(parameters, "authenticated"),
        after=_moment(parameters, "after", now),
        before=_moment(parameters, "before", now),
        sort=_choices(parameters, "sort", SORTS)[:1][0] if _text(parameters, "sort") else "newest",
        limit=PAGE,
    )


def as_parameters(search: AlertSearch) -> dict[str, Any]:
    """Return the URL's parameters of a search: what is default is left out."""
    found: dict[str, Any] = {
        "text": search.text,
        "titles": list(search.titles),
        "owner": search.owner,
        "status": list(search.status),
        "resolution": list(search.resolution),
        "severity": list(search.severity),
        "source": search.source,
        "performed": _word(search.performed),
        "authenticated": _word(search.authenticated),
        "after": _iso(search.after),
        "before": _iso(search.before),
        "sort": None if search.sort == "newest" else search.sort,
    }
    return {name: value for name, value in found.items() if value not in (None, [], "")}


def _texts(parameters: Parameters, name: str) -> list[str]:
    return [value.strip()[:MAX_TEXT] for value in parameters.getlist(name) if value.strip()]


def _text(parameters: Parameters, name: str) -> str | None:
    return next(iter(_texts(parameters, name)), None)


def _choices(parameters: Parameters, name: str, allowed: Sequence[str]) -> tuple[str, ...]:
    values = _texts(parameters, name)
    for value in values:
        if value not in allowed:
            raise ChangeRefused(f"{name} is one of {', '.join(allowed)}")
    return tuple(dict.fromkeys(str(value) for value in values))


def _truth(parameters: Parameters, name: str) -> bool | None:
    value = _text(parameters, name)
    if value is not None and value not in PERFORMED:
        raise ChangeRefused(f"{name} is yes or no")
    return None if value is None else PERFORMED[value]


_SPANS: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}  # fmt: skip


def _moment(parameters: Parameters, name: str, now: datetime) -> datetime | None:
    value = _text(parameters, name)
    if value is None:
        return None
    if value in _SPANS:
        return now - _SPANS[value]
    try:
        if len(value) == len("2026-03-03"):
            day = date.fromisoformat(value)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = datetime.fromisoformat(value.replace(" ", "+"))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ChangeRefused(
            f"{name} is a day (2026-03-03), a time (2026-03-03T12:00:00Z), or a span ({', '.join(_SPANS)})"
        ) from None
    return moment


def _word(value: bool | None) -> str | None:
    return None if value is None else ("yes" if value else "no")


def _iso(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
