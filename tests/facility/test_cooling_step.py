"""One step of the cooling plant: ratings, books, control, dynamics, published relations."""

from __future__ import annotations

import csv
import lzma
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from tests.facility.cooling_sites import STANDARD, ZERO, Plant

from firsttoken.facility import air
from firsttoken.facility.cooling_system import (
    ENTERING,
    EVAPORATION,
    FLOW,
    HEAT,
    LEAVING,
    LOAD,
    MAKE_UP,
    PUMPS,
    RETURN,
    SPEED,
    SUPPLY,
    WATER_FLOW,
)

HEAD = "pumps: {head: 0 Pa}"

DRY = f"""
racks: {{r: {{cooled_by: c, power: 1 MW, liquid: 1}}}}
cdus: {{c: {{rating: 1 MW, water: w, approach: 4 K, {HEAD}}}}}
loops: {{w: {{supply: 5 degC, coolers: [d], {HEAD}}}}}
dry_coolers: {{d: {{rating: 1 MW, approach: 8 K, range: 10 K, fan_power: 15 kW}}}}
"""

FULL = """
racks:
  a: {count: 8, cooled_by: c, air_by: h, power: 135 kW, liquid: 0.85}
  b: {count: 4, air_by: h, power: 40 kW}
cdus: {c: {count: 2, rating: 600 kW, water: w, approach: 4 K, supply: 32 degC}}
air_units: {h: {count: 4, rating: 110 kW, water: w, supply: 30 degC}}
loops: {w: {supply: 24 degC, coolers: [d, t, x, y], volume: 20 m**3}}
dry_coolers: {d: {count: 2, rating: 400 kW, adiabatic: 0.7}}
towers: {t: {rating: 300 kW}, k: {rating: 1 MW, range: 5.5 K}}
chillers:
  x: {rating: 500 kW, rejects_to: k, pumps: {head: 150 kPa}}
  y: {rating: 500 kW}
"""


def full(folder: Path) -> Plant:
    plant = Plant(folder, FULL)
    plant.liquid[:] = 8 * 135e3 * 0.85, 0.0
    plant.air[:] = 8 * 135e3 * 0.15, 4 * 40e3
    plant.flow[:] = 8 * 135 * 0.85 * 1.5 / 6e4, 0.0
    return plant


# Ratings ------------------------------------------------------------------------------------


def test_every_rating_gives_its_approach(tmp_path: Path) -> None:
    plant = Plant(tmp_path, DRY)
    plant.liquid[:] = 1e6
    plant.step(dry=30.0, times=8)
    assert plant.at("d", LEAVING) - ZERO == pytest.approx(38.0, abs=1e-3)
    assert plant.at("d", ENTERING) - ZERO == pytest.approx(48.0, abs=1e-3)
    assert plant.supply[0] - ZERO == pytest.approx(42.0, abs=2e-3)
    assert plant.motor[plant.row("d")] == pytest.approx(15e3)


def test_tower_at_its_rating_and_evaporation_by_the_air(tmp_path: Path) -> None:
    site = f"""
racks: {{r: {{cooled_by: c, power: 1 MW, liquid: 1}}}}
cdus: {{c: {{rating: 1 MW, water: w, {HEAD}}}}}
loops: {{w: {{supply: 5 degC, coolers: [t], {HEAD}}}}}
towers: {{t: {{rating: 1 MW, approach: 4 K, wet_bulb: 25 degC, range: 6 K, cycles: 5, drift: 0}}}}
"""
    plant = Plant(tmp_path, site)
    plant.liquid[:] = 1e6
    plant.step(dry=35.0, wet=25.0, times=6)
    row = plant.row("t")
    given = plant.at("t", HEAT)
    assert given == pytest.approx(1e6, rel=1e-6)
    # evaporation: dry air's flow and the humidity it takes up, leaving saturated (Merkel)
    mass = plant.values.air_mass[row]
    before = air.ratio_of_wet_bulb(35.0 + ZERO, 25.0 + ZERO, STANDARD)
    enthalpy = air.enthalpy(35.0 + ZERO, before) + given / mass
    low, high = 290.0, 330.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if air.saturated_enthalpy(middle, STANDARD) > enthalpy:
            high = middle
        else:
            low = middle
    expected = mass * (air.saturated_ratio(low, STANDARD) - before)
    assert plant.at("t", EVAPORATION) == pytest.approx(expected, rel=0.02)
    # cycles of concentration: make-up over blow-down
    assert plant.at("t", MAKE_UP) == pytest.approx(plant.at("t", EVAPORATION) * 5 / 4)
    assert plant.water[row] == pytest.approx(plant.at("t", MAKE_UP) * 3600.0)


