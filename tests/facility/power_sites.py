"""Small declared power chains for tests, and how to load and compile them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from firsttoken.chain.ports import Resolver
from firsttoken.facility import model
from firsttoken.facility.power_compile import compile_power
from firsttoken.facility.power_flow import power_flow
from firsttoken.facility.power_loads import compile_loads
from firsttoken.facility.power_screen import HORIZON, Case, build_case, screen
from firsttoken.facility.power_system import Floats, PowerSystem, power_values
from firsttoken.facility.slots import Slots
from firsttoken.kernel.parameters import ParameterTable, fixed_parameters
from firsttoken.twin.findings import Findings
from firsttoken.twin.loading import apply_scenario, load_twin
from firsttoken.twin.parameters import ParameterBuilder
from firsttoken.twin.room import Outcome, Room
from firsttoken.twin.twin import Twin

ROOM = Room(
    name="facility",
    model=model.Facility,
    check=lambda twin, name, findings: None,
    execute=lambda twin, name, resolve, settings: Outcome(()),
    ports=lambda instance: (),
)
"""The room without its checks and engines."""


def load(folder: Path, site: str | dict[str, Any], header: str = "", scenario: str = "") -> Twin:
    """A twin of one site, `facility.x`."""
    data: dict[str, Any] = {"twin": "t", "start": "2026-01-05", "horizon": "10 day"}
    data.update(yaml.safe_load(header) or {})
    data["facility"] = {"x": yaml.safe_load(site) if isinstance(site, str) else site}
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    findings = Findings()
    twin = load_twin(folder, {"facility": ROOM}, findings)
    assert twin is not None, findings.as_text()
    return apply_scenario(twin, scenario) if scenario else twin


def slots_of(twin: Twin) -> Slots:
    """The slots of `facility.x`."""
    resolve = Resolver(twin)
    return Slots(twin, "x", ParameterBuilder(twin.start, resolve), resolve)


def compiled(
    folder: Path, site: str | dict[str, Any], detail: str = "group"
) -> tuple[PowerSystem, Floats]:
    """The compiled power chain of `load`, and its parameters at their means."""
    slots = slots_of(load(folder, site))
    system = compile_power(slots, detail)
    parameters: ParameterTable = slots.build.tables()[0]
    return system, fixed_parameters(parameters)


class Flow:
    """The power flow of a site: results by group (or by row name), W."""

    def __init__(
        self,
        system: PowerSystem,
        values: Floats,
        demand: dict[str, float],
        units: dict[str, float] | None = None,
    ) -> None:
        rows = len(system)
        names = [system.row_name(row) for row in range(rows)]
        taken = np.array([demand.get(name, 0.0) for name in names])
        working = np.array([(units or {}).get(name, 1.0) for name in names])
        self.output, self.input, self.loss = np.empty(rows), np.empty(rows), np.empty(rows)
        self.system, self.demand, self.units = system, taken, working
        self.values = power_values(system, values)
        self.unserved = power_flow(
            system.grid, self.values, working, taken, self.output, self.input, self.loss
        )
        self.names = names

    def of(self, column: Floats, name: str) -> float:
        """The number of one row by its name."""
        return float(column[self.names.index(name)])


def case_of(folder: Path, site: str | dict[str, Any], **changes: Any) -> Case:
    """The contingency case of a site in its normal state."""
    slots = slots_of(load(folder, site))
    system = compile_power(slots, "unit")
    loads = compile_loads(slots, system)
    return build_case(system, loads, fixed_parameters(slots.build.tables()[0]), **changes)


def row_of(case: Case, name: str) -> int:
    """Row of an element or load by its name."""
    return [case.name(row) for row in range(len(case.net.kind))].index(name)


class Trip:
    """What happens when elements trip: results, and the first events as (time, name, what)."""

    def __init__(self, case: Case, *names: str, horizon: float = HORIZON) -> None:
        found = screen(case, [[row_of(case, name) for name in names]], horizon)
        self.racks, self.watts = float(found.racks[0]), float(found.watts[0])
        self.first, self.gap = float(found.first[0]), float(found.gap[0])
        self.stopped, self.overloads = float(found.stopped[0]), float(found.overloads[0])
        shown = min(int(found.events[0]), found.time.shape[1])
        self.events = [
            (float(found.time[0, k]), case.name(int(found.row[0, k])), int(found.what[0, k]))
            for k in range(shown)
        ]
