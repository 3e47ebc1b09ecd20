"""Estimators of durations: against lifelines, against theory, against their own inverses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from firsttoken.build.reference import (
    Durations,
    KaplanMeier,
    Outside,
    Predictive,
    ReferenceClassError,
    Weibull,
    WeibullPredictive,
    guess,
    outside_view,
)

KNOWN = Path(__file__).parents[1] / "known_answers" / "build_survival" / "expected.json"
CASES: dict[str, dict[str, Any]] = json.loads(KNOWN.read_text())["cases"]


def durations(time: object, finished: object) -> Durations:
    return Durations(np.asarray(time, np.float64), np.asarray(finished, np.bool_))


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    return CASES[request.param]


def sites_of(case: dict[str, Any]) -> Durations:
    return durations(case["time"], case["finished"])


# Against lifelines.


def test_kaplan_meier_agrees_with_lifelines(case: dict[str, Any]) -> None:
    fit = KaplanMeier.of(sites_of(case))
    assert_allclose(fit.time, case["event_times"])
    assert_allclose(fit.steps, case["survival"], rtol=1e-10, atol=1e-12)
    low, high = fit.band()
    assert_allclose(low, case["low"], rtol=1e-9, atol=1e-12)
    assert_allclose(high, case["high"], rtol=1e-9, atol=1e-12)
    for text, expected in case["quantiles"].items():
        assert fit.quantile(float(text)) == (np.inf if expected is None else expected)
    ends = [np.inf if end is None else end for end in case["median_interval"]]
    assert list(fit.quantile_interval(0.5)[1:]) == ends
    assert_allclose(
        fit.restricted_mean(case["until"]).estimate, case["restricted_mean"], rtol=1e-10
    )


def test_weibull_agrees_with_lifelines(case: dict[str, Any]) -> None:
    fit, known = Weibull.of(sites_of(case)), case["weibull"]
    # Their optimiser stops at a slope of 1e-5 or so.
    assert_allclose([fit.shape, fit.scale], [known["shape"], known["scale"]], rtol=1e-5)
    errors = np.sqrt(np.diag(fit.covariance)) * [fit.shape, fit.scale]
    assert_allclose(errors, [known["se_shape"], known["se_scale"]], rtol=1e-3)
    assert_allclose(fit.quantile(0.5), known["median"], rtol=1e-5)
    for time, expected in known["survival"].items():
        assert_allclose(fit.survival(float(time)), expected, rtol=1e-5)


# Kaplan and Meier: theory.


def test_without_censoring_it_is_the_share_of_those_that_lasted() -> None:
    time = [3.0, 1.0, 2.0, 2.0, 5.0]
    fit = KaplanMeier.of(durations(time, [True] * 5))
    assert_allclose(fit.survival([0.0, 1.0, 2.0, 2.5, 3.0, 5.0]), [1, 0.8, 0.4, 0.4, 0.2, 0])
    # Greenwood's variance is then the binomial one.
    assert_allclose(fit.variance, fit.steps * (1 - fit.steps) / 5)
    assert_allclose(fit.restricted_mean(10.0).estimate, np.mean(time))


def test_leaving_out_the_unfinished_is_too_early() -> None:
    site = CASES["ai_data_centres_since_2023"]
    everything = sites_of(site)
    done = everything.finished
    only = KaplanMeier.of(durations(everything.time[done], done[done]))
    assert only.quantile(0.5) < KaplanMeier.of(everything).quantile(0.5)


def test_a_quantile_that_too_few_reached_is_not_reached() -> None:
    fit = KaplanMeier.of(durations([1, 2, 3, 4], [True, False, False, False]))
    assert fit.quantile(0.25) == 1
    assert fit.quantile([0.26, 0.5]).tolist() == [np.inf, np.inf]


def test_with_time_elapsed_the_rest_counts_alone() -> None:
    sites = durations([2, 5, 6, 7, 9], [True, True, False, True, True])
    later = durations([5, 6, 7, 9], [True, False, True, True])
    levels = [0.2, 0.4, 0.6, 0.9]
    given = KaplanMeier.of(sites).quantile(levels, elapsed=3.0)
    assert_allclose(given, KaplanMeier.of(later).quantile(levels))


def test_nothing_is_known_of_those_that_last_longer_than_any() -> None:
    fit = KaplanMeier.of(durations([1, 2], [True, True]))
    assert fit.quantile(0.5, elapsed=3.0) == np.inf


def test_the_error_of_the_restricted_mean_is_that_of_the_bootstrap() -> None:
    case = CASES["ai_data_centres_since_2018"]
    sites, until = sites_of(case), 1200.0
    low, high = KaplanMeier.of(sites).restricted_mean(until)[1:]
    random = np.random.default_rng(3)
    means = []
    for _ in range(1000):
        rows = random.integers(len(sites.time), size=len(sites.time))
        again = KaplanMeier.of(Durations(sites.time[rows], sites.finished[rows]))
        means.append(again.restricted_mean(until).estimate)
    assert_allclose((high - low) / 2 / 1.959964, np.std(means), rtol=0.08)


# Weibull: theory.


def test_the_exponential_distribution_forgets() -> None:
    fit = Weibull(1.0, 10.0, np.eye(2))
    levels = np.array([0.1, 0.5, 0.9])
    assert_allclose(fit.quantile(levels, elapsed=7.0), 7 + fit.quantile(levels))
    assert_allclose(fit.restricted_mean(15.0), 10 * (1 - np.exp(-1.5)))


def test_the_interval_of_a_quantile_holds_it_as_often_as_it_says() -> None:
    shape, scale, random = 2.0, 20.0, np.random.default_rng(11)
    median = scale * np.log(2) ** (1 / shape)
    held = 0
    for _ in range(400):
        time = scale * random.weibull(shape, 60)
        seen = random.uniform(5, 40, 60)
        interval = Weibull.of(durations(np.minimum(time, seen), time <= seen)).quantile_interval(
            0.5
        )
        held += interval.low <= median <= interval.high
    # 380 expected; three standard deviations of a binomial count.
    assert abs(held - 380) <= 3 * np.sqrt(400 * 0.95 * 0.05)


@pytest.mark.parametrize("time", [[4, 4, 4], [1, 4, 4]])
def test_equal_times_have_no_spread_to_fit(time: list[int]) -> None:
    sites = durations(time, [value == 4 for value in time])
    with pytest.raises(ReferenceClassError, match="no spread"):
        Weibull.of(sites)
    # The forecast goes on with an exponential distribution of the same rate.
    assert_allclose([guess(sites).shape, guess(sites).scale], [1, sum(time) / time.count(4)])


@pytest.mark.parametrize("method", ["kaplan_meier", "weibull"])
def test_a_class_that_finished_nothing_says_nothing(method: str) -> None:
    with pytest.raises(ReferenceClassError, match="none of 2 sites"):
        outside_view(durations([1, 2], [False, False]), method)
    with pytest.raises(ReferenceClassError, match="before it starts"):
        outside_view(durations([1, -2], [True, False]), method)


# The distribution of the next site.


def test_the_predictive_distribution_is_the_posterior_mean_of_a_dirichlet_process() -> None:
    """By another way: the product integral of its posterior hazard (a beta-Stacy process).

    Source: Walker and Muliere, Annals of Statistics 25 (1997) 1762-1780, section 4.
    """
    sites = durations([0.8, 3.1, 5.4, 9.2, 1.0, 2.7, 7.0, 12.1], [True] * 4 + [False] * 4)
    weight = 2.0
    forecast = Predictive.of(sites, weight)
    grid = np.arange(0, 8.0 + 1e-9, 1e-4)
    prior = forecast.prior.survival(grid)
    at_risk = len(sites.time) - np.searchsorted(np.sort(sites.time), grid[:-1], side="right")
    hazard = weight * -np.diff(prior) / (weight * prior[:-1] + at_risk)
    survival = np.cumprod(1 - hazard)
    for time in sites.time[sites.finished]:
        at = round(time / 1e-4)
        if at <= len(survival):
            left = weight * forecast.prior.survival(time) + (sites.time >= time).sum()
            survival[at - 1 :] *= 1 - 1 / left
    for time in (0.5, 0.9, 2.0, 4.0, 6.0, 7.5):
        assert_allclose(forecast.survival(time), survival[round(time / 1e-4) - 1], rtol=2e-4)


def test_with_little_prior_it_is_kaplan_and_meiers_with_much_it_is_weibulls() -> None:
    sites = sites_of(CASES["ai_data_centres_since_2018"])
    time = np.linspace(1, 1800, 50)
    little, much = Predictive.of(sites, 1e-9), Predictive.of(sites, 1e9)
    assert_allclose(little.survival(time), KaplanMeier.of(sites).survival(time), atol=1e-8)
    assert_allclose(
        much.survival(time), WeibullPredictive.of(sites).survival(time), rtol=1e-6, atol=1e-8
    )


def test_uncertain_parameters_make_the_tail_longer() -> None:
    sites = sites_of(CASES["ai_data_centres_since_2023"])
    plain, wide = Weibull.of(sites), WeibullPredictive.of(sites)
    assert_allclose(wide.quantile(0.5), plain.quantile(0.5), rtol=0.02)
    assert wide.quantile(0.95) > plain.quantile(0.95)
    # And the longer it has gone on, the slower it is thought to be.
    assert wide.quantile(0.5, 1500.0) > plain.quantile(0.5, 1500.0)


def test_the_next_duration_falls_below_p80_four_times_in_five() -> None:
    """Small classes, half of them not finished: the share holds over classes and next sites."""
    shape, scale, random = 2.2, 25.0, np.random.default_rng(5)
    below = {"kaplan_meier": 0.0, "weibull": 0.0, "plain": 0.0}
    count = 300
    for _ in range(count):
        time = scale * random.weibull(shape, 14)
        seen = random.uniform(3, 45, 14)
        sites = durations(np.minimum(time, seen), time <= seen)
        if sites.finished.sum() < 3:
            continue
        views: dict[str, Outside] = {
            "kaplan_meier": outside_view(sites),
            "weibull": outside_view(sites, "weibull"),
            "plain": Weibull.of(sites),
        }
        for name, view in views.items():
            below[name] += 1 - np.exp(-((float(view.quantile(0.8)) / scale) ** shape))
    shares = {name: total / count for name, total in below.items()}
    assert abs(shares["weibull"] - 0.8) < 0.03
    assert abs(shares["kaplan_meier"] - 0.8) < 0.03
    assert shares["plain"] < shares["weibull"]


times = st.lists(st.tuples(st.floats(0.1, 100.0), st.booleans()), min_size=2, max_size=20).filter(
    lambda rows: any(done for _, done in rows)
)


@settings(deadline=None, max_examples=60)
@given(
    times, st.floats(0.01, 0.99), st.floats(0, 150), st.sampled_from(["kaplan_meier", "weibull"])
)
def test_quantiles_undo_survival(
    rows: list[tuple[float, bool]], level: float, elapsed: float, method: str
) -> None:
    sites = durations(*zip(*rows, strict=True))
    view = outside_view(sites, method)
    still = float(view.survival(elapsed))
    time = float(view.quantile(level, elapsed))
    assert np.isfinite(time)
    assert time >= elapsed
    if still > 1e-6:
        assert float(view.survival(time * (1 + 1e-9))) <= (1 - level) * still * (1 + 1e-6) + 1e-12
        if time > elapsed * (1 + 1e-6):
            before = float(view.survival(time * (1 - 1e-7)))
            assert before >= (1 - level) * still * (1 - 1e-4) - 1e-9


@settings(deadline=None, max_examples=60)
@given(times, st.lists(st.floats(0, 200), min_size=2, max_size=10))
def test_survival_never_rises(rows: list[tuple[float, bool]], at: list[float]) -> None:
    sites = durations(*zip(*rows, strict=True))
    for view in (KaplanMeier.of(sites), outside_view(sites), outside_view(sites, "weibull")):
        values = view.survival(np.sort(at))
        assert (np.diff(values) <= 1e-12).all()
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()
        assert_allclose(view.survival(0.0), 1.0)


def test_what_was_to_be_seen_on_a_day() -> None:
    seen = Durations.seen([0.0, 10.0, 20.0, 30.0], [15.0, 40.0, np.nan, np.nan], until=25.0)
    assert seen.time.tolist() == [15.0, 15.0, 5.0]
    assert seen.finished.tolist() == [True, False, False]
