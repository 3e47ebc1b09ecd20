"""Working time, against counting it minute by minute."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firsttoken.build.calendars import clock_of
from firsttoken.build.clock import Clock, ending, latest, opening, worked
from firsttoken.kernel.compiled import compiled
from firsttoken.twin.calendars import Calendar

MONDAY = dt.datetime(2026, 1, 5)
HOUR, DAY, WEEK = 3600.0, 86400.0, 604800.0
START = (MONDAY - dt.datetime(1970, 1, 1)).total_seconds()

CALENDARS = {
    "day": Calendar(
        shifts=["mon-fri 08:00-12:00 13:00-17:00"], closed=["2026-01-06", "2026-01-23"]
    ),
    "night": Calendar(shifts=["fri-mon 22:00-06:00"]),
    "always": Calendar(shifts=["daily 00:00-24:00"], closed=["2026-01-11"]),
}
NAMES = tuple(CALENDARS)
CLOCK = clock_of(CALENDARS, START, START)


@compiled
def asked(clock: Clock, what: int, c: int, x: float) -> float:
    if what == 0:
        return opening(clock, c, x)
    if what == 1:
        return worked(clock, c, x)
    if what == 2:
        return ending(clock, c, x)
    return latest(clock, c, x)


def at_work(name: str, moment: dt.datetime) -> bool:
    """Whether a calendar is open in the minute after a moment: its shifts, said by hand."""
    day, hour = moment.date(), moment.hour
    if name == "day":
        off = day in (dt.date(2026, 1, 6), dt.date(2026, 1, 23))
        return moment.weekday() < 5 and not off and (8 <= hour < 12 or 13 <= hour < 17)
    if name == "night":
        late = hour >= 22 and moment.weekday() in (4, 5, 6, 0)
        return late or (hour < 6 and (moment - dt.timedelta(days=1)).weekday() in (4, 5, 6, 0))
    return day != dt.date(2026, 1, 11)


def minutes(name: str, days: int) -> Iterator[bool]:
    for minute in range(days * 1440):
        yield at_work(name, MONDAY + dt.timedelta(minutes=minute))


@pytest.mark.parametrize("name", NAMES)
def test_work_done_is_the_minutes_that_are_open(name: str) -> None:
    """Seven weeks: two with days off, and beyond the table, which ends soon after the last."""
    c = NAMES.index(name)
    is_open = np.fromiter(minutes(name, 49), dtype=bool)
    done = np.concatenate([[0], np.cumsum(is_open)]) * 60.0
    begun = asked(CLOCK, 1, c, 0.0)
    for minute in range(0, 49 * 1440, 37):
        assert asked(CLOCK, 1, c, minute * 60.0) - begun == pytest.approx(done[minute], abs=1e-3)
    following = np.flatnonzero(is_open)
    for minute in range(0, 45 * 1440, 61):
        first = following[np.searchsorted(following, minute)]
        assert asked(CLOCK, 0, c, minute * 60.0) == pytest.approx(first * 60.0, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "start", "hours", "finish"),
    [
        ("day", "2026-01-05 08:00", 8, "2026-01-05 17:00"),  # ends when the shift does
        ("day", "2026-01-05 08:00", 8.5, "2026-01-07 08:30"),  # the sixth is a day off
        ("day", "2026-01-09 12:30", 4, "2026-01-09 17:00"),
        ("day", "2026-01-10 10:00", 1, "2026-01-12 09:00"),  # a Saturday
        ("day", "2026-01-22 16:00", 2, "2026-01-26 09:00"),  # the 23rd, then the week-end
        ("night", "2026-01-05 08:00", 4, "2026-01-06 02:00"),
        ("night", "2026-01-06 02:00", 8, "2026-01-10 02:00"),  # next Friday night
        ("day", "2027-03-01 08:00", 40, "2027-03-05 17:00"),  # a year beyond the last day off
    ],
)
def test_work_ends_where_it_should(name: str, start: str, hours: float, finish: str) -> None:
    c = NAMES.index(name)
    begin, end = ((dt.datetime.fromisoformat(t) - MONDAY).total_seconds() for t in (start, finish))
    opened = asked(CLOCK, 0, c, begin)
    assert asked(CLOCK, 2, c, asked(CLOCK, 1, c, opened) + hours * HOUR) == pytest.approx(end)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, len(NAMES) - 1),
    st.integers(0, 200 * 1440),
    st.integers(1, 100 * 1440),
)
def test_ends_and_begins_mean_the_same_work(c: int, t: int, work: int) -> None:
    """The earliest and the latest moment of some work lie on both sides of a closed time."""
    goal = asked(CLOCK, 1, c, 60.0 * t) + 60.0 * work
    first, last = asked(CLOCK, 2, c, goal), asked(CLOCK, 3, c, goal)
    assert first <= last + 1e-6
    for moment in (first, last):
        assert asked(CLOCK, 1, c, moment) == pytest.approx(goal, abs=1e-4)
    assert asked(CLOCK, 0, c, last) == pytest.approx(last, abs=1e-3)
    assert asked(CLOCK, 1, c, first - 1.0) < goal


def test_all_time_is_no_calendar() -> None:
    for what in range(4):
        assert asked(CLOCK, what, -1, 12345.0) == 12345.0