YORK = (
    *(-0.359741205, -0.055053608, 0.0023850432, 0.173926877, -0.0248473764, 0.00048430224),
    *(-0.005589849456, 0.0005770079712, -0.00001342427256, 2.84765801111111, -0.121765149),
    *(0.0014599242, 1.680428651, -0.0166920786, -0.0007190532, -0.025485194448),
    *(0.0000487491696, 0.00002719234152, -0.0653766255555556, -0.002278167, 0.0002500254),
    *(-0.0910565458, 0.00318176316, 0.000038621772, -0.0034285382352, 0.00000856589904),
    -0.000001516821552,
)


def york(wet: float, span: float, ratio: float) -> float:
    """Approach of a York tower (EnergyPlus Engineering Reference, CoolingTower:VariableSpeed)."""
    terms = [wet**i * span**j * ratio**k for k in range(3) for j in range(3) for i in range(3)]
    return sum(c * t for c, t in zip(YORK, terms, strict=True))


@pytest.mark.parametrize("wet", [12.0, 16.0, 20.0, 25.6])
@pytest.mark.parametrize("share", [0.5, 0.75, 1.0])
def test_tower_away_from_its_rating_against_york(tmp_path: Path, wet: float, share: float) -> None:
    """Approach at full fan speed by wet bulb and load, against EnergyPlus' York correlation.

    Rated as that: 25.6 degC wet bulb, 5.56 K range; its approach there is 3.9 K.
    """
    rated = york(25.6, 5.56, 1.0)
    assert rated == pytest.approx(3.9, abs=0.1)
    site = f"""
racks: {{r: {{cooled_by: c, power: 1 MW, liquid: 1}}}}
cdus: {{c: {{rating: 1 MW, water: w, fluid: water, pumps: {{flow: 43 L/s, head: 0 Pa}}}}}}
loops: {{w: {{supply: 1 degC, coolers: [t], {HEAD}}}}}
towers: {{t: {{rating: 1 MW, approach: {rated} K, wet_bulb: 25.6 degC, range: 5.56 K}}}}
"""
    plant = Plant(tmp_path, site)
    plant.liquid[:] = share * 1e6
    plant.flow[:] = 0.043
    plant.step(dry=wet + 8.0, wet=wet, times=8)
    row = plant.row("t")
    span = plant.report[row, ENTERING] - plant.report[row, LEAVING]
    assert span == pytest.approx(5.56 * share, rel=0.02)
    found = plant.report[row, LEAVING] - ZERO - wet
    assert found == pytest.approx(york(wet, span, 1.0), abs=0.9)


# Books --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [0.1, 1.0, 15.0, 60.0, 900.0, 3600.0, 86400.0])
def test_books_close_at_every_step(tmp_path: Path, dt: float) -> None:
    """Heat and work put in, less heat to the outside, is the change of what is stored."""
    plant = full(tmp_path)
    rng = np.random.default_rng(4)
    e, n = plant.system.plant.exchangers, len(plant.system)
    first = e + plant.system.plant.loops
    for _ in range(60):
        plant.liquid[:] = rng.uniform(0, 8 * 135e3, 1)[0] * 0.85, 0.0
        plant.air[:] = rng.uniform(0, 160e3, 2)
        dry = rng.uniform(-15.0, 48.0)
        before = plant.stored()
        assert plant.step(dt, dry, dry - rng.uniform(0.0, 15.0)) < 1e-9
        put_in = plant.liquid.sum() + plant.air.sum() + plant.motor.sum()
        outside = plant.report[first:n, 10].sum()
        change = (plant.stored() - before).sum() / dt
        # what is stored is a small difference of large numbers
        slack = 1e-13 * plant.stored().sum() / dt
        assert put_in - outside == pytest.approx(change, abs=1e-9 * put_in + slack)


