"""Runs the cases `tests/known_answers/simulate_*`: input, expected value, tolerance, source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.supply.small_systems import Draw, Small, Value, normal

from firsttoken.kernel import codes
from firsttoken.supply.simulate import SimulationResult, simulate

CASES = sorted((Path(__file__).parents[1] / "known_answers").glob("simulate_*"))


def read_value(value: Any) -> Value:
    if not isinstance(value, dict):
        return float(value)
    ((kind, args),) = value.items()
    if kind == "normal":
        return normal(*args)
    assert kind == "discrete"
    return Draw(codes.DISCRETE, tuple(args))


def build(case: dict[str, Any]) -> Small:
    small = Small(case["periods"])
    for name, row in case["nodes"].items():
        small.node(name, **row)
    for name, row in case["activities"].items():
        row["lead_time"] = read_value(row["lead_time"])
        small.activity(name, row.pop("inputs"), row.pop("outputs"), **row)
    for name, row in case["demands"].items():
        small.demand(name, row.pop("node"), read_value(row.pop("rate")), **row)
    return small


def fill_rate(result: SimulationResult, steady: slice) -> float:
    """Type 2: the share of demand delivered in its period (backlog is served first)."""
    due, backlog = result.due[:, steady], result.backlog_end[:, steady]
    return float(1 - np.minimum(due, backlog).sum(dtype=float) / due.sum(dtype=float))


MEASURES: dict[str, Callable[[SimulationResult, slice], float]] = {
    "cost": lambda r, steady: float((r.holding_cost + r.late_cost)[:, steady].mean()),
    "backlog": lambda r, steady: float(r.backlog_end[:, steady].mean(dtype=float)),
    "fill_rate": fill_rate,
    "wip_mean": lambda r, steady: float(r.wip_end[:, steady].mean(dtype=float)),
    "wip_variance": lambda r, steady: float(r.wip_end[:, steady].var(dtype=float)),
}


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_known_answer(folder: Path) -> None:
    case = json.loads((folder / "input.json").read_text())
    expected = json.loads((folder / "expected.json").read_text())
    result = simulate(build(case).system(), case["replications"], case["seed"])
    steady = slice(case["warm_up"], None)
    found = {name: MEASURES[name](result, steady) for name in expected}
    wanted = {name: pytest.approx(e["value"], abs=e["tolerance"]) for name, e in expected.items()}
    assert found == wanted
    assert (folder / "SOURCE").read_text().strip()
