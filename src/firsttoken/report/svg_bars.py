"""Bars: what one more unit is worth, a tornado of uncertain inputs, quantities by year."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firsttoken.report.svg_canvas import Canvas, Scale, clip, text_width, ticks, wrap


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar with its label and a sentence under it."""

    label: str
    note: str
    value: float
    said: str
    sentence: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Swing:
    """One row of a tornado: the output at a low and at a high value of an input."""

    label: str
    note: str
    low: float
    high: float
    low_input: str
    high_input: str
    tip: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One column with a whisker from P10 to P90."""

    label: str
    low: float
    value: float
    high: float
    said: str


def draw_bars(bars: Sequence[Bar], width: float) -> Canvas:
    """Draw horizontal bars, each under its label and above its sentence."""
    canvas = Canvas(width)
    top = max((bar.value for bar in bars), default=1.0) or 1.0
    room = max(text_width(bar.said, 13, True) for bar in bars) + 12 if bars else 0
    y = 14.0
    for bar in bars:
        note_room = text_width(bar.note, 12) + 10
        label = clip(bar.label, 13.5, width - note_room)
        canvas.text(0, y, label, "t b", link=bar.link)
        canvas.text(text_width(label, 13.5, True) + 8, y, bar.note, "t s m")
        long = max((width - room) * bar.value / top, 1.5)
        canvas.rect(0, y + 8, long, 15, "fill s1", tip=f"{bar.label}, {bar.note}: {bar.said}")
        canvas.text(long + 7, y + 20, bar.said, "t b")
        y += 40
        for line in wrap(bar.sentence, 12.5, min(width, 760), 3):
            canvas.text(0, y, line, "t s m")
            y += 16
        y += 16
    canvas.height = y - 14
    return canvas


def draw_tornado(
    swings: Sequence[Swing], centre: float, say: Callable[[float], str], width: float
) -> Canvas:
    """Draw a tornado around the output's mean, the widest swing first."""
    narrow = width < 560
    left = 0.0 if narrow else 285.0
    said = [text for swing in swings for text in (swing.low_input, swing.high_input)]
    longest = max((text_width(text, 11.5) for text in said), default=0.0)
    inset = min(longest + 10, 84.0 if narrow else 130.0)
    values = [centre, *(s.low for s in swings), *(s.high for s in swings)]
    marks = ticks(min(values), max(values), 3 if narrow else 5)
    x = Scale(min(values), max(values), left + inset, width - inset)
    shown = [mark for mark in marks if x.low <= mark <= x.high]
    tall = 54.0 if narrow else 38.0
    canvas = Canvas(width, 40 + tall * len(swings) + 8)
    for mark in shown:
        canvas.line(x(mark), 26, x(mark), canvas.height - 4, "grid")
        canvas.text(x(mark), 18, say(mark), "t s m", anchor="middle")
    canvas.line(x(centre), 26, x(centre), canvas.height - 4, "axis")
    y = 40.0
    for swing in swings:
        _draw_swing(canvas, swing, x, y, centre, left, inset - 6)
        y += tall
    return canvas


def _draw_swing(
    canvas: Canvas, swing: Swing, x: Scale, y: float, centre: float, left: float, room: float
) -> None:
    if not left:
        canvas.text(0, y + 6, clip(swing.label, 12.5, canvas.width), "t halo", link=swing.link)
        y += 16
    else:
        canvas.text(
            left - 6, y + 7, clip(swing.label, 13, left - 12), "t", anchor="end", link=swing.link
        )
        canvas.text(left - 6, y + 21, clip(swing.note, 11.5, left - 12), "t s m", anchor="end")
    for end, cls in ((swing.low, "lowside"), (swing.high, "highside")):
        start = min(x(end), x(centre))
        canvas.rect(start, y, max(abs(x(end) - x(centre)), 1), 18, f"fill {cls}", tip=swing.tip)
    low_left = swing.low <= swing.high
    edges = sorted((x(swing.low), x(swing.high), x(centre)))
    texts = (swing.low_input, swing.high_input) if low_left else (swing.high_input, swing.low_input)
    canvas.text(edges[0] - 5, y + 13, clip(texts[0], 11.5, room), "t s", anchor="end")
    canvas.text(edges[2] + 5, y + 13, clip(texts[1], 11.5, room), "t s")


def draw_columns(columns: Sequence[Column], width: float, height: float = 120) -> Canvas:
    """Draw columns with their values on top and a whisker from P10 to P90."""
    canvas = Canvas(width, height)
    top = max([c.high for c in columns] + [c.value for c in columns]) or 1.0
    y = Scale(0, top, height - 22, 20)
    pitch = width / max(len(columns), 1)
    wide = min(pitch * 0.62, 58)
    for i, column in enumerate(columns):
        middle = pitch * (i + 0.5)
        tip = f"{column.label}: {column.said}"
        canvas.rect(
            middle - wide / 2, y(column.value), wide, y(0) - y(column.value), "fill s1", tip=tip
        )
        if column.high > column.low:
            canvas.line(middle, y(column.low), middle, y(column.high), "whisker")
        level = min(y(column.high), y(column.value)) - 6
        canvas.text(middle, level, column.said, "t b", anchor="middle")
        canvas.text(middle, height - 6, column.label, "t s m", anchor="middle")
    canvas.line(0, y(0), width, y(0), "axis")
    return canvas


def draw_steps(
    series: Sequence[tuple[str, Sequence[float]]],
    labels: Sequence[str],
    say: Callable[[float], str],
    width: float,
) -> Canvas:
    """Draw small step charts on one scale, one a series, stacked; periods from left to right."""
    narrow = width < 560
    left = 0.0 if narrow else 285.0
    tall = 58.0 if narrow else 44.0
    top = max((value for _, values in series for value in values), default=1.0) or 1.0
    canvas = Canvas(width, tall * len(series) + 26)
    x = Scale(0, len(labels), left + (0 if narrow else 14), width - 74)
    for row, (name, values) in enumerate(series):
        base = tall * (row + 1) - 4
        y = Scale(0, top, base, base - (30 if narrow else 34))
        if narrow:
            canvas.text(0, base - 36, clip(name, 12.5, width - 80), "t halo")
        else:
            canvas.text(left, base - 6, clip(name, 13, left), "t", anchor="end")
        canvas.line(x.start, base, x.end, base, "axis")
        points: list[tuple[float, float]] = [(x(0), base)]
        for i, value in enumerate(values):
            points += [(x(i), y(value)), (x(i + 1), y(value))]
        canvas.polyline([*points, (x(len(labels)), base)], "fill s1 soft", close=True)
        canvas.text(x.end + 6, base - 4, say(max(values)), "t s")
        for i, value in enumerate(values):
            tip = f"{name}, {labels[i]}: {say(value)}"
            canvas.rect(x(i), base - 34, x(i + 1) - x(i), 34, "hit", tip=tip)
    for i, label in enumerate(labels):
        if label.endswith("Q1") or (len(label) == 4 and not narrow):
            canvas.text(x(i), canvas.height - 6, label[:4], "t s m")
    return canvas
