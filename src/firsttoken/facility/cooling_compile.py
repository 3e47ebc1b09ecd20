"""From the declared cooling plant to arrays: names become rows here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from firsttoken.facility import cooling_system
from firsttoken.facility.cooling_system import (
    NONE,
    CoolingPlant,
    CoolingSystem,
    Ints,
    SetPointCase,
    TransientCase,
    TransientChange,
)
from firsttoken.facility.model_cooling import Cooling
from firsttoken.facility.rack_rows import WHOLE, Detail, RackRow, largest, rows_of
from firsttoken.facility.slots import Sheet, Slots
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.slots import nearest

COLLECTIONS = {
    "cdus": cooling_system.CDU,
    "air_units": cooling_system.AIR,
    "loops": cooling_system.LOOP,
    "dry_coolers": cooling_system.DRY,
    "towers": cooling_system.TOWER,
    "chillers": cooling_system.CHILLER,
}
"""Fields of `Cooling` in the order of rows, and the kind of what they hold."""

FIELDS = (
    *("rating", "approach", "water_flow", "volume", "air_flow", "fan_power", "range", "glycol"),
    *("adiabatic", "wet_above", "cycles", "drift", "wet_bulb", "cop", "lift", "leaving", "least"),
)
"""Fields that are one number."""
PUMP_FIELDS = ("flow", "head", "static", "efficiency")


def named(given: str | list[str] | None) -> tuple[str, ...]:
    """The names in a `from`."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def cooling_groups(cooling: Cooling) -> list[tuple[str, str]]:
    """(collection, name) of every group, in the order of rows."""
    return [(field, name) for field in COLLECTIONS for name in getattr(cooling, field)]


@dataclass(slots=True)
class _Group:
    collection: str
    name: str
    sheet: Sheet
    most: float
    rows: range
    first: int = 0
    values: dict[str, int] = field(default_factory=dict)
    pumps: tuple[float, float] = (1.0, 1.0)
    """Pumps installed, and needed."""

    @property
    def needed(self) -> float:
        """Units that carry the load at the rating."""
        declared = self.sheet.declared
        given = getattr(declared, "needed", None)
        return float(min(given, self.most) if given else self.most) or 1.0


def compile_cooling(slots: Slots, detail: Detail, racks: Sequence[RackRow]) -> CoolingSystem:
    """Compile the cooling plant of a site.

    Parameters
    ----------
    detail : `group`: a row a group.  `unit`: CDUs and air units are a row each, and the racks of a
        group go to them in order, block by block; groups with spare units (`needed`) share what
        they cool and stay a row, as do coolers and loops, whose units work side by side anyway.
    racks : rows of racks.

    Raises
    ------
    TwinError
        If a name is not declared, or a rating is missing.
    """
    site = slots.site
    groups = [_group(slots, detail, *key, racks) for key in cooling_groups(site)]
    start = 0
    for group in groups:
        group.first = start
        start += len(group.rows)
    by_name = {group.name: group for group in groups}
    for group in groups:
        _read(slots, group)
    fields = {
        key: np.array([group.values.get(key, NONE) for group in groups], np.int64)
        for key in (*FIELDS, *(f"pumps.{name}" for name in PUMP_FIELDS))
    }
    exchangers = [row for group in groups[: _exchanger_groups(site)] for row in group.rows]
    return CoolingSystem(
        plant=_plant(slots, groups, by_name, racks, len(exchangers)),
        groups=tuple((group.collection, group.name) for group in groups),
        first=np.array([*(group.first for group in groups), start], np.int64),
        unit=np.array([unit for group in groups for unit in group.rows], np.int64),
        fields=fields,
        count=np.array([_count(group) for group in groups], np.int64),
        needed=np.array([group.needed for group in groups]),
        most=np.array([_most(group, unit) for group in groups for unit in group.rows]),
        pumps=np.array([group.pumps for group in groups], np.float64).reshape(-1, 2),
        set_point=_set_points(groups),
        feeds=tuple(named(getattr(group.sheet.declared, "from_", None)) for group in groups),
        liquid=tuple(group.sheet.raw("fluid") if _has(group, "fluid") else "" for group in groups),
        transients=tuple(_transient(slots, name, groups) for name in site.transients),
        searches=tuple(_search(slots, name) for name in site.set_points),
    )


def _exchanger_groups(site: Cooling) -> int:
    return len(site.cdus) + len(site.air_units)


def _has(group: _Group, name: str) -> bool:
    return name in group.sheet.model.model_fields


def _group(
    slots: Slots, detail: Detail, collection: str, name: str, racks: Sequence[RackRow]
) -> _Group:
    sheet = slots.sheet(collection, name)
    if collection == "loops":
        return _Group(collection, name, sheet, 1.0, range(WHOLE, 0))
    most = largest(slots, sheet, "count")
    served = sum(name in (rack.cooled_by, rack.air_by) for rack in racks)
    alone = collection in ("cdus", "air_units") and sheet.raw("needed") is None
    split = detail == "unit" and alone and 0 < most <= served
    return _Group(collection, name, sheet, most, rows_of(most, "unit" if split else "group"))


def _read(slots: Slots, group: _Group) -> None:
    """Parameters of a group's fields."""
    sheet = group.sheet
    for name in FIELDS:
        if _has(group, name):
            group.values[name] = sheet.scalar(name)
    if _has(group, "rating"):
        sheet.needed("rating", "it says how much heat a unit takes")
    if not _has(group, "pumps"):
        return
    pumps = sheet.below("pumps")
    if pumps is None:
        return
    for name in PUMP_FIELDS:
        group.values[f"pumps.{name}"] = pumps.scalar(name)
    installed = float(pumps.raw("count"))
    needed = pumps.raw("needed")
    group.pumps = (installed, float(min(needed or installed, installed)))


