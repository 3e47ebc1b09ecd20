"""What a step of a site adds to the statistics."""

from __future__ import annotations

from firsttoken.facility.cooling_system import CHILLER, HEAT, LOAD, LOOP
from firsttoken.facility.power_system import FEED as FEED_ROW
from firsttoken.facility.power_system import SOURCES
from firsttoken.facility.simulate_state import (
    AVAILABLE,
    BY_HOUR,
    CARBON,
    CHARGED,
    COST,
    FEED,
    FREE,
    GENERATOR,
    GPUS,
    INPUT,
    INSTALLED,
    IT,
    LOSS,
    LOST,
    MOTORS,
    OVER_WATER,
    OVERHEAD,
    OVERLOADED,
    PEAK,
    PEAK_IT,
    PEAK_WATER,
    ROW_ENERGY,
    ROW_LEVEL,
    ROW_LOSS,
    ROW_PEAK,
    RUNNING,
    SECONDS,
    THROTTLED,
    UNSERVED,
    WARMEST,
    WATER,
    Floats,
    Site,
    State,
    Tally,
    Work,
)
from firsttoken.kernel.compiled import compiled_inner
from firsttoken.kernel.streamed import period_of

__all__ = [
    "AVAILABLE", "BY_HOUR", "CARBON", "CHILLER", "HEAT", "LOOP", "SECONDS", "count_rows",
    "count_step",
]  # fmt: skip

LITTLE = 1e-3
"""Share of a rack's power that counts as throttled when it is missing."""