def test_loop_takes_what_exchangers_give_and_flows_add_up(tmp_path: Path) -> None:
    plant = full(tmp_path)
    plant.step(3600.0, 20.0, 15.0, times=3)
    given = plant.at("c", HEAT) + plant.at("h", HEAT)
    assert plant.at("w", HEAT) == pytest.approx(given + plant.motor[plant.row("w")], rel=1e-9)
    through = plant.at("c", WATER_FLOW) + plant.at("h", WATER_FLOW)
    assert plant.at("w", FLOW) == pytest.approx(through, rel=1e-9)
    taken = sum(plant.at(name, HEAT) for name in ("d", "t", "x", "y"))
    assert taken == pytest.approx(plant.at("w", HEAT), rel=1e-9)


def test_steady_exchanger_gives_its_racks_heat_and_its_pumps_work(tmp_path: Path) -> None:
    plant = full(tmp_path)
    plant.step(3600.0, times=4)
    heat = plant.liquid[0] + plant.motor[plant.row("c")]
    assert plant.at("c", HEAT) == pytest.approx(heat, rel=1e-9)
    rise = plant.at("c", ENTERING) - plant.at("c", LEAVING)
    flow = plant.flow[0] * plant.values.hot_heat[plant.row("c")]
    assert rise == pytest.approx(heat / flow, rel=1e-9)


def test_racks_without_air_unit_give_all_to_the_liquid(tmp_path: Path) -> None:
    plant = Plant(tmp_path, DRY)
    plant.liquid[:], plant.air[:] = 6e5, 1e5
    plant.step(times=12)
    assert plant.at("c", HEAT) == pytest.approx(7e5, rel=1e-9)


# Control ------------------------------------------------------------------------------------


def test_set_points_hold_where_there_is_capacity(tmp_path: Path) -> None:
    plant = full(tmp_path)
    plant.step(3600.0, 10.0, 5.0, times=3)
    assert plant.supply - ZERO == pytest.approx([32.0, 30.0], abs=1e-6)
    assert plant.state[plant.row("w"), SUPPLY] - ZERO == pytest.approx(24.0, abs=1e-9)


def test_coolers_take_the_heat_in_their_order(tmp_path: Path) -> None:
    loads = []
    for dry in (0.0, 21.0, 27.0, 40.0):
        plant = full(tmp_path)
        plant.step(3600.0, dry, dry - 7.0, times=3)
        loads.append([plant.at(name, LOAD) for name in ("d", "t", "x", "y")])
    for row in loads:
        first_idle = next((i for i, load in enumerate(row) if load < 1.0 - 1e-9), len(row))
        assert all(load == 0.0 for load in row[first_idle + 1 :])
    assert loads[0][0] < 1.0
    assert loads[0] != loads[-1]


def test_fans_follow_the_cube_and_idle_with_the_air_too_warm(tmp_path: Path) -> None:
    plant = Plant(tmp_path, DRY)
    plant.set_points[plant.row("w")] = 40.0 + ZERO
    plant.liquid[:] = 1e6
    plant.step(dry=10.0, times=3)
    speed = plant.at("d", SPEED)
    assert 0.1 < speed < 0.6
    assert plant.motor[plant.row("d")] == pytest.approx(15e3 * speed**3)
    plant.liquid[:] = 0.0
    plant.step(dry=48.0, times=1)
    assert plant.motor[plant.row("d")] == 0.0


