"""Runs the cases `tests/known_answers/line_*`: queues and lines whose answers are exact.

The seed of a case is its row in the table.  Three things are asserted:

* of each measure, the exact value lies in the plain 95 % t-interval over the replications, and the
  interval is at most as wide as the case says, so that the check can fail.  Of 25 correct intervals
  one misses at an arbitrary seed: a case that does names a second seed in its file;
* of all measures together at their first seeds, none is beyond the level of Bonferroni for 5 %, and
  the sum of the squared scores is that of chance;
* also at the first seeds, the intervals of a tenth of the replications hold as often as 95 %
  intervals must.  That replications are independent and intervals honest is thus checked on
  hundreds of intervals.

The exact values themselves are computed anew from Markov chains.
"""

from __future__ import annotations

import csv
import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.line.chains import (
    bernoulli_line,
    deterministic_pair,
    deterministic_servers,
    mean_value_analysis,
    serial_line,
    slotted_recursion,
    unreliable_pair,
)
from tests.line.evidence import Floats, Simulated, agrees, case_system, interval, run

CASES = sorted((Path(__file__).parents[1] / "known_answers").glob("line_*"))


@dataclass(frozen=True)
class Expectation:
    """A measure of a case under a scenario, and its exact value."""

    case: Path
    scenario: str
    measure: str
    value: float
    half_width: float

    def __str__(self) -> str:
        return "-".join(filter(None, (self.case.name, self.scenario, self.measure)))


def expected(case: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((case / "expected.json").read_text())
    return content


def expectations() -> list[Expectation]:
    found = []
    for case in CASES:
        content = expected(case)
        found += [Expectation(case, "", name, **e) for name, e in content["measures"].items()]
        found += [
            Expectation(case, name, "throughput", **e)
            for name, e in content.get("scenarios", {}).items()
        ]
    return found


@functools.cache
def simulated(case: Path, scenario: str, seed: int) -> Simulated:
    return run(case_system(case, scenario), expected(case)["replications"], seed)


def samples(e: Expectation, *, first_seed: bool = False) -> Floats:
    content = expected(e.case)
    seed = content["id"] if first_seed else content.get("seed", content["id"])
    return simulated(e.case, e.scenario, seed).measure(e.measure)


def test_every_row_of_the_table_is_a_case(shared_data: Path) -> None:
    table = (shared_data / "line_exact_cases" / "cases.csv").read_text()
    rows = csv.DictReader(table.splitlines())
    values = {int(row["id"]): row["exact_value"].rsplit(" ", 1)[-1] for row in rows}
    cases = {content["id"]: content for content in map(expected, CASES)}
    assert set(cases) == set(values)
    for number, content in cases.items():
        assert float(values[number]) in [e["value"] for e in content["measures"].values()]
    assert all((case / "SOURCE").read_text().strip() for case in CASES)


@pytest.mark.parametrize("e", expectations(), ids=str)
def test_the_exact_value_lies_in_the_interval(e: Expectation) -> None:
    agrees(samples(e), e.value, e.half_width, level=0.95)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if "scenarios" in expected(case)],
    ids=lambda case: case.name,
)
def test_the_best_allocation_of_buffers_is_found(case: Path) -> None:
    means = {
        e.scenario: float(np.mean(samples(e)))
        for e in expectations()
        if e.case == case and e.measure == "throughput"
    }
    assert len(means) in (5, 15)  # all the ways to allocate four places to two or three buffers
    assert max(means, key=means.__getitem__) == ""


def joint() -> list[Expectation]:
    """Measures with random numbers of their own: scenarios of a case share them."""
    return [e for e in expectations() if not e.scenario]


def test_together_the_measures_are_as_near_as_chance_has_it() -> None:
    scores, beyond = [], []
    for e in joint():
        values = samples(e, first_seed=True)
        found = interval(values, e.value, level=1 - 0.05 / len(joint()))
        if not found.holds(e.value):
            beyond.append(f"{e}: {found}")
        if found.half > 1e-9 * e.value:  # what cannot vary has no score
            scores.append(stats.norm.ppf(stats.t.cdf(found.score, len(values) - 1)))
    assert not beyond
    total = float(np.sum(np.square(scores)))
    low, high = stats.chi2.ppf([0.0005, 0.9995], len(scores))
    assert low < total < high, f"the sum of {len(scores)} squared scores is {total:.1f}"


def test_intervals_of_few_replications_hold_as_often_as_they_say() -> None:
    held = tried = 0
    for e in joint():
        values = samples(e, first_seed=True)
        if np.ptp(values) > 1e-9 * e.value:
            for part in np.split(values, 10):
                held += interval(part, e.value).holds(e.value)
                tried += 1
    assert tried >= 240
    assert stats.binomtest(held, tried, 0.95).pvalue > 0.001, f"{held} of {tried} hold"


# The exact values, computed anew.


