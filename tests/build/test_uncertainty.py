"""Uncertain durations against closed forms; status, risks and drivers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.build.programmes import DAY, dates, simulated, twin_of

from firsttoken.build.engine import CREW_EXCEEDED, LINK_BROKEN
from firsttoken.build.kpi import cruciality_of
from firsttoken.build.simulate import simulate
from firsttoken.build.system import FIRST
from firsttoken.twin.findings import BalanceError

R = 20_000


def side_by_side(*durations: str) -> dict[str, Any]:
    """Activities that all begin at once."""
    named = {f"a{i}": {"duration": duration} for i, duration in enumerate(durations)}
    return twin_of({"activities": named})


def in_series(*durations: str) -> dict[str, Any]:
    """Activities one after the other."""
    named: dict[str, Any] = {}
    for i, duration in enumerate(durations):
        named[f"a{i}"] = {"duration": duration, "after": [f"a{i - 1}"] if i else []}
    return twin_of({"activities": named})


def close(samples: np.ndarray, mean: float) -> None:
    """The mean within four standard errors."""
    error = samples.std() / math.sqrt(len(samples))
    assert abs(samples.mean() - mean) < 4 * error


def test_the_longest_of_exponentials(tmp_path: Path) -> None:
    """The mean of the largest of n is the n-th harmonic number (Renyi 1953): merge bias."""
    _, found = simulated(tmp_path, side_by_side(*["exponential(10) day"] * 6), R)
    close(found.last / DAY, 10 * sum(1 / k for k in range(1, 7)))


def test_the_longer_of_two_normals(tmp_path: Path) -> None:
    """Clark, The greatest of a finite set of random variables, Operations Research 9 (1961)."""
    build = side_by_side("normal(100, 10) day", "normal(95, 5) day")
    _, found = simulated(tmp_path, build, R)
    a = math.hypot(10, 5)
    alpha = (100 - 95) / a
    density = math.exp(-alpha * alpha / 2) / math.sqrt(2 * math.pi)
    below = 0.5 * (1 + math.erf(alpha / math.sqrt(2)))
    close(found.last / DAY, 100 * below + 95 * (1 - below) + a * density)
    # Each is the longer one with the probability of the normal difference.
    assert found.criticality[1] == pytest.approx([below, 1 - below], abs=0.015)


def test_the_longer_of_two_exponentials_is_critical_by_their_rates(tmp_path: Path) -> None:
    """P(X > Y) = mean x / (mean x + mean y)."""
    _, found = simulated(tmp_path, side_by_side("exponential(30) day", "exponential(10) day"), R)
    assert found.criticality[1] == pytest.approx([0.75, 0.25], abs=0.015)


def test_a_series_of_triangulars(tmp_path: Path) -> None:
    """Means add, and so do variances, (a2 + b2 + c2 - ab - ac - bc) / 18 of each."""
    shapes = [(5, 10, 30), (8, 8, 20), (1, 15, 16), (20, 24, 40)]
    build = in_series(*(f"triangular({a}, {b}, {c}) day" for a, b, c in shapes))
    _, found = simulated(tmp_path, build, R)
    mean = sum(sum(s) / 3 for s in shapes)
    variances = [(a * a + b * b + c * c - a * b - a * c - b * c) / 18 for a, b, c in shapes]
    close(found.last / DAY, mean)
    assert found.last.var() / DAY**2 == pytest.approx(sum(variances), rel=0.04)
    # In a series a duration's correlation with the end is its share of the deviation.
    share = [math.sqrt(v / sum(variances)) for v in variances]
    assert cruciality_of(found, FIRST) == pytest.approx(share, abs=0.03)
    assert found.significance == pytest.approx([1, 1, 1, 1], abs=1e-3)


def test_significance_is_the_mean_of_what_is_not_float(tmp_path: Path) -> None:
    """Williams 1992: work / (work + float), weighted by the length; by hand for 20 beside 50."""
    build = side_by_side("50 day", "20 day")
    build["build"]["x"]["begin"] = "2026-03-01"
    _, found = simulated(tmp_path, build)
    assert found.significance == pytest.approx([1, 20 / 50], abs=1e-4)


def test_threads_do_not_matter(tmp_path: Path) -> None:
    build = in_series(*["triangular(1, 2, 9) day"] * 5)
    build["build"]["x"]["crews"] = {"c": {"count": 1}}
    for activity in build["build"]["x"]["activities"].values():
        activity |= {"after": [], "crew": {"c": 1}, "cost": "3 MUSD"}
    system, one = simulated(tmp_path, build, 500)
    two = simulate(system, 500, 1, threads=3)
    for name in one.__slots__:
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def test_a_defect_of_the_engine_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, _ = simulated(tmp_path, side_by_side("1 day"))
    for status, said in ((CREW_EXCEEDED, "exceeds a crew"), (LINK_BROKEN, "breaks a link")):
        monkeypatch.setattr("firsttoken.build.simulate.run_block", lambda *_, code=status: code)
        with pytest.raises(BalanceError, match=said):
            simulate(system, 10, 1)


# Risks ----------------------------------------------------------------------------------------


def test_a_risk_adds_its_delay_as_often_as_it_happens(tmp_path: Path) -> None:
    build = in_series("10 day")
    risk = {"probability": 0.3, "delay": "uniform(10, 20) day"}
    build["build"]["x"]["activities"]["a0"]["risks"] = {"appeal": risk}
    _, found = simulated(tmp_path, build, R)
    happened = found.last > 15 * DAY
    assert happened.mean() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / R))
    close(found.last[happened] / DAY, 25)
    assert found.last[~happened] / DAY == pytest.approx(10)


def test_a_driver_makes_activities_late_together(tmp_path: Path) -> None:
    """Hulett, Integrated Cost-Schedule Risk Analysis (2011): drivers make durations correlated."""
    build = side_by_side("uniform(90, 110) day", "uniform(90, 110) day", "uniform(90, 110) day")
    activities = build["build"]["x"]["activities"]
    activities["a2"]["kind"] = "permit"
    build["build"]["x"]["risks"] = {
        "labour": {"probability": 0.5, "factor": "uniform(1.2, 1.6)", "affects": ["work"]}
    }
    _, found = simulated(tmp_path, build, R)
    work = found.work.astype(float) / DAY
    close(work[0], 100 * (1 + 0.5 * 0.4))
    close(work[2], 100)
    # Var of the factor f = 1 or U(1.2, 1.6): E f2 - (E f)2; Var d = E f2 E u2 - (E d)2.
    square = 0.5 * (1 + (1.4**2 + 0.4**2 / 12))
    variance = square * (100**2 + 20**2 / 12) - 120**2
    covariance = square * 100**2 - 120**2
    assert np.corrcoef(work[:2])[0, 1] == pytest.approx(covariance / variance, abs=0.01)
    assert abs(np.corrcoef(work[1:])[0, 1]) < 0.03


# Status ---------------------------------------------------------------------------------------


def known(activity: dict[str, Any], as_of: str = "2026-02-04") -> dict[str, Any]:
    """One activity with its status, thirty days after the start, and one after it."""
    following = {"duration": "5 day", "after": ["a"]}
    return twin_of({"activities": {"a": activity, "b": following}}, as_of=as_of)


def test_what_is_done_keeps_its_dates(tmp_path: Path) -> None:
    done = {"duration": "exponential(99) day", "started": "2026-01-07", "finished": "2026-01-15"}
    system, found = simulated(tmp_path, known(done), 50)
    assert dates(system, found)["a"] == pytest.approx((2, 10))
    # What has not begun by the day of knowledge begins on it at the earliest.
    assert np.all(found.start[1] == np.float32(30 * DAY))
    assert found.criticality[1].tolist() == [0, 1]


def test_what_remains_is_what_is_said(tmp_path: Path) -> None:
    begun = {"duration": "99 day", "started": "2026-01-07", "remaining": "12 day"}
    found = dates(*simulated(tmp_path, known(begun)))
    assert found["a"] == pytest.approx((2, 42))
    assert found["b"] == pytest.approx((42, 47))


def test_an_exponential_has_no_memory(tmp_path: Path) -> None:
    """Thirty days on, the mean time to the end is what it was at the start."""
    begun = {"duration": "exponential(40) day", "started": "2026-01-05"}
    _, found = simulated(tmp_path, known(begun), R)
    left = found.finish[0].astype(float) / DAY - 30
    assert left.min() > 0
    close(left, 40)


def test_a_uniform_that_is_not_done_yet_is_longer(tmp_path: Path) -> None:
    """Uniform from 10 to 50 and not done after 30: uniform from 30 to 50."""
    begun = {"duration": "uniform(10, 50) day", "started": "2026-01-05"}
    _, found = simulated(tmp_path, known(begun), R)
    end = found.finish[0].astype(float) / DAY
    close(end, 40)
    assert end.std() == pytest.approx(20 / math.sqrt(12), rel=0.02)


def test_without_a_word_on_progress_the_day_of_knowledge_holds_nothing_back(tmp_path: Path) -> None:
    found = dates(*simulated(tmp_path, known({"duration": "10 day"})))
    assert found["b"] == pytest.approx((10, 15))