def test_pads_are_wetted_when_needed_or_above_a_temperature(tmp_path: Path) -> None:
    when_needed = DRY.replace("range: 10 K", "range: 10 K, adiabatic: 0.8").replace(
        "supply: 5 degC", "supply: 38.5 degC"
    )
    above = when_needed.replace("adiabatic: 0.8", "adiabatic: 0.8, wet_above: 20 degC")
    water = {}
    for name, site in (("needed", when_needed), ("above", above)):
        for dry in (15.0, 25.0, 35.0):
            plant = Plant(tmp_path, site)
            plant.liquid[:] = 1e6
            plant.step(dry=dry, wet=dry - 10.0, times=4)
            water[name, dry] = plant.at("d", EVAPORATION)
    assert water["needed", 15.0] == water["needed", 25.0] == 0.0 < water["needed", 35.0]
    assert water["above", 15.0] == 0.0 < water["above", 25.0]
    # air over pads of effectiveness 0.8 comes 8 K cooler: 8 K x 1007 J/(kg K) over 2.43 MJ/kg
    mass = plant.values.air_mass[plant.row("d")] * plant.at("d", SPEED)
    assert water["above", 35.0] == pytest.approx(mass * 8.0 * 1015.0 / 2.43e6, rel=0.02)


def test_towers_cool_directly_or_serve_condensers(tmp_path: Path) -> None:
    site = f"""
racks: {{r: {{cooled_by: c, power: 1 MW, liquid: 1}}}}
cdus: {{c: {{rating: 1 MW, water: w, {HEAD}}}}}
loops: {{w: {{supply: 20 degC, coolers: [t, x], {HEAD}}}}}
towers: {{t: {{rating: 1.3 MW, approach: 4 K}}}}
chillers: {{x: {{rating: 1.2 MW, rejects_to: t}}}}
"""
    plant = Plant(tmp_path, site)
    plant.liquid[:] = 1e6
    assert plant.step(dry=10.0, wet=5.0, times=6) < 1e-9
    assert (plant.at("t", HEAT), plant.at("x", HEAT)) == (pytest.approx(1e6, rel=1e-6), 0.0)
    assert plant.step(dry=32.0, wet=25.0, times=8) < 1e-9
    assert plant.at("x", HEAT) == pytest.approx(1e6, rel=1e-6)
    power = plant.motor[plant.row("x")]
    assert 4.0 < 1e6 / power < 15.0
    assert plant.at("t", HEAT) == pytest.approx(1e6 + power, rel=1e-6)


def test_an_idle_plant_takes_no_power(tmp_path: Path) -> None:
    plant = full(tmp_path)
    plant.liquid[:], plant.air[:], plant.flow[:] = 0.0, 0.0, 0.0
    plant.step(3600.0, 10.0, 5.0, times=3)
    assert plant.motor.sum() == 0.0


def test_without_set_point_the_water_follows_the_racks_flow(tmp_path: Path) -> None:
    """Pumps then go with the cube of the load, and the approach becomes smaller."""
    site = DRY.replace("supply: 5 degC", "supply: 30 degC")
    plant = Plant(tmp_path, site)
    plant.liquid[:] = 1e6
    plant.step(dry=10.0, times=8)
    rated, approach = plant.at("c", WATER_FLOW), plant.supply[0] - plant.at("w", LEAVING)
    assert approach == pytest.approx(4.0, abs=0.01)
    plant.liquid[:] = 5e5
    plant.step(dry=10.0, times=8)
    assert plant.at("c", WATER_FLOW) == pytest.approx(rated / 2, rel=1e-3)
    assert 2.0 < plant.supply[0] - plant.at("w", LEAVING) < 4.0


