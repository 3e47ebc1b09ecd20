"""Power and speed fitted to measured points: what is known comes back, intervals hold."""

from __future__ import annotations

import numpy as np
import pytest

from firsttoken.serving import energy_fit
from firsttoken.serving.energy_fit import Points
from firsttoken.serving.energy_law import PowerLaw, gpu_power
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.system import Architecture, Hardware, Layout

TRUTH = PowerLaw(0.4, 0.6, 1.5, 2.0, 0.6)
MODELS = ("llama3_1_8b", "qwen3_14b", "qwen3_32b")


def measured(seed: int, noise: float, slower: float = 1.3) -> Points:
    """Points of three dense models on one to four H100s under a law that is known.

    Parameters
    ----------
    noise : relative error of a measurement; slower: real time of a token over the physics'.
    """
    rng = np.random.default_rng(seed)
    n = 150
    name = np.array(MODELS)[rng.integers(0, 3, n)]
    gpus = np.asarray(2.0 ** rng.integers(0, 3, n), dtype=float)
    one = np.ones(n)
    models = [library_architecture(m) for m in name]
    points = Points(
        Architecture(*np.array(models, dtype=float).T),
        Hardware(*np.array([library_hardware("h100_sxm")] * n, dtype=float).T),
        Layout(gpus, one, one, gpus, one, 16 * one, 16 * one, 16 * one, 16 * one),
        name,
        name,
        np.array(["h100"] * n),
        np.exp(rng.uniform(np.log(4), np.log(256), n)),
        np.exp(rng.uniform(np.log(200), np.log(3000), n)),
        np.exp(rng.uniform(np.log(200), np.log(5000), n)),
        one,
        one,
    )
    seconds = slower * energy_fit.token_seconds(points) * np.exp(noise * rng.standard_normal(n))
    power = gpu_power(points.hardware, energy_fit.use(points, seconds), TRUTH)
    return points._replace(rate=1 / seconds, power=power * np.exp(noise * rng.standard_normal(n)))


def test_a_known_law_is_found_again() -> None:
    points = measured(1, 0.0)
    busy = energy_fit.use(points, 1 / points.rate)
    found = gpu_power(points.hardware, busy, energy_fit.fit_law(points))
    np.testing.assert_allclose(found, points.power, rtol=0.02)


def test_predictions_of_new_points_and_their_intervals() -> None:
    points, new = measured(2, 0.05), measured(3, 0.05)
    predicted = energy_fit.fit(points).predict(new)
    energy = new.power * new.layout.tensor / new.rate
    truths = (new.power, 1 / new.rate, energy)
    for found, truth, bar in zip(predicted, truths, (0.05, 0.05, 0.07), strict=True):
        assert np.median(np.abs(found[:, 1] / truth - 1)) < bar  # noise of 0.05: 0.034 at best
        inside = (found[:, 0] <= truth) & (truth <= found[:, 2])
        assert 0.80 <= inside.mean() <= 0.99  # of 150: 0.90 +- 0.025


def test_a_known_rate_is_used() -> None:
    points, new = measured(4, 0.02), measured(5, 0.02, slower=3.0)
    known = energy_fit.fit(points).predict(new, new.rate)
    np.testing.assert_allclose(known.token[:, 1], 1 / new.rate)
    assert np.median(np.abs(known.power[:, 1] / new.power - 1)) < 0.05
    unknown = energy_fit.fit(points).predict(new)
    assert np.median(unknown.token[:, 1] * new.rate) == pytest.approx(1.3 / 3.0, rel=0.1)


def test_what_a_model_does_unlike_others_is_learnt_from_its_points() -> None:
    points = measured(6, 0.03)
    odd = points.model == "qwen3_32b"
    points = points._replace(power=np.where(odd, 0.8, 1.0) * points.power)
    new = measured(7, 0.03)
    factor = np.where(new.model == "qwen3_32b", 0.8, 1.0)
    found = energy_fit.fit(points).predict(new, new.rate).power[:, 1]
    assert np.median(np.abs(found / (factor * new.power) - 1)) < 0.05


def test_too_few_points_are_refused() -> None:
    points = measured(8, 0.0)
    with pytest.raises(ValueError, match="at least three"):
        energy_fit.fit(points.subset(np.arange(2)))


def test_a_model_never_measured_is_less_sure() -> None:
    """Of a name that no point has, at the same loads: wider, and it holds a model that differs."""
    points, new = measured(9, 0.03), measured(10, 0.03)
    odd = np.where(points.model == "qwen3_14b", 0.9, 1.1)
    known = energy_fit.fit(points._replace(power=odd * points.power))
    there = known.predict(new, new.rate).power
    strange = np.array(["another"] * len(new.power))
    away = known.predict(new._replace(model=strange, part=strange), new.rate).power
    assert (away[:, 2] / away[:, 0] > there[:, 2] / there[:, 0]).all()
    assert np.mean((away[:, 0] <= new.power) & (new.power <= away[:, 2])) > 0.85
