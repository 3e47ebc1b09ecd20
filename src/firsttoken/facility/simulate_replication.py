"""One replication of a site: its numbers are drawn, its arrays filled, its steps run."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np

from firsttoken.facility.cooling_count import HEAT_COUNTS
from firsttoken.facility.cooling_system import REPORTS, STATES
from firsttoken.facility.cooling_values import cooling_state, cooling_values
from firsttoken.facility.grid_targets import TARGET_COUNTS
from firsttoken.facility.power_system import power_values
from firsttoken.facility.result import SiteState
from firsttoken.facility.simulate_events import draw_failures
from firsttoken.facility.simulate_state import (
    BY_HOUR,
    COOLING_BOOKS,
    COUNTS,
    DONE,
    ROW_COUNTS,
    TRACES,
    Events,
    Floats,
    Ints,
    RackValues,
    Site,
    State,
    Tally,
    Work,
)
from firsttoken.facility.simulate_steps import run_steps
from firsttoken.facility.system import LAW_FIELDS, NONE, RACK_FIELDS, System
from firsttoken.facility.weather import HOUR, Climate
from firsttoken.kernel import codes
from firsttoken.kernel.parameters import draw_parameters, evaluate_series, redraw
from firsttoken.kernel.replicate import CancelledError
from firsttoken.twin.findings import BalanceError

CHUNK: Final = 1440
"""Steps whose series are evaluated at a time."""


class Replication:
    """One replication on its way.

    Parameters
    ----------
    trace : whether to keep every step.
    feeds : whether to keep the power of feeds with load targets in every step.
    state : state from which it goes on; None: the start.
    """

    def __init__(
        self,
        system: System,
        seed: int,
        replication: int,
        *,
        trace: bool = False,
        feeds: bool = False,
        state: SiteState | None = None,
    ) -> None:
        self.system, self.seed, self.replication = system, seed, replication
        self.values = np.empty(len(system.parameters.code))
        draw_parameters(system.parameters, seed, replication, self.values)
        self.site = site_values(system, self.values, replication)
        self.steps = int(np.ceil(system.horizon / system.step - 1e-9))
        self.done = 0 if state is None else round(state.time / system.step)
        known = state is not None and (state.seed, state.replication) == (seed, replication)
        if state is None:
            self.state = first_state(system, self.site, self._first_levels())
        else:
            self.state = copied(state.state)
        begin = 0.0 if state is None or known else state.time
        self.events = self._events(begin)
        if state is not None and not known:
            self.state.pointer[-1] = 0
        self.work = new_work(system)
        self.tally = new_tally(system, self.steps if trace else 0, self.steps if feeds else 0)
        self._noise = np.flatnonzero(system.series.kind == codes.NOISE)

    def advance(self, until: float, cancel: threading.Event | None) -> None:
        """Run the steps that begin before `until`, s.

        Raises
        ------
        BalanceError
            If power or heat do not balance.
        CancelledError
            If `cancel` was set.
        """
        last = min(int(np.ceil(until / self.system.step - 1e-9)), self.steps)
        levels = np.empty((len(self.system.series.kind), CHUNK))
        while self.done < last:
            if cancel is not None and cancel.is_set():
                raise CancelledError(f"cancelled in replication {self.replication}")
            count = min(CHUNK, last - self.done)
            chunk = levels if count == CHUNK else np.empty((len(levels), count))
            self._evaluate(chunk)
            ended = run_steps(
                self.site, self.events, self.state, self.work, self.tally, chunk, self.done
            )
            if ended != DONE:
                what = "heat" if ended == COOLING_BOOKS else "power"
                where = f"{self.system.names.site}, replication {self.replication}"
                raise BalanceError(f"{what} does not balance in {where}, step {self.done} and on")
            self.done += count

    def snapshot(self) -> SiteState:
        """The state at the end of the last step."""
        from firsttoken.facility.simulate import identity

        time = min(self.done * self.system.step, self.system.horizon)
        state = copied(self.state)
        return SiteState(identity(self.system), time, self.seed, self.replication, state)

    def _first_levels(self) -> Floats:
        """Series in the first step, [S]."""
        out = np.empty((len(self.system.series.kind), 1))
        edges = np.array([0.0, min(self.system.step, self.system.horizon)])
        system = self.system
        evaluate_series(
            system.series, system.parameters, self.values, edges, self.seed, self.replication, out
        )
        return out[:, 0]

    def _evaluate(self, out: Floats) -> None:
        """Fill the means of all series over the next steps; noise changes at full hours."""
        system = self.system
        edges = np.minimum((self.done + np.arange(out.shape[1] + 1)) * system.step, system.horizon)
        evaluate_series(
            system.series, system.parameters, self.values, edges, self.seed, self.replication, out
        )
        if not len(self._noise):
            return
        hours = (edges[:-1] / HOUR).astype(np.int64)
        fresh = np.empty(int(hours[-1] - hours[0]) + 1)
        for s in self._noise:
            parameter = int(system.series.knot_value[system.series.start[s]])
            first = int(hours[0]) + 1
            redraw(system.parameters, parameter, self.seed, self.replication, first, fresh)
            out[s] = fresh[hours - hours[0]]

    def _events(self, begin: float) -> Events:
        """Failures and repairs from `begin` on, in order of time."""
        site, fleet = self.site, self.site.fleet
        none = np.empty(0, np.int64)
        empty = Events(np.empty(0), none, none, none)
        if not np.isfinite(site.mtbf).any():
            return empty
        arguments = (fleet.unit_start, fleet.entity, site.mtbf, site.mttr)
        address = (self.system.horizon - begin, self.seed, self.replication)
        down = self.state.down
        count = draw_failures(*arguments, down, *address, empty)
        if count == 0:
            return empty
        unit, group, kind = (np.empty(count, np.int64) for _ in range(3))
        whole = Events(np.empty(count), unit, group, kind)
        draw_failures(*arguments, down, *address, whole)
        order = np.argsort(whole.time, kind="stable")
        return Events(whole.time[order] + begin, unit[order], group[order], kind[order])


def site_values(system: System, values: Floats, replication: int) -> Site:
    """The arrays of one replication from its parameters [P]."""
    power, fleet = system.power, system.fleet
    group = power.grid.group
    counted = np.diff(power.first)
    return Site(
        fleet=fleet,
        loads=system.loads,
        grid=power.grid,
        power=power_values(power, values),
        plant=system.cooling.plant,
        cooling=cooling_values(system.cooling, values),
        racks=_rack_values(system, values),
        price=power.series["price"][group],
        carbon=power.series["carbon"][group],
        limit=power.series["limit"][group],
        limit_share=1.0 / np.maximum(counted, 1)[group].astype(np.float64),
        battery=system.shaving,
        storage=_storage(system, values),
        set_point=system.cooling.set_point,
        warmer=system.warmer,
        water_limit=system.water_limit,
        mtbf=_or(values, system.mtbf, np.inf),
        mttr=_or(values, system.mttr, 0.0),
        water_price=float(values[system.water_price]) / 1000.0,  # a m3 is 1000 kg
        start=system.start,
        step=system.step,
        horizon=system.horizon,
        air=_hourly(system, system.climate, replication),
        market=_market(system, replication),
        edges=system.edges,
        months=system.months,
        targets=system.targets,
    )


def _storage(system: System, values: Floats) -> Floats:
    """Energy of one unit of each battery that shaves peaks, J."""
    group = system.power.grid.group[system.shaving]
    return _or(values, system.power.fields["storage"][group], 0.0)


def _or(values: Floats, index: Ints, otherwise: float) -> Floats:
    found: Floats = np.where(index >= 0, values[np.maximum(index, 0)], otherwise)
    return found


def _rack_values(system: System, values: Floats) -> RackValues:
    fields = {
        name: _or(values, system.rack_fields[name], otherwise)
        for name, otherwise in RACK_FIELDS.items()
    }
    laws = {
        name: _or(values, system.rack_fields[f"flow_law.{name}"], np.nan) for name in LAW_FIELDS
    }
    given = system.rack_fields["liquid"] >= 0
    cooled = {row.group: row.cooled_by is not None for row in system.racks}
    by_liquid = [cooled.get(name, False) for name in system.rack_groups]
    fields["liquid"] = np.where(given, fields["liquid"], np.array(by_liquid, np.float64))
    fields["idle"] = np.minimum(fields["idle"], fields["power"])
    return RackValues(**fields, **laws)


def _hourly(system: System, climate: Climate, replication: int) -> Floats:
    first = np.floor(system.start / HOUR) * HOUR
    hours = int(np.ceil((system.start % HOUR + system.horizon) / HOUR)) + 2
    return climate.hours(float(first), hours, replication)


def _market(system: System, replication: int) -> Floats:
    """Prices and carbon of every hour, 0 where nothing is given."""
    rows = []
    hours = _hourly(system, system.climate, replication).shape[1]
    for found in (system.price, system.carbon):
        rows.append(np.zeros(hours) if found is None else _hourly(system, found, replication)[0])
    return np.stack(rows)


def copied(state: State) -> State:
    """A copy that shares no array."""
    return State(**{name: array.copy() for name, array in state._asdict().items()})


def first_state(system: System, site: Site, levels: Floats) -> State:
    """The state at the start: cooling idle at its set-points, nothing failed.

    Parameters
    ----------
    levels : series in the first step, [S].
    """
    chosen = site.set_point
    points = np.where(chosen >= 0, levels[np.maximum(chosen, 0)], np.nan)
    cooling = np.zeros((0, STATES))
    if len(system.cooling):
        cooling = cooling_state(system.cooling, site.cooling, points, float(site.air[0, 0]))
    racks, groups = len(system.racks), len(site.fleet.number)
    table = site.loads.table
    level = np.zeros(len(table.kind))
    base = np.zeros(len(table.kind))
    for g in range(len(table.kind)):
        first = table.start[g]
        if table.start[g + 1] > first:
            level[g] = table.value[first]
            if table.period[g] > 0.0:
                base[g] = np.floor(-table.time[first] / table.period[g]) * table.period[g]
    return State(
        cooling=cooling,
        throttle=np.zeros(racks),
        power=np.full(racks, np.nan),
        own=np.zeros(racks),
        level=level,
        pointer=np.concatenate([table.start[:-1], [0, 0]]).astype(np.int64),
        base=base,
        charge=np.ones(len(site.battery)),
        down=np.zeros(int(site.fleet.unit_start[-1]), np.int64),
        amount=np.full(groups, np.nan),
        units=np.zeros(int(site.fleet.first[-1])),
    )


def new_work(system: System) -> Work:
    """Arrays for a step."""
    n, r, c = len(system.racks), len(system.power), len(system.cooling)
    groups = len(system.loads.table.kind)
    loads = n + c + len(system.loads.overhead)
    points = len(system.cooling.set_point)
    sizes = {
        "cool_units": c, "live": r, "supplied": n, "want": n, "actual": n, "cut": n,
        "previous": n, "miss": n, "liquid": n, "air": n, "flow": n, "set_points": points,
        "motor": c, "water": c, "supply": n, "outlet": n, "load": loads, "demand": r,
        "output": r, "input": r, "loss": r, "factor": r + 1, "level": groups, "own": n,
        "cells": len(system.shaving), "gentle": r, "under": r, "first": r,
    }  # fmt: skip
    arrays: dict[str, Any] = {name: np.zeros(size) for name, size in sizes.items()}
    arrays |= {name: np.zeros(r, np.int64) for name in ("weakest", "order")}
    hint = np.zeros(2, np.int64)
    return Work(report=np.zeros((c, REPORTS)), saved=np.zeros((c, STATES)), hint=hint, **arrays)


def new_tally(system: System, steps: int, fed: int = 0) -> Tally:
    """Empty statistics, with a trace of `steps` steps, and of `fed` steps of feeds with targets."""
    targets = len(system.targets.row)
    feeds = np.zeros((fed if targets else 0, targets, 2))
    feeds[:, :, 1] = np.inf  # steps before a state from which it goes on
    return Tally(
        period=np.zeros((len(system.edges) - 1, COUNTS)),
        hour=np.zeros((24, len(BY_HOUR))),
        month=np.zeros(len(system.months) - 1),
        rows=np.zeros((int(system.fleet.first[-1]), ROW_COUNTS)),
        heat=np.zeros((len(system.cooling.groups), HEAT_COUNTS)),
        trace=np.zeros((steps, len(TRACES))),
        targets=np.zeros((targets, TARGET_COUNTS)),
        feeds=feeds,
    )


__all__ = ["NONE", "Replication", "first_state", "new_tally", "new_work", "site_values"]
