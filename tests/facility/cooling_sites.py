"""Small declared cooling plants for tests, and how to run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.facility.power_sites import load, slots_of

from firsttoken.facility.cooling_compile import compile_cooling
from firsttoken.facility.cooling_step import cooling_step
from firsttoken.facility.cooling_system import REPORTS, CoolingSystem, Floats, cooling_units
from firsttoken.facility.cooling_values import cooling_state, cooling_values
from firsttoken.facility.rack_rows import Detail, rack_rows
from firsttoken.kernel.parameters import evaluate_series, fixed_parameters

ZERO = 273.15
STANDARD = 101325.0


class Plant:
    """A compiled plant at its mean values, with its state and the arrays of a step."""

    def __init__(self, folder: Path, site: str | dict[str, Any], detail: Detail = "group") -> None:
        slots = slots_of(load(folder, site))
        self.racks = rack_rows(slots, detail)
        self.system: CoolingSystem = compile_cooling(slots, detail, self.racks)
        parameters, series = slots.build.tables()
        x = fixed_parameters(parameters)
        now = np.empty((len(series.kind), 1))
        evaluate_series(series, parameters, x, np.array([0.0, 1.0]), 0, -1, now)
        at = [now[s, 0] if s >= 0 else 1.0 for s in self.system.count]
        self.values = cooling_values(self.system, x)
        self.units = cooling_units(self.system, np.array(at))
        self.set_points = np.array([now[s, 0] if s >= 0 else np.nan for s in self.system.set_point])
        self.state = cooling_state(self.system, self.values, self.set_points, 300.0)
        rows, racks = len(self.system), len(self.racks)
        self.liquid, self.air, self.flow = np.zeros(racks), np.zeros(racks), np.zeros(racks)
        self.motor, self.water, self.supply, self.outlet = (
            np.zeros(n) for n in (rows, rows, racks, racks)
        )
        self.report = np.zeros((rows, REPORTS))

    def row(self, name: str) -> int:
        """First row of a group."""
        return self.system.rows(name).start

    def at(self, name: str, column: int) -> float:
        """What the report says of a group's first row."""
        return float(self.report[self.row(name), column])

    def step(
        self,
        dt: float = 3600.0,
        dry: float = 30.0,
        wet: float = 20.0,
        pressure: float = STANDARD,
        times: int = 1,
    ) -> float:
        """Run steps at an outside air in degC; return the worst relative error of energy."""
        worst = 0.0
        for _ in range(times):
            error = cooling_step(
                self.system.plant, self.values, self.state, self.units, self.liquid, self.air,
                self.flow, self.set_points, dry + ZERO, wet + ZERO, pressure, dt, self.motor,
                self.water, self.report, self.supply, self.outlet,
            )  # fmt: skip
            worst = max(worst, error)
        return worst

    def stored(self) -> Floats:
        """Heat in all volumes above 0 K, J: what a step's books rest on."""
        plant, values, state = self.system.plant, self.values, self.state
        found = np.zeros(len(self.system))
        e, n = plant.exchangers, plant.exchangers + plant.loops
        found[:e] = (state[:e, 0] + state[:e, 1]) * values.store[:e]
        found[e:n] = state[e:n, 0] * values.store[e:n]
        return found
