"""Statistics against numpy, scipy.stats and published examples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from firsttoken.kernel.statistics import (
    Interval,
    Moments,
    mean_interval,
    probability_interval,
    quantiles,
    tornado,
)

RNG = np.random.default_rng(5)
SAMPLES = hnp.arrays(float, st.integers(1, 30), elements=st.floats(-1e6, 1e6))


@given(SAMPLES, st.lists(st.floats(0, 1), max_size=4))
def test_quantiles_are_those_of_numpy(x: np.ndarray, p: list[float]) -> None:
    np.testing.assert_allclose(quantiles(x, p), np.quantile(x, p), rtol=1e-12, atol=1e-6)


def test_quantiles_of_arrays() -> None:
    x = RNG.normal(size=(101, 3, 2))
    got = quantiles(x, [0.1, 0.5, 0.9])
    assert got.shape == (3, 3, 2)
    np.testing.assert_allclose(got, np.quantile(x, [0.1, 0.5, 0.9], axis=0))


def test_quantiles_of_dates_that_never_come() -> None:
    x = [1.0, 2.0, math.inf, 3.0, math.inf]
    assert quantiles(x, [0, 0.25, 0.5, 0.625, 0.75, 1]).tolist() == [
        1, 2, 3, math.inf, math.inf, math.inf,
    ]  # fmt: skip
    assert quantiles([-math.inf, 5, -math.inf, 6], [0, 0.5, 0.9]).tolist()[:2] == [
        -math.inf, -math.inf,
    ]  # fmt: skip
    assert quantiles([-math.inf, math.inf], [0, 0.5, 1]).tolist()[::2] == [-math.inf, math.inf]


@pytest.mark.parametrize(
    ("x", "p"), [([], [0.5]), ([math.nan], [0.5]), (3.0, [0.5]), ([1], [1.5]), ([1], 0.5)]
)
def test_quantiles_refuse(x: list[float], p: list[float]) -> None:
    with pytest.raises(ValueError, match=r"quantiles|probabilities"):
        quantiles(x, p)


@given(SAMPLES, SAMPLES)
def test_moments_merge(x: np.ndarray, y: np.ndarray) -> None:
    both = np.concatenate([x, y])
    merged = Moments.of(x).merge(Moments.of(y))
    assert merged.count == len(both)
    assert float(merged.mean) == pytest.approx(both.mean(), rel=1e-9, abs=1e-6)
    scale = np.abs(both).max() ** 2 * 1e-9 + 1e-9
    assert float(merged.variance) == pytest.approx(both.var(ddof=1), rel=1e-9, abs=scale)
    assert float(merged.standard_error) == pytest.approx(stats.sem(both), rel=1e-6, abs=1e-6)


def test_moments_of_nothing_and_of_arrays() -> None:
    nothing = Moments.of(np.empty((0, 3)))
    assert nothing.merge(nothing) is nothing
    assert np.isnan(nothing.variance).all()
    x = RNG.normal(size=(9, 3))
    merged = nothing.merge(Moments.of(x[:1])).merge(Moments.of(x[1:])).merge(nothing)
    np.testing.assert_allclose(merged.mean, x.mean(axis=0))
    np.testing.assert_allclose(merged.variance, x.var(axis=0, ddof=1))


def test_mean_interval() -> None:
    x = RNG.normal(size=12)
    expected = stats.t.interval(0.9, 11, x.mean(), stats.sem(x))
    assert mean_interval(x, 0.9) == pytest.approx((x.mean(), *expected))
    assert mean_interval([4.0]) == Interval(4, -math.inf, math.inf)
    with pytest.raises(ValueError, match="samples"):
        mean_interval([])
    with pytest.raises(ValueError, match="confidence"):
        mean_interval([1, 2], 1.0)


def test_probability_interval() -> None:
    # Source: Newcombe, Two-sided confidence intervals for the single proportion, Statistics in
    # Medicine 17 (1998) 857-872, table I, method 3 (Wilson score without continuity correction)
    for successes, trials, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ]:
        got = probability_interval(successes, trials)
        assert got == pytest.approx((successes / trials, low, high), abs=5e-5)
    for bad in [(1, 0), (-1, 5), (6, 5)]:
        with pytest.raises(ValueError, match="impossible"):
            probability_interval(*bad)


def test_tornado_finds_the_lever() -> None:
    x = RNG.normal(size=(5000, 3))
    y = 10 * x[:, 0] - x[:, 1] + 100
    got = tornado(x, y)
    # mean of the lowest fifth of a normal: -pdf(z) / 0.2 at the 20 % point z
    fifth = stats.norm.pdf(stats.norm.ppf(0.2)) / 0.2
    assert got.mean == pytest.approx(y.mean())
    np.testing.assert_allclose(got.low, [100 - 10 * fifth, 100 + fifth, 100], atol=1)
    np.testing.assert_allclose(got.high, [100 + 10 * fifth, 100 - fifth, 100], atol=1)
    expected = [stats.spearmanr(x[:, p], y).statistic for p in range(3)]
    np.testing.assert_allclose(got.correlation, expected, rtol=1e-10)


def test_tornado_treats_equal_inputs_alike() -> None:
    x = np.array([[1, 7], [1, 7], [1, 7], [2, 7], [2, 7]])
    y = np.array([10.0, 20, 30, 40, 60])
    got = tornado(x, y, 0.2)
    assert got.low.tolist() == [20, 32]
    assert got.high.tolist() == [50, 32]
    assert got.correlation[1] == 0
    assert got.correlation[0] == pytest.approx(stats.spearmanr(x[:, 0], y).statistic)
    assert tornado(x, np.array([1, 1, 1, 1, math.inf])).high[0] == math.inf


@pytest.mark.parametrize(
    ("x", "y", "share"),
    [
        ([1, 2], [1, 2], 0.2),
        ([[1], [2]], [1], 0.2),
        (np.empty((0, 1)), [], 0.2),
        ([[1], [math.nan]], [1, 2], 0.2),
        ([[1], [2]], [1, math.nan], 0.2),
        ([[1], [2]], [1, 2], 0.6),
    ],
)
def test_tornado_refuses(x: list[list[float]], y: list[float], share: float) -> None:
    with pytest.raises(ValueError, match=r"tornado|share"):
        tornado(x, y, share)
