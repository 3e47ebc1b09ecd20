"""Formats, scales and layouts of the drawings."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.report import formats
from firsttoken.report.svg_canvas import Scale, clip, spread, text_width, ticks, wrap
from firsttoken.report.svg_fan import Fan, draw_fan
from firsttoken.report.svg_sankey import Flow, draw_sankey

FINITE = st.floats(-1e15, 1e15, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (5e11, "USD", "US$500bn"),
        (-1.25e6, "USD", "−US$1.25M"),
        (14300, "rack", "14.3k racks"),
        (1, "rack", "1 rack"),
        (999.6, "", "1k"),
        (0.094, "share", "9.4\N{NO-BREAK SPACE}%"),
        (0.83, "share", "83\N{NO-BREAK SPACE}%"),
        (0, "wafer", "0 wafers"),
        (220, "rack/week", "220 racks/week"),
        (3, "each", "3 units"),
        (1.2, "MW", "1.2 MW"),
        (math.nan, "rack", "–"),
        (2.5e9, "USD/each", "US$2.5bn/each"),
    ],
)
def test_quantities_read_as_a_planner_writes_them(value: float, unit: str, text: str) -> None:
    assert formats.quantity(value, unit) == text


@given(st.floats(1e-3, 9e14))
def test_a_number_keeps_three_significant_digits(value: float) -> None:
    text = formats.number(value)
    scale = {"k": 1e3, "M": 1e6, "bn": 1e9, "tn": 1e12}
    digits, letter = re.fullmatch(r"([\d.]+)(k|M|bn|tn)?", text).groups()
    assert float(digits) * scale.get(letter, 1) == pytest.approx(value, rel=5.001e-3)


def test_names_and_dates() -> None:
    assert formats.label("cowos_l_taiwan") == "CoWoS-L Taiwan"
    assert formats.label("as-known-2025-03") == "As known 2025-03"
    assert formats.label("rack assembly & test") == "Rack assembly & test"
    assert formats.day("2028-11-04") == "4 Nov 2028"
    assert formats.month("") == "beyond horizon"
    assert formats.period_word(["2027Q1", "2027Q2"]) == "quarter"
    assert formats.period_word(["2027-01"]) == "month"
    assert formats.period_word(["2027-01-04"]) == "period"


@given(FINITE, st.floats(1e-9, 1e12), st.integers(2, 9))
def test_ticks_are_even_and_span_the_data(low: float, span: float, most: int) -> None:
    high = low + span
    if not high > low:
        return
    marks = ticks(low, high, most)
    slack = 1e-6 * max(span, abs(low) * 1e-9)
    assert marks[0] <= low + slack
    assert marks[-1] >= high - slack
    assert 2 <= len(marks) <= most + 2


@given(st.lists(st.floats(0, 300), max_size=12))
def test_spread_labels_never_touch(positions: list[float]) -> None:
    placed = sorted(spread(positions, 15, 0, 300))
    assert all(b - a >= 15 - 1e-9 for a, b in itertools.pairwise(placed))
    assert all(place <= 300 for place in placed)


@given(st.text("abc WM.il", max_size=60), st.floats(40, 300))
def test_wrapped_and_clipped_text_fits(text: str, width: float) -> None:
    assert text_width(clip(text, 12, width), 12) <= width
    assert all(text_width(line, 12) <= width for line in wrap(text, 12, width))


def test_scale_is_linear() -> None:
    assert [Scale(0, 10, 100, 0)(v) for v in (0, 5, 10)] == [100, 50, 0]
    assert Scale(3, 3, 0, 80)(3) == 40


def test_fan_draws_its_median_where_the_axis_says() -> None:
    """The median's point and the tick of the same value are at the same height."""
    fan = Fan(
        ["2027-01-01", "2027-04-01"], ["2027Q1", "2027Q2"],
        [0, 0], [100, 50], [100, 100], say=str,
    )  # fmt: skip
    svg = draw_fan(fan, 900).svg("x")
    top = float(re.search(r'class="line s1" d="M[\d.]+ ([\d.]+)L', svg)[1])
    tick = float(re.search(r'y="([\d.]+)">100</text>', svg)[1])
    assert tick == pytest.approx(top - 5, abs=0.11)


def test_sankey_bands_keep_their_proportions_and_columns() -> None:
    flows = [
        Flow("fab", "pack", 30, "30", "a"),
        Flow("hbm", "pack", 10, "10", "b"),
        Flow("pack", "rack", 40, "40", "c"),
        Flow("rack", "pack", 1, "back", "c"),
    ]
    canvas = draw_sankey(flows, 900, str, str, lambda _: "", ["a", "b", "c"])
    svg = canvas.svg("x")
    bars = {
        name: (float(x), float(height))
        for x, height, name in re.findall(
            r'<rect class="node tip" x="([\d.]+)" y="[\d.]+" width="11" height="([\d.]+)">'
            r"<title>(\w+):",
            svg,
        )
    }
    assert bars["fab"][1] / bars["hbm"][1] == pytest.approx(3, rel=0.01)
    assert bars["pack"][1] == pytest.approx(bars["rack"][1], abs=0.2)
    assert bars["fab"][0] == bars["hbm"][0] < bars["pack"][0] < bars["rack"][0]
    assert "back" not in svg
