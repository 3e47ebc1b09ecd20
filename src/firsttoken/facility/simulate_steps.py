"""The time steps of a site: loads, cooling, power, and what is counted.

In a step, racks draw what their work wants; coolant that is too warm throttles them, rows of the
power chain that would carry more than they may cut them.  Both are found by iteration, since heat
and power depend on what the racks draw.  Every step checks the books of power and of heat.
"""

from __future__ import annotations

import math

from firsttoken.facility.cooling_count import count_cooling
from firsttoken.facility.cooling_step import cooling_step
from firsttoken.facility.cooling_system import SUPPLY
from firsttoken.facility.grid_targets import target_of
from firsttoken.facility.power_flow import power_books, power_flow, power_live, power_spread
from firsttoken.facility.simulate_battery import charge_batteries, feed_excess, shave
from firsttoken.facility.simulate_count import count_rows, count_step
from firsttoken.facility.simulate_cut import count_targets, cut_racks, find_overload
from firsttoken.facility.simulate_events import move_loads, move_units, racks_there, racks_want
from firsttoken.facility.simulate_state import (
    COOLING_BOOKS,
    DONE,
    POWER_BOOKS,
    Events,
    Floats,
    Site,
    State,
    Tally,
    Work,
)
from firsttoken.kernel.compiled import compiled, compiled_inner, is_cold

__all__ = ["SUPPLY", "run_steps"]

HEAT_TOLERANCE = 1e-6
POWER_TOLERANCE = 1e-9
ROUNDS = 12
"""Most rounds of throttling in a step."""
CUTS = 30
"""Most rounds of cutting in a step."""
SHAVES = 5
"""Most rounds in which batteries meet a limit."""
STILL = 1e-3
"""Change of throttling at which a step is solved."""
FLOW_BY_HEAT = 2.5e-8
"""Coolant of racks that declare none, m3/(s W): 1.5 L/min for each kW (OCP, ACF guidelines)."""


@compiled
def run_steps(
    site: Site,
    events: Events,
    state: State,
    work: Work,
    tally: Tally,
    levels: Floats,
    first: int,
) -> int:
    """Run the steps `first` to `first + T` and return how they ended.

    Parameters
    ----------
    levels : series in each of the steps, shape [S, T].
    """
    steps = levels.shape[1]
    for j in range(steps):
        t0 = (first + j) * site.step
        t1 = min(t0 + site.step, site.horizon)
        changed = move_units(site, state, events, levels, j, t0)
        move_loads(site, state, work, t0, t1)
        racks_want(site, state, work, levels, j, t1 - t0)
        _set_levels(site, work, levels, j, t0, t1)
        if changed or j == 0:
            _set_live(site, state, work)
        dry, wet, pressure = _air(site, levels, j, 0.5 * (t0 + t1))
        ended = _solve(site, state, work, t1 - t0, dry, wet, pressure)
        if ended != DONE:
            return ended
        count_step(site, state, work, tally, levels, j, first + j, t0, t1)
        count_rows(site, state, work, tally, t1 - t0)
        count_cooling(site.plant, work.report, work.water, t1 - t0, tally.heat)
        count_targets(site, work, tally, first + j, t0, t1)
        if len(tally.trace):
            tally.trace[first + j, 6] = dry
            tally.trace[first + j, 7] = wet
        for n in range(len(state.power)):
            state.power[n] = work.want[n]
    return DONE


@compiled_inner
def _copy(source: Floats, target: Floats) -> None:
    for r in range(source.shape[0]):
        for c in range(source.shape[1]):
            target[r, c] = source[r, c]


@compiled_inner
def _air(site: Site, levels: Floats, j: int, t: float) -> tuple[float, float, float]:
    """Outside air in the middle of a step, by straight lines between full hours."""
    hour = (site.start % 3600.0 + t) / 3600.0
    before = min(int(hour), site.air.shape[1] - 2)
    share = hour - before
    warmer = levels[site.warmer, j]
    dry = site.air[0, before] + share * (site.air[0, before + 1] - site.air[0, before])
    wet = site.air[1, before] + share * (site.air[1, before + 1] - site.air[1, before])
    pressure = site.air[2, before] + share * (site.air[2, before + 1] - site.air[2, before])
    return dry + warmer, wet + warmer, pressure