def _most(group: _Group, unit: int) -> float:
    """Most units of a row: of its group, or of a unit, whose last may be a broken number."""
    return group.most if unit == WHOLE else min(group.most - unit, 1.0)


def _count(group: _Group) -> int:
    return group.sheet.series("count") if _has(group, "count") else NONE


def _set_points(groups: Sequence[_Group]) -> Ints:
    """Series of the set-point of every row that has one, exchangers and loops."""
    found = [
        group.sheet.series("supply")
        for group in groups
        if _has(group, "supply")
        for _ in group.rows
    ]
    return np.array(found, np.int64)


def _plant(
    slots: Slots,
    groups: Sequence[_Group],
    by_name: dict[str, _Group],
    racks: Sequence[RackRow],
    exchangers: int,
) -> CoolingPlant:
    loops = [group for group in groups if group.collection == "loops"]
    kind, number, loop_of, condenser = [], [], [], []
    shared = set()
    for position, group in enumerate(groups):
        kind += [COLLECTIONS[group.collection]] * len(group.rows)
        number += [position] * len(group.rows)
        target = NONE
        if group.collection in ("cdus", "air_units"):
            water = _find(slots, group, "water", group.sheet.raw("water"), slots.site.loops)
            loop_of += [by_name[water].first] * len(group.rows)
        elif group.collection == "chillers" and group.sheet.raw("rejects_to") is not None:
            known = {**slots.site.towers, **slots.site.dry_coolers}
            name = _find(slots, group, "rejects_to", group.sheet.raw("rejects_to"), known)
            target = by_name[name].first
            shared.add(target)
        condenser += [target] * len(group.rows)
    cooler_start, cooler = [0], []
    for loop in loops:
        known = {**slots.site.dry_coolers, **slots.site.towers, **slots.site.chillers}
        for name in loop.sheet.raw("coolers"):
            cooler.append(by_name[_find(slots, loop, "coolers", name, known)].first)
        cooler_start.append(len(cooler))
    return CoolingPlant(
        kind=np.array(kind, np.int64),
        group=np.array(number, np.int64),
        exchangers=exchangers,
        loops=len(loops),
        loop_of=np.array(loop_of, np.int64),
        cooler_start=np.array(cooler_start, np.int64),
        cooler=np.array(cooler, np.int64),
        condenser=np.array(condenser, np.int64),
        shared=np.array([row in shared for row in range(len(kind))], np.int64),
        rack_liquid=_attach(slots, racks, by_name, "cooled_by", "cdus"),
        rack_air=_attach(slots, racks, by_name, "air_by", "air_units"),
    )


def _find(slots: Slots, group: _Group, field: str, name: str, known: Iterable[str]) -> str:
    """A name that must be declared; raises `TwinError`."""
    names = list(known)
    if name not in names:
        raise _unknown(slots, group.sheet.at(field), name, names)
    return name


def _unknown(slots: Slots, path: str, name: str, known: Sequence[str]) -> TwinError:
    what = f"{name!r} is not declared"
    place = slots.twin.place(path)
    hint = nearest(name, known)
    return TwinError(Finding(what, "", hint, path, "reference", place=place))


def _attach(
    slots: Slots,
    racks: Sequence[RackRow],
    by_name: dict[str, _Group],
    field: str,
    collection: str,
) -> Ints:
    """Row that takes each rack row's heat: racks in order, block by block to a group's units."""
    served: dict[str, list[int]] = {}
    for number, rack in enumerate(racks):
        name = getattr(rack, field)
        if name is not None:
            known = getattr(slots.site, collection)
            if name not in known:
                path = f"{slots.path}.racks.{rack.group}.{field}"
                raise _unknown(slots, path, name, list(known))
            served.setdefault(name, []).append(number)
    rows = np.full(len(racks), NONE, np.int64)
    for name, numbers in served.items():
        group = by_name[name]
        blocks = np.arange(len(numbers)) * len(group.rows) // len(numbers)
        rows[numbers] = group.first + blocks
    return rows


def _transient(slots: Slots, name: str, groups: Sequence[_Group]) -> TransientCase:
    sheet = slots.sheet("transients", name)
    fields = ("dry_bulb", "wet_bulb", "load", "duration", "step")
    known = {group.name: (group.collection, group.name) for group in groups}
    known |= {racks: ("racks", racks) for racks in slots.site.racks}
    changes = []
    for number, event in enumerate(sheet.raw("events")):
        path = f"{sheet.path}.events.{number}"
        own = Sheet(slots.twin, slots.build, path, type(event), event, "")
        for target in named(event.of):
            if target not in known:
                raise _unknown(slots, f"{path}.of", target, list(known))
            for what in ("pumps", "units", "load"):
                if own.has(what):
                    change = own.scalar("at"), own.scalar("over"), own.scalar(what)
                    changes.append(TransientChange(known[target], what, *change))
    return TransientCase(name, {field: sheet.scalar(field) for field in fields}, tuple(changes))


def _search(slots: Slots, name: str) -> SetPointCase:
    sheet = slots.sheet("set_points", name)
    loop = sheet.raw("loop")
    if loop not in slots.site.loops:
        raise _unknown(slots, sheet.at("loop"), loop, list(slots.site.loops))
    fields = ("load", "coldest", "hottest", "step", "ramp")
    return SetPointCase(name, loop, {field: sheet.scalar(field) for field in fields})
