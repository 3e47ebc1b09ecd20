"""The report as a file: well-formed, whole, self-contained, and true to the tables."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.report.html_page import Page
from tests.report.synthetic_run import SCENARIOS, STAGES, synthetic_run, synthetic_tables

from firsttoken.report import formats
from firsttoken.report.outlook import binding_now
from firsttoken.report.reading import Reading
from firsttoken.report.report import render, write_report
from firsttoken.results.store import Results, write_run
from firsttoken.twin.findings import UsageError
from firsttoken.twin.result_table import ResultTable

SECTIONS = [
    "answers", "chain", "output", "goals", "domestic", "binding", "marginal", "tornado",
    "scenarios", "hindcast", "inputs", "run",
]  # fmt: skip


def test_page_is_balanced_and_its_ids_are_unique(page: str) -> None:
    parsed = Page(page)
    assert parsed.problems == []
    assert len(parsed.ids) == len(set(parsed.ids))


def test_reader_of_pages_sees_what_is_wrong() -> None:
    parsed = Page('<p id="a"><b>x</p><img src="https://cdn.example/x.png"><p id="a"></p>')
    assert parsed.problems
    assert parsed.ids == ["a", "a"]
    assert parsed.loads == ["https://cdn.example/x.png"]


def test_every_internal_link_resolves(page: str) -> None:
    parsed = Page(page)
    internal = [link[1:] for link in parsed.links if link.startswith("#")]
    assert len(internal) > 40
    assert set(internal) <= set(parsed.ids)


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    parsed = Page(page)
    assert [load for load in parsed.loads if not load.startswith("data:")] == []
    assert "@import" not in page
    assert not re.search(r"url\(", page)
    assert not {"iframe", "object", "embed", "img", "base"} & set(parsed.tags)
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|import)\s*\(", page)


def test_page_is_below_one_megabyte(page: str) -> None:
    assert len(page.encode()) < 1_000_000


def test_sections_come_in_order(page: str) -> None:
    assert re.findall(r'<section id="(\w+)"', page) == SECTIONS


def test_every_drawing_speaks_and_has_its_numbers_as_a_table(page: str) -> None:
    parsed = Page(page)
    assert all(parsed.svg_labels)
    figures = page.split("<figure")[1:]
    assert len(figures) > 10
    silent = [figure for figure in figures if "Show the numbers" not in figure]
    assert all("When it is worth that" in figure for figure in silent)


def test_numbers_of_the_tables_are_on_the_page(page: str, made_up: Results) -> None:
    goal = made_up.sql("SELECT p50 FROM supply_goal_date WHERE scenario = 'base'")["p50"][0]
    assert formats.month(goal) in page
    rows = made_up.sql(
        "SELECT p50 FROM supply_summary WHERE scenario = 'base' AND unit = 'rack'"
    )["p50"]  # fmt: skip
    assert all(formats.number(value) in page for value in rows.tolist())
    best = made_up.sql(
        "SELECT marginal_usd FROM supply_marginal WHERE scenario = 'base' ORDER BY 1 DESC LIMIT 1"
    )["marginal_usd"][0]
    assert formats.quantity(best, "USD") in page
    for stage in STAGES:
        assert formats.label(stage).replace("&", "&amp;") in page


def test_every_scenario_and_every_input_is_listed(page: str, made_up: Results) -> None:
    for name in SCENARIOS:
        assert name.replace("-", "\N{NON-BREAKING HYPHEN}") in page or name in page
    inputs = made_up.sql("SELECT count(*) n FROM supply_inputs WHERE scenario = 'base'")["n"][0]
    assert [f"input-{i + 1}" in Page(page).ids for i in range(inputs)] == [True] * inputs
    assert "450 k wafer/year, known from 2024-11-02" in page


def test_texts_from_the_twin_are_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> & \"q\" 'p'"
    run = replace(synthetic_run(), title=evil, description=evil)
    tables = []
    for table in synthetic_tables():
        columns = dict(table.columns)
        for name in ("stage", "sentence", "source", "note", "title", "verdict", "path", "item"):
            if name in columns:
                columns[name] = [f"{value}{evil}" for value in columns[name]]
        tables.append(ResultTable(table.name, columns, table.units, table.description))
    with write_run(tmp_path / "run", run, tables) as results:
        text = render(results)
    assert "<script>alert" not in text
    assert Page(text).problems == []


@pytest.mark.parametrize("left", [(), ("supply_stage",), ("supply_summary", "supply_goal_date")])
def test_sections_without_tables_are_left_out(tmp_path: Path, left: tuple[str, ...]) -> None:
    tables = [table for table in synthetic_tables() if table.name in left]
    with write_run(tmp_path / "run", synthetic_run(), tables) as results:
        text = render(results)
    parsed = Page(text)
    assert parsed.problems == []
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)
    shown = re.findall(r'<section id="(\w+)"', text)
    expected = {(): [], ("supply_stage",): ["output"]}
    assert shown == [*expected.get(left, ["answers", "scenarios"]), "run"]


def test_each_section_stands_on_its_own_tables(tmp_path: Path) -> None:
    """A run that lacks any one table still gives a well-formed page."""
    tables = synthetic_tables()
    for i, dropped in enumerate(sorted({table.name for table in tables})):
        kept = [table for table in tables if table.name != dropped]
        with write_run(tmp_path / f"run{i}", synthetic_run(), kept) as results:
            assert Page(render(results)).problems == [], dropped


def test_empty_and_unknown_values_do_not_break_the_page(tmp_path: Path) -> None:
    tables = []
    for table in synthetic_tables():
        columns = {}
        for name in table.columns:
            values = table.array(name)
            columns[name] = values * float("nan") if values.dtype.kind == "f" else values
        tables.append(ResultTable(table.name, columns, table.units, table.description))
    with write_run(tmp_path / "run", synthetic_run(), tables) as results:
        text = render(results)
    assert Page(text).problems == []
    assert not re.search(r'"[^"]*\bnan\b[^"]*"', text)


def test_write_report_writes_the_page(made_up: Results, page: str, tmp_path: Path) -> None:
    path = write_report(made_up, tmp_path / "deep" / "report.html")
    assert path.read_text(encoding="utf-8") == page
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_report_that_cannot_be_written_says_so(made_up: Results, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the report"):
        write_report(made_up, tmp_path / "file" / "report.html")


def _binding(shares: dict[str, float]) -> ResultTable:
    columns = {
        "scenario": ["base"] * len(shares),
        "engine": ["simulation"] * len(shares),
        "stage": list(shares),
        "period": ["2026-10-01"] * len(shares),
        "label": ["2026Q4"] * len(shares),
        "share": list(shares.values()),
        "limit": ["capacity"] * len(shares),
    }
    return ResultTable("supply_binding", columns)


def _with_shadow_price(tables: list[ResultTable], stage: str) -> list[ResultTable]:
    kept = []
    for table in tables:
        if table.name == "supply_marginal":
            same = [s == stage for s in table.columns["stage"]]
            columns = {n: [v for v, k in zip(c, same, strict=True) if k]
                       for n, c in table.columns.items()}  # fmt: skip
            table = ResultTable(table.name, columns)
        kept.append(table)
    return kept


@pytest.mark.parametrize(
    ("shares", "priced", "stage"),
    [
        # Every stage up to the packages pushes at full rate; what comes out hangs on the last.
        ({"wafer fab": 1.0, "cowos packaging": 0.8, "compute tray": 0.2}, "", "CoWoS packaging"),
        ({"wafer fab": 0.4, "cowos packaging": 0.3}, "", "Wafer fab"),
        ({"wafer fab": 1.0, "rack assembly & test": 0.6}, "wafer fab", "Rack assembly & test"),
        ({"hbm": 0.9, "rack assembly & test": 0.6}, "hbm", "HBM"),
    ],
)
def test_binding_stage_of_today(
    tmp_path: Path, shares: dict[str, float], priced: str, stage: str
) -> None:
    """2026Q4 is today; the wafer fab's shadow price is 0 then, that of HBM is not."""
    tables = [t for t in synthetic_tables() if t.name in ("supply_flow", "supply_stage")]
    if priced:
        marginal = [t for t in synthetic_tables() if t.name == "supply_marginal"]
        tables += _with_shadow_price(marginal, priced)
    with write_run(tmp_path / "run", synthetic_run(), [*tables, _binding(shares)]) as results:
        found = binding_now(Reading(results))
    assert found is not None
    assert formats.label(found[0]) == stage
