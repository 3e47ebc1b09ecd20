"""The search for racks that fit and for the design that costs least: every choice is looked at.

A design is a power chain with a cooling.  For each chain all coolings are evaluated at once, as
columns; costs and failures count whole units.  Nothing is left out, so the least cost is exact for
the parts, topologies and temperatures given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.plan_cooling import (
    Base,
    Choices,
    cooling_availability,
    cooling_counts,
)
from firsttoken.facility.plan_numbers import RackNumbers, Unit
from firsttoken.facility.plan_power import Chain

Floats = NDArray[np.float64]

YEAR = 365.25 * 86400.0
NEARLY = 0.98
"""Designs that place so much of the most racks count as placing as many."""
DENSITY = 1000.0
"""Of water, kg/m3."""


@dataclass(frozen=True)
class Site:
    """What the site gives; inf where nothing limits.

    Attributes
    ----------
    power, cooling : W.
    positions : rack positions.
    area : m2; `weight` is what the floor of that area carries, kg.
    water : kg/s.
    """

    power: float
    cooling: float
    positions: float
    area: float
    weight: float
    water: float


@dataclass(frozen=True)
class Terms:
    """What is asked for, and what running costs.

    Attributes
    ----------
    racks : that must fit; None: as many as can.
    availability : of a rack, at least.
    load, overhead : shares.
    price, water_price : USD/J, USD/m3.
    years : present value of a payment of one each year.
    group : CDUs of a group.
    """

    racks: float | None
    availability: float | None
    load: float
    overhead: float
    price: float
    water_price: float
    years: float
    group: int


@dataclass(frozen=True)
class Found:
    """One evaluated design; money in USD, `limits` racks by limit."""

    chain: Chain
    base: Base
    cdu_spare: int
    plant_spare: int
    racks: float
    capital: float
    running: float
    it: float
    pue: float
    peak_pue: float
    wue: float
    availability: float
    limits: dict[str, float]
    counts: dict[str, float]

    @property
    def cost(self) -> float:
        """Capital and running costs over the life, for a watt of IT power."""
        return (self.capital + self.running) / self.it if self.it > 0 else math.inf

    @property
    def cell(self) -> tuple[str, str, float]:
        """Topology, plant, water temperature."""
        return self.chain.topology, self.base.plant, self.base.water


@dataclass(frozen=True)
class Columns:
    """All coolings with one chain, shape [J] each."""

    racks: Floats
    limits: dict[str, Floats]
    capital: Floats
    running: Floats
    pue: Floats
    peak_pue: Floats
    wue: Floats
    availability: Floats
    counts: dict[str, Floats]


def present_value(interest: float, years: float) -> float:
    """Value today of one a year for some years, paid at their ends."""
    if interest <= 0:
        return years
    return float((1.0 - (1.0 + interest) ** -years) / interest)


def limits_of(site: Site, rack: RackNumbers, peak: Floats, water: Floats) -> dict[str, Floats]:
    """Racks that each limit lets in, not rounded, shape [J].

    Parameters
    ----------
    peak : power of the site for a watt of the racks in the design hour.
    water : of the plant for a watt of the racks in the design hour, kg/J.
    """
    same = np.ones(len(peak))

    def over(given: float, needed: Floats | float) -> Floats:
        each = np.broadcast_to(np.asarray(needed, dtype=np.float64), same.shape)
        racks = np.full(len(same), np.inf)
        np.divide(given, each, out=racks, where=each > 0)
        return racks

    return {
        "power": over(site.power, rack.power * peak),
        "cooling": over(site.cooling, rack.power),
        "positions": same * site.positions,
        "floor area": over(site.area, rack.footprint),
        "floor weight": over(site.weight, rack.weight),
        "water": over(site.water, rack.power * water),
    }


def evaluate(chain: Chain, chosen: Choices, rack: RackNumbers, site: Site, terms: Terms) -> Columns:
    """All coolings with one chain."""
    supply = chain.supply_loss(chain.lineups.needed / chain.lineups.total)
    motors = chosen.of("motors") + chosen.of("peak_power")
    peak = 1.0 + chain.loss(1.0) + (motors + terms.overhead) * supply
    usual = chosen.of("mean_motors") + chosen.of("mean_power")
    load = max(terms.load, 1e-6)
    pue = 1.0 + chain.loss(load) + (usual + terms.overhead / load) * supply
    limits = limits_of(site, rack, peak, chosen.of("peak_water"))
    most = np.floor(np.min(np.stack(list(limits.values())), axis=0) + 1e-9)
    racks = most if terms.racks is None else np.where(most >= terms.racks, terms.racks, most)
    if not np.all(np.isfinite(racks)):
        raise ValueError("nothing limits the racks: give a feed, positions or an area")
    it = racks * rack.power
    counts = chain.counts(it, motors * it, peak * it)
    capital = _price(counts, chain.units(), chosen, cooling_counts(chosen, it, terms.group))
    energy = it * terms.load * (pue - 1.0) * YEAR * terms.price
    wet = it * terms.load * chosen.of("mean_water") * YEAR / DENSITY * terms.water_price
    cooled = np.prod(list(cooling_availability(chosen, it, terms.group).values()), axis=0)
    powered = np.array([chain.availability(p)["power"] for p in np.unique(np.ceil(peak * it))])
    which = np.searchsorted(np.unique(np.ceil(peak * it)), np.ceil(peak * it))
    return Columns(
        racks,
        limits,
        capital,
        (energy + wet) * terms.years,
        pue,
        peak,
        chosen.of("mean_water") * 3.6e6,
        powered[which] * cooled,
        {**counts, **cooling_counts(chosen, it, terms.group)},
    )


def _price(
    counts: dict[str, Floats], units: Sequence[Unit], chosen: Choices, cooling: dict[str, Floats]
) -> Floats:
    total = np.zeros(len(chosen.base))
    for unit in units:
        total = total + counts.get(unit.part, 0.0) * unit.cost
    for kind, count in cooling.items():
        each = [getattr(base, kind) for base in chosen.bases]
        prices = np.array([0.0 if unit is None else unit.cost for unit in each])[chosen.base]
        total = total + count * prices
    return total


@dataclass
class Search:
    """What the search keeps.

    Attributes
    ----------
    looked_at : designs evaluated.
    cells : best design that meets all demands, by topology, plant and temperature.
    most_available, most_racks : the best that could be had, whatever the demands.
    """

    looked_at: int
    cells: dict[tuple[str, str, float], Found]
    most_available: Found | None
    most_racks: Found | None

    @property
    def best(self) -> Found | None:
        """The cheapest design of those that place as many racks as any, or nearly (`NEARLY`)."""
        most = max((found.racks for found in self.cells.values()), default=0.0)
        full = [found for found in self.cells.values() if found.racks >= NEARLY * most]
        return min(full, key=lambda found: found.cost, default=None)


def search(
    chains: Sequence[Chain],
    chosen: Choices,
    rack: RackNumbers,
    site: Site,
    terms: Terms,
    say: Callable[[int, int], None],
) -> Search:
    """Look at every chain with every cooling."""
    result = Search(0, {}, None, None)
    for done, chain in enumerate(chains):
        say(done, len(chains))
        columns = evaluate(chain, chosen, rack, site, terms)
        result.looked_at += len(columns.racks)
        _keep_extremes(result, chain, chosen, columns, rack, terms)
        _keep_cells(result, chain, chosen, columns, rack, terms)
    say(len(chains), len(chains))
    return result


def _keep_extremes(
    result: Search,
    chain: Chain,
    chosen: Choices,
    columns: Columns,
    rack: RackNumbers,
    terms: Terms,
) -> None:
    racks, available = columns.racks, columns.availability
    most = int(np.argmax(racks))
    if result.most_racks is None or racks[most] > result.most_racks.racks:
        result.most_racks = _found(chain, chosen, columns, rack, most)
    placed = racks >= (1.0 if terms.racks is None else terms.racks)
    if placed.any():
        j = int(np.argmax(np.where(placed, available, -1.0)))
        best = result.most_available
        if best is None or available[j] > best.availability:
            result.most_available = _found(chain, chosen, columns, rack, j)


def _keep_cells(
    result: Search,
    chain: Chain,
    chosen: Choices,
    columns: Columns,
    rack: RackNumbers,
    terms: Terms,
) -> None:
    """Keep what is better than what a cell holds: more racks, or about as many for less."""
    racks = columns.racks
    met = racks >= (1.0 if terms.racks is None else terms.racks)
    met &= columns.availability >= (terms.availability or 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = (columns.capital + columns.running) / (racks * rack.power)
    for base in np.unique(chosen.base[met]):
        rows = np.flatnonzero(met & (chosen.base == base))
        rows = rows[racks[rows] >= NEARLY * racks[rows].max()]
        j = int(rows[np.argmin(cost[rows])])
        cell = (chain.topology, chosen.bases[base].plant, chosen.bases[base].water)
        held = result.cells.get(cell)
        better = held is None or racks[j] > held.racks / NEARLY
        alike = held is not None and racks[j] >= NEARLY * held.racks and cost[j] < held.cost
        if better or alike:
            result.cells[cell] = _found(chain, chosen, columns, rack, j)


def _found(chain: Chain, chosen: Choices, columns: Columns, rack: RackNumbers, j: int) -> Found:
    return Found(
        chain,
        chosen.bases[chosen.base[j]],
        int(chosen.cdu_spare[j]),
        int(chosen.plant_spare[j]),
        float(columns.racks[j]),
        float(columns.capital[j]),
        float(columns.running[j]),
        float(columns.racks[j]) * rack.power,
        float(columns.pue[j]),
        float(columns.peak_pue[j]),
        float(columns.wue[j]),
        float(columns.availability[j]),
        {name: float(values[j]) for name, values in columns.limits.items()},
        {name: float(np.asarray(values)[j]) for name, values in columns.counts.items()},
    )


def pareto(found: Sequence[Found]) -> list[bool]:
    """Whether no other is as good in cost, PUE, WUE and availability, and better in one."""
    table = np.array([[f.cost, f.pue, f.wue, 1.0 - f.availability] for f in found])
    kept = []
    for row in table:
        no_worse = np.all(table <= row, axis=1)
        better = np.any(table < row, axis=1)
        kept.append(not bool(np.any(no_worse & better)))
    return kept
