"""Programmes for the tests: twins from plain data, compiled, simulated and executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from firsttoken import api
from firsttoken.build.compile import compile_build
from firsttoken.build.simulate import BuildResult, simulate
from firsttoken.build.system import System
from firsttoken.chain.ports import Resolver
from firsttoken.chain.run import execute
from firsttoken.twin.room import Settings
from firsttoken.twin.twin import Twin

DAY = 86400.0
CASES = Path(__file__).parents[1] / "known_answers"
SIMULATE = Settings(engines=("simulate",))


def twin_of(build: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A twin of one programme `x`, from a Monday on, for ten years."""
    head = {"twin": "site", "start": "2026-01-05", "horizon": "10 year", "replications": 200}
    return {**head, **more, "build": {"x": build}}


def load(folder: Path, data: dict[str, Any], *, said: str = "") -> Twin:
    """The loaded twin; `check` must say nothing, or what is expected."""
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    told = api.check(folder).as_text()
    assert said in told if said else told == "", told
    return api.load(folder)


def findings(folder: Path, data: dict[str, Any]) -> str:
    """What `check` says."""
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return api.check(folder).as_text()


def compiled(folder: Path, data: dict[str, Any], scenario: str = "") -> System:
    """The compiled programme `x`."""
    twin = load(folder, data)
    twin = twin.with_scenario(scenario) if scenario else twin
    return compile_build(twin, "x", Resolver(twin))


def simulated(
    folder: Path, data: dict[str, Any], replications: int = 1, scenario: str = ""
) -> tuple[System, BuildResult]:
    """The compiled programme `x` and its schedules."""
    system = compiled(folder, data, scenario)
    return system, simulate(system, replications, 1)


def dates(system: System, result: BuildResult) -> dict[str, tuple[float, float]]:
    """(start, finish) of every task in the first replication, in days from the twin's start."""
    return {
        name: (float(result.start[i, 0]) / DAY, float(result.finish[i, 0]) / DAY)
        for i, name in enumerate(system.names.tasks)
    }


def tables(
    folder: Path, data: dict[str, Any], settings: Settings = SIMULATE, *, said: str = ""
) -> dict[str, list[dict[str, Any]]]:
    """The rows of all tables of an executed twin."""
    found: dict[str, list[dict[str, Any]]] = {}
    for table in execute(load(folder, data, said=said), ["all"], settings).tables:
        columns = {name: table.array(name).tolist() for name in table.columns}
        found.setdefault(table.name, []).extend(
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        )
    return found


def case(name: str, file: str) -> dict[str, Any]:
    """Data of a known answer."""
    found: dict[str, Any] = json.loads((CASES / name / file).read_text())
    return found
