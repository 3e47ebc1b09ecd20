"""The power chain as arrays: rows in the order in which power flows, sources first.

A row is a group of equal units (`detail: group`) or one unit (`detail: unit`).  Powers are W of a
row, all its units together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEED: Final = 0
PRIME: Final = 1
STANDBY: Final = 2
TRANSFORMER: Final = 3
BOARD: Final = 4
SWITCH: Final = 5
UPS: Final = 6
BATTERY: Final = 7
DISTRIBUTION: Final = 8
LOAD: Final = 9
"""Kinds of rows; PRIME and STANDBY are generators, LOAD is what a site's power is for."""

SOURCES: Final = STANDBY
"""Kinds up to this one need no feed."""

NONE: Final = -1

NOTHING: Final[Mapping[str, float]] = {
    "rating": np.inf,
    "power_factor": 1.0,
    "no_load_loss": 0.0,
    "load_loss": 0.0,
    "round_trip": 1.0,
    "breaker.limit": np.inf,
    "breaker.hold": np.inf,
    "breaker.instant": np.inf,
    "start": 0.0,
    "success": 1.0,
    "fuel": np.inf,
    "transfer": 0.0,
    "storage": 0.0,
    "autonomy": np.nan,
    "recharge": np.nan,
    "mtbf": np.inf,
    "mttr": 0.0,
    "voltage": np.nan,
    "impedance": 0.0,
    "short_circuit": np.inf,
    "cable.length": 0.0,
    "cable.resistance": 0.0,
    "cable.reactance": 0.0,
    "cable.parallel": 1.0,
}
"""Fields of the power chain that are one number, and what holds where none is declared."""

SERIES: Final = ("count", "limit", "price", "carbon")
"""Fields that may change with time."""


class PowerGrid(NamedTuple):
    """Who feeds whom; usable in compiled functions.

    Attributes
    ----------
    kind : FEED .. DISTRIBUTION, shape [R].
    group : group of each row, shape [R].
    prefer : 1 where the row takes all from its first live source, shape [R].
    standby : 1 where the row is a standby generator, or fed by such only; it carries load only
        where nothing else is left, shape [R].
    parent_start, parent : sources of row r are ``parent[parent_start[r]:parent_start[r + 1]]``, all
        less than r; the preferred one first.
    curve_start, curve_load : knots of the loss by load of each group, load as a share of the
        rating, shapes [G + 1] and [K]; the first knot of a curve lies at 0.
    """

    kind: Ints
    group: Ints
    prefer: Ints
    standby: Ints
    parent_start: Ints
    parent: Ints
    curve_start: Ints
    curve_load: Floats


class PowerValues(NamedTuple):
    """The numbers of one replication, by row.

    Attributes
    ----------
    capacity : active power that one unit carries, W: rating times power factor; inf: no limit.
    limit : most that the row may take now, W; inf unless the simulation sets it (`Feed.limit`).
    no_load : loss of one unit whatever its load, W.
    slope : loss per W of output.
    square : loss of one unit per W^2 of its output.
    curve_loss : loss at the knots of the curves, as a share of the capacity, shape [K].
    """

    capacity: Floats
    limit: Floats
    no_load: Floats
    slope: Floats
    square: Floats
    curve_loss: Floats


class Attachment(NamedTuple):
    """What feeds a number of loads: rows ``row[start[i]:start[i + 1]]`` feed load i.

    Attributes
    ----------
    start, row : shapes [n + 1] and [m].
    share : share of the load that the row carries while all are live, shape [m].
    """

    start: Ints
    row: Ints
    share: Floats


@dataclass(frozen=True)
class PowerSystem:
    """The compiled power chain of a site.

    Attributes
    ----------
    grid : who feeds whom.
    groups : (collection, name) of each group, such as ("ups", "a").
    first : first row of each group, shape [G + 1].
    fields : parameter of each field of `NOTHING` by group, shape [G]; NONE: not declared.
    series : series of each field of `SERIES` by group, shape [G]; NONE: not declared.
    curve_parameter : parameter of the efficiency at each knot, shape [K]; NONE at load 0.
    efficiency : parameter of an efficiency that holds at all loads, by group; NONE: none.
    needed : units that carry the load, by group; 0: all.
    source : first source of each group; NONE: it is one.
    rides : whether a group is batteries that hold their board in an outage, by group.
    by_unit : whether a row is a unit.
    """

    grid: PowerGrid
    groups: tuple[tuple[str, str], ...]
    first: Ints
    fields: Mapping[str, Ints]
    series: Mapping[str, Ints]
    curve_parameter: Ints
    efficiency: Ints
    needed: Ints
    source: Ints
    rides: NDArray[np.bool_]
    by_unit: bool

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.grid.kind)

    def index(self, name: str) -> int:
        """Group of a name; raises KeyError."""
        for number, (_, known) in enumerate(self.groups):
            if known == name:
                return number
        raise KeyError(name)

    def rows(self, name: str) -> range:
        """Rows of a group."""
        group = self.index(name)
        return range(int(self.first[group]), int(self.first[group + 1]))

    def row_name(self, row: int) -> str:
        """Name of a row: `main`, or `main 3` of the third unit of several."""
        group = int(self.grid.group[row])
        name, first = self.groups[group][1], int(self.first[group])
        if int(self.first[group + 1]) - first == 1:
            return name
        return f"{name} {row - first + 1}"

    def attach(
        self, names: str | Sequence[str] | None, feeds: int | None = None, n: int = 1
    ) -> Attachment:
        """How the groups named feed n equal loads: racks, or cooling units of a group.

        A load has all the groups as sources, or `feeds` of them by turns.  Of each group it has
        its unit, or its block of units in parallel, as `blocks` says; they share its power
        equally group by group.

        Raises
        ------
        KeyError
            If a group is unknown.
        """
        groups = [self.index(name) for name in ([names] if isinstance(names, str) else names or [])]
        start, rows, shares = [0], [], []
        for unit in range(n):
            chosen = choice(len(groups), feeds if n > 1 or self.by_unit else None, unit)
            for position in chosen:
                group = groups[position]
                first = int(self.first[group])
                block = blocks(int(self.first[group + 1]) - first, n, unit)
                rows += [first + source for source in block]
                shares += [1.0 / (len(chosen) * max(len(block), 1))] * len(block)
            start.append(len(rows))
        return Attachment(
            np.array(start, np.int64), np.array(rows, np.int64), np.array(shares, np.float64)
        )


