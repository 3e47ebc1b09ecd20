"""Sites over time, held against sums by hand, theory, and laws of conservation."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.facility.sites import CHAIN, COOLED, compiled, count, energies, ran

from firsttoken.facility import simulate_state as of
from firsttoken.facility.simulate import simulate, snapshot
from firsttoken.kernel.replicate import CancelledError
from firsttoken.twin.findings import TwinError

DAYS = 10
HOURS = 24.0 * DAYS


def changed(site: dict[str, Any], **paths: Any) -> dict[str, Any]:
    """A copy with fields changed; `racks__r__load=0.5`."""
    found = copy.deepcopy(site)
    for path, value in paths.items():
        *way, last = path.split("__")
        node = found
        for key in way:
            node = node.setdefault(key, {})
        node[last] = value
    return found


# Power --------------------------------------------------------------------------------------


def test_constant_efficiencies_multiply(tmp_path: Path) -> None:
    found = ran(tmp_path, CHAIN)
    energy = energies(found)
    assert energy["it"] == pytest.approx(1.0 * HOURS)
    assert energy["input"] == pytest.approx(HOURS / (0.98 * 0.95))
    assert energy["loss"] == pytest.approx(HOURS * (1 / (0.98 * 0.95) - 1))
    assert count(found, of.PEAK) == pytest.approx(1e6 / (0.98 * 0.95))


def test_overheads_and_no_load_losses_by_hand(tmp_path: Path) -> None:
    """PUE = (P + no-load + load loss + overhead) / P with P at half the transformer's rating."""
    site = {
        "feeds": {"grid": {}},
        "transformers": {
            "main": {
                "from": "grid", "rating": "2.1 MW", "no_load_loss": "4 kW", "load_loss": "16 kW"
            }
        },
        "racks": {"r": {"count": 10, "power": "100 kW", "from": "main"}},
        "overheads": {"office": {"power": "50 kW", "from": "main"}},
    }  # fmt: skip
    found = ran(tmp_path, site)
    assert count(found, of.INPUT) / count(found, of.IT) == pytest.approx(1.058, abs=1e-9)
    assert energies(found)["overhead"] == pytest.approx(0.05 * HOURS)


def test_load_runs_between_idle_and_full(tmp_path: Path) -> None:
    """Six days at 25 %: 10 x (20 + 0.25 x 80) kW; four days at 100 %."""
    load = {"2026-01-05": 0.25, "2026-01-11": 1}
    found = ran(tmp_path, changed(CHAIN, racks__r__load=load))
    assert energies(found)["it"] == pytest.approx(24 * (6 * 0.4 + 4 * 1.0))


def test_energy_does_not_depend_on_the_step(tmp_path: Path) -> None:
    load = {"interpolate": "linear", "2026-01-05": 0, "2026-01-12": 1}
    site = changed(CHAIN, racks__r__load=load)
    coarse = energies(ran(tmp_path, changed(site, step="6 hour")))["it"]
    fine = energies(ran(tmp_path, changed(site, step="7 minute")))["it"]
    assert coarse == pytest.approx(fine, rel=1e-9)
    # seven days of a ramp from 0.2 to 1 MW, three days at 1 MW
    assert coarse == pytest.approx(24 * (7 * 0.6 + 3 * 1.0))


def test_units_of_values_are_one(tmp_path: Path) -> None:
    one = changed(
        CHAIN, racks__r__power="100 kW", feeds__grid__price="50 USD/MWh",
        feeds__grid__carbon="300 g/kWh",
    )  # fmt: skip
    other = changed(
        CHAIN, racks__r__power="0.1 MW", feeds__grid__price="0.05 USD/kWh",
        feeds__grid__carbon="0.3 t/MWh",
    )  # fmt: skip
    first, second = ran(tmp_path, one), ran(tmp_path, other)
    assert np.allclose(first.period, second.period, rtol=1e-12)
    used = energies(first)["input"]
    assert count(first, of.COST) == pytest.approx(50 * used)
    assert count(first, of.CARBON) == pytest.approx(300 * used)


def test_a_site_without_a_chain_takes_what_its_racks_take(tmp_path: Path) -> None:
    found = ran(tmp_path, {"racks": {"r": {"count": 2, "draws": "30 kW"}}})
    assert energies(found)["input"] == energies(found)["it"] == pytest.approx(0.06 * HOURS)


