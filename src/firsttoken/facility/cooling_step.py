"""One time step of the cooling plant.

1. Racks' heat and flow are added up by CDU and air unit.
2. Exchangers, loops, and both once more: the first round predicts the facility water's temperature
   and flow, the second is the step.  Every volume follows its exact exponential with what flows
   into it held at its mean, so steps of any length are stable.
3. Chillers' heat goes to their condensers, water is counted, the books are checked.
"""

from __future__ import annotations

import math

from firsttoken.facility.cooling_coolers import condense, cool_loops
from firsttoken.facility.cooling_laws import (
    cold_speed,
    conductance,
    decay_means,
    heat_transfer,
    pump_capacity,
    pump_power,
    pump_speed,
)
from firsttoken.facility.cooling_system import (
    AIR,
    CDU,
    ENTERING,
    FLOW,
    FULL,
    HEAT,
    HOT_SIDE,
    LEAVING,
    LOAD,
    LOAD_IN,
    MAKE_UP,
    PUMPS,
    RATE,
    RETURN,
    SINK,
    SPEED,
    STORED,
    SUPPLY,
    TAKEN,
    VALVE,
    WANTED,
    WATER_FLOW,
    CoolingPlant,
    CoolingValues,
    Floats,
)
from firsttoken.kernel.compiled import compiled, compiled_inner

__all__ = ["cooling_step"]

LEAST_AIR = 0.3
"""Least speed of air units' fans."""


@compiled
def cooling_step(
    plant: CoolingPlant,
    values: CoolingValues,
    state: Floats,
    units: Floats,
    liquid_heat: Floats,
    air_heat: Floats,
    flow_wanted: Floats,
    set_points: Floats,
    dry_bulb: float,
    wet_bulb: float,
    pressure: float,
    dt: float,
    motor: Floats,
    water: Floats,
    report: Floats,
    supply: Floats,
    outlet: Floats,
) -> float:
    """Advance the cooling plant by one step; return its relative error of energy.

    Parameters
    ----------
    plant, values : the plant and its numbers in this replication.
    state : shape [R, STATES], changed in place.
    units : working units of each row, shape [R]; 0 stops its motors too.
    liquid_heat, air_heat : heat of each row of racks to liquid and air, W, shape [N].  A row
        without CDU gives all to the air, one without air unit all to the liquid.
    flow_wanted : liquid that each row of racks wants, m3/s, shape [N]; 0: its share of the pumps'
        rating by heat.
    set_points : supply set-points of exchangers and loops, K, shape [E + L]; nan: none.
    dry_bulb, wet_bulb, pressure : outside air, K and Pa.
    dt : length of the step, s.
    motor : electrical power of each row, W, mean of the step, shape [R]; result.
    water : water taken by each row in the step, kg, shape [R]; result.
    report : shape [R, REPORTS]; result.
    supply, outlet : temperature of the liquid (or air) that each row of racks gets, and that leaves
        it, at the end of the step, K, shape [N]; results.

    Returns
    -------
    float
        Difference of heat and work put in, and heat given off and stored, over what was put in;
        beyond 1e-6 the books do not balance.
    """
    report[:, :] = 0.0
    motor[:] = 0.0
    _gather(plant, values, units, liquid_heat, air_heat, flow_wanted, report)
    _exchange(plant, values, state, units, set_points, dt, motor, report, False)
    cool_loops(
        plant, values, state, units, set_points, dry_bulb, wet_bulb, pressure, dt, motor, report,
        False,
    )  # fmt: skip
    _exchange(plant, values, state, units, set_points, dt, motor, report, True)
    cool_loops(
        plant, values, state, units, set_points, dry_bulb, wet_bulb, pressure, dt, motor, report,
        True,
    )  # fmt: skip
    condense(plant, values, state, units, dry_bulb, wet_bulb, pressure, motor, report)
    for r in range(len(water)):
        water[r] = report[r, MAKE_UP] * dt
    _serve(plant, state, liquid_heat, air_heat, flow_wanted, report, supply, outlet)
    return _error(plant, motor, report)


