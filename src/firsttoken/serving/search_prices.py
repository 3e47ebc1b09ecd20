"""From declared costs, data sheets and facts of the library to what a GPU costs a second."""

from __future__ import annotations

from typing import Final

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.serving.model_costs import Costs
from firsttoken.serving.model_hardware import Accelerators
from firsttoken.serving.parts import shipped
from firsttoken.serving.search_costs import Prices, gpu_second
from firsttoken.twin.library import Library
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.sheets import NONE, Sheet
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import Series, Value

FACTS: Final = {
    "network": "cluster.network_share",
    "life": "server.life",
    "interest": "capital.interest",
    "upkeep": "cluster.upkeep",
    "site": "dc.cost",
    "site_life": "dc.life",
}
"""Facts that stand for fields of `Costs` that are not written."""

ENERGY: Final = "energy.price.us_industrial"
"""Fact that stands for a price of energy that is not written."""


def rent_of(sheet: Sheet, resolve: Resolve) -> float:
    """USD/s of one GPU of a pool, without its energy: paid-off capital, site and upkeep.

    Every uncertain figure counts with its mean.  A GPU of which neither file nor library has a
    price costs its place in the site only.

    Parameters
    ----------
    sheet : of the pool, with its costs below.
    """
    pool = sheet.declared
    assert isinstance(pool, Accelerators)
    twin = sheet.twin
    build = ParameterBuilder(twin.start, resolve)
    costs = Sheet(twin, build, f"{sheet.path}.costs", Costs, pool.costs, "")
    rows = {name: _row(costs, name, fact, build) for name, fact in FACTS.items()}
    rows["gpu"] = costs.scalar("price", _rack_share(twin, sheet, pool))
    own = Sheet(twin, build, sheet.path, sheet.model, pool, sheet.part)
    power = [own.scalar(name, 0.0) for name in ("tgp", "host")]
    table, _ = build.tables()
    drawn = fixed_parameters(table)
    prices = Prices(**{name: float(drawn[row]) for name, row in rows.items()}, energy=0.0, pue=1.0)
    return gpu_second(prices, float(sum(drawn[row] for row in power)))


def energy_price(twin: Twin) -> float:
    """USD/J of electricity for industry, where the file says nothing."""
    build = ParameterBuilder(twin.start, _unasked)
    row = build.scalar(_known(twin, ENERGY, "USD/J"), ENERGY, "USD/J")
    return float(fixed_parameters(build.tables()[0])[row])


def _row(costs: Sheet, name: str, fact: str, build: ParameterBuilder) -> int:
    """Parameter of a field of the costs; of the fact if it is not written."""
    found = costs.scalar(name)
    if found != NONE:
        return found
    unit = costs.quantity(name).unit
    return build.scalar(_known(costs.twin, fact, unit), fact, unit)


def _known(twin: Twin, fact: str, unit: str) -> Value:
    """A fact of the twin's libraries, or of the shipped ones, as it was first known at least."""
    library = twin.library if fact in twin.library.facts else shipped()
    first = min(row.known_from for row in library.facts[fact])
    value = library.resolve(fact, max(twin.as_of, first), unit)
    return value.knots[-1][1] if isinstance(value, Series) else value


def _unasked(*asked: object) -> Value:
    raise AssertionError(f"no reference is left to look up: {asked}")


def _rack_share(twin: Twin, sheet: Sheet, pool: Accelerators) -> float:
    """USD of a GPU as its share of the cheapest rack that holds it; 0 if none is known."""
    for library in (twin.library, shipped()):
        named = library.parts.get(pool.part or "")
        racks = [named] if named is not None and "accelerator" in named.attributes else []
        racks = racks or [
            part for part in library.parts.values() if _holds(library, part.id, sheet)
        ]
        shares = [
            _figure(library, twin, f"{rack.id}.cost") / _figure(library, twin, f"{rack.id}.gpus")
            for rack in racks
            if {"cost", "gpus"} <= set(rack.attributes)
        ]
        if shares:
            return min(shares)
    return 0.0


def _holds(library: Library, rack: str, sheet: Sheet) -> bool:
    fact = library.facts.get(f"{rack}.accelerator")
    return bool(fact) and bool(sheet.part) and fact[-1].text == sheet.part  # type: ignore[index]


def _figure(library: Library, twin: Twin, fact: str) -> float:
    """The middle of a figure of a data sheet, SI."""
    from firsttoken.twin.units import parse_unit

    rows = sorted(library.facts[fact], key=lambda row: row.known_from)
    known = [row for row in rows if row.known_from <= twin.as_of] or rows[:1]
    return known[-1].value * parse_unit(known[-1].unit).factor
