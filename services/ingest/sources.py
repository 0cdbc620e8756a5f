"""A tool's own webhook payload and its mapping from `config/sources.yaml` become alerts. Pure.

A mapping says where each field is; what it finds goes through the same normal form as everything else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from common.alert_form import FIELDS, MAX_DESCRIPTION, MAX_NAME, MAX_REASON, is_usable
from common.alert_publication import SOURCE_NAME

MAPPABLE = FIELDS - {"context", "hash", "source", "ldap", "username"}
_CUT = {"title": MAX_NAME, "description": MAX_DESCRIPTION, "reason": MAX_REASON}
_OPTIONAL: tuple[Literal["url", "event_time", "severity"], ...] = ("url", "event_time", "severity")
_SECONDS_MOST = 1e11
"""The year 5138; a larger number counts something smaller than seconds."""
_PLACE = re.compile(r"\{([^{}]*)\}")
_MISSING = object()


def _template(value: str) -> str:
    if "{" in _PLACE.sub("", value) or "}" in _PLACE.sub("", value):
        raise ValueError("has a brace without its other half; write {path} or {path|other.path}")
    for place in _PLACE.findall(value):
        if not all(path.strip() for path in place.split("|")):
            raise ValueError(f"{{{place}}} names no path")
    return value


Template = Annotated[str, AfterValidator(_template)]


class FieldMapping(BaseModel):
    """Where one field of the alert comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    template: Template = Field(alias="from")
    """Template: `{path}` stands for the value at that path, `{path|other}` for the first of them that is there."""
    form: Literal["text", "epoch"] = Field("text", alias="as")
    """`epoch`: seconds (or milli-, micro-, nanoseconds) since 1970 become a time, and so does ISO 8601 with a zone."""
    map: dict[str, str] = Field(default_factory=dict)
    """Their word to ours, compared in lower case; a word that is not in it stays as it is."""
    default: Template | None = None
    """Template for where the first finds nothing."""


class SourceMapping(BaseModel):
    """What one tool's payload means."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    each: str | None = None
    """Path of a list in the payload whose items are one alert each; a payload without it is one alert itself."""
    identity: Template | None = None
    """Template: two payloads with the same one are the same event. Absent: the alert's content decides."""
    fields: dict[str, FieldMapping]
    """Field of the alert → template, or the long form below. `owner`, `title` and `description` are needed."""
    context: str | None = None
    """Path of an object that is kept as the alert's context; `.` is the whole payload. What a field has that cannot be
    used, `severity: unknown`, say, is put there too, under `not_understood`: an alert is not lost for that."""

    @field_validator("fields", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: {"from": field} if isinstance(field, str) else field for name, field in value.items()}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if unknown := sorted(self.fields.keys() - MAPPABLE):
            raise ValueError(f"{', '.join(unknown)}: no field of an alert; there are {', '.join(sorted(MAPPABLE))}")
        if missing := sorted({"owner", "title", "description"} - self.fields.keys()):
            raise ValueError(f"fields must say where {', '.join(missing)} come from")
        return self


class Sources(BaseModel):
    """The whole of `config/sources.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    sources: dict[str, SourceMapping] = Field(default_factory=dict)
    """Name (the last part of `POST /v1/alerts/<name>`) → what that tool's payload means."""

    @field_validator("sources")
    @classmethod
    def _names(cls, value: dict[str, SourceMapping]) -> dict[str, SourceMapping]:
        for name in value:
            if not SOURCE_NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot be a source: 1 to 64 letters, digits, - and _")
        return value


def map_payload(source: str, mapping: SourceMapping, payload: object) -> list[dict[str, Any]]:
    """Return the alerts in `payload`, not yet checked: one, or one an item where the tool sends several at once."""
    return [_map_item(source, mapping, item) for item in _items(mapping, payload)]


def _items(mapping: SourceMapping, payload: object) -> list[object]:
    if isinstance(payload, list):
        return payload
    if mapping.each is not None:
        items = _find(payload, mapping.each)
        if isinstance(items, list):
            return items
    return [payload]


def _map_item(source: str, mapping: SourceMapping, item: object) -> dict[str, Any]:
    alert: dict[str, Any] = {"source": source}
    for name, field in mapping.fields.items():
        value = _field(field, item)
        if value is not None:
            alert[name] = _cut(value, _CUT[name]) if name in _CUT else value
    if "severity" in alert:
        alert["severity"] = alert["severity"].lower()
    odd = {name: _cut(alert.pop(name), MAX_DESCRIPTION) for name in _OPTIONAL if not is_usable(name, alert.get(name))}
    if "severity" in odd and (default := mapping.fields["severity"].default) is not None:
        alert["severity"] = render(default, item)
    context = _MISSING if mapping.context is None else _find(item, mapping.context)
    if isinstance(context, dict) or odd:
        alert["context"] = (context if isinstance(context, dict) else {}) | ({"not_understood": odd} if odd else {})
    identity = None if mapping.identity is None else render(mapping.identity, item)
    if identity is not None:
        alert["hash"] = hashlib.sha256(f"{source}\n{identity}".encode(errors="surrogatepass")).hexdigest()
    return alert


def _field(field: FieldMapping, item: object) -> str | None:
    value = render(field.template, item)
    if value is not None and field.form == "epoch":
        value = _from_epoch(value)
    if value is not None:
        value = field.map.get(value.lower(), value)
    if not value and field.default is not None:
        value = render(field.default, item)
    return value


def render(template: str, item: object) -> str | None:
    """Return `template` with the values of `item` in it; None where one of its places finds nothing."""
    found: list[str] = []
    position = 0
    for place in _PLACE.finditer(template):
        value = _first(item, place.group(1))
        if value is None:
            return None
        found += [template[position : place.start()], value]
        position = place.end()
    return "".join([*found, template[position:]])


def _first(item: object, paths: str) -> str | None:
    for path in paths.split("|"):
        value = _find(item, path.strip())
        if value is _MISSING or value is None or value == "":
            continue
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return None


def _find(item: object, path: str) -> object:
    """Return what is at `path`; a key that holds the dots itself (Elastic writes `user.name`) counts first."""
    if path == ".":
        return item
    if isinstance(item, list):
        head, _, rest = path.partition(".")
        if not (head.isdecimal() and head.isascii() and len(head) < 6 and int(head) < len(item)):  # noqa: PLR2004
            return _MISSING
        return _find(item[int(head)], rest) if rest else item[int(head)]
    if not isinstance(item, Mapping):
        return _MISSING
    words = path.split(".")
    for length in range(len(words), 0, -1):
        key = ".".join(words[:length])
        if key in item:
            return item[key] if length == len(words) else _find(item[key], ".".join(words[length:]))
    return _MISSING


def _from_epoch(value: str) -> str:
    try:
        number = float(value)
        for _ in ("milli", "micro", "nano"):
            number = number / 1000 if abs(number) > _SECONDS_MOST else number
        return datetime.fromtimestamp(number, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        pass
    try:
        return datetime.fromisoformat(value).isoformat()
    except ValueError:
        return value


def _cut(value: str, most: int) -> str:
    value = value.strip()
    return value if len(value) <= most else value[: most - 1] + "…"
