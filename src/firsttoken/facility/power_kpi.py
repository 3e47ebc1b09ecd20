"""Contingencies and availability as tables.

The site is taken as it stands at the end of the twin's horizon, unit by unit, with every rack at
full power, and uncertain numbers at their means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firsttoken.facility.power_availability import (
    HOURS,
    Availability,
    Outages,
    availability,
    outages,
)
from firsttoken.facility.power_compile import COLLECTIONS as CHAIN
from firsttoken.facility.power_compile import compile_power
from firsttoken.facility.power_loads import COLLECTIONS as LOADS
from firsttoken.facility.power_loads import compile_loads
from firsttoken.facility.power_pairs import screen_pairs, screen_standby
from firsttoken.facility.power_screen import (
    Case,
    Screened,
    build_case,
    racks_of,
    screen,
    single_elements,
)
from firsttoken.facility.power_system import Floats, Ints
from firsttoken.facility.power_voltage import voltages
from firsttoken.facility.power_words import Teller, duration
from firsttoken.facility.slots import Slots
from firsttoken.kernel.parameters import fixed_parameters, series_mean
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.result_rows import Rows
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.twin import Twin

MW = 1e6
LEAST = 1e-6
"""Rack-hours a year that are shown."""


@dataclass(frozen=True)
class Contingencies:
    """A screened site.

    Attributes
    ----------
    case : the site in its normal state.
    singles : every element alone, in the order of rows.
    pairs, doubles : pairs that can act together, and their results; none if not asked for.
    data : failure data of the elements.
    triples : an element and two standby generators, where these do not start for it.
    availability : of the racks' power; None without pairs or failure data.
    """

    case: Case
    singles: Screened
    pairs: Ints
    doubles: Screened
    triples: Ints
    data: Outages
    availability: Availability | None


def has_chain(twin: Twin, name: str) -> bool:
    """Whether a site declares sources, and racks that they feed."""
    site = twin.rooms["facility"][name]
    racks = getattr(site, "racks", {}).values()
    sources = getattr(site, "feeds", None) or getattr(site, "generators", None)
    return bool(sources) and any(group.from_ for group in racks)


def power_case(
    twin: Twin, name: str, resolve: Resolve, motors: Mapping[str, float] | None = None
) -> tuple[Case, Floats]:
    """A site in its normal state at the end of the horizon, and its parameters.

    Parameters
    ----------
    motors : W of one unit of cooling equipment by name, in place of its rating.

    Raises
    ------
    TwinError
        If a reference cannot be resolved or names lead nowhere.
    """
    counts = _counts(twin, name, resolve)
    slots = Slots(twin, name, ParameterBuilder(twin.start, resolve), resolve)
    system = compile_power(slots, "unit", counts)
    loads = compile_loads(slots, system, counts)
    values = fixed_parameters(slots.build.tables()[0])
    return build_case(system, loads, values, powers=motors), values


def _counts(twin: Twin, name: str, resolve: Resolve) -> dict[str, int]:
    """Units of every group at the end of the horizon."""
    slots = Slots(twin, name, ParameterBuilder(twin.start, resolve), resolve)
    found: dict[str, int] = {}
    for collection in (*CHAIN, *LOADS):
        for key in getattr(slots.site, collection):
            sheet = slots.sheet(collection, key)
            if "count" in sheet.model.model_fields:
                found[key] = sheet.series("count", 1.0)
    parameters, series = slots.build.tables()
    values = fixed_parameters(parameters)
    end = twin.end - twin.start
    return {
        key: int(series_mean(series, values, parameters, index, end, end, 0, 0, -1) + 1e-9)
        for key, index in found.items()
    }


def contingencies(case: Case, values: Floats, *, pairs: bool = False) -> Contingencies:
    """Screen a site: every element, with `pairs` every pair that can act together too."""
    singles = screen(case, single_elements(case))
    data = outages(case, values)
    none = np.zeros((0, 2), np.int64)
    both, doubles = screen_pairs(case, pairs=None if pairs else none)
    found, triples = None, np.zeros((0, 3), np.int64)
    if pairs and bool((data.q > 0.0).any()):
        triples, trebles = screen_standby(case, both, data.q)
        found = availability(case, data, singles, both, doubles, triples, trebles)
    return Contingencies(case, singles, both, doubles, triples, data, found)


def power_tables(
    twin: Twin,
    name: str,
    resolve: Resolve,
    *,
    pairs: bool = False,
    motors: Mapping[str, float] | None = None,
) -> list[ResultTable]:
    """All tables of a site's contingencies; empty if it declares no chain to its racks.

    Parameters
    ----------
    pairs : N-2 and availability too.
    motors : W of one unit of cooling equipment by name, in place of its rating.
    """
    if not has_chain(twin, name):
        return []
    case, values = power_case(twin, name, resolve, motors)
    found = contingencies(case, values, pairs=pairs)
    scenario = twin.scenario or "base"
    tables = [single_table(scenario, name, found)]
    tables += voltage_tables(scenario, twin, name, resolve, motors)
    if pairs:
        tables += [pair_table(scenario, name, found), availability_table(scenario, name, found)]
    return tables


def voltage_tables(
    scenario: str,
    twin: Twin,
    name: str,
    resolve: Resolve,
    motors: Mapping[str, float] | None = None,
) -> list[ResultTable]:
    """Voltage and current of every group at full load, if a feed declares its voltage.

    Raises
    ------
    TwinError
        If the loads are more than cables and transformers can carry.
    """
    counts = _counts(twin, name, resolve)
    slots = Slots(twin, name, ParameterBuilder(twin.start, resolve), resolve)
    system = compile_power(slots)
    loads = compile_loads(slots, system, dict.fromkeys(counts, 1))
    values = fixed_parameters(slots.build.tables()[0])
    if not (system.fields["voltage"] >= 0).any():
        return []
    demand = np.zeros(len(system))
    for group in loads:
        watts = (motors or {}).get(group.name, group.watts(values)) * counts.get(group.name, 1)
        demand[group.feeds.row] += watts * group.feeds.share
    units = np.array([float(counts.get(key, 1)) for _, key in system.groups])
    try:
        found = voltages(system, values, units, demand)
    except ValueError as error:
        path = f"facility.{name}"
        hint = "check lengths, resistances and impedances"
        raise TwinError(
            Finding(str(error), "", hint, path, "voltage", place=twin.place(path))
        ) from None
    rows = Rows(
        "facility_voltage",
        "Line voltage and current at the output of each group of the power chain at full load.",
        ("scenario", "site", "group"),
        *("scenario", "site", "group", "nominal", "voltage", "drop", "current", "series_loss"),
    )
    for g in np.flatnonzero(np.isfinite(found.voltage)).tolist():
        rows.add(
            scenario=scenario,
            site=name,
            group=system.groups[g][1],
            nominal=float(found.nominal[g]),
            voltage=float(found.voltage[g]),
            drop=100.0 * (1.0 - float(found.voltage[g] / found.nominal[g])),
            current=float(found.current[g]),
            series_loss=float(found.cable_loss[g]) / 1e3,
        )
    units_of = {"nominal": "V", "voltage": "V", "drop": "%", "current": "A", "series_loss": "kW"}
    return [rows.table(units_of)]


def single_table(scenario: str, site: str, found: Contingencies) -> ResultTable:
    """N-1: what the loss of each element does, the worst first."""
    rows = Rows(
        "facility_contingency",
        "What happens when one element of the power chain trips at full load.",
        ("scenario", "site", "element"),
        *("scenario", "site", "element", "group", "kind", "racks", "power", "first_loss"),
        *("stopped", "gap", "overloads", "course"),
    )
    case, singles, teller = found.case, found.singles, Teller(found.case)
    order = np.lexsort((np.arange(case.elements), singles.first, -singles.watts))
    for row in order.tolist():
        group = int(case.system.grid.group[row])
        rows.add(
            scenario=scenario,
            site=site,
            element=case.name(row),
            group=case.group_name(row),
            kind=case.system.groups[group][0],
            racks=float(singles.racks[row]),
            power=float(singles.watts[row]) / MW,
            first_loss=_known(float(singles.first[row])),
            stopped=float(singles.stopped[row]),
            gap=float(singles.gap[row]),
            overloads=float(singles.overloads[row]),
            course=_course(teller, singles, row, [row]),
        )
    units = {"racks": "rack", "power": "MW", "first_loss": "s", "stopped": "each", "gap": "s"}
    return rows.table(units)


def pair_table(scenario: str, site: str, found: Contingencies) -> ResultTable:
    """N-2: what the loss of two elements does beyond the loss of each, by pairs of groups."""
    rows = Rows(
        "facility_contingency_pairs",
        "What happens when two elements of the power chain that can act together trip.",
        ("scenario", "site", "first_group", "second_group"),
        *("scenario", "site", "first_group", "second_group", "pairs", "losing", "racks"),
        *("power", "first_loss", "course"),
    )
    case, both, teller = found.case, found.doubles, Teller(found.case)
    group = case.system.grid.group[found.pairs]
    code = group.min(axis=1) * len(case.system.groups) + group.max(axis=1)
    beyond = both.watts - found.singles.watts[found.pairs].sum(axis=1)
    # Of each pair of groups the pair that loses most beyond its elements, the worst of all first.
    order = np.lexsort((np.arange(len(code)), both.first, -both.watts, -beyond.round(3)))
    keys, position = np.unique(code[order], return_index=True)
    for key, worst in zip(keys[np.argsort(position)], order[np.sort(position)], strict=True):
        here = code == key
        one, other = found.pairs[worst].tolist()
        names = sorted((case.group_name(one), case.group_name(other)))
        rows.add(
            scenario=scenario,
            site=site,
            first_group=names[0],
            second_group=names[1],
            pairs=int(here.sum()),
            losing=int((beyond[here] > 0.5).sum()),
            racks=float(both.racks[worst]),
            power=float(both.watts[worst]) / MW,
            first_loss=_known(float(both.first[worst])),
            course=_course(teller, both, worst, [one, other]),
        )
    return rows.table({"racks": "rack", "power": "MW", "first_loss": "s"})


def availability_table(scenario: str, site: str, found: Contingencies) -> ResultTable:
    """Rack-hours a year lost for lack of power, by the groups whose failures cause it."""
    rows = Rows(
        "facility_availability",
        "Rack-hours a year that failures of the power chain cost, by cause; `total`: all.",
        ("scenario", "site", "cause"),
        *("scenario", "site", "cause", "rack_hours", "unavailability", "outages"),
    )
    known = found.availability
    if known is not None:
        case, hours = found.case, racks_of(found.case) * HOURS
        causes: dict[str, list[float]] = {}
        yearly = known.frequency * HOURS * 3600.0
        for row in np.flatnonzero((known.single > 0.0) | (yearly > 0.0)).tolist():
            cause = causes.setdefault(case.group_name(row), [0.0, 0.0])
            cause[0] += float(known.single[row])
            cause[1] += float(yearly[row])
        sets = [*found.pairs.tolist(), *found.triples.tolist()]
        shares = [*known.double.tolist(), *known.triple.tolist()]
        for rows_out, share in zip(sets, shares, strict=True):
            if abs(share) * hours > LEAST:
                name = " + ".join(sorted(case.group_name(row) for row in rows_out))
                causes.setdefault(name, [0.0, float("nan")])[0] += share
        total = [known.unavailability, float(yearly.sum())]
        listed = sorted(causes.items(), key=lambda item: -item[1][0])
        for cause_name, (share, often) in [("total", total), *listed]:
            rows.add(
                scenario=scenario,
                site=site,
                cause=cause_name,
                rack_hours=share * hours,
                unavailability=share,
                outages=often,
            )
    return rows.table({"rack_hours": "rack hour / year", "outages": "1/year"})


def _known(seconds: float) -> float:
    return seconds if np.isfinite(seconds) else float("nan")


def _course(teller: Teller, found: Screened, index: int, rows: list[int]) -> str:
    """What happens, and how it ends."""
    racks, first = float(found.racks[index]), float(found.first[index])
    end = "no rack lost"
    if racks:
        end = f"{racks:.0f} racks lost, the first after {duration(first)}"
    if found.stopped[index]:
        end += f", {found.stopped[index]:.0f} motors stand"
    elif found.gap[index] > 0.0:
        end += f", motors stand for {duration(float(found.gap[index]))}"
    return f"{teller.tell(rows)}: {end}"
