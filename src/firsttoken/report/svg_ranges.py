"""Ranges on one axis, one row a thing, and histograms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firsttoken.report.svg_canvas import Canvas, Scale, clip, text_width, ticks

_ROW = 34.0


@dataclass(frozen=True, slots=True)
class Range:
    """One row: a line from low to high, a bar from left to right, a dot and a mark.

    None at the right end or the middle is beyond the axis.

    Attributes
    ----------
    mark : where a due date or a processing time is drawn; None: nowhere.
    hot : whether the row is what the reader should look at.
    """

    label: str
    note: str
    low: float | None
    left: float | None
    middle: float | None
    right: float | None
    high: float | None
    mark: float | None
    tip: str
    hot: bool = False


def draw_ranges(
    rows: Sequence[Range],
    marks: Sequence[tuple[float, str]],
    span: tuple[float, float],
    width: float,
) -> Canvas:
    """Draw ranges.

    Parameters
    ----------
    marks : (position, text) of the axis' ticks.
    span : ends of the axis.
    """
    narrow = width < 380
    left = 0.0 if narrow else 0.37 * width if width < 560 else 190.0
    pitch = 48.0 if narrow else _ROW
    canvas = Canvas(width, pitch * len(rows) + 26)
    x = Scale(*span, left + 4, width - 14)
    edge = -1e9
    for mark, text in marks:
        at = x(mark)
        canvas.line(at, 20, at, canvas.height - 4, "grid")
        half = text_width(text, 11.5) / 2
        if at - half > edge + 8 and at + half <= width + 2:
            canvas.text(at, 13, text, "t s m", anchor="middle")
            edge = at + half
    y = 22.0
    for row in rows:
        _row(canvas, row, x, y, left, 19.0 if narrow else 0.0)
        y += pitch
    return canvas


def _row(canvas: Canvas, row: Range, x: Scale, y: float, left: float, above: float) -> None:
    cls = "s2" if row.hot else "s1"
    if left:
        room = left - 10
        level = y + (14 if row.note else 21)
        canvas.text(room, level, clip(row.label, 13, room), "t", anchor="end")
        canvas.text(room, y + 28, clip(row.note, 11.5, room), "t s m", anchor="end")
    else:
        canvas.text(0, y + 12, clip(row.label, 12.5, canvas.width - 4), "t halo")
    middle = y + above + _ROW / 2
    end = x.end + 8

    def at(value: float | None) -> float:
        return end if value is None else min(max(x(value), x.start), end)

    if row.low is not None or row.high is not None:
        canvas.line(at(row.low), middle, at(row.high), middle, f"whisker thin {cls}")
    if row.left is not None and row.right is not None:
        canvas.line(at(row.left), middle, at(row.right), middle, f"whisker thick {cls}")
    if None in (row.middle, row.high):
        canvas.path(f"M{end - 3:.1f} {middle - 5:.1f}l9 5l-9 5Z", f"fill {cls}", tip=row.tip)
    if row.mark is not None:
        at_mark = at(row.mark)
        canvas.line(at_mark, middle - 10, at_mark, middle + 10, "peak")
    if row.middle is not None:
        canvas.circle(at(row.middle), middle, 5, f"dot {cls}", tip=row.tip)
    canvas.rect(x.start, middle - 13, x.end - x.start, 26, "hit", tip=row.tip)


def date_marks(first: float, last: float, most: int) -> list[tuple[float, str]]:
    """Ticks of a date axis between two ordinal days, in round steps: days, months, years."""
    days = max(last - first, 1.0)
    steps = (1, 2, 7, 14, 30.4375, 91.3125, 182.625, 365.25, 730.5, 1826.25)
    step = next((s for s in steps if days / s <= most), steps[-1])
    if step < 30:
        begin = dt.date.fromordinal(int(first))
        found = [begin + dt.timedelta(days=int(i * step)) for i in range(int(days / step) + 2)]
        return [(float(d.toordinal()), f"{d.day} {d:%b}") for d in found if first <= d.toordinal()]
    months = round(step / 30.4375)
    start = dt.date.fromordinal(int(first))
    index = (start.year * 12 + start.month - 1) // months
    found_months: list[tuple[float, str]] = []
    while True:
        year, month = divmod(index * months, 12)
        day = dt.date(year, month + 1, 1)
        if day.toordinal() > last:
            return found_months
        if day.toordinal() >= first:
            text = str(day.year) if day.month == 1 else f"{day:%b}"
            found_months.append((float(day.toordinal()), text))
        index += 1


def draw_histogram(
    bins: Sequence[tuple[float, float, float, str]],
    marks: Sequence[tuple[float, str]],
    tick: Callable[[float], str],
    width: float,
    height: float = 230,
) -> Canvas:
    """Draw a histogram of bins (low, high, share, tip) with marked values."""
    canvas = Canvas(width, height)
    if not bins:
        return canvas
    floor, top = height - 26.0, 20.0 + 15.0 * len(marks)
    x = Scale(bins[0][0], bins[-1][1], 2, width - 8)
    y = Scale(0, max(share for _, _, share, _ in bins) or 1.0, floor, top)
    edge = -1e9
    for value in ticks(x.low, x.high, 6):
        if not x.low <= value <= x.high:
            continue
        text = tick(value)
        half = text_width(text, 11.5) / 2
        place = min(max(x(value), half), width - half)
        canvas.line(x(value), floor, x(value), floor + 4, "tick")
        if place - half > edge + 8:
            canvas.text(place, floor + 18, text, "t s m", anchor="middle")
            edge = place + half
    for low, high, share, tip in bins:
        long = max(x(high) - x(low) - 1, 0.6)
        canvas.rect(x(low), y(share), long, floor - y(share), "fill s1 soft", tip=tip)
    canvas.line(x.start, floor, x.end, floor, "axis")
    for i, (value, text) in enumerate(marks):
        if not x.low <= value <= x.high:
            continue
        level = 12.0 + 15.0 * i
        canvas.line(x(value), level + 4, x(value), floor, "peak")
        right = x(value) + text_width(text, 11.5, True) < width - 4
        canvas.text(
            x(value) + (4 if right else -4), level + 3, text, "t s b halo",
            anchor="start" if right else "end",
        )  # fmt: skip
    return canvas
