"""What the commands say of production lines, from results that are made up."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.report.synthetic_line import line_result_tables
from tests.report.test_lines import run_of

from firsttoken import cli_output
from firsttoken.results.compare import compare
from firsttoken.results.store import Results, write_run


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Results]:
    folder = tmp_path_factory.mktemp("lines") / "run"
    tables = [*line_result_tables(), *line_result_tables("slow", 0.7)]
    with write_run(folder, run_of("base", "slow"), tables) as opened:
        yield opened


@pytest.fixture
def text(results: Results, capsys: pytest.CaptureFixture[str]) -> str:
    cli_output.run_text(results, None)
    return capsys.readouterr().out


def test_figures_come_first_then_what_binds_then_what_scenarios_change(text: str) -> None:
    places = [
        text.index(words)
        for words in ("made-up: base", "racks a week", "made-up: what binds houston",
                      "test_power is the limit", "slow, against base", "Run:")
    ]  # fmt: skip
    assert places == sorted(places)


def test_figures_are_in_the_units_of_a_plant(text: str) -> None:
    lines = {line.strip().split("  ")[0]: line for line in text.splitlines()}
    assert lines["cycle time, median"].split()[-1] == "day"
    assert lines["test_power: highest use"].split()[-2:] == ["20.00", "MW"]
    assert lines["energy for one rack"].split()[-1] == "MWh/rack"


def test_what_never_happens_is_left_out(text: str) -> None:
    assert "assemblers: work waits for it" in text
    assert "technicians: work waits for it" not in text


def test_json_has_all_limits_in_order(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    cli_output.run_json(results, None)
    document = json.loads(capsys.readouterr().out)
    base = [row for row in document["limits"] if row["scenario"] == "base"]
    assert [row["rank"] for row in base] == list(range(1, len(base) + 1))
    assert base[0]["name"] == "test_power"
    assert base[0]["binds"] is True
    assert any(row["kpi"] == "houston.throughput" for row in document["summary"])


def test_lines_are_compared(results: Results) -> None:
    found = compare((results, "base"), (results, "slow"))
    kpis = {kpi.kpi: kpi for kpi in found.kpis}
    # The made-up output of the second is seven tenths of the first's.
    assert kpis["houston.throughput"].relative == pytest.approx(-0.3, abs=0.01)
    assert found.only_a == found.only_b == ()
    assert "racks a week" in found.as_text()
