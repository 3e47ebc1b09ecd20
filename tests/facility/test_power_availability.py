"""N-2 and availability against enumeration and the formulas of k-of-n systems."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.facility.power_sites import case_of, load, row_of, slots_of

from firsttoken.facility.power_availability import (
    Availability,
    availability,
    enumerated_unavailability,
    outages,
    sampled_unavailability,
)
from firsttoken.facility.power_compile import compile_power
from firsttoken.facility.power_loads import compile_loads
from firsttoken.facility.power_pairs import screen_pairs, screen_standby
from firsttoken.facility.power_screen import Case, build_case, screen, single_elements
from firsttoken.kernel.parameters import fixed_parameters


def with_values(folder: Path, site: str) -> tuple[Case, Any]:
    """A case and its parameters."""
    slots = slots_of(load(folder, site))
    system = compile_power(slots, "unit")
    loads = compile_loads(slots, system)
    values = fixed_parameters(slots.build.tables()[0])
    return build_case(system, loads, values), values


def of(case: Case, values: Any) -> Availability:
    """Availability of a case."""
    singles = screen(case, single_elements(case))
    pairs, doubles = screen_pairs(case)
    data = outages(case, values)
    triples, trebles = screen_standby(case, pairs, data.q)
    return availability(case, data, singles, pairs, doubles, triples, trebles)


PARALLEL = """
feeds: {{grid: {{}}}}
ups: {{u: {{from: grid, count: {n}, rating: 1 MW, mtbf: 90 hour, mttr: 10 hour,
       breaker: {{limit: 1, hold: 1 s}}}}}}
boards: {{out: {{from: u}}}}
racks: {{hall: {{count: {racks}, from: out, power: 100 kW}}}}
"""


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3)])
def test_k_of_n_units_in_parallel(tmp_path: Path, n: int, k: int) -> None:
    """All racks are up while k of n units are: P = sum C(n, i) A^i (1 - A)^(n - i), i >= k."""
    case, values = with_values(tmp_path, PARALLEL.format(n=n, racks=10 * k - 1))
    q = outages(case, values).q
    up = sum(math.comb(n, i) * 0.9**i * 0.1 ** (n - i) for i in range(k, n + 1))
    assert enumerated_unavailability(case, q) == pytest.approx(1 - up, rel=1e-9)
    share, error = sampled_unavailability(case, q, 20000, 7)
    assert abs(share - (1 - up)) < 4 * error


def test_single_elements_and_pairs_are_exact_for_two(tmp_path: Path) -> None:
    """1 of 2: q^2, here without time to ride through."""
    case, values = with_values(tmp_path, PARALLEL.format(n=2, racks=9))
    found = of(case, values)
    # The last unit's breaker trips at once only if both are out; the racks ride through 20 ms.
    assert found.unavailability == pytest.approx(0.1**2, rel=1e-4)


def test_what_a_battery_bridges_does_not_count(tmp_path: Path) -> None:
    """Outages of mean 1 h, exponential: the share exp(-t / 1 h) lasts longer than the battery."""
    site = """
    feeds: {grid: {mtbf: 99 hour, mttr: 1 hour}}
    ups: {u: {from: grid, rating: 1 MW, autonomy: 30 minute, efficiency: 1}}
    racks: {hall: {count: 10, from: u, power: 100 kW}}
    """
    case, values = with_values(tmp_path, site)
    found = of(case, values)
    assert found.unavailability == pytest.approx(0.01 * math.exp(-1800.02 / 3600))
    assert found.frequency[0] == pytest.approx(math.exp(-1800.02 / 3600) / (99 * 3600))


def test_generators_that_may_not_start(tmp_path: Path) -> None:
    site = """
    feeds: {grid: {mtbf: 999 hour, mttr: 1 hour}}
    generators: {gen: {start: 0 s, success: 0.98, mtbf: 1 hour, mttr: 0 s}}
    boards: {main: {from: [grid, gen]}}
    racks: {hall: {count: 10, from: main, power: 100 kW}}
    """
    case, values = with_values(tmp_path, site)
    assert of(case, values).unavailability == pytest.approx(0.001 * 0.02, rel=1e-4)
    both = enumerated_unavailability(case, outages(case, values).q)
    assert both == pytest.approx(0.001 * 0.02, rel=1e-9)


TWO_SIDES = """
feeds: {grid: {mtbf: 999 hour, mttr: 1 hour}}
generators: {ga: {start: 0 s, success: 0.95, count: 2}, gb: {start: 0 s, success: 0.9, count: 2}}
transfer_switches: {a: {from: [grid, ga], count: 2}, b: {from: [grid, gb], count: 2}}
racks: {hall: {count: 10, from: [a, b], power: 100 kW, ride_through: 1 s}}
"""


def test_generators_of_both_sides_that_do_not_start(tmp_path: Path) -> None:
    """2N: a rack is lost if the grid is out and neither of its two generators starts."""
    case, values = with_values(tmp_path, TWO_SIDES)
    found = of(case, values)
    exact = 0.001 * 0.05 * 0.1
    assert enumerated_unavailability(case, outages(case, values).q) == pytest.approx(exact)
    lasting = exact * math.exp(-1 / 3600)  # outages beyond what the racks bridge
    assert found.unavailability == pytest.approx(lasting, rel=1e-6)
    assert found.triple.sum() == pytest.approx(lasting, rel=1e-6)


def test_spare_generators_that_do_not_start(tmp_path: Path) -> None:
    """N+1: four generators on a bus, three carry it; less the terms of three that do not start."""
    site = """
    feeds: {grid: {mtbf: 999 hour, mttr: 1 hour}}
    generators: {gen: {start: 0 s, success: 0.98, count: 4, rating: 1 MW, breaker: {hold: 1 s}}}
    boards: {main: {from: [grid, gen]}}
    racks: {hall: {count: 30, from: main, power: 99 kW, ride_through: 1 s}}
    """
    case, values = with_values(tmp_path, site)
    pair = math.comb(4, 2) * 0.02**2
    exact = 0.001 * (pair * 0.98**2 + 4 * 0.02**3 * 0.98 + 0.02**4)
    assert enumerated_unavailability(case, outages(case, values).q) == pytest.approx(exact)
    assert of(case, values).unavailability == pytest.approx(0.001 * pair, rel=1e-3)


TWO_N = """
feeds: {a: {mtbf: 1000 hour, mttr: 10 hour}, b: {mtbf: 500 hour, mttr: 10 hour}}
transformers: {ta: {from: a, mtbf: 1000 hour, mttr: 30 hour}, tb: {from: b}}
racks: {hall: {count: 4, from: [ta, tb], power: 100 kW},
        single: {count: 4, from: ta, power: 100 kW}}
