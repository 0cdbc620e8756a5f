"""Deadline arithmetic: never outside hours, additive, on days of change and on holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.dispatcher.business_hours import BusinessHours

ZONES = st.sampled_from([
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Pacific/Apia",
    "Australia/Lord_Howe",
])  # fmt: skip
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=4 * 365)).map(
    lambda since: datetime(2024, 1, 1, tzinfo=UTC) + since
)
DURATIONS = st.timedeltas(timedelta(microseconds=1), timedelta(hours=60))
DAYS = st.frozensets(st.integers(0, 6), min_size=1)
HOLIDAYS = st.frozensets(st.dates(date(2024, 1, 1), date(2028, 3, 1)), max_size=5)


@st.composite
def business_hours(draw: st.DrawFn) -> BusinessHours:
    opens = draw(st.integers(0, 22))
    closes = draw(st.integers(opens + 1, 23))
    zone = ZoneInfo(draw(ZONES))
    return BusinessHours(zone, time(opens), time(closes), draw(DAYS), draw(HOLIDAYS))


def berlin(**more: object) -> BusinessHours:
    values = {"zone": ZoneInfo("Europe/Berlin"), "opens": time(10), "closes": time(18), "days": frozenset(range(5))}
    return BusinessHours(**(values | {"holidays": ()} | more))  # type: ignore[arg-type]


def at(hours: BusinessHours, *moment: int) -> datetime:
    """Return a moment (year, month, day, hour, minute) by the person's own clock."""
    year, month, day, hour, minute = (*moment, 0)[:5]
    return datetime(year, month, day, hour, minute, tzinfo=hours.zone).astimezone(UTC)


@settings(max_examples=150, deadline=None)
@given(business_hours(), MOMENTS, DURATIONS)
def test_a_deadline_lies_within_hours_and_not_before_its_time(
    hours: BusinessHours, start: datetime, duration: timedelta
) -> None:
    end = hours.after(start, duration)
    assert end >= start + duration
    assert hours.is_open(end) or hours.is_open(end - timedelta(microseconds=1))


@settings(max_examples=150, deadline=None)
@given(business_hours(), MOMENTS, DURATIONS, DURATIONS)
def test_two_stretches_of_work_are_as_long_as_both_in_one(
    hours: BusinessHours, start: datetime, first: timedelta, second: timedelta
) -> None:
    assert hours.after(hours.after(start, first), second) == hours.after(start, first + second)


@settings(max_examples=150, deadline=None)
@given(business_hours(), MOMENTS, MOMENTS, DURATIONS)
def test_who_starts_later_is_not_done_earlier(
    hours: BusinessHours, one: datetime, other: datetime, duration: timedelta
) -> None:
    earlier, later = sorted((one, other))
    assert hours.after(earlier, duration) <= hours.after(later, duration)


@settings(max_examples=150, deadline=None)
@given(business_hours(), MOMENTS, st.integers(2, 3000), st.data())
def test_a_reminder_leaves_just_the_time_that_it_should(
    hours: BusinessHours, start: datetime, minutes: int, data: st.DataObject
) -> None:
    left = timedelta(minutes=data.draw(st.integers(1, minutes - 1)))
    end = hours.after(start, timedelta(minutes=minutes))
    reminder = hours.before(end, left, not_before=start)
    assert start <= reminder < end
    assert hours.after(reminder, left) == end


@settings(max_examples=100, deadline=None)
@given(business_hours(), MOMENTS)
def test_the_next_opening_is_open_and_nothing_before_it_is(hours: BusinessHours, moment: datetime) -> None:
    opening = hours.next_opening(moment)
    assert hours.is_open(opening)
    assert (opening == moment) == hours.is_open(moment)
    if opening > moment:
        assert not hours.is_open(opening - timedelta(microseconds=1))
        assert not hours.is_open(moment + (opening - moment) / 2)


def test_within_a_day_a_deadline_is_the_plain_sum() -> None:
    hours = berlin()
    assert hours.after(at(hours, 2026, 3, 3, 11), timedelta(hours=2)) == at(hours, 2026, 3, 3, 13)


def test_what_is_left_at_closing_time_goes_on_the_next_morning() -> None:
    hours = berlin()
    assert hours.after(at(hours, 2026, 3, 3, 17), timedelta(hours=2)) == at(hours, 2026, 3, 4, 11)


