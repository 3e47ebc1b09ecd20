"""Libraries: bitemporal facts, parts, malformed rows."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.twin.dates import parse_date
from firsttoken.twin.findings import Findings, Place
from firsttoken.twin.library import FactError, Library, Vintage, read_libraries
from firsttoken.twin.values import Constant, Distribution, Provenance, Series

HEADER = "id,entity,quantity,low,value,high,unit,valid_from,known_from,confidence,source,note"


def library(folder: Path, *rows: str, header: str = HEADER) -> tuple[Library, Findings]:
    (folder / "own").mkdir(exist_ok=True)
    (folder / "own" / "facts.csv").write_text("\n".join([header, *rows]) + "\n")
    findings = Findings()
    return read_libraries([("own", Place("twin.yaml", 4))], folder, findings), findings


def sound(folder: Path, *rows: str, header: str = HEADER) -> Library:
    found, findings = library(folder, *rows, header=header)
    assert not len(findings), findings.as_text()
    return found


def day(text: str) -> float:
    return parse_date(text)


def test_a_range_is_triangular_and_knows_its_source(tmp_path: Path) -> None:
    facts = sound(tmp_path, "x.price,X,price,3,3.5,5,MUSD,,2025-01-31,B,an analyst,a note")
    value = facts.resolve("x.price", day("2026"), "USD")
    assert isinstance(value, Distribution)
    assert (value.kind, value.args) == ("triangular", (3e6, 3.5e6, 5e6))
    assert value.provenance == Provenance("an analyst", "2025-01-31", "B", "a note", "x.price")


def test_one_number_is_constant(tmp_path: Path) -> None:
    facts = sound(tmp_path, "x.dies,X,dies,,2,,die,,2025,A,maker,", "y,,,2,2,2,,,2025,A,maker,")
    value = facts.resolve("x.dies", day("2026"), "each")
    assert isinstance(value, Constant)
    assert value.value == 2
    assert isinstance(facts.resolve("y", day("2026"), ""), Constant)


def test_what_was_known_when(tmp_path: Path) -> None:
    """Two dimensions: 2026's price was forecast in 2025-01, revised in 2025-07 and 2026-02."""
    facts = sound(
        tmp_path,
        "p,,,,10,,USD,2026-01-01,2025-07-01,A,second,",
        "p,,,,9,,USD,2026-01-01,2025-01-01,A,first,",
        "p,,,,20,,USD,2027-01-01,2025-07-01,A,second,",
        "p,,,,11,,USD,2026-01-01,2026-02-01,A,third,",
    )
    first = facts.resolve("p", day("2025-03"), "USD")
    assert isinstance(first, Constant)
    assert first.value == 9
    second = facts.resolve("p", day("2025-12"), "USD")
    assert isinstance(second, Series)
    assert second.kind == "step"
    assert _points(second) == [(day("2026-01-01"), 10), (day("2027-01-01"), 20)]
    third = facts.resolve("p", day("2026-02-01"), "USD")  # the day itself counts
    assert isinstance(third, Series)
    assert _points(third) == [(day("2026-01-01"), 11), (day("2027-01-01"), 20)]
    assert [v.value for v in facts.superseded("p")] == [9, 10, 20, 11]
    assert facts.last_known() == day("2026-02-01")


def _points(series: Series) -> list[tuple[float, float]]:
    return [
        (t.value, v.value)
        for t, v in series.knots
        if isinstance(t, Constant) and isinstance(v, Constant)
    ]


def test_interpolation_is_stepwise_unless_said(tmp_path: Path) -> None:
    facts = sound(
        tmp_path,
        "p,,,,10,,USD,2026-01-01,2025,A,s,,linear",
        "p,,,,20,,USD,2027-01-01,2025,A,s,,linear",
        header=f"{HEADER},interpolate",
    )
    series = facts.resolve("p", day("2026"), "USD")
    assert isinstance(series, Series)
    assert series.kind == "linear"


