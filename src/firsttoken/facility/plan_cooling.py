"""Cooling that a plan may choose: plant, water temperature, CDUs, spares; all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.model_design import Design
from firsttoken.facility.plan_numbers import Numbers, RackNumbers, Unit
from firsttoken.facility.plan_plant import (
    RANGE,
    Chiller,
    Cooler,
    ambient,
    plant_hours,
    units_without_chillers,
)
from firsttoken.facility.plan_reliability import enough

Floats = NDArray[np.float64]

PLANT_SPARES: Final = (0, 1, 2, 3, 4, 6)
CDU_SPARES: Final = (0, 1, 2)
AIR_GROUP: Final = 8
"""Air units that serve one hall's aisle together; two more stand beside them."""
PUMP_HEAD: Final = 200e3
"""Pressure of the facility water's pumps, Pa."""
PUMP_EFFICIENCY: Final = 0.65
WATER_HEAT: Final = 4.15e6
"""Heat capacity of water, J/(m3 K), at 30 degC."""
LITTLE: Final = 1e-9


@dataclass(frozen=True)
class Loop:
    """One facility water loop, for a watt of heat.

    Attributes
    ----------
    coolers, chillers : units for a watt of heat.
    mean_power, peak_power : W/W, over the year at mean load, and in the design hour at full load.
    mean_water, peak_water : kg/J, likewise.
    free : share of the hours without chillers.
    """

    coolers: float
    chillers: float
    mean_power: float
    peak_power: float
    mean_water: float
    peak_water: float
    free: float


@dataclass(frozen=True)
class Base:
    """A plant at one water temperature with one kind of CDU, for a watt of the racks."""

    plant: str
    water: float
    trimmed: bool
    cdu: Unit
    loops: tuple[tuple[float, Loop], ...]
    cdus: float
    air_units: float
    motors: float
    mean_motors: float
    cooler: Unit | None
    chiller: Unit
    air_unit: Unit

    def total(self, name: str) -> float:
        """Sum of an attribute over the loops, weighted by their heat."""
        return sum(share * float(getattr(loop, name)) for share, loop in self.loops)

    @property
    def free(self) -> float:
        """Share of the hours in which the racks' liquid needs no chiller."""
        return self.loops[0][1].free


@dataclass(frozen=True)
class Weather:
    """Hours of the climate: K, shape [H]."""

    dry_bulb: Floats
    wet_bulb: Floats


def bases(
    numbers: Numbers, design: Design, rack: RackNumbers, weather: Weather
) -> Iterator[Base | str]:
    """Every plant, water temperature and CDU; a text says why a temperature is left out."""
    chiller_unit = "chiller_air_1500kw"
    chiller, chillers = numbers.chiller(chiller_unit)
    air_unit = numbers.unit("air_unit_150kw", "rating", "fan_power", "approach")
    cdus = [numbers.unit(part, "rating", "approach", "pumps.flow") for part in design.cdus]
    load, quantile = numbers.of(design, "load"), numbers.of(design, "percentile")
    air = numbers.of(design, "air") - air_unit.facts["approach"]
    for position, cdu in product(range(len(design.water)), cdus):
        water = numbers.middle(design.water[position], f"{numbers.path}.water.{position}", "K")
        supply = water + cdu.facts["approach"]
        if rack.liquid > 0 and supply > rack.warmest:
            yield (
                f"water of {water - 273.15:.0f} degC gives the racks {supply - 273.15:.1f} degC, "
                f"they bear {rack.warmest - 273.15:.1f} degC"
            )
            continue
        for kind in design.plants:
            cooler, unit = (None, None) if kind == "chiller" else numbers.cooler(kind)
            for trimmed in (False, True) if cooler else (True,):
                shape = (cooler, chiller, weather, load, quantile)
                loops = _loops(rack, water, air, trimmed, *shape)
                if loops is None or (trimmed and cooler and not design.chillers):
                    continue
                yield _base(
                    rack, kind, water, trimmed, cdu, loops, unit, chillers, air_unit, supply, load
                )


def _base(
    rack: RackNumbers,
    kind: str,
    water: float,
    trimmed: bool,
    cdu: Unit,
    loops: tuple[tuple[float, Loop], ...],
    cooler: Unit | None,
    chiller: Unit,
    air_unit: Unit,
    supply: float,
    load: float,
) -> Base:
    flow = rack.flow_at(supply) / rack.power
    facts = cdu.facts
    pump = flow * facts["pumps.head"] / facts.get("pumps.efficiency", PUMP_EFFICIENCY)
    fans = (1.0 - rack.liquid) * air_unit.facts["fan_power"] / air_unit.rating
    mains = PUMP_HEAD / PUMP_EFFICIENCY / (WATER_HEAT * RANGE)
    if rack.liquid <= 0:
        pump, flow = 0.0, 0.0
    # Racks keep their flow at part load; pumps of the facility and fans follow the heat.
    return Base(
        kind,
        water,
        trimmed,
        cdu,
        loops,
        max(rack.liquid / cdu.rating, flow / facts["pumps.flow"]),
        (1.0 - rack.liquid) / air_unit.rating,
        pump + fans + mains,
        pump / load + (fans + mains) * load**2 if load > 0 else 0.0,
        cooler,
        chiller,
        air_unit,
    )


