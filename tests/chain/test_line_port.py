"""A line feeds the supply network: `capacity: model(line.houston.throughput)`."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.supply.networks import changed

from firsttoken import api
from firsttoken.chain.ports import order
from firsttoken.chain.run import execute
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.room import Settings

WEEKS = 52

LINE: dict[str, Any] = {
    "unit": "rack",
    "stations": {"test": {"servers": 2, "time": "48 hour"}},
    "products": {"rack": {"releases": {"all": {"backlog": 4}}}},
}
"""Two slots of two days each: seven racks a week, from the first week on."""


def both(line: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Two plants; the capacity of the second is the throughput of a line."""
    data = changed({"supply.network.resources.line.capacity": "model(line.houston.throughput)"})
    data["replications"] = 8
    return {**data, "line": {"houston": line or LINE}, **more}


def run(folder: Path, data: dict[str, Any], *engines: str) -> list[ResultTable]:
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    assert api.check(folder).as_text() == ""
    twin = api.load(folder)
    assert order(twin) == [("line", "houston"), ("supply", "network")]
    return execute(twin, ["all"], Settings(engines=engines or ("simulate",))).tables


def kpis(tables: list[ResultTable], name: str, scenario: str = "base") -> dict[str, dict[str, Any]]:
    (table,) = [t for t in tables if t.name == name and t.columns["scenario"][0] == scenario]
    columns = {column: table.array(column).tolist() for column in table.columns}
    return {
        kpi: {column: values[i] for column, values in columns.items()}
        for i, kpi in enumerate(columns["kpi"])
    }


def delivered(tables: list[ResultTable], scenario: str = "base") -> dict[str, Any]:
    return kpis(tables, "supply_summary", scenario)["delivered.cloud"]


def test_the_lines_throughput_is_the_networks_capacity(tmp_path: Path) -> None:
    """Ten racks' worth of packages a week arrive, the line makes seven; three weeks fill the
    pipeline of the network (a week by air, two of assembly)."""
    tables = run(tmp_path, both())
    made = kpis(tables, "line_summary")["houston.throughput"]
    assert made["p50"] == pytest.approx(7, abs=2 / WEEKS)
    assert delivered(tables)["p50"] == pytest.approx(7 * (WEEKS - 3), abs=7.01)


def test_a_scenario_of_the_line_reaches_the_network(tmp_path: Path) -> None:
    longer = {"overrides": {"line.houston.stations.test.time": "72 hour"}}
    tables = run(tmp_path, both(scenarios={"longer": longer}))
    # 2 x 168 / 72 racks a week.
    assert delivered(tables, "longer")["p50"] == pytest.approx(14 / 3 * (WEEKS - 3), abs=5)
    assert delivered(tables, "longer")["p90"] < delivered(tables)["p10"]


def test_uncertainty_of_the_line_goes_with_its_capacity(tmp_path: Path) -> None:
    """The time of a test is not known: 36 to 72 h, the same in a replication for all racks."""
    line = copy.deepcopy(LINE)
    line["stations"]["test"]["time"] = {"low": "36 hour", "value": "48 hour", "high": "72 hour"}
    tables = run(tmp_path, both(line))
    racks = kpis(tables, "line_summary")["houston.throughput"]
    cloud = delivered(tables)
    assert racks["p90"] > 1.2 * racks["p10"]
    # The network draws from the line's distribution, so its outcomes lie within that one's.
    weeks = WEEKS - 3
    low, high = 2 * 168 / 72 * weeks, 2 * 168 / 36 * weeks
    assert low - 10 <= cloud["p10"] < cloud["p90"] <= high + 10
    assert cloud["p90"] > 1.1 * cloud["p10"]


def test_a_plan_simulates_the_line_that_it_needs(tmp_path: Path) -> None:
    tables = run(tmp_path, both(), "plan")
    assert any(table.name == "line_summary" for table in tables)
    (plan,) = [table for table in tables if table.name == "supply_stage"]
    made = np.array(plan.array("p50"))[np.array(plan.array("stage") == "rack")]
    assert made.sum() == pytest.approx(7 * (WEEKS - 3), abs=14.1)


def test_the_lead_time_of_the_line_is_that_of_the_operation(tmp_path: Path) -> None:
    """Four racks wait before two slots of 48 h: 6 days from release to finish at most."""
    data = both()
    operation = "model(line.houston.lead_time)"
    data["supply"]["network"]["operations"]["assemble"]["lead_time"] = operation
    tables = run(tmp_path, data)
    spent = kpis(tables, "line_summary")["houston.cycle_time"]["p50"] / 168
    assert 0.25 < spent < 1.5
    # A week by air and the line's own weeks fill the pipeline now.
    assert delivered(tables)["p50"] == pytest.approx(7 * (WEEKS - 1 - spent), abs=8)


def test_a_port_that_does_not_exist_is_named(tmp_path: Path) -> None:
    data = both()
    data["supply"]["network"]["resources"]["line"]["capacity"] = "model(line.houston.output)"
    (tmp_path / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    text = api.check(tmp_path).as_text()
    assert "model(line.houston.output) does not exist" in text
    assert "it has throughput, lead_time, rack_throughput, rack_lead_time" in text