def test_coolers_rest_where_their_fans_take_more_than_chillers(tmp_path: Path) -> None:
    """With chillers running, a dry cooler helps by 5 W of heat for each W of its fans, or rests."""
    site = DRY.replace("supply: 5 degC, coolers: [d]", "supply: 30 degC, coolers: [d, x]")
    site = site.replace("fan_power: 15 kW", "fan_power: 30 kW")
    site += "chillers: {x: {rating: 1.2 MW}}\n"
    taken = {}
    for dry in (21.0, 30.0, 35.0, 38.5, 45.0):
        plant = Plant(tmp_path, site)
        plant.liquid[:] = 1e6
        plant.step(dry=dry, times=6)
        taken[dry] = plant.at("d", HEAT), plant.at("x", HEAT)
        assert sum(taken[dry]) == pytest.approx(1e6, rel=1e-6)
    # 40 degC come back: at its rating 18 K for 1 MW, 150 kW of heat are worth 2.7 K
    assert taken[21.0][1] == 0.0
    assert taken[30.0][0] == pytest.approx(1e6 * 10.0 / 18.0, rel=1e-3)
    assert taken[35.0][0] == pytest.approx(1e6 * 5.0 / 18.0, rel=1e-3)
    assert taken[38.5][0] == taken[45.0][0] == 0.0


def test_chillers_cannot_do_more_than_their_rating(tmp_path: Path) -> None:
    site = f"""
racks: {{r: {{cooled_by: c, power: 1 MW, liquid: 1}}}}
cdus: {{c: {{rating: 1 MW, water: w, {HEAD}}}}}
loops: {{w: {{supply: 20 degC, coolers: [x], volume: 100 m**3, {HEAD}}}}}
chillers: {{x: {{rating: 400 kW, count: 2}}}}
"""
    plant = Plant(tmp_path, site)
    plant.liquid[:] = 1e6
    plant.step(60.0, times=5)
    start = plant.state[plant.row("w"), SUPPLY]
    plant.step(60.0, times=60)
    assert plant.at("x", HEAT) == pytest.approx(800e3)
    rise = plant.state[plant.row("w"), SUPPLY] - start
    heats = plant.values.store[plant.row("w")] + 2 * plant.values.store[plant.row("c")]
    assert rise == pytest.approx(200e3 * 3600 / heats, rel=0.02)


# Dynamics -----------------------------------------------------------------------------------


def test_cold_volume_follows_its_exponential_whatever_the_step(tmp_path: Path) -> None:
    """One volume with cooling: C dT/dt = Q - G (T + Q/m - T_w), so T is exponential."""
    ends = []
    for dt, times in ((0.5, 240), (2.0, 60), (12.0, 10)):
        plant = Plant(tmp_path, DRY.replace("coolers: [d]", "coolers: [d], volume: 100000 m**3"))
        plant.liquid[:] = 5e5
        plant.step(dt, times=times)
        ends.append(plant.state[plant.row("c"), SUPPLY])
    assert ends[1] == pytest.approx(ends[0], abs=0.02)
    assert ends[2] == pytest.approx(ends[0], abs=0.3)


@pytest.mark.parametrize(("dt", "close"), [(0.5, 0.04), (2.0, 0.15), (10.0, 0.7)])
def test_a_jump_of_load_against_an_integrator(tmp_path: Path, dt: float, close: float) -> None:
    """Hot, cold and facility water volumes, integrated independently to 1e-8 (RK45).

    S dTh/dt = Q - m (Th - Tc); S dTc/dt = m (Th - Tc) - G (Th - Tw);
    C dTw/dt = L - D (Tw + L / w - Ta) with L = G (Th - Tw); G and D from the ratings.
    """
    plant = Plant(tmp_path, DRY.replace("coolers: [d]", "coolers: [d], volume: 5 m**3"))
    plant.flow[:] = plant.values.pump_flow[plant.row("c")]
    plant.liquid[:] = 2e5
    plant.step(3600.0, times=12)
    c, w = plant.row("c"), plant.row("w")
    values, state = plant.values, plant.state
    start = [state[c, RETURN], state[c, SUPPLY], state[w, SUPPLY]]
    m, flow = values.hot_rate[c], values.hot_rate[w]
    g, d = 1e6 / (4.0 + 1e6 / m), 1e6 / (8.0 + 1e6 / flow)
    store, tank = values.store[c], values.store[w]

    def change(_: float, t: np.ndarray) -> list[float]:
        given = g * (t[0] - t[2])
        around = m * (t[0] - t[1])
        out = d * (t[2] + given / flow - 303.15)
        return [(1e6 - around) / store, (around - given) / store, (given - out) / tank]

    times = np.arange(1, int(300 / dt) + 1) * dt
    exact = solve_ivp(change, (0, 300), start, t_eval=times, rtol=1e-8, atol=1e-8).y
    plant.liquid[:] = 1e6
    found = []
    for _ in times:
        plant.step(dt)
        found.append([state[c, RETURN], state[c, SUPPLY], state[w, SUPPLY]])
    assert np.abs(np.array(found).T - exact).max() < close


