"""Small declared networks for tests, and how to load and compile them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from firsttoken import api
from firsttoken.chain.ports import Resolver
from firsttoken.supply.compile import compile_network
from firsttoken.supply.system import System
from firsttoken.twin.findings import Findings
from firsttoken.twin.twin import Twin

TWO_PLANTS: dict[str, Any] = {
    "twin": "two-plants",
    "start": "2025-01-06",
    "horizon": "52 week",
    "replications": 20,
    "supply": {
        "network": {
            "home": ["US"],
            "locations": {"taiwan": {"country": "TW"}, "houston": {"country": "US"}},
            "items": {
                "package": {"unit": "package", "value": "35 kUSD"},
                "rack": {"unit": "rack", "value": "4 MUSD"},
            },
            "suppliers": {"fab": {"country": "TW"}},
            "purchases": {
                "buy": {
                    "supplier": "fab",
                    "item": "package",
                    "location": "taiwan",
                    "capacity": "720 package/week",
                    "cost": "30 kUSD",
                }
            },
            "lanes": {
                "fly": {
                    "items": ["package"],
                    "origin": "taiwan",
                    "destination": "houston",
                    "lead_time": "1 week",
                    "cost": "10 USD",
                }
            },
            "operations": {
                "assemble": {
                    "at": "houston",
                    "consumes": {"package": 72},
                    "produces": {"rack": 1},
                    "lead_time": "2 week",
                    "cost": "100 kUSD",
                    "uses": {"line": 1},
                    "stage": "rack",
                }
            },
            "resources": {"line": {"at": "houston", "capacity": "8 rack/week"}},
            "demands": {"cloud": {"item": "rack", "location": "houston", "rate": "20 rack/week"}},
            "tariffs": {
                "duty": {
                    "items": ["package"],
                    "origins": ["TW"],
                    "destination": "US",
                    "rate": "20 %",
                    "exempt": "50 %",
                }
            },
            "goals": {"billion": {"stage": "rack", "country": "US", "target": "1 BUSD"}},
        }
    },
}
"""Packages made in Taiwan (10 racks' worth a week) fly to a line in Houston (8 racks a week)."""


def changed(changes: dict[str, Any], base: dict[str, Any] = TWO_PLANTS) -> dict[str, Any]:
    """A copy of `base` with values replaced by dotted path; None deletes."""
    data = copy.deepcopy(base)
    for path, value in changes.items():
        *parents, last = path.split(".")
        node = data
        for key in parents:
            node = node.setdefault(key, {})
        if value is None:
            del node[last]
        else:
            node[last] = value
    return data


def load(folder: Path, data: dict[str, Any], scenario: str | None = None) -> Twin:
    """Write and load a twin."""
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return api.load(folder, scenario)


def check(folder: Path, data: dict[str, Any]) -> Findings:
    """Write and check a twin."""
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return api.check(folder)


def compiled(folder: Path, data: dict[str, Any], scenario: str | None = None) -> System:
    """Write, load and compile the twin's network."""
    twin = load(folder, data, scenario)
    return compile_network(twin, "network", Resolver(twin))
