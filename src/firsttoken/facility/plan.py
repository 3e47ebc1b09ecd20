"""The plan of a site: how many racks fit, what limits them, and the design that costs least."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from firsttoken.facility import model
from firsttoken.facility.model_design import Design
from firsttoken.facility.plan_cooling import Base, Choices, Weather, bases, choices
from firsttoken.facility.plan_numbers import Numbers, RackNumbers
from firsttoken.facility.plan_power import chains
from firsttoken.facility.plan_search import (
    DENSITY,
    YEAR,
    Found,
    Search,
    Site,
    Terms,
    present_value,
    search,
)
from firsttoken.facility.slots import Sheet, sheet_of
from firsttoken.facility.weather import Climate, read_climate, standard_climate
from firsttoken.twin.findings import Finding, Findings, InfeasibleError, TwinError
from firsttoken.twin.parameters import Resolve
from firsttoken.twin.room import Settings
from firsttoken.twin.twin import Twin

if TYPE_CHECKING:
    from firsttoken.twin.result_table import ResultTable

NINES = 1e-12


@dataclass(frozen=True)
class SitePlan:
    """A site's plan.

    Attributes
    ----------
    excluded : why water temperatures were left out.
    """

    name: str
    rack: RackNumbers
    site: Site
    terms: Terms
    search: Search
    best: Found
    excluded: tuple[str, ...]


def plan_tables(twin: Twin, name: str, resolve: Resolve, settings: Settings) -> list[ResultTable]:
    """Tables of a site's plan; none if the site has no `design`.

    Raises
    ------
    TwinError
        If a part or a number is missing.
    InfeasibleError
        If no design meets the demands; the message says what would make it feasible.
    """
    from firsttoken.facility.plan_kpi import tables_of

    declared = twin.rooms["facility"][name]
    assert isinstance(declared, model.Facility)
    if declared.design is None:
        return []
    what = f"plan {name}, {twin.scenario or 'base'}"
    found = plan_site(twin, name, resolve, lambda done, total: settings.say(what, done, total))
    return tables_of(twin.scenario or "base", found)


def plan_site(twin: Twin, name: str, resolve: Resolve, say: Callable[[int, int], None]) -> SitePlan:
    """Plan one site.

    Raises
    ------
    TwinError, InfeasibleError
        As in `plan_tables`.
    """
    declared = twin.rooms["facility"][name]
    assert isinstance(declared, model.Facility)
    design = declared.design
    assert design is not None
    numbers = Numbers(twin, name, resolve)
    rack = numbers.rack(design)
    site = _site(numbers, declared, design)
    terms = _terms(numbers, design)
    weather = _weather(numbers, declared)
    usable: list[Base] = []
    excluded: list[str] = []
    for base in bases(numbers, design, rack, weather):
        if isinstance(base, str):
            excluded.append(base)
        else:
            usable.append(base)
    said = tuple(dict.fromkeys(excluded))
    if not usable:
        raise InfeasibleError(_no_cooling(name, design, said))
    chosen: Choices = choices(usable)
    try:
        result = search(list(chains(numbers, design)), chosen, rack, site, terms, say)
    except ValueError as error:
        place = twin.place(numbers.path)
        what = "the plan has no bound"
        finding = Finding(what, str(error), "", numbers.path, "design", place=place)
        raise TwinError(finding) from None
    best = result.best
    if best is None:
        raise InfeasibleError(_why_not(name, result, site, rack, terms))
    return SitePlan(name, rack, site, terms, result, best, said)


def _site(numbers: Numbers, declared: model.Facility, design: Design) -> Site:
    twin, name = numbers.twin, numbers.site
    power = math.inf
    if design.feed is not None:
        power = numbers.of(design, "feed")
    elif declared.feeds:
        sheets = [sheet_of(twin, name, "feeds", feed) for feed in declared.feeds]
        power = sum(_feed(numbers, sheet) for sheet in sheets)
    positions = area = weight = math.inf
    halls = [sheet_of(twin, name, "halls", hall) for hall in declared.halls]
    if halls:
        given = [hall.raw("positions") for hall in halls]
        positions = math.inf if None in given else float(sum(given))
        areas = [numbers.field(hall, "area", math.inf) for hall in halls]
        loads = [numbers.field(hall, "floor_load", math.inf) for hall in halls]
        area = sum(areas)
        weight = sum(
            math.inf if math.inf in (a, f) else a * f for a, f in zip(areas, loads, strict=True)
        )
    water = math.inf
    if declared.water_limit is not None:
        path = f"facility.{name}.water_limit"
        water = numbers.middle(declared.water_limit, path, "m**3/s") * DENSITY
    cooling = math.inf if design.cooling is None else numbers.of(design, "cooling")
    return Site(power, cooling, positions, area, weight, water)


def _feed(numbers: Numbers, sheet: Sheet) -> float:
    """Power of a declared group of feeds, W."""
    count = numbers.field(sheet, "count", 1.0)
    each = numbers.field(sheet, "limit", -1.0)
    if each < 0:
        each = numbers.field(sheet, "rating", math.inf)
    return count * each


def _terms(numbers: Numbers, design: Design) -> Terms:
    years = numbers.of(design, "life") / YEAR
    return Terms(
        None if design.racks is None else numbers.of(design, "racks"),
        None if design.availability is None else numbers.of(design, "availability"),
        numbers.of(design, "load"),
        numbers.of(design, "overhead"),
        numbers.of(design, "price"),
        numbers.of(design, "water_price"),
        present_value(numbers.of(design, "interest"), years),
        design.cdu_group,
    )


def _weather(numbers: Numbers, declared: model.Facility) -> Weather:
    """All hours of the site's climate."""
    twin = numbers.twin
    sheet = Sheet(twin, None, f"facility.{numbers.site}", model.Facility, declared, "")
    altitude = None
    if declared.altitude is not None:
        altitude = numbers.field(sheet, "altitude")
    warmer = numbers.field(sheet, "warmer", 0.0)
    climate: Climate | None = standard_climate(altitude or 0.0)
    if declared.weather is not None:
        names = declared.weather
        names = [names] if isinstance(names, str) else names
        offset = None
        if declared.utc_offset is not None:
            offset = numbers.field(sheet, "utc_offset")
        findings = Findings()
        at = f"facility.{numbers.site}.weather"
        span = (twin.start, twin.end)
        climate = read_climate(names, twin.folder, span, altitude, offset, findings, at)
        findings.raise_if_errors()
    assert climate is not None
    hours = climate.years if climate.dated is None else climate.dated[None]
    dry = np.ascontiguousarray(hours[:, 0]).ravel() + warmer
    wet = np.ascontiguousarray(hours[:, 1]).ravel() + warmer
    return Weather(dry, wet)