def test_racks_keep_to_what_the_utility_allows(tmp_path: Path) -> None:
    """At a limit of 0.5 MW the racks get 0.5 x 0.98 x 0.95 MW."""
    limit = {"2026-01-05": "5 MW", "2026-01-10": "0.5 MW"}
    found = ran(tmp_path, changed(CHAIN, feeds__grid__limit=limit))
    given = 0.5 * 0.98 * 0.95
    assert energies(found)["it"] == pytest.approx(5 * 24 * (1.0 + given), rel=2e-4)
    assert count(found, of.THROTTLED) / 3600 == pytest.approx(5 * 24 * 10)
    assert count(found, of.LOST) / 3600 == pytest.approx(5 * 24 * 10 * (1 - given), rel=1e-3)


def test_ramps_are_kept(tmp_path: Path) -> None:
    """From 20 to 100 kW at 10 W/s takes 8000 s."""
    load = {"2026-01-05": 0, "2026-01-06": 1}
    site = changed(CHAIN, racks__r__load=load, racks__r__ramp_up="10 W/s", step="100 s")
    found = ran(tmp_path, site, trace=True)
    power = found.trace[:, of.TRACES.index("it_power")] / 10
    first = 86400 // 100
    rise = np.minimum(20e3 + 1000.0 * np.arange(1, 101), 100e3)
    assert power[first - 1] == pytest.approx(20e3)
    assert power[first : first + 100] == pytest.approx(rise)


# Failures, closures -------------------------------------------------------------------------


def test_availability_is_that_of_renewal_theory(tmp_path: Path) -> None:
    """Mean availability over T of a unit that begins in order (Barlow and Proschan 1965, 3.4):
    m / (l + m) + l / (l + m)^2 / T (1 - exp(-(l + m) T)), with l = 1 / MTBF and m = 1 / MTTR."""
    site = changed(CHAIN, ups__a__mtbf="40 hour", ups__a__mttr="10 hour", step="15 minute")
    found = ran(tmp_path, site, replications=600)
    share = (found.period[..., of.AVAILABLE] / found.period[..., of.INSTALLED])[:, 0]
    fail, repair = 1 / 40, 1 / 10
    rate = fail + repair
    expected = repair / rate + fail / rate**2 / HOURS * (1 - np.exp(-rate * HOURS))
    error = share.std(ddof=1) / np.sqrt(len(share))
    assert abs(share.mean() - expected) < 4 * error
    assert error < 0.01


def test_the_other_source_takes_over(tmp_path: Path) -> None:
    """Racks on A and B: with A closed nothing is lost, with both closed all is."""
    site = changed(
        CHAIN, ups__b={"from": "main", "efficiency": 0.9}, racks__r__from=["a", "b"], step="1 hour"
    )
    close = "disruptions: [{close: facility.x.ups.a, from: 2026-01-06, for: 2 day}, {close: "
    close += "facility.x.ups.b, from: 2026-01-07, for: 3 day}]"
    found = ran(tmp_path, site, close, trace=True)
    power = found.trace[:, of.TRACES.index("it_power")].reshape(DAYS, 24)
    assert power[[0, 1, 3, 4]] == pytest.approx(np.full((4, 24), 1e6))
    assert (power[2] == 0).all()
    taken = found.trace[:, 0].reshape(DAYS, 24)[:, 12]
    both = (0.5 / 0.95 + 0.5 / 0.9) / 0.98 * 1e6
    assert taken[[0, 1, 3, 5]] == pytest.approx([both, 1e6 / 0.9 / 0.98, 1e6 / 0.95 / 0.98, both])


def test_standby_generators_carry_what_no_feed_does(tmp_path: Path) -> None:
    site = changed(CHAIN, generators__g={"rating": "2 MW"}, transformers__main__from=["grid", "g"])
    close = "disruptions: [{close: facility.x.feeds.grid, from: 2026-01-07, for: 36 hour}]"
    energy = energies(ran(tmp_path, site, close))
    assert energy["generator"] == pytest.approx(36 / (0.98 * 0.95))
    assert energy["it"] == pytest.approx(HOURS)