"""


def test_dual_and_single_corded_racks(tmp_path: Path) -> None:
    case, values = with_values(tmp_path, TWO_N)
    qa = 1 - (1 - 10 / 1010) * (1 - 30 / 1030)
    qb = 10 / 510
    exact = (qa * qb + qa) / 2
    data = outages(case, values)
    assert enumerated_unavailability(case, data.q) == pytest.approx(exact, rel=1e-9)
    share, error = sampled_unavailability(case, data.q, 50000, 3)
    assert abs(share - exact) < 4 * error
    triples = 10 / 1010 * 30 / 1030
    assert of(case, values).unavailability == pytest.approx(exact, abs=triples * (qb + 1e-4))


def test_too_much_to_enumerate(tmp_path: Path) -> None:
    case, values = with_values(tmp_path, PARALLEL.format(n=17, racks=9))
    with pytest.raises(ValueError, match="17 elements"):
        enumerated_unavailability(case, outages(case, values).q)


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    """A random chain with breakers, batteries and generators."""
    site: dict[str, Any] = {
        "feeds": {"f": {"count": 2}, "h": {}},
        "generators": {"g": {"rating": "400 kW", "breaker": {}}},
    }
    known = ["f", "h", "g"]
    for k in range(draw(st.integers(1, 6))):
        kind = draw(
            st.sampled_from(["transformers", "boards", "transfer_switches", "ups", "distribution"])
        )
        element: dict[str, Any] = {
            "from": draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True)),
            "count": draw(st.integers(1, 4)),
            "rating": draw(st.sampled_from(["200 kW", "400 kW", "800 kW"])),
            "breaker": {},
        }
        if kind == "ups":
            element |= {"autonomy": draw(st.sampled_from(["10 s", "1 hour"])), "efficiency": 0.95}
        site.setdefault(kind, {})[f"e{k}"] = element
        known.append(f"e{k}")
    fed = draw(st.lists(st.sampled_from(known[2:]), min_size=1, max_size=3, unique=True))
    site["racks"] = {"hall": {"count": draw(st.integers(1, 9)), "from": fed, "power": "80 kW"}}
    return site


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(sites())
def test_pairs_that_are_not_run_lose_what_each_loses_alone(
    tmp_path_factory: pytest.TempPathFactory, site: dict[str, Any]
) -> None:
    case = case_of(tmp_path_factory.mktemp("site"), site)
    racks = screen(case, single_elements(case)).racks
    run = {tuple(pair) for pair in screen_pairs(case)[0].tolist()}
    others = [pair for pair in combinations(range(case.elements), 2) if pair not in run]
    if others:
        lost = screen(case, others).racks
        np.testing.assert_array_equal(lost, [racks[a] + racks[b] for a, b in others])


def test_names(tmp_path: Path) -> None:
    case = case_of(tmp_path, TWO_N)
    assert row_of(case, "single 4") == len(case.net.kind) - 1
    assert case.is_rack(row_of(case, "hall 1"))
    with pytest.raises(IndexError):
        case.name(len(case.net.kind))
