"""Runs the cases `tests/known_answers/plan_*`: a twin, what is expected of its plan, the source.

`expected.json` holds a relative tolerance and, by scenario, objectives and costs by name, and
arrays of the plan by field and by name of the activity, node or demand.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from firsttoken import api
from firsttoken.chain.ports import Resolver
from firsttoken.supply.compile import compile_network
from firsttoken.supply.plan import plan

CASES = sorted((Path(__file__).parents[1] / "known_answers").glob("plan_*"))


def scenarios() -> list[tuple[Path, str]]:
    """Every scenario of every case."""
    return [
        (case, name)
        for case in CASES
        for name in json.loads((case / "expected.json").read_text())
        if name != "tolerance"
    ]


def test_there_are_cases_and_each_names_its_source() -> None:
    assert len(CASES) >= 3
    assert all((case / "SOURCE").read_text().strip() for case in CASES)


@pytest.mark.parametrize(
    ("case", "scenario"), [pytest.param(*c, id=f"{c[0].name}-{c[1]}") for c in scenarios()]
)
def test_the_plan_is_the_published_one(case: Path, scenario: str) -> None:
    expected = json.loads((case / "expected.json").read_text())
    tolerance = expected["tolerance"]
    twin = api.load(case, None if scenario == "base" else scenario)
    net = twin.rooms["supply"]["network"]
    system = compile_network(twin, "network", Resolver(twin))
    result = plan(system, objectives=net.plan.objectives, beyond=0.0)
    names = {
        "runs": system.names.activities,
        "marginal_net_activity": system.names.activities,
        "stock": system.names.nodes,
        "delivered": system.names.demands,
    }
    for field, wanted in expected[scenario].items():
        if isinstance(wanted, dict):
            for name, values in wanted.items():
                found = getattr(result, field)[:, names[field].index(name)]
                assert found == pytest.approx(values, rel=tolerance, abs=tolerance), (field, name)
        else:
            assert result.objectives[field] == pytest.approx(wanted, rel=tolerance, abs=tolerance)
