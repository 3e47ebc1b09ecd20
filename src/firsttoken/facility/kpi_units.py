"""Tables of a site's equipment and weather: energy and losses by group, units, percentiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from firsttoken.facility import simulate_state as of
from firsttoken.facility.kpi import MWH, Floats, Kpis
from firsttoken.facility.weather import HOUR, Climate
from firsttoken.twin.result_rows import QUANTILES, spread
from firsttoken.twin.result_table import Column, ResultTable
from firsttoken.twin.values import Constant

PERCENTILES: Final = (0.4, 1.0, 10.0, 50.0, 90.0, 99.0, 99.6)
"""Annual percentiles of design conditions (ASHRAE Handbook - Fundamentals, chapter 14)."""
_POWER: Final = {
    "feeds", "generators", "transformers", "boards", "transfer_switches", "ups", "batteries",
    "distribution",
}  # fmt: skip


def group_table(kpis: Kpis) -> ResultTable:
    """Energy, losses, peak and load of every group of racks and equipment."""
    rows = kpis.rows(
        "facility_groups",
        "Energy, losses and motors, highest power and highest load of each group. Energy is that "
        "at the racks' input, at the output of power equipment, and the heat that cooling takes.",
        ("group", "metric"),
        *("collection", "unit", *QUANTILES),
    )
    for g, (collection, name) in enumerate(kpis.system.names.groups):
        for metric, unit, samples in _group_metrics(collection, kpis.result.group[:, g]):
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


def _group_metrics(collection: str, found: Floats) -> list[tuple[str, str, Floats]]:
    """(metric, unit, [R]) of one group from its counts [R, ROW_COUNTS]."""
    level, peak = found[:, of.ROW_LEVEL], found[:, of.ROW_PEAK] / 1e6
    energy, other = found[:, of.ROW_ENERGY] / MWH, found[:, of.ROW_LOSS]
    whole = [("energy", "MWh", energy), ("highest", "MW", peak)]
    if collection == "racks":
        warmest = np.where(level > 0, level - 273.15, np.nan)
        hours = ("throttled", "rack*hour", other / HOUR)
        return [*whole, hours, ("warmest_supply", "degC", warmest)]
    if collection in _POWER:
        return [*whole, ("loss", "MWh", other / MWH), ("load", "%", 100.0 * level)]
    return [*whole, ("motors", "MWh", other / MWH), ("load", "%", 100.0 * level)]


def hall_table(kpis: Kpis) -> ResultTable:
    """What stands and runs in every hall."""
    rows = kpis.rows(
        "facility_halls",
        "Racks of each hall, at most, and their mean power, by floor where it is known.",
        ("hall", "metric"),
        *("unit", *QUANTILES),
    )
    site, found = kpis.site, kpis.result
    for hall, declared in site.halls.items():
        groups = [name for name, racks in site.racks.items() if racks.hall == hall]
        chosen = [kpis.system.rack_groups.index(name) for name in groups]
        power = found.group[:, chosen, of.ROW_ENERGY].sum(axis=1) / found.time / 1e3
        most = sum(row.count for row in kpis.system.racks if row.group in groups)
        metrics = [("racks", "rack", np.full(len(power), most)), ("it_power", "kW", power)]
        if isinstance(declared.area, Constant):
            metrics.append(("density", "kW/m**2", power / declared.area.value))
        for metric, unit, samples in metrics:
            rows.add(
                scenario=kpis.scenario,
                site=kpis.name,
                hall=hall,
                metric=metric,
                unit=unit,
                **{key: float(value) for key, value in spread(samples).items()},
            )
    return rows.table()


def unit_table(kpis: Kpis) -> ResultTable:
    """Every rack, CDU and breaker of a site with `detail: unit`: means and peaks."""
    rows = kpis.rows(
        "facility_units",
        "Each unit: mean energy and losses (motors; of racks hours throttled) over replications, "
        "highest power, load (of racks the warmest supply) in any of them.",
        ("unit",),
        *("collection", "group", "energy", "loss", "throttled", "highest", "load", "supply"),
    )
    system, found = kpis.system, kpis.result.unit
    first = system.fleet.first
    for g, (collection, name) in enumerate(system.names.groups):
        own = found[first[g] : first[g + 1]]
        count = len(own)
        racks = collection == "racks"
        none = np.full(count, np.nan)
        level = own[:, of.ROW_LEVEL]
        rows.extend(
            count,
            scenario=kpis.scenario,
            site=kpis.name,
            unit=[f"{name} {number}" for number in range(1, count + 1)],
            collection=collection,
            group=name,
            energy=own[:, of.ROW_ENERGY] / MWH,
            loss=none if racks else own[:, of.ROW_LOSS] / MWH,
            throttled=own[:, of.ROW_LOSS] / HOUR if racks else none,
            highest=own[:, of.ROW_PEAK] / 1e3,
            load=none if racks else 100.0 * level,
            supply=np.where(level > 0, level - 273.15, np.nan) if racks else none,
        )
    units = {
        "energy": "MWh", "loss": "MWh", "throttled": "hour", "highest": "kW", "load": "%",
        "supply": "degC",
    }  # fmt: skip
    return rows.table(units)


def weather_table(kpis: Kpis) -> ResultTable:
    """Percentiles of dry and wet bulb of every weather year."""
    names = [f"p{share:g}".replace(".", "_") for share in PERCENTILES]
    rows = kpis.rows(
        "facility_weather",
        "Percentiles of outside air in each weather year, without what a scenario adds.",
        ("year", "quantity"),
        *("unit", "mean", *names),
    )
    climate = kpis.system.climate
    for label, values in zip(climate.labels, _years(climate), strict=True):
        for row, quantity in enumerate(("dry_bulb", "wet_bulb")):
            air = values[row] - 273.15
            found = np.percentile(air, PERCENTILES).tolist()
            rows.add(
                scenario=kpis.scenario,
                site=kpis.name,
                year=label,
                quantity=quantity,
                unit="degC",
                mean=float(air.mean()),
                **dict(zip(names, found, strict=True)),
            )
    return rows.table()


def _years(climate: Climate) -> list[Floats]:
    return [climate.dated] if climate.dated is not None else list(climate.years)


def trace_table(kpis: Kpis) -> ResultTable:
    """Every step of replication 0."""
    found = kpis.result.trace
    seconds = kpis.system.step * np.arange(len(found))
    columns: dict[str, Sequence[Any] | Column] = {
        "scenario": [kpis.scenario] * len(found),
        "site": [kpis.name] * len(found),
        "seconds": seconds,
    }
    units = {"seconds": "s"}
    scales = {
        "power": ("kW", 1e-3, 0.0), "it_power": ("kW", 1e-3, 0.0), "motors": ("kW", 1e-3, 0.0),
        "loss": ("kW", 1e-3, 0.0), "water": ("kg/s", 1.0, 0.0), "supply": ("degC", 1.0, -273.15),
        "dry_bulb": ("degC", 1.0, -273.15), "wet_bulb": ("degC", 1.0, -273.15),
    }  # fmt: skip
    for position, name in enumerate(of.TRACES):
        unit, factor, offset = scales[name]
        values = found[:, position]
        missing = (values == 0.0) & (name == "supply")
        columns[name] = np.where(missing, np.nan, values * factor + offset)
        units[name] = unit
    keys = ("scenario", "site", "seconds")
    return ResultTable(
        "facility_trace",
        columns,
        units,
        "Every step of the first replication.",
        keys,
    )
