"""The quantile sketch: its guarantee against numpy's exact quantiles, merging, its edges."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config

from firsttoken.kernel import sketch
from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.statistics import quantiles

PURE = bool(config.DISABLE_JIT)
EDGES = sketch.bucket_edges()
PROBABILITIES = np.array([0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.8, 0.9, 0.95, 0.99, 1.0])
VALUES = st.floats(2.0**-10, 2.0**34, exclude_max=True)


@compiled
def count(values: np.ndarray, counts: np.ndarray) -> None:
    for i in range(len(values)):
        counts[sketch.bucket(values[i])] += 1


def counted(values: object) -> np.ndarray:
    counts = np.zeros(sketch.BUCKETS, np.int64)
    count(np.asarray(values, np.float64), counts)
    return counts


def all_quantiles(counts: np.ndarray, probabilities: np.ndarray = PROBABILITIES) -> np.ndarray:
    out = np.empty(len(probabilities))
    sketch.fill_quantiles(counts, probabilities, out)
    return out


@given(VALUES)
def test_a_value_lies_in_its_bucket(value: float) -> None:
    index = sketch.bucket(value)
    assert EDGES[index] <= value < EDGES[index + 1]
    assert index == np.searchsorted(EDGES, value, "right") - 1


def test_edges() -> None:
    assert EDGES.shape == (sketch.BUCKETS + 1,)
    assert EDGES[0] == 0
    assert EDGES[1] == sketch.LOWEST
    assert EDGES[-1] == sketch.HIGHEST
    widths = np.diff(EDGES)
    assert (widths > 0).all()
    assert (widths[1:] / EDGES[1:-1] <= 1 / 128).all()
    assert [sketch.bucket(x) for x in EDGES[:-1]] == list(range(sketch.BUCKETS))
    below = np.nextafter(EDGES[1:], 0)
    assert [sketch.bucket(x) for x in below] == list(range(sketch.BUCKETS))


@pytest.mark.parametrize("value", [0.0, -0.0, -1.0, -math.inf, math.nan, -math.nan, 5e-324, 9e-4])
def test_what_is_too_small_counts_as_zero(value: float) -> None:
    assert sketch.bucket(value) == 0
    assert sketch.quantile(counted([value]), 0.5) == 0


@pytest.mark.parametrize("value", [2.0**34, 1e300, math.inf])
def test_what_is_too_large_counts_into_the_last_bucket(value: float) -> None:
    assert sketch.bucket(value) == sketch.BUCKETS - 1
    assert EDGES[-2] < sketch.quantile(counted([value]), 0.5) < EDGES[-1]


@given(st.lists(VALUES, min_size=1, max_size=60))
def test_quantiles_lie_within_the_guarantee_of_the_exact_ones(values: list[float]) -> None:
    """Definition 7 interpolates between two values, each of which is known to 1/128."""
    np.testing.assert_allclose(
        all_quantiles(counted(values)), np.quantile(values, PROBABILITIES), rtol=1 / 128
    )


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_quantiles_with_zeros(values: list[float], probability: float) -> None:
    estimate = sketch.quantile(counted(values), probability)
    exact = float(np.quantile(values, probability))
    assert abs(estimate - exact) <= exact / 128 + sketch.LOWEST


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(1).exponential(3600, 5_000),
        np.random.default_rng(2).lognormal(10, 2, 5_000),
        np.random.default_rng(3).uniform(86_000, 87_000, 5_000),
        np.repeat([1.0, 10.0, 1e9], [2_000, 2_999, 1]),
    ],
    ids=["exponential", "lognormal", "narrow", "steps"],
)
def test_quantiles_of_large_samples(values: np.ndarray) -> None:
    estimates = all_quantiles(counted(values))
    np.testing.assert_allclose(estimates, quantiles(values, PROBABILITIES), rtol=1 / 128)


def test_values_that_lie_evenly_in_a_bucket_have_exact_quantiles() -> None:
    low, high = EDGES[sketch.bucket(1000.0)], EDGES[sketch.bucket(1000.0) + 1]
    values = low + (np.arange(8) + 0.5) / 8 * (high - low)
    np.testing.assert_allclose(
        all_quantiles(counted(values)), np.quantile(values, PROBABILITIES), rtol=1e-14
    )


@given(st.lists(VALUES, max_size=30), st.lists(VALUES, max_size=30))
def test_samples_merge_by_addition(first: list[float], second: list[float]) -> None:
    np.testing.assert_array_equal(counted(first) + counted(second), counted(first + second))


def test_probabilities_in_any_order_and_counts_of_any_integer_type() -> None:
    counts = counted(np.random.default_rng(4).exponential(100, 300))
    expected = all_quantiles(counts)
    assert (all_quantiles(counts, PROBABILITIES[::-1].copy()) == expected[::-1]).all()
    assert (all_quantiles(counts.astype(np.int32)) == expected).all()
    assert [sketch.quantile(counts, p) for p in PROBABILITIES] == list(expected)
    assert (np.diff(expected) >= 0).all()


def test_an_empty_sample_has_no_quantile() -> None:
    counts = counted([])
    assert np.isnan(all_quantiles(counts)).all()
    assert math.isnan(sketch.quantile(counts, 0.5))


@pytest.mark.parametrize("probability", [-0.01, 1.01, math.nan])
def test_a_probability_outside_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match="probabilities must lie in"):
        sketch.quantile(counted([1.0]), probability)