def test_racks_that_come_later(tmp_path: Path) -> None:
    count_ = {"2026-01-05": 4, "2026-01-08": 10}
    slip = "disruptions: [{slip: facility.x.racks.r, by: 2 day, from: 2026-01-06}]"
    site = changed(CHAIN, racks__r__count=count_)
    assert energies(ran(tmp_path, site))["it"] == pytest.approx(24 * (3 * 0.4 + 7 * 1.0))
    assert energies(ran(tmp_path, site, slip))["it"] == pytest.approx(24 * (5 * 0.4 + 5 * 1.0))
    units = ran(tmp_path, changed(site, detail="unit"))
    assert energies(units)["it"] == pytest.approx(24 * (3 * 0.4 + 7 * 1.0))


# Heat ---------------------------------------------------------------------------------------

HOT: dict[str, Any] = {
    **COOLED,
    "towers": {},
    "loops": {"fws": {"supply": "25 degC", "coolers": ["dry"], "from": "main", "pumps": {}}},
    "dry_coolers": {"dry": {"rating": "1 MW", "count": 2, "approach": "8 K", "from": "main"}},
}


@pytest.mark.parametrize("step", ["1 minute", "1 hour"])
def test_warm_coolant_throttles_in_proportion(tmp_path: Path, step: str) -> None:
    """At 31 to 35 C of supply racks fall in a straight line from full power to idle."""
    site = changed(
        HOT, warmer={"2026-01-05": "0 K", "2026-01-07": "16 K", "2026-01-09": "0 K"}, step=step,
        racks__r__warmest="31 degC", racks__r__throttle="4 K",
    )  # fmt: skip
    found = ran(tmp_path, site, "horizon: 6 day", trace=True)
    supply = found.trace[:, of.TRACES.index("supply")] - 273.15
    power = found.trace[:, of.TRACES.index("it_power")] / 1e6
    expected = 1.0 - 0.8 * np.clip((supply - 31.0) / 4.0, 0.0, 1.0)
    assert expected.min() < 0.9
    assert power == pytest.approx(expected, abs=0.002)
    assert power[-1] == pytest.approx(1.0)


def test_racks_cooled_by_air_throttle_too(tmp_path: Path) -> None:
    site = changed(
        HOT, warmer="16 K", racks__r__warmest="24 degC", racks__r__throttle="20 K",
        air_units__crah__count=12, air_units__crah__rating="120 kW",
    )  # fmt: skip
    del site["racks"]["r"]["cooled_by"], site["racks"]["r"]["liquid"]
    found = ran(tmp_path, site, "horizon: 2 day", trace=True)
    supply = found.trace[-1, of.TRACES.index("supply")] - 273.15
    power = found.trace[-1, of.TRACES.index("it_power")] / 1e6
    assert supply > 26
    assert power == pytest.approx(1.0 - 0.8 * (supply - 24) / 20, abs=0.002)


def test_heat_wave_costs_water_and_power(tmp_path: Path) -> None:
    base = ran(tmp_path, COOLED)
    wave = ran(tmp_path, changed(COOLED, warmer={"2026-01-05": "8 K"}))
    for column in (of.WATER, of.MOTORS, of.WARMEST):
        assert count(wave, column) >= count(base, column)
    assert count(wave, of.WATER) > count(base, of.WATER)
    # Nearly all heat leaves by evaporation: 2.4 MJ/kg, a quarter more for blow-down at 4 cycles.
    heat = 1e6 * HOURS * 3600
    assert 0.5 * heat / 2.4e6 < count(wave, of.WATER) < 1.6 * heat / 2.4e6


