"""Values as they stand in files: every form, its SI content, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.twin.dates import parse_date
from firsttoken.twin.families import base_folder
from firsttoken.twin.grammar import ValueSyntaxError, parse_value
from firsttoken.twin.schema import Quantity, support
from firsttoken.twin.values import (
    Constant,
    Distribution,
    Fact,
    ModelPort,
    Series,
    Signal,
    Sum,
    Value,
)

WEEK = 604800.0


def si(raw: object, expected: str, default: str | None = None) -> float:
    value = parse_value(raw, expected, default)
    assert isinstance(value, Constant)
    return value.value


def drawn(raw: object, expected: str = "s") -> Distribution:
    value = parse_value(raw, expected)
    assert isinstance(value, Distribution)
    return value


@pytest.mark.parametrize(
    ("raw", "expected", "value"),
    [
        ("12 week", "s", 12 * WEEK),
        ("1_000 rack/week", "each/s", 1000 / WEEK),
        ("-3.5e2 USD", "USD", -350),
        (".5 day", "s", 43200),
        ("25 %", "", 0.25),
        ("25%", "", 0.25),
        (18, "each", 18),
        ("18 tray", "each", 18),
        (0.95, "", 0.95),
        ("2 kg", "each", 2),  # an item may be weighed
        ("20 degC", "K", 293.15),
        ("2026-07-01", "date", parse_date("2026-07-01")),
        (2026, "date", parse_date("2026-01-01")),
        ("10 %/year", "1/s", 0.1 / (365.25 * 86400)),
        ("132 kW", "W", 132e3),
    ],
)
def test_constants(raw: object, expected: str, value: float) -> None:
    assert si(raw, expected) == pytest.approx(value, rel=1e-12)


def test_a_bare_number_takes_the_default_unit_where_there_is_one() -> None:
    assert si(3, "s", "week") == 3 * WEEK
    assert si("3 day", "s", "week") == 3 * 86400


def test_references() -> None:
    assert parse_value("fact(cowos.tsmc)", "each/s") == Fact("cowos.tsmc")
    assert parse_value("model(line.houston.throughput)", "each/s") == ModelPort(
        "line", "houston", "throughput"
    )
    assert parse_value("signal(houston/line1/rate)", "each/s") == Signal("houston/line1/rate")


# The moments of each family as SciPy has them.
@pytest.mark.parametrize(
    ("text", "kind", "mean", "sd"),
    [
        ("uniform(8, 16) week", "uniform", scipy.stats.uniform(8, 8), None),
        ("triangular(8, 12, 17) week", "triangular", scipy.stats.triang(4 / 9, 8, 9), None),
        ("normal(12, 2) week", "normal", scipy.stats.norm(12, 2), None),
        ("gamma(4, 3) week", "gamma", scipy.stats.gamma(4, scale=3), None),
        ("gamma(mean=12, sd=6) week", "gamma", scipy.stats.gamma(4, scale=3), None),
        ("exponential(12) week", "exponential", scipy.stats.expon(scale=12), None),
        (
            "weibull(1.5, 12) week",
            "weibull",
            scipy.stats.weibull_min(1.5, scale=12),
            None,
        ),
        (
            "beta_pert(8, 12, 20) week",  # Malcolm et al. 1959 with weight 4: beta(1 + 4/3, 3)
            "beta_pert",
            scipy.stats.beta(1 + 4 * 4 / 12, 1 + 4 * 8 / 12, 8, 12),
            None,
        ),
    ],
)
def test_families(text: str, kind: str, mean: Any, sd: Any) -> None:
    """The arguments, put into SciPy's distribution of the same family, are the same one."""
    del sd
    value = drawn(text)
    assert value.kind == kind
    a = [
        argument / (1 if kind in ("gamma", "weibull") and i == 0 else WEEK)
        for i, argument in enumerate(value.args)
    ]
    same = {
        "uniform": lambda: scipy.stats.uniform(a[0], a[1] - a[0]),
        "triangular": lambda: scipy.stats.triang((a[1] - a[0]) / (a[2] - a[0]), a[0], a[2] - a[0]),
        "normal": lambda: scipy.stats.norm(*a),
        "gamma": lambda: scipy.stats.gamma(a[0], scale=a[1]),
        "exponential": lambda: scipy.stats.expon(scale=a[0]),
        "weibull": lambda: scipy.stats.weibull_min(a[0], scale=a[1]),
        "beta_pert": lambda: scipy.stats.beta(
            1 + value.args[3] * (a[1] - a[0]) / (a[2] - a[0]),
            1 + value.args[3] * (a[2] - a[1]) / (a[2] - a[0]),
            a[0],
            a[2] - a[0],
        ),
    }[kind]()
    quantiles = [0.01, 0.1, 0.5, 0.9, 0.99]
    np.testing.assert_allclose(same.ppf(quantiles), mean.ppf(quantiles), rtol=1e-9)


