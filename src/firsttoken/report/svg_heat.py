"""Heat strips: stages down, periods across, the share in which each is the limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from firsttoken.report.svg_canvas import Canvas, Scale, clip, wrap
from firsttoken.report.svg_fan import period_axis

_STEPS = 5


def draw_heat(
    rows: Sequence[tuple[str, str]],
    periods: Sequence[str],
    labels: Sequence[str],
    shares: Mapping[tuple[str, int], float],
    tips: Mapping[tuple[str, int], str],
    width: float,
) -> Canvas:
    """Draw one strip a stage.

    Parameters
    ----------
    rows : (stage, its label), top to bottom.
    shares, tips : by (stage, index of the period); shares in [0, 1].
    """
    narrow = width < 560
    tall = 24.0 if narrow else 30.0
    above = 19.0 if narrow else 0.0
    left = 2.0 if narrow else 190.0
    top = 4.0
    x = Scale(-0.5, len(periods) - 0.5, left, width - 2)
    step = x(1) - x(0) if len(periods) > 1 else width - left
    canvas = Canvas(width, top + len(rows) * (tall + above + 3) + 44)
    y = top
    for stage, label in rows:
        y += above
        if narrow:
            canvas.text(left, y - 5, clip(label, 12, width - 4), "t")
        else:
            lines = wrap(label, 12.5, left - 14, 2)
            for i, line in enumerate(lines):
                base = y + tall / 2 + 4 + 13.5 * (i - (len(lines) - 1) / 2)
                canvas.text(left - 10, base, line, "t", anchor="end")
        for i, period_label in enumerate(labels):
            value = shares.get((stage, i), 0.0)
            level = min(int(value * _STEPS) + 1, _STEPS) if value >= 0.01 else 0
            tip = tips.get((stage, i), f"{label}, {period_label}: never the limit")
            canvas.rect(x(i) - step / 2 + 1, y, step - 2, tall, f"heat h{level}", tip=tip, radius=2)
            if step >= 26 and value >= 0.05:
                percent = f"{100 * value:.0f}"
                cls = f"t s on{level}"
                canvas.text(x(i), y + tall / 2 + 4, percent, cls, anchor="middle")
        y += tall + 3
    period_axis(canvas, periods, labels, x, y + 2)
    return canvas


def draw_heat_key(width: float) -> Canvas:
    """The colours' meaning."""
    canvas = Canvas(width, 34)
    size = min(64.0, (width - 4) / (_STEPS + 1))
    for level in range(_STEPS + 1):
        low = (level - 1) / _STEPS
        text = "never" if level == 0 else f"{100 * low:.0f}–{100 * low + 20:.0f} %"
        canvas.rect(level * size, 2, size - 2, 10, f"heat h{level}", radius=2)
        canvas.text(level * size, 27, text, "t s m")
    return canvas