@compiled_inner
def _set_levels(site: Site, work: Work, levels: Floats, j: int, t0: float, t1: float) -> None:
    """Fill set-points of the cooling plant, what feeds may take, and overheads."""
    overheads = site.loads.overhead
    for i in range(len(overheads)):
        power = levels[overheads[i], j]
        if site.loads.with_racks[i] >= 0:
            power *= racks_there(site, levels, j, site.loads.with_racks[i])
        work.load[len(work.load) - len(overheads) + i] = power
    for i in range(len(site.set_point)):
        work.set_points[i] = levels[site.set_point[i], j] if site.set_point[i] >= 0 else math.nan
    for r in range(len(site.limit)):
        if site.limit[r] >= 0:
            site.power.limit[r] = levels[site.limit[r], j] * site.limit_share[r]
    for k in range(len(site.targets.row)):
        r = site.targets.row[k]
        level, gentle = target_of(site.targets, k, t0, t1)
        own = math.inf
        if site.limit[r] >= 0:
            own = levels[site.limit[r], j] * site.limit_share[r]
        site.power.limit[r] = min(own, level)
        work.gentle[r] = gentle if level <= own else 0.0


@compiled_inner
def _set_live(site: Site, state: State, work: Work) -> None:
    """Fill which rows of the chain have supply, which racks, and which cooling units run."""
    racks, chain = len(work.want), len(site.grid.kind)
    feeds = site.loads.feeds
    power_live(site.grid, state.units[racks : racks + chain], work.live)
    for i in range(racks + len(work.cool_units)):
        supplied = 1.0
        if feeds.start[i + 1] > feeds.start[i]:
            supplied = 0.0
            for k in range(feeds.start[i], feeds.start[i + 1]):
                if work.live[feeds.row[k]] > 0.0:
                    supplied = 1.0
        if i < racks:
            work.supplied[i] = supplied
        else:
            work.cool_units[i - racks] = state.units[i + chain] * supplied


@compiled_inner
def _solve(
    site: Site, state: State, work: Work, dt: float, dry: float, wet: float, pressure: float
) -> int:
    """Find throttling and cuts of the racks such that the step's heat and power fit."""
    chain = len(site.grid.kind)
    racks = len(work.want)
    units = state.units[racks : racks + chain]
    work.cut[:] = 1.0
    _copy(state.cooling, work.saved)
    for _ in range(CUTS):
        if not _cool(site, state, work, dt, dry, wet, pressure):
            return COOLING_BOOKS
        unserved = _supply(site, state, work, dt)
        worst = find_overload(site, work, units)
        if worst <= 1.0 + 1e-4 or not cut_racks(site, state, work):
            break
        _copy(work.saved, state.cooling)
    charge_batteries(site, state, work, units, dt)
    if not power_books(site.grid, work.demand, work.input, work.loss, unserved) < POWER_TOLERANCE:
        return POWER_BOOKS
    return DONE


@compiled_inner
def _cool(
    site: Site, state: State, work: Work, dt: float, dry: float, wet: float, pressure: float
) -> bool:
    """Run the cooling plant with racks that throttle themselves; return whether its books close.

    A rack throttles in proportion to what its coolant is too warm.  Within a step that is a fixed
    point of every row's throttling, found by the secant rule.
    """
    first = True
    for turn in range(ROUNDS):
        _heat(site, state, work)
        error = 0.0
        if len(work.motor):
            error = cooling_step(
                site.plant,
                site.cooling,
                state.cooling,
                work.cool_units,
                work.liquid,
                work.air,
                work.flow,
                work.set_points,
                dry,
                wet,
                pressure,
                dt,
                work.motor,
                work.water,
                work.report,
                work.supply,
                work.outlet,
            )
        if not error < HEAT_TOLERANCE:
            return False
        if _throttle(site, state, work, first) < STILL or turn == ROUNDS - 1:
            break
        first = False
        _copy(work.saved, state.cooling)
    return True