@given(
    st.floats(0.1, 100),
    st.floats(1.05, 10),
    st.sampled_from([(10, 90), (5, 50), (50, 95), (1, 99)]),
)
def test_a_lognormal_goes_through_its_percentiles(
    low: float, ratio: float, levels: tuple[int, int]
) -> None:
    first, second = levels
    value = drawn(f"lognormal(p{first}={low!r}, p{second}={low * ratio!r}) s")
    mu, sigma = value.args
    same = scipy.stats.lognorm(sigma, scale=math.exp(mu))
    assert same.ppf(first / 100) == pytest.approx(low, rel=1e-6)
    assert same.ppf(second / 100) == pytest.approx(low * ratio, rel=1e-6)


@given(st.floats(0.1, 1e3), st.floats(0.01, 1e3))
def test_a_lognormal_has_its_mean_and_sd(mean: float, sd: float) -> None:
    mu, sigma = drawn(f"lognormal({mean!r}, {sd!r}) s").args
    same = scipy.stats.lognorm(sigma, scale=math.exp(mu))
    assert same.mean() == pytest.approx(mean, rel=1e-6)
    assert same.std() == pytest.approx(sd, rel=1e-5)


def test_a_normal_goes_through_its_percentiles() -> None:
    mean, sd = drawn("normal(p10=8, p90=20) s").args
    assert scipy.stats.norm(mean, sd).ppf([0.1, 0.9]) == pytest.approx([8, 20])


def test_discrete_and_empirical(tmp_path: Path) -> None:
    assert drawn("discrete(12: 0.7, 8: 0.3) week").table == (
        (8 * WEEK, 0.3),
        (12 * WEEK, 1.0),
    )
    (tmp_path / "t.csv").write_text("name,weeks\na,9\nb,7\nc,7\nd,11\n")
    token = base_folder.set(tmp_path)
    try:
        table = drawn("empirical(t.csv, weeks) week").table
    finally:
        base_folder.reset(token)
    assert table == ((7 * WEEK, 0.25), (7 * WEEK, 0.5), (9 * WEEK, 0.75), (11 * WEEK, 1.0))


def test_a_discrete_distribution_of_dates() -> None:
    value = drawn("discrete(2026-07: 0.4, 2027-01: 0.6)", "date")
    assert value.table == ((parse_date("2026-07"), 0.4), (parse_date("2027-01"), 1.0))


def test_how_often_it_is_drawn() -> None:
    assert drawn("uniform(1, 2) week").drawn is None
    assert drawn("uniform(1, 2) week each period").drawn == "each period"
    assert drawn("uniform(1, 2) week each time").drawn == "each time"
    assert drawn({"dist": "uniform(1, 2) week", "drawn": "each time"}).drawn == "each time"
    assert drawn({"low": "1 week", "value": "2 week", "high": "4 week", "drawn": "once"}).drawn == (
        "once"
    )


@pytest.mark.parametrize(
    ("raw", "kind", "args"),
    [
        ({"low": 8, "value": 12, "high": 16, "unit": "week"}, "triangular", (8, 12, 16)),
        ({"low": "8 week", "value": "12 week", "high": "112 day"}, "triangular", (8, 12, 16)),
        ({"low": 8, "high": 16, "unit": "week"}, "triangular", (8, 12, 16)),
        ({"low": 8, "high": 16, "unit": "week", "dist": "uniform"}, "uniform", (8, 16)),
    ],
)
def test_ranges(raw: object, kind: str, args: tuple[float, ...]) -> None:
    value = drawn(raw)
    assert value.kind == kind
    assert value.args == pytest.approx([a * WEEK for a in args])


