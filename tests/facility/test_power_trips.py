"""Contingencies: what trips, when, and what is left, against calculations by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.facility.power_sites import Trip, case_of, row_of

from firsttoken.facility import power_state
from firsttoken.facility.power_flow import power_flow, power_live
from firsttoken.facility.power_screen import copied, screen, single_elements
from firsttoken.facility.power_system import SOURCES, power_values
from firsttoken.twin.findings import TwinError

LINEUP = """
feeds: {grid: {}}
transformers: {tx: {from: grid, rating: 3 MVA}}
generators: {gen: {rating: 3 MW, start: 10 s, success: 1}}
transfer_switches: {ats: {from: [tx, gen], transfer: 200 ms}}
ups: {ups: {from: ats, rating: 3 MW, efficiency: 0.96, autonomy: 5 minute, recharge: 300 kW}}
distribution: {pdu: {from: ups, count: 4}}
racks: {hall: {count: 10, from: pdu, power: 132 kW}}
towers: {fans: {fan_power: 50 kW, from: ats}}
"""


def test_generators_start_while_the_ups_carries(tmp_path: Path) -> None:
    trip = Trip(case_of(tmp_path, LINEUP), "grid")
    assert (trip.racks, trip.stopped) == (0, 0)
    assert trip.gap == pytest.approx(10.2)  # the fans wait for the start and the transfer
    times = {name: t for t, name, _ in trip.events}
    assert times == pytest.approx({"grid": 0.0, "gen": 10.0, "ats": 10.2})


def test_without_a_generator_racks_last_as_long_as_the_battery(tmp_path: Path) -> None:
    case = case_of(tmp_path, LINEUP)
    trip = Trip(case, "grid", "gen")
    # Energy for 5 minutes at 3 MW and its loss; it carries 1.32 MW at the same efficiency.
    last = 300 * 3e6 / 1.32e6 + 0.02
    assert trip.racks == 10
    assert trip.watts == pytest.approx(1.32e6)
    assert trip.first == pytest.approx(last)
    assert trip.stopped == 1
    refused = case_of(tmp_path, LINEUP, no_start=[row_of(case, "gen")])
    assert Trip(refused, "grid").first == pytest.approx(last)


def test_generators_run_where_there_is_nothing_else(tmp_path: Path) -> None:
    site = """
    generators: {gen: {rating: 1 MW, count: 2, breaker: {}}}
    boards: {main: {from: gen}}
    racks: {hall: {count: 12, from: main, power: 100 kW}}
    """
    case = case_of(tmp_path, site)
    assert case.base.output[:2] == pytest.approx([0.6e6, 0.6e6])
    assert Trip(case, "main").first == pytest.approx(0.02)
    assert Trip(case, "gen 1").first == pytest.approx(60 * 0.5625 / (1.2**2 - 1) + 0.02)


def test_motors_of_the_cooling_load_the_chain(tmp_path: Path) -> None:
    """Pumps: flow x head / efficiency; chillers: heat / COP; fans and overheads as declared."""
    site = """
    feeds: {grid: {}}
    racks: {hall: {count: 2, from: grid, power: 100 kW}}
    loops: {fws: {supply: 25 degC, coolers: [chill], from: grid,
                  pumps: {flow: 100 L/s, head: 300 kPa, efficiency: 0.75}}}
    cdus: {cdu: {water: fws, from: grid, count: 2, pumps: {flow: 20 L/s, efficiency: 0.5}}}
    chillers: {chill: {rating: 500 kW, cop: 5, from: grid}}
    dry_coolers: {dry: {fan_power: 18 kW, count: 3, needed: 2, from: grid}}
    overheads: {office: {power: 30 kW, from: grid}}
    """
    case = case_of(tmp_path, site)
    cooling = 100e-3 * 300e3 / 0.75 + 2 * 20e-3 * 200e3 / 0.5 + 100e3 + 3 * 12e3
    assert case.base.output[0] == pytest.approx(200e3 + cooling + 30e3)
    assert Trip(case, "grid").stopped == 8
    given = case_of(tmp_path, site, powers={"dry": 5e3, "chill": 0.0})
    assert given.base.output[0] == pytest.approx(
        200e3 + cooling + 30e3 - 100e3 - 3 * 12e3 + 3 * 5e3
    )


def test_loads_name_groups_of_the_chain(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="'girt' is no group of the power chain"):
        case_of(tmp_path, "feeds: {grid: {}}\nracks: {hall: {from: girt, power: 1 kW}}")


def test_fuel_runs_out(tmp_path: Path) -> None:
    site = LINEUP.replace("success: 1", "fuel: 4 hour")
    case = case_of(tmp_path, site)
    ats = 1.32e6 / 0.96 + 50e3
    trip = Trip(case, "grid")
    out = next(t for t, _, what in trip.events if what == power_state.OUT_OF_FUEL)
    # After 10.2 s of discharge the battery takes 300 kW until it is full again.
    deficit = (1.32e6 / 0.96) * 10.2
    extra = deficit  # the generator gives that too, before its fuel ends
    assert out == pytest.approx(10.0 + 0.2 + (4 * 3600 * 3e6 - extra) / ats, rel=1e-9)


OVERLOAD = """
feeds: {grid: {}}
transformers: {tx: {from: grid, count: 2, rating: 1 MVA, breaker: {limit: 1, hold: 60 s}}}
boards: {main: {from: tx}}
racks: {hall: {count: 16, from: main, power: 100 kW, ride_through: 20 ms}}
"""


def test_an_overloaded_unit_trips_by_its_inverse_time(tmp_path: Path) -> None:
    # IEEE C37.112 with p = 2: t = K / (M^2 - 1), K = hold (1.25^2 - 1); M = 1.6 of the one left.
    trip = Trip(case_of(tmp_path, OVERLOAD), "tx 1")
    seconds = 60 * (1.25**2 - 1) / (1.6**2 - 1)
    assert trip.overloads == 1
    assert trip.racks == 16
    assert trip.first == pytest.approx(seconds + 0.02)
    assert [name for _, name, what in trip.events if what == power_state.OVERLOADED] == ["tx 2"]


def test_a_breaker_at_its_instant_multiple_trips_at_once(tmp_path: Path) -> None:
    site = OVERLOAD.replace("hold: 60 s", "hold: 60 s, instant: 1.5")
    assert Trip(case_of(tmp_path, site), "tx 1").first == pytest.approx(0.02)


def test_below_its_limit_a_breaker_holds(tmp_path: Path) -> None:
    site = OVERLOAD.replace("limit: 1,", "limit: 1.65,")
    assert Trip(case_of(tmp_path, site), "tx 1").racks == 0


def test_heat_of_a_breaker_adds_up_over_changing_load(tmp_path: Path) -> None:
    # tx 1 trips: M = 1.5 of one left.  After 10 s another load of 0.3 MW moves over: M = 1.8.
    site = """
    feeds: {grid: {}}
    transformers: {tx: {from: grid, count: 2, rating: 1 MVA, breaker: {hold: 60 s}}}
    boards: {main: {from: tx}}
    generators: {gen: {rating: 1 MW, prime: true, fuel: 0 s}}
    ups: {ups: {from: gen, rating: 0.3 MW, storage: 3 MJ, efficiency: 1}}
    transfer_switches: {ats: {from: [ups, main], transfer: 0 s}}
    racks: {hall: {count: 15, from: main, power: 100 kW}, side: {count: 3, from: ats,
            power: 100 kW}}
    """
    trip = Trip(case_of(tmp_path, site), "tx 1", "gen")
    k = 60 * (1.25**2 - 1)
    heat = 10 * (1.5**2 - 1) / k
    seconds = 10 + (1 - heat) * k / (1.8**2 - 1)
    assert trip.first == pytest.approx(seconds + 0.02)


@pytest.mark.parametrize(("transfer", "lost"), [("4 ms", 0), ("19 ms", 0), ("100 ms", 8)])
def test_racks_ride_through_a_fast_transfer_only(tmp_path: Path, transfer: str, lost: int) -> None:
    # ITI (CBEMA) curve: 20 ms without supply is what IT equipment bridges.
    site = f"""
    feeds: {{a: {{}}, b: {{}}}}
    transfer_switches: {{sts: {{from: [a, b], transfer: {transfer}}}}}
    racks: {{hall: {{count: 8, from: sts, power: 100 kW, ride_through: 20 ms}}}}
    """
    trip = Trip(case_of(tmp_path, site), "a")
    assert trip.racks == lost


def test_storage_in_the_rack_bridges_more(tmp_path: Path) -> None:
    site = """
    feeds: {a: {}}
    racks: {hall: {count: 8, from: a, power: 100 kW, storage: 1 MJ}}
    """
    assert Trip(case_of(tmp_path, site), "a").first == pytest.approx(10.02)


def test_a_battery_beside_a_board_holds_it_until_it_is_empty(tmp_path: Path) -> None:
    site = """
    feeds: {grid: {}}
    boards: {main: {from: grid}}
    batteries: {bess: {from: main, count: 2, rating: 1 MW, storage: 100 kWh, round_trip: 0.81}}
    racks: {hall: {count: 10, from: main, power: 100 kW}}
    """
    trip = Trip(case_of(tmp_path, site), "grid")
    assert trip.first == pytest.approx(2 * 360e6 * 0.9 / 1e6 + 0.02)
    # One battery fails as well: the other carries 1 MW alone, half as long.
    trip = Trip(case_of(tmp_path, site), "grid", "bess 1")
    assert trip.first == pytest.approx(360e6 * 0.9 / 1e6 + 0.02)
    small = case_of(tmp_path, site.replace("rating: 1 MW", "rating: 400 kW"))
    assert Trip(small, "grid").first == pytest.approx(0.02)
    other = case_of(tmp_path, site.replace("0.81}", "0.81, use: peak}"))
    assert Trip(other, "grid").first == pytest.approx(0.02)


TWO_N = """
feeds: {a: {}, b: {}}
ups: {ups_a: {from: a, count: 2, rating: 1 MW, autonomy: 60 s, breaker: {}},
      ups_b: {from: b, count: 2, rating: 1 MW, autonomy: 60 s, breaker: {}}}
