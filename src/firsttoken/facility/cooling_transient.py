"""Trips and ramps of the cooling plant in short steps: seconds until racks throttle.

A plant in its steady state meets a list of changes: pumps that trip or coast down, units that stop,
loads that jump.  Racks keep their power, so what is found is the time that operators, spare pumps
or generators have until the coolant that enters a rack passes its `warmest`, or that leaves it its
`hottest`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from firsttoken.facility.air import STANDARD_PRESSURE
from firsttoken.facility.cooling_laws import flow_law
from firsttoken.facility.cooling_step import cooling_step
from firsttoken.facility.cooling_system import (
    PUMPS,
    REPORTS,
    SUPPLY,
    CoolingSystem,
    Floats,
    Ints,
    TransientCase,
    TransientChange,
    cooling_units,
)
from firsttoken.facility.cooling_values import cooling_state, cooling_values
from firsttoken.twin.findings import BalanceError

SETTLE, SETTLE_STEP = 24, 3600.0
"""Steps, and their length in s, in which the plant comes to its steady state."""
TOLERANCE = 1e-6
"""Largest relative error of energy of a step."""
FLOW_BY_HEAT = 1.5 / 60.0e3 / 1000.0
"""Coolant of racks that do not say, m3/s for each W (OCP: 1.5 L/min for each kW)."""


@dataclass(frozen=True)
class RackNumbers:
    """Rows of racks as numbers; shape [N] each.

    Attributes
    ----------
    group : group of each row.
    units : racks of each row.
    power, idle, liquid : W of a rack, and the share of its heat to the liquid.
    flow : m3/s of a rack at full power; nan: by its law or by heat.
    law : scale, limit, exponent and unit of the flow law, [N, 4]; nan: none.
    warmest, hottest : K; inf: no limit.
    """

    group: Ints
    units: Floats
    power: Floats
    idle: Floats
    liquid: Floats
    flow: Floats
    law: Floats
    warmest: Floats
    hottest: Floats


@dataclass(frozen=True)
class TransientResult:
    """What a transient did.

    Attributes
    ----------
    times : end of each step, s, shape [T].
    supply, outlet : K at the rows of racks, [T, N].
    throttled : first time at which a limit is passed, s, [N]; nan: never.
    error : largest relative error of energy.
    """

    times: Floats
    supply: Floats
    outlet: Floats
    throttled: Floats
    error: float


def run_transient(
    system: CoolingSystem,
    case: TransientCase,
    racks: RackNumbers,
    rack_groups: tuple[str, ...],
    x: Floats,
    counts: Floats,
    set_points: Floats,
) -> TransientResult:
    """Run one transient.

    Parameters
    ----------
    x : parameters of the replication, shape [P].
    counts : units of each group of the plant, shape [G].
    set_points : K, shape [E + L]; nan where there is none.

    Raises
    ------
    BalanceError
        If energy does not balance.
    """
    values = cooling_values(system, x)
    at = {name: float(x[index]) for name, index in case.fields.items()}
    state = cooling_state(system, values, set_points, at["dry_bulb"])
    units = cooling_units(system, counts)
    rows, n = len(system), len(racks.units)
    motor, water, report = np.zeros(rows), np.zeros(rows), np.zeros((rows, REPORTS))
    supply, outlet = np.zeros(n), np.zeros(n)
    load, there = np.full(n, at["load"]), racks.units.copy()

    def step(dt: float) -> float:
        one = racks.idle + (racks.power - racks.idle) * load
        liquid = one * racks.liquid * there
        air = one * (1.0 - racks.liquid) * there
        flow = _flow(system, racks, state, one, there)
        error: float = cooling_step(
            system.plant, values, state, units, liquid, air, flow, set_points,
            at["dry_bulb"], at["wet_bulb"], STANDARD_PRESSURE, dt, motor, water, report,
            supply, outlet,
        )  # fmt: skip
        return error

    worst = max(step(SETTLE_STEP) for _ in range(SETTLE))
    steps = max(round(at["duration"] / at["step"]), 1)
    moves = [
        _Move(system, change, x, state, units, load, there, racks, rack_groups)
        for change in case.changes
    ]
    times = (np.arange(steps) + 1.0) * at["step"]
    series = np.empty((2, steps, n))
    for t, time in enumerate(times):
        for move in moves:
            move.to(float(time))
        worst = max(worst, step(at["step"]))
        series[0, t], series[1, t] = supply, outlet
    if not worst < TOLERANCE:
        raise BalanceError(f"energy of transient {case.name!r} does not balance: {worst:.1e}")
    passed = (series[0] > racks.warmest + 1e-6) | (series[1] > racks.hottest + 1e-6)
    first: Floats = np.full(n, np.nan)
    ever = passed.any(axis=0)
    first[ever] = times[passed.argmax(axis=0)[ever]]
    return TransientResult(times.astype(np.float64), series[0], series[1], first, worst)


def _flow(
    system: CoolingSystem, racks: RackNumbers, state: Floats, power: Floats, there: Floats
) -> Floats:
    """Coolant that the rows want: what full power needs, times the load."""
    full = np.where(np.isnan(racks.flow), FLOW_BY_HEAT * racks.power * racks.liquid, racks.flow)
    for i in np.flatnonzero(~np.isnan(racks.law[:, 0])):
        row = int(system.plant.rack_liquid[i])
        if row >= 0:
            scale, limit, exponent, unit = racks.law[i]
            cool = min(float(state[row, SUPPLY]), limit - 0.5)
            full[i] = flow_law(cool, scale, limit, exponent, unit)
    found: Floats = full * power / np.maximum(racks.power, 1e-9) * there
    return found


class _Move:
    """A change on its way: from what it finds at its time to its target, in a straight line."""

    def __init__(
        self,
        system: CoolingSystem,
        change: TransientChange,
        x: Floats,
        state: Floats,
        units: Floats,
        load: Floats,
        there: Floats,
        racks: RackNumbers,
        rack_groups: tuple[str, ...],
    ) -> None:
        self.start, self.over = float(x[change.at]), float(x[change.over])
        self.target = float(x[change.to])
        collection, name = change.group
        if collection == "racks":
            rows = np.flatnonzero(racks.group == rack_groups.index(name))
            array, full = (there, racks.units[rows]) if change.what == "units" else (load, 1.0)
        else:
            rows = np.array(system.rows(name))
            array, full = (units, units[rows].copy()) if change.what == "units" else (state, 1.0)
        column = collection != "racks" and change.what == "pumps"
        where = (rows, PUMPS) if column else rows
        self.read: Callable[[], Floats] = lambda: array[where].copy()

        def write(value: Floats) -> None:
            array[where] = value

        self.write, self.full = write, full
        self.begin: Floats | None = None

    def to(self, time: float) -> None:
        """Bring the change to its state at a time."""
        if time <= self.start or (self.begin is not None and time > self.start + 2 * self.over + 1):
            return
        if self.begin is None:
            self.begin = self.read()
        done = min((time - self.start) / self.over, 1.0) if self.over > 0.0 else 1.0
        self.write(self.begin + (self.target * self.full - self.begin) * done)
