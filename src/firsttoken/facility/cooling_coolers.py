"""Facility water loops and what cools them: dry coolers, towers, chillers, in the order declared.

A loop is one mixed volume at the supply temperature.  At full power each cooler takes heat in
proportion to the temperature of the water that enters it (a chiller a constant), so the water that
leaves the last is linear in the loop's temperature and the loop follows an exponential.  If that
would end below the set-point, the coolers take what is needed to reach it: the first as much as it
can, then the next.

Chillers run only where the others cannot hold the set-point alone.  Then those of them rest that
serve the chillers' condensers, and those whose fans take more than chillers would for that heat.
"""

from __future__ import annotations

import math

from firsttoken.facility.air import (
    STANDARD_PRESSURE,
    ratio_of_wet_bulb,
    saturated_ratio,
    saturation_slope,
)
from firsttoken.facility.cooling_laws import (
    chiller_power,
    cold_speed,
    conductance,
    decay_means,
    heat_transfer,
    pump_capacity,
    pump_power,
    pump_speed,
)
from firsttoken.facility.cooling_system import (
    CHILLER,
    DRY,
    ENTERING,
    EVAPORATION,
    FLOW,
    FULL,
    HEAT,
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
    TOWER,
    WANTED,
    WATER_FLOW,
    CoolingPlant,
    CoolingValues,
    Floats,
)
from firsttoken.kernel.compiled import compiled_inner

__all__ = ["condense", "cool_loops"]

LEAST_FLOW = 0.1
"""Least flow of a loop's pumps while anything takes water, through its bypass."""
BREAK_EVEN = 5.0
"""Heat over fan power below which a cooler rests when chillers run: about their COP."""
LEAST_FAN = 0.1
"""Least fan speed of coolers that serve condensers."""
ROUNDS = 3
"""Rounds in which coefficients that depend on temperature are found."""


@compiled_inner
def cool_loops(
    plant: CoolingPlant,
    values: CoolingValues,
    state: Floats,
    units: Floats,
    set_points: Floats,
    dry_bulb: float,
    wet_bulb: float,
    pressure: float,
    dt: float,
    motor: Floats,
    report: Floats,
    final: bool,
) -> None:
    """One round through all loops: pumps, coolers, temperature."""
    for loop in range(plant.exchangers, plant.exchangers + plant.loops):
        rate, power = _pump(values, state, units, loop, report)
        motor[loop] = power
        load = report[loop, LOAD_IN] + power
        begin, store = state[loop, SUPPLY], values.store[loop]
        wanted = set_points[loop]
        end, middle, slope = begin + load * dt / store, begin + 0.5 * load * dt / store, 1.0
        needed = math.inf
        for attempt in range(3):
            # no chillers; chillers and what helps them; chillers and all that is left
            middle = begin
            for _ in range(ROUNDS):
                at = middle if math.isnan(wanted) else max(middle, wanted)
                gain, slope = _line(
                    plant, values, state, units, dry_bulb, wet_bulb, pressure, loop,
                    attempt, rate, load, at, report,
                )  # fmt: skip
                y = rate * (1.0 - slope) * dt / store
                mean, double = decay_means(y)
                end = begin * (1.0 - y * mean) + gain * dt / store * mean
                middle = begin * mean + gain * dt / store * double
            if not end > wanted or not _has_chillers(plant, units, loop):
                break
        if end < wanted:
            needed = max(load - store * (wanted - begin) / dt, 0.0)
            middle = wanted
            if begin > wanted:
                middle += 0.5 * (begin - wanted) * (begin - wanted) / (begin - end)
            elif needed <= 0.0:
                middle = begin + 0.5 * load * dt / store
        given, clipped = _share(
            plant, values, units, dry_bulb, wet_bulb, pressure, loop, rate, middle, load, needed,
            motor, report,
        )  # fmt: skip
        if clipped or needed < math.inf:
            end = begin + (load - given) * dt / store
        report[loop, HEAT] = given
        report[loop, LEAVING] = middle
        report[loop, ENTERING] = middle + (load / rate if rate > 0.0 else 0.0)
        report[loop, FLOW] = rate / values.hot_heat[loop]
        report[loop, WATER_FLOW] = report[loop, FLOW]
        report[loop, SINK] = middle
        if final:
            report[loop, STORED] = store * (end - begin) / dt
            state[loop, SUPPLY] = end
            state[loop, RETURN] = report[loop, ENTERING]


