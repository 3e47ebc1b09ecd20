"""Shift calendars: from `mon-fri 06:00-14:00` to the times at which work may go on.

A shift belongs to the day on which it begins: of `fri 22:00-06:00` the last six hours lie on
Saturday, and take place even if that Saturday is closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import Field

from firsttoken.twin.dates import DAY, to_datetime
from firsttoken.twin.grammar import ValueSyntaxError
from firsttoken.twin.schema import Annotated, Declared, Quantity
from firsttoken.twin.values import Value

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DASH = re.compile(r"\s*-\s*")
_BETWEEN = re.compile(r"\s*,\s*|\s+")
_SHIFT = re.compile(r"\s*([a-z][a-z,\s-]*?)\s+(\d.*?)\s*")
_SPAN = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_HINT = "write 'mon-fri 06:00-14:00', 'sat,sun 08:00-12:00' or 'daily 22:00-06:00'"

Span = tuple[float, float]
"""(from, to) in seconds."""


class Calendar(Declared):
    """Working time: shifts of a week, and days on which nobody works."""

    shifts: list[str] = Field(
        description="Such as `mon-fri 06:00-14:00` or `daily 22:00-06:00`, in local time."
    )
    closed: list[Annotated[Value, Quantity("date", series=False)]] = Field(
        [], description="Days off."
    )


@dataclass(frozen=True, slots=True)
class Shift:
    """Working times on days of the week.

    Attributes
    ----------
    days : days of the week on which it begins, 0 is Monday.
    spans : (from, to) in seconds from that day's midnight; beyond 86400 on the day after.
    """

    days: frozenset[int]
    spans: tuple[Span, ...]


def parse_shift(text: str) -> Shift:
    """Read a shift: days (`daily`, `mon-fri`, `mon,wed`) and one or more spans of hours.

    Raises
    ------
    ValueSyntaxError
        If it cannot be read.
    """
    match = _SHIFT.fullmatch(_DASH.sub("-", text.lower()))
    if match is None:
        raise ValueSyntaxError(f"{text!r} is not a shift", _HINT)
    spans = tuple(_span(words, text) for words in _BETWEEN.split(match[2]))
    return Shift(_days(match[1], text), spans)


def _days(words: str, text: str) -> frozenset[int]:
    if words == "daily":
        return frozenset(range(7))
    found: set[int] = set()
    for word in _BETWEEN.split(words):
        first, _, last = word.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueSyntaxError(f"{word!r} in {text!r} is not a day of the week", _HINT)
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        found |= {(start + offset) % 7 for offset in range((end - start) % 7 + 1)}
    return frozenset(found)


def _span(words: str, text: str) -> Span:
    match = _SPAN.fullmatch(words)
    if match is None:
        raise ValueSyntaxError(f"{words!r} in {text!r} is not a span of hours", _HINT)
    hours = [int(part) for part in match.groups()]
    start, end = (3600.0 * hours[i] + 60.0 * hours[i + 1] for i in (0, 2))
    if max(start, end) > DAY or max(hours[1], hours[3]) > 59 or start == DAY:
        raise ValueSyntaxError(f"{words!r} in {text!r} has no such time of day", _HINT)
    return start, end if end > start else end + DAY


def open_spans(
    shifts: Sequence[Shift], closed: Iterable[float], start: float, end: float
) -> list[Span]:
    """The times within [start, end) at which a calendar is open.

    Parameters
    ----------
    shifts : of which any may be at work.
    closed : midnights of the days on which no shift begins, seconds from 1970-01-01.
    start, end : seconds from 1970-01-01.

    Returns
    -------
    Ascending, disjoint spans in seconds from `start`.
    """
    shut = {int(day // DAY) for day in closed}
    found: list[Span] = []
    for day in range(int(start // DAY) - 1, int(-(-end // DAY)) + 1):
        if day in shut:
            continue
        midnight = day * DAY
        weekday = to_datetime(midnight).weekday()
        found += [
            (max(midnight + first, start) - start, min(midnight + last, end) - start)
            for shift in shifts
            if weekday in shift.days
            for first, last in shift.spans
        ]
    merged: list[Span] = []
    for first, last in sorted(span for span in found if span[1] > span[0]):
        if merged and first <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return merged