def test_dates_are_facts(tmp_path: Path) -> None:
    facts = sound(tmp_path, "r,,,2026-01,2026-03,2026Q3,date,,2025,C,press,")
    value = facts.resolve("r", day("2026"), "date")
    assert isinstance(value, Distribution)
    assert value.args == (day("2026-01-01"), day("2026-03-01"), day("2026-07-01"))


@pytest.mark.parametrize(
    ("fact", "as_of", "unit", "message", "hint"),
    [
        ("x.pric", "2026", "USD", "fact(x.pric) is unknown", "did you mean 'x.price'?"),
        ("x.price", "2024", "USD", "known only from 2025-01-01", "as_of is 2024-01-01"),
        ("x.price", "2026", "s", "USD does not fit: expected a time", "12 week"),
        ("x.price", "2026", "date", "is a quantity in USD, the slot takes a date", ""),
        ("when", "2026", "USD", "is a date, the slot takes a quantity in USD", ""),
        ("process", "2026", "USD", "is the text 'TSMC 4NP', not a quantity", ""),
    ],
)
def test_what_a_fact_cannot_be(
    tmp_path: Path, fact: str, as_of: str, unit: str, message: str, hint: str
) -> None:
    facts = sound(
        tmp_path,
        "x.price,,,,3,,USD,,2025-01-01,A,s,",
        "when,,,,2026-05,,date,,2025,A,s,",
        "process,,,,TSMC 4NP,,text,,2025,A,s,",
    )
    with pytest.raises(FactError) as caught:
        facts.resolve(fact, day(as_of), unit)
    assert message in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("X y,,,,3,,USD,,2025,A,s,", "'X y' is not an id"),
        ("x,,,,,,USD,,2025,A,s,", "the value is missing"),
        ("x,,,,abc,,USD,,2025,A,s,", "'abc' is not a number"),
        ("x,,,,nan,,USD,,2025,A,s,", "'nan' is not a finite number"),
        ("x,,,5,4,6,USD,,2025,A,s,", "the range is out of order"),
        ("x,,,,3,,bananas,,2025,A,s,", "unknown unit 'bananas'"),
        ("x,,,,3,,USD,,soon,A,s,", "'soon' is not a date"),
        ("x,,,,3,,USD,,,A,s,", "known_from is missing"),
        ("x,,,,3,,USD,2026-02-30,2025,A,s,", "is not a day of the calendar"),
        ("x,,,,3,,USD,,2025,E,s,", "confidence 'E' is not A, B, C or D"),
        ("x,,,,3,,USD,,2025,A,,", "the source is missing"),
        ("x,,,,3,,USD,,2025,A,s,,extra", "the row has 13 cells, the header 12"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, row: str, message: str) -> None:
    _, findings = library(tmp_path, "ok,,,,1,,USD,,2025,A,s,", row)
    assert len(findings) == 1
    text = findings.as_text()
    assert f"{tmp_path}/own/facts.csv:3: error: " in text
    assert message in text


def test_malformed_tables_are_named(tmp_path: Path) -> None:
    _, findings = library(tmp_path, "x,1", header="id,valeu")
    text = findings.as_text()
    assert "facts.csv:1: error: unknown column 'valeu' (hint: did you mean 'value'?)" in text
    assert "column value, unit, known_from, confidence, source is missing" in text


def test_vintages_that_contradict_each_other(tmp_path: Path) -> None:
    _, findings = library(
        tmp_path,
        "a,,,,3,,USD,,2025,A,s,",
        "a,,,,4,,USD,,2025,A,s,",
        "b,,,,3,,USD,,2025,A,s,",
        "b,,,,4,,kg,,2026,A,s,",
        "c,,,,3,,USD,2026,2025,A,s,",
        "c,,,,4,,USD,,2026,A,s,",
    )
    first, second, third = (str(f) for f in findings)
    assert "facts.csv:3: error: fact a is given twice for the same dates" in first
    assert "fact b changes its dimension from USD to kg" in second
    assert "fact c has rows with and without valid_from" in third