@compiled_inner
def _pump(
    values: CoolingValues, state: Floats, units: Floats, loop: int, report: Floats
) -> tuple[float, float]:
    """Heat capacity flow in W/K of a loop, and the power of its pumps."""
    head, static, rated = values.pump_head[loop], values.pump_static[loop], values.pump_flow[loop]
    share = state[loop, PUMPS] * min(units[loop], 1.0)
    pumps = share * values.pump_spare[loop]
    most = pump_capacity(share, values.pump_spare[loop], rated, head, static)
    wanted = report[loop, WANTED] / values.hot_heat[loop]
    report[loop, RATE] = 1.0 if wanted <= most else most / wanted
    flow = min(max(wanted, LEAST_FLOW * rated), most) if wanted > 0.0 else 0.0
    report[loop, LOAD] = flow / most if most > 0.0 else 0.0
    report[loop, SPEED] = 0.0
    q = flow / rated
    if flow > 0.0 and head > 0.0:
        report[loop, SPEED] = pump_speed(q, min(pumps, 1.0) if q <= 1.0 else pumps, head, static)
    power = pump_power(flow, pumps, rated, head, static, values.pump_efficiency[loop])
    return flow * values.hot_heat[loop], power


@compiled_inner
def _has_chillers(plant: CoolingPlant, units: Floats, loop: int) -> bool:
    """Whether a loop has chillers that work."""
    first = loop - plant.exchangers
    for i in range(plant.cooler_start[first], plant.cooler_start[first + 1]):
        k = plant.cooler[i]
        if plant.kind[k] == CHILLER and units[k] > 0.0:
            return True
    return False


@compiled_inner
def _line(
    plant: CoolingPlant,
    values: CoolingValues,
    state: Floats,
    units: Floats,
    dry_bulb: float,
    wet_bulb: float,
    pressure: float,
    loop: int,
    attempt: int,
    rate: float,
    load: float,
    middle: float,
    report: Floats,
) -> tuple[float, float]:
    """Line of a loop with all coolers at full power: heat gain at 0 K in W, and slope.

    The water returns to the loop with ``gain / rate + slope x its temperature``.
    """
    gain, slope = load, 1.0
    if rate <= 0.0:
        return gain, slope
    first = loop - plant.exchangers
    chilled = attempt > 0
    entering = middle + load / rate
    for i in range(plant.cooler_start[first], plant.cooler_start[first + 1]):
        k = plant.cooler[i]
        report[k, FULL] = 0.0
        report[k, SINK] = dry_bulb
        on = units[k] * state[k, PUMPS]
        if plant.kind[k] == CHILLER:
            c = plant.condenser[k]
            if on > 0.0 and chilled and (c < 0 or units[c] * state[c, PUMPS] > 0.0):
                report[k, FULL] = values.rating[k] * on
                gain -= report[k, FULL]
            continue
        if on <= 0.0 or (chilled and plant.shared[k] > 0):
            continue
        sink = _sink(values, plant.kind[k], k, dry_bulb, wet_bulb)
        report[k, SINK] = sink
        if entering <= sink:
            continue
        full = _full(values, plant.kind[k], k, units[k], on, rate, sink, entering, pressure)
        if attempt == 1 and full * (entering - sink) < BREAK_EVEN * values.fan[k] * on:
            continue
        report[k, FULL] = full
        g = full / rate
        gain = gain * (1.0 - g) + full * sink
        slope *= 1.0 - g
        entering -= g * (entering - sink)
    return gain, slope


@compiled_inner
def _sink(values: CoolingValues, kind: int, k: int, dry_bulb: float, wet_bulb: float) -> float:
    """Temperature of the air that a cooler gives its heat to, pads wetted, K."""
    if kind == TOWER:
        return wet_bulb
    if dry_bulb <= values.wet_above[k]:
        return dry_bulb  # without `wet_above` the comparison with nan is false
    return float(dry_bulb - values.adiabatic[k] * (dry_bulb - wet_bulb))


@compiled_inner
def _slope_factor(
    values: CoolingValues, kind: int, k: int, sink: float, entering: float, pressure: float
) -> float:
    """Heat capacity of a cooler's air over that of its rating."""
    if kind == TOWER:
        return float(saturation_slope(sink, entering, pressure) / values.slope[k])
    return pressure / STANDARD_PRESSURE


@compiled_inner
def _hot_side(values: CoolingValues, kind: int, k: int, share: float) -> float:
    """`hot_side` of `heat_transfer` at a share of the rated flow of water."""
    share = max(share, 1e-3)
    if kind == TOWER:
        return -math.pow(share, values.hot_exponent[k])
    return float(values.hot_share[k] * math.pow(share, -values.hot_exponent[k]))


@compiled_inner
def _full(
    values: CoolingValues,
    kind: int,
    k: int,
    n: float,
    on: float,
    rate: float,
    sink: float,
    entering: float,
    pressure: float,
) -> float:
    """Conductance of all units of a cooler at full speed, W/K."""
    factor = _slope_factor(values, kind, k, sink, entering, pressure)
    hot_side = _hot_side(values, kind, k, rate / (values.hot_rate[k] * n))
    ua = heat_transfer(
        values.ua[k] * on * (factor if kind == TOWER else 1.0), hot_side,
        1.0 - values.hot_share[k], values.cold_exponent[k], 1.0,
    )  # fmt: skip
    return conductance(rate, values.cold_rate[k] * on * factor, ua)


