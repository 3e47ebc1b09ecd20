"""`check` names each kind of fault of a network, with its place and a hint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.supply.networks import changed, check

NET = "supply.network."

FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (changes, code of the finding, words in it)
    "unknown item": (
        {NET + "operations.assemble.consumes": {"pakage": 72}},
        "reference",
        "unknown item 'pakage'",
    ),
    "unknown location": ({NET + "lanes.fly.origin": "taipei"}, "reference", "unknown location"),
    "unknown resource": (
        {NET + "operations.assemble.uses": {"lines": 1}},
        "reference",
        "did you mean 'line'?",
    ),
    "unknown calendar": (
        {NET + "operations.assemble.available": "holidays"},
        "reference",
        "unknown calendar",
    ),
    "one name twice": (
        {NET + "resources.fly": {"at": "houston", "capacity": "1 rack/week"}},
        "duplicate-name",
        "'fly' is taken by lanes.fly",
    ),
    "amount in another unit": (
        {NET + "operations.assemble.consumes": {"package": "72 kg"}},
        "unit-dimension",
        "kg does not measure 'package'",
    ),
    "no source": (
        {NET + "lanes": None},
        "no-source",
        "'assemble' needs 'package' at 'houston', which has no source there",
    ),
    "dead operation": (
        {
            NET + "items.scrap": {},
            NET + "operations.melt": {
                "at": "houston",
                "consumes": {"package": 1},
                "produces": {"scrap": 1},
            },
        },
        "dead-operation",
        "'melt' is dead",
    ),
    "cycle": (
        {
            NET + "operations.strip": {
                "at": "houston",
                "consumes": {"rack": 1},
                "produces": {"package": 72},
            }
        },
        "bom-cycle",
        "-> ",
    ),
    "dates reversed": (
        {NET + "operations.assemble.start": "2025-09", NET + "operations.assemble.end": "2025-06"},
        "date-order",
        "'start' is not before 'end'",
    ),
    "calendar reversed": (
        {
            NET + "calendars.c": {"buckets": [{"start": "2025-03", "end": "2025-02", "value": 0}]},
            NET + "operations.assemble.available": "c",
        },
        "date-order",
        "not before",
    ),
    "uncertain spans that may overlap": (
        {
            NET + "calendars.c": {
                "buckets": [
                    {"start": "2025-02", "end": "uniform(2025-03, 2025-05)", "value": 0},
                    {"start": "2025-04", "end": "2025-06", "value": 0.5},
                ]
            },
            NET + "operations.assemble.available": "c",
        },
        "date-order",
        "may begin before the one before it ends",
    ),
    "order without date": (
        {NET + "demands.cloud": {"item": "rack", "location": "houston", "quantity": 5}},
        "demand",
        "both 'quantity' and 'due'",
    ),
    "order after the end": (
        {NET + "demands.cloud.quantity": 5, NET + "demands.cloud.due": "2027-01"},
        "date",
        "after the twin's end",
    ),
    "goal without a stage": (
        {NET + "goals.billion.stage": "racks"},
        "reference",
        "did you mean 'rack'?",
    ),
    "investment in nothing": (
        {
            NET + "investments.more": {
                "target": "lines",
                "adds": "1 rack/week",
                "cost": "1 MUSD",
            }
        },
        "reference",
        "'lines' does not exist",
    ),
    "investment in the unlimited": (
        {
            NET + "investments.more": {
                "target": "fly",
                "adds": "1 package/week",
                "cost": "1 MUSD",
            }
        },
        "investment",
        "no capacity limit",
    ),
    "efficiency of nothing": (
        {NET + "lanes.fly.efficiency": 0.5},
        "unused-field",
        "no capacity that it could act on",
    ),
    "disruption of the unlimited": (
        {
            "disruptions": [
                {"capacity": NET + "operations.assemble", "factor": 0.5, "from": "2025-03"}
            ]
        },
        "disruption",
        "aim at its resources line",
    ),
    "slip without a date": (
        {"scenarios.late": {"disruptions": [{"slip": NET + "resources.line", "by": "3 week"}]}},
        "disruption",
        "scenario 'late': 'slip' cannot act",
    ),
    "pull without levels": ({NET + "release": "pull"}, "policy", "base-stock"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named(name: str, tmp_path: Path) -> None:
    changes, code, words = FAULTS[name]
    found = [f for f in check(tmp_path, changed(changes)) if f.code == code]
    assert found, f"no finding {code}"
    assert any(words in str(finding) for finding in found), [str(f) for f in found]
    assert all(finding.place.line > 0 for finding in found)


def test_sound_network_has_no_findings(tmp_path: Path) -> None:
    assert check(tmp_path, changed({})).as_text() == ""


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    both = changed(
        {
            NET + "demands.cloud": {"item": "rack", "location": "houston", "quantity": 5},
            NET + "goals.billion.stage": "racks",
        }
    )
    assert {finding.code for finding in check(tmp_path, both).errors} == {"demand", "reference"}