def _no_cooling(name: str, design: Design, excluded: tuple[str, ...]) -> str:
    reasons = "; ".join(excluded) or "the plants given cannot reach the temperatures of the water"
    hint = "give colder water" if excluded else "give warmer water, other plants, or chillers: true"
    return f"facility.{name}.design: no cooling works for {design.rack}: {reasons}. {hint}."


def _why_not(name: str, result: Search, site: Site, rack: RackNumbers, terms: Terms) -> str:
    """The message of an infeasible plan: what stands in the way, and what would do."""
    most = result.most_racks
    assert most is not None
    wanted = 1.0 if terms.racks is None else terms.racks
    at = f"facility.{name}.design"
    if most.racks < wanted:
        limit = min(most.limits, key=lambda key: most.limits[key])
        text = (
            f"{at}: {wanted:.0f} racks are asked for, at most {most.racks:.0f} fit: {limit} limits."
        )
        needed = needs(most, site, rack, limit, wanted)
        return f"{text} {needed} would make room for {wanted:.0f} (with {most.chain.name})."
    best = result.most_available
    assert best is not None
    assert terms.availability is not None
    losses = losses_of(best, terms)
    worst = max(losses, key=lambda key: losses[key])
    return (
        f"{at}: no design reaches an availability of {shown(terms.availability)}; the best has "
        f"{shown(best.availability)} ({best.chain.name}; {best.base.plant}, {best.plant_spare} "
        f"spare; {best.cdu_spare} spare CDUs a group). {worst.capitalize()} lose most of it: "
        f"{losses[worst] * 8766:.2f} hours a year. It becomes feasible with availability: "
        f"{shown(math.floor(best.availability * 1e6) / 1e6)}, or with parts for {worst} that fail "
        f"less often."
    )


def losses_of(found: Found, terms: Terms) -> dict[str, float]:
    """Share of the time that each kind of equipment costs a rack, largest share first or not."""
    from firsttoken.facility.plan_cooling import cooling_availability

    power = dict(found.chain.availability(found.it * found.peak_pue))
    power.pop("power")
    row = Choices(
        (found.base,),
        np.zeros(1, np.int64),
        np.array([float(found.cdu_spare)]),
        np.array([float(found.plant_spare)]),
    )
    cooled = cooling_availability(row, np.array([found.it]), terms.group)
    names = {
        "cooler": "the coolers",
        "chiller": "the chillers",
        "cdu": "the CDUs",
        "air_unit": "the air units",
    }
    return {**power, **{names[key]: 1.0 - float(values[0]) for key, values in cooled.items()}}


def needs(found: Found, site: Site, rack: RackNumbers, limit: str, racks: float) -> str:
    """How much of what limits a number of racks would take."""
    water = site.water / found.limits["water"] if found.limits["water"] > 0 else math.inf
    water = racks * water if math.isfinite(site.water) else 0.0
    amounts = {
        "power": f"a feed of {racks * rack.power * found.peak_pue / 1e6:.1f} MW",
        "cooling": f"a plant for {racks * rack.power / 1e6:.1f} MW of heat",
        "positions": f"{racks:.0f} positions",
        "floor area": f"{racks * rack.footprint:.0f} m2 of floor",
        "floor weight": f"a floor that carries {racks * rack.weight / 1000:.0f} t",
        "water": f"{water:.1f} L/s of water",
    }
    return amounts[limit][0].upper() + amounts[limit][1:]


def shown(share: float) -> str:
    """An availability with as many digits as it has nines, and two more: `99.9952 %`."""
    missing = max(1.0 - share, NINES)
    digits = max(1, math.ceil(-math.log10(missing)))
    return f"{share * 100:.{digits}f} %"