def test_without_pumps_a_racks_loop_only_heats(tmp_path: Path) -> None:
    """Hot half of the volume: dT/dt = Q / C, exactly."""
    plant = Plant(tmp_path, DRY)
    plant.liquid[:] = 1e6
    plant.step(3600.0, times=3)
    row = plant.row("c")
    before = plant.state[row].copy()
    plant.state[row, PUMPS] = 0.0
    assert plant.step(1.0, times=10) < 1e-9
    rise = plant.state[row, RETURN] - before[RETURN]
    assert rise == pytest.approx(1e6 * 10 / plant.values.store[row], rel=1e-9)
    assert plant.state[row, SUPPLY] == pytest.approx(before[SUPPLY], abs=1e-9)
    assert plant.outlet[0] == pytest.approx(plant.state[row, RETURN])


def test_units_that_fail_keep_their_liquid(tmp_path: Path) -> None:
    """Without units the loop warms by heat over heat capacity; with them it comes back."""
    plant = Plant(tmp_path, FULL)
    plant.liquid[:] = 600e3, 0.0
    plant.step(3600.0, times=4)
    row = plant.row("c")
    before = plant.state[row, RETURN]
    plant.units[row] = 0.0
    assert plant.step(10.0) < 1e-9
    # two units, half of 30 s of the flow that 600 kW warm by 10 K
    liquid = 2 * 0.5 * 30.0 * 600e3 / 10.0
    assert plant.state[row, RETURN] - before == pytest.approx(600e3 * 10 / liquid, rel=1e-6)
    plant.units[row] = 2.0
    assert plant.step(60.0, times=30) < 1e-9
    assert plant.supply[0] - ZERO == pytest.approx(32.0, abs=1e-3)


def test_one_pump_of_two_left(tmp_path: Path) -> None:
    plant = Plant(tmp_path, DRY.replace(HEAD, "pumps: {head: 200 kPa, count: 2, needed: 2}", 1))
    plant.liquid[:] = 1e6
    row = plant.row("c")
    plant.step(60.0)
    rated = plant.at("c", FLOW)
    plant.state[row, PUMPS] = 0.5
    plant.step(60.0)
    # system and pump curve cross where 1.25 - 0.25 (2 x)^2 = x^2
    assert plant.at("c", FLOW) / rated == pytest.approx(math.sqrt(1.25 / 2.0), rel=1e-6)
    spare = Plant(tmp_path, DRY.replace(HEAD, "pumps: {head: 200 kPa, count: 2, needed: 1}", 1))
    spare.liquid[:] = 1e6
    spare.state[row, PUMPS] = 0.5
    spare.step(60.0)
    assert spare.at("c", FLOW) == pytest.approx(rated)


def test_facility_pumps_short_of_flow_share_it(tmp_path: Path) -> None:
    plant = full(tmp_path)
    plant.step(3600.0, times=2)
    plant.state[plant.row("w"), PUMPS] = 0.25
    assert plant.step(60.0, times=5) < 1e-9
    through = plant.at("c", WATER_FLOW) + plant.at("h", WATER_FLOW)
    assert plant.at("w", FLOW) == pytest.approx(through, rel=1e-6)
    plant.state[plant.row("w"), PUMPS] = 0.0
    plant.step(60.0)
    assert plant.at("c", HEAT) == plant.at("d", HEAT) == 0.0


