"""Curves over a numeric axis: the course of hours, and frontiers of what is possible."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firsttoken.report.formats import number
from firsttoken.report.svg_canvas import Canvas, Scale, text_width, ticks


@dataclass(frozen=True, slots=True)
class Curve:
    """What a chart of curves shows.

    Attributes
    ----------
    x : positions, rising.
    low, middle, high : P10, P50, P90 at each; a frontier has all three alike.
    marks : (position, text) of the axis below; empty: numbers.
    tips : what is said at each position.
    dots : (x, y, text) drawn and named over the curve.
    target, target_label : a level to stay at.
    x_label : what the axis below shows.
    """

    x: Sequence[float]
    low: Sequence[float]
    middle: Sequence[float]
    high: Sequence[float]
    marks: Sequence[tuple[float, str]] = ()
    tips: Sequence[str] = ()
    dots: Sequence[tuple[float, float, str]] = ()
    target: float | None = None
    target_label: str = ""
    x_label: str = ""
    tick: Callable[[float], str] = number


def draw_curve(curve: Curve, width: float, height: float = 0) -> Canvas:
    """Draw a curve with its band, dots and axes."""
    height = height or (280 if width < 560 else 340)
    canvas = Canvas(width, height)
    tops = [v for v in (*curve.high, *curve.middle) if math.isfinite(v)]
    tops += [y for _, y, _ in curve.dots] + ([curve.target] if curve.target is not None else [])
    levels = ticks(0.0, max(tops, default=1.0) or 1.0, 5)
    y = Scale(levels[0], levels[-1], height - 44, 30)
    x = Scale(curve.x[0], curve.x[-1], 48, width - 16)
    for level in levels:
        canvas.line(2, y(level), width - 8, y(level), "axis" if level == 0 else "grid")
        canvas.text(2, y(level) - 5, curve.tick(level), "t s m")
    _axis(canvas, curve, x, height - 44)
    _band(canvas, curve, x, y)
    if curve.target is not None:
        canvas.line(2, y(curve.target), width - 8, y(curve.target), "target")
        canvas.text(x.start, y(curve.target) - 6, curve.target_label, "t b hot")
    for at, level, text in curve.dots:
        canvas.circle(x(at), y(level), 6, "dot hot", tip=text)
        right = x(at) + 10 + text_width(text, 12.5, True) < width
        anchor, shift = ("start", 9) if right else ("end", -9)
        canvas.text(x(at) + shift, y(level) - 8, text, "t b hot", anchor=anchor)
    return canvas


def _axis(canvas: Canvas, curve: Curve, x: Scale, base: float) -> None:
    """Ticks below, those that have room."""
    marks = curve.marks or [(value, number(value)) for value in ticks(curve.x[0], curve.x[-1], 6)]
    edge = -math.inf
    for position, text in marks:
        at = x(position)
        if not x.start - 1 <= at <= x.end + 1:
            continue
        canvas.line(at, base, at, base + 4, "tick")
        half = text_width(text, 11.5) / 2
        if at - half > edge + 8 and at + half <= canvas.width:
            canvas.text(at, base + 18, text, "t s m", anchor="middle")
            edge = at + half
    if curve.x_label:
        canvas.text(x.end, base + 36, curve.x_label, "t s", anchor="end")


def _band(canvas: Canvas, curve: Curve, x: Scale, y: Scale) -> None:
    known = [
        i
        for i in range(len(curve.x))
        if math.isfinite(curve.low[i]) and math.isfinite(curve.high[i])
    ]
    if len(known) > 1 and any(curve.low[i] != curve.high[i] for i in known):
        upper = [(x(curve.x[i]), y(curve.high[i])) for i in known]
        lower = [(x(curve.x[i]), y(curve.low[i])) for i in reversed(known)]
        canvas.polyline(upper + lower, "band s1", close=True)
    middle = [
        (x(at), y(value))
        for at, value in zip(curve.x, curve.middle, strict=True)
        if math.isfinite(value)
    ]
    if middle:
        canvas.polyline(middle, "line s1")
    half = (x.end - x.start) / max(len(curve.x) - 1, 1) / 2
    for at, tip in zip(curve.x, curve.tips, strict=False):
        canvas.rect(x(at) - half, y.end, 2 * half, y.start - y.end, "hit", tip=tip)
