"""Dots with whiskers: one panel a figure, one row a scenario."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firsttoken.report.svg_canvas import Canvas, Scale, text_width, ticks, wrap

_ROW = 30.0


@dataclass(frozen=True, slots=True)
class Dot:
    """Median with P10 and P90; None is beyond the axis, to the right."""

    low: float | None
    value: float | None
    high: float | None
    said: str
    tip: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure in every scenario; the first row is the base. None: no such row."""

    title: str
    unit: str
    dots: Sequence[Dot | None]
    tick: Callable[[float], str]
    dated: bool = False


def draw_dots(panels: Sequence[Panel], names: Sequence[str], width: float) -> Canvas:
    """Draw panels side by side as they fit, with the scenarios' names at the left."""
    narrow = width < 560
    left = 118.0 if narrow else 176.0
    across = 1 if narrow else min(3, len(panels))
    gap = 26.0
    wide = (width - left - gap * (across - 1)) / across
    head = 64.0
    tall = head + _ROW * len(names) + 18
    canvas = Canvas(width, tall * -(-len(panels) // across))
    for index, panel in enumerate(panels):
        line, column = divmod(index, across)
        top = line * tall
        x = left + column * (wide + gap)
        if column == 0:
            for row, name in enumerate(names):
                at = top + head + _ROW * (row + 0.5) + 4
                cls = "t b" if row == 0 else "t"
                lines = wrap(name, 13, left - 12, 2)
                for i, text in enumerate(lines):
                    canvas.text(0, at + 13 * (i - (len(lines) - 1) / 2), text, cls)
        _draw_panel(canvas, panel, x, top, wide, head)
    return canvas


def _draw_panel(
    canvas: Canvas, panel: Panel, x0: float, top: float, wide: float, head: float
) -> None:
    alone = wide > canvas.width / 2
    lines = wrap(panel.title, 13, canvas.width if alone else wide, 2)
    for i, line in enumerate(lines):
        level = top + head - 29 - 15 * (len(lines) - 1 - i)
        canvas.text(0 if alone else x0, level, line, "t b")
    bottom = top + head + _ROW * len(panel.dots)
    known = [v for d in panel.dots if d for v in (d.low, d.value, d.high) if v is not None]
    if not known:
        canvas.text(x0, top + head + 18, "not reached in any scenario", "t s m")
        return
    beyond = any(d and None in (d.low, d.value, d.high) for d in panel.dots)
    low, high = min(known), max(known)
    pad = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    x = Scale(low - pad, high + pad, x0 + 4, x0 + wide - (26 if beyond else 10))
    _draw_marks(canvas, panel, x, top + head, bottom)
    base = panel.dots[0]
    if base and base.value is not None:
        canvas.line(x(base.value), top + head, x(base.value), bottom, "now")
    for row, dot in enumerate(panel.dots):
        y = top + head + _ROW * (row + 0.5)
        canvas.line(x0, y + _ROW / 2, x0 + wide, y + _ROW / 2, "grid faint")
        if dot is None:
            canvas.text(x0 + 4, y + 4, "–", "t s m")
            continue
        _draw_dot(canvas, dot, x, y, x0 + wide - 4, "s1" if row == 0 else "s2")


def _draw_marks(canvas: Canvas, panel: Panel, x: Scale, top: float, bottom: float) -> None:
    if panel.dated:
        first, last = int(x.low // 365.2425) + 1, int(x.high // 365.2425) + 1
        step = 1.0 if x.high - x.low > 900 else 0.25 if x.high - x.low < 400 else 0.5
        count = int((last + 1 - first) / step) + 1
        marks = [(first - 2 + i * step) * 365.2425 + 2 for i in range(count + int(1 / step))]
        marks = [m for m in marks if x.low <= m <= x.high]
    else:
        marks = [m for m in ticks(x.low, x.high, 4) if x.low <= m <= x.high]
    edge = -1e9
    for mark in marks:
        text = panel.tick(mark)
        canvas.line(x(mark), top, x(mark), bottom, "grid")
        half = text_width(text, 11.5) / 2
        if x(mark) - half > edge + 6:
            canvas.text(x(mark), top - 6, text, "t s m", anchor="middle")
            edge = x(mark) + half


def _draw_dot(canvas: Canvas, dot: Dot, x: Scale, y: float, end: float, cls: str) -> None:
    low = end - 10 if dot.low is None else x(dot.low)
    high = end - 10 if dot.high is None else x(dot.high)
    canvas.line(low, y, high, y, f"whisker thick {cls}")
    if None in (dot.high, dot.value):
        canvas.path(f"M{end - 11:.1f} {y - 5:.1f}l9 5l-9 5Z", f"fill {cls}", tip=dot.tip)
    if dot.value is not None:
        canvas.circle(x(dot.value), y, 5, f"dot {cls}", tip=dot.tip)
    canvas.rect(min(low, high) - 6, y - 11, abs(high - low) + 12, 22, "hit", tip=dot.tip)
