"""The report of production lines: alone, with a supply network, several, and with little known."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.report.html_page import Page
from tests.report.synthetic_line import line_kpis, line_result_tables
from tests.report.synthetic_run import synthetic_run, synthetic_tables
from tests.report.test_browser import BROWSER, PROBE, browse

from firsttoken.line.room import line_tables
from firsttoken.report import formats
from firsttoken.report.report import render
from firsttoken.results.run import Run, ScenarioRecord
from firsttoken.results.store import Results, write_run
from firsttoken.twin.result_table import ResultTable

LINE_SECTIONS = ["output", "limits", "times", "orders", "losses"]


def run_of(*scenarios: str) -> Run:
    return Run(
        twin="made-up", twin_hash="ab" * 20, seed=1, replications=60, engines=("simulation",),
        scenarios=tuple(ScenarioRecord(name) for name in scenarios), as_of="2026-11-21",
        start="2027-01-04", end="2027-07-05",
    )  # fmt: skip


def page_of(folder: Path, tables: Sequence[ResultTable], *scenarios: str) -> str:
    with write_run(folder / "run", run_of(*(scenarios or ("base",))), tables) as results:
        return render(results)


def sections(page: str) -> list[str]:
    return re.findall(r'<section id="([^"]+)"', page)


@pytest.fixture(scope="module")
def tables() -> list[ResultTable]:
    return line_result_tables()


@pytest.fixture(scope="module")
def results(
    tables: list[ResultTable], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Results]:
    both = [*tables, *line_result_tables("burn-in-72h", 0.7)]
    folder = tmp_path_factory.mktemp("lines") / "run"
    with write_run(folder, run_of("base", "burn-in-72h"), both) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    return render(results)


def test_a_line_alone_has_its_sections(page: str) -> None:
    parsed = Page(page)
    assert parsed.problems == []
    assert len(parsed.ids) == len(set(parsed.ids))
    wanted = [f"line-houston-{part}" for part in LINE_SECTIONS]
    assert sections(page) == ["answers", *wanted, "scenarios", "inputs", "run"]
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)


def test_the_headline_says_how_many_and_what_binds(page: str, results: Results) -> None:
    (row,) = results.sql(
        "SELECT p50 FROM line_summary WHERE scenario = 'base' AND kpi = 'houston.throughput'"
    )["p50"]
    said = f"Houston makes {formats.number(row)} racks a week in the median future; "
    assert f"{said}“Test power” is the limit" in page.replace("\n", " ")


def test_what_binds_is_told_in_words(page: str) -> None:
    points = re.search(r'<ol class="points">(.*?)</ol>', page, re.S)
    assert points is not None
    said = html.unescape(points[1]).replace("\N{NON-BREAKING HYPHEN}", "-")
    assert "Test power is the limit: work waits for it 71 % of the time, at burn in" in said
    assert "Work waits for assemblers 18 % of the time, at tray assembly" in said
    assert "SMT is the busiest station" in said


def test_every_station_and_pool_is_drawn_with_its_numbers(page: str) -> None:
    tips = " ".join(html.unescape(tip) for tip in re.findall(r"<title>([^<]*)</title>", page))
    for share in ("Burn in: working 71", "Cabling: blocked 21", "SMT: set-up 9"):
        assert f"{share}\N{NO-BREAK SPACE}%" in tips
    assert re.search(r"Test power: 19(\.\d)? of 20 MW in use on average", tips)


def test_every_drawing_speaks_and_has_its_numbers_as_a_table(page: str) -> None:
    assert all(Page(page).svg_labels)
    figures = page.split("<figure")[1:]
    assert len(figures) >= 12
    assert all("Show the numbers" in figure for figure in figures)


def test_scenarios_of_a_line_are_compared(page: str) -> None:
    assert "costs most" in page
    # Seven tenths of the base's racks.
    assert re.search(r"−1[12]\d racks/week \(−30\N{NO-BREAK SPACE}%\)", page)


def test_inputs_of_a_line_have_their_sources(page: str) -> None:
    assert "a made\N{NON-BREAKING HYPHEN}up standard" in page or "a made-up standard" in page
    assert "1 input: 1 with a cited source, 0 assumptions" in page


def test_a_supply_network_and_a_line_share_a_page(
    tables: list[ResultTable], tmp_path: Path
) -> None:
    with write_run(tmp_path / "run", synthetic_run(), [*synthetic_tables(), *tables]) as opened:
        page = render(opened)
    parsed = Page(page)
    assert parsed.problems == []
    shown = sections(page)
    assert shown[:3] == ["answers", "chain", "output"]
    assert [name for name in shown if name.startswith("line-houston")] == [
        f"line-houston-{part}" for part in LINE_SECTIONS
    ]
    # The programme's answer comes first; the line's inputs are numbered with the network's.
    assert "US$500bn" in page.partition("</h2>")[0]
    assert "houston.<wbr>stations.<wbr>burn_in.<wbr>time" in page


def test_lines_of_one_twin_are_told_apart(tables: list[ResultTable], tmp_path: Path) -> None:
    other = line_kpis("base", 0.5, name="dallas")
    other.prefix = "dallas: "
    page = page_of(tmp_path, [*tables, *line_tables(other)])
    assert Page(page).problems == []
    assert "Dallas: output" in page
    assert "Houston: output" in page
    assert "dallas: " not in page.partition("<table")[0]
    assert len(set(sections(page))) == len(sections(page))


def test_what_binds_may_differ_from_future_to_future(
    tables: list[ResultTable], tmp_path: Path
) -> None:
    (binding,) = [table for table in tables if table.name == "line_binding"]
    futures = [0.35, 0.25] + [0.0] * (len(binding) - 2)
    columns = {**binding.columns, "futures": futures, "binds": [False] * len(binding)}
    changed = ResultTable(binding.name, columns, binding.units, binding.description)
    page = page_of(tmp_path, [t for t in tables if t is not binding] + [changed])
    assert "“Test power” is most often the limit" in page
    assert "What binds differs from future to future: test power in 35\N{NO-BREAK SPACE}%" in page


def test_each_section_stands_on_its_own_tables(tables: list[ResultTable], tmp_path: Path) -> None:
    for i, dropped in enumerate(sorted({table.name for table in tables})):
        kept = [table for table in tables if table.name != dropped]
        folder = tmp_path / str(i)
        folder.mkdir()
        assert Page(page_of(folder, kept)).problems == [], dropped


def test_unknown_values_do_not_break_the_page(tables: list[ResultTable], tmp_path: Path) -> None:
    empty = []
    for table in tables:
        columns = {}
        for name in table.columns:
            values = table.array(name)
            columns[name] = values * float("nan") if values.dtype.kind == "f" else values
        empty.append(ResultTable(table.name, columns, table.units, table.description))
    page = page_of(tmp_path, empty)
    assert Page(page).problems == []
    assert not re.search(r'"[^"]*\bnan\b[^"]*"', page)


def test_texts_of_a_line_are_escaped(tables: list[ResultTable], tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> & \"q\" 'p'"
    changed = []
    for table in tables:
        columns = dict(table.columns)
        for name in ("sentence", "description", "station", "pool", "order", "customer", "label"):
            if name in columns:
                columns[name] = [f"{value}{evil}" for value in columns[name]]
        changed.append(ResultTable(table.name, columns, table.units, table.description))
    page = page_of(tmp_path, changed)
    assert "<script>alert" not in page
    assert Page(page).problems == []


@pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1200, 500])
def test_no_text_is_clipped_overlapping_or_wider_than_the_screen(
    page: str, tmp_path: Path, width: int
) -> None:
    path = tmp_path / "probe.html"
    path.write_text(page.replace("</body>", PROBE), encoding="utf-8")
    dom, console = browse(path, tmp_path / "profile", f"--window-size={width},1200", "--dump-dom")
    found = json.loads(html.unescape(re.search(r'data-probe="([^"]*)"', dom)[1]))
    assert console == []
    assert found["outside"] == []
    assert found["touching"] == []
    assert found["wide"] <= 0
