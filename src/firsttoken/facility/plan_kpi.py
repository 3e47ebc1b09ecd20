"""Tables of a site's plan."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from firsttoken.facility.plan import SitePlan, losses_of, needs, shown
from firsttoken.facility.plan_search import Found, pareto
from firsttoken.twin.result_rows import Rows

if TYPE_CHECKING:
    from firsttoken.twin.result_table import ResultTable

MEGA = 1e6
HOURS = 8766.0
"""Hours of a year."""


def tables_of(scenario: str, found: SitePlan) -> list[ResultTable]:
    """Figures of the chosen design, limits, designs and the bill of units."""
    return [
        figure_table(scenario, found),
        limit_table(scenario, found),
        design_table(scenario, found),
        unit_table(scenario, found),
    ]


def figure_table(scenario: str, found: SitePlan) -> ResultTable:
    """What the cheapest design is and does, one figure a row, with sentences."""
    best = found.best
    rows = Rows(
        "facility_plan",
        "The design that costs least and meets the demands.",
        ("scenario", "site", "figure"),
        *("scenario", "site", "figure", "value", "unit", "sentence"),
    )

    def add(figure: str, value: float, unit: str, said: str) -> None:
        rows.add(
            scenario=scenario, site=found.name, figure=figure, value=value, unit=unit, sentence=said
        )

    ordered = sorted(best.limits, key=lambda key: best.limits[key])
    first, second = ordered[:2]
    add("racks", best.racks, "rack", _racks_said(found, first, second))
    add("gpus", best.racks * found.rack.gpus, "gpu", f"in {best.racks:.0f} {found.rack.name}")
    add("it_power", best.it / MEGA, "MW", "at full load of the racks")
    peak = best.it * best.peak_pue / MEGA
    add("peak_power", peak, "MW", "of the site in the design hour, racks at full load")
    power = f"power: {best.chain.name}"
    add(
        "capital",
        best.capital / MEGA,
        "MUSD",
        f"power and cooling, without racks and shell; {power}",
    )
    add("running", best.running / MEGA, "MUSD", "energy beyond the racks' and water, over the life")
    add("cost", best.cost, "USD/W", "capital and running costs for a watt of IT power")
    cold = "dry in the design hour" if best.limits["water"] == math.inf else "wet"
    trim = "with chillers" if _helped(best) else "its racks' water without chillers"
    plant = f"{best.base.plant} plant, water of {best.base.water - 273.15:.0f} degC, {trim}"
    add("pue", best.pue, "", f"{plant}; at the mean load")
    add("wue", best.wue, "L/kWh", cold)
    add("free_cooling", best.base.free * 100, "%", "of the hours, the liquid needs no chiller")
    losses = losses_of(best, found.terms)
    worst = max(losses, key=lambda key: losses[key])
    said = f"a rack is powered and cooled {shown(best.availability)} of the time; "
    said += f"most is lost by {worst}"
    add("downtime", (1.0 - best.availability) * HOURS, "hour/year", said)
    add("looked_at", float(found.search.looked_at), "", "designs compared")
    for position, text in enumerate(found.excluded):
        add(f"excluded.{position}", math.nan, "", text)
    return rows.table()


def _racks_said(found: SitePlan, first: str, second: str) -> str:
    best = found.best
    if found.terms.racks is not None:
        most = math.floor(best.limits[first] + 1e-9)
        return f"as asked for; {most} would fit, then {first} limits"
    following = best.limits[second]
    if math.isinf(following):
        return f"{first} limits; nothing else does"
    more = needs(best, found.site, found.rack, first, math.floor(following))
    more = more[0].lower() + more[1:]
    return (
        f"{first} limits; {more} would bring {math.floor(following + 1e-9)}, then {second} limits"
    )


def limit_table(scenario: str, found: SitePlan) -> ResultTable:
    """Racks that each limit lets in, the closest first."""
    rows = Rows(
        "facility_limits",
        "Racks that each limit of the site lets in, with the cheapest design.",
        ("scenario", "site", "limit"),
        *("scenario", "site", "limit", "rank", "racks", "sentence"),
    )
    best = found.best
    for rank, limit in enumerate(sorted(best.limits, key=lambda key: best.limits[key]), 1):
        racks = best.limits[limit]
        if math.isinf(racks):
            continue
        needed = needs(best, found.site, found.rack, limit, best.racks)
        rows.add(
            scenario=scenario,
            site=found.name,
            limit=limit,
            rank=rank,
            racks=math.floor(racks + 1e-9),
            sentence=f"{needed} for the plan's {best.racks:.0f} racks",
        )
    return rows.table({"racks": "rack"})


def design_table(scenario: str, found: SitePlan) -> ResultTable:
    """The cheapest design of each topology, plant and water temperature that meets the demands."""
    rows = Rows(
        "facility_designs",
        "Cheapest design of each topology, plant and water temperature that meets the demands; "
        "pareto: no other here is as good in cost, PUE, WUE and availability.",
        ("scenario", "site", "topology", "plant", "water"),
        *("scenario", "site", "topology", "plant", "water", "chosen", "pareto", "racks"),
        *("cost", "capital", "pue", "wue", "availability", "downtime", "units"),
    )
    designs = sorted(found.search.cells.values(), key=lambda design: design.cost)
    for design, kept in zip(designs, pareto(designs), strict=True):
        topology, plant, water = design.cell
        rows.add(
            scenario=scenario,
            site=found.name,
            topology=topology,
            plant=plant if not _helped(design) else f"{plant} with chillers",
            water=water - 273.15,
            chosen=design is found.best,
            pareto=kept,
            racks=design.racks,
            cost=design.cost,
            capital=design.capital / MEGA,
            pue=design.pue,
            wue=design.wue,
            availability=design.availability * 100,
            downtime=(1.0 - design.availability) * HOURS,
            units=_units_said(design),
        )
    units = {"water": "degC", "racks": "rack", "cost": "USD/W", "capital": "MUSD"}
    return rows.table({**units, "wue": "L/kWh", "availability": "%", "downtime": "hour/year"})


def _helped(design: Found) -> bool:
    """Whether chillers stand beside coolers for the racks' liquid."""
    return design.base.cooler is not None and design.base.trimmed


def _units_said(design: Found) -> str:
    spare = (
        f"{design.plant_spare} spare coolers and chillers, {design.cdu_spare} spare CDUs a group"
    )
    return f"{design.chain.name}; {design.base.cdu.part}; {spare}"


def unit_table(scenario: str, found: SitePlan) -> ResultTable:
    """The units of the cheapest design."""
    rows = Rows(
        "facility_plan_units",
        "Units of the cheapest design, spares included.",
        ("scenario", "site", "part"),
        *("scenario", "site", "part", "count", "each", "cost"),
    )
    best = found.best
    prices = {unit.part: unit.cost for unit in best.chain.units()}
    counted = dict(best.counts)
    for kind in ("cooler", "chiller", "cdu", "air_unit"):
        unit, count = getattr(best.base, kind), counted.pop(kind)
        if unit is not None:
            counted[unit.part] = count
            prices[unit.part] = unit.cost
    for part, count in counted.items():
        if count > 0:
            rows.add(
                scenario=scenario,
                site=found.name,
                part=part,
                count=count,
                each=prices[part] / 1e3,
                cost=count * prices[part] / MEGA,
            )
    return rows.table({"count": "unit", "each": "kUSD", "cost": "MUSD"})