def _loops(
    rack: RackNumbers,
    water: float,
    air: float,
    trimmed: bool,
    cooler: Cooler | None,
    chiller: Chiller,
    weather: Weather,
    load: float,
    quantile: float,
) -> tuple[tuple[float, Loop], ...] | None:
    """Loops of the liquid and, where it must be colder, of the air; None: they cannot be."""
    parts = [(rack.liquid, water), (1.0 - rack.liquid, min(water, air))]
    found: list[tuple[float, Loop]] = []
    for share, supply in parts:
        if share <= LITTLE:
            continue
        # Warm-water plants cannot make the hall's air: chillers help there.
        helped = trimmed or supply < water
        loop = _loop(cooler, chiller, supply, helped, weather, load, quantile)
        if loop is None:
            return None
        found.append((share, loop))
    return tuple(found)


def _loop(
    cooler: Cooler | None,
    chiller: Chiller,
    supply: float,
    helped: bool,
    weather: Weather,
    load: float,
    quantile: float,
) -> Loop | None:
    dry, wet = weather.dry_bulb, weather.wet_bulb
    units = 0.0
    if cooler is not None:
        hottest = float(np.quantile(ambient(cooler, dry, wet), quantile))
        alone = units_without_chillers(cooler, supply, hottest)
        rated = 1.0 / cooler.rating
        if not helped and alone == float("inf"):
            return None
        units = min(alone, rated) if helped else max(alone, 0.25 * rated)
    full = plant_hours(cooler, units, chiller, supply, dry, wet)
    usual = plant_hours(cooler, units / load, chiller, supply, dry, wet) if load > 0 else full
    chilled = float(np.quantile(full.chilled, quantile)) if helped or cooler is None else 0.0
    return Loop(
        units,
        chilled / chiller.rating,
        float(usual.power.mean()),
        float(np.quantile(full.power, quantile)),
        float(usual.water.mean()),
        float(np.quantile(full.water, quantile)),
        float((usual.chilled <= LITTLE).mean()),
    )


@dataclass(frozen=True)
class Choices:
    """All coolings as columns, shape [J]: a base with numbers of spares."""

    bases: tuple[Base, ...]
    base: NDArray[np.int64]
    cdu_spare: Floats
    plant_spare: Floats

    def of(self, name: str) -> Floats:
        """A column: an attribute of the bases, or the total of one of their loops."""
        first = self.bases[0]
        values = [
            float(getattr(base, name)) if hasattr(first, name) else base.total(name)
            for base in self.bases
        ]
        return np.array(values)[self.base]


def choices(found: list[Base]) -> Choices:
    """Every base with every number of spares."""
    rows = list(product(range(len(found)), CDU_SPARES, PLANT_SPARES))
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Choices(tuple(found), table[:, 0], table[:, 1].astype(float), table[:, 2].astype(float))


def cooling_counts(chosen: Choices, it: Floats, group: int) -> dict[str, Floats]:
    """Units of each kind for IT power `it`, W, shape [J]."""
    coolers = np.ceil(chosen.of("coolers") * it - LITTLE)
    chillers = np.ceil(chosen.of("chillers") * it - LITTLE)
    spare = chosen.plant_spare
    groups = np.ceil(chosen.of("cdus") * it / group - LITTLE)
    aisles = np.ceil(chosen.of("air_units") * it / AIR_GROUP - LITTLE)
    return {
        "cooler": coolers + np.where(coolers > 0, spare, 0.0),
        "chiller": chillers + np.where(chillers > 0, spare, 0.0),
        "cdu": groups * (group + chosen.cdu_spare),
        "air_unit": aisles * (AIR_GROUP + 2),
    }


def cooling_availability(chosen: Choices, it: Floats, group: int) -> dict[str, Floats]:
    """Share of the time in which a rack is cooled, by kind of equipment, shape [J].

    A plant serves the whole site: it counts as down while more units are down than are spare.
    """
    found = {}
    for kind in ("cooler", "chiller"):
        share = np.array(
            [1.0 if (unit := getattr(base, kind)) is None else unit.up for base in chosen.bases]
        )[chosen.base]
        needed = np.ceil(chosen.of(f"{kind}s") * it - LITTLE)
        spare = np.where(needed > 0, chosen.plant_spare, 0.0)
        found[kind] = np.where(needed > 0, enough(needed, spare, share), 1.0)
    liquid = chosen.of("cdus") > 0
    ups = np.array([base.cdu.up for base in chosen.bases])[chosen.base]
    found["cdu"] = np.where(liquid, enough(float(group), chosen.cdu_spare, ups), 1.0)
    airs = np.array([base.air_unit.up for base in chosen.bases])[chosen.base]
    air = chosen.of("air_units") > LITTLE * LITTLE
    found["air_unit"] = np.where(air, enough(float(AIR_GROUP), 2.0, airs), 1.0)
    return found
