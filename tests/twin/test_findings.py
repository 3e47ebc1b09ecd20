"""Findings as text, JSON and SARIF."""

from __future__ import annotations

import json

import pytest

from firsttoken.twin.findings import (
    BalanceError,
    Finding,
    Findings,
    FirsttokenError,
    InfeasibleError,
    MissingExtraError,
    Place,
    TwinError,
    UsageError,
)

ERROR = Finding(
    "a is wrong", "it must be b", "write b", "x.a", "value", place=Place("t.yaml", 7, 3)
)
WARNING = Finding("c is odd", severity="warning", code="odd", place=Place("t.yaml", 2))
NOTE = Finding("so it is", severity="note", path="x.c")


def test_text_is_place_what_why_hint_in_the_order_of_the_file() -> None:
    assert Findings([ERROR, WARNING, NOTE, ERROR]).as_text().splitlines() == [
        "x.c: note: so it is",
        "t.yaml:2: warning: c is odd",
        "t.yaml:7: error: a is wrong, it must be b (hint: write b)",
    ]


def test_json_holds_everything() -> None:
    (found,) = json.loads(Findings([ERROR]).as_json())
    assert found == {
        "what": "a is wrong",
        "why": "it must be b",
        "hint": "write b",
        "path": "x.a",
        "code": "value",
        "severity": "error",
        "place": {"file": "t.yaml", "line": 7, "column": 3},
    }


def test_sarif_has_what_the_standard_requires() -> None:
    """OASIS SARIF 2.1.0: 3.13 sarifLog, 3.14 run, 3.18 tool, 3.19 driver, 3.27 result."""
    log = json.loads(Findings([ERROR, WARNING, NOTE]).as_sarif("1.2.3"))
    assert log["version"] == "2.1.0"  # 3.13.2
    (run,) = log["runs"]  # 3.13.4
    driver = run["tool"]["driver"]
    assert driver["name"] == "firsttoken"  # 3.19.8, required
    assert driver["version"] == "1.2.3"
    rules = [rule["id"] for rule in driver["rules"]]
    assert len(rules) == len(set(rules))  # 3.19.23: unique
    for result in run["results"]:
        assert result["ruleId"] in rules
        assert result["level"] in ("none", "note", "warning", "error")  # 3.27.10
        assert result["message"]["text"]  # 3.27.11, required
        for location in result.get("locations", []):
            physical = location["physicalLocation"]
            assert physical["artifactLocation"]["uri"]
            region = physical.get("region", {"startLine": 1})
            assert region["startLine"] >= 1  # 3.30.5
            assert region.get("startColumn", 1) >= 1  # 3.30.6
    by_level = {result["level"]: result for result in run["results"]}
    region = by_level["error"]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 7, "startColumn": 3}
    assert "locations" not in by_level["note"]


def test_sarif_of_nothing() -> None:
    (run,) = json.loads(Findings().as_sarif("1"))["runs"]
    assert run["results"] == []  # 3.14.23: an empty array says that the tool found nothing


def test_only_errors_stop() -> None:
    Findings([WARNING, NOTE]).raise_if_errors()
    with pytest.raises(TwinError) as caught:
        Findings([WARNING, ERROR]).raise_if_errors()
    assert len(caught.value.findings) == 2


def test_exit_codes() -> None:
    """DESIGN: 0 ok, 1 findings, 2 usage, 3 environment (missing extra), 4 infeasible."""
    assert TwinError(ERROR).exit_code == 1
    assert UsageError("x").exit_code == 2
    assert MissingExtraError("reading XLSX", "xlsx").exit_code == 3
    assert InfeasibleError("x").exit_code == 4
    assert issubclass(BalanceError, FirsttokenError)
    assert "pip install 'firsttoken[xlsx]'" in str(MissingExtraError("reading XLSX", "xlsx"))
