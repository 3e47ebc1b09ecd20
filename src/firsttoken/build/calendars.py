"""From shift calendars to the tables of `Clock`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from firsttoken.build.clock import Clock, Floats, Integers
from firsttoken.twin.calendars import Calendar, Shift, open_spans, parse_shift
from firsttoken.twin.dates import DAY, WEEK
from firsttoken.twin.values import Constant

_MONDAY = 4 * DAY  # 1970-01-05
_MARGIN = 2 * WEEK


def days_off(calendar: Calendar) -> list[float]:
    """Midnights of the days off that are certain, seconds from 1970-01-01."""
    return [day.value for day in calendar.closed if isinstance(day, Constant)]


def weekly_work(shifts: Sequence[Shift]) -> float:
    """Working time in s of a week without days off."""
    spans = open_spans(shifts, (), _MONDAY, _MONDAY + WEEK)
    return sum(last - first for first, last in spans)


def clock_of(calendars: Mapping[str, Calendar], start: float, since: float) -> Clock:
    """The calendars as tables.

    Parameters
    ----------
    start : of the twin, seconds from 1970-01-01; the tables count from it.
    since : earliest moment that may be asked for, seconds from 1970-01-01.
    """
    spans: list[np.ndarray] = [np.empty((0, 3))]
    index: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
    rows: list[tuple[int, ...]] = []
    facts: list[tuple[float, ...]] = []
    for calendar in calendars.values():
        first, place = sum(map(len, spans)), sum(map(len, index))
        table, by_time, by_work, known = _table(calendar, start, since)
        rows.append((first, first + len(table), place, place + len(by_time)))
        facts.append(known)
        spans.append(table)
        index += [first + by_time, first + by_work]
    return Clock(
        np.concatenate(spans),
        np.concatenate(index),
        np.array(rows, dtype=np.int64).reshape(-1, 4),
        np.array(facts, dtype=np.float64).reshape(-1, 5),
    )


def _table(
    calendar: Calendar, start: float, since: float
) -> tuple[Floats, Integers, Integers, tuple[float, ...]]:
    """Spans, both indices (from 0), and facts of one calendar."""
    shifts = [parse_shift(text) for text in calendar.shifts]
    closed = days_off(calendar)
    origin = _monday(since) - WEEK
    end = max([_monday(day) + WEEK for day in closed if day >= origin] + [origin]) + _MARGIN
    found = np.array(open_spans(shifts, closed, origin, end)).reshape(-1, 2) + (origin - start)
    lengths = found[:, 1] - found[:, 0]
    done = np.cumsum(lengths)
    steps = len(found) / float(done[-1])
    days = np.arange(round((end - origin) / DAY) + 1) * DAY + (origin - start)
    work = np.arange(len(found) + 2) / steps
    by_time = np.searchsorted(found[:, 1], days, "right")
    by_work = np.minimum(np.searchsorted(done, work, "right"), len(found) - 1)
    spans = np.column_stack([found, done - lengths])
    facts = (origin - start, end - start, float(done[-1]), weekly_work(shifts), steps)
    return spans, by_time.astype(np.int64), by_work.astype(np.int64), facts


def _monday(seconds: float) -> float:
    """Midnight of the Monday of that week, seconds from 1970-01-01."""
    return float((seconds - _MONDAY) // WEEK * WEEK + _MONDAY)