@compiled_inner
def _share(
    plant: CoolingPlant,
    values: CoolingValues,
    units: Floats,
    dry_bulb: float,
    wet_bulb: float,
    pressure: float,
    loop: int,
    rate: float,
    middle: float,
    load: float,
    needed: float,
    motor: Floats,
    report: Floats,
) -> tuple[float, bool]:
    """Let the coolers of a loop take `needed` W in turn; what they take, and whether one could not.

    `needed` is inf where all run at full power.
    """
    given, left, clipped = 0.0, needed, False
    entering = middle + (load / rate if rate > 0.0 else 0.0)
    first = loop - plant.exchangers
    for i in range(plant.cooler_start[first], plant.cooler_start[first + 1]):
        k = plant.cooler[i]
        kind, full, sink = plant.kind[k], report[k, FULL], report[k, SINK]
        if rate <= 0.0:
            full = 0.0
        heat, speed = 0.0, 0.0
        if kind == CHILLER:
            heat = min(left, full)
            report[k, LOAD] = heat / full if full > 0.0 else 0.0
        elif full > 0.0:
            when_needed = values.adiabatic[k] > 0.0 and math.isnan(values.wet_above[k])
            if when_needed and left <= full * (entering - dry_bulb):
                sink = dry_bulb
                report[k, SINK] = sink
            most = full * (entering - sink)
            if most < 0.0:
                most, clipped = 0.0, True
            heat = min(left, most)
            report[k, LOAD] = heat / most if most > 0.0 else 0.0
            speed = 1.0 if heat > 0.0 else 0.0
            if 0.0 < heat < most:
                speed = _speed(values, kind, k, units[k], rate, heat, sink, entering, pressure,
                               report[k, SPEED], report[k, LOAD])  # fmt: skip
        report[k, HEAT] = heat
        report[k, ENTERING] = entering
        report[k, LEAVING] = entering - (heat / rate if rate > 0.0 else 0.0)
        report[k, FLOW] = rate / values.hot_heat[k]
        report[k, WATER_FLOW] = report[k, FLOW]
        if kind != CHILLER:
            report[k, SPEED] = speed
            motor[k] = values.fan[k] * units[k] * speed**3
            report[k, TAKEN] = heat + motor[k]
            _wet(values, kind, k, units[k], heat, speed, dry_bulb, wet_bulb, sink, entering,
                 pressure, rate, report)  # fmt: skip
        entering = report[k, LEAVING]
        given += heat
        left -= heat
    return given, clipped


@compiled_inner
def _speed(
    values: CoolingValues,
    kind: int,
    k: int,
    n: float,
    rate: float,
    heat: float,
    sink: float,
    entering: float,
    pressure: float,
    before: float,
    load: float,
) -> float:
    """Fan speed at which a cooler takes `heat`, as a share of full speed."""
    factor = _slope_factor(values, kind, k, sink, entering, pressure)
    hot_side = _hot_side(values, kind, k, rate / (values.hot_rate[k] * n))
    ua = values.ua[k] * n * (factor if kind == TOWER else 1.0)
    guess = before if before > 0.0 else load
    return cold_speed(
        heat / (entering - sink), rate, values.cold_rate[k] * n * factor, ua, hot_side,
        1.0 - values.hot_share[k], values.cold_exponent[k], guess, 1e-6,
    )  # fmt: skip


@compiled_inner
def _wet(
    values: CoolingValues,
    kind: int,
    k: int,
    n: float,
    heat: float,
    speed: float,
    dry_bulb: float,
    wet_bulb: float,
    sink: float,
    entering: float,
    pressure: float,
    rate: float,
    report: Floats,
) -> None:
    """Water that a cooler evaporates and takes, kg/s.

    Tower: its air leaves saturated with the enthalpy that it has taken up (Merkel).  Pads: air is
    wetted at constant wet bulb.  Blow-down is evaporation / (cycles - 1), drift a part of it.
    """
    evaporation, drift = 0.0, 0.0
    air = values.air_mass[k] * n * speed
    if heat > 0.0 and air > 0.0 and kind == TOWER:
        leaving = entering
        for _ in range(ROUNDS):
            leaving = wet_bulb + heat / air / saturation_slope(wet_bulb, leaving, pressure)
        before = ratio_of_wet_bulb(dry_bulb, wet_bulb, pressure)
        evaporation = max(air * (saturated_ratio(leaving, pressure) - before), 0.0)
        drift = values.drift[k] * rate / values.hot_heat[k] * 1000.0
    elif heat > 0.0 and sink < dry_bulb and kind == DRY:
        before = ratio_of_wet_bulb(dry_bulb, wet_bulb, pressure)
        after = ratio_of_wet_bulb(sink, min(wet_bulb, sink), pressure)
        evaporation = air * max(after - before, 0.0)
    bleed = evaporation / max(values.cycles[k] - 1.0, 1e-3)
    report[k, EVAPORATION] = evaporation
    report[k, MAKE_UP] = evaporation + max(bleed, drift)