@compiled_inner
def count_step(
    site: Site,
    state: State,
    work: Work,
    tally: Tally,
    levels: Floats,
    j: int,
    number: int,
    t0: float,
    t1: float,
) -> None:
    """Add step `number`, from `t0` to `t1`, to the report period, hour and month it begins in."""
    dt = t1 - t0
    work.hint[0] = period_of(site.edges, t0, work.hint[0])
    row = tally.period[work.hint[0]]
    seconds_before = row[SECONDS]
    it_before, input_before = row[IT], row[INPUT]
    water_before, carbon_before, motors_before = row[WATER], row[CARBON], row[MOTORS]
    row[SECONDS] = seconds_before + dt
    it = _count_racks(site, state, work, levels, j, dt, row)
    motors = 0.0
    for i in range(len(work.motor)):
        motors += work.motor[i]
    row[MOTORS] += motors * dt
    power = _count_sources(site, work, levels, j, t0, dt, row)
    overhead = 0.0
    racks, cooling, chain = len(work.want), len(work.motor), len(site.grid.kind)
    for i in range(racks + cooling, len(work.load)):
        overhead += work.load[i]
    row[OVERHEAD] += overhead * dt
    row[UNSERVED] += work.factor[chain] * dt
    for b in range(len(site.battery)):
        row[CHARGED] += work.cells[b] * dt
    lost = 0.0
    for r in range(chain):
        lost += work.loss[r]
    row[LOSS] += lost * dt
    water = _count_water(site, work, levels, j, dt, it, row)
    row[PEAK] = max(row[PEAK], power)
    row[PEAK_IT] = max(row[PEAK_IT], it)
    work.hint[1] = month = period_of(site.months, t0, work.hint[1])
    tally.month[month] = max(tally.month[month], power)
    hour = tally.hour[int(((site.start + t0) % 86400.0) // 3600.0)]
    hour[0] += dt
    hour[1] += row[IT] - it_before
    hour[2] += row[INPUT] - input_before
    hour[3] += row[WATER] - water_before
    hour[4] += row[CARBON] - carbon_before
    hour[5] += row[MOTORS] - motors_before
    if len(tally.trace):
        out = tally.trace[number]
        out[0], out[1], out[2], out[3], out[4] = power, it, motors, lost, water
        for n in range(racks):
            if _is_cooled(site, work, n):
                out[5] = max(out[5], work.supply[n])


@compiled_inner
def _is_cooled(site: Site, work: Work, n: int) -> bool:
    """Whether a row of racks is supplied with coolant or with air."""
    if len(work.motor) == 0:
        return False
    return bool(site.plant.rack_liquid[n] >= 0 or site.plant.rack_air[n] >= 0)


@compiled_inner
def _count_racks(
    site: Site, state: State, work: Work, levels: Floats, j: int, dt: float, row: Floats
) -> float:
    """Count racks and what they draw; return the IT power, W."""
    it = 0.0
    fleet = site.fleet
    for n in range(len(work.want)):
        g = site.loads.rack_group[n]
        units = state.units[n]
        it += work.actual[n]
        supplied = units * work.supplied[n]
        row[AVAILABLE] += supplied * dt
        row[GPUS] += supplied * site.racks.gpus[g] * dt
        wanted = work.want[n] * units
        if wanted > 0.0:
            missing = 1.0 - work.actual[n] / wanted
            row[LOST] += missing * units * dt
            if missing > LITTLE and supplied > 0.0:
                row[THROTTLED] += supplied * dt
        if units > 0.0 and _is_cooled(site, work, n):
            row[WARMEST] = max(row[WARMEST], work.supply[n])
    for g in range(len(site.racks.power)):
        if fleet.number[g] >= 0:
            row[INSTALLED] += levels[fleet.number[g], j] * dt
    row[IT] += it * dt
    return it


@compiled_inner
def _count_sources(
    site: Site, work: Work, levels: Floats, j: int, t0: float, dt: float, row: Floats
) -> float:
    """Count what sources give, its price and carbon; return the power that the site takes, W."""
    hour = int((site.start % 3600.0 + t0) / 3600.0)
    hour = min(hour, site.market.shape[1] - 1)
    feeds = site.loads.feeds
    power = 0.0
    for i in range(len(work.load)):
        if feeds.start[i] == feeds.start[i + 1]:
            power += work.load[i]  # supplied from outside the chain
    row[COST] += power * site.market[0, hour] * dt
    row[CARBON] += power * site.market[1, hour] * dt
    over = False
    for r in range(len(site.grid.kind)):
        over = over or work.factor[r] < 0.9998
        if site.grid.kind[r] > SOURCES:
            continue
        given = work.input[r]
        power += given
        is_feed = site.grid.kind[r] == FEED_ROW
        row[FEED if is_feed else GENERATOR] += given * dt
        price = site.market[0, hour] if is_feed else 0.0
        carbon = site.market[1, hour] if is_feed else 0.0
        if site.price[r] >= 0:
            price = levels[site.price[r], j]
        if site.carbon[r] >= 0:
            carbon = levels[site.carbon[r], j]
        row[COST] += given * price * dt
        row[CARBON] += given * carbon * dt
    row[INPUT] += power * dt
    if over:
        row[OVERLOADED] += dt
    return power


@compiled_inner
def _count_water(
    site: Site, work: Work, levels: Floats, j: int, dt: float, it: float, row: Floats
) -> float:
    """Count water and hours without chillers; return the water taken, kg/s."""
    water = 0.0
    mechanical = 0.0
    for i in range(len(work.water)):
        water += work.water[i]
        if site.plant.kind[i] == CHILLER:
            mechanical += work.report[i, HEAT]
    row[WATER] += water
    row[COST] += water * site.water_price
    if it > 0.0:
        row[RUNNING] += dt
        if len(work.water) and mechanical <= 1e-6 * it:
            row[FREE] += dt
    flow = water / dt
    row[PEAK_WATER] = max(row[PEAK_WATER], flow)
    if site.water_limit >= 0 and flow > 1000.0 * levels[site.water_limit, j] * (1.0 + 1e-9):
        row[OVER_WATER] += dt
    return flow


@compiled_inner
def count_rows(site: Site, state: State, work: Work, tally: Tally, dt: float) -> None:
    """Add a step to the statistics of every row of the fleet."""
    racks, chain = len(work.want), len(site.grid.kind)
    out = tally.rows
    for n in range(racks):
        power = work.actual[n]
        out[n, ROW_ENERGY] += power * dt
        out[n, ROW_PEAK] = max(out[n, ROW_PEAK], power)
        units = state.units[n] * work.supplied[n]
        if units > 0.0 and power < (1.0 - LITTLE) * work.want[n] * units:
            out[n, ROW_LOSS] += units * dt
        if _is_cooled(site, work, n):
            out[n, ROW_LEVEL] = max(out[n, ROW_LEVEL], work.supply[n])
    for r in range(chain):
        row = racks + r
        power = work.output[r]
        out[row, ROW_ENERGY] += power * dt
        out[row, ROW_LOSS] += work.loss[r] * dt
        out[row, ROW_PEAK] = max(out[row, ROW_PEAK], power)
        if power > 0.0 and state.units[row] > 0.0 and site.power.capacity[r] > 0.0:
            most = site.power.capacity[r] * state.units[row]
            out[row, ROW_LEVEL] = max(out[row, ROW_LEVEL], power / most)
    for i in range(len(work.motor)):
        row = racks + chain + i
        heat = work.report[i, HEAT]
        out[row, ROW_ENERGY] += heat * dt
        out[row, ROW_LOSS] += work.motor[i] * dt
        out[row, ROW_PEAK] = max(out[row, ROW_PEAK], heat)
        out[row, ROW_LEVEL] = max(out[row, ROW_LEVEL], work.report[i, LOAD])
