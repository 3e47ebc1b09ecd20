"""The pool of both views: what theory says of mixtures and of averaged quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from firsttoken.build.reference import Durations, Floats, Predictive, Weibull, outside_view
from firsttoken.build.reference_pool import Pool, combined

EXPONENTIAL = Weibull(1.0, 30.0, np.eye(2))
POOLS: list[Pool] = ["linear", "quantile"]


def inside(count: int = 4000) -> Floats:
    return np.random.default_rng(2).normal(20.0, 2.0, count)


@pytest.mark.parametrize("pool", POOLS)
def test_without_weight_it_is_the_network(pool: Pool) -> None:
    own = inside()
    assert combined(own, EXPONENTIAL, 0.0, pool=pool).tolist() == own.tolist()


@pytest.mark.parametrize("pool", POOLS)
def test_with_all_weight_it_is_the_class_in_the_networks_ranks(pool: Pool) -> None:
    own = inside()
    both = combined(own, EXPONENTIAL, 1.0, pool=pool)
    assert (np.argsort(both) == np.argsort(own)).all()
    ranks = (np.arange(len(own)) + 0.5) / len(own)
    assert_allclose(np.sort(both), -30 * np.log1p(-ranks), rtol=1e-9)


def test_averaged_quantiles_average_mean_and_spread() -> None:
    """Of two normal distributions: Lichtendahl, Grushka-Cockayne and Winkler (2013), section 3."""
    own = inside()
    both = combined(own, EXPONENTIAL, 0.25)
    ranks = (np.arange(len(own)) + 0.5) / len(own)
    assert_allclose(np.sort(both), 0.75 * np.sort(own) - 0.25 * 30 * np.log1p(-ranks), rtol=1e-12)


def test_averaged_probabilities_are_a_mixture() -> None:
    own = inside()
    both = combined(own, EXPONENTIAL, 0.4, pool="linear")
    for time in (5.0, 18.0, 20.0, 25.0, 60.0):
        expected = 0.6 * np.mean(own <= time) + 0.4 * -np.expm1(-time / 30)
        assert_allclose(np.mean(both <= time), expected, atol=2 / len(own))
    # The mean of a mixture is the mean of the means.
    assert_allclose(both.mean(), 0.6 * own.mean() + 0.4 * 30, rtol=2e-3)


def test_averaged_quantiles_are_sharper_than_averaged_probabilities() -> None:
    """Lichtendahl, Grushka-Cockayne and Winkler (2013), proposition 1: same mean, less spread."""
    own = inside()
    sharp = combined(own, EXPONENTIAL, 0.5)
    wide = combined(own, EXPONENTIAL, 0.5, pool="linear")
    assert_allclose(sharp.mean(), wide.mean(), rtol=2e-3)
    assert sharp.std() < wide.std()


@pytest.mark.parametrize("pool", POOLS)
def test_no_duration_is_shorter_than_the_time_elapsed(pool: Pool) -> None:
    own = inside()
    both = combined(own, EXPONENTIAL, 0.5, 21.0, pool)
    assert both.min() >= 21.0
    # The class forgets (exponential): what remains is as from the start.
    assert_allclose(
        combined(own, EXPONENTIAL, 1.0, 21.0, pool), 21 + combined(own, EXPONENTIAL, 1.0, pool=pool)
    )


def test_each_replication_may_have_its_own_weight() -> None:
    own = np.array([3.0, 1.0, 2.0])
    both = combined(own, EXPONENTIAL, np.array([0.0, 1.0, 0.5]))
    assert_allclose(both, [3.0, 30 * np.log(6 / 5), (2 + 30 * np.log(2)) / 2])


def test_no_replication_gives_none() -> None:
    assert combined(np.zeros(0), EXPONENTIAL, 0.5).shape == (0,)


def test_far_beyond_the_class_its_quantiles_still_count() -> None:
    sites = Durations(np.array([1.0, 2.0, 3.0]), np.array([True, True, True]))
    both = combined(np.array([500.0, 510.0]), outside_view(sites), 0.5, 490.0, "linear")
    assert (both >= 490).all()
    assert np.isfinite(both).all()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=30),
    st.floats(0, 1),
    st.floats(0, 60),
    st.sampled_from(POOLS),
)
def test_ranks_are_kept_and_each_lies_between_the_views(
    own: list[float], weight: float, elapsed: float, pool: Pool
) -> None:
    sites = Durations(np.array([10.0, 20.0, 30.0, 15.0]), np.array([True, True, True, False]))
    view = Predictive.of(sites)
    samples = np.array(own)
    both = combined(samples, view, weight, elapsed, pool)
    order = np.argsort(samples, kind="stable")
    assert (np.diff(both[order]) >= -1e-9).all()
    ranks = (np.arange(len(own)) + 0.5) / len(own)
    theirs, mine = view.quantile(ranks, elapsed), np.maximum(samples, elapsed)[order]
    assert (both[order] >= np.minimum(theirs, mine) - 1e-6).all()
    assert (both[order] <= np.maximum(theirs, mine) + 1e-6).all()