@compiled_inner
def _gather(
    plant: CoolingPlant,
    values: CoolingValues,
    units: Floats,
    liquid_heat: Floats,
    air_heat: Floats,
    flow_wanted: Floats,
    report: Floats,
) -> None:
    """Add up heat and wanted flow of racks by exchanger."""
    for i in range(len(liquid_heat)):
        liquid, air = plant.rack_liquid[i], plant.rack_air[i]
        by_liquid, by_air = liquid_heat[i], air_heat[i]
        if liquid < 0:
            liquid = air
        elif air < 0:
            air = liquid
        if liquid < 0:
            continue
        report[liquid, TAKEN] += by_liquid
        report[air, TAKEN] += by_air
        if plant.kind[liquid] == CDU:
            wanted = flow_wanted[i]
            if wanted <= 0.0:
                wanted = by_liquid / values.rating[liquid] * values.pump_flow[liquid]
            report[liquid, WANTED] += wanted


@compiled_inner
def _exchange(
    plant: CoolingPlant,
    values: CoolingValues,
    state: Floats,
    units: Floats,
    set_points: Floats,
    dt: float,
    motor: Floats,
    report: Floats,
    final: bool,
) -> None:
    """One round through all CDUs and air units."""
    for loop in range(plant.exchangers, plant.exchangers + plant.loops):
        report[loop, LOAD_IN] = 0.0
        report[loop, WANTED] = 0.0
    for r in range(plant.exchangers):
        loop = plant.loop_of[r]
        if not final:
            _circulate(plant, values, state, units, r, motor, report)
        flow, power = report[r, FLOW], motor[r]
        hot = flow * values.hot_heat[r]
        water = state[loop, SUPPLY]
        middle = state[r, SUPPLY]
        most = values.cold_rate[r] * units[r]
        if math.isnan(set_points[r]) and hot > 0.0:  # water as the hot side's flow
            most *= min(hot / (values.hot_rate[r] * units[r]), 1.0)
        if final:
            water = report[loop, LEAVING]
            middle = report[r, LEAVING]
            if report[loop, RATE] < 1.0:  # the loop's pumps give less than the valves ask for
                most = report[loop, RATE] * report[r, RATE]
        put_in = report[r, TAKEN] + power
        store = values.store[r]
        # hot volume: racks' heat in, flow out
        x = hot * dt / store
        mean, double = decay_means(x)
        begin = state[r, RETURN]
        back = begin * (1.0 - x * mean) + middle * x * mean + put_in * dt / store * mean
        entering = begin * mean + middle * (1.0 - mean)
        entering += put_in * dt / store * double
        brought = put_in - store * (back - begin) / dt
        _cool(plant, values, state, units, set_points, dt, report, r, hot, water, most, brought,
              store, final)  # fmt: skip
        report[r, ENTERING] = entering
        report[r, SINK] = water
        report[loop, LOAD_IN] += report[r, HEAT]
        report[loop, WANTED] += report[r, RATE]
        if final:
            report[r, STORED] += store * (back - begin) / dt
            state[r, RETURN] = back
            state[r, VALVE] = report[r, RATE]


@compiled_inner
def _circulate(
    plant: CoolingPlant,
    values: CoolingValues,
    state: Floats,
    units: Floats,
    r: int,
    motor: Floats,
    report: Floats,
) -> None:
    """Flow of the hot side of an exchanger, its resistance, and the power of what drives it."""
    n, share = units[r], state[r, PUMPS]
    if n <= 0.0 or share <= 0.0:
        return
    rated = values.hot_rate[r] / values.hot_heat[r]
    if plant.kind[r] == AIR:
        if report[r, TAKEN] <= 0.0:
            return
        wanted = max(report[r, TAKEN] / (values.rating[r] * n), LEAST_AIR)
        q = min(wanted, share)
        report[r, SPEED] = q
        motor[r] = values.fan[r] * n * q**3
    else:
        head, static, spare = values.pump_head[r], values.pump_static[r], values.pump_spare[r]
        most = pump_capacity(share, spare, rated, head, static)
        flow = min(report[r, WANTED] / n, most)
        q = flow / rated
        if flow <= 0.0:
            return
        pumps = share * spare
        if head > 0.0:
            running = min(pumps, 1.0) if q <= 1.0 else pumps
            report[r, SPEED] = pump_speed(q, running, head, static)
            motor[r] = n * pump_power(flow, pumps, rated, head, static, values.pump_efficiency[r])
    report[r, FLOW] = q * rated * n
    report[r, HOT_SIDE] = values.hot_share[r] * math.pow(q, -values.hot_exponent[r])


