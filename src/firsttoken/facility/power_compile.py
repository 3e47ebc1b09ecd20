"""From the declared power chain to arrays: names become rows here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np

from firsttoken.facility import power_system
from firsttoken.facility.model_power import Element, PowerChain
from firsttoken.facility.power_system import NONE, NOTHING, SERIES, PowerGrid, PowerSystem
from firsttoken.facility.rack_rows import check_units
from firsttoken.facility.slots import Sheet, Slots
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.schema import support
from firsttoken.twin.slots import nearest
from firsttoken.twin.values import Fact, ModelPort, Series, Signal, Value

COLLECTIONS = {
    "feeds": power_system.FEED,
    "generators": power_system.STANDBY,
    "transformers": power_system.TRANSFORMER,
    "boards": power_system.BOARD,
    "transfer_switches": power_system.SWITCH,
    "ups": power_system.UPS,
    "batteries": power_system.BATTERY,
    "distribution": power_system.DISTRIBUTION,
}
"""Fields of `PowerChain`, and the kind of what they hold."""


def named(given: str | list[str] | None) -> list[str]:
    """The names in a `from`."""
    return [given] if isinstance(given, str) else list(given or [])


def chain_groups(chain: PowerChain) -> dict[str, tuple[str, Element]]:
    """Every group of a power chain by name: its collection and what is declared."""
    found: dict[str, tuple[str, Element]] = {}
    for collection in COLLECTIONS:
        for name, element in getattr(chain, collection).items():
            found.setdefault(name, (collection, element))
    return found


def find_cycle(sources: Mapping[str, Iterable[str]]) -> list[str]:
    """Groups that feed each other in a circle, the first named again at the end; empty: none."""
    state: dict[str, int] = {}
    way: list[str] = []
    for root in sources:
        stack = [(root, iter(sources[root]))] if root not in state else []
        if stack:
            state[root] = 1
            way.append(root)
        while stack:
            name, ahead = stack[-1]
            following = next((s for s in ahead if s in sources and state.get(s) != 2), None)
            if following is None:
                state[name] = 2
                way.pop()
                stack.pop()
            elif state.get(following) == 1:
                return [*way[way.index(following) :], following]
            else:
                state[following] = 1
                way.append(following)
                stack.append((following, iter(sources[following])))
    return []


def flow_order(sources: Mapping[str, list[str]]) -> list[str]:
    """Names such that sources come before what they feed, else in the order of the file."""
    order: dict[str, None] = {}
    for root in sources:
        stack = [root]
        while stack:
            missing = [s for s in sources[stack[-1]] if s not in order and s in sources]
            if missing:
                stack.append(missing[0])
            else:
                order[stack.pop()] = None
    return list(order)


@dataclass(frozen=True)
class _Group:
    collection: str
    name: str
    kind: int
    units: int
    sources: list[int]
    feeds: int | None
    standby: bool
    sheet: Sheet


def compile_power(
    slots: Slots, detail: str = "group", counts: Mapping[str, int] | None = None
) -> PowerSystem:
    """Compile the power chain of a site.

    Parameters
    ----------
    detail : `group`: a row a group; `unit`: a row a unit.
    counts : units of groups, in place of the most that their `count` allows.

    Raises
    ------
    TwinError
        If a source is unknown, groups feed each other in a circle, an efficiency by load has no
        rating, or units are to be told apart whose number may grow without bound.
    """
    declared = chain_groups(slots.site)
    sources = {name: named(element.from_) for name, (_, element) in declared.items()}
    _check_sources(slots, declared, sources)
    order = flow_order(sources)
    groups: list[_Group] = []
    for name in order:
        collection, element = declared[name]
        sheet = slots.sheet(collection, name)
        kind = COLLECTIONS[collection]
        if kind == power_system.STANDBY and sheet.raw("prime"):
            kind = power_system.PRIME
        units = (counts or {}).get(name) if detail == "unit" else 1
        if units is None:
            units = most_units(slots, sheet)
        check_units(sheet, units)
        fed = [order.index(source) for source in sources[name]]
        standby = kind == power_system.STANDBY or (
            bool(fed) and all(groups[source].standby for source in fed)
        )
        groups.append(_Group(collection, name, kind, units, fed, element.feeds, standby, sheet))
    return _assemble(slots, groups, detail == "unit")


def most_units(slots: Slots, sheet: Sheet) -> int:
    """Most units that a group ever has.

    Raises
    ------
    TwinError
        If that is not known before a run, or too many.
    """
    value = sheet.value("count")
    largest = 1.0 if value is None else _largest(slots, value)
    if not isfinite(largest):
        what = "units can be told apart only if their greatest number is known"
        hint = "write a number, a series or a range, or use `detail: group`"
        place = slots.twin.place(sheet.path)
        raise TwinError(Finding(what, "", hint, sheet.at("count"), "count", place=place))
    check_units(sheet, largest)
    return int(largest + 1e-9)


def _largest(slots: Slots, value: Value) -> float:
    if isinstance(value, Fact | ModelPort | Signal):
        value = slots.resolve(value, "each")
    if isinstance(value, Series):
        return max(_largest(slots, level) for _, level in value.knots)
    largest = support(value)[1]
    return largest if largest == largest else np.inf


def _check_sources(
    slots: Slots, declared: Mapping[str, tuple[str, Element]], sources: Mapping[str, list[str]]
) -> None:
    for name, given in sources.items():
        for source in given:
            if source not in sources:
                hint = nearest(source, list(sources))
                raise _error(slots, declared[name][0], name, f"{source!r} is no group", hint)
    cycle = find_cycle(sources)
    if cycle:
        what = f"power flows in a circle: {' <- '.join(cycle)}"
        hint = "a group cannot feed itself; name only what stands nearer to the source"
        raise _error(slots, declared[cycle[0]][0], cycle[0], what, hint, "cycle")


def _error(
    slots: Slots, collection: str, name: str, what: str, hint: str, code: str = "reference"
) -> TwinError:
    path = f"{slots.path}.{collection}.{name}.from"
    return TwinError(Finding(what, "", hint, path, code, place=slots.twin.place(path)))


def _assemble(slots: Slots, groups: list[_Group], by_unit: bool) -> PowerSystem:
    first = np.cumsum([0, *(group.units for group in groups)]).astype(np.int64)
    start, parents = [0], []
    for group in groups:
        for unit in range(group.units):
            feeds = group.feeds if by_unit else None
            for position in power_system.choice(len(group.sources), feeds, unit):
                source = group.sources[position]
                block = power_system.blocks(groups[source].units, group.units, unit)
                parents += [int(first[source]) + row for row in block]
            start.append(len(parents))
    repeat = [group.units for group in groups]
    prefer = [
        group.kind == power_system.SWITCH
        and (by_unit or group.feeds is None or group.feeds >= len(group.sources))
        for group in groups
    ]
    curves = _Curves(slots)
    for group in groups:
        curves.add(group.sheet)
    grid = PowerGrid(
        kind=np.repeat(np.array([g.kind for g in groups], np.int64), repeat),
        group=np.repeat(np.arange(len(groups), dtype=np.int64), repeat),
        prefer=np.repeat(np.array(prefer, np.int64), repeat),
        standby=np.repeat(np.array([g.standby for g in groups], np.int64), repeat),
        parent_start=np.array(start, np.int64),
        parent=np.array(parents, np.int64),
        curve_start=np.array(curves.start, np.int64),
        curve_load=np.array(curves.load, np.float64),
    )
    sheets = [group.sheet for group in groups]
    return PowerSystem(
        grid=grid,
        groups=tuple((group.collection, group.name) for group in groups),
        first=first,
        fields={name: _column(sheets, name) for name in NOTHING},
        series={
            name: np.array(
                [s.series(name) if name in s.model.model_fields else NONE for s in sheets],
                np.int64,
            )
            for name in SERIES
        },
        curve_parameter=np.array(curves.parameter, np.int64),
        efficiency=np.array(curves.single, np.int64),
        needed=np.array([sheet.raw("needed") or 0 for sheet in sheets], np.int64),
        source=np.array([g.sources[0] if g.sources else NONE for g in groups], np.int64),
        rides=np.array(
            [
                g.kind == power_system.BATTERY and g.sheet.raw("use") == "ride_through"
                for g in groups
            ],
            np.bool_,
        ),
        by_unit=by_unit,
    )


def _column(sheets: list[Sheet], name: str) -> power_system.Ints:
    """Parameter of a field, or of a field of the `breaker`, of every group."""
    below, _, field = name.rpartition(".")
    found: list[int] = []
    for given in sheets:
        sheet = given.below(below) if below else given
        known = sheet is not None and field in sheet.model.model_fields
        found.append(sheet.scalar(field) if sheet is not None and known else NONE)
    return np.array(found, np.int64)


class _Curves:
    """Efficiencies of the groups on their way into arrays."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.start = [0]
        self.load: list[float] = []
        self.parameter: list[int] = []
        self.single: list[int] = []

    def add(self, sheet: Sheet) -> None:
        points = sheet.curve("efficiency")
        self.single.append(points[0][1] if len(points) == 1 else NONE)
        if len(points) > 1:
            if not sheet.has("rating"):
                raise TwinError(
                    sheet.missing("rating", "its efficiency is given by load in % of the rating")
                )
            if points[0][0] <= 0:
                where = sheet.at("efficiency")
                what = "an efficiency at no load says nothing: write `no_load_loss`"
                place = self._slots.twin.place(where)
                raise TwinError(Finding(what, path=where, code="efficiency", place=place))
            self.load += [0.0, *(x / 100.0 for x, _ in points)]
            self.parameter += [NONE, *(parameter for _, parameter in points)]
        self.start.append(len(self.load))
