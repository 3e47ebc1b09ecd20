"""The numbers of a plan: racks, candidates from the library, limits of the site.

A plan is made for the middle of what is known: of a range its most likely value, of another
distribution its median, of a value that changes with time its last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.model import Racks
from firsttoken.facility.model_design import Design
from firsttoken.facility.plan_plant import Chiller, Cooler
from firsttoken.facility.plan_reliability import up
from firsttoken.facility.slots import Sheet, part_of, sheet_of
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.input_table import central
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import Fact, ModelPort, Series, Signal, Value

Floats = NDArray[np.float64]

UNITS: Mapping[str, str] = {
    "rating": "W",
    "cost": "USD",
    "mtbf": "s",
    "mttr": "s",
    "no_load_loss": "W",
    "load_loss": "W",
    "efficiency": "",
    "fan_power": "W",
    "approach": "delta_degC",
    "lift": "delta_degC",
    "adiabatic": "",
    "cycles": "",
    "drift": "",
    "cop": "",
    "success": "",
    "pumps.flow": "m**3/s",
    "pumps.head": "Pa",
    "pumps.efficiency": "",
}
COOLERS: Mapping[str, str] = {
    "dry": "dry_cooler_1100kw",
    "adiabatic": "adiabatic_cooler_1250kw",
    "tower": "tower_5mw",
}
"""Part of the library behind each kind of plant."""
CYCLES = 4.0
"""Cycles of concentration where a part does not say."""


@dataclass(frozen=True)
class RackNumbers:
    """One rack: W, K, kg, m2, USD; `flow` m3/s by supply temperature K."""

    name: str
    power: float
    liquid: float
    warmest: float
    weight: float
    footprint: float
    gpus: float
    flow: float
    law: tuple[float, float, float, float] | None

    def flow_at(self, supply: float) -> float:
        """Coolant flow at full power, m3/s; inf where no flow suffices."""
        if self.law is None:
            return self.flow
        scale, limit, exponent, unit = self.law
        if supply >= limit:
            return float("inf")
        return float(unit * (scale / (limit - supply)) ** exponent)


@dataclass(frozen=True)
class Unit:
    """A candidate of the library: rating W, cost USD, share of the time in which it is up."""

    part: str
    rating: float
    cost: float
    up: float
    facts: Mapping[str, float]

    def curve(self, load: float) -> float:
        """Efficiency at a load, a share of the rating."""
        points = sorted(
            (float(name.partition(".")[2]) / 100, value)
            for name, value in self.facts.items()
            if name.startswith("efficiency.")
        )
        if not points:
            return self.facts.get("efficiency", 1.0)
        return float(np.interp(load, [x for x, _ in points], [y for _, y in points]))

    def loss(self, load: float) -> float:
        """Loss in W per W of output, at a load: no-load and load losses, or by efficiency."""
        if load <= 0:
            return 0.0
        if "load_loss" in self.facts:
            lost = self.facts["no_load_loss"] + self.facts["load_loss"] * load**2
            return lost / (self.rating * load)
        return 1.0 / self.curve(load) - 1.0


class Numbers:
    """Reads the numbers of one site's plan."""

    def __init__(self, twin: Twin, site: str, resolve: Resolve) -> None:
        self.twin, self.site, self._resolve = twin, site, resolve
        self.path = f"facility.{site}.design"

    def middle(self, value: Value, path: str, unit: str) -> float:
        """The middle of a value in SI units."""
        if isinstance(value, Fact | ModelPort | Signal):
            value = self._resolve(value, unit)
        if isinstance(value, Series):
            value = value.knots[-1][1]
        build = ParameterBuilder(self.twin.start, self._resolve)
        row = build.scalar(value, path, unit)
        table, _ = build.tables()
        return central(int(table.code[row]), table.args[row], table.table)

    def field(self, sheet: Sheet, name: str, otherwise: float | None = None) -> float:
        """Middle of a field of a sheet.

        Raises
        ------
        TwinError
            If it has no value and there is no `otherwise`.
        """
        value = sheet.value(name)
        if value is None:
            if otherwise is not None:
                return otherwise
            raise TwinError(sheet.missing(name, "the plan needs it"))
        return self.middle(value, sheet.at(name), sheet.quantity(name).unit)

    def of(self, declared: Design, name: str) -> float:
        """Middle of a field of the design."""
        sheet = Sheet(self.twin, None, self.path, Design, declared, "")
        return self.field(sheet, name)

    def unit(self, part: str, *needed: str) -> Unit:
        """A candidate of the library.

        Raises
        ------
        TwinError
            If the library does not have it, or its sheet lacks a number.
        """
        part_of(self.twin, part, self.path)
        facts: dict[str, float] = {}
        for fact in self.twin.library.facts:
            name = fact.removeprefix(f"{part}.")
            kind = UNITS.get("efficiency" if name.startswith("efficiency.") else name)
            if name != fact and kind is not None:
                facts[name] = self.middle(Fact(fact), fact, kind)
        missing = [name for name in needed if name not in facts]
        if missing:
            what = f"part {part!r} has no {', '.join(missing)}"
            raise TwinError(self._finding(what, "the plan needs it", "choose another part"))
        share = up(facts.get("mtbf", 0.0), facts.get("mttr", 0.0))
        return Unit(part, facts.get("rating", np.inf), facts.get("cost", 0.0), share, facts)

    def rack(self, design: Design) -> RackNumbers:
        """The rack to be placed."""
        groups: Mapping[str, Any] = getattr(self.twin.rooms["facility"][self.site], "racks", {})
        if design.rack in groups:
            sheet = sheet_of(self.twin, self.site, "racks", design.rack)
        else:
            part_of(self.twin, design.rack, f"{self.path}.rack")
            sheet = Sheet(self.twin, None, self.path, Racks, None, design.rack)
        law = None
        below = sheet.below("flow_law")
        if below is not None:
            names = ("scale", "limit", "exponent", "unit")
            scale, limit, exponent, unit = (self.field(below, name) for name in names)
            law = (scale, limit, exponent, unit)
        power = self.field(sheet, "power")
        liquid = self.field(sheet, "liquid", 0.0)
        return RackNumbers(
            design.rack,
            power,
            liquid,
            self.field(sheet, "warmest", np.inf),
            self.field(sheet, "weight", 0.0),
            self.field(sheet, "footprint", 0.0),
            self.field(sheet, "gpus", 0.0),
            self.field(sheet, "flow", liquid * power * 2.5e-8),
            law,
        )

    def cooler(self, kind: str) -> tuple[Cooler, Unit]:
        """The cooler of a plant, and its unit."""
        unit = self.unit(COOLERS[kind], "rating", "approach", "fan_power")
        facts = unit.facts
        cycles = facts.get("cycles", CYCLES)
        wet = kind == "tower"
        cooler = Cooler(
            kind,
            unit.rating,
            facts["approach"],
            facts["fan_power"],
            0.0 if wet or kind == "dry" else facts.get("adiabatic", 0.0),
            cycles,
            facts.get("drift", 0.0),
        )
        return cooler, unit

    def chiller(self, part: str) -> tuple[Chiller, Unit]:
        """The chillers of a plant, and their unit."""
        unit = self.unit(part, "rating", "cop", "lift")
        return Chiller(unit.rating, unit.facts["cop"], unit.facts["lift"]), unit

    def _finding(self, what: str, why: str, hint: str) -> Finding:
        place = self.twin.place(self.path)
        return Finding(what, why, hint, self.path, "design", place=place)
