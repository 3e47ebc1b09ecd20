"""FrePPLe's calendars: working hours to factors, maximum calendars to capacities over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from firsttoken.supply.table_columns import View, clock_seconds, number_of
from firsttoken.twin.dates import DAY, iso, parse_date, to_datetime
from firsttoken.twin.slots import nearest
from firsttoken.twin.source import SourceMap

FIRST, LAST = "1971-01-01", "2999-01-01"
"""What frePPLe's blank start and end dates mean."""

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Span(NamedTuple):
    """One bucket of a calendar, start and end in seconds from 1970-01-01.

    `value` is its value as written, `mean` its mean over the week with the hours outside its
    working hours at the calendar's default.
    """

    start: float
    end: float
    value: float
    mean: float


def read_buckets(
    view: View, calendars: Mapping[str, dict[str, Any]], sources: SourceMap
) -> dict[str, list[Span]]:
    """Append the rows of table `calendarbucket` to their calendars' buckets.

    Returns
    -------
    spans by calendar, of those whose dates and values are plain; of overlapping ones the
    later listed wins.
    """
    found: dict[str, list[Span]] = {}
    starts, ends = view.dates("start"), view.dates("end")
    values, ranks = view.quantities("value", ""), view.integers("priority", 0)
    shares = _open_shares(view)
    names = view.text("calendar")
    # Of overlapping buckets frePPLe takes the lowest priority, a network the last.
    for index in sorted(range(len(view)), key=lambda row: -ranks[row]):
        name = names[index]
        if name not in calendars:
            hint = nearest(name, list(calendars))
            view.report(index, f"calendar {name!r} is not in table calendar", hint, "reference")
            continue
        value = values[index]
        default = number_of(calendars[name]["default"])
        number = number_of(value)
        if shares[index] < 1 and number is not None and default is not None:
            value = shares[index] * number + (1 - shares[index]) * default
        bucket = {"start": starts[index] or FIRST, "end": ends[index] or LAST, "value": value}
        buckets = calendars[name]["buckets"]
        at = ("calendars", name, "buckets", len(buckets))
        sources.add(at, view.table.place(index))
        buckets.append(bucket)
        span = _span(bucket, number)
        if span is not None:
            found.setdefault(name, []).append(span)
    return found


def _span(bucket: Mapping[str, Any], number: float | None) -> Span | None:
    mean = number_of(bucket["value"])
    if number is None or mean is None:
        return None
    try:
        return Span(parse_date(bucket["start"]), parse_date(bucket["end"]), number, mean)
    except ValueError:
        return None  # the network's classes say so


def _open_shares(view: View) -> list[float]:
    """Share of the week in which each bucket holds."""
    days = [
        [is_set(cell) for cell in view.cells[day]] if day in view.cells else [True] * len(view)
        for day in _WEEKDAYS
    ]
    begins = view.cells.get("starttime") or [None] * len(view)
    ends = view.cells.get("endtime") or [None] * len(view)
    shares = []
    for index in range(len(view)):
        begin = clock_seconds(begins[index]) or 0.0
        end = clock_seconds(ends[index])
        if end is None:
            end = DAY
        elif end % 60 == 59:
            end += 1  # frePPLe's end times are inclusive: 23:59:59 is midnight
        shares.append((end - begin) / DAY * sum(day[index] for day in days) / 7)
    if any(share < 1 for share in shares):
        what = "working hours are read as the share of the week in which they are open"
        view.report(-1, what, "durations are calendar time", "approximation", "warning")
    return shares


def is_set(cell: Any) -> bool:
    """Whether a flag is set; blank ones are."""
    if isinstance(cell, str):
        return cell.casefold() not in ("false", "0", "no", "")
    return cell is None or bool(cell)


def capacity_series(spans: Sequence[Span], default: float, *, per_bucket: bool) -> dict[str, Any]:
    """Capacity over time, as a twin writes series.

    Parameters
    ----------
    per_bucket : whether a span's value is what is available in the whole of it, instead of
        resource-seconds a second.
    """
    edges = sorted({edge for span in spans for edge in (span.start, span.end)})
    outside = 0.0 if per_bucket else default
    series: dict[str, Any] = {"unit": "each/s", FIRST: outside}
    for edge in edges:
        level = outside
        for span in spans:
            if span.start <= edge < span.end:
                level = span.value / (span.end - span.start) if per_bucket else span.mean
        moment = to_datetime(edge)
        series[iso(edge) if edge % DAY == 0 else moment.isoformat(sep=" ")] = level
    return series