@st.composite
def sites(draw: st.DrawFn) -> dict[str, Any]:
    """Chains of any depth with racks, cooling, overheads and failures."""
    numbers = st.floats(0.5, 1.0, allow_nan=False)
    site = copy.deepcopy(COOLED)
    site["detail"] = draw(st.sampled_from(["group", "unit"]))
    site["step"] = draw(st.sampled_from(["1 hour", "17 minute", "5 hour"]))
    site["warmer"] = f"{draw(st.floats(-20, 25)):.3f} K"
    site["ups"]["a"] |= {
        "efficiency": round(draw(numbers), 4),
        "count": draw(st.integers(1, 4)),
        "rating": "400 kW",
    }
    site["racks"]["r"] |= {
        "load": round(draw(st.floats(0, 1)), 4),
        "count": draw(st.integers(1, 12)),
        "warmest": "30 degC",
        "liquid": round(draw(st.floats(0, 1)), 4),
    }
    site["overheads"] = {"o": {"power": f"{draw(st.integers(0, 90))} kW", "from": "main"}}
    if draw(st.booleans()):
        site["cdus"]["cdu"] |= {"mtbf": "50 hour", "mttr": "20 hour"}
        site["ups"]["a"] |= {"mtbf": "50 hour", "mttr": "20 hour"}
    return site


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(site=sites())
def test_energy_is_conserved(
    tmp_path_factory: pytest.TempPathFactory, site: dict[str, Any]
) -> None:
    """What the site takes is what racks, motors, overheads and losses take."""
    folder = tmp_path_factory.mktemp("site")
    found = ran(folder, site, "horizon: 4 day", trace=True)
    energy = energies(found)
    spent = energy["it"] + energy["loss"] + energy["motors"] + energy["overhead"]
    missing = count(found, of.UNSERVED) / 3.6e9
    assert energy["input"] + missing == pytest.approx(spent, rel=1e-9)
    assert min(energy.values()) >= 0
    assert count(found, of.WATER) >= 0
    assert found.group[0, :, of.ROW_ENERGY].sum() >= energy["it"] * 3.6e9 * (1 - 1e-9)
    assert (found.trace[:, 0] * 1.0000001 >= found.trace[:, 1]).all()


def test_equal_units_are_their_group(tmp_path: Path) -> None:
    """Each of four racks, PDUs, UPS and CDUs carries a quarter of what the group does."""
    site = changed(
        COOLED, racks__r__count=4, ups__a={"from": "main", "rating": "200 kW", "count": 4,
        "efficiency": {20: 0.9, 50: 0.95, 100: 0.96}}, cdus__cdu__count=4, air_units__crah__count=4,
        racks__r__load={"2026-01-05": 0.3, "2026-01-09": 1}, warmer="20 K", towers__tower__count=1,
    )  # fmt: skip
    group = ran(tmp_path, site)
    unit = ran(tmp_path, changed(site, detail="unit"))
    assert unit.period == pytest.approx(group.period, rel=1e-8, abs=1e-6)
    assert len(unit.unit) > len(group.unit)
    racks = unit.unit[:4, of.ROW_ENERGY]
    assert racks == pytest.approx(np.full(4, group.unit[0, of.ROW_ENERGY] / 4))


# The engine's contract ----------------------------------------------------------------------

UNCERTAIN = changed(
    COOLED,
    racks__r__power="triangular(90, 100, 120) kW",
    racks__r__load="normal(0.7, 0.1) each period",
    cdus__cdu__mtbf="100 hour",
    cdus__cdu__mttr="10 hour",
)


