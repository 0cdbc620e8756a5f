"""From what a publisher sent to an alert in its normal form, or the reason why not. Pure.

The hash of an alert that brings none is the SHA-256 of a canonical JSON object, UTF-8, keys sorted by code point, no
white space, nothing escaped that JSON lets stand, absent fields left out:

    {"description":…,"owner":…,"reason":…,"source":…,"title":…,"url":…} and one of
    "event_time":"2026-03-03T12:00:00.000000Z" (UTC, six digits), "message_id":… (AMQP), "date":"2026-03-03" (receipt)

each as it stands in the normal form: stripped of surrounding white space, `source` taken from the routing key where the
publisher gave none. Neither severity nor context counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from common.alerts import Alert, Severity
from common.errors import BadMessage
from common.strict_json import parse_json, text_problem, value_problem

MAX_BODY = 64 * 1024
"""Bytes of one alert."""
MAX_NAME = 255
MAX_DESCRIPTION = 1024
MAX_REASON = 16 * 1024
MAX_URL = 2048
MAX_SOURCE = 64
OWNER_FIELDS = ("owner", "ldap", "username")
FIELDS = frozenset(
    {*OWNER_FIELDS, "hash", "title", "description", "reason", "url", "event_time", "severity", "source", "context"}
)

_HASH = re.compile(r"[0-9A-Fa-f]{64}")
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_NOT_IN_URL = re.compile(r"[\s\x00-\x20\x7f<>\"\\]")
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 12, 30, tzinfo=UTC)
"""Every calendar, database and time zone can show what lies between."""


def read_alert(body: bytes, *, routing_key: str, message_id: str | None, received_at: datetime) -> Alert:
    """Return the alert in `body`.

    Raises:
        BadMessage: names every field that is wrong and what it has to be.
    """
    check_size(body)
    return to_alert(parse_json(body), routing_key=routing_key, message_id=message_id, received_at=received_at)


def to_alert(value: object, *, routing_key: str, message_id: str | None, received_at: datetime) -> Alert:
    """Return the alert that a parsed JSON value holds.

    Raises:
        BadMessage: names every field that is wrong and what it has to be.
    """
    if not isinstance(value, dict):
        raise BadMessage("body: must be one JSON object with at least owner, title and description")
    fields = _Fields(value)
    given = {
        "owner": fields.owner(),
        "title": fields.text("title", MAX_NAME, required=True),
        "description": fields.text("description", MAX_DESCRIPTION, required=True),
        "reason": fields.text("reason", MAX_REASON),
        "url": fields.url(),
        "source": fields.source(routing_key),
    }
    event_time = fields.event_time()
    severity, context, digest = fields.severity(), fields.context(), fields.hash()
    fields.refuse_unknown()
    if fields.problems:
        raise BadMessage("; ".join(fields.problems))
    return Alert(
        hash=digest or _computed_hash(given, event_time, message_id, received_at),
        severity=severity,
        event_time=event_time or received_at,
        received_at=received_at,
        context=context,
        **given,
    )


def is_usable(name: Literal["url", "event_time", "severity"], value: str | None) -> bool:
    """Tell whether `to_alert` takes `value` for this field; None: it is absent, which may be."""
    fields = _Fields({name: value})
    {"url": fields.url, "event_time": fields.event_time, "severity": fields.severity}[name]()
    return not fields.problems


def to_body(alert: Alert) -> bytes:
    """Return the body that gives the same alert again, hash and event time included, whenever it is read.

    Raises:
        BadMessage: it is larger than one alert may be.
    """
    values = alert.model_dump(mode="json", exclude_none=True, exclude={"received_at"})
    body = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
    check_size(body)
    return body


def check_size(body: bytes) -> None:
    """Raise `BadMessage` if the body is larger than one alert may be."""
    if len(body) > MAX_BODY:
        raise BadMessage(f"body: {len(body)} bytes; at most {MAX_BODY} are taken, so shorten reason or context")


class _Fields:
    """Reads the fields of one object; what is wrong is collected, so that a publisher hears of it all at once."""

    def __init__(self, value: dict[str, Any]) -> None:
        self._value = value
        self.problems: list[str] = []

    def text(self, name: str, most: int, *, required: bool = False) -> str | None:
        """Return the stripped string; None where it is absent, null or empty."""
        value = self._value.get(name)
        if value is None or value == "":
            if required:
                self.problems.append(f"{name}: missing; must be a string of 1 to {most} characters")
            return None
        if not isinstance(value, str):
            self.problems.append(f"{name}: must be a string, is {_kind(value)}")
            return None
        value = value.strip()
        problem = text_problem(value)
        if problem is None and len(value) > most:
            problem = f"has {len(value)} characters, at most {most} are taken"
        if problem is None and not value and required:
            problem = "is only white space"
        if problem is not None:
            self.problems.append(f"{name}: {problem}")
            return None
        return value or None

    def owner(self) -> str | None:
        """Return who is asked, whichever of its names was used."""
        names = [name for name in OWNER_FIELDS if self._value.get(name) not in (None, "")]
        if len(names) > 1 and any(self._value[name] != self._value[names[0]] for name in names):
            self.problems.append(f"owner: {' and '.join(names)} say different things; keep one of them")
            return None
        return self.text(names[0] if names else "owner", MAX_NAME, required=True)

    def url(self) -> str | None:
        """Return the link."""
        value = self.text("url", MAX_URL)
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or _NOT_IN_URL.search(value):
            self.problems.append("url: must be an http:// or https:// address without spaces")
        return value

    def source(self, routing_key: str) -> str:
        """Return the source: the publisher's word, otherwise the routing key's last."""
        value = self.text("source", MAX_SOURCE)
        if value is not None:
            return value
        word = routing_key.rpartition(".")[2].strip()
        if not 1 <= len(word) <= MAX_SOURCE or text_problem(word):
            self.problems.append(
                f"source: missing, and the routing key's last word cannot stand for it; 1 to {MAX_SOURCE} characters"
            )
        return word

    def event_time(self) -> datetime | None:
        """Return when it happened, in UTC."""
        value = self.text("event_time", 64)
        if value is None:
            return None
        try:
            moment = parse_rfc3339(value)
        except ValueError:
            self.problems.append("event_time: must be RFC 3339 between 1970 and 2999, such as 2026-03-03T12:00:00Z")
            return None
        return moment

    def severity(self) -> Severity:
        """Return the severity, medium where nothing is said."""
        value = self.text("severity", MAX_NAME)
        try:
            return Severity.MEDIUM if value is None else Severity(value)
        except ValueError:
            self.problems.append(f"severity: must be one of {', '.join(Severity)}")
            return Severity.MEDIUM

    def context(self) -> dict[str, Any] | None:
        """Return the context as it is."""
        value = self._value.get("context")
        if value is None:
            return None
        problem = value_problem(value) if isinstance(value, dict) else f"must be an object, is {_kind(value)}"
        if problem is not None:
            self.problems.append(f"context: {problem}")
            return None
        return value  # type: ignore[no-any-return]

    def hash(self) -> str | None:
        """Return the hash that the publisher gave."""
        value = self.text("hash", MAX_NAME)
        if value is not None and not _HASH.fullmatch(value):
            self.problems.append("hash: must be 64 hex digits (SHA-256), or absent")
        return value.lower() if value else None

    def refuse_unknown(self) -> None:
        """Name what is no field of an alert: a misspelt `reason` must not get lost."""
        unknown = sorted(self._value.keys() - FIELDS)
        for name in unknown[:5]:
            self.problems.append(f"unknown field {name[:40]!r}; put it in context")
        if unknown[5:]:
            self.problems.append(f"and {len(unknown) - 5} more unknown fields")


def parse_rfc3339(value: str) -> datetime:
    """Return the moment in UTC, to the microsecond. A leap second is the second after 59.

    Raises:
        ValueError: it is not RFC 3339, or not between 1970 and 2999.
    """
    match = _RFC3339.fullmatch(value)
    if match is None:
        raise ValueError(value)
    day, minute, second, fraction, zone = match.groups()
    leap = second == "60"
    written = f"{day}T{minute}:{'59' if leap else second}{(fraction or '')[:7]}{zone.upper()}"
    try:
        moment = datetime.fromisoformat(written).astimezone(UTC) + timedelta(seconds=leap)
    except OverflowError:
        raise ValueError(value) from None
    if not _FIRST <= moment < _LAST:
        raise ValueError(value)
    return moment


def _computed_hash(
    given: Mapping[str, str | None], event_time: datetime | None, message_id: str | None, received_at: datetime
) -> str:
    content: dict[str, str] = {name: value for name, value in given.items() if value is not None}
    if event_time is not None:
        content["event_time"] = event_time.isoformat(timespec="microseconds").replace("+00:00", "Z")
    elif message_id is not None:
        if text_problem(message_id):
            raise BadMessage("message_id: is no UTF-8 text")
        content["message_id"] = message_id
    else:
        content["date"] = received_at.astimezone(UTC).date().isoformat()
    return hashlib.sha256(_CANONICAL.encode(content).encode()).hexdigest()


def _kind(value: object) -> str:
    names = {bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "something else") if not isinstance(value, str) else "a string"


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