def test_a_range_of_normal_is_p10_to_p90() -> None:
    value = drawn({"low": 8, "high": 16, "unit": "week", "dist": "normal"})
    assert scipy.stats.norm(*value.args).ppf([0.1, 0.9]) == pytest.approx([8 * WEEK, 16 * WEEK])


def test_a_range_without_width_is_a_constant_and_keeps_its_source() -> None:
    value = parse_value({"value": 5, "unit": "USD", "source": "me", "as_of": 2025}, "USD")
    assert isinstance(value, Constant)
    assert value.value == 5
    assert value.provenance is not None
    assert (value.provenance.source, value.provenance.known_from) == ("me", "2025")


def series(raw: object, expected: str = "each/s") -> Series:
    value = parse_value(raw, expected)
    assert isinstance(value, Series)
    return value


def test_series() -> None:
    value = series({"unit": "rack/week", "2026": 0, "2026-07": "uniform(1, 2)", "2027Q1": 9})
    assert value.kind == "step"
    times = [t.value for t, _ in value.knots if isinstance(t, Constant)]
    assert times == [parse_date(t) for t in ("2026", "2026-07", "2027-01")]
    assert isinstance(value.knots[1][1], Distribution)
    linear = series({"unit": "rack/week", "interpolate": "linear", "2026": 1, "2027": 2})
    assert linear.kind == "linear"


def test_curves() -> None:
    ramp = series(
        {
            "ramp": {
                "start": "fact(ready)",
                "over": "triangular(20, 26, 40) week",
                "from": "0 rack/week",
                "to": "400 rack/week",
            }
        }
    )
    assert ramp.kind == "s_curve"
    (first, low), (second, high) = ramp.knots
    assert first == Fact("ready")
    assert isinstance(second, Sum)
    assert isinstance(second.second, Distribution)
    assert isinstance(low, Constant)
    assert isinstance(high, Constant)
    assert (low.value, high.value) == pytest.approx((0, 400 / WEEK))
    learning = series(
        {"learning": {"start": 2026, "first": 0.5, "final": 0.9, "halving": "6 month"}}, ""
    )
    assert learning.kind == "learning"
    wright = series(
        {"wright": {"start": 2026, "first": "9 USD", "progress": 0.8, "volume": "10 rack/day"}},
        "USD",
    )
    assert wright.kind == "wright"
    (_, (time, progress)) = wright.knots
    assert isinstance(time, Sum)
    assert time.second == Constant(pytest.approx(8640.0))
    assert progress == Constant(0.8)


