"""Power flow: losses, sharing, topology, books."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.facility.power_sites import Flow, compiled, load, slots_of

from firsttoken.facility.power_compile import compile_power, find_cycle, flow_order
from firsttoken.facility.power_flow import power_books, power_live, power_spread
from firsttoken.facility.power_system import blocks, choice
from firsttoken.facility.rack_rows import rack_rows
from firsttoken.twin.findings import TwinError


def test_losses_of_a_transformer_go_as_the_square_of_its_load(tmp_path: Path) -> None:
    # IEC 60076-1: no-load loss, and load loss at rated current; S = P / power factor.
    site = """
    feeds: {grid: {}}
    transformers: {tx: {from: grid, rating: 2 MVA, power_factor: 0.8, no_load_loss: 3 kW,
                        load_loss: 20 kW}}
    """
    flow = Flow(*compiled(tmp_path, site), {"tx": 0.8e6})
    assert flow.of(flow.loss, "tx") == pytest.approx(3e3 + 20e3 * (1e6 / 2e6) ** 2)
    assert flow.of(flow.input, "grid") == pytest.approx(0.8e6 + 8e3)


def test_efficiency_by_load_is_met_at_its_points_and_loses_at_no_load(tmp_path: Path) -> None:
    site = """
    feeds: {grid: {}}
    ups: {u: {from: grid, count: 2, rating: 1 MW, efficiency: {25: 0.94, 50: 0.96, 100: 0.95}}}
    """
    system, values = compiled(tmp_path, site)
    for load_, efficiency in ((0.25, 0.94), (0.5, 0.96), (1.0, 0.95)):
        flow = Flow(system, values, {"u": 2e6 * load_}, {"u": 2.0})
        assert flow.of(flow.output, "u") / flow.of(flow.input, "u") == pytest.approx(efficiency)
    idle = Flow(system, values, {}, {"u": 2.0})
    quarter, half = 0.25 * (1 / 0.94 - 1), 0.5 * (1 / 0.96 - 1)
    assert idle.of(idle.loss, "u") == pytest.approx(2e6 * (quarter - (half - quarter)))


def test_constant_efficiencies_multiply_along_the_way(tmp_path: Path) -> None:
    site = """
    feeds: {grid: {}}
    ups: {u: {from: grid, efficiency: 0.96}}
    distribution: {pdu: {from: u, efficiency: 0.99}, dc: {from: pdu, efficiency: 0.975}}
    """
    flow = Flow(*compiled(tmp_path, site), {"dc": 1e6})
    assert flow.of(flow.input, "grid") == pytest.approx(1e6 / (0.96 * 0.99 * 0.975))


TWO_SIDES = """
feeds: {a: {rating: 3 MW}, b: {rating: 1 MW}}
generators: {gen: {rating: 1 MW}}
boards: {main: {from: [a, b, gen]}}
transfer_switches: {sts: {from: [main, b]}}
"""


def test_rows_share_by_capacity_switches_take_the_first(tmp_path: Path) -> None:
    system, values = compiled(tmp_path, TWO_SIDES)
    flow = Flow(system, values, {"sts": 1e6, "main": 1e6})
    assert [flow.of(flow.output, n) for n in ("a", "b", "gen")] == [1.5e6, 0.5e6, 0.0]
    flow = Flow(system, values, {"sts": 1e6, "main": 1e6}, {"main": 0.0})
    assert flow.unserved == 1e6
    assert [flow.of(flow.output, n) for n in ("a", "b", "gen")] == [0.0, 1e6, 0.0]


def test_standby_generators_carry_only_what_nothing_else_can(tmp_path: Path) -> None:
    system, values = compiled(tmp_path, TWO_SIDES)
    flow = Flow(system, values, {"main": 1e6}, {"a": 0.0, "b": 0.0})
    assert flow.of(flow.output, "gen") == 1e6
    assert flow.unserved == 0.0


def test_a_limit_of_the_feed_moves_load_to_on_site_generation(tmp_path: Path) -> None:
    site = """
    feeds: {grid: {rating: 3 MW}}
    generators: {turbines: {rating: 1 MW, prime: true}}
    boards: {main: {from: [grid, turbines]}}
    """
    flow = Flow(*compiled(tmp_path, site), {"main": 2e6})
    assert flow.of(flow.output, "turbines") == 0.5e6
    from firsttoken.facility.power_flow import power_flow

    flow.values.limit[flow.names.index("grid")] = 1e6
    arrays = (flow.demand, flow.output, flow.input, flow.loss)
    power_flow(flow.system.grid, flow.values, flow.units, *arrays)
    assert flow.of(flow.output, "turbines") == 1e6


def test_batteries_lose_as_much_on_the_way_in_as_out(tmp_path: Path) -> None:
    site = """
    feeds: {grid: {}}
    boards: {main: {from: grid}}
    batteries: {bess: {from: main, storage: 1 MWh, round_trip: 0.81}}
    """
    system, values = compiled(tmp_path, site)
    charge = Flow(system, values, {"bess": 9e5})
    assert charge.of(charge.input, "grid") == pytest.approx(1e6)  # cells take 0.9 of 1 MW
    give = Flow(system, values, {"bess": -1e6, "main": 5e6})
    assert give.of(give.input, "grid") == pytest.approx(5e6 - 0.9e6)


@pytest.mark.parametrize(
    ("sources", "units", "expected"),
    [
        (4, 2, [[0, 1], [2, 3]]),
        (2, 4, [[0], [0], [1], [1]]),
        (3, 2, [[0], [1, 2]]),
        (1, 3, [[0], [0], [0]]),
    ],
)
def test_units_are_fed_by_blocks(sources: int, units: int, expected: list[list[int]]) -> None:
    assert [list(blocks(sources, units, u)) for u in range(units)] == expected


def test_four_to_make_three_goes_through_all_pairs_equally_often() -> None:
    turns = [choice(4, 2, u) for u in range(12)]
    assert len(set(turns)) == 12
    for position in (0, 1):
        assert sorted(turn[position] for turn in turns) == sorted([0, 1, 2, 3] * 3)
    # When one of four is lost, each of the others takes a third of its load.
    left = [1.0 if 0 in turn else 0.5 for turn in turns for source in turn if source != 0]
    assert sum(left) == 12


def test_a_circle_is_named() -> None:
    assert find_cycle({"a": ["b"], "b": ["c"], "c": ["a"], "d": []}) == ["a", "b", "c", "a"]
    assert find_cycle({"a": ["b"], "b": [], "c": ["a", "b"]}) == []
    assert flow_order({"pdu": ["ups"], "ups": ["grid"], "grid": []}) == ["grid", "ups", "pdu"]


@pytest.mark.parametrize(
    ("site", "what"),
    [
        ("boards: {a: {from: b}, b: {from: a}}", "power flows in a circle: a <- b <- a"),
        ("boards: {a: {from: grit}}\nfeeds: {grid: {}}", "'grit' is no group"),
        ("feeds: {g: {}}\nups: {u: {from: g, efficiency: {50: 0.9, 100: 0.9}}}", "'rating'"),
        (
            "feeds: {g: {}}\nups: {u: {from: g, rating: 1 MW, efficiency: {0: 0.5, 100: 0.9}}}",
            "no_load_loss",
        ),
    ],
)
def test_what_cannot_be_compiled_is_said(tmp_path: Path, site: str, what: str) -> None:
    twin = load(tmp_path, site)
    with pytest.raises(TwinError, match=what) as raised:
        compile_power(slots_of(twin))
    assert "twin.yaml:" in str(raised.value)


def test_units_without_a_greatest_number_cannot_be_told_apart(tmp_path: Path) -> None:
    site = "feeds: {g: {count: 'lognormal(3, 1)'}}"
    with pytest.raises(TwinError, match="greatest number"):
        compiled(tmp_path, site, "unit")


def test_too_many_units_cannot_be_told_apart(tmp_path: Path) -> None:
    site = "feeds: {g: {count: 100001}}"
    with pytest.raises(TwinError, match="100,001 units are too many to be told apart"):
        compiled(tmp_path, site, "unit")
    site = "feeds: {g: {}}\nracks: {r: {count: 1000000, power: 1 kW, from: g}}"
    slots = slots_of(load(tmp_path, site))
    with pytest.raises(TwinError, match="1,000,000 units are too many") as raised:
        rack_rows(slots, "unit")
    assert "twin.yaml:" in str(raised.value)
    assert len(rack_rows(slots, "group")) == 1


def test_loads_move_to_the_feed_that_is_left(tmp_path: Path) -> None:
    site = "feeds: {a: {}, b: {}}\ngenerators: {g: {}}"
    system, _ = compiled(tmp_path, site)
    feeds = system.attach(["a", "b", "g"], None, 1)
    demand, live, load_ = np.zeros(3), np.zeros(3), np.array([1e6])
    for units, expected in (
        ([1.0, 1.0, 1.0], [0.5e6, 0.5e6, 0.0]),
        ([0.0, 1.0, 1.0], [0.0, 1e6, 0.0]),
        ([0.0, 0.0, 1.0], [0.0, 0.0, 1e6]),
    ):
        power_live(system.grid, np.array(units), live)
        demand[:] = 0.0
        assert power_spread(system.grid, feeds, live, load_, demand) == 0.0
        assert demand.tolist() == expected
    assert power_spread(system.grid, feeds, np.zeros(3), load_, demand) == 1e6


@st.composite
def chains(draw: st.DrawFn) -> dict[str, Any]:
    """A random chain of every kind of element, and demand on it."""
    site: dict[str, Any] = {"feeds": {"f": {"rating": "9 MW"}}, "generators": {"g": {}}}
    known = ["f", "g"]
    for k in range(draw(st.integers(1, 7))):
        collection = draw(
            st.sampled_from(["transformers", "boards", "transfer_switches", "ups", "distribution"])
        )
        sources = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
        element: dict[str, Any] = {"from": sources, "rating": f"{draw(st.integers(1, 5))} MW"}
        element["count"] = draw(st.integers(1, 5))
        element |= draw(
            st.sampled_from(
                [
                    {},
                    {"efficiency": 0.9},
                    {"no_load_loss": "1 kW", "load_loss": "9 kW"},
                    {"efficiency": {20: 0.9, 60: 0.95, 100: 0.94}},
                ]
            )
        )
        site.setdefault(collection, {})[f"e{k}"] = element
        known.append(f"e{k}")
    return site


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(chains(), st.randoms(use_true_random=False), st.booleans())
def test_books_balance_whatever_is_connected_and_has_failed(
    tmp_path_factory: pytest.TempPathFactory, site: dict[str, Any], chance: Any, by_unit: bool
) -> None:
    folder = tmp_path_factory.mktemp("chain")
    system, values = compiled(folder, site, "unit" if by_unit else "group")
    names = [system.row_name(row) for row in range(len(system))]
    demand = {name: chance.uniform(0, 1e6) for name in names}
    units = {name: float(chance.random() < 0.8) for name in names}
    flow = Flow(system, values, demand, units)
    books = power_books(system.grid, flow.demand, flow.input, flow.loss, flow.unserved)
    assert books < 1e-12
    assert (flow.output >= 0).all()
    assert (flow.loss >= 0).all()
    assert (flow.output[flow.units == 0] == 0).all()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(chains())
def test_equal_units_flow_as_their_group(
    tmp_path_factory: pytest.TempPathFactory, site: dict[str, Any]
) -> None:
    """With one count everywhere, blocks are one to one, and units are the group divided."""
    folder = tmp_path_factory.mktemp("chain")
    for collection in site.values():
        for element in collection.values():
            element["count"] = 2
    last = [name for collection in site.values() for name in collection][-1]
    system, values = compiled(folder, site)
    twos = dict.fromkeys((name for _, name in system.groups), 2.0)
    group = Flow(system, values, {last: 2e6}, twos)
    units, values = compiled(folder, site, "unit")
    single = Flow(units, values, {f"{last} 1": 1e6, f"{last} 2": 1e6})
    for _, name in system.groups:
        both = sum(single.of(single.input, f"{name} {k}") for k in (1, 2))
        assert both == pytest.approx(group.of(group.input, name))
