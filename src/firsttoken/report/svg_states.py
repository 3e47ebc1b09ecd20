"""Stacked bars of states, one row a station, and gauges of what has a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firsttoken.report.svg_canvas import Canvas, clip, text_width

_LEFT = 190.0
_TALL = 22.0


@dataclass(frozen=True, slots=True)
class StateBar:
    """One row of a stack.

    Attributes
    ----------
    parts : (class, share in [0, 1], tip), from left to right; they add up to one.
    said : what stands at the right end.
    hot : whether the row is what the reader should look at.
    """

    label: str
    note: str
    parts: Sequence[tuple[str, float, str]]
    said: str
    hot: bool = False


@dataclass(frozen=True, slots=True)
class Gauge:
    """How much of a level is used; shares of the level.

    Attributes
    ----------
    used, peak : mean and highest use.
    low, high : P10 and P90 of the mean use.
    """

    label: str
    note: str
    used: float
    low: float
    high: float
    peak: float
    said: str
    tip: str
    hot: bool = False


def draw_states(bars: Sequence[StateBar], width: float) -> Canvas:
    """Draw one stacked bar a row, its label at the left and what is said of it at the right."""
    narrow = width < 560
    left = 0.0 if narrow else _LEFT
    right = max((text_width(bar.said, 12.5, True) for bar in bars), default=0.0) + 8
    pitch = 50.0 if narrow else 36.0
    canvas = Canvas(width, pitch * len(bars) + 24)
    room = width - left - right
    y = 2.0
    for bar in bars:
        _label(canvas, bar.label, bar.note, y, left, width, bar.hot)
        top = y + (19 if narrow else 3)
        x = left
        for cls, share, tip in bar.parts:
            long = room * share
            if long < 0.3:
                continue
            canvas.rect(x, top, max(long - 0.6, 0.4), _TALL, f"state {cls}", tip=tip)
            said = f"{100 * share:.0f}"
            if long > text_width(said, 11.5) + 8:
                cls_of = f"t s on-{cls}"
                canvas.text(x + long / 2, top + 15.5, said, cls_of, anchor="middle")
            x += long
        canvas.text(width, top + 15.5, bar.said, "t b hot" if bar.hot else "t b", anchor="end")
        y += pitch
    _percent_axis(canvas, left, room, y + 12, 1.0)
    return canvas


def draw_gauges(gauges: Sequence[Gauge], width: float) -> Canvas:
    """Draw one bar a row: the level as a frame, the mean use in it, the peak as a mark."""
    narrow = width < 560
    left = 0.0 if narrow else _LEFT
    above = 19.0 if narrow else 0.0
    right = max((text_width(gauge.said, 12.5, True) for gauge in gauges), default=0.0) + 10
    if narrow:  # the numbers stand above their bars
        right = 6.0
    top_share = max([1.0, *(gauge.peak for gauge in gauges), *(gauge.high for gauge in gauges)])
    room = width - left - right
    scale = room / top_share
    pitch = 54.0 if narrow else 36.0
    canvas = Canvas(width, pitch * len(gauges) + 24)
    y = 2.0
    for gauge in gauges:
        reserved = text_width(gauge.said, 12.5, True) + 12 if narrow else 0.0
        _label(canvas, gauge.label, gauge.note, y, left, width - reserved, gauge.hot)
        top = y + above + 3
        canvas.rect(left, top, scale, _TALL, "level", tip=gauge.tip)
        fill = "fill hot" if gauge.hot else "fill s1"
        canvas.rect(left, top, max(gauge.used * scale, 0.5), _TALL, fill, tip=gauge.tip)
        if gauge.high > gauge.low:
            middle = top + _TALL / 2
            canvas.line(left + gauge.low * scale, middle, left + gauge.high * scale, middle,
                        "whisker")  # fmt: skip
        if gauge.peak > 0:
            at = left + gauge.peak * scale
            canvas.line(at, top - 3, at, top + _TALL + 3, "peak")
        cls = "t b hot" if gauge.hot else "t b"
        canvas.text(width, y + 13 if narrow else top + 15.5, gauge.said, cls, anchor="end")
        y += pitch
    _percent_axis(canvas, left, room, y + 12, top_share)
    return canvas


def _label(
    canvas: Canvas, label: str, note: str, y: float, left: float, width: float, hot: bool
) -> None:
    """The row's name and a smaller note: before the bar, or above it on narrow screens."""
    cls = "t b" if hot else "t"
    if left:
        room = left - 12
        canvas.text(room, y + (13 if note else 19), clip(label, 13, room), cls, anchor="end")
        canvas.text(room, y + 26, clip(note, 11.5, room), "t s m", anchor="end")
        return
    text = clip(label, 13, width)
    canvas.text(0, y + 13, text, cls)
    free = width - text_width(text, 13, hot) - 8
    if free > 40:
        canvas.text(text_width(text, 13, hot) + 8, y + 13, clip(note, 11.5, free), "t s m")


def _percent_axis(canvas: Canvas, left: float, room: float, y: float, top: float) -> None:
    marks = [0, 25, 50, 75, 100]
    if top > 1.2:
        marks = [mark for mark in (0, 50, 100, 150, 200, 300, 400) if mark <= 100 * top]
    for mark in marks:
        anchor = "start" if mark == 0 else "end" if mark == 100 * top else "middle"
        text = f"{mark} %" if mark == marks[-1] else str(mark)
        canvas.text(left + room * mark / 100 / top, y, text, "t s m", anchor=anchor)
