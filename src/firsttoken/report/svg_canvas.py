"""Drawing in SVG: shapes, text with measured width, scales and ticks.

Colours and fonts are classes that the page's style sheet defines, so that light, dark and
print are one drawing. Lengths are user units; at full size one is one CSS pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

# Advance widths in em of the Helvetica metrics (Adobe AFM), by class of character.
_NARROW = frozenset("iljtfrI.,:;'|!()[]/ -·’")
_WIDE = frozenset("mwMW%@—")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Estimated width of a text in user units, a little on the safe side."""
    ems = 0.0
    for character in text:
        if character in _NARROW:
            ems += 0.31
        elif character in _WIDE:
            ems += 0.87
        elif character.isupper():
            ems += 0.69
        else:
            ems += 0.555
    return ems * size * (1.07 if bold else 1.02)


def wrap(text: str, size: float, width: float, most: int = 3) -> list[str]:
    """Break a text into at most `most` lines of a width; the rest is cut with an ellipsis."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    kept = lines[:most]
    if len(lines) > most:
        kept[-1] += "…"
    return [clip(line, size, width) for line in kept]


def clip(text: str, size: float, width: float) -> str:
    """Cut a text to a width with an ellipsis."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip(" ·-…") + "…"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most `most` + 1 round numbers (1, 2, 2.5, 5 times a power of ten) that span [low, high].

    The first is <= low and the last >= high.
    """
    if not high > low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart so that neighbours are at least `gap` apart, within [low, high]."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    placed = [min(max(positions[i], low), high) for i in order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    if placed and placed[-1] > high:
        placed[-1] = high
        for i in range(len(placed) - 2, -1, -1):
            placed[i] = min(placed[i], placed[i + 1] - gap)
    out = [0.0] * len(placed)
    for i, position in zip(order, placed, strict=True):
        out[i] = position
    return out


class Scale:
    """A linear map from data to user units."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        """Place a value."""
        span = self.high - self.low
        return self.start + (self.end - self.start) * ((value - self.low) / span if span else 0.5)


def _n(value: float) -> str:
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


class Canvas:
    """One drawing under construction."""

    def __init__(self, width: float, height: float = 0.0) -> None:
        self.width = width
        self.height = height
        self._parts: list[str] = []

    def _shape(self, tag: str, attributes: str, cls: str, tip: str, style: str = "") -> None:
        extra = f' style="{style}"' if style else ""
        if tip:
            self._parts.append(
                f'<{tag} class="{cls} tip" {attributes}{extra}><title>{escape(tip)}</title></{tag}>'
            )
        else:
            self._parts.append(f'<{tag} class="{cls}" {attributes}{extra}/>')

    def rect(
        self, x: float, y: float, width: float, height: float, cls: str, *,
        tip: str = "", opacity: float | None = None, radius: float = 0,
    ) -> None:  # fmt: skip
        """Draw a rectangle; `tip` is shown when it is pointed at."""
        attributes = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        if radius:
            attributes += f' rx="{_n(radius)}"'
        style = "" if opacity is None else f"fill-opacity:{opacity:.2f}"
        self._shape("rect", attributes, cls, tip, style)

    def line(self, x1: float, y1: float, x2: float, y2: float, cls: str) -> None:
        """Draw a straight line."""
        self._shape("line", f'x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"', cls, "")

    def circle(self, x: float, y: float, radius: float, cls: str, *, tip: str = "") -> None:
        """Draw a dot."""
        self._shape("circle", f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"', cls, tip)

    def path(self, d: str, cls: str, *, tip: str = "") -> None:
        """Draw a path."""
        self._shape("path", f'd="{d}"', cls, tip)

    def polyline(
        self, points: Sequence[tuple[float, float]], cls: str, close: bool = False
    ) -> None:
        """Draw a line through points; `close` makes it an area."""
        d = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points) + ("Z" if close else "")
        self.path(d, cls)

    def text(
        self, x: float, y: float, text: str, cls: str = "", *,
        anchor: str = "start", link: str = "", tip: str = "",
    ) -> None:  # fmt: skip
        """Write a line of text, its baseline at `y`; `link` is an anchor of the page."""
        words = escape(text)
        if tip:
            words += f"<title>{escape(tip)}</title>"
        held = "" if anchor == "start" else f' text-anchor="{anchor}"'
        part = f'<text class="{cls}" x="{_n(x)}" y="{_n(y)}"{held}>{words}</text>'
        if link:
            part = f'<a href="#{escape(link)}">{part}</a>'
        self._parts.append(part)

    def svg(self, title: str) -> str:
        """The drawing as an `svg` element that says `title` to a screen reader."""
        return (
            f'<svg viewBox="0 0 {_n(self.width)} {_n(self.height)}" role="img" '
            f'aria-label="{escape(title)}">{"".join(self._parts)}</svg>'
        )
