"""Trips and ramps in short steps, against heat balances by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.facility.sites import compiled

from firsttoken.facility import fluids
from firsttoken.facility.cooling_kpi import transient_tables
from firsttoken.facility.cooling_values import LIQUID_AT, WATER_AT
from firsttoken.twin.findings import TwinError

LIQUID = fluids.volumetric_heat(LIQUID_AT, fluids.PG25)
WATER = fluids.volumetric_heat(WATER_AT)
HEAT = 8 * 135e3


def site(events: list[dict[str, Any]], pumps: dict[str, Any] | None = None) -> dict[str, Any]:
    """Eight racks on one CDU with 1 m3 in its loop, 20 m3 of water, chillers."""
    return {
        "racks": {
            "r": {
                "count": 8,
                "power": "135 kW",
                "liquid": 1,
                "flow": "200 L/min",
                "warmest": "45 degC",
                "hottest": "65 degC",
                "cooled_by": "c",
            }
        },
        "cdus": {
            "c": {
                "rating": "1.1 MW",
                "water": "w",
                "supply": "40 degC",
                "volume": "1 m**3",
                "pumps": {"flow": "1600 L/min", "head": "0 Pa", **(pumps or {})},
            }
        },
        "loops": {
            "w": {
                "supply": "25 degC",
                "coolers": ["x"],
                "volume": "20 m**3",
                "pumps": {"head": "0 Pa"},
            }
        },
        "chillers": {"x": {"rating": "700 kW", "count": 2}},
        "transients": {"trip": {"events": events, "duration": "15 minute", "step": "0.5 s"}},
    }


def run(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The row of `facility_transients`, and the course under `course`."""
    summary, course = transient_tables("base", compiled(folder, given))
    row: dict[str, Any] = {name: cells[0] for name, cells in summary.columns.items()}
    assert row["energy_error"] < 1e-9
    return {**row, "course": course.columns}


def test_all_pumps_of_a_cdu_stop(tmp_path: Path) -> None:
    """What stands in the racks warms by heat over heat capacity: no flow takes anything away."""
    row = run(tmp_path, site([{"at": "10 s", "of": "c", "pumps": 0}]))
    outlet = 40.0 + HEAT / (8 * 200 / 6e4 * LIQUID)
    expected = 10.0 + (65.0 - outlet) * 0.5 * LIQUID / HEAT
    assert row["throttle_after"] == pytest.approx(expected, abs=1.0)
    assert row["hottest_supply"] == pytest.approx(40.0, abs=0.1)


def test_pumps_that_coast_down_leave_more_time(tmp_path: Path) -> None:
    at_once = run(tmp_path, site([{"of": "c", "pumps": 0}]))
    slowly = run(tmp_path, site([{"of": "c", "pumps": 0, "over": "20 s"}]))
    more = slowly["throttle_after"] - at_once["throttle_after"]
    assert 5.0 < more < 20.0


def test_a_spare_pump_carries_on(tmp_path: Path) -> None:
    pumps = {"head": "200 kPa", "count": 3, "needed": 2}
    row = run(tmp_path, site([{"of": "c", "pumps": 0.6667}], pumps))
    assert np.isnan(row["throttle_after"])
    assert row["hottest_supply"] == pytest.approx(40.0, abs=0.01)


def test_facility_pumps_stop(tmp_path: Path) -> None:
    """The racks' loop circulates and warms: two mixed volumes S of 0.5 m3 with a flow m between.

    With d the difference of both, S dT/dt = m d and S dd/dt = Q - 2 m d, d(0) = Q / m.
    """
    row = run(tmp_path, site([{"of": "w", "pumps": 0}]))
    flow, store = 8 * 200 / 6e4 * LIQUID, 0.5 * LIQUID
    t = np.arange(0.0, 60.0, 0.01)
    rise = HEAT / store * (t / 2 + store / (4 * flow) * -np.expm1(-2 * flow * t / store))
    expected = t[np.argmax(rise > 5.0)]
    assert row["throttle_after"] == pytest.approx(expected, abs=0.8)


def test_chillers_stop_and_the_tank_bridges(tmp_path: Path) -> None:
    """20 m3 of water take the heat until the racks' supply follows them."""
    given = site([{"of": "x", "units": 0}])
    given["transients"]["trip"].update(duration="1 hour", step="2 s")
    row = run(tmp_path, given)
    given["loops"]["w"]["volume"] = "40 m**3"
    more = run(tmp_path, given)
    # twice the tank: 20 m3 more that warm from 25 degC to what stood in it at the end
    first, second = row["throttle_after"], more["throttle_after"]
    supply = 45.0 - 4.0  # about: the racks' limit less the CDU's approach
    extra = 20.0 * WATER * (supply - 25.0) / HEAT
    assert second - first == pytest.approx(extra, rel=0.1)
    assert first == pytest.approx(extra, rel=0.15)


def test_a_load_that_ramps(tmp_path: Path) -> None:
    given = site([{"of": "r", "load": 1, "over": "60 s", "at": "30 s"}])
    given["transients"]["trip"]["load"] = 0.1
    row = run(tmp_path, given)
    outlets = np.array(row["course"]["outlet"])
    times = np.array(row["course"]["time"])
    assert np.isnan(row["throttle_after"])
    assert row["last_outlet"] == pytest.approx(40.0 + HEAT / (8 * 200 / 6e4 * LIQUID), abs=0.05)
    assert outlets[times < 30.0] == pytest.approx(outlets[0], abs=1e-3)


def test_racks_that_leave(tmp_path: Path) -> None:
    row = run(tmp_path, site([{"of": "r", "units": 0.5}]))
    assert row["last_supply"] == pytest.approx(40.0, abs=1e-3)


def test_no_transients_no_tables(tmp_path: Path) -> None:
    given = site([])
    del given["transients"]
    assert transient_tables("base", compiled(tmp_path, given)) == []


def test_an_event_of_nothing_known(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="'z' is not declared"):
        run(tmp_path, site([{"of": "z", "pumps": 0}]))