distribution: {pdu_a: {from: ups_a, count: 4}, pdu_b: {from: ups_b, count: 4}}
racks: {hall: {count: 16, from: [pdu_a, pdu_b], power: 100 kW}}
"""


def test_no_single_element_of_a_2n_system_takes_a_rack_down(tmp_path: Path) -> None:
    case = case_of(tmp_path, TWO_N)
    found = screen(case, single_elements(case))
    assert (found.racks == 0).all()
    assert (found.overloads == 0).all()


def test_of_a_2n_system_pairs_on_both_sides_of_the_same_racks_do(tmp_path: Path) -> None:
    case = case_of(tmp_path, TWO_N)
    assert Trip(case, "pdu_a 1", "pdu_b 1").racks == 4
    assert Trip(case, "pdu_a 1", "pdu_b 2").racks == 0
    assert Trip(case, "ups_a 1", "ups_b 1").racks == 8
    assert Trip(case, "ups_a 1", "ups_b 2").racks == 0
    both = Trip(case, "a", "b")
    assert both.racks == 16
    assert both.first == pytest.approx(60 / 0.4 + 0.02)  # each carries 0.4 MW of 1 MW


def test_four_to_make_three_carries_on_at_three_quarters_load(tmp_path: Path) -> None:
    """Of four blocks at 75 % one is lost: each of the others carries a third more, 100 %."""
    lines = [f"u{k}: {{from: grid, rating: 1 MW, breaker: {{hold: 30 s}}}}" for k in range(4)]
    site = f"""
    feeds: {{grid: {{}}}}
    ups: {{{", ".join(lines)}}}
    racks: {{hall: {{count: 24, from: [u0, u1, u2, u3], feeds: 2, power: POWER}}}}
    """
    case = case_of(tmp_path, site.replace("POWER", "125 kW"))
    for block in range(4):
        assert Trip(case, f"u{block}").racks == 0
    # At 80 % the loss of one is an overload of 1.0667, and then all go.
    case = case_of(tmp_path, site.replace("POWER", "133.3333333333 kW"))
    trip = Trip(case, "u0")
    multiple = 0.8 * 4 / 3
    assert trip.racks == 24
    assert trip.first == pytest.approx(30 * (1.25**2 - 1) / (multiple**2 - 1) + 0.02, rel=1e-6)


@pytest.mark.parametrize(("needed", "lost"), [(2, 0), (3, 12)])
def test_with_fewer_units_than_needed_the_rest_trips(
    tmp_path: Path, needed: int, lost: int
) -> None:
    site = f"""
    feeds: {{grid: {{}}}}
    ups: {{u: {{from: grid, count: 3, needed: {needed}, autonomy: 5 minute}}}}
    boards: {{out: {{from: u}}}}
    racks: {{hall: {{count: 12, from: out, power: 100 kW}}}}
    """
    trip = Trip(case_of(tmp_path, site), "u 1")
    assert trip.racks == lost
    if lost:  # two units carry three halves each of what they carried
        assert trip.first == pytest.approx(60 * 0.5625 / (1.5**2 - 1) + 0.02, rel=1e-4)


def test_a_catcher_takes_one_block_not_two(tmp_path: Path) -> None:
    blocks = [f"u{k}: {{from: grid, rating: 1 MW, breaker: {{}}}}" for k in ("1", "2", "c")]
    site = f"""
    feeds: {{grid: {{}}}}
    ups: {{{", ".join(blocks)}}}
    transfer_switches: {{s1: {{from: [u1, uc], transfer: 4 ms}},
                         s2: {{from: [u2, uc], transfer: 4 ms}}}}
    racks: {{one: {{count: 8, from: s1, power: 100 kW}},
             two: {{count: 8, from: s2, power: 100 kW}}}}
    """
    case = case_of(tmp_path, site)
    assert Trip(case, "u1").racks == 0
    both = Trip(case, "u1", "u2")
    assert both.racks == 16
    assert both.first == pytest.approx(0.004 + 60 * 0.5625 / (1.6**2 - 1) + 0.02)


def test_the_normal_state_comes_back(tmp_path: Path) -> None:
    case = case_of(tmp_path, LINEUP)
    before = copied(case.base)
    one = screen(case, single_elements(case))
    two = screen(case, np.flip(single_elements(case), axis=0))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, np.flip(b, axis=0))
    for a, b in zip(before, case.base, strict=True):
        np.testing.assert_array_equal(a, b)


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    """A random chain without storage, with racks."""
    site: dict[str, Any] = {"feeds": {"f": {"count": 2}, "h": {}}}
    known = ["f", "h"]
    for k in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["transformers", "boards", "transfer_switches"]))
        element: dict[str, Any] = {
            "from": draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True)),
            "count": draw(st.integers(1, 4)),
        }
        if kind == "transformers":
            element |= {"rating": "5 MW", "no_load_loss": "1 kW", "load_loss": "50 kW"}
        if kind == "transfer_switches":
            element |= {"transfer": "0 s"}
        site.setdefault(kind, {})[f"e{k}"] = element
        known.append(f"e{k}")
    fed = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
    site["racks"] = {"hall": {"count": draw(st.integers(1, 9)), "from": fed, "power": "80 kW"}}
    return site


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(sites(), st.randoms(use_true_random=False))
def test_where_a_cascade_ends_the_whole_power_flow_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, site: dict[str, Any], chance: Any
) -> None:
    """Without storage and breakers the end is the flow with the tripped units out of it."""
    from tests.facility.power_sites import load, slots_of

    from firsttoken.facility.power_compile import compile_power
    from firsttoken.facility.power_loads import compile_loads
    from firsttoken.facility.power_screen import build_case, new_work
    from firsttoken.facility.power_trips import restore, run_contingency
    from firsttoken.kernel.parameters import fixed_parameters

    slots = slots_of(load(tmp_path_factory.mktemp("site"), site))
    system = compile_power(slots, "unit")
    loads = compile_loads(slots, system)
    values = fixed_parameters(slots.build.tables()[0])
    case = build_case(system, loads, values)
    rows = len(system)
    state, work, row = copied(case.base), new_work(len(case.net.kind)), np.zeros(7)
    for _ in range(4):
        tripped = np.array(chance.sample(range(rows), min(rows, chance.randint(1, 3))), np.int64)
        run_contingency(case.net, state, work, tripped, 1e6, row)
        units = np.ones(rows)
        units[tripped] = 0.0
        live = np.zeros(rows)
        power_live(system.grid, units, live)
        np.testing.assert_array_equal(state.live[:rows], live)
        demand = np.zeros(rows)
        lost = 0
        feeds = loads[0].feeds
        for i in range(loads[0].units):
            mine = feeds.row[feeds.start[i] : feeds.start[i + 1]]
            share = feeds.share[feeds.start[i] : feeds.start[i + 1]] * live[mine]
            lost += share.sum() == 0
            if share.sum():
                np.add.at(demand, mine, 80e3 * share / share.sum())
        output, taken, loss = (np.empty(rows) for _ in range(3))
        grid = system.grid
        power_flow(grid, power_values(system, values), units, demand, output, taken, loss)
        assert row[0] == lost
        np.testing.assert_allclose(state.output[:rows], output, rtol=1e-9, atol=1e-3)
        assert math.isclose(
            taken[grid.kind <= SOURCES].sum(), (demand + loss).sum(), rel_tol=1e-12, abs_tol=1e-6
        )
        restore(case.net, case.base, state, work)
    for a, b in zip(state, case.base, strict=True):
        np.testing.assert_array_equal(a, b)
