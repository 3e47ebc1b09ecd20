"""Dates as planners write them: 2026-07-01, 2026-07, 2026Q3, 2026-W05, 2026.

A date is its first instant in UTC, held as seconds from 1970-01-01.
"""

from __future__ import annotations

import datetime as dt
import re

HOUR = 3600.0
DAY = 24 * HOUR
WEEK = 7 * DAY

_EPOCH = dt.datetime(1970, 1, 1)
_FORM = re.compile(
    r"(?P<year>[12]\d{3})"
    r"(?:-?Q(?P<quarter>[1-4])|-W(?P<week>\d{2})"
    r"|-(?P<month>\d{2})(?:-(?P<day>\d{2})(?:[T ](?P<time>\d{2}:\d{2}(?::\d{2})?)Z?)?)?)?"
)


def parse_date(text: object) -> float:
    """Seconds from 1970-01-01 of a date.

    Raises
    ------
    ValueError
        If the text is not a date, or names a day that does not exist.
    """
    if isinstance(text, dt.datetime):
        return (text.replace(tzinfo=None) - _EPOCH).total_seconds()
    if isinstance(text, dt.date):
        return (dt.datetime(text.year, text.month, text.day) - _EPOCH).total_seconds()
    match = _FORM.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{text!r} is not a date such as 2026-07-01, 2026-07, 2026Q3 or 2026-W05")
    part = match.groupdict()
    year = int(part["year"])
    try:
        if part["week"]:
            moment = dt.datetime.fromisocalendar(year, int(part["week"]), 1)
        elif part["quarter"]:
            moment = dt.datetime(year, 3 * int(part["quarter"]) - 2, 1)
        else:
            moment = dt.datetime(year, int(part["month"] or 1), int(part["day"] or 1))
            if part["time"]:
                moment = dt.datetime.combine(moment, dt.time.fromisoformat(part["time"]))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a day of the calendar: {error}") from None
    return (moment - _EPOCH).total_seconds()


def is_date(text: object) -> bool:
    """Whether the text has the form of a date (it may still name no real day)."""
    return isinstance(text, dt.date) or _FORM.fullmatch(str(text).strip()) is not None


def to_datetime(seconds: float) -> dt.datetime:
    """The naive UTC datetime at `seconds` from 1970-01-01."""
    return _EPOCH + dt.timedelta(seconds=seconds)


def iso(seconds: float) -> str:
    """The ISO day (2026-07-01) at `seconds` from 1970-01-01."""
    return to_datetime(seconds).date().isoformat()


def moment_text(seconds: float, *, time: bool = False) -> str:
    """The ISO day at `seconds` from 1970-01-01, with the time unless it is midnight.

    Seconds are told where they are not 0: 2026-07-01, 2026-07-01T12:30, 2026-07-01T12:30:05.

    Parameters
    ----------
    time : whether midnight is told as well.
    """
    whole = round(seconds)
    moment = to_datetime(whole)
    if not time and not whole % DAY:
        return iso(whole)
    return moment.isoformat(timespec="seconds" if moment.second else "minutes")


def quarter(seconds: float) -> str:
    """The calendar quarter (2026Q3) at `seconds` from 1970-01-01."""
    day = to_datetime(seconds)
    return f"{day.year}Q{(day.month + 2) // 3}"


def period_edges(start: float, end: float, bucket: str) -> list[float]:
    """Edges of the calendar periods that tile [start, end).

    Parameters
    ----------
    start, end : seconds from 1970-01-01.
    bucket : hour, day, week, month, quarter or year. Hours, days and weeks count from `start`;
        months, quarters and years follow the calendar, so the first may be partial.

    Returns
    -------
    list of float, length periods + 1; the last edge is >= `end`, except that calendar
    buckets stop at `end`.
    """
    edges = [start]
    steps = {"hour": HOUR, "day": DAY, "week": WEEK}
    if bucket in steps:
        step = steps[bucket]
        while edges[-1] < end - 1e-6:
            edges.append(edges[-1] + step)
        return edges
    months = {"month": 1, "quarter": 3, "year": 12}[bucket]
    first = to_datetime(start)
    index = (first.year * 12 + first.month - 1) // months
    while edges[-1] < end - 1e-6:
        index += 1
        year, month = divmod(index * months, 12)
        edges.append(min((dt.datetime(year, month + 1, 1) - _EPOCH).total_seconds(), end))
    return edges


def report_edges(start: float, end: float, report: str) -> list[float]:
    """Edges of the report periods, s from `start`; the last is the horizon (see `period_edges`)."""
    return [*(edge - start for edge in period_edges(start, end, report)[:-1]), end - start]


def period_label(seconds: float, report: str) -> str:
    """2027, 2027Q1, 2027-03, the ISO day, or the hour of a report period's start."""
    if report == "quarter":
        return quarter(seconds)
    form = {"year": "%Y", "month": "%Y-%m", "hour": "%Y-%m-%dT%H:%M"}.get(report, "%Y-%m-%d")
    return to_datetime(seconds).strftime(form)
