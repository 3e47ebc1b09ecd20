"""What a site's power is for: racks, motors of the cooling, overheads, as loads of single units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from firsttoken.facility.power_compile import most_units, named
from firsttoken.facility.power_system import NONE, Attachment, Floats, PowerSystem
from firsttoken.facility.rack_rows import check_units
from firsttoken.facility.slots import Sheet, Slots
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.slots import nearest

RACKS = "racks"
COLLECTIONS = (
    RACKS,
    "cdus",
    "air_units",
    "loops",
    "dry_coolers",
    "towers",
    "chillers",
    "overheads",
)
"""Fields of a site whose members take power."""

PUMP_HEAD = 200e3
"""Pressure rise of pumps without a declared one, Pa."""


@dataclass(frozen=True)
class LoadGroup:
    """Equal loads.

    Attributes
    ----------
    collection, name : where they are declared.
    units : loads.
    feeds : what feeds each of them.
    power : parameters whose product with `factor` is what one takes, W.
    divisor : parameter that divides it; NONE: 1.
    ride_through, storage : parameters of the time (s) and energy (J) that a load bridges; NONE: 0.
    restarts : whether it runs again when supply is back.
    """

    collection: str
    name: str
    units: int
    feeds: Attachment
    power: tuple[int, ...]
    divisor: int
    factor: float
    ride_through: int
    storage: int
    restarts: bool

    def watts(self, values: Floats) -> float:
        """What one load takes, W."""
        product = self.factor if self.power else 0.0
        for parameter in self.power:
            product *= float(values[parameter])
        return product / float(values[self.divisor]) if self.divisor != NONE else product


def compile_loads(
    slots: Slots, system: PowerSystem, counts: Mapping[str, int] | None = None
) -> list[LoadGroup]:
    """All loads of a site that are fed from its power chain, unit by unit.

    Racks count with their full power, motors with the rating of the units `needed`, shared by all.

    Parameters
    ----------
    counts : units of groups, in place of the most that their `count` allows.

    Raises
    ------
    TwinError
        If a source is unknown, or the number of units may grow without bound.
    """
    found: list[LoadGroup] = []
    for collection in COLLECTIONS:
        for name, declared in getattr(slots.site, collection).items():
            given = named(declared.from_)
            if not given:
                continue
            _check_names(slots, system, f"{collection}.{name}", given)
            sheet = slots.sheet(collection, name)
            units = (counts or {}).get(name)
            if units is None:
                units = most_units(slots, sheet) if "count" in sheet.model.model_fields else 1
            check_units(sheet, units)
            feeds = system.attach(given, getattr(declared, "feeds", None), units)
            found.append(_group(collection, name, units, feeds, sheet))
    return found


def _check_names(slots: Slots, system: PowerSystem, where: str, given: list[str]) -> None:
    known = [name for _, name in system.groups]
    for name in given:
        if name not in known:
            path = f"{slots.path}.{where}.from"
            what, hint = f"{name!r} is no group of the power chain", nearest(name, known)
            place = slots.twin.place(path)
            raise TwinError(Finding(what, "", hint, path, "reference", place=place))


def _group(collection: str, name: str, units: int, feeds: Attachment, sheet: Sheet) -> LoadGroup:
    power, divisor, factor = motor_power(collection, sheet)
    needed = sheet.raw("needed") if "needed" in sheet.model.model_fields else None
    if needed is not None and 0 < needed < units:
        factor *= needed / units
    ride, storage = NONE, NONE
    if collection == RACKS:
        ride, storage = sheet.scalar("ride_through"), sheet.scalar("storage")
    restarts = collection != RACKS
    return LoadGroup(
        collection, name, units, feeds, power, divisor, factor, ride, storage, restarts
    )


def motor_power(collection: str, sheet: Sheet) -> tuple[tuple[int, ...], int, float]:
    """Parameters that are multiplied, one that divides (or NONE), and a factor: power at rating.

    Racks their full power; fans their rated power; chillers heat over COP; pumps
    ``flow x head / efficiency``.  What the file does not tell counts as 0.
    """
    fields = sheet.model.model_fields
    if collection == RACKS:
        return _known(sheet, "power"), NONE, 1.0
    if collection == "overheads":
        return _level(sheet, "power"), NONE, 1.0
    if collection == "chillers":
        cop = sheet.scalar("cop")
        return (_known(sheet, "rating") if cop != NONE else ()), cop, 1.0
    if "fan_power" in fields:
        return _known(sheet, "fan_power"), NONE, 1.0
    pumps = sheet.below("pumps") if "pumps" in fields else None
    flow = pumps.scalar("flow") if pumps is not None else NONE
    if pumps is None or flow == NONE:
        return (), NONE, 0.0
    head = pumps.scalar("head")
    if head == NONE:
        return (flow,), pumps.scalar("efficiency"), PUMP_HEAD
    return (flow, head), pumps.scalar("efficiency"), 1.0


def _known(sheet: Sheet, name: str) -> tuple[int, ...]:
    found = sheet.scalar(name)
    return () if found == NONE else (found,)


def _level(sheet: Sheet, name: str) -> tuple[int, ...]:
    """A field that may change with time, if it does not."""
    from firsttoken.twin.values import Series

    value = sheet.value(name)
    return () if value is None or isinstance(value, Series) else _known(sheet, name)


def load_values(groups: list[LoadGroup], values: Floats) -> tuple[Floats, Floats]:
    """Power (W) and ride-through (s) of every load, groups one after the other."""
    power, ride = [np.zeros(0)], [np.zeros(0)]
    for group in groups:
        watts = group.watts(values)
        seconds = float(values[group.ride_through]) if group.ride_through != NONE else 0.0
        if group.storage != NONE and watts > 0.0:
            seconds += float(values[group.storage]) / watts
        power.append(np.full(group.units, watts))
        ride.append(np.full(group.units, seconds))
    return np.concatenate(power), np.concatenate(ride)
