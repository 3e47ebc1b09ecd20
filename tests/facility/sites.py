"""Small declared sites for tests, compiled and simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.facility.power_sites import load

from firsttoken.chain.ports import Resolver
from firsttoken.facility import simulate_state as of
from firsttoken.facility.compile import compile_site
from firsttoken.facility.kpi import totals
from firsttoken.facility.result import SiteResult
from firsttoken.facility.simulate import simulate
from firsttoken.facility.system import System

CHAIN: dict[str, Any] = {
    "feeds": {"grid": {"rating": "10 MW"}},
    "transformers": {"main": {"from": "grid", "efficiency": 0.98}},
    "ups": {"a": {"from": "main", "efficiency": 0.95}},
    "racks": {"r": {"count": 10, "power": "100 kW", "idle": "20 kW", "from": "a"}},
}
"""1 MW of racks behind a chain of constant efficiencies."""

COOLED: dict[str, Any] = {
    **CHAIN,
    "transformers": {"main": {"from": "grid", "rating": "4 MW", "load_loss": "40 kW"}},
    "racks": {
        "r": {
            "count": 10,
            "power": "100 kW",
            "idle": "20 kW",
            "from": "a",
            "cooled_by": "cdu",
            "air_by": "crah",
            "liquid": 0.8,
        }
    },
    "cdus": {"cdu": {"water": "fws", "rating": "1 MW", "count": 2, "from": "main"}},
    "air_units": {"crah": {"water": "fws", "rating": "100 kW", "count": 4, "from": "main"}},
    "loops": {"fws": {"supply": "30 degC", "coolers": ["tower"], "from": "main", "pumps": {}}},
    "towers": {"tower": {"rating": "1 MW", "count": 2, "from": "main"}},
}
"""The same with CDUs, air units and cooling towers."""


def compiled(
    folder: Path, site: str | dict[str, Any], header: str = "", scenario: str = ""
) -> System:
    """A compiled site of ten days from Monday 2026-01-05."""
    twin = load(folder, site, header, scenario)
    return compile_site(twin, "x", Resolver(twin))


def ran(
    folder: Path,
    site: str | dict[str, Any],
    header: str = "",
    replications: int = 1,
    **options: Any,
) -> SiteResult:
    """A simulated site."""
    return simulate(compiled(folder, site, header), replications, 1, **options)


def count(found: SiteResult, column: int, replication: int = 0) -> float:
    """One count of the whole time."""
    return float(totals(found.period)[replication, column])


def energies(found: SiteResult) -> dict[str, float]:
    """Energies of the first replication in MWh."""
    columns = {
        "it": of.IT, "input": of.INPUT, "loss": of.LOSS, "motors": of.MOTORS,
        "overhead": of.OVERHEAD, "generator": of.GENERATOR,
    }  # fmt: skip
    return {name: count(found, column) / 3.6e9 for name, column in columns.items()}