@pytest.mark.parametrize(
    ("raw", "expected", "message"),
    [
        ("12", "s", "the unit is missing"),
        ("12 kg", "s", "kg does not fit: expected a time"),
        ("12 furlongz", "s", "unknown unit"),
        ("1 500 rack/week", "each/s", "a number stands in the unit"),
        ("1,500 rack/week", "each/s", "unknown unit"),
        ("twelve week", "s", "is not a quantity"),
        ("", "s", "is not a quantity"),
        (None, "s", "None is not a quantity"),
        (True, "each", "True is not a quantity"),
        (math.nan, "each", "nan is not a finite number"),
        (math.inf, "each", "inf is not a finite number"),
        ("1e999 week", "s", "inf is not a finite number"),
        ("nan week", "s", "is not a quantity"),
        ("tomorrow", "date", "is not a date"),
        ("12 week", "date", "is not a date"),
        (12, "date", "is not a date"),
        ("uniform(2, 1) week", "s", "must ascend"),
        ("uniform(1, 1) week", "s", "must ascend"),
        ("uniform(1) week", "s", "uniform takes (low, high)"),
        ("uniform(1, 2, 3) week", "s", "too many arguments"),
        ("uniform(1, x) week", "s", "'x' is not a number"),
        ("uniform(1, nan) week", "s", "'nan' is not a finite number"),
        ("uniform(low=1, low=2) week", "s", "given twice"),
        ("uniform(low=1, 2) week", "s", "positional arguments come before"),
        ("uniform(1, 2)", "s", "the unit is missing"),
        ("uniform() week", "s", "uniform takes"),
        ("normal(1, -2) week", "s", "must be positive"),
        ("normal(1, 0) week", "s", "must be positive"),
        ("exponential(0) week", "s", "must be positive"),
        ("gamma(mean=1, sd=0) week", "s", "must be positive"),
        ("gamma(0, 1) week", "s", "must be positive"),
        ("lognormal(p10=9, p90=3) week", "s", "out of order"),
        ("lognormal(p10=-1, p90=3) week", "s", "a lognormal is positive"),
        ("lognormal(p10=1) week", "s", "exactly two different percentiles"),
        ("lognormal(p0=1, p100=3) week", "s", "exactly two different percentiles"),
        ("lognormal(px=1, p9=3) week", "s", "percentiles are named"),
        ("discrete(1: 0.3, 2: 0.3) week", "s", "the probabilities sum to 0.6, not 1"),
        ("discrete(1, 2) week", "s", "value: probability pairs"),
        ("discrete(1: -1, 2: 2) week", "s", "the probabilities sum"),
        ("empirical(nothing.csv, x) week", "s", "cannot read nothing.csv"),
        ("empirical(nothing.csv) week", "s", "a CSV file and a column"),
        ("cauchy(1, 2) week", "s", "unknown function cauchy(...)"),
        ("model(line) ", "s", "names no port"),
        ("fact()", "s", "takes one name"),
        ("fact(x) week", "s", "takes one name and no unit"),
        ("gamma(2, 20) degC", "K", "cannot be given in degC"),
        ({}, "s", "a series needs at least one date"),
        ({"unit": "week"}, "s", "at least 'value'"),
        ({"valeu": 3}, "s", "unknown key 'valeu' in a value"),
        ({"low": 9, "value": 5, "high": 10, "unit": "week"}, "s", "the range is out of order"),
        ({"low": 9, "unit": "week"}, "s", "a range needs 'value', or both"),
        ({"low": 1, "high": 2, "unit": "week", "dist": "weibull"}, "s", "cannot be made from"),
        ({"value": 3, "unit": "week", "drawn": "often"}, "s", "drawn: 'often' is unknown"),
        ({"2026": 1, "2025": 2, "unit": "week"}, "s", "the dates of a series must ascend"),
        ({"2026": 1, "2026-01": 2, "unit": "week"}, "s", "the dates of a series must ascend"),
        ({"2026": {"2026": "1 week"}}, "s", "a series cannot stand inside a series"),
        ({"2026": "1 week", "interpolate": "cubic"}, "s", "interpolate: 'cubic' is unknown"),
        ({"ramp": 3}, "each/s", "ramp needs a mapping"),
        ({"ramp": {"start": 2026}}, "each/s", "ramp lacks 'over'"),
        (["a"], "s", "is not a quantity"),
    ],
)
def test_what_is_refused(raw: object, expected: str, message: str) -> None:
    with pytest.raises(ValueSyntaxError) as caught:
        parse_value(raw, expected)
    assert message in str(caught.value)


@given(st.floats(-1e12, 1e12), st.sampled_from(["week", "day", "hour", "s"]))
def test_quantities_round_trip(number: float, unit: str) -> None:
    value = parse_value(f"{number!r} {unit}", "s")
    assert isinstance(value, Constant)
    assert value.value / value.unit.factor == pytest.approx(number, rel=1e-12, abs=1e-300)
    assert parse_value(f"{value.value!r} s", "s") == Constant(
        value.value,
        parse_value("1 s", "s").unit,  # type: ignore[union-attr]
    )


def read_or_refused(raw: object, expected: str) -> None:
    """Read a value whose support is known and finite in parts, or be told what is wrong."""
    try:
        low, high = support(parse_value(raw, expected))
    except ValueSyntaxError as error:
        assert str(error), raw  # noqa: PT017
    else:
        assert math.isnan(low) or low <= high


@given(st.text(max_size=40), st.sampled_from(["s", "each", "", "date", "USD/each"]))
def test_any_text_is_read_or_refused_by_name(text: str, expected: str) -> None:
    read_or_refused(text, expected)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["low", "value", "high", "unit", "dist", "2026", "ramp", "start", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["s", "each/s", "", "date"]))
