"""Formats, scales and layouts of the drawings."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.report import formats
from firsttoken.report.svg_canvas import Canvas, Scale, clip, spread, text_width, ticks, wrap
from firsttoken.report.svg_fan import Fan, draw_fan, period_axis
from firsttoken.report.svg_ranges import Range, date_marks, draw_histogram, draw_ranges
from firsttoken.report.svg_sankey import Flow, draw_sankey
from firsttoken.report.svg_states import Gauge, StateBar, draw_gauges, draw_states

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


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(19_240, "kW", "19.2 MW"), (132, "kW", "132 kW"), (0.25, "kW", "250 W"), (0, "kW", "0 kW"),
     (3_190_000, "kWh/week", "3.19 GWh/week"), (6_336, "kWh/rack", "6.34 MWh/rack"),
     (0.25, "hour", "15 min"), (1, "hour", "1 hour"), (48, "hour", "48 hours"),
     (125.5, "hour", "5.23 days"), (math.nan, "hour", "–")],
)  # fmt: skip
def test_times_power_and_energy_in_the_unit_that_fits(value: float, unit: str, text: str) -> None:
    assert formats.quantity(value, unit) == text


def test_axes_in_the_unit_that_fits() -> None:
    assert formats.fitting("hour", 200) == ("days", 24)
    assert formats.fitting("hour", 0.5) == ("min", 1 / 60)
    assert formats.fitting("kWh/rack", 9000) == ("MWh/rack", 1000)
    assert formats.fitting("rack", 9000) == ("rack", 1)


def test_names_within_a_sentence() -> None:
    named = ("burn_in", "smt", "l10", "hands", "tray_test_l10")
    assert [formats.words(name) for name in named] == [
        "burn in", "SMT", "L10", "hands", "tray test L10",
    ]  # fmt: skip


def test_periods_of_weeks_and_days_have_names() -> None:
    assert formats.period_word(["2026-01-05", "2026-01-12"]) == "week"
    assert formats.period_word(["2026-01-05", "2026-01-06"]) == "day"
    assert formats.period_word(["2026-01-05", "2026-01-25"]) == "period"


def axis_of(periods: list[str], width: float) -> list[str]:
    canvas = Canvas(width, 60)
    period_axis(canvas, periods, periods, Scale(-0.5, len(periods) - 0.5, 0, width), 10)
    return re.findall(r">([^<]+)</text>", canvas.svg(""))


def test_weeks_are_told_by_months_and_years() -> None:
    first = dt.date(2026, 11, 2)
    weeks = [(first + dt.timedelta(days=7 * i)).isoformat() for i in range(13)]
    assert axis_of(weeks, 500) == ["Nov", "Dec", "Jan", "2026", "2027"]
    # Three weeks have room for their days; a hundred for quarters, or for years only.
    assert axis_of(weeks[:3], 300) == ["2 Nov", "9 Nov", "16 Nov", "2026"]
    many = [(first + dt.timedelta(days=7 * i)).isoformat() for i in range(104)]
    assert axis_of(many, 400)[:5] == ["Q4", "Q1", "Q2", "Q3", "Q4"]
    assert axis_of(many, 150) == ["2027", "2028"]


def test_dates_are_marked_in_round_steps() -> None:
    day = dt.date(2026, 12, 20).toordinal()
    short = date_marks(day, day + 6, 10)
    assert [text for _, text in short][:3] == ["20 Dec", "21 Dec", "22 Dec"]
    long = date_marks(day, day + 200, 10)
    assert [text for _, text in long] == ["2027", "Feb", "Mar", "Apr", "May", "Jun", "Jul"]
    years = date_marks(day, day + 3000, 5)
    assert all(text.isdigit() for _, text in years)


def test_stacked_bars_fill_the_row() -> None:
    parts = [("st-working", 0.6, "a"), ("st-down", 0.15, "b"), ("st-starved", 0.25, "c")]
    canvas = draw_states([StateBar("One", "2 servers", parts, "OEE 60 %")], 800)
    widths = [float(w) for w in re.findall(r'width="([\d.]+)" height="22"', canvas.svg(""))]
    # Each is drawn 0.6 narrower than its share, so that neighbours are apart.
    assert widths[0] + 0.6 == pytest.approx(4 * (widths[1] + 0.6), rel=0.01)
    assert 'class="t s on-st-down"' in canvas.svg("")


def test_gauges_show_a_peak_beyond_the_level() -> None:
    gauge = Gauge("Hands", "", 0.5, 0.4, 0.6, 1.5, "3 of 6", "tip")
    text = draw_gauges([gauge], 800).svg("")
    level, used = (
        float(re.search(rf'class="{cls} tip"[^>]*width="([\d.]+)"', text)[1])
        for cls in ("level", "fill s1")
    )
    assert used == pytest.approx(level / 2, rel=0.01)
    assert "150 %" in text


def test_ranges_beyond_the_axis_are_arrows() -> None:
    known = Range("a", "", 1.0, None, 2.0, None, 3.0, 2.5, "tip")
    beyond = Range("b", "", 1.0, None, None, None, None, 2.5, "tip")
    text = draw_ranges([known, beyond], [(1.0, "one")], (0.0, 4.0), 800).svg("")
    assert text.count("<path") == 1
    assert text.count("<circle") == 1
    assert text.count('class="peak"') == 2


def test_a_histogram_marks_its_quantiles() -> None:
    bins = [(0.0, 1.0, 0.25, ""), (1.0, 2.0, 0.5, ""), (2.0, 3.0, 0.25, "")]
    text = draw_histogram(bins, [(1.5, "half"), (9.0, "outside")], str, 400).svg("")
    assert "half" in text
    assert "outside" not in text
    heights = [float(h) for h in re.findall(r'height="([\d.]+)"', text)]
    assert heights[1] == pytest.approx(2 * heights[0], rel=0.01)
    assert draw_histogram([], [], str, 400).svg("").count("<rect") == 0