@compiled_inner
def _cool(
    plant: CoolingPlant,
    values: CoolingValues,
    state: Floats,
    units: Floats,
    set_points: Floats,
    dt: float,
    report: Floats,
    r: int,
    hot: float,
    water: float,
    most: float,
    brought: float,
    store: float,
    final: bool,
) -> None:
    """Cold volume of an exchanger: heat brought in, and given to facility water by the valve."""
    begin = state[r, SUPPLY]
    rated_cold = values.cold_rate[r] * units[r]
    share, hot_side = values.hot_share[r], report[r, HOT_SIDE]
    ua, full = values.ua[r] * units[r], report[r, FULL]
    if hot <= 0.0 or most <= 0.0:
        full = 0.0
    elif not final or most < rated_cold:
        transfer = heat_transfer(
            ua, hot_side, 1.0 - share, values.cold_exponent[r], most / rated_cold
        )
        full = conductance(hot, most, transfer)
        report[r, FULL] = full
    rise = brought / hot if hot > 0.0 else 0.0
    y = full * dt / store
    mean, double = decay_means(y)
    end = begin * (1.0 - y * mean) + (water - rise) * y * mean + brought * dt / store * mean
    middle = begin * mean + (water - rise) * (1.0 - mean)
    middle += brought * dt / store * double
    given = full * (middle + rise - water)
    rate = most if full > 0.0 else 0.0
    wanted = set_points[r]
    if end < wanted and full > 0.0:  # never so where the set-point is nan
        given = max(brought - store * (wanted - begin) / dt, 0.0)
        end = begin + (brought - given) * dt / store
        middle = wanted + (begin - wanted) * mean
        ahead = middle + rise - water
        if given <= 0.0:
            rate = 0.0
        elif given < full * ahead:
            guess = (report[r, RATE] if final else state[r, VALVE]) / rated_cold
            rate = rated_cold * cold_speed(
                given / ahead, hot, rated_cold, ua, hot_side, 1.0 - share,
                values.cold_exponent[r], guess, 1e-6 if final else 1e-3,
            )  # fmt: skip
            rate = min(rate, most)
    report[r, HEAT] = given
    report[r, LEAVING] = middle
    report[r, RATE] = rate
    ahead = full * (middle + rise - water)
    report[r, LOAD] = given / ahead if ahead > 0.0 else 0.0
    report[r, WATER_FLOW] = rate / values.cold_heat[r]
    if final:
        report[r, STORED] = store * (end - begin) / dt
        state[r, SUPPLY] = end


@compiled_inner
def _serve(
    plant: CoolingPlant,
    state: Floats,
    liquid_heat: Floats,
    air_heat: Floats,
    flow_wanted: Floats,
    report: Floats,
    supply: Floats,
    outlet: Floats,
) -> None:
    """Temperatures at the racks: each leaves its own rise, in proportion to heat over flow."""
    for i in range(len(supply)):
        row = plant.rack_liquid[i]
        if row < 0:
            row = plant.rack_air[i]
        if row < 0:
            supply[i] = math.nan
            outlet[i] = math.nan
            continue
        own = 1.0
        heat = liquid_heat[i] if plant.rack_air[i] >= 0 else liquid_heat[i] + air_heat[i]
        if plant.kind[row] == CDU and flow_wanted[i] > 0.0 and report[row, TAKEN] > 0.0:
            own = heat / report[row, TAKEN] * report[row, WANTED] / flow_wanted[i]
        supply[i] = state[row, SUPPLY]
        outlet[i] = supply[i] + (state[row, RETURN] - supply[i]) * own


@compiled_inner
def _error(plant: CoolingPlant, motor: Floats, report: Floats) -> float:
    """Relative error of energy: what was put in, less what left and what was stored."""
    put_in, left = 0.0, 0.0
    for r in range(len(motor)):
        put_in += motor[r]
        if r < plant.exchangers:
            put_in += report[r, TAKEN]
        left += report[r, STORED]
        if r >= plant.exchangers + plant.loops:
            left += report[r, TAKEN]
    return abs(put_in - left) / max(put_in, 1000.0)