def test_racks_with_less_flow_leave_warmer(tmp_path: Path) -> None:
    site = DRY.replace("racks: {r:", "racks: {q: {cooled_by: c, power: 1 MW, liquid: 1}, r:")
    plant = Plant(tmp_path, site)
    plant.liquid[:], plant.flow[:] = 4e5, (0.012, 0.006)
    plant.step(times=4)
    rise = plant.outlet - plant.supply
    assert rise[1] == pytest.approx(2 * rise[0], rel=1e-9)
    mixed = (rise * plant.flow).sum() / plant.flow.sum()
    row = plant.row("c")
    assert mixed == pytest.approx(plant.state[row, RETURN] - plant.state[row, SUPPLY], rel=1e-6)


# Details ------------------------------------------------------------------------------------


def test_units_give_the_same_as_their_group(tmp_path: Path) -> None:
    site = FULL.replace("count: 4, rating", "count: 2, rating").replace(
        "rating: 110", "rating: 220"
    )
    results = {}
    for detail in ("group", "unit"):
        plant = Plant(tmp_path, site, detail)  # type: ignore[arg-type]
        for i, rack in enumerate(plant.racks):
            mine = 135e3 if rack.group == "a" else 135e3 * 0.15
            share = 0.85 if rack.group == "a" else 0.0
            plant.liquid[i] = rack.count * mine * share
            plant.air[i] = rack.count * mine * (1 - share)
            plant.flow[i] = plant.liquid[i] * 1.5 / 6e7
        assert plant.step(3600.0, 33.0, 22.0, times=4) < 1e-9
        results[detail] = plant
    group, unit = results["group"], results["unit"]
    assert len(unit.system.rows("c")) == len(unit.system.rows("h")) == 2
    assert unit.system.row_name(1) == "c 2"
    assert unit.motor.sum() == pytest.approx(group.motor.sum(), rel=2e-3)
    assert unit.water.sum() == pytest.approx(group.water.sum(), rel=2e-3)
    assert unit.at("w", HEAT) == pytest.approx(group.at("w", HEAT), rel=1e-3)


# Published relations -------------------------------------------------------------------------


def dry_bulbs(folder: Path, name: str) -> np.ndarray:
    if name.endswith("2024"):
        with lzma.open(folder / "sustain_cluster" / f"{name}.csv.xz", "rt") as file:
            return np.array([float(row["temperature_2m"]) for row in csv.DictReader(file)])
    with lzma.open(folder / "weather_epw" / f"{name}.epw.xz", "rt", errors="replace") as file:
        return np.array([float(row[6]) for row in list(csv.reader(file))[8:]])


@pytest.mark.parametrize(
    ("place", "percent"),
    [
        ("USA_AZ_Phoenix-Sky.Harbor", 72.0),
        ("USA_TX_Dallas-Fort.Worth", 89.8),
        ("USA_VA_Leesburg.Exec", 98.7),
        ("weather_KR_2020_2024", 99.5),
    ],
)
def test_hours_with_forty_degrees_from_dry_coolers(
    tmp_path: Path, shared_data: Path, place: str, percent: float
) -> None:
    """A dry cooler at its rating with 8 K approach gives <= 40 degC where the air is <= 32 degC.

    Phoenix, Dallas, N. Virginia: hours of the typical year; Seoul: hours of 2020 to 2024.
    """
    plant = Plant(tmp_path, DRY)
    plant.liquid[:] = 1e6
    known: dict[float, bool] = {}
    hours = dry_bulbs(shared_data, place)
    for dry in np.unique(hours):
        plant.step(dry=float(dry), times=3)
        known[float(dry)] = plant.at("d", LEAVING) - ZERO <= 40.0 + 1e-3
    found = 100.0 * np.mean([known[float(dry)] for dry in hours])
    assert found == pytest.approx(percent, abs=0.06)
