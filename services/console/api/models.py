"""What the API takes and gives. Each model is the schema that `/api/openapi.json` shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from common.alerts import Resolution, Severity, Status
from services.console.searches import MOST, PAGE, AlertSearch

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
RowNumber = Annotated[int, Field(ge=1, le=2**63 - 1)]
Text = Annotated[str, Field(max_length=255)]


def _in_range(value: datetime) -> datetime:
    """Return it in UTC, which it is where no zone stands. Databases and calendars agree about these years."""
    try:
        moment = value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise ValueError("must be between 1970 and 2999") from None
    if not 1970 <= moment.year <= 2999:  # noqa: PLR2004 - see above
        raise ValueError("must be between 1970 and 2999")
    return moment


Moment = Annotated[datetime, AfterValidator(_in_range)]


def _original_status(value: object) -> object:
    """The original counted them."""
    return {"0": Status.OPEN, "1": Status.IN_PROGRESS, "2": Status.VERIFYING}.get(str(value), value)


AnyStatus = Annotated[Status, BeforeValidator(_original_status)]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class AlertQuery(_Given):
    """Filters of the list of alerts; what is left out does not matter."""

    text: Annotated[str, Field(max_length=200)] | None = None
    titles: list[Text] = Field(default_factory=list, max_length=50)
    owner: Text | None = None
    status: list[AnyStatus] = Field(default_factory=list)
    resolution: list[Resolution] = Field(default_factory=list)
    severity: list[Severity] = Field(default_factory=list)
    source: Annotated[str, Field(max_length=64)] | None = None
    performed: bool | None = None
    authenticated: bool | None = None
    after: Moment | None = None
    before: Moment | None = None
    sort: Literal["newest", "oldest", "title", "owner"] = "newest"
    limit: Annotated[int, Field(ge=1, le=MOST)] = PAGE
    cursor: Annotated[str, Field(max_length=2000)] | None = None

    def search(self) -> AlertSearch:
        """Return the search."""
        return AlertSearch(
            text=self.text or None, titles=tuple(self.titles), owner=self.owner or None,
            status=tuple(map(str, self.status)), resolution=tuple(map(str, self.resolution)),
            severity=tuple(map(str, self.severity)), source=self.source or None, performed=self.performed,
            authenticated=self.authenticated, after=self.after, before=self.before, sort=self.sort, limit=self.limit,
        )  # fmt: skip


class PageQuery(_Given):
    """A page of a list; `cursor` comes from the `Link` of the page before."""

    limit: Annotated[int, Field(ge=1, le=MOST)] = 100


class BlacklistQuery(PageQuery):
    """Which entries; `owner`: a chat id or user name."""

    cursor: RowNumber | None = None
    owner: Text | None = None
    ended: bool = False

    def filters(self) -> dict[str, Any]:
        """Return the arguments of `list_silences`."""
        return {"ended": self.ended, "limit": self.limit, "owner": self.owner or None, "older_than": self.cursor}


class IgnoredQuery(BlacklistQuery):
    """Which entries."""

    titles: list[Text] = Field(default_factory=list, max_length=50)

    def filters(self) -> dict[str, Any]:
        """Return the arguments of `list_silences`."""
        return super().filters() | {"titles": self.titles}


class PeopleQuery(PageQuery):
    """Which people."""

    cursor: Annotated[str, Field(max_length=600, pattern="^[^\\t]+\\t.+$")] | None = None
    search: Text | None = None
    inactive: bool = False

    def filters(self) -> dict[str, Any]:
        """Return the arguments of `list_people`."""
        chat_id, _, username = (self.cursor or "").partition("\t")
        after = (username, chat_id) if self.cursor else None
        return {"search": self.search or None, "inactive": self.inactive, "limit": self.limit, "after": after}


class QuarantineQuery(PageQuery):
    """Which messages."""

    cursor: RowNumber | None = None
    state: Literal["waiting", "retried", "dropped", "all"] = "waiting"


class AlertOut(BaseModel):
    """An alert and what became of it."""

    hash: str
    owner: str
    title: str
    description: str
    reason: str | None
    url: str | None
    severity: Severity
    source: str
    context: dict[str, Any] | None
    event_time: datetime
    received_at: datetime
    last_seen_at: datetime
    occurrences: int
    status: Status
    person_id: str | None
    matched_by: str | None
    asked_at: datetime | None
    responded_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    resolution: Resolution | None
    performed: bool | None
    authenticated: bool | None
    comment: str | None


class AlertPage(BaseModel):
    """A page of alerts."""

    alerts: list[AlertOut]
    cursor: str | None
    """Pass it on for the next page; null at the end."""


class HistoryEntry(BaseModel):
    """Who did what when."""

    at: datetime
    actor: str
    action: str
    person_id: str | None
    detail: dict[str, Any]


class Triage(BaseModel):
    """What the team does with an alert."""

    taken_by: str | None = None
    taken_at: datetime | None = None
    verdict: Literal["benign", "incident"] | None = None
    closed_by: str | None = None


class AlertStory(BaseModel):
    """One alert with its history."""

    alert: AlertOut
    triage: Triage
    history: list[HistoryEntry]


class Comment(_Given):
    """Words for an alert's story."""

    comment: Annotated[str, Field(min_length=1, max_length=4000)]


class Closing(_Given):
    """The team's verdict."""

    verdict: Literal["benign", "incident"]
    comment: Annotated[str, Field(max_length=4000)] = ""


class SilenceOut(BaseModel):
    """Somebody is not asked."""

    id: int
    person_id: str
    username: str | None
    title: str | None = None
    added_by: str
    reason: str
    created_at: datetime
    until: datetime
    lifted_at: datetime | None
    lifted_by: str | None


class Blacklisting(_Given):
    """Ask somebody nothing for a while."""

    person: Annotated[str, Field(min_length=1, max_length=255)]
    until: Moment
    reason: Annotated[str, Field(min_length=1, max_length=1000)]


class Ignoring(Blacklisting):
    """Do not ask somebody about one title for a while."""

    title: Annotated[str, Field(min_length=1, max_length=255)]


class PersonOut(BaseModel):
    """Somebody in the directory."""

    chat_id: str
    username: str
    email: str | None
    display_name: str
    time_zone: str | None
    locale: str | None
    active: bool
    updated_at: datetime


class QuarantinedOut(BaseModel):
    """A message that could not be taken."""

    id: int
    received_at: datetime
    queue: str
    exchange: str
    routing_key: str
    message_id: str | None
    type: str | None
    correlation_id: str | None
    reason: str
    state: Literal["waiting", "retried", "dropped"]
    note: str | None
    decided_by: str | None
    decided_at: datetime | None


class QuarantinedWhole(QuarantinedOut):
    """The same with its body."""

    body: str
    """What is no UTF-8 is written as escapes."""


class Retry(_Given):
    """Send it again; with another body, where there is one."""

    body: Annotated[str, Field(max_length=65536)] | None = None


class Retried(BaseModel):
    """The id under which it was sent again."""

    message_id: str


class Dropping(_Given):
    """Why it need not be handled."""

    note: Annotated[str, Field(min_length=1, max_length=1000)]


class ShareOut(BaseModel):
    """Alerts of one key by what they count as."""

    key: str
    alerts: int
    by_group: dict[str, int]


class Stats(BaseModel):
    """What happened to the alerts of some days (UTC, by receipt)."""

    first: str
    last: str
    alerts: int
    needed_no_analyst: int
    median_answer_seconds: float | None
    p95_answer_seconds: float | None
    days: dict[str, dict[str, int]]
    titles: list[ShareOut]
    teams: list[ShareOut]
    hours: list[ShareOut]
