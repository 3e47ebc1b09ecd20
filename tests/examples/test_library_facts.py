"""The library restates every fact of the programme's fact base, each figure as it was.

Oracle: `ai_hardware_facts/facts.csv` of the reference data (its README says how it was
compiled); `fact_ids.csv` says under which id the library has each of its rows.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from firsttoken.twin.dates import is_date, parse_date
from firsttoken.twin.findings import Findings, Place
from firsttoken.twin.library import TEXT, Library, Vintage, read_libraries

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def library() -> Library:
    findings = Findings()
    found = read_libraries([("ai-hardware", Place("test", 1))], HERE, findings)
    assert not list(findings)
    return found


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def figure(text: str, *, date: bool) -> float | str:
    """A figure as it can be compared: a number, an instant, or text."""
    if date:
        return parse_date(text)
    try:
        return float(text)
    except ValueError:
        return text


def figures_of(vintage: Vintage) -> set[float | str]:
    if vintage.unit == TEXT:
        return {vintage.text}
    return {vintage.low, vintage.value, vintage.high}


def test_every_fact_is_restated_with_its_figures(shared_data: Path, library: Library) -> None:
    source = shared_data / "ai_hardware_facts" / "facts.csv"
    if not source.is_file():
        pytest.skip("the fact base is not here")
    ids = {row["source_id"]: row["library_id"] for row in rows_of(HERE / "fact_ids.csv")}
    originals = rows_of(source)
    assert {row["id"] for row in originals} == set(ids)
    wrong = []
    for row in originals:
        vintages = library.superseded(ids[row["id"]])
        known = set().union(*(figures_of(vintage) for vintage in vintages))
        date = vintages[0].unit == "date"
        for column in ("low", "value", "high"):
            if row[column] and figure(row[column], date=date) not in known:
                wrong.append((row["id"], column, row[column]))
    assert not wrong


def test_every_source_and_assumption_is_named(library: Library) -> None:
    """Confidence D stands for assumptions and weak sources: an assumption gives its reason."""
    for vintages in library.facts.values():
        for row in vintages:
            assert row.source, row.id
            if row.source == "assumption":
                assert row.confidence == "D", row.id
                assert row.note, f"{row.id}: an assumption needs its reason"


def test_superseded_facts_keep_both_values(library: Library) -> None:
    """OpenAI's plan of 1.4 trillion USD (Etoday 2025-11-21) was cut to 600 billion (2026-02-20)."""
    before, after = (
        library.known("openai.commitment", parse_date(day))[0].value
        for day in ("2025-12-01", "2026-03-01")
    )
    assert (before, after) == (1400.0, 600.0)
    capacity = {
        day: [row.value for row in library.known("tsmc.cowos.capacity", parse_date(day))]
        for day in ("2025-03-31", "2026-11-21")
    }
    # 2026Q4: assumed 95 k before anybody forecast it, 120 k in 2026 (range 88-150 k).
    assert (capacity["2025-03-31"][3], capacity["2026-11-21"][3]) == (95.0, 120.0)


def test_forecasts_of_2025_went_down_and_up(library: Library) -> None:
    """Morgan Stanley's path of NVL72 racks in 2025, with the days from which it was known."""
    path = [row.value for row in library.superseded("nvl72.racks.2025")]
    assert path == [40000, 65000, 42500, 22500, 30000, 34000, 28000]


def test_dates_are_dates(library: Library) -> None:
    for vintages in library.facts.values():
        for row in vintages:
            if row.unit == "date":
                assert is_date(row.text), row.id
