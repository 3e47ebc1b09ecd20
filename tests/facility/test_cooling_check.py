"""Findings about cooling plants, each at its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.facility.power_sites import load

from firsttoken.facility.cooling_check import check_cooling
from firsttoken.twin.findings import Findings

HOURS = np.arange("2024-01-01T00", "2025-01-01T00", dtype="datetime64[h]")
WEATHER = "time,temperature_2m,relative_humidity_2m\n" + "".join(
    f"{str(hour)[:10]} {str(hour)[11:13]}:00,{25 + 12 * (number == 5000)},30\n"
    for number, hour in enumerate(HOURS)
)
"""25 degC, but for one hour of 37 degC."""

GOOD = """
weather: weather.csv
racks:
  hall: {count: 10, power: 100 kW, liquid: 0.8, flow: 120 L/min, warmest: 45 degC, cooled_by: row,
         air_by: wall}
cdus: {row: {count: 2, rating: 500 kW, water: w, approach: 4 K, supply: 40 degC}}
air_units: {wall: {count: 4, rating: 60 kW, water: w, approach: 6 K}}
loops: {w: {supply: 32 degC, coolers: [dry, x]}}
dry_coolers: {dry: {count: 4, rating: 300 kW}}
towers: {t: {count: 2, rating: 700 kW}}
chillers: {x: {count: 2, rating: 600 kW, rejects_to: t}}
transients: {trip: {events: [{of: row, pumps: 0.5}, {of: hall, load: 0}]}}
"""


def found(folder: Path, site: str) -> list[str]:
    """What `check_cooling` says of a site."""
    (folder / "weather.csv").write_text(WEATHER)
    findings = Findings()
    check_cooling(load(folder, site), "x", findings)
    assert all(finding.place.line for finding in findings)
    return [f"{finding.severity}: {finding.what}; {finding.why}" for finding in findings]


def test_a_good_plant_has_no_findings(tmp_path: Path) -> None:
    assert found(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("500 kW, water: w", "500 kW, water: z", "error: 'z' is no facility water loop"),
        ("coolers: [dry, x]", "coolers: [dry, y]", "error: 'y' is no dry cooler, tower or chiller"),
        ("rejects_to: t", "rejects_to: u", "error: 'u' is no tower or dry cooler"),
        ("coolers: [dry, x]", "coolers: []", "error: nothing cools loop 'w'"),
        ("coolers: [dry, x]", "coolers: [dry, dry, x]", "error: 'dry' stands twice"),
        ("[dry, x]}}", "[dry, x]}, v: {supply: 20 degC, coolers: [x]}}", "cools loops 'w' and 'v'"),
        ("[dry, x]}}", "[dry, x]}, v: {supply: 20 degC, coolers: [t]}}", "loop 'v' cools nothing"),
        ("[dry, x]", "[dry]", "warning: 'x' cools nothing"),
        ("row: {count: 2,", "row: {count: 2, needed: 3,", "error: 3 units are needed of 2"),
        ("approach: 4 K,", "approach: 4 K, pumps: {needed: 3},", "error: 3 pumps are needed of 2"),
        ("of: row, pumps", "of: roe, pumps", "error: 'roe' is no group of racks or cooling"),
        ("of: row, pumps: 0.5", "of: row, load: 0.5", "error: 'row' has no load"),
        ("of: hall, load: 0", "of: hall, pumps: 0", "error: racks 'hall' have no pumps"),
        (", pumps: 0.5}", "}", "error: nothing happens"),
        ("supply: 32 degC", "supply: 32 K", "error: -241.1 degC is no supply of 'w'"),
        ("supply: 40 degC", "supply: 140 degC", "error: 140 degC is no supply of 'row'; sound are"),
        (
            "row: {count: 2,",
            "row: {count: 0,",
            "error: the racks of 'row' give 800 kW; there is no",
        ),
        # 10 racks of 80 kW to the liquid
        ("rating: 500 kW", "rating: 390 kW", "give 800 kW; 2 units take 780 kW"),
        ("row: {count: 2,", "row: {count: 2, needed: 1,", "give 800 kW; 1 unit take 500 kW"),
        ("rating: 60 kW", "rating: 40 kW", "give 200 kW; 4 units take 160 kW"),
        ("flow: 120 L", "flow: 160 L", "want 1600 L/min; the pumps give 1493"),
        ("approach: 4 K,", "approach: 4 K, water_flow: 200 L/min,", "beyond an exchanger"),
        ("supply: 40 degC", "supply: 34 degC", "'row' cannot supply 34 degC; its water has 32"),
        ("warmest: 45 degC", "warmest: 39 degC", "racks 'hall' throttle above 39 degC; 'row'"),
        # in the hour of 37 degC dry coolers take 5 K of the 42 degC that come back
        ("count: 2, rating: 600 kW", "count: 1, rating: 300 kW", "of 1 MW in the worst hour"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert GOOD.count(old) == 1
    said = found(tmp_path, GOOD.replace(old, new))
    assert any(expected in line for line in said), said


def test_the_worst_hour_is_told(tmp_path: Path) -> None:
    said = found(tmp_path, GOOD.replace("coolers: [dry, x]", "coolers: [dry]"))
    assert any("at 37 degC, wet bulb" in line for line in said), said


def test_references_of_other_rooms_are_left_to_the_run(tmp_path: Path) -> None:
    site = GOOD.replace("count: 10", "count: model(build.y.slots)")
    assert not [line for line in found(tmp_path, site) if line.startswith("error")]
