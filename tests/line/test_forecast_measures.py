"""Periods of a forecast, and the measures of how good one is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from firsttoken.line.forecast import covered, periods, randomised_pit


@pytest.mark.parametrize(
    ("time", "end", "edges", "rows"),
    [
        (0.0, 40.0, [0, 10, 20, 30, 40], (0, 4)),
        (13.0, 40.0, [13, 20, 30, 40], (1, 4)),
        (20.0, 40.0, [20, 30, 40], (2, 4)),
        (13.0, 30.0, [13, 20, 30], (1, 3)),
        (13.0, 31.0, [13, 20, 30, 31], (1, 4)),
        (13.0, 14.0, [13, 14], (1, 2)),
    ],
)
def test_periods_are_cut_to_the_forecast(
    time: float, end: float, edges: list[float], rows: tuple[int, int]
) -> None:
    found, kept = periods(np.array([0.0, 10.0, 20.0, 30.0, 40.0]), time, end)
    assert found.tolist() == edges
    assert (kept.start, kept.stop) == rows


def poisson(futures: int, mean: float, truth: float) -> np.ndarray:
    random = np.random.default_rng(5)
    paths = random.poisson(mean, (4000, futures))
    seen = random.poisson(truth, 4000)
    return randomised_pit(paths, seen, random.uniform(size=4000))


def test_of_a_right_forecast_of_counts_the_transform_is_even() -> None:
    # Exact for any number of futures, also a few, and for counts with few values (mean 1.3).
    for futures in (9, 100):
        assert stats.kstest(poisson(futures, 1.3, 1.3), "uniform").pvalue > 0.01


def test_of_a_right_forecast_ninety_per_cent_are_covered() -> None:
    found = covered(poisson(200, 3.0, 3.0))
    assert found.low < 0.9 < found.high
    assert found.high - found.low < 0.02


@pytest.mark.parametrize(("mean", "truth"), [(3.0, 4.0), (3.0, 2.0)])
def test_of_a_wrong_forecast_fewer_are_covered(mean: float, truth: float) -> None:
    assert stats.kstest(poisson(200, mean, truth), "uniform").pvalue < 1e-6
    assert stats.kstest(poisson(200, 3.0, 3.0), "uniform").pvalue > 0.01


def test_coverage_is_the_share_inside_with_wilsons_interval() -> None:
    pit = np.array([0.04, 0.05, 0.5, 0.95, 0.96])
    found = covered(pit)
    # 3 of 5, Wilson 1927 by the textbook formula with z = 1.959964.
    assert found == pytest.approx((0.6, 0.2307, 0.8824), abs=1e-4)