def test_any_data_is_read_or_refused_by_name(raw: object, expected: str) -> None:
    read_or_refused(raw, expected)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("5 week", 5, 5),
        ("triangular(1, 2, 4) week", 1, 4),
        ("uniform(1, 2) week", 1, 2),
        ("beta_pert(1, 2, 4) week", 1, 4),
        ("discrete(3: 0.5, 1: 0.5) week", 1, 3),
        ("exponential(3) week", 0, math.inf),
    ],
)
def test_support(text: str, low: float, high: float) -> None:
    found: Value = parse_value(text, "s")
    assert support(found) == pytest.approx((low * WEEK, high * WEEK))


def test_bounds_hold_for_the_whole_support() -> None:
    share = Quantity("", above=0, at_most=1)
    share.parse("triangular(0.8, 0.9, 1.0)")
    with pytest.raises(ValueSyntaxError, match=r"1.1 is out of range: must be <= 1"):
        share.parse("triangular(0.8, 0.9, 1.1)")
    with pytest.raises(ValueSyntaxError, match="0 % is out of range: must be > 0"):
        share.parse("triangular(0, 50, 90) %")
    with pytest.raises(ValueSyntaxError, match="-1 is out of range"):
        Quantity("", at_least=0).parse({"2026": 1, "2027": -1})
    with pytest.raises(ValueSyntaxError, match="cannot change with time"):
        Quantity("", series=False).parse({"2026": 1, "2027": 2})
    with pytest.raises(ValueSyntaxError, match="this value is drawn once"):
        Quantity("", series=False).parse("uniform(1, 2) each period")


@pytest.mark.parametrize(
    ("slot", "text", "problem"),
    [
        (Quantity("s", series=False), "exponential(1) s each time", "is drawn once"),
        (Quantity("s"), "exponential(1) s each time", "is drawn each period or once"),
        (Quantity("s"), {"2026": "exponential(1) s each time"}, "is drawn each period or once"),
        (
            Quantity("s", drawn="each time", series=False),
            "exponential(1) s each period",
            "is drawn at each use",
        ),
    ],
)
def test_a_slot_is_drawn_as_often_as_makes_sense(
    slot: Quantity, text: object, problem: str
) -> None:
    with pytest.raises(ValueSyntaxError, match=problem):
        slot.parse(text)


def test_a_slot_for_each_use_takes_one_draw_too() -> None:
    slot = Quantity("s", drawn="each time", series=False)
    once = slot.parse({"dist": "exponential(1) s", "drawn": "once"})
    assert isinstance(once, Distribution)
    assert once.drawn == "once"
    every = slot.parse("exponential(1) s each time")
    assert isinstance(every, Distribution)
    assert every.drawn == "each time"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("normal(100, 30) each/day", True),  # P5 = 50.7
        ("normal(100, 60) each/day", True),  # P5 = 1.3
        ("normal(100, 62) each/day", False),  # P5 = -2.0
    ],
)
def test_a_normal_keeps_to_its_bounds_but_for_a_thin_tail(text: str, fits: bool) -> None:
    # The 5 % quantile of a normal is mean - 1.6449 sd.
    slot = Quantity("each/s", at_least=0)
    if fits:
        assert isinstance(slot.parse(text), Distribution)
    else:
        with pytest.raises(ValueSyntaxError, match="more than 5 % of this normal"):
            slot.parse(text)


def test_a_slot_may_take_one_of_several_units() -> None:
    slot = Quantity("W", at_least=0, units=("W", "m**3/s", "each"))
    for text, si in (("132 kW", 132e3), ("90 L/min", 1.5e-3), ("40 rack", 40), (7, 7)):
        value = slot.parse(text)
        assert isinstance(value, Constant)
        assert value.value == pytest.approx(si)
    with pytest.raises(ValueSyntaxError, match="does not fit: expected a power") as error:
        slot.parse("3 hour")
    assert "a count" in error.value.hint
    with pytest.raises(ValueSyntaxError, match="out of range"):
        slot.parse("-3 kW")