def test_a_weekend_does_not_count() -> None:
    hours = berlin()
    assert hours.after(at(hours, 2026, 3, 6, 17, 30), timedelta(hours=2)) == at(hours, 2026, 3, 9, 11, 30)


def test_exactly_until_closing_time_ends_at_closing_time() -> None:
    hours = berlin()
    assert hours.after(at(hours, 2026, 3, 3, 16), timedelta(hours=2)) == at(hours, 2026, 3, 3, 18)
    assert hours.after(at(hours, 2026, 3, 3, 18), timedelta(hours=2)) == at(hours, 2026, 3, 4, 12)


def test_a_holiday_does_not_count() -> None:
    hours = berlin(holidays=frozenset({date(2026, 3, 4)}))
    assert hours.after(at(hours, 2026, 3, 3, 17), timedelta(hours=2)) == at(hours, 2026, 3, 5, 11)
    assert not hours.is_open(at(hours, 2026, 3, 4, 12))


@pytest.mark.parametrize(
    ("day", "real_hours"),
    [(date(2026, 3, 29), 5), (date(2026, 10, 25), 7)],
    ids=["spring: an hour less", "autumn: an hour more"],
)
def test_on_a_day_of_change_an_hour_is_a_real_hour(day: date, real_hours: int) -> None:
    hours = berlin(opens=time(0), closes=time(6), days=frozenset(range(7)))
    opening = at(hours, day.year, day.month, day.day, 0)
    assert hours.after(opening, timedelta(hours=real_hours)) == at(hours, day.year, day.month, day.day, 6)


def test_hours_that_open_within_the_skipped_hour_open_once() -> None:
    hours = berlin(opens=time(2, 30), closes=time(6), days=frozenset(range(7)))
    opening = hours.next_opening(at(hours, 2026, 3, 29, 0))
    assert hours.is_open(opening)
    assert hours.after(opening, timedelta(hours=1)) - opening == timedelta(hours=1)


@pytest.mark.parametrize("month", [1, 7])
@pytest.mark.parametrize(
    ("zone", "winter"), [("Europe/Berlin", 9.0), ("America/New_York", 15.0), ("Asia/Kolkata", 4.5)]
)
def test_the_offset_is_the_zones_own_and_not_its_local_mean_time(zone: str, winter: float, month: int) -> None:
    """Attached directly, a pytz zone is in its first offset of all: Berlin is 53 minutes and 28 seconds off."""
    hours = berlin(zone=ZoneInfo(zone))
    opening = hours.next_opening(datetime(2026, month, 14, 2, tzinfo=UTC))
    summer_time = timedelta(hours=0 if zone == "Asia/Kolkata" or month == 1 else 1)
    assert opening == datetime(2026, month, 14, tzinfo=UTC) + timedelta(hours=winter) - summer_time


def test_the_weekday_is_that_of_the_persons_zone_and_not_that_of_utc() -> None:
    auckland, hawaii = berlin(zone=ZoneInfo("Pacific/Auckland")), berlin(zone=ZoneInfo("Pacific/Honolulu"))
    sunday_evening, saturday_night = datetime(2026, 3, 1, 22, tzinfo=UTC), datetime(2026, 3, 7, 1, tzinfo=UTC)
    assert auckland.is_open(sunday_evening), "Monday there"
    assert not hawaii.is_open(sunday_evening), "Sunday there"
    assert hawaii.is_open(saturday_night), "Friday there"
    assert not auckland.is_open(saturday_night), "Saturday there"


def test_a_holiday_is_the_persons_own_day() -> None:
    hours = berlin(zone=ZoneInfo("Pacific/Auckland"), holidays=frozenset({date(2026, 3, 4)}))
    assert not hours.is_open(datetime(2026, 3, 3, 22, tzinfo=UTC))
    assert hours.is_open(datetime(2026, 3, 2, 22, tzinfo=UTC))


def test_where_nobody_ever_works_every_hour_counts() -> None:
    hours = berlin(days=frozenset())
    start = at(hours, 2026, 3, 3, 11)
    assert hours.after(start, timedelta(hours=2)) == start + timedelta(hours=2)