@compiled_inner
def condense(
    plant: CoolingPlant,
    values: CoolingValues,
    state: Floats,
    units: Floats,
    dry_bulb: float,
    wet_bulb: float,
    pressure: float,
    motor: Floats,
    report: Floats,
) -> None:
    """Power of the chillers, and their condensers' heat.

    Fans of condenser coolers go in proportion to the heat, near the optimum of fans and compressors
    (Braun and Diderrich, ASHRAE Transactions 96(2) (1990) 806).
    """
    first = plant.exchangers + plant.loops
    for turn in range(ROUNDS):
        for k in range(first, len(motor)):
            report[k, LOAD_IN] = 0.0
        for k in range(first, len(motor)):
            if plant.kind[k] == CHILLER:
                _chill(plant, values, state, units, k, dry_bulb, motor, report)
        for k in range(first, len(motor)):
            if plant.shared[k] > 0 and report[k, LOAD_IN] > 0.0:
                _condenser(plant.kind[k], values, state, units, k, dry_bulb, wet_bulb, pressure,
                           turn == ROUNDS - 1, motor, report)  # fmt: skip


@compiled_inner
def _chill(
    plant: CoolingPlant,
    values: CoolingValues,
    state: Floats,
    units: Floats,
    k: int,
    dry_bulb: float,
    motor: Floats,
    report: Floats,
) -> None:
    """Power of one group of chillers, and the heat that it hands to its condenser."""
    heat, c = report[k, HEAT], plant.condenser[k]
    motor[k] = 0.0
    report[k, SPEED] = 0.0
    report[k, TAKEN] = 0.0
    if heat <= 0.0:
        return
    running = min(math.ceil(heat / values.rating[k] * (1.0 - 1e-9)), units[k])
    part = max(heat / (running * values.rating[k]), values.least[k])
    hot = dry_bulb if c < 0 else state[c, RETURN]
    leaving = report[k, LEAVING]
    motor[k] = values.fan[k] * running + chiller_power(
        heat, part, leaving, hot - leaving, values.carnot[k], values.pinch[k]
    )
    report[k, SPEED] = running / units[k]
    report[k, SINK] = hot
    if c < 0:
        report[k, TAKEN] = heat + motor[k]
    else:
        report[c, LOAD_IN] += heat + motor[k]


@compiled_inner
def _condenser(
    kind: int,
    values: CoolingValues,
    state: Floats,
    units: Floats,
    k: int,
    dry_bulb: float,
    wet_bulb: float,
    pressure: float,
    last: bool,
    motor: Floats,
    report: Floats,
) -> None:
    """Water of a cooler that serves condensers: it comes back as warm as its heat needs."""
    n = units[k] * state[k, PUMPS]
    heat = report[k, LOAD_IN]
    sink = _sink(values, kind, k, dry_bulb, wet_bulb)
    load = heat / (values.rating[k] * n)
    speed = min(max(load, LEAST_FAN), 1.0)
    rate = values.hot_rate[k] * n * min(max(load, 0.3), 1.0)
    entering = max(state[k, RETURN], sink + 1.0)
    factor = _slope_factor(values, kind, k, sink, entering, pressure)
    ua = heat_transfer(
        values.ua[k] * n * (factor if kind == TOWER else 1.0),
        _hot_side(values, kind, k, rate / (values.hot_rate[k] * n)),
        1.0 - values.hot_share[k], values.cold_exponent[k], speed,
    )  # fmt: skip
    entering = sink + heat / conductance(rate, values.cold_rate[k] * n * factor * speed, ua)
    state[k, RETURN] = entering
    state[k, SUPPLY] = entering - heat / rate
    if last:
        before, evaporation = report[k, MAKE_UP], report[k, EVAPORATION]
        _wet(values, kind, k, n, heat, speed, dry_bulb, wet_bulb, sink, entering, pressure, rate,
             report)  # fmt: skip
        report[k, MAKE_UP] += before
        report[k, EVAPORATION] += evaporation
        fans = values.fan[k] * n * speed**3
        motor[k] += fans
        report[k, TAKEN] += heat + fans
        report[k, HEAT] += heat
        report[k, ENTERING] = entering
        report[k, LEAVING] = state[k, SUPPLY]
        report[k, SPEED] = max(report[k, SPEED], speed)
        report[k, SINK] = sink
        report[k, LOAD] = load
