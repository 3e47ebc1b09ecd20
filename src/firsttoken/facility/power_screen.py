"""Screening of contingencies: every single element, every pair that can act together.

`build_case` joins the compiled chain and its loads to one network; `screen` runs a list of
contingencies, each from the same normal state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from firsttoken.facility import power_state
from firsttoken.facility.power_flow import full_load_loss
from firsttoken.facility.power_loads import RACKS, LoadGroup, load_values
from firsttoken.facility.power_state import Network, State, Work
from firsttoken.facility.power_system import (
    BATTERY,
    LOAD,
    NONE,
    STANDBY,
    Floats,
    Ints,
    PowerSystem,
    PowerValues,
    field_values,
    power_values,
)
from firsttoken.facility.power_trips import restore, run_contingency, settle_base
from firsttoken.kernel.compiled import compiled

HORIZON = 86400.0
"""Seconds that a cascade is followed: batteries and most fuel last less."""
SHOWN = 12
"""Events of a contingency that are kept for its sentence."""
RESULTS = 7
UNLIMITED = 1e15
HOLD, INSTANT = 60.0, 8.0
"""Time (s) and multiple of the default breaker."""


@dataclass(frozen=True)
class Case:
    """A site in its normal state, ready for contingencies.

    Attributes
    ----------
    system, loads : what it was built from.
    net, base : the network and its normal state.
    elements : rows of the power chain; loads follow.
    """

    system: PowerSystem
    loads: list[LoadGroup]
    net: Network
    base: State
    elements: int

    def name(self, row: int) -> str:
        """Name of an element or a load."""
        if row < self.elements:
            return self.system.row_name(row)
        row -= self.elements
        for group in self.loads:
            if row < group.units:
                return group.name if group.units == 1 else f"{group.name} {row + 1}"
            row -= group.units
        raise IndexError(row)

    def group_name(self, row: int) -> str:
        """Name of the group of an element or a load."""
        if row < self.elements:
            return self.system.groups[int(self.system.grid.group[row])][1]
        row -= self.elements
        for group in self.loads:
            if row < group.units:
                return group.name
            row -= group.units
        raise IndexError(row)

    def is_rack(self, row: int) -> bool:
        """Whether a row is a rack."""
        return row >= self.elements and not self.net.restarts[row]


class Screened(NamedTuple):
    """Results of C contingencies.

    Attributes
    ----------
    racks, watts : racks lost and their power, W.
    first : seconds to the first loss; inf: none.
    stopped, stopped_watts : restarting loads without supply at the end, and their power, W.
    gap : longest time that a restarting load was without supply and came back, s.
    overloads : breakers that tripped by overload.
    events : events, shape [C].
    time, row, what : the first events of each, shape [C, SHOWN].
    """

    racks: Floats
    watts: Floats
    first: Floats
    stopped: Floats
    stopped_watts: Floats
    gap: Floats
    overloads: Floats
    events: Ints
    time: Floats
    row: Ints
    what: Ints


def build_case(
    system: PowerSystem,
    loads: list[LoadGroup],
    values: Floats,
    *,
    powers: Mapping[str, float] | None = None,
    no_start: Sequence[int] = (),
) -> Case:
    """Join a chain (compiled by unit) and its loads, and settle the normal state.

    Parameters
    ----------
    values : parameters of the replication, shape [P].
    powers : W of one unit of load groups, by name, in place of their rating: motors as they run.
    no_start : rows of generators that do not start.
    """
    net = _network(system, loads, values, powers or {}, no_start)
    state = _state(net)
    work = new_work(len(net.kind))
    settle_base(net, state, work, np.zeros(RESULTS))
    _guard_needed(system, net, state)
    return Case(system, loads, net, state, len(system))


def _guard_needed(system: PowerSystem, net: Network, base: State) -> None:
    """Let units trip when fewer than `needed` are left, in groups that declare no breaker.

    As if each had the default breaker at its rating or, where none is declared, at the load that
    `needed` units have in the normal state.
    """
    for group, needed in enumerate(system.needed.tolist()):
        rows = slice(int(system.first[group]), int(system.first[group + 1]))
        if not needed or np.isfinite(net.limit[rows]).any():
            continue
        capacity = net.capacity[rows]
        share = base.output[rows].sum() / needed * (1.0 + 1e-6)
        net.limit[rows] = np.where(np.isfinite(capacity), capacity, share)
        net.instant[rows] = INSTANT * net.limit[rows]
        net.constant[rows] = HOLD * (1.25**2 - 1.0)


def _network(
    system: PowerSystem,
    loads: list[LoadGroup],
    values: Floats,
    powers: Mapping[str, float],
    no_start: Sequence[int],
) -> Network:
    grid, numbers = system.grid, power_values(system, values)
    field = {name: column[grid.group] for name, column in field_values(system, values).items()}
    elements = len(system)
    power, ride = load_values(loads, values)
    position = 0
    for group in loads:
        if group.name in powers:
            power[position : position + group.units] = powers[group.name]
        position += group.units
    n = len(power)

    def joined(column: Floats, other: float | Floats = 0.0) -> Floats:
        return np.concatenate([column, np.broadcast_to(np.asarray(other, np.float64), n)])

    capacity = numbers.capacity.copy()
    batteries = grid.kind == BATTERY
    capacity[batteries & ~np.isfinite(capacity)] = UNLIMITED
    start, parent, weight = _edges(system, loads, capacity)
    child_start, child = _children(start, parent, elements + n)
    aid_start, aid = _aid(system, elements + n)
    limit, instant = _breaker(field, capacity)
    fails = np.zeros(elements + n, np.int64)
    fails[list(no_start)] = 1
    delay = np.where(grid.kind == STANDBY, field["start"], field["transfer"])
    return Network(
        kind=np.concatenate([grid.kind, np.full(n, LOAD)]),
        prefer=np.concatenate([grid.prefer, np.zeros(n, np.int64)]),
        standby=np.concatenate([grid.standby, np.zeros(n, np.int64)]),
        group=np.concatenate([grid.group, np.full(n, len(system.groups))]),
        parent_start=start,
        parent=parent,
        weight=weight,
        child_start=child_start,
        child=child,
        aid_start=aid_start,
        aid=aid,
        curve_start=np.append(grid.curve_start, grid.curve_start[-1]),
        curve_load=grid.curve_load,
        curve_loss=numbers.curve_loss,
        capacity=joined(capacity, np.inf),
        no_load=joined(numbers.no_load),
        slope=joined(numbers.slope),
        square=joined(numbers.square),
        limit=joined(limit, np.inf),
        instant=joined(instant, np.inf),
        constant=joined(field["breaker.hold"] * (1.25**2 - 1.0)),
        delay=joined(delay, ride),
        fails=fails,
        energy=joined(_energy(system, numbers, field, capacity), np.inf),
        recharge=joined(_recharge(field, capacity)),
        power=joined(np.zeros(elements), power),
        restarts=np.concatenate(
            [np.zeros(elements, np.int64), *(np.full(g.units, int(g.restarts)) for g in loads)]
        ),
    )


def _breaker(field: Mapping[str, Floats], capacity: Floats) -> tuple[Floats, Floats]:
    """Load that breakers carry for ever, and load that trips them at once, W; inf: none."""
    rated = np.where(np.isfinite(capacity), capacity, 1.0)
    limit = np.where(np.isfinite(capacity), field["breaker.limit"] * rated, np.inf)
    return limit, field["breaker.instant"] * rated


def _edges(
    system: PowerSystem, loads: list[LoadGroup], capacity: Floats
) -> tuple[Ints, Ints, Floats]:
    grid = system.grid
    starts, parents = [grid.parent_start], [grid.parent]
    weights = [capacity[grid.parent]]
    for group in loads:
        starts.append(group.feeds.start[1:] + starts[-1][-1])
        parents.append(group.feeds.row)
        weights.append(group.feeds.share)
    return np.concatenate(starts), np.concatenate(parents), np.concatenate(weights)


def _children(start: Ints, parent: Ints, rows: int) -> tuple[Ints, Ints]:
    owner = np.repeat(np.arange(rows), np.diff(start))
    order = np.argsort(parent, kind="stable")
    counts = np.bincount(parent, minlength=rows)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), owner[order]


def _aid(system: PowerSystem, rows: int) -> tuple[Ints, Ints]:
    """Batteries of each board that ride through, and boards of each battery."""
    grid = system.grid
    aided: list[list[int]] = [[] for _ in range(rows)]
    for battery in np.flatnonzero((grid.kind == BATTERY) & system.rides[grid.group]):
        for edge in range(grid.parent_start[battery], grid.parent_start[battery + 1]):
            board = int(grid.parent[edge])
            aided[board].append(int(battery))
            aided[int(battery)].append(board)
    start = np.cumsum([0, *(len(found) for found in aided)]).astype(np.int64)
    return start, np.array([row for found in aided for row in found], np.int64)


def _energy(
    system: PowerSystem, numbers: PowerValues, field: Mapping[str, Floats], capacity: Floats
) -> Floats:
    """Energy that UPS, batteries and generators start with, J."""
    grid = system.grid
    energy = field["storage"].copy()
    timed = np.isfinite(field["autonomy"]) & np.isfinite(capacity)
    lost = np.empty(len(capacity))
    full_load_loss(grid, numbers, lost)
    timed &= field["storage"] == 0.0
    energy[timed] = (field["autonomy"] * (capacity + lost))[timed]
    standby = grid.kind == STANDBY
    with np.errstate(invalid="ignore"):
        energy[standby] = (field["fuel"] * capacity)[standby]
    return energy


def _recharge(field: Mapping[str, Floats], capacity: Floats) -> Floats:
    return np.where(
        np.isfinite(field["recharge"]),
        field["recharge"],
        np.where(np.isfinite(capacity), 0.1 * capacity, 0.0),
    )


def _state(net: Network) -> State:
    rows = len(net.kind)

    def zeros() -> Floats:
        return np.zeros(rows)

    return State(
        up=np.ones(rows, np.int64),
        live=np.zeros(rows, np.int64),
        fed=np.zeros(rows, np.int64),
        mode=np.where(net.prefer == 1, NONE, 0).astype(np.int64),
        wanted=np.full(rows, NONE, np.int64),
        flow=np.zeros(len(net.parent)),
        output=zeros(),
        lost=zeros(),
        peak=zeros(),
        heat=zeros(),
        heat_rate=zeros(),
        stored=net.energy.copy(),
        drain=zeros(),
        since=zeros(),
        trip=np.full(rows, np.inf),
        due=np.full(rows, np.inf),
        down_since=np.full(rows, np.nan),
    )


def new_work(rows: int) -> Work:
    """Empty lists for a network of `rows` rows."""

    def ints(n: int) -> Ints:
        return np.zeros(n, np.int64)

    events = power_state.EVENTS
    return Work(
        size=ints(5),
        down=ints(rows),
        up=ints(rows),
        flags=ints(rows),
        touched=ints(rows),
        active=ints(rows),
        stack=ints(rows),
        event_time=np.zeros(events),
        event_row=ints(events),
        event_what=ints(events),
    )


def screen(
    case: Case, contingencies: Sequence[Sequence[int]] | Ints, horizon: float = HORIZON
) -> Screened:
    """Run contingencies, each from the normal state.

    Parameters
    ----------
    contingencies : rows of elements that trip at t = 0; of all the same number.
    horizon : seconds that each is followed.
    """
    sets = np.array(contingencies, np.int64, ndmin=2)
    count = len(sets)
    result = np.zeros((count, RESULTS))
    time = np.full((count, SHOWN), np.nan)
    row = np.full((count, SHOWN), NONE, np.int64)
    what = np.full((count, SHOWN), NONE, np.int64)
    events = np.zeros(count, np.int64)
    if count:
        state, work = copied(case.base), new_work(len(case.net.kind))
        _screen(case.net, case.base, state, work, sets, horizon, result, events, time, row, what)
    columns = np.ascontiguousarray(result.T)
    return Screened(
        racks=columns[0],
        watts=columns[1],
        first=columns[2],
        stopped=columns[3],
        stopped_watts=columns[4],
        gap=columns[5],
        overloads=columns[6],
        events=events,
        time=time,
        row=row,
        what=what,
    )


def copied(state: State) -> State:
    """A state of its own."""
    return State._make(column.copy() for column in state)


@compiled
def _screen(
    net: Network,
    base: State,
    state: State,
    work: Work,
    sets: Ints,
    horizon: float,
    result: Floats,
    events: Ints,
    time: Floats,
    row: Ints,
    what: Ints,
) -> None:
    for c in range(len(sets)):
        run_contingency(net, state, work, sets[c], horizon, result[c])
        events[c] = work.size[4]
        for k in range(min(work.size[4], time.shape[1])):
            time[c, k] = work.event_time[k]
            row[c, k] = work.event_row[k]
            what[c, k] = work.event_what[k]
        restore(net, base, state, work)


def single_elements(case: Case) -> Ints:
    """All elements, one a contingency, shape [elements, 1]."""
    return np.arange(case.elements, dtype=np.int64)[:, None]


def racks_of(case: Case) -> int:
    """Racks of a site."""
    return sum(group.units for group in case.loads if group.collection == RACKS)
