"""Widths of intervals from errors of points left out."""

from __future__ import annotations

import numpy as np
import pytest

from firsttoken.serving.interval_width import COVERAGE, fit_widths

NORMAL, STUDENT = 1.6449, 2.3534
"""95 % quantiles of the normal distribution and of Student's t with three degrees of freedom."""


def test_many_normal_errors_give_the_normal_width() -> None:
    """Tails of 20,000 errors are told by the errors; their scale is a third of the predicted."""
    error = 0.3 * np.random.default_rng(0).standard_normal(20000)
    half = fit_widths(error, np.full(20000, 0.9)).half(np.array([0.9, 1.8]))
    assert half[0] == pytest.approx(0.3 * NORMAL, rel=0.03)
    assert np.mean(np.abs(error) <= half[0]) == pytest.approx(COVERAGE, abs=0.01)


def test_student_errors_give_the_student_width() -> None:
    error = np.random.default_rng(1).standard_t(3.0, 5000)
    found = fit_widths(error, np.ones(5000), bend=0.0)
    assert found.freedom == pytest.approx(3.0, rel=0.15)
    assert found.half(np.ones(1))[0] == pytest.approx(STUDENT, rel=0.05)
    assert found.half(np.array([4.0]))[0] == pytest.approx(4.0 * found.half(np.ones(1))[0])


def test_errors_that_grow_slower_than_predicted() -> None:
    """Errors of the square root of the predicted deviation."""
    draw = np.random.default_rng(2)
    deviation = np.exp(draw.uniform(-2.0, 1.0, 4000))
    error = np.sqrt(deviation) * draw.standard_normal(4000)
    half = fit_widths(error, deviation).half(np.array([0.2, 2.0]))
    assert half == pytest.approx(NORMAL * np.sqrt([0.2, 2.0]), rel=0.08)


def test_groups_have_widths_near_each_other() -> None:
    """A group of many errors has its own width, one of few a common one, and a new one more."""
    draw = np.random.default_rng(3)
    names = ["calm"] * 400 + ["wild"] * 400 + ["few"] * 2
    scale = np.array([0.7] * 400 + [1.4] * 400 + [1.0] * 2)
    found = fit_widths(scale * draw.standard_normal(802), np.ones(802), names)
    calm, wild, few, new = found.half(np.ones(4), ["calm", "wild", "few", "new"])
    assert calm == pytest.approx(0.7 * NORMAL, rel=0.12)
    assert wild == pytest.approx(1.4 * NORMAL, rel=0.12)
    assert calm < few < wild
    assert new > np.sqrt(calm * wild)


def test_fewer_errors_give_wider_intervals_on_average() -> None:
    """Ten errors leave the scale open: of 400 draws, as many lie within as should."""
    draw = np.random.default_rng(4)
    held = [
        abs(draw.standard_normal()) <= fit_widths(draw.standard_normal(10), np.ones(10)).half(one)
        for one in 400 * [np.ones(1)]
    ]
    assert 0.86 <= np.mean(held) <= 0.96
