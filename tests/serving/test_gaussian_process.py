"""Gaussian processes: what is known of few points, and points left out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from firsttoken.serving.gaussian_process import (
    Alike,
    Features,
    Near,
    Part,
    Process,
    Product,
    covariance,
    likeliest,
    variance,
)

COMMON, OWN, NOISE = 0.2, 0.5, 0.1


def tiny(codes: list[int], axis: list[float]) -> tuple[list[Part], Features]:
    """A process with a common part, one of a name and a slope, its features."""
    parts = [Part(COMMON), Part(OWN, (Alike("gpu"),)), Part(0.3, (Product("load"),))]
    return parts, Features({"gpu": np.array(codes)}, {"load": np.array(axis)})


def seen_by(parts: list[Part], seen: Features, residual: list[float], **more: float) -> Process:
    """A process with noise of 0.1."""
    noise = np.full(len(residual), NOISE**2)
    return Process(parts, seen, np.array(residual), noise, **more)


def test_factors_by_their_formulas() -> None:
    """exp(-d^2 / 2) and exp(-d) of distances in lengths; products; equal names, but for none."""
    one = Features(
        {"name": np.array([1, 2, 0])}, {"x": np.array([0.0, 1.0, 3.0]), "v": np.eye(3)[:, :2]}
    )
    near = covariance([Part(2.0, (Near(("x",), (2.0,)),))], one, one)
    assert near[0, 2] == pytest.approx(4.0 * math.exp(-0.5 * 1.5**2))
    rough = covariance([Part(1.0, (Near(("x",), (2.0,), rough=True),))], one, one)
    assert rough[1, 2] == pytest.approx(math.exp(-1.0))
    wide = covariance([Part(1.0, (Near(("v",), (1.0,)),))], one, one)
    assert wide[0, 1] == pytest.approx(math.exp(-1.0))  # unit vectors: d^2 = 2
    product = covariance([Part(3.0, (Product("x"),))], one, one)
    assert product[1, 2] == pytest.approx(9.0 * 3.0)
    alike = covariance([Part(1.0, (Alike("name"),))], one, one)
    assert alike.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    both = [Part(2.0, (Alike("name"), Product("v"))), Part(1.0)]
    assert np.allclose(covariance(both, one, one), [[5, 1, 1], [1, 5, 1], [1, 1, 1]])
    assert np.allclose(variance(both, one), [5, 5, 1])


def test_one_point_shrinks_by_its_share_of_the_variance() -> None:
    """Mean k / (k + s^2) y, variance k - k^2 / (k + s^2) + s^2 (Rasmussen and Williams 2.23)."""
    parts, seen = tiny([7], [0.0])
    mean, deviation = seen_by(parts, seen, [0.3]).predict(seen, np.array([NOISE**2]))
    before = COMMON**2 + OWN**2
    assert mean[0] == pytest.approx(0.3 * before / (before + NOISE**2))
    left = before - before**2 / (before + NOISE**2) + NOISE**2
    assert deviation[0] == pytest.approx(math.sqrt(left))


def test_an_unseen_name_learns_what_is_common() -> None:
    parts, seen = tiny([1], [0.0])
    _, asked = tiny([2], [0.0])
    mean, _ = seen_by(parts, seen, [0.3]).predict(asked, np.zeros(1))
    assert mean[0] == pytest.approx(0.3 * 0.04 / (0.04 + 0.25 + 0.01))


def test_left_out_points_and_groups_equal_a_process_without_them() -> None:
    draw = np.random.default_rng(1)
    codes, axis = [1, 1, 2, 2, 2, 3], draw.standard_normal(6)
    parts, seen = tiny(codes, axis.tolist())
    residual = draw.standard_normal(6)
    process = seen_by(parts, seen, residual.tolist())
    for groups in (np.array(codes), None):
        error, deviation = process.left_out(groups)
        names = np.arange(6) if groups is None else groups
        for name in set(names.tolist()):
            out, kept = np.flatnonzero(names == name), np.flatnonzero(names != name)
            less = seen_by(parts, seen.rows(kept), residual[kept].tolist())
            mean, spread = less.predict(seen.rows(out), np.full(len(out), NOISE**2))
            assert np.allclose(error[out], residual[out] - mean)
            assert np.allclose(deviation[out], spread)


def test_an_outlier_keeps_little_weight_and_pulls_little() -> None:
    parts, seen = tiny([1] * 9, [0.0] * 9)
    residual = [0.0] * 4 + [3.0] + [0.0] * 4
    once, again = seen_by(parts, seen, residual), seen_by(parts, seen, residual, freedom=4.0)
    assert again.weight[4] < 0.1 < 0.9 < again.weight[0]
    pulled = [abs(process.predict(seen, np.zeros(9))[0][0]) for process in (once, again)]
    assert pulled[1] < 0.2 * pulled[0]


def test_likeliest_deviations_are_found_again() -> None:
    """600 points of 120 names: deviations 0.5 of names and 0.2 of points, from 0.1 each on."""
    draw = np.random.default_rng(3)
    names = np.repeat(np.arange(1, 121), 5)
    residual = 0.5 * draw.standard_normal(121)[names] + 0.2 * draw.standard_normal(len(names))
    seen = Features({"name": names}, {})
    parts = [covariance([Part(1.0, (Alike("name"),))], seen, seen), np.eye(len(names))]
    found = likeliest(parts, 0.0 * parts[0], residual, np.array([0.1, 0.1]), 5.0)
    assert found == pytest.approx([0.5, 0.2], rel=0.15)
