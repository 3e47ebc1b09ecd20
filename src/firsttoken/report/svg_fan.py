"""Fan charts: a band of P10-P90 around the median, period by period."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from firsttoken.report.formats import number, ordinal
from firsttoken.report.svg_canvas import Canvas, Scale, spread, text_width, ticks


@dataclass(frozen=True, slots=True)
class Point:
    """An observation: what was reported, over the period of that index."""

    index: int
    low: float
    value: float
    high: float
    tip: str


@dataclass(frozen=True, slots=True)
class Fan:
    """What a fan chart shows.

    Attributes
    ----------
    periods, labels : first ISO day and name (2027Q1) of each period.
    low, middle, high : P10, P50, P90, in `unit`; NaN where unknown.
    plan : the plan's values, drawn as a dashed line.
    points : observations, drawn over the band.
    target, target_label : a level to reach.
    dates : ISO days of P10, P50, P80, P90 of reaching the target; '' beyond the horizon.
    now : ISO day up to which facts were known, drawn as a vertical line.
    say : writes a value with its unit; `tick` writes the axis.
    lines : further (name, values, class), drawn over the band.
    ceiling : top of the axis, if not the data's.
    only_lines : label the lines at the right edge, not the band.
    """

    periods: Sequence[str]
    labels: Sequence[str]
    low: Sequence[float]
    middle: Sequence[float]
    high: Sequence[float]
    say: Callable[[float], str]
    tick: Callable[[float], str] = number
    plan: Sequence[float] = ()
    points: Sequence[Point] = ()
    target: float | None = None
    target_label: str = ""
    dates: tuple[str, str, str, str] | None = None
    now: str = ""
    cls: str = "s1"
    lines: Sequence[tuple[str, Sequence[float], str]] = field(default=())
    ceiling: float | None = None
    only_lines: bool = False


def draw_fan(fan: Fan, width: float, height: float = 0) -> Canvas:
    """Draw a fan chart with direct labels at its right edge."""
    narrow = width < 560
    height = height or (300 if narrow else 360)
    entries = _end_entries(fan)
    texts = [text_width(f"{name} {fan.say(value)}", 12.5, True) for name, value, _ in entries]
    right = max([60.0 if narrow else 110.0, *(width + 8 for width in texts)])
    canvas = Canvas(width, height)
    low = min([0.0, *_finite(fan.low), *_finite(fan.plan)])
    tops = [*_finite(fan.high), *_finite(fan.middle), *_finite(fan.plan)]
    tops += [point.high for point in fan.points] + [0.0 if fan.target is None else fan.target]
    tops += [value for _, line, _ in fan.lines for value in _finite(line)]
    top = fan.ceiling if fan.ceiling is not None else max(tops, default=1.0) or 1.0
    marks = ticks(low, top, 5)
    y = Scale(marks[0], marks[-1], height - 44, 34)
    left = 2.0
    x = Scale(-0.5, len(fan.labels) - 0.5, left + 46, width - right)
    for mark in marks:
        canvas.line(left, y(mark), width - right, y(mark), "axis" if mark == 0 else "grid")
        canvas.text(left, y(mark) - 5, fan.tick(mark), "t s m")
    period_axis(canvas, fan.periods, fan.labels, x, height - 44)
    _draw_now(canvas, fan, x, y)
    _draw_band(canvas, fan, x, y)
    _draw_target(canvas, fan, x, y, width - right)
    for point in fan.points:
        px = x(point.index)
        canvas.line(px, y(point.low), px, y(point.high), "whisker obs")
        for end in (point.low, point.high):
            canvas.line(px - 3.5, y(end), px + 3.5, y(end), "whisker obs")
        canvas.circle(px, y(point.value), 4.5, "dot obs", tip=point.tip)
    _end_labels(canvas, fan, entries, y, width - right + 6, height - 48)
    _hit_areas(canvas, fan, x, y)
    return canvas


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def period_axis(
    canvas: Canvas, periods: Sequence[str], labels: Sequence[str], x: Scale, base: float
) -> None:
    """Draw the time axis: days, months or quarters where they fit, years below them."""
    step = x(1) - x(0) if len(periods) > 1 else x.end - x.start
    parts = _parts(periods, labels, step)
    for members, text in parts:
        canvas.text(x((members[0] + members[-1]) / 2), base + 16, text, "t s m", anchor="middle")
    starts = {members[0] for members, _ in parts} if parts and step < 8 else range(len(labels))
    long = 36 if parts else 20
    for i, _ in enumerate(labels):
        edge = i > 0 and periods[i][:4] != periods[i - 1][:4]
        if edge or i in starts:
            canvas.line(x(i - 0.5), base, x(i - 0.5), base + (long if edge else 4), "tick")
    canvas.line(x(len(labels) - 0.5), base, x(len(labels) - 0.5), base + 4, "tick")
    level = base + (33 if parts else 18)
    years: dict[str, list[int]] = {}
    for i, period in enumerate(periods):
        years.setdefault(period[:4], []).append(i)
    for year, members in years.items():
        room = step * len(members)
        text = year if room > 34 else f"’{year[2:]}"
        if room > 18:
            canvas.text(x((members[0] + members[-1]) / 2), level, text, "t s", anchor="middle")


def _parts(
    periods: Sequence[str], labels: Sequence[str], step: float
) -> list[tuple[list[int], str]]:
    """What is written above the years: (periods, text), each with room for its text."""
    if labels and all(len(label) == 6 and label[4] == "Q" for label in labels):
        return [([i], label[4:]) for i, label in enumerate(labels)] if step >= 24 else []
    if not labels or not all(len(label) in (7, 10) for label in labels):
        return []
    days = [dt.date.fromisoformat(period[:10]) for period in periods]
    if step >= 42 and len(labels[0]) == 10:
        return [([i], f"{day.day} {day:%b}") for i, day in enumerate(days)]
    months = [f"{day:%b}" for day in days]
    for names in (months, [f"Q{(day.month + 2) // 3}" for day in days]):
        groups: dict[tuple[str, str], list[int]] = {}
        for i, name in enumerate(names):
            groups.setdefault((periods[i][:4], name), []).append(i)
        sizes = sorted(len(members) for members in groups.values())
        if step * sizes[len(sizes) // 2] >= 26:
            return [
                (members, text) for (_, text), members in groups.items() if step * len(members) > 25
            ]
    return []


def _position(fan: Fan, iso: str) -> float:
    """Fractional index of an ISO day; period i spans i - 0.5 to i + 0.5."""
    days = [ordinal(period) for period in fan.periods]
    length = days[-1] - days[-2] if len(days) > 1 else 91.0
    days.append(days[-1] + length)
    when = ordinal(iso)
    for i in range(len(days) - 1):
        if days[i] <= when < days[i + 1]:
            return i - 0.5 + (when - days[i]) / (days[i + 1] - days[i])
    return -0.5 if when < days[0] else len(days) - 1.5


def _draw_now(canvas: Canvas, fan: Fan, x: Scale, y: Scale) -> None:
    if not fan.now or not fan.periods or fan.now < fan.periods[0]:
        return
    at = x(_position(fan, fan.now))
    if at > x.end - 8:
        return
    canvas.line(at, 4, at, y.start, "now")
    text = f"known to {fan.now}"
    room_right = x.end - at > text_width(text, 11.5) + 8
    canvas.text(
        at + (5 if room_right else -5), 12, text, "t s m",
        anchor="start" if room_right else "end",
    )  # fmt: skip


def _draw_band(canvas: Canvas, fan: Fan, x: Scale, y: Scale) -> None:
    known = [
        i
        for i in range(len(fan.labels))
        if math.isfinite(fan.low[i]) and math.isfinite(fan.high[i])
    ]
    if len(known) > 1:
        upper = [(x(i), y(fan.high[i])) for i in known]
        lower = [(x(i), y(fan.low[i])) for i in reversed(known)]
        canvas.polyline(upper + lower, f"band {fan.cls}", close=True)
    if len(fan.plan):
        points = [(x(i), y(v)) for i, v in enumerate(fan.plan) if math.isfinite(v)]
        canvas.polyline(points, "line plan")
    for _, values, cls in fan.lines:
        points = [(x(i), y(v)) for i, v in enumerate(values) if math.isfinite(v)]
        canvas.polyline(points, f"line {cls}")
    middle = [(x(i), y(v)) for i, v in enumerate(fan.middle) if math.isfinite(v)]
    if middle:
        canvas.polyline(middle, f"line {fan.cls}")


def _draw_target(canvas: Canvas, fan: Fan, x: Scale, y: Scale, end: float) -> None:
    if fan.target is None:
        return
    level = y(fan.target)
    canvas.line(2, level, end, level, "target")
    canvas.text(x.start, level - 6, fan.target_label, "t b hot")
    if not fan.dates or not fan.dates[0]:
        return
    first, middle, _, last = fan.dates
    at = [x(_position(fan, iso)) if iso else x.end for iso in (first, middle, last)]
    canvas.line(at[0], level, at[2], level, "whisker thick hot")
    if not last:
        canvas.path(
            f"M{at[2] - 2:.1f} {level - 6:.1f}l9 6l-9 6Z",
            "fill hot",
            tip="P90 is beyond the horizon",
        )
    if middle:
        canvas.circle(at[1], level, 6, "dot hot", tip=f"median {middle}")


def _end_entries(fan: Fan) -> list[tuple[str, float, str]]:
    """(name, value, class) of what is labelled at the right edge."""
    known = [i for i in range(len(fan.labels)) if math.isfinite(fan.middle[i])]
    if not known:
        return []
    last = known[-1]
    entries = [("P90", fan.high[last], "t s m"), ("P50", fan.middle[last], f"t b {fan.cls}")]
    entries.append(("P10", fan.low[last], "t s m"))
    if fan.only_lines or fan.low[last] == fan.high[last]:
        entries = [("base" if fan.only_lines else "P50", *entries[1][1:])]
    if len(fan.plan) and math.isfinite(fan.plan[last]):
        entries.append(("plan", fan.plan[last], "t s m"))
    for name, values, cls in fan.lines:
        entries.append((name, values[last], f"t b {cls}"))
    return entries


def _end_labels(
    canvas: Canvas,
    fan: Fan,
    entries: Sequence[tuple[str, float, str]],
    y: Scale,
    x: float,
    floor: float,
) -> None:
    places = spread([y(value) + 4 for _, value, _ in entries], 15, 20, floor)
    for (name, value, cls), place in zip(entries, places, strict=True):
        canvas.text(x, place, f"{name} {fan.say(value)}".strip(), cls)


def _hit_areas(canvas: Canvas, fan: Fan, x: Scale, y: Scale) -> None:
    """Invisible columns that carry each period's numbers, below the observations' dots."""
    observed = {point.index for point in fan.points}
    half = (x(1) - x(0)) / 2
    for i, label in enumerate(fan.labels):
        if i in observed or not math.isfinite(fan.middle[i]):
            continue
        tip = f"{label}: median {fan.say(fan.middle[i])}"
        if fan.low[i] != fan.high[i]:
            tip += f", P10–P90 {fan.say(fan.low[i])} – {fan.say(fan.high[i])}"
        if len(fan.plan) and math.isfinite(fan.plan[i]):
            tip += f"; plan {fan.say(fan.plan[i])}"
        canvas.rect(x(i) - half, y.end, 2 * half, y.start - y.end, "hit", tip=tip)
