"""Streamed statistics against the same computed from the whole history by numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.kernel import streamed
from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.statistics import Moments

TIMES = st.floats(0, 1000)


@compiled
def moments(values: np.ndarray) -> tuple[float, float]:
    mean = 0.0
    squares = 0.0
    for i in range(len(values)):
        mean, squares = streamed.welford(i + 1, mean, squares, values[i])
    return mean, squares


@compiled
def history(
    edges: np.ndarray, times: np.ndarray, levels: np.ndarray, begin: float, areas: np.ndarray
) -> float:
    """Return the integral of a path, constant between its times, and fill those of the periods."""
    total = 0.0
    hint = 0
    for i in range(len(levels)):
        total = streamed.area(total, levels[i], times[i], times[i + 1], begin)
        hint = streamed.spread(edges, levels[i], times[i], times[i + 1], hint, areas)
    return total


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_welford(values: list[float]) -> None:
    mean, squares = moments(np.array(values))
    assert mean == pytest.approx(np.mean(values), rel=1e-12, abs=1e-9)
    assert squares == pytest.approx(np.var(values) * len(values), rel=1e-9, abs=1e-3)


def test_welford_keeps_its_digits_far_from_zero() -> None:
    # NIST Statistical Reference Datasets, NumAcc3: mean 1000000.2, standard deviation 0.1
    values = np.concatenate([[1000000.2], np.tile([1000000.1, 1000000.3], 500)])
    mean, squares = moments(values)
    assert mean == pytest.approx(1000000.2, rel=1e-14)
    assert np.sqrt(squares / 1000) == pytest.approx(0.1, rel=1e-8)


def test_welford_merges_as_moments() -> None:
    values = np.random.default_rng(5).normal(3, 2, 40)
    parts = [Moments(len(x), *moments(x)) for x in (values[:15], values[15:])]
    merged = parts[0].merge(parts[1])
    assert merged.mean == pytest.approx(values.mean(), rel=1e-14)
    assert merged.variance == pytest.approx(values.var(ddof=1), rel=1e-13)


@given(
    st.lists(TIMES, min_size=2, max_size=8, unique=True).map(sorted),
    st.lists(TIMES, min_size=2, max_size=20).map(sorted),
    st.floats(0, 1000),
    st.integers(0, 2**32 - 1),
)
def test_integrals_of_a_path(
    edges: list[float], times: list[float], begin: float, seed: int
) -> None:
    """The integral over a period is the sum of the level times the overlap of both intervals."""
    levels = np.random.default_rng(seed).integers(0, 9, len(times) - 1).astype(float)
    e, t = np.array(edges), np.array(times)
    areas = np.zeros(len(edges) - 1)
    total = history(e, t, levels, begin, areas)
    since, until = np.maximum(t[:-1], begin), np.maximum(t[1:], begin)
    assert total == pytest.approx(float(levels @ (until - since)), rel=1e-12, abs=1e-9)
    overlap = np.minimum.outer(e[1:], t[1:]) - np.maximum.outer(e[:-1], t[:-1])
    np.testing.assert_allclose(areas, np.maximum(overlap, 0) @ levels, rtol=1e-12, atol=1e-9)


@given(
    st.lists(TIMES, min_size=2, max_size=8, unique=True).map(sorted),
    st.floats(-100, 1100),
    st.integers(0, 7),
)
def test_periods(edges: list[float], time: float, hint: int) -> None:
    last = len(edges) - 2
    expected = int(np.clip(np.searchsorted(edges, time, "right") - 1, 0, last))
    assert streamed.period_of(np.array(edges), time, min(hint, last)) == expected


def test_the_hint_of_the_next_call() -> None:
    edges, areas = np.array([0.0, 10.0, 20.0, 30.0]), np.zeros(3)
    assert streamed.spread(edges, 2.0, 5.0, 25.0, 0, areas) == 2
    assert areas.tolist() == [10, 20, 10]
    assert streamed.spread(edges, 1.0, 25.0, 40.0, 2, areas) == 2
    assert streamed.spread(edges, 0.0, 0.0, 20.0, 2, areas) == 2
    assert areas.tolist() == [10, 20, 15]