def test_results_do_not_depend_on_threads(tmp_path: Path) -> None:
    system = compiled(tmp_path, UNCERTAIN)
    one = simulate(system, 9, 3, threads=1)
    two = simulate(system, 9, 3, threads=2)
    for name in ("period", "hour", "month", "group", "unit"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert simulate(system, 4, 3).period.tobytes() == one.period[:4].tobytes()
    assert not np.array_equal(one.period[0], one.period[1])


def test_noise_is_that_of_the_hour(tmp_path: Path) -> None:
    load = "normal(0.6, 0.1) each period"
    energy = [
        energies(ran(tmp_path, changed(CHAIN, racks__r__load=load, step=step)))["it"]
        for step in ("1 hour", "10 minute", "1 minute")
    ]
    assert energy[1:] == pytest.approx([energy[0]] * 2, rel=1e-12)
    # mean 0.2 + 0.8 x 0.6 MW; the standard error over 240 hours is 0.08 / sqrt(240)
    assert energy[0] / HOURS == pytest.approx(0.68, abs=4 * 0.08 / np.sqrt(HOURS))


def test_a_state_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    system = compiled(tmp_path, changed(UNCERTAIN, racks__r__ramp_up="2 W/s"))
    whole = simulate(system, 1, 5, trace=True)
    state = snapshot(system, 5, 0, 4 * 86400.0)
    rest = simulate(system, 1, 5, initial_state=state, trace=True)
    assert rest.trace[96:].tobytes() == whole.trace[96:].tobytes()
    assert rest.time == 6 * 86400.0
    futures = simulate(system, 5, 6, initial_state=state)
    assert len(np.unique(futures.period[:, :, of.IT])) == 5


def test_states_of_other_sites_are_refused(tmp_path: Path) -> None:
    state = snapshot(compiled(tmp_path, CHAIN), 1, 0, 86400.0)
    with pytest.raises(TwinError, match="another site"):
        simulate(compiled(tmp_path, COOLED), 1, 1, initial_state=state)
    with pytest.raises(TwinError, match="after the end"):
        simulate(compiled(tmp_path, CHAIN, "horizon: 1 day"), 1, 1, initial_state=state)


def test_cancel_stops_within_a_replication(tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError):
        ran(tmp_path, changed(CHAIN, step="1 s"), cancel=cancel)


# Batteries ----------------------------------------------------------------------------------


def test_batteries_shave_peaks(tmp_path: Path) -> None:
    """A feed of 0.9 MW, racks of 1 MW by day and 0.6 MW by night, 2 MWh of lossless cells.

    By day the cells give 0.1 MW for 12 hours, by night they take it back: nothing is throttled.
    """
    levels = {f"2026-01-{5 + d:02d}T{h:02d}:00": load
              for d in range(10) for h, load in ((0, 0.5), (12, 1))}  # fmt: skip
    site = {
        "feeds": {"grid": {"limit": "0.9 MW"}},
        "boards": {"mv": {"from": "grid"}},
        "batteries": {
            "cells": {
                "from": "mv", "rating": "0.5 MW", "storage": "2 MWh", "round_trip": 1, "use": "peak"
            }
        },
        "racks": {"r": {"count": 10, "power": "100 kW", "idle": "20 kW", "from": "mv"}},
    }  # fmt: skip
    site["racks"]["r"]["load"] = levels
    found = ran(tmp_path, site, trace=True)
    power = found.trace[:, 0].reshape(DAYS, 24)
    racks = found.trace[:, of.TRACES.index("it_power")].reshape(DAYS, 24)
    assert racks[:, 12:] == pytest.approx(np.full((DAYS, 12), 1e6))
    assert power[:, 12:] == pytest.approx(np.full((DAYS, 12), 0.9e6))
    assert count(found, of.THROTTLED) == 0
    energy = energies(found)
    charged = count(found, of.CHARGED) / 3.6e9
    assert energy["input"] == pytest.approx(energy["it"] + charged)
    assert charged == pytest.approx(-1.2)  # full at the start, empty by 1.2 MWh in the end
    small = changed(site, batteries__cells__storage="0.6 MWh")
    cut = ran(tmp_path, small, trace=True)
    racks = cut.trace[:, of.TRACES.index("it_power")].reshape(DAYS, 24)
    assert racks[3, 12:18] == pytest.approx(np.full(6, 1e6))
    assert racks[3, 18:] == pytest.approx(np.full(6, 0.9e6), rel=2e-4)


def test_batteries_give_all_they_can_before_racks_are_cut(tmp_path: Path) -> None:
    """A feed of 0.6 MW and cells of 0.2 MW carry 0.8 MW of 1 MW; after 8 hours they are empty.

    The rating is that at the terminals: with 0.81 for the round trip cells hand on 0.9 of their
    energy, so 0.2 MW last for 1.8 MWh x 0.9 / 0.2 MW = 8.1 hours.
    """
    site = {
        "feeds": {"grid": {"limit": {"2026-01-05": "0.6 MW", "2026-01-06": "2 MW"}}},
        "boards": {"mv": {"from": "grid"}},
        "batteries": {
            "cells": {
                "from": "mv", "rating": "200 kW", "storage": "1.8 MWh", "round_trip": 0.81,
                "use": "peak",
            }
        },
        "racks": {"r": {"count": 10, "power": "100 kW", "idle": "0 kW", "from": "mv"}},
    }  # fmt: skip
    found = ran(tmp_path, site, trace=True)
    racks = found.trace[:, of.TRACES.index("it_power")]
    assert racks[:8] == pytest.approx(np.full(8, 0.8e6), rel=2e-3)
    assert racks[9:24] == pytest.approx(np.full(15, 0.6e6), rel=2e-3)
    assert racks[:24].sum() == pytest.approx(0.6e6 * 24 + 1.8e6 * 0.9, rel=1e-3)
    assert found.trace[24, 0] == pytest.approx(1.2e6)  # racks, and 0.2 MW of charging