def test_unknown_and_empty_libraries(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    findings = Findings()
    names = [("nothing", Place("twin.yaml", 4)), ("empty", Place("twin.yaml", 5))]
    read_libraries(names, tmp_path, findings)
    first, second = (str(f) for f in findings)
    assert first.startswith("twin.yaml:4: error: library 'nothing' is not found")
    assert second.startswith("twin.yaml:5: error: library 'empty' is empty")


PART = """\
part: gb300_nvl72
description: A rack of 72 GPUs
kind: rack
source: maker
bom: {tray: 18, switch: 9}
attributes:
  tdp: {low: 120, value: 132, high: 140, unit: kW, confidence: A}
  width: {value: 0.6, unit: m, source: another}
"""


def _part(folder: Path, text: str) -> tuple[Library, Findings]:
    parts = folder / "own" / "parts"
    parts.mkdir(parents=True)
    (parts / "p.yaml").write_text(text)
    findings = Findings()
    return read_libraries([("own", Place())], folder, findings), findings


def test_a_part_and_its_attributes(tmp_path: Path) -> None:
    found, findings = _part(tmp_path, PART)
    assert not len(findings), findings.as_text()
    part = found.part("gb300_nvl72")
    assert (part.kind, part.bom, part.attributes) == (
        "rack",
        {"tray": 18, "switch": 9},
        ("tdp", "width"),
    )
    tdp = found.resolve("gb300_nvl72.tdp", -math.inf, "W")
    assert isinstance(tdp, Distribution)
    assert tdp.args == pytest.approx((120e3, 132e3, 140e3))
    width = found.resolve("gb300_nvl72.width", day("2020"), "m")
    assert isinstance(width, Constant)
    assert width.provenance is not None
    assert width.provenance.source == "another"
    with pytest.raises(FactError, match="is unknown"):
        found.part("gb200")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("part: gb300_nvl72", "part: GB 300", "p.yaml:1: error: part 'GB 300' is not an id"),
        ("kind: rack", "kinds: rack", "p.yaml:3: error: unknown key 'kinds'"),
        ("bom: {tray: 18, switch: 9}", "bom: 18", "p.yaml:5: error: bom is not a mapping"),
        ("unit: m,", "unit: mm2x,", "p.yaml:8: error: attribute 'width': unknown unit"),
        ("unit: m,", "units: m,", "p.yaml:8: error: unknown key 'units' in attribute 'width'"),
        ("{value: 0.6, unit: m, source: another}", "0.6", "attribute 'width' is not a mapping"),
    ],
)
def test_malformed_parts(tmp_path: Path, old: str, new: str, message: str) -> None:
    _, findings = _part(tmp_path, PART.replace(old, new))
    assert message in findings.as_text()


DAYS = st.integers(0, 40).map(lambda n: day("2025-01-01") + n * 86400)


@given(
    st.lists(st.tuples(DAYS, DAYS), min_size=1, max_size=12, unique=True),
    DAYS,
)
def test_the_latest_knowledge_of_each_day_counts(
    stamps: list[tuple[float, float]], as_of: float
) -> None:
    """Against the definition: for each valid_from the row of the greatest known_from <= as_of."""
    rows = tuple(
        Vintage("f", "", "", i, i, i, str(i), "USD", valid, known, "A", "s", "", "step", Place())
        for i, (valid, known) in enumerate(stamps)
    )
    expected = {}
    for valid in {valid for valid, _ in stamps}:
        known = [(k, i) for i, (v, k) in enumerate(stamps) if v == valid and k <= as_of]
        if known:
            expected[valid] = float(max(known)[1])
    facts = Library({"f": rows})
    if not expected:
        with pytest.raises(FactError, match="known only from"):
            facts.known("f", as_of)
        return
    found = facts.known("f", as_of)
    assert {row.valid_from: row.value for row in found} == expected
    assert [row.valid_from for row in found] == sorted(expected)
