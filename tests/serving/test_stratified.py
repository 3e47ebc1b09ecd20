"""Errors of calibration over replications: evenly spread, independent, each at its own address."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from firsttoken.kernel import codes
from firsttoken.kernel.parameters import ParameterTable, draw_parameters
from firsttoken.kernel.streams import entity_key
from firsttoken.serving.stratified import draw_evenly, stratified

ONE, OTHER = entity_key("serving.x.services.a.error"), entity_key("serving.x.services.b.error")


@pytest.mark.parametrize("seed", [1, 2, 77])
@pytest.mark.parametrize("size", [8, 16, 64])
def test_every_part_of_the_distribution_has_one_draw(seed: int, size: int) -> None:
    """A Latin hypercube (McKay, Beckman and Conover 1979), from any multiple of its size on."""
    for first in (0, 3 * size):
        draws = [stratified(seed, first + r, ONE) for r in range(size)]
        assert sorted(int(u * size) for u in draws) == list(range(size))


def test_draws_are_uniform_over_seeds() -> None:
    """Of one replication over seeds: no stratum is preferred."""
    draws = np.array([stratified(seed, 5, ONE) for seed in range(1500)])
    assert stats.kstest(draws, "uniform").pvalue > 0.01


def test_two_errors_are_independent() -> None:
    pairs = np.array(
        [
            [stratified(seed, r, key) for key in (ONE, OTHER)]
            for seed in range(60)
            for r in range(16)
        ]
    )
    assert abs(stats.spearmanr(*pairs.T).statistic) < 0.08
    # within a run too: as far apart as those of independent draws, 1 / sqrt(n - 1)
    within = [stats.spearmanr(*run.T).statistic for run in pairs.reshape(60, 16, 2)]
    assert np.std(within) < 1.5 / np.sqrt(15)


def test_quantiles_at_few_replications() -> None:
    """P10 to P90 of a normal are 2.563 wide; 16 even draws tell it, 16 others hardly."""
    rng = np.random.default_rng(3)

    def widths(draws: list[np.ndarray]) -> np.ndarray:
        return np.array([np.ptp(np.quantile(row, (0.1, 0.9), method="hazen")) for row in draws])

    runs = [[stratified(seed, r, ONE) for r in range(16)] for seed in range(200)]
    even = widths([stats.norm.ppf(run) for run in runs])
    usual = widths([rng.normal(size=16) for _ in runs])
    assert np.std(even) < 0.35 * np.std(usual)
    assert np.mean(even) == pytest.approx(2.563, rel=0.05)


def test_only_errors_are_drawn_anew() -> None:
    parameters = ParameterTable(
        np.array([codes.NORMAL, codes.LOGNORMAL, codes.UNIFORM, codes.NORMAL]),
        np.array([[0.0, 1.0, 0, 0], [1.0, 0.5, 0, 0], [0.0, 1.0, 0, 0], [2.0, 3.0, 0, 0]]),
        np.array([ONE, OTHER, 5, 7], dtype=np.uint32),
        np.zeros((1, 2)),
    )
    usual, even = np.empty(4), np.empty(4)
    draw_parameters(parameters, 1, 3, usual)
    draw_evenly(parameters, (0, 1, -1), 1, 3, even)
    assert (usual[2:] == even[2:]).all()
    assert even[0] == pytest.approx(stats.norm.ppf(stratified(1, 3, ONE)))
    assert np.log(even[1]) == pytest.approx(1.0 + 0.5 * stats.norm.ppf(stratified(1, 3, OTHER)))
