"""What the bot does with which alert: `config/policies.yaml` as frozen models, and the rule for one alert. Pure."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from common.alerts import Resolution, Severity
from services.dispatcher.business_hours import BusinessHours
from services.dispatcher.durations import parse_duration


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    found = parse_duration(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a duration such as 90s, 30m, 2h or 30d")
    return found


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""A field that takes a written duration."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class ProofRule(StrEnum):
    """Whether a yes has to be proved with the second factor."""

    ALWAYS = "always"
    """Nothing but an approved push closes the alert, whatever `closes` says."""
    WHEN_POSSIBLE = "when_possible"
    NEVER = "never"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Policy(_Model):
    """What applies to one alert."""

    answer_within: Duration = Field(timedelta(hours=2), gt=timedelta(0))
    """Time to answer before the team is told; by the clock that `clock` names."""
    remind_before: Duration = timedelta(minutes=30)
    """How long before that the person is reminded; 0s: never."""
    clock: Literal["business", "always"] = "business"
    """`business`: the person's own working hours count; `always`: every hour counts."""
    outside_hours: Literal["ask", "wait"] = "ask"
    """Whether a person is asked outside their working hours, or first thing when those begin."""
    proof: ProofRule = ProofRule.WHEN_POSSIBLE
    """Whether a yes has to be proved with the second factor."""
    proof_within: Duration = timedelta(minutes=15)
    """Time to have the push sent after a yes."""
    pushes: int = Field(2, ge=1, le=5)
    """Pushes for one question at the most."""
    proof_memory: Duration = timedelta(hours=2)
    """How long an approved push proves later answers too; for low and medium severity only."""
    back_off: Duration = timedelta(hours=21)
    """How long the same title is not asked again after a yes proved by a push of its own; never for critical alerts."""
    escalate_within: Duration = timedelta(hours=6)
    """The watchdog: an alert that has no verdict after this, by the same clock, goes to the team."""
    closes: frozenset[Resolution] = frozenset({Resolution.CONFIRMED})
    """Resolutions after which an alert is closed at once; all others wait for the team."""
    reports: frozenset[Resolution] = frozenset(Resolution) - {Resolution.CONFIRMED}
    """Resolutions that the reporting channel hears of."""
    channel: str | None = None
    """Another reporting channel than `SECURITYBOT_REPORTING_CHANNEL`."""

    @model_validator(mode="after")
    def _watchdog_last(self) -> Policy:
        if self.escalate_within < self.answer_within:
            raise ValueError("escalate_within must not be shorter than answer_within")
        return self


class PolicyChange(_Model):
    """What a severity or a title changes; what is absent stays."""

    answer_within: Duration | None = None
    remind_before: Duration | None = None
    clock: Literal["business", "always"] | None = None
    outside_hours: Literal["ask", "wait"] | None = None
    proof: ProofRule | None = None
    proof_within: Duration | None = None
    pushes: int | None = Field(None, ge=1, le=5)
    proof_memory: Duration | None = None
    back_off: Duration | None = None
    escalate_within: Duration | None = None
    closes: frozenset[Resolution] | None = None
    reports: frozenset[Resolution] | None = None
    channel: str | None = None

    def changes(self) -> dict[str, Any]:
        """Return only what is set."""
        names = type(self).model_fields
        return {name: value for name in names if name != "match" and (value := getattr(self, name)) is not None}


class TitlePolicy(PolicyChange):
    """A change for the titles that `match` (a glob, case matters)."""

    match: str
    """A glob over titles; case matters. The first that fits counts."""


class WorkingHours(_Model):
    """Everybody's working hours, in their own time zone where the directory has it."""

    opens: time = time(10)
    """When the working day begins, in the person's own time zone."""
    closes: time = time(18)
    """When it ends."""
    days: frozenset[str] = frozenset(DAYS[:5])
    """The working days."""
    time_zone: str = "UTC"
    """Used where the directory knows no time zone of the person."""
    holidays: str | None = None
    """Country whose public holidays count, ISO 3166 (`US`, `DE`, or with a subdivision `DE-BY`); the person's own time
    zone still decides when the day begins."""

    @field_validator("days")
    @classmethod
    def _known_days(cls, days: frozenset[str]) -> frozenset[str]:
        if not days or not days <= set(DAYS):
            raise ValueError(f"must be some of {', '.join(DAYS)}")
        return days

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if _zone(name) is None:
            raise ValueError("is not a time zone of the tz database, such as Europe/Berlin")
        return name

    @field_validator("holidays")
    @classmethod
    def _known_country(cls, country: str | None) -> str | None:
        if country is not None:
            try:
                _holidays(country)
            except NotImplementedError:
                raise ValueError("is not a country (or country-subdivision) whose holidays are known") from None
        return country

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> WorkingHours:
        if self.opens >= self.closes:
            raise ValueError("opens must be earlier than closes")
        return self

    @cached_property
    def _by_zone(self) -> dict[ZoneInfo, BusinessHours]:
        return {}

    def of(self, time_zone: str | None) -> BusinessHours:
        """Return the working hours of a person in `time_zone` (None or unknown: the default zone)."""
        zone = (_zone(time_zone) if time_zone else None) or ZoneInfo(self.time_zone)
        if zone not in self._by_zone:
            free: Any = _holidays(self.holidays) if self.holidays else ()
            days = frozenset(DAYS.index(day) for day in self.days)
            self._by_zone[zone] = BusinessHours(zone, self.opens, self.closes, days, free)
        return self._by_zone[zone]


