"""Limited crews: exact optima, and independent recounts of who is where."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.build.programmes import DAY, case, dates, simulated, twin_of

Job = tuple[int, dict[int, int], list[int]]
"""(days, crews needed, jobs before)."""


def declared(jobs: list[Job], capacities: list[int], duration: str = "{0} day") -> dict[str, Any]:
    """Jobs as a programme."""
    activities: dict[str, Any] = {}
    for i, (days, needs, before) in enumerate(jobs):
        activities[f"j{i}"] = {
            "duration": duration.format(days),
            "after": [f"j{b}" for b in before],
            "crew": {f"c{k}": need for k, need in needs.items() if need},
        }
    used = {k for _, needs, _ in jobs for k, need in needs.items() if need}
    crews = {f"c{k}": {"count": capacities[k]} for k in sorted(used)}
    return twin_of({"crews": crews, "activities": activities})


def shortest(jobs: list[Job], capacities: list[int]) -> int:
    """The least makespan, by every feasible list: serial schedules contain an optimal one.

    (Kolisch 1996; written without the engine: days are slots that are counted.)
    """
    best = sum(days for days, _, _ in jobs)
    for order in itertools.permutations(range(len(jobs))):
        place = {job: at for at, job in enumerate(order)}
        if any(place[b] > place[i] for i, (_, _, before) in enumerate(jobs) for b in before):
            continue
        used = np.zeros((len(capacities), best + 1), dtype=int)
        end = [0] * len(jobs)
        for i in order:
            days, needs, before = jobs[i]
            at = max([end[b] for b in before], default=0)
            while any(
                (used[k, at : at + days] + n > capacities[k]).any() for k, n in needs.items()
            ):
                at += 1
            end[i] = at + days
            if end[i] > best:
                break
            for k, need in needs.items():
                used[k, at : at + days] += need
        else:
            best = min(best, max(end))
    return best


def random_jobs(seed: int) -> tuple[list[Job], list[int]]:
    random = np.random.default_rng(seed)
    jobs: list[Job] = []
    for i in range(7):
        needs = {k: int(random.integers(0, 4)) for k in range(2)}
        before = [b for b in range(i) if random.random() < 0.25]
        jobs.append((int(random.integers(1, 8)), needs, before))
    return jobs, [4, 4]


def test_small_programmes_are_as_short_as_can_be(tmp_path: Path) -> None:
    """Twelve programmes of seven activities: all but a few are optimal, none is far off."""
    worse = []
    for seed in range(12):
        jobs, capacities = random_jobs(seed)
        _, found = simulated(tmp_path, declared(jobs, capacities))
        best = shortest(jobs, capacities)
        length = found.last[0] / DAY
        assert length > best - 1e-3
        worse.append(length / best - 1)
    assert max(worse) < 0.1
    assert np.mean([w < 1e-6 for w in worse]) >= 0.9


def test_the_instance_of_the_library(tmp_path: Path) -> None:
    """PSPLIB j301_1: 38 days without limits, 43 at best with them; within 5 %."""
    data = case("build_psplib_j301_1", "instance.json")
    numbers = sorted(data["successors"], key=int)
    jobs: list[Job] = []
    for number in numbers:
        before = [int(b) - 1 for b in numbers if int(number) in data["successors"][b]]
        needs = dict(enumerate(data["needs"].get(number, [0, 0, 0, 0])))
        jobs.append((data["durations"][int(number) - 1], needs, before))
    _, free = simulated(tmp_path, declared(jobs, [999] * 4))
    assert free.last[0] / DAY == pytest.approx(data["critical_path"])
    _, found = simulated(tmp_path, declared(jobs, data["capacities"]))
    assert data["optimum"] - 1e-3 <= found.last[0] / DAY <= 1.05 * data["optimum"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 10_000))
def test_no_crew_is_in_two_places(tmp_path: Path, seed: int) -> None:
    """Recounted from the dates: at every start the needs of all at work are met; links hold."""
    jobs, capacities = random_jobs(seed)
    data = declared(jobs, capacities, "uniform({0}, 9) hour")
    _, found = simulated(tmp_path, data, 20)
    start, finish = found.start.astype(float), found.finish.astype(float)
    for r in range(20):
        for i, (_, _, before) in enumerate(jobs):
            assert all(start[i, r] >= finish[b, r] - 1 for b in before)
            at = start[i, r] + 1
            for k, capacity in enumerate(capacities):
                busy = [n.get(k, 0) for (_, n, _), s, f in zip(jobs, start[:, r], finish[:, r],
                        strict=True) if s <= at < f]  # fmt: skip
                assert sum(busy) <= capacity


def test_who_waits_for_a_crew_is_driven_by_who_has_it(tmp_path: Path) -> None:
    """One crane: the critical chain runs over the crane, not over the links."""
    jobs: list[Job] = [(10, {0: 1}, []), (9, {0: 1}, []), (3, {}, [1])]
    system, found = simulated(tmp_path, declared(jobs, [1]))
    when = dates(system, found)
    first, second = sorted(("j0", "j1"), key=lambda name: when[name][0])
    assert when[second][0] == pytest.approx(when[first][1])
    critical = dict(zip(system.names.tasks, found.criticality[1], strict=True))
    assert critical[first] == critical[second] == 1
    assert found.total_float[:2, 0] == pytest.approx([0, 0], abs=1)


def test_crews_that_grow(tmp_path: Path) -> None:
    """Three jobs of ten days: one crew, from day 15 on two."""
    jobs: list[Job] = [(10, {0: 1}, []), (10, {0: 1}, []), (10, {0: 1}, [])]
    data = declared(jobs, [1])
    data["build"]["x"]["crews"]["c0"]["count"] = {"2026-01-05": 1, "2026-01-20": 2}
    starts = sorted(start for start, _ in dates(*simulated(tmp_path, data)).values())
    assert starts == pytest.approx([0, 10, 15])


def test_a_crew_that_shrinks_is_not_exceeded(tmp_path: Path) -> None:
    """From day 15 on one crew instead of two: what would still need it then begins later."""
    jobs: list[Job] = [(10, {0: 1}, []), (12, {0: 1}, []), (8, {0: 2}, [])]
    data = declared(jobs, [2])
    count = {"2026-01-05": 2, "2026-01-20": 1, "2026-03-06": 2}  # days 0, 15 and 60
    data["build"]["x"]["crews"]["c0"]["count"] = count
    found = dates(*simulated(tmp_path, data))
    # After day 15 only one of the small jobs can go on at a time, and the large one not at all.
    assert found["j2"] == pytest.approx((0, 8))
    assert max(finish for _, finish in found.values()) == pytest.approx(8 + 10 + 12)