@compiled_inner
def _heat(site: Site, state: State, work: Work) -> None:
    """Fill what racks draw, their heat to liquid and air, and the flow that they want."""
    racks = site.racks
    for n in range(len(work.want)):
        g = site.loads.rack_group[n]
        want = work.want[n]
        idle = min(racks.idle[g], want)
        one = (idle + (want - idle) * (1.0 - state.throttle[n])) * work.cut[n]
        units = state.units[n] * work.supplied[n]
        power = one * units
        work.actual[n] = power
        work.load[n] = power
        work.liquid[n] = power * racks.liquid[g]
        work.air[n] = power - work.liquid[n]
        full = max(racks.power[g], want)
        share = max(one / full, racks.least_flow[g]) if full > 0.0 else 0.0
        work.flow[n] = _full_flow(site, state, n, g, full) * share * units


@compiled_inner
def _full_flow(site: Site, state: State, n: int, g: int, full: float) -> float:
    """Flow of one rack at full power: by its law, as declared, or by its heat."""
    racks = site.racks
    if not math.isnan(racks.scale[g]) and len(site.plant.rack_liquid):
        row = site.plant.rack_liquid[n]
        if row >= 0:
            left = max(racks.limit[g] - state.cooling[row, SUPPLY], 0.5)
            return float(racks.unit[g] * (racks.scale[g] / left) ** racks.exponent[g])
    if not math.isnan(racks.flow[g]):
        return float(racks.flow[g])
    return float(FLOW_BY_HEAT * full * racks.liquid[g])


@compiled_inner
def _throttle(site: Site, state: State, work: Work, first: bool) -> float:
    """Move the throttling of all rows towards what their coolant asks; return the largest miss."""
    worst = 0.0
    racks = site.racks
    if not len(work.motor):
        return worst
    for n in range(len(work.want)):
        g = site.loads.rack_group[n]
        cooled = site.plant.rack_liquid[n] >= 0 or site.plant.rack_air[n] >= 0
        if not cooled or state.units[n] <= 0.0:
            continue
        excess = max(work.supply[n] - racks.warmest[g], work.outlet[n] - racks.hottest[g])
        asked = min(max(excess / racks.throttle[g], 0.0), 1.0)
        now = state.throttle[n]
        miss = asked - now
        worst = max(worst, abs(miss))
        if first:
            step = miss if asked == 0.0 else 0.5 * miss
        else:
            change = work.miss[n] - miss
            if change != 0.0 and now != work.previous[n]:
                step = miss * (now - work.previous[n]) / change
            else:
                step = miss
        work.previous[n] = now
        work.miss[n] = miss
        if abs(miss) >= STILL:
            state.throttle[n] = min(max(now + step, 0.0), 1.0)
    return worst


@compiled_inner
def _supply(site: Site, state: State, work: Work, dt: float) -> float:
    """Run the power flow; return the power that is wanted and has no supply, W."""
    racks, cooling = len(work.want), len(work.motor)
    feeds = site.loads.feeds
    for i in range(cooling):
        work.load[racks + i] = work.motor[i]
    work.demand[:] = 0.0
    missing = power_spread(site.grid, feeds, work.live, work.load, work.demand)
    for i in range(len(work.load)):
        if feeds.start[i] == feeds.start[i + 1]:
            missing -= work.load[i]
    units = state.units[racks : racks + len(site.grid.kind)]
    unserved = _flow(site, work, units)
    for b in range(len(site.battery)):
        work.cells[b] = 0.0
    for turn in range(SHAVES if len(site.battery) else 0):
        excess = feed_excess(site, work)
        if not shave(site, state, work, units, excess, dt, turn == 0):
            break
        unserved = _flow(site, work, units)
    work.factor[len(site.grid.kind)] = max(missing, 0.0)
    return unserved


@compiled_inner
def _flow(site: Site, work: Work, units: Floats) -> float:
    return float(
        power_flow(site.grid, site.power, units, work.demand, work.output, work.input, work.loss)
    )


def must_compile() -> bool:
    """Tell whether the first run has to wait for the compiler."""
    return is_cold(run_steps)