class Limits(_Model):
    """What holds for a person, whatever the alert."""

    pushes_per_hour: int = Field(6, ge=1)
    """Pushes to one person within an hour at the most."""
    ignore_at_most: Duration = Field(timedelta(hours=4), le=timedelta(hours=4))
    """The longest time that the chat command `ignore` takes."""
    stop_for: Duration = timedelta(days=30)
    """For how long the chat command `stop` holds."""
    push_within: Duration = timedelta(seconds=75)
    """By when a push must have begun. It is waited for until it ends: Duo's expire after 60 s."""


class Policies(_Model):
    """`config/policies.yaml`."""

    defaults: PolicyChange = PolicyChange()
    """What applies to every alert."""
    severities: dict[Severity, PolicyChange] = Field(default_factory=dict)
    """Changes by severity: `low`, `medium`, `high`, `critical`."""
    titles: tuple[TitlePolicy, ...] = ()
    """Changes by title; stronger than those by severity."""
    working_hours: WorkingHours = WorkingHours()
    """When people work."""
    limits: Limits = Limits()
    """What holds whatever the alert."""

    @model_validator(mode="after")
    def _every_policy_holds(self) -> Policies:
        _must_hold("defaults", self.defaults.changes())
        for severity, change in self.severities.items():
            _must_hold(f"severities.{severity}", self.defaults.changes() | change.changes())
        for index, rule in enumerate(self.titles):
            for severity in Severity:
                _must_hold(f"titles.{index} for severity {severity}", self._changes(severity, rule))
        return self

    @cached_property
    def _known(self) -> dict[tuple[str, Severity], Policy]:
        return {}

    def of(self, title: str, severity: Severity) -> Policy:
        """Return the policy of an alert: defaults, changed by its severity, changed by the first title that matches."""
        known = self._known.get((title, severity))
        if known is None:
            rule = next((rule for rule in self.titles if fnmatchcase(title, rule.match)), None)
            known = Policy(**self._changes(severity, rule))
            if len(self._known) < 10_000:  # noqa: PLR2004 - titles come from outside: bounded
                self._known[title, severity] = known
        return known

    def _changes(self, severity: Severity, rule: TitlePolicy | None) -> dict[str, Any]:
        by_severity = self.severities.get(severity, PolicyChange()).changes()
        return self.defaults.changes() | by_severity | (rule.changes() if rule else {})


def _must_hold(where: str, changes: dict[str, Any]) -> None:
    try:
        Policy(**changes)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        path = ".".join([where, *(str(step) for step in problem["loc"])])
        raise ValueError(f"{path}: {problem['msg'].removeprefix('Value error, ')}") from None


def deadline(policy: Policy, hours: BusinessHours, start: datetime, duration: timedelta) -> datetime:
    """Return when `duration` has passed since `start` by the policy's clock."""
    return start + duration if policy.clock == "always" else hours.after(start, duration)


def reminder(policy: Policy, hours: BusinessHours, start: datetime, end: datetime) -> datetime | None:
    """Return when to remind a person asked at `start` whose time ends at `end`; None: not at all."""
    if not policy.remind_before or policy.remind_before >= policy.answer_within:
        return None
    if policy.clock == "always":
        return end - policy.remind_before
    return hours.before(end, policy.remind_before, not_before=start)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@lru_cache(maxsize=64)
def _holidays(country: str) -> Any:
    import holidays  # noqa: PLC0415 - 7 MB, for those who name a country

    code, _, subdivision = country.partition("-")
    calendar: dict[date, str] = holidays.country_holidays(code, subdiv=subdivision or None)
    return calendar
