"""Shift calendars against a minute-by-minute reading of the same words."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.twin.calendars import open_spans, parse_shift
from firsttoken.twin.dates import DAY, parse_date
from firsttoken.twin.grammar import ValueSyntaxError

HOUR = 3600.0
MONDAY = parse_date("2026-01-05")
NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def hours(*texts: str, closed: tuple[str, ...] = (), days: float = 7) -> list[tuple[float, float]]:
    """Open spans from Monday 2026-01-05, in hours."""
    shifts = [parse_shift(text) for text in texts]
    off = [parse_date(day) for day in closed]
    spans = open_spans(shifts, off, MONDAY, MONDAY + days * DAY)
    return [(first / HOUR, last / HOUR) for first, last in spans]


def test_the_calendar_begins_on_a_monday() -> None:
    assert dt.date(2026, 1, 5).weekday() == 0


def test_a_day_shift() -> None:
    spans = hours("mon-fri 06:00-14:00")
    assert spans == [(24 * day + 6, 24 * day + 14) for day in range(5)]


def test_a_night_shift_ends_on_the_next_day_and_one_is_in_hand_at_the_start() -> None:
    assert hours("daily 22:00-06:00", days=2) == [(0, 6), (22, 30), (46, 48)]


def test_a_day_off_takes_the_shifts_that_begin_on_it() -> None:
    """The night shift of Tuesday ends on the closed Wednesday; Wednesday's does not begin."""
    spans = hours("daily 22:00-06:00", closed=("2026-01-07",), days=4)
    assert spans == [(0, 6), (22, 30), (46, 54), (94, 96)]


def test_shifts_that_meet_or_overlap_are_one_span() -> None:
    assert hours("daily 06:00-14:00", "daily 14:00-22:00", "daily 13:00-15:00", days=1) == [(6, 22)]
    assert hours("daily 00:00-24:00") == [(0, 168)]
    assert hours("daily 06:00-06:00") == [(0, 168)]


@pytest.mark.parametrize("text", ["mon 6:00-10:00, 11:00-14:00", "mon 6:00 - 10:00 11:00-14:00"])
def test_a_shift_with_a_break(text: str) -> None:
    assert hours(text) == [(6, 10), (11, 14)]


def test_days_of_the_week() -> None:
    for text, days in (
        ("sat-mon", {5, 6, 0}),
        ("mon,wed", {0, 2}),
        ("mon-tue, sat", {0, 1, 5}),
        ("Fri", {4}),
        ("daily", set(range(7))),
    ):
        assert parse_shift(f"{text} 08:00-12:00").days == days


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("06:00-14:00", "is not a shift"),
        ("mon-fri", "is not a shift"),
        ("mon-fry 06:00-14:00", "'mon-fry' in 'mon-fry 06:00-14:00' is not a day of the week"),
        ("mon 06:00", "is not a span of hours"),
        ("mon 06:00-25:00", "no such time of day"),
        ("mon 06:61-07:00", "no such time of day"),
        ("mon 24:00-07:00", "no such time of day"),
    ],
)
def test_what_is_not_a_shift_is_said(text: str, problem: str) -> None:
    with pytest.raises(ValueSyntaxError, match=problem):
        parse_shift(text)


clock = st.integers(0, 95).map(lambda quarter: 15 * quarter)
shift = st.tuples(st.sets(st.integers(0, 6), min_size=1), clock, clock)


@given(
    shifts=st.lists(shift, min_size=1, max_size=3),
    off=st.sets(st.integers(-1, 9), max_size=3),
    begin=st.integers(0, 200),
)
def test_a_quarter_of_an_hour_is_open_if_a_shift_of_its_day_or_the_day_before_says_so(
    shifts: list[tuple[set[int], int, int]], off: set[int], begin: int
) -> None:
    texts = [
        f"{','.join(NAMES[d] for d in days)} {a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}"
        for days, a, b in shifts
    ]
    start, end = MONDAY + 900.0 * begin, MONDAY + 8 * DAY
    spans = open_spans(
        [parse_shift(text) for text in texts], [MONDAY + d * DAY for d in off], start, end
    )
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(set(edges))
    for quarter in range(begin, 8 * 96):
        day, minute = divmod(15 * quarter, 1440)
        expected = any(
            begun not in off and begun % 7 in days and a <= since < (b if b > a else b + 1440)
            for days, a, b in shifts
            for begun, since in ((day, minute), (day - 1, minute + 1440))
        )
        moment = 900.0 * (quarter - begin)
        assert any(first <= moment < last for first, last in spans) == expected