def test_serial_lines() -> None:
    assert serial_line([1, 1], [0]) == pytest.approx(2 / 3)
    assert serial_line([1, 1, 1], [0, 0]) == pytest.approx(22 / 39)
    for case in CASES:
        content = expected(case)
        if "serial" in case.name:
            machines, buffer = map(int, case.name.rsplit("_", 1)[1].split("x"))
            exact = serial_line([1] * machines, [buffer] * (machines - 1))
            assert content["measures"]["throughput"]["value"] == pytest.approx(exact, abs=1e-6)
        for name, e in content.get("scenarios", {}).items():
            buffers = [int(size) for size in name.split("-")[1:]]
            exact = serial_line([1] * (len(buffers) + 1), buffers)
            assert sum(buffers) == 4
            assert e["value"] == pytest.approx(exact, abs=1e-6)
            assert exact <= content["measures"]["throughput"]["value"] + 1e-6


BERNOULLI = [
    ("line_16_bernoulli_2", (0.9, 0.9), (5,)),
    ("line_17_bernoulli_2", (0.8, 0.9), (3,)),
    ("line_19_bernoulli_5", (0.9,) * 5, (2,) * 4),
]


@pytest.mark.parametrize(("name", "up", "places"), BERNOULLI)
def test_bernoulli_lines_and_the_recursion_that_is_declared(
    name: str, up: tuple[float, ...], places: tuple[int, ...]
) -> None:
    (case,) = (case for case in CASES if case.name == name)
    exact = bernoulli_line(up, places)
    assert expected(case)["measures"]["throughput"]["value"] == pytest.approx(exact, abs=1e-6)
    # Parts over time are a ratio: biased by less than 1 in the number of parts.
    agrees(slotted_recursion(up, places, 1600, 100, 400, seed=1), exact, 0.002)


def test_bernoulli_pairs_have_a_closed_form() -> None:
    # Li, Meerkov (2009), equations 4.4 and 4.7: p2 (1 - Q).
    assert bernoulli_line((0.9, 0.9), (5,)) == pytest.approx(0.9 * (1 - 0.1 / 5.1))
    a = 0.8 * 0.1 / (0.9 * 0.2)
    q = 0.2 * (1 - a) / (1 - 0.8 / 0.9 * a**3)
    assert bernoulli_line((0.8, 0.9), (3,)) == pytest.approx(0.9 * (1 - q))


def test_other_chains() -> None:
    values = {case.name: expected(case)["measures"] for case in CASES}
    for name, exact in {
        "line_21_deterministic_4": deterministic_pair(0.01, 0.1, 4),
        "line_22_deterministic_10": deterministic_pair(0.01, 0.1, 10),
        "line_23_deterministic_100": deterministic_pair(0.01, 0.1, 100),
        "line_24_unreliable_1": unreliable_pair(1.0, 0.01, 0.1, 1),
        "line_25_unreliable_10": unreliable_pair(1.0, 0.01, 0.1, 10),
    }.items():
        assert values[name]["throughput"]["value"] == pytest.approx(exact, abs=1e-9)
    for name, exact in {
        "line_07_md3": deterministic_servers(2.0, 3),
        "line_08_md10": deterministic_servers(9.0, 10),
    }.items():
        assert values[name]["wait server"]["value"] == pytest.approx(exact, abs=1e-9)
    hourly = mean_value_analysis([2.0] * 4, 4)[0]
    conwip = values["line_27_conwip"]["throughput_per_hour"]["value"]
    assert conwip == pytest.approx(hourly, abs=1e-9)


def test_closed_forms() -> None:
    values = {case.name: expected(case)["measures"] for case in CASES}
    offered, servers = 9.0, 10
    tail = offered**servers / math.factorial(servers) / (1 - offered / servers)
    erlang_c = tail / (tail + sum(offered**k / math.factorial(k) for k in range(servers)))
    late = values["line_04_mm10"]["share_late agents"]["value"]
    assert late == pytest.approx(erlang_c, abs=1e-9)
    routing = np.array([[0, 0.5, 0.3], [0, 0, 0.6], [0.2, 0, 0]])
    rates = np.linalg.solve(np.eye(3) - routing.T, [1, 0.5, 0])
    load = rates / np.array([3, 2.5, 2.5])
    wip = values["line_29_jackson"]["wip"]["value"]
    assert wip == pytest.approx(float(np.sum(load / (1 - load))), abs=1e-9)
    # Ten machines, k of them down, one repairman: weights 10! / (10 - k)! (repair time / MTBF)^k.
    weights = [math.perm(10, k) * 0.1**k for k in range(11)]
    up = sum(w * (10 - k) for k, w in enumerate(weights)) / 10 / sum(weights)
    found = values["line_30_machine_repair"]["availability machines"]["value"]
    assert found == pytest.approx(up, abs=1e-9)
