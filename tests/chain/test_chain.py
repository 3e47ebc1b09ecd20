"""Rooms meet through ports: order, circles, resolution, and the settings of a run."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import yaml
from tests.supply.networks import TWO_PLANTS, changed

from firsttoken.chain.ports import Resolver, order
from firsttoken.chain.rooms import rooms
from firsttoken.chain.run import check_twin, execute, scenario_names
from firsttoken.supply.compile import compile_network
from firsttoken.twin.findings import Findings, TwinError, UsageError
from firsttoken.twin.loading import load_twin
from firsttoken.twin.parameters import Resolve
from firsttoken.twin.room import Outcome, Room, Settings
from firsttoken.twin.schema import Declared, Quantity, Value
from firsttoken.twin.twin import Twin
from firsttoken.twin.values import Constant, Fact


class Belt(Declared):
    """A stand-in for a production line: it passes its speed on."""

    speed: Annotated[Value, Quantity("each/s")]


def belt_execute(twin: Twin, name: str, resolve: Resolve, settings: Settings) -> Outcome:
    """The port is the declared speed."""
    belt = twin.rooms["belt"][name]
    assert isinstance(belt, Belt)
    speed = belt.speed
    if not isinstance(speed, Constant):
        assert not isinstance(speed, Fact)
        speed = resolve(speed, "each/s")  # type: ignore[arg-type]
    return Outcome((), {"throughput": speed})


BELT = Room(
    name="belt",
    model=Belt,
    check=lambda twin, name, findings: None,
    execute=belt_execute,
    ports=lambda declared: ("throughput",),
)


def load(folder: Path, data: dict[str, Any]) -> tuple[Twin | None, Findings]:
    """A twin of a house with a belt room, checked."""
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    findings = Findings()
    twin = load_twin(folder, {**rooms(), "belt": BELT}, findings)
    if twin is not None:
        check_twin(twin, findings)
    return twin, findings


def with_belts(**belts: str) -> dict[str, Any]:
    """The two plants, the line's capacity being belt `a`'s throughput."""
    data = changed({"supply.network.resources.line.capacity": "model(belt.a.throughput)"})
    data["belt"] = {name: {"speed": speed} for name, speed in belts.items()}
    return data


def test_a_port_feeds_another_room(tmp_path: Path) -> None:
    twin, findings = load(tmp_path, with_belts(a="model(belt.b.throughput)", b="5 rack/week"))
    assert findings.as_text() == ""
    assert twin is not None
    assert order(twin) == [("belt", "b"), ("belt", "a"), ("supply", "network")]
    done = execute(twin, None, Settings(engines=("simulate",)))
    made = next(table for table in done.tables if table.name == "supply_summary")
    kpis = dict(zip(made.columns["kpi"], made.columns["p50"], strict=True))
    # 5 racks a week is the bottleneck; three weeks fill the pipeline of a 52-week horizon.
    assert kpis["delivered.cloud"] == pytest.approx(5 * (52 - 3), abs=5.01)


def test_a_circle_of_models_is_named(tmp_path: Path) -> None:
    _, findings = load(
        tmp_path, with_belts(a="model(belt.b.throughput)", b="model(belt.a.throughput)")
    )
    assert "belt.a -> belt.b -> belt.a" in findings.as_text()


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("model(belt.c.throughput)", "names no declared model"),
        ("model(belt.b.width)", "it has throughput"),
        ("signal(plant/belt)", "nobody to report it"),
    ],
)
def test_a_reference_to_nothing_is_named(tmp_path: Path, reference: str, words: str) -> None:
    _, findings = load(tmp_path, with_belts(a=reference, b="5 rack/week"))
    found = [f for f in findings if words in str(f)]
    assert found
    assert found[0].place.line > 0


def test_supply_passes_its_deliveries_on(tmp_path: Path) -> None:
    twin, _ = load(tmp_path, changed({}))
    assert twin is not None
    outcome = twin.registry["supply"].execute(
        twin, "network", Resolver(twin), Settings(engines=("simulate",))
    )
    assert set(outcome.ports) == {"cloud_delivered"}
    table = next(t for t in outcome.tables if t.name == "supply_demand")
    wanted = [m == "delivered" for m in table.columns["metric"]]
    p50 = np.array(table.columns["p50"], dtype=float)[wanted]
    port = outcome.ports["cloud_delivered"]
    lengths = np.diff(compile_network(twin, "network", Resolver(twin)).report_edges)
    levels = np.array([level.value for _, level in port.knots])  # type: ignore[union-attr]
    assert levels * lengths == pytest.approx(p50, rel=1e-6)


def test_scenarios_are_chosen_by_name(tmp_path: Path) -> None:
    data = copy.deepcopy(TWO_PLANTS)
    data["scenarios"] = {"one": {"seed": 3}, "two": {"seed": 4}}
    twin, _ = load(tmp_path, data)
    assert twin is not None
    assert scenario_names(twin, None) == ["base"]
    assert scenario_names(twin, ["all"]) == ["base", "one", "two"]
    assert scenario_names(twin, ["one+two", "base"]) == ["one+two", "base"]
    with pytest.raises(UsageError, match="unknown scenario 'three'"):
        scenario_names(twin, ["three"])


def test_a_broken_scenario_stops_before_anything_runs(tmp_path: Path) -> None:
    data = changed({"scenarios": {"bad": {"overrides": {"supply.network.release": "pull"}}}})
    twin, _ = load(tmp_path, data)
    assert twin is not None
    with pytest.raises(TwinError, match="base-stock"):
        execute(twin, ["bad"], Settings())
