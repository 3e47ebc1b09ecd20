"""The class of AI data centres, and tables of sites that people bring."""

from __future__ import annotations

import csv
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from firsttoken.build.reference import KaplanMeier
from firsttoken.build.reference_sites import AI_DATA_CENTRES, read_sites
from firsttoken.twin.dates import DAY, parse_date
from firsttoken.twin.findings import Findings

MONTH = 365.25 / 12 * DAY
ROOT = Path(__file__).parents[2]


def test_the_published_figures_of_ai_data_centres_since_2023() -> None:
    """Fact dur.dc.km of the reference data: P20/P50/P80/P90 in months, n and finished."""
    findings = Findings()
    sites = read_sites(None, findings).durations(since=parse_date("2023"))
    assert not list(findings)
    assert (len(sites.time), int(sites.finished.sum())) == (32, 16)
    months = KaplanMeier.of(sites).quantile([0.2, 0.5, 0.8, 0.9]) / MONTH
    assert np.round(months, 1).tolist() == [15.0, 26.1, 30.2, 33.1]
    finished = sites.time[sites.finished] / MONTH
    assert abs(float(np.median(finished)) - 18.6) < 0.05 + 1e-9


def test_the_published_figures_of_all_sites() -> None:
    sites = read_sites(None, Findings()).durations()
    assert len(sites.time) == 48
    months = KaplanMeier.of(sites).quantile([0.2, 0.5, 0.8, 0.9]) / MONTH
    assert np.round(months, 1).tolist() == [16.4, 28.4, 42.0, 51.0]


def test_the_librarys_table_is_what_the_rule_derives(shared_data: Path) -> None:
    script = ROOT / "benchmarks" / "reference_class.py"
    folder = shared_data / "epoch_frontier_dc"
    done = subprocess.run(
        [sys.executable, str(script), "sites", "--data", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == AI_DATA_CENTRES.read_text(encoding="utf-8")


def test_every_site_says_where_it_comes_from() -> None:
    with AI_DATA_CENTRES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all("Epoch AI" in row["source"] and "CC BY 4.0" in row["source"] for row in rows)


def test_only_what_was_known_on_a_day_counts() -> None:
    sites = read_sites(None, Findings())
    early = sites.durations(until=parse_date("2025-01-01"))
    late = sites.durations(until=parse_date("2030-01-01"))
    assert early.finished.sum() < late.finished.sum()
    # Nobody has looked after the table's last day.
    assert late.time.max() == sites.durations().time.max()
    started = sites.start < parse_date("2025-01-01")
    assert len(early.time) == started.sum()


def table(folder: Path, *rows: str) -> Path:
    file = folder / "sites.csv"
    file.write_text("\n".join(rows) + "\n")
    return file


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    file = table(
        tmp_path, "site,start,end,seen", "A,2024-01-01,2025-01-01,", "B,2024-07,,2025-06-30"
    )
    findings = Findings()
    sites = read_sites(file, findings)
    assert not list(findings)
    assert sites.names == ("A", "B")
    assert_allclose(sites.durations().time / DAY, [366, 364])
    assert sites.durations().finished.tolist() == [True, False]


@pytest.mark.parametrize(
    ("rows", "line", "what"),
    [
        (["site,start,end,seen", "A,2024-01-01,2023-01-01,"], 2, "not after the start"),
        (["site,start,end,seen", "A,,2025-01-01,"], 2, "the start is missing"),
        (["site,start,end,seen", "A,2024-13-01,,2025-01-01"], 2, "not a day of the calendar"),
        (["site,start,end,seen", "A,2024,2025,", "A,2024,2025,"], 3, "stands twice"),
        (["site,start,end,seen", ",2024,2025,"], 2, "has no name"),
        (["site,start,end", "A,2024,2025", "B,2024,"], 1, "day of the last look"),
        (["site,begin,end", "A,2024,2025"], 1, "start is missing"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, rows: list[str], line: int, what: str) -> None:
    findings = Findings()
    read_sites(table(tmp_path, *rows), findings)
    assert any(
        what in str(found) and found.place.line == line and found.severity == "error"
        for found in findings
    )


def test_the_day_of_the_last_look_may_be_given_elsewhere(tmp_path: Path) -> None:
    file = table(tmp_path, "site,start,end", "A,2024-01-01,2024-03-01", "B,2024-01-01,")
    findings = Findings()
    until = parse_date("2024-06-01")
    sites = read_sites(file, findings, until)
    assert not list(findings)
    assert_allclose(sites.durations(until=until).time / DAY, [60, 152])


def test_columns_nobody_reads_and_looks_on_several_days_are_said(tmp_path: Path) -> None:
    rows = ["site,start,end,seen,colour", "A,2024,,2025-01-01,red", "B,2024,,2025-06-01,blue"]
    findings = Findings()
    sites = read_sites(table(tmp_path, *rows), findings)
    said = [found.what for found in findings]
    assert any("'colour' is not used" in what for what in said)
    assert any("different days, 2025-01-01 to 2025-06-01" in what for what in said)
    assert sites.seen == parse_date("2025-01-01")
    assert not findings.errors


def test_an_empty_table_holds_no_site(tmp_path: Path) -> None:
    sites = read_sites(table(tmp_path, "site,start,end"), Findings())
    assert sites.names == ()
    assert math.isnan(sites.seen)
