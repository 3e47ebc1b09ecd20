"""Set-points of facility water and of the racks' supply, hour by hour, that take least energy.

Warm water costs little at coolers and much at pumps: towers and dry coolers need less air, chillers
less lift, but CDUs more facility water for the same heat, and racks more coolant by their flow law.
Every hour has the best pair of temperatures; what bounds it are the racks (`warmest`, `hottest`),
the air units' set-points, and how far the plant may move in an hour.

All pairs on a grid are run to their steady state with the plant's own model, for all kinds of
weather; dynamic programming (Bellman 1957) then finds the cheapest path through the hours under the
ramps, which is exact on the grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firsttoken.facility.cooling_laws import flow_law
from firsttoken.facility.cooling_path import cheapest_path, run_pairs
from firsttoken.facility.cooling_system import (
    CDU,
    CoolingSystem,
    CoolingValues,
    Floats,
    Ints,
    SetPointCase,
    cooling_units,
)
from firsttoken.facility.cooling_transient import FLOW_BY_HEAT, TOLERANCE, RackNumbers
from firsttoken.facility.cooling_values import cooling_state, cooling_values
from firsttoken.twin.findings import BalanceError

ROUNDED = 0.5
"""Weather is told apart to this, K."""
SLACK = 0.1
"""What a limit may be passed by, K."""
PENALTY = 1e9
"""W for each K beyond a limit: such hours are taken only where all pairs pass it."""


@dataclass(frozen=True)
class SetPointResult:
    """Set-points of T hours, and what they take.

    Attributes
    ----------
    water, supply : K, shape [T].
    power, base : power of all motors of the plant, W, with them and with the declared ones, [T].
    free : the same without ramps, [T].
    excess, base_excess : K beyond the racks' and air units' limits, at least 0, [T].
    """

    water: Floats
    supply: Floats
    power: Floats
    base: Floats
    free: Floats
    excess: Floats
    base_excess: Floats


def optimise_set_points(
    system: CoolingSystem,
    case: SetPointCase,
    racks: RackNumbers,
    x: Floats,
    counts: Floats,
    set_points: Floats,
    weather: Floats,
) -> SetPointResult:
    """Find the set-points of a loop and of its CDUs for every hour.

    Parameters
    ----------
    x : parameters, [P].
    counts : units of each group of the plant, [G].
    set_points : the declared ones, K, [E + L]; nan where there is none.
    weather : dry bulb and wet bulb in K and pressure in Pa of T hours, [3, T].

    Raises
    ------
    BalanceError
        If energy does not balance.
    """
    values = cooling_values(system, x)
    at = {name: float(x[index]) for name, index in case.fields.items()}
    loop = system.rows(case.loop).start
    plant = system.plant
    kinds, hours = _kinds(weather)
    cdus = np.array(
        [r for r in range(plant.exchangers) if plant.kind[r] == CDU and plant.loop_of[r] == loop],
        np.int64,
    )
    count = max(int((at["hottest"] - at["coldest"]) / at["step"] + 1e-9), 0) + 1
    water: Floats = np.array([at["coldest"] + at["step"] * i for i in range(count)])
    supply: Floats = np.array([at["coldest"] + at["step"] * (i + 1) for i in range(count)])
    run = _Sweep(system, values, racks, x, counts, at["load"], loop, cdus)
    power, excess = run.pairs(kinds, water, supply, set_points)
    base, base_excess = run.pairs(kinds, np.full(1, np.nan), np.full(1, np.nan), set_points)
    cost = power + PENALTY * np.maximum(excess - SLACK, 0.0)
    flat = cost.reshape(len(cost), -1)
    most = int(at["ramp"] / at["step"] + 1e-9)
    path = np.empty(len(hours), np.int64)
    cheapest_path(cost, hours, most, path)
    chosen = hours, path // len(supply), path % len(supply)
    return SetPointResult(
        water=water[chosen[1]],
        supply=supply[chosen[2]],
        power=power[chosen],
        base=base[hours, 0, 0],
        free=power.reshape(flat.shape)[np.arange(len(flat)), flat.argmin(axis=1)][hours],
        excess=np.maximum(excess[chosen], 0.0),
        base_excess=np.maximum(base_excess[hours, 0, 0], 0.0),
    )


def _kinds(weather: Floats) -> tuple[Floats, Ints]:
    """Kinds of weather [K, 3], and the kind of each hour [T]."""
    rounded = np.round(weather[:2].T / ROUNDED) * ROUNDED
    found, kind = np.unique(rounded, axis=0, return_inverse=True)
    pressure = np.full((len(found), 1), float(weather[2].mean()))
    return np.hstack([found, pressure]), kind.reshape(-1).astype(np.int64)


class _Sweep:
    """Runs all pairs of set-points to their steady state."""

    def __init__(
        self,
        system: CoolingSystem,
        values: CoolingValues,
        racks: RackNumbers,
        x: Floats,
        counts: Floats,
        load: float,
        loop: int,
        cdus: Ints,
    ) -> None:
        self.system, self.values, self.racks = system, values, racks
        self.units = cooling_units(system, counts)
        self.power = racks.idle + (racks.power - racks.idle) * load
        self.loop, self.cdus = loop, cdus

    def pairs(
        self, kinds: Floats, water: Floats, supply: Floats, set_points: Floats
    ) -> tuple[Floats, Floats]:
        """Power in W and excess in K of all pairs, [K, A, B]; nan: as declared."""
        shape = len(kinds), len(water), len(supply)
        power, excess = np.full(shape, np.inf), np.full(shape, 0.0)
        heat = self.power * self.racks.units
        flows = np.stack([self._flow(float(t), set_points) for t in supply])
        state = cooling_state(self.system, self.values, set_points, 300.0)
        error = run_pairs(
            self.system.plant, self.values, state, self.units, heat * self.racks.liquid,
            heat * (1.0 - self.racks.liquid), flows, set_points.copy(), kinds, water, supply,
            self.loop, self.cdus, self.racks.warmest, self.racks.hottest, power, excess,
        )  # fmt: skip
        if not error < TOLERANCE:
            raise BalanceError(f"energy of set-points does not balance: {error:.1e}")
        return power, excess

    def _flow(self, supply: float, set_points: Floats) -> Floats:
        """Coolant of the rows of racks at a supply temperature, m3/s; nan: at the declared one."""
        racks = self.racks
        by_heat = FLOW_BY_HEAT * racks.power * racks.liquid
        full = np.where(np.isnan(racks.flow), by_heat, racks.flow)
        for i in np.flatnonzero(~np.isnan(racks.law[:, 0])):
            row = int(self.system.plant.rack_liquid[i])
            here = supply
            if row >= 0 and (np.isnan(supply) or row not in self.cdus):
                here = float(set_points[row])
                if np.isnan(here):
                    here = float(set_points[self.system.plant.loop_of[row]])
            scale, limit, exponent, unit = racks.law[i]
            full[i] = flow_law(min(here, limit - 0.5), scale, limit, exponent, unit)
        found: Floats = full * self.power / np.maximum(racks.power, 1e-9) * racks.units
        return found
