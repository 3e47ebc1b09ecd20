"""The room as the rest of the house sees it: executed twins, against what theory says."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.line.fake_result import rows

from firsttoken import api
from firsttoken.chain.run import execute
from firsttoken.kernel.replicate import CancelledError
from firsttoken.line.room import ROOM, port_names
from firsttoken.twin.findings import Findings
from firsttoken.twin.room import Settings
from firsttoken.twin.twin import Twin

SIMULATE = Settings(engines=("simulate",))

FLOOR: dict[str, Any] = {
    "twin": "floor",
    "start": "2026-01-05",
    "horizon": "20 week",
    "replications": 4,
    "line": {
        "houston": {
            "unit": "rack",
            "warmup": "4 week",
            "stations": {
                "burn_in": {"servers": 10, "time": "48 hour", "draws": {"test_power": "132 kW"}}
            },
            "budgets": {"test_power": "2 MW"},
            "products": {"rack": {"releases": {"all": {"backlog": 12}}}},
        }
    },
}
"""Ten slots of 48 h under a budget that feeds fifteen: 10 x 168 / 48 = 35 racks a week."""


def loaded(folder: Path, data: dict[str, Any]) -> Twin:
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    assert api.check(folder).as_text() == ""
    return api.load(folder)


def tables(folder: Path, data: dict[str, Any], settings: Settings = SIMULATE) -> dict[str, Any]:
    done = execute(loaded(folder, data), None, settings)
    return {table.name: rows(table) for table in done.tables}


def with_power(power: str) -> dict[str, Any]:
    line = {**FLOOR["line"]["houston"], "budgets": {"test_power": power}}
    return {**FLOOR, "line": {"houston": line}}


def kpi(found: dict[str, Any], name: str) -> dict[str, Any]:
    (row,) = [row for row in found["line_summary"] if row["kpi"] == f"houston.{name}"]
    return row  # type: ignore[no-any-return]


def test_the_law_of_the_test_floor(tmp_path: Path) -> None:
    """Slots = racks a week x hours / 168 (Little 1961), and power = slots x kW each."""
    found = tables(tmp_path, FLOOR)
    assert kpi(found, "throughput")["p50"] == pytest.approx(35, rel=0.02)
    # All ten slots draw 132 kW all the time.
    assert kpi(found, "energy")["mean"] == pytest.approx(10 * 132 * 168, rel=1e-6)
    assert kpi(found, "energy.lot")["mean"] == pytest.approx(48 * 132, rel=0.02)
    (first, *_) = found["line_binding"]
    assert (first["kind"], first["name"], first["binds"]) == ("station", "burn_in", True)
    (station,) = found["line_stations"]
    assert station["utilisation"] == pytest.approx(1)
    assert station["oee"] == pytest.approx(1)


def test_power_that_feeds_half_the_slots_halves_the_racks(tmp_path: Path) -> None:
    found = tables(tmp_path, with_power("700 kW"))
    assert kpi(found, "throughput")["p50"] == pytest.approx(17.5, rel=0.03)
    (first, *_) = found["line_binding"]
    assert (first["kind"], first["name"], first["binds"]) == ("budget", "test_power", True)
    (station,) = found["line_stations"]
    assert station["short"] == pytest.approx(0.5, abs=0.01)
    (power,) = found["line_pools"]
    assert power["used"] == pytest.approx(5 * 132)
    assert power["peak"] == pytest.approx(5 * 132)


def test_every_table_has_the_scenario_and_the_line_first(tmp_path: Path) -> None:
    done = execute(loaded(tmp_path, FLOOR), None, SIMULATE)
    names = [table.name for table in done.tables]
    assert names == [
        "line_inputs", "line_summary", "line_throughput", "line_stations", "line_pools",
        "line_pool_use", "line_cycle_times", "line_cycle_histogram", "line_orders", "line_losses",
        "line_binding",
    ]  # fmt: skip
    for table in done.tables:
        assert next(iter(table.columns)) == "scenario"
        assert len(set(zip(*(table.array(key).tolist() for key in table.keys), strict=True))) == (
            len(table)
        ), f"{table.name}: {table.keys} do not tell its rows apart"


def test_a_plan_alone_does_not_simulate_a_line_that_nobody_asks(tmp_path: Path) -> None:
    assert set(tables(tmp_path, FLOOR, Settings(engines=("plan",)))) == {"line_inputs"}


def test_progress_is_told_and_cancelling_stops(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    settings = Settings(engines=("simulate",), progress=lambda *what: said.append(what))
    execute(loaded(tmp_path, FLOOR), None, settings)
    assert ("simulate houston, base", 4, 4) in said
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        execute(loaded(tmp_path, FLOOR), None, Settings(engines=("simulate",), cancel=stop))


def test_same_seed_same_tables_whatever_the_threads(tmp_path: Path) -> None:
    one, two = (
        tables(tmp_path, FLOOR, Settings(engines=("simulate",), threads=threads))
        for threads in (1, 2)
    )
    assert repr(one) == repr(two)


def test_ports_are_named_before_anything_runs(tmp_path: Path) -> None:
    line = loaded(tmp_path, FLOOR).rooms["line"]["houston"]
    assert port_names(line) == ("throughput", "lead_time", "rack_throughput", "rack_lead_time")


def test_lines_are_read_from_tables_of_autosched() -> None:
    assert ROOM.tables is not None
    findings = Findings()
    data, _ = ROOM.tables({}, findings)
    assert data == {}


def test_two_lines_of_a_twin_are_told_apart(tmp_path: Path) -> None:
    line = FLOOR["line"]["houston"]
    data = {**FLOOR, "line": {"houston": line, "dallas": copy.deepcopy(line)}}
    done = execute(loaded(tmp_path, data), None, SIMULATE)
    summaries = [rows(table) for table in done.tables if table.name == "line_summary"]
    labels = {row["label"] for found in summaries for row in found}
    assert {"houston: racks a week", "dallas: racks a week"} <= labels
