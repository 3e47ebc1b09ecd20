"""Results of the cooling plant as named tables: temperatures, transients, set-points found."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from firsttoken.facility.cooling_count import BINS, COLDEST, RUNNING, TAKEN, WIDTH
from firsttoken.facility.cooling_optimise import SLACK, SetPointResult, optimise_set_points
from firsttoken.facility.cooling_system import Floats
from firsttoken.facility.cooling_transient import RackNumbers, TransientResult, run_transient
from firsttoken.facility.rack_rows import WHOLE
from firsttoken.kernel.parameters import evaluate_series, fixed_parameters
from firsttoken.twin.dates import to_datetime
from firsttoken.twin.result_rows import QUANTILES, Rows, spread
from firsttoken.twin.result_table import ResultTable

if TYPE_CHECKING:
    from firsttoken.facility.kpi import Kpis
    from firsttoken.facility.system import System

ZERO = 273.15
HOUR, HOURS = 3600.0, 8760
SHOWN = 240
"""Moments of a transient that its table of courses has, at most."""


def cooling_table(kpis: Kpis) -> ResultTable:
    """Temperatures, water and running time of every group of the cooling plant.

    Quantiles in time (`temperature_p1`, `_p50`, `_p99`) are within a bin's width, 0.25 K.
    """
    rows = kpis.rows(
        "facility_cooling",
        "Temperatures that groups of the cooling plant supply (of coolers: that leave them) while "
        "they take heat, water, and share of the time in which they take heat.",
        ("group", "metric"),
        *("collection", "unit", *QUANTILES),
    )
    cooling = kpis.system.cooling
    for g, (collection, name) in enumerate(cooling.groups):
        found = kpis.result.heat[:, g]
        units = int(cooling.first[g + 1] - cooling.first[g])
        metrics = [
            (f"temperature_p{share:.0f}", "degC", _time_quantile(found[:, :BINS], share / 100.0))
            for share in (1.0, 50.0, 99.0)
        ]
        metrics.append(("water", "m**3", found[:, TAKEN] / 1000.0))
        metrics.append(("running", "%", 100.0 * found[:, RUNNING] / (units * kpis.result.time)))
        for metric, unit, samples in metrics:
            rows.add(
                scenario=kpis.scenario,
                site=kpis.name,
                group=name,
                metric=metric,
                collection=collection,
                unit=unit,
                **{key: float(value) for key, value in spread(samples).items()},
            )
    return rows.table()


def _time_quantile(seconds: Floats, share: float) -> Floats:
    """Temperature in degC below which a share of the time lies, [R]; nan without any time."""
    summed = seconds.cumsum(axis=1)
    whole = summed[:, -1:]
    place = (summed < share * whole).sum(axis=1)
    found: Floats = np.where(whole[:, 0] > 0.0, COLDEST + WIDTH * (place + 0.5) - ZERO, np.nan)
    return found


def transient_tables(scenario: str, system: System) -> list[ResultTable]:
    """Run a site's transients, with all parameters at their means and all units that it ever has.

    Returns
    -------
    list
        `facility_transients`, a row for each group of racks, and `facility_transient_course`; empty
        if none is declared.
    """
    cooling = system.cooling
    if not cooling.transients or not len(cooling):
        return []
    summary = Rows(
        "facility_transients",
        "Trips and ramps of the cooling plant: time until racks throttle, hottest coolant.",
        ("scenario", "transient", "racks"),
        *("scenario", "transient", "racks", "throttle_after", "hottest_supply", "hottest_outlet"),
        *("last_supply", "last_outlet", "energy_error"),
    )
    course = Rows(
        "facility_transient_course",
        "Courses of transients: coolant that enters and leaves the hottest racks of a group.",
        ("scenario", "transient", "racks", "time"),
        *("scenario", "transient", "racks", "time", "supply", "outlet"),
    )
    x = fixed_parameters(system.parameters)
    levels = _levels(system, x)
    racks = rack_numbers(system, x, levels)
    counts = np.where(cooling.count >= 0, levels[cooling.count], 1.0)
    points = np.where(cooling.set_point >= 0, levels[cooling.set_point], np.nan)
    for case in cooling.transients:
        done = run_transient(cooling, case, racks, system.rack_groups, x, counts, points)
        for group, name in enumerate(system.rack_groups):
            mine = np.flatnonzero((racks.group == group) & ~np.isnan(done.supply[0]))
            if len(mine):
                _add(scenario, case.name, name, done, mine, summary, course)
    degrees = ("hottest_supply", "hottest_outlet", "last_supply", "last_outlet")
    return [
        summary.table({"throttle_after": "s", **dict.fromkeys(degrees, "degC")}),
        course.table({"time": "s", "supply": "degC", "outlet": "degC"}),
    ]


def _add(
    scenario: str,
    transient: str,
    racks: str,
    done: TransientResult,
    mine: np.ndarray[tuple[int], np.dtype[np.intp]],
    summary: Rows,
    course: Rows,
) -> None:
    supply, outlet = done.supply[:, mine] - ZERO, done.outlet[:, mine] - ZERO
    throttled = done.throttled[mine]
    known = throttled[~np.isnan(throttled)]
    summary.add(
        scenario=scenario,
        transient=transient,
        racks=racks,
        throttle_after=float(known.min()) if len(known) else math.nan,
        hottest_supply=float(supply.max()),
        hottest_outlet=float(outlet.max()),
        last_supply=float(supply[-1].max()),
        last_outlet=float(outlet[-1].max()),
        energy_error=done.error,
    )
    every = max(math.ceil(len(done.times) / SHOWN), 1)
    kept = slice(every - 1, None, every)
    course.extend(
        len(done.times[kept]),
        scenario=scenario,
        transient=transient,
        racks=racks,
        time=done.times[kept],
        supply=supply[kept].max(axis=1),
        outlet=outlet[kept].max(axis=1),
    )


def _levels(system: System, x: Floats) -> Floats:
    """All series at the end of the horizon, when all that is built is there, [S]."""
    found = np.empty((len(system.series.kind), 1))
    edges = np.array([system.horizon - 1.0, system.horizon])
    evaluate_series(system.series, system.parameters, x, edges, 0, -1, found)
    return found[:, 0]


def rack_numbers(system: System, x: Floats, levels: Floats) -> RackNumbers:
    """Rows of racks as numbers.

    Parameters
    ----------
    x : parameters, [P].
    levels : series at the moment, [S].
    """
    from firsttoken.facility.simulate_replication import site_values

    values = site_values(system, x, 0).racks
    group = np.array([system.rack_groups.index(row.group) for row in system.racks], np.int64)
    number = system.fleet.number[: len(system.rack_groups)]
    there = np.where(number >= 0, levels[number], 1.0)[group]
    unit = np.array([row.unit for row in system.racks], np.int64)
    units = np.where(unit == WHOLE, there, np.clip(there - unit, 0.0, 1.0))
    law = np.stack([values.scale, values.limit, values.exponent, values.unit], axis=1)
    return RackNumbers(
        group=group,
        units=units,
        power=values.power[group],
        idle=values.idle[group],
        liquid=values.liquid[group],
        flow=values.flow[group],
        law=law[group],
        warmest=values.warmest[group],
        hottest=values.hottest[group],
    )


def set_point_tables(scenario: str, system: System) -> list[ResultTable]:
    """Find set-points hour by hour for a year from the site's start, parameters at their means.

    Returns
    -------
    list
        `facility_set_points`, energies and saving of each search, and `facility_set_point_hours`;
        empty if none is declared.
    """
    cooling = system.cooling
    if not cooling.searches or not len(cooling):
        return []
    summary = Rows(
        "facility_set_points",
        "Energy of the cooling plant in a year with the declared set-points, and with those found.",
        ("scenario", "search"),
        *("scenario", "search", "loop", "declared", "found", "without_ramps", "saving"),
        *("mean_water", "mean_supply", "declared_beyond", "found_beyond"),
    )
    hourly = Rows(
        "facility_set_point_hours",
        "Set-points found for every hour.",
        ("scenario", "search", "time"),
        *("scenario", "search", "time", "dry_bulb", "wet_bulb", "water", "supply"),
        *("power", "declared_power"),
    )
    x = fixed_parameters(system.parameters)
    levels = _levels(system, x)
    racks = rack_numbers(system, x, levels)
    counts = np.where(cooling.count >= 0, levels[cooling.count], 1.0)
    points = np.where(cooling.set_point >= 0, levels[cooling.set_point], np.nan)
    first = np.floor(system.start / HOUR) * HOUR
    weather = system.climate.hours(float(first), HOURS, 0)[:3]
    times = [f"{to_datetime(first + HOUR * h):%Y-%m-%d %H:%M}" for h in range(HOURS)]
    for case in cooling.searches:
        done = optimise_set_points(cooling, case, racks, x, counts, points, weather)
        summary.add(scenario=scenario, search=case.name, loop=case.loop, **_energies(done))
        hourly.extend(
            HOURS,
            scenario=scenario,
            search=case.name,
            time=times,
            dry_bulb=weather[0] - ZERO,
            wet_bulb=weather[1] - ZERO,
            water=done.water - ZERO,
            supply=done.supply - ZERO,
            power=done.power / 1e3,
            declared_power=done.base / 1e3,
        )
    degrees = dict.fromkeys(("mean_water", "mean_supply"), "degC")
    energies = dict.fromkeys(("declared", "found", "without_ramps"), "MWh")
    shares = dict.fromkeys(("saving", "declared_beyond", "found_beyond"), "%")
    temperatures = dict.fromkeys(("dry_bulb", "wet_bulb", "water", "supply"), "degC")
    return [
        summary.table({**degrees, **energies, **shares}),
        hourly.table({**temperatures, "power": "kW", "declared_power": "kW"}),
    ]


def _energies(done: SetPointResult) -> dict[str, float]:
    """Energies in MWh of hours with powers in W, and what else sums a search up."""
    return {
        "declared": float(done.base.sum() / 1e6),
        "found": float(done.power.sum() / 1e6),
        "without_ramps": float(done.free.sum() / 1e6),
        "saving": float(100.0 * (1.0 - done.power.sum() / done.base.sum())),
        "mean_water": float(done.water.mean() - ZERO),
        "mean_supply": float(done.supply.mean() - ZERO),
        "declared_beyond": float(100.0 * (done.base_excess > SLACK).mean()),
        "found_beyond": float(100.0 * (done.excess > SLACK).mean()),
    }
