from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.results.sample import sample_run, sample_tables

from firsttoken.results.compare import _compared, _text_row, compare
from firsttoken.results.store import write_run
from firsttoken.twin.findings import UsageError
from firsttoken.twin.result_table import ResultTable


def test_two_scenarios_of_a_run(tmp_path: Path) -> None:
    with write_run(tmp_path / "run", sample_run(), sample_tables()) as results:
        found = compare((results, "base"), (results, "quake"))
    assert found.paired
    kpis = {kpi.kpi: kpi for kpi in found.kpis}
    racks = kpis["delivered.racks"]
    assert (racks.a, racks.b, racks.difference, racks.relative) == (100.0, 75.0, -25.0, -0.25)
    assert (racks.a_low, racks.a_high) == (80.0, 120.0)
    assert kpis["duty"].relative is None
    # 2028-03-01 to 2028-05-30: 30 + 30 + 30 days
    assert kpis["us.date"].difference == 90
    assert kpis["us.probability"].difference == pytest.approx(-0.15)
    inputs = {difference.path: (difference.a, difference.b) for difference in found.inputs}
    assert inputs == {
        "supply.network.operations.rack.capacity": ("", "10 rack/week"),
        "disruption": ("", "close taiwan from 2026-09-01 for 90 day"),
    }


def test_other_seeds_are_not_paired(tmp_path: Path) -> None:
    with (
        write_run(tmp_path / "a", sample_run(), sample_tables()) as a,
        write_run(tmp_path / "b", sample_run(seed=8, as_of="2025-03-31"), sample_tables()) as b,
    ):
        found = compare((a, "base"), (b, "base"))
    assert not found.paired
    assert "chance" in found.note
    assert [(d.path, d.a, d.b) for d in found.inputs] == [("as_of", "2026-11-21", "2025-03-31")]
    assert all(kpi.difference == 0 for kpi in found.kpis)


def test_text_shows_every_figure_with_its_range(tmp_path: Path) -> None:
    with write_run(tmp_path / "run", sample_run(), sample_tables(123456.0)) as results:
        lines = compare((results, "base"), (results, "quake")).as_text().splitlines()
    racks = next(line for line in lines if line.startswith("racks delivered"))
    assert racks.split("  ")[0] == "racks delivered"
    assert "123,500 (98,760 - 148,100)" in racks
    assert "-30,860" in racks
    assert "-25.0%" in racks
    date = next(line for line in lines if "date reached" in line)
    assert "2028-05-30 (2028-02-01 - beyond)" in date
    assert "+90 day" in date
    assert any(line.startswith("Paired: both used the same 100") for line in lines)
    assert "  disruption: - -> close taiwan from 2026-09-01 for 90 day" in lines


def test_json_is_json_even_where_numbers_are_unknown(tmp_path: Path) -> None:
    tables = sample_tables(float("nan"))
    with write_run(tmp_path / "run", sample_run(), tables) as results:
        found = json.loads(compare((results, "base"), (results, "quake")).as_json())
    racks = next(kpi for kpi in found["kpis"] if kpi["kpi"] == "delivered.racks")
    assert racks["a"] is None
    assert racks["difference"] is None
    assert found["paired"] is True


def test_figures_of_one_side_only_are_named(tmp_path: Path) -> None:
    first = ResultTable(
        "line_summary",
        {"scenario": ["base"], "kpi": ["oee"], "unit": [""], "p10": [0.5], "p50": [0.6],
         "p90": [0.7]},
    )  # fmt: skip
    with (
        write_run(tmp_path / "a", sample_run(), [*sample_tables(), first]) as a,
        write_run(tmp_path / "b", sample_run(), sample_tables()) as b,
        write_run(tmp_path / "c", sample_run(), [first]) as c,
    ):
        assert compare((a, "base"), (b, "base")).only_a == ("oee",)
        assert "only in a: oee" in compare((a, "base"), (b, "base")).as_text()
        with pytest.raises(UsageError, match="no figure in common"):
            compare((b, "base"), (c, "base"))
        with pytest.raises(UsageError, match="no scenario 'nope'"):
            compare((a, "nope"), (b, "base"))


def test_large_changes_are_told_as_factors_and_roundings_as_none() -> None:
    def told(a: float, b: float) -> tuple[str, ...]:
        row = {"label": "x", "unit": "s", "p10": 0.0, "p90": 0.0}
        return _text_row(_compared(("t", "x"), {**row, "p50": a}, {**row, "p50": b}))

    assert told(2.0, 30.0)[-1] == "x 15"
    assert told(2.0, 3000.0)[-1] == "x 1,500"
    assert told(2.0, 3.0)[-1] == "+50.0%"
    assert told(56.3, 56.3 * (1 + 1e-15))[-2] == "+0"
