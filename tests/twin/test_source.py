"""YAML 1.2 core schema, places, and hostile files."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from firsttoken.twin import source
from firsttoken.twin.findings import Findings, Place
from firsttoken.twin.source import SourceMap, read_yaml, read_yaml_text, resolve_scalar


def read(text: str) -> tuple[dict[str, Any], SourceMap]:
    findings = Findings()
    data, sources = read_yaml_text(text, "t.yaml", findings)
    assert not len(findings), findings.as_text()
    return data, sources


def refused(text: str) -> str:
    findings = Findings()
    read_yaml_text(text, "t.yaml", findings)
    assert len(findings) == 1, findings.as_text()
    return findings.as_text()


# https://yaml.org/spec/1.2.2/#103-core-schema, the table of section 10.3.2 and its example 10.9.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("0o7", 7),
        ("0x3A", 58),
        ("-19", -19),
        ("0.", 0.0),
        ("-0.0", -0.0),
        (".5", 0.5),
        ("+12e03", 12000.0),
        ("-2E+05", -200000.0),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
        # In YAML 1.1 these are booleans, sexagesimal numbers, octals and dates.
        ("no", "no"),
        ("NO", "NO"),
        ("on", "on"),
        ("190:20:30", "190:20:30"),
        ("010", 10),
        ("2026-07-01", "2026-07-01"),
        ("1_000", "1_000"),
    ],
)
def test_core_schema(text: str, value: object) -> None:
    found = resolve_scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_nan_is_passed_on() -> None:
    found = resolve_scalar(".nan")
    assert isinstance(found, float)
    assert math.isnan(found)


def test_a_number_of_many_digits_is_text() -> None:
    assert resolve_scalar("9" * 10_000) == "9" * 10_000


def test_quoted_scalars_are_text_and_keys_are_text() -> None:
    data, _ = read("a: '1'\nb: \"true\"\n2026: x\n2026-07: y\ntrue: z\nc: !!str 5\n")
    assert data == {"a": "1", "b": "true", "2026": "x", "2026-07": "y", "true": "z", "c": "5"}


def test_places_are_those_of_the_keys() -> None:
    _, sources = read("a:\n  b:\n    - x\n    - {c: 1}\n  'd.e': 2\n")
    assert sources.place(("a",)) == Place("t.yaml", 1, 1)
    assert sources.place(("a", "b", 1, "c")) == Place("t.yaml", 4, 8)
    assert sources.place(("a", "d.e")) == Place("t.yaml", 5, 3)
    # The nearest ancestor answers for what does not stand in the file.
    assert sources.place(("a", "b", 7, "zz")) == Place("t.yaml", 2, 3)
    assert sources.place(("zz",)) == Place("t.yaml", 1, 1)


def test_places_of_an_alias_are_those_of_its_use_and_of_its_anchor_inside() -> None:
    data, sources = read("a: &x {k: 1}\nb: *x\n")
    assert data["b"] == {"k": 1}
    assert sources.place(("b",)).line == 2
    assert sources.place(("b", "k")).line == 1


def test_grafts_leave_the_other_map_as_it_was() -> None:
    _, first = read("a: {b: 1}\n")
    _, second = read("\n\na: {c: 1}\n")
    both = first.copy()
    both.graft((), second)
    assert both.place(("a", "b")).line == 1
    assert both.place(("a", "c")).line == 3
    assert first.place(("a", "c")).line == 1  # its nearest ancestor
    moved = SourceMap()
    moved.graft(("x", "y"), first)
    assert moved.place(("x", "y", "a", "b")).line == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "t.yaml:3: error: key 'a' stands twice"),
        ("a:\n\tb: 1\n", "t.yaml:2: error: found character"),
        ("a: b: c\n", "mapping values are not allowed"),
        ("a: [1, 2\nb: 3\n", "t.yaml:2: error: did not find expected"),
        ("a: 'open\n", "found unexpected end of stream"),
        ("a: *nobody\n", "alias *nobody has no anchor"),
        ("a: &x [*x]\n", "alias *x contains itself"),
        ("? [a, b]\n: c\n", "a key must be text"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("- a\n- b\n", "the file holds a list"),
        ("just text\n", "the file holds a single value"),
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("a: !!python/object/apply:os.system [ls]\n", "tag tag:yaml.org,2002:python"),
        ("a: !secret x\n", "tag !secret is unknown"),
        ("a: \x07\n", "t.yaml:1: error: control characters are not allowed"),
    ],
)
def test_broken_files(text: str, expected: str) -> None:
    assert expected in refused(text)


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("a: {t: triangular(8, 12, 16) week, u: 1}", {"t": "triangular(8, 12, 16) week", "u": 1}),
        ("a: [uniform(1, 2) day, 3]", ["uniform(1, 2) day", 3]),
        ("a: {t: lognormal(p10=8, p90=20) week}", {"t": "lognormal(p10=8, p90=20) week"}),
    ],
)
def test_a_call_that_commas_cut_is_one_error(text: str, joined: object) -> None:
    findings = Findings()
    data, _ = read_yaml_text(text, "t.yaml", findings)
    (finding,) = findings
    assert finding.code == "yaml-quote"
    assert "put it in quotes" in finding.hint
    assert data == {"a": joined}


def test_text_with_an_open_bracket_is_text() -> None:
    data, _ = read("a: {b: see (this, c: }\nd: 'f(1'\ne:\n")
    assert data == {"a": {"b": "see (this", "c": None}, "d": "f(1", "e": None}


def test_a_merge_key_is_an_ordinary_key() -> None:
    # YAML 1.2 dropped it; the loader reports it as unknown.
    data, _ = read("a: &x {k: 1}\nb: {<<: *x}\n")
    assert data["b"] == {"<<": {"k": 1}}


def test_several_duplicates_are_reported_at_once() -> None:
    findings = Findings()
    read_yaml_text("a: 1\na: 2\nb: {c: 1, c: 2}\n", "t.yaml", findings)
    assert [f.place.line for f in findings] == [2, 3]
    assert {f.code for f in findings} == {"duplicate-key"}


def test_alias_bomb_takes_no_memory() -> None:
    """The billion laughs (CVE-2003-1564) in YAML: 10^9 values from ten lines."""
    lines = ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for i in range(1, 10):
        lines.append(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]")
    tracemalloc.start()
    try:
        message = refused("\n".join(lines))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "more than 2,000,000 values" in message
    assert "t.yaml:7" in message
    assert peak < 5e6


def test_many_values_are_given_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "NODE_LIMIT", 1000)
    assert "more than 1,000 values" in refused("a: [" + "x, " * 2000 + "x]\n")


@pytest.mark.parametrize("text", ["a: " + "[" * 100_000, "a: " + "{b: " * 100_000])
def test_deep_nesting_is_given_up_early(text: str) -> None:
    assert "nested deeper than 64 levels" in refused(text)


def test_a_file_of_100_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    with path.open("wb") as stream:
        stream.truncate(100 * 2**20)
    findings = Findings()
    tracemalloc.start()
    try:
        data, _ = read_yaml(path, findings)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert data == {}
    assert "the file has 100 MiB, a YAML file may have 64 MiB" in findings.as_text()
    assert "CSV or XLSX" in findings.as_text()
    assert peak < 1e6


def test_a_missing_file_a_folder_and_bad_bytes(tmp_path: Path) -> None:
    findings = Findings()
    read_yaml(tmp_path / "none.yaml", findings)
    read_yaml(tmp_path, findings)
    bad = tmp_path / "latin.yaml"
    bad.write_bytes("a: 1\nb: Zürich\n".encode("latin-1"))
    read_yaml(bad, findings)
    first, second, third = (str(f) for f in findings)
    assert "it does not exist" in first
    assert "it is a folder" in second
    assert "latin.yaml:2: error: byte 0xfc is not UTF-8" in third


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    data, _ = read_yaml(path, Findings())
    assert data == {"a": 1}
