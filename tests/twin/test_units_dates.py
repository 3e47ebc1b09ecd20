"""Units and dates against the SI, ISO 8601 and the calendar."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.twin.dates import (
    DAY,
    is_date,
    iso,
    moment_text,
    parse_date,
    period_edges,
    quarter,
    to_datetime,
)
from firsttoken.twin.units import COUNT_UNITS, UnitError, describe, parse_unit, require

EPOCH = dt.datetime(1970, 1, 1)


# SI Brochure, 9th edition, tables 2, 4, 7 and 8; the Julian year of the IAU is 365.25 d.
@pytest.mark.parametrize(
    ("text", "factor", "dimension"),
    [
        ("week", 604800, "s"),
        ("day", 86400, "s"),
        ("year", 365.25 * 86400, "s"),
        ("month", 365.25 / 12 * 86400, "s"),
        ("quarter", 365.25 / 4 * 86400, "s"),
        ("kW", 1e3, "W"),
        ("kWh", 3.6e6, "J"),
        ("MUSD", 1e6, "USD"),
        ("BUSD", 1e9, "USD"),
        ("TFLOP/s", 1e12, "FLOP/s"),
        ("kUSD", 1e3, "USD"),
        ("%", 0.01, ""),
        ("%/year", 0.01 / (365.25 * 86400), "1/s"),
        ("rack/week", 1 / 604800, "each/s"),
        ("wpm", 12 / (365.25 * 86400), "each/s"),
        ("kwpm", 12e3 / (365.25 * 86400), "each/s"),
        ("kUSD/package", 1e3, "USD/each"),
        ("mm**2", 1e-6, "m**2"),
        ("1", 1, ""),
        ("", 1, ""),
    ],
)
def test_units(text: str, factor: float, dimension: str) -> None:
    unit = parse_unit(text)
    assert unit.factor == pytest.approx(factor, rel=1e-12)
    assert unit.offset == 0
    require(unit, dimension)


def test_temperatures_have_an_offset() -> None:
    celsius = parse_unit("degC")
    assert (celsius.factor, celsius.offset) == pytest.approx((1, 273.15))
    fahrenheit = parse_unit("degF")
    assert 212 * fahrenheit.factor + fahrenheit.offset == pytest.approx(373.15)


@pytest.mark.parametrize("name", COUNT_UNITS)
def test_everything_that_is_counted_is_each(name: str) -> None:
    require(parse_unit(name), "each")
    plural = {"person": "people", "shelf": "shelves"}.get(name, f"{name}s")
    assert parse_unit(plural).factor == 1


@pytest.mark.parametrize("text", ["bananas", "rack per", "kg/", "((", "week?", "USD$", "__", "0 m"])
def test_what_is_no_unit(text: str) -> None:
    with pytest.raises(UnitError, match="unit"):
        parse_unit(text)


@pytest.mark.parametrize("text", ["500 rack/week", "rack/4 week", "000 USD", "5"])
def test_a_unit_holds_no_number(text: str) -> None:
    with pytest.raises(UnitError, match="a number stands in the unit"):
        parse_unit(text)


def test_exponents_are_no_numbers() -> None:
    assert parse_unit("m**3/s**2").factor == 1
    assert parse_unit("m^2").dimension == "[length] ** 2"
    assert parse_unit("1/year").factor == pytest.approx(1 / (365.25 * 86400))


def test_errors_help() -> None:
    with pytest.raises(UnitError, match="did you mean 'week'"):
        parse_unit("weak")
    with pytest.raises(
        UnitError, match="kg does not fit: expected a rate, such as '250 rack/week'"
    ):
        require(parse_unit("kg"), "each/s")
    with pytest.raises(UnitError, match="a bare number does not fit"):
        require(parse_unit(""), "s")
    assert describe("m**3") == "a quantity in m**3"


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026", dt.datetime(2026, 1, 1)),
        ("2026-07", dt.datetime(2026, 7, 1)),
        ("2026-07-14", dt.datetime(2026, 7, 14)),
        ("2026-07-14 06:30", dt.datetime(2026, 7, 14, 6, 30)),
        ("2026-07-14T06:30:15Z", dt.datetime(2026, 7, 14, 6, 30, 15)),
        ("2026Q3", dt.datetime(2026, 7, 1)),
        ("2026-Q4", dt.datetime(2026, 10, 1)),
        # ISO 8601: week 1 holds the first Thursday; 2026-W01 begins in 2025, 2020 had 53 weeks.
        ("2026-W01", dt.datetime(2025, 12, 29)),
        ("2020-W53", dt.datetime(2020, 12, 28)),
        ("2028-02-29", dt.datetime(2028, 2, 29)),
    ],
)
def test_dates(text: str, day: dt.datetime) -> None:
    assert is_date(text)
    assert to_datetime(parse_date(text)) == day


@pytest.mark.parametrize(
    "text", ["2026-02-30", "2026-13", "2025-W53", "2027-02-29", "2026-01-01 25:00"]
)
def test_days_that_do_not_exist(text: str) -> None:
    with pytest.raises(ValueError, match="is not a day of the calendar"):
        parse_date(text)


@pytest.mark.parametrize("text", ["26-01-01", "2026-1-1", "1/2/2026", "July 2026", "", "2026-Q5"])
def test_what_has_no_form_of_a_date(text: str) -> None:
    assert not is_date(text)
    with pytest.raises(ValueError, match="is not a date such as"):
        parse_date(text)


@given(st.dates(dt.date(1000, 1, 1), dt.date(2999, 12, 31)))
def test_dates_round_trip(day: dt.date) -> None:
    assert iso(parse_date(day.isoformat())) == day.isoformat()
    assert parse_date(day) == parse_date(day.isoformat())
    assert quarter(parse_date(day)) == f"{day.year}Q{(day.month - 1) // 3 + 1}"


@given(
    st.dates(dt.date(2000, 1, 1), dt.date(2040, 1, 1)),
    st.integers(1, 2000),
    st.sampled_from(["day", "week", "month", "quarter", "year"]),
)
def test_periods_tile_the_span(day: dt.date, days: int, bucket: str) -> None:
    start = parse_date(day)
    end = start + days * DAY
    edges = period_edges(start, end, bucket)
    assert edges[0] == start
    assert edges[-2] < end <= edges[-1]
    assert edges == sorted(set(edges))
    if bucket in ("day", "week"):
        assert {b - a for a, b in itertools.pairwise(edges)} == {
            DAY if bucket == "day" else 7 * DAY
        }
    else:
        assert edges[-1] == end
        assert all(to_datetime(edge).day == 1 for edge in edges[1:-1])


def test_quarters_follow_the_calendar() -> None:
    edges = period_edges(parse_date("2025-04-14"), parse_date("2026-01-10"), "quarter")
    assert [iso(edge) for edge in edges] == [
        "2025-04-14",
        "2025-07-01",
        "2025-10-01",
        "2026-01-01",
        "2026-01-10",
    ]


@pytest.mark.parametrize("text", ["2026-07-01", "2026-07-01T12:30", "2026-07-01T12:30:05"])
def test_moments_are_told_as_short_as_they_are(text: str) -> None:
    assert moment_text(parse_date(text)) == text


def test_midnight_is_told_where_times_stand_beside_it() -> None:
    assert moment_text(parse_date("2026-07-01"), time=True) == "2026-07-01T00:00"