def blocks(sources: int, units: int, unit: int) -> range:
    """Which of a group's units feed unit `unit` of `units`: its block, or one that it shares."""
    if sources >= units or not sources:
        return range(unit * sources // units, (unit + 1) * sources // units)
    return range(unit * sources // units, unit * sources // units + 1)


def choice(sources: int, feeds: int | None, unit: int) -> tuple[int, ...]:
    """Which of `sources` sources unit `unit` has if each has `feeds` of them, preferred first.

    The turns go through all choices such that every source is the first, the second, ... equally
    often: 4-to-make-3 with two of four is 01 12 23 30 02 13 20 31 03 10 21 32.
    """
    from itertools import combinations

    if feeds is None or feeds >= sources:
        return tuple(range(sources))
    others = list(combinations(range(1, sources), feeds - 1))
    offsets = others[unit // sources % len(others)]
    return tuple((unit + offset) % sources for offset in (0, *offsets))


def power_values(system: PowerSystem, values: Floats) -> PowerValues:
    """The numbers of one replication.

    Loss of a unit with output P, rated capacity C (rating times power factor): ``no_load_loss +
    load_loss (P / C)^2 + P (1 / efficiency - 1)``; with an efficiency by load the last term is the
    straight line between its knots, and below the first knot the line through the first two, but
    not below 0 - so a UPS has its loss at no load.  A three-phase cable of resistance R adds
    ``R (P / (V power_factor))^2``, where its line voltage is declared.

    Parameters
    ----------
    values : parameters of the replication, shape [P].
    """
    grid, group = system.grid, system.grid.group
    field = field_values(system, values)
    capacity = field["rating"] * np.maximum(field["power_factor"], 1e-9)
    given = system.efficiency
    efficiency = np.where(given >= 0, values[given], 1.0) * np.sqrt(field["round_trip"])
    with np.errstate(invalid="ignore", divide="ignore"):
        square = np.where(np.isfinite(capacity), field["load_loss"] / capacity**2, 0.0)
    square += _cable_square(system, field)
    return PowerValues(
        capacity=capacity[group],
        limit=np.full(len(group), np.inf),
        no_load=field["no_load_loss"][group],
        slope=(1.0 / efficiency - 1.0)[group],
        square=square[group],
        curve_loss=_curve_loss(grid, system.curve_parameter, values),
    )


def nominal_voltages(system: PowerSystem, field: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Nominal line voltage at the input and the output of each group, V; nan: not declared."""
    output = field["voltage"].copy()
    entry = np.full(len(output), np.nan)
    for group, source in enumerate(system.source.tolist()):
        if source >= 0:
            entry[group] = output[source]
            if np.isnan(output[group]):
                output[group] = entry[group]
    return entry, output


def _cable_square(system: PowerSystem, field: Mapping[str, Floats]) -> Floats:
    """W lost in the cable of a unit per W^2 of its power, by group."""
    resistance = field["cable.resistance"] * field["cable.length"] / field["cable.parallel"]
    entry, _ = nominal_voltages(system, field)
    found = resistance / (entry * np.maximum(field["power_factor"], 1e-9)) ** 2
    return np.nan_to_num(found, nan=0.0)


def field_values(system: PowerSystem, values: Floats) -> dict[str, Floats]:
    """Every field of `NOTHING` by group, each of shape [G]."""
    return {
        name: np.where(system.fields[name] >= 0, values[system.fields[name]], otherwise)
        for name, otherwise in NOTHING.items()
    }


def _curve_loss(grid: PowerGrid, parameter: Ints, values: Floats) -> Floats:
    load = grid.curve_load
    loss = np.zeros(len(load))
    known = parameter >= 0
    loss[known] = load[known] * (1.0 / values[parameter[known]] - 1.0)
    for first, last in zip(grid.curve_start[:-1], grid.curve_start[1:], strict=True):
        if last > first:
            a, b = first + 1, first + 2
            slope = (loss[b] - loss[a]) / (load[b] - load[a])
            loss[first] = max(0.0, loss[a] - slope * load[a])
    return loss
