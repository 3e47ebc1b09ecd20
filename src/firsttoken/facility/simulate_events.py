"""What happens to a site from step to step: failures, numbers of units, traces, jobs."""

from __future__ import annotations

import math

from firsttoken.facility.loads import JOBS, POWER, SHARE, TRACE_POWER
from firsttoken.facility.simulate_state import Events, Floats, Ints, Site, State, Work
from firsttoken.kernel.compiled import compiled, compiled_inner
from firsttoken.kernel.random import FAILURE, uniform2

__all__ = ["draw_failures", "move_loads", "move_units", "racks_there", "racks_want"]

WHOLE = 1e-9
"""Excess over a whole number of units that is rounding."""
TURN = 1 << 16
"""Numbers that a unit may draw: one a failure, one a repair."""


@compiled
def draw_failures(
    unit_start: Ints,
    entity: Ints,
    mtbf: Floats,
    mttr: Floats,
    down: Ints,
    horizon: float,
    seed: int,
    replication: int,
    events: Events,
) -> int:
    """Draw failures and repairs of all units, unit by unit, and return their number.

    Times to failure and to repair are exponential.  With events of length 0 they are only counted.

    Parameters
    ----------
    unit_start, entity : of the fleet.
    mtbf, mttr : by group, s; inf: never.
    down : whether a unit is down at the start, shape [M].
    """
    found = 0
    for f in range(len(mtbf)):
        if mtbf[f] == math.inf:
            continue
        for unit in range(unit_start[f], unit_start[f + 1]):
            t = 0.0
            k = int((unit - unit_start[f]) * TURN)
            fails = 1 - down[unit]
            while True:
                u, v = uniform2(seed, replication, entity[f], FAILURE, k)
                k += 1
                mean = mtbf[f] if fails else mttr[f]
                t -= mean * math.log1p(-(u if fails else v))
                if t >= horizon:
                    break
                if len(events.time):
                    events.time[found] = t
                    events.unit[found] = unit
                    events.group[found] = f
                    events.down[found] = fails
                found += 1
                fails = 1 - fails
    return found


@compiled_inner
def move_units(site: Site, state: State, events: Events, levels: Floats, j: int, t: float) -> bool:
    """Bring the number of units of every row up to time `t`; return whether any changed."""
    fleet = site.fleet
    place = len(state.pointer) - 1
    at = state.pointer[place]
    while at < len(events.time) and events.time[at] <= t:
        state.down[events.unit[at]] = events.down[at]
        state.amount[events.group[at]] = math.nan
        at += 1
    state.pointer[place] = at
    changed = False
    for f in range(len(fleet.number)):
        amount = 1.0
        if fleet.number[f] >= 0:
            amount = max(levels[fleet.number[f], j], 0.0)
        for k in range(fleet.factor_start[f], fleet.factor_start[f + 1]):
            amount *= max(levels[fleet.factor[k], j], 0.0)
        if fleet.follow[f] >= 0:
            amount = math.ceil(amount * racks_there(site, levels, j, fleet.follow[f]) - WHOLE)
        if amount == state.amount[f]:
            continue
        state.amount[f] = amount
        changed = True
        _set_units(site, state, f, amount)
    return changed


@compiled_inner
def racks_there(site: Site, levels: Floats, j: int, g: int) -> float:
    """Share of the racks of a group that is there, of the most that it ever has."""
    fleet = site.fleet
    if fleet.number[g] < 0 or fleet.most[g] <= 0.0:
        return 1.0
    return float(min(max(levels[fleet.number[g], j] / fleet.most[g], 0.0), 1.0))


@compiled_inner
def _set_units(site: Site, state: State, f: int, amount: float) -> None:
    """Fill the units of the rows of a group: those that are there and not down."""
    fleet = site.fleet
    first, last = fleet.first[f], fleet.first[f + 1]
    units = fleet.unit_start[f + 1] - fleet.unit_start[f]
    start = fleet.unit_start[f]
    if fleet.by_unit[f]:
        for row in range(first, last):
            k = row - first
            there = min(max(amount - k, 0.0), 1.0)
            if k < units and state.down[start + k]:
                there = 0.0
            state.units[row] = there
        return
    down = 0.0
    for k in range(units):
        if state.down[start + k]:
            down += min(max(amount - k, 0.0), 1.0)
    for row in range(first, last):
        state.units[row] = max(amount - down, 0.0)


@compiled_inner
def move_loads(site: Site, state: State, work: Work, t0: float, t1: float) -> None:
    """Fill the mean level of each trace and the mean load of each row by jobs over a step."""
    table = site.loads.table
    span = t1 - t0
    for g in range(len(table.kind)):
        first, last = table.start[g], table.start[g + 1]
        if first == last:
            continue
        at = state.pointer[g]
        level = state.level[g]
        mean = level
        while True:
            if at == last:
                if table.period[g] == 0.0:
                    break
                state.base[g] += table.period[g]
                at = first
            moment = table.time[at] + state.base[g]
            if moment >= t1:
                break
            new = table.value[at]
            if moment > t0:
                mean += (new - level) * (t1 - moment) / span
            else:
                mean += new - level
            level = new
            at += 1
        state.pointer[g] = at
        state.level[g] = level
        work.level[g] = mean
    _move_jobs(site, state, work, t0, t1)


@compiled_inner
def _move_jobs(site: Site, state: State, work: Work, t0: float, t1: float) -> None:
    table = site.loads.table
    if len(table.job_time) == 0:
        return
    place = len(state.pointer) - 2
    first = state.pointer[place]
    for n in range(len(work.own)):
        work.own[n] = state.own[n]
    at = first
    while at < len(table.job_time) and table.job_time[at] < t1:
        row = table.job_row[at]
        share = min((t1 - table.job_time[at]) / (t1 - t0), 1.0)
        work.own[row] += table.job_change[at] * share
        state.own[row] += table.job_change[at]
        at += 1
    state.pointer[place] = at


@compiled_inner
def racks_want(site: Site, state: State, work: Work, levels: Floats, j: int, dt: float) -> None:
    """Fill the power that one rack of each row wants, W, within its ramps."""
    table, racks = site.loads.table, site.racks
    for n in range(len(work.want)):
        g = site.loads.rack_group[n]
        kind = table.kind[g]
        if kind == POWER:
            power = levels[table.series[g], j]
        elif kind == TRACE_POWER:
            power = work.level[g]
        else:
            if kind == SHARE:
                share = levels[table.series[g], j]
            elif kind == JOBS:
                share = work.own[n]
            else:
                share = work.level[g]
            share = min(max(share, 0.0), 1.0)
            power = racks.idle[g] + (racks.power[g] - racks.idle[g]) * share
        last = state.power[n]
        if not math.isnan(last):
            power = min(power, last + racks.ramp_up[g] * dt)
            power = max(power, last - racks.ramp_down[g] * dt)
        work.want[n] = max(power, 0.0)
