"""Liquids and moist air against CoolProp and PsychroLib (frozen numbers, see SOURCE)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from firsttoken.facility import air, fluids

KNOWN = Path(__file__).parents[1] / "known_answers"
LIQUIDS = json.loads((KNOWN / "facility_liquids" / "expected.json").read_text())["rows"]
AIR = json.loads((KNOWN / "facility_moist_air" / "expected.json").read_text())["rows"]


@pytest.mark.parametrize(
    ("name", "water", "mixture"),
    [
        ("density", 1e-5, 5e-5),
        ("heat_capacity", 5e-5, 2e-4),
        ("viscosity", 3e-4, 0.04),
        ("conductivity", 3e-4, 6e-4),
    ],
)
def test_liquids_have_the_stated_error(name: str, water: float, mixture: float) -> None:
    for row in LIQUIDS:
        found = getattr(fluids, name)(row["temperature"], row["glycol"])
        assert found == pytest.approx(row[name], rel=mixture if row["glycol"] else water)


def test_viscosity_of_pg25_is_within_one_per_cent() -> None:
    rows = [row for row in LIQUIDS if row["glycol"] == 0.25]
    for row in rows:
        assert fluids.viscosity(row["temperature"], 0.25) == pytest.approx(
            row["viscosity"], rel=9e-3
        )


def test_little_glycol_lies_between_water_and_the_mixtures() -> None:
    at = [fluids.density(300.0, share) for share in (0.0, 0.05, 0.1, 0.2)]
    assert at == sorted(at)
    assert fluids.density(300.0, 0.0999999) == pytest.approx(fluids.density(300.0, 0.1), rel=1e-6)


@pytest.mark.parametrize("row", AIR, ids=lambda r: f"{r['dry_bulb']:.0f}-{r['humidity']}")
def test_moist_air_agrees_with_psychrolib(row: dict[str, float]) -> None:
    t, p = row["dry_bulb"], row["pressure"]
    assert air.saturation_pressure(t) == pytest.approx(row["saturation_pressure"], rel=1e-4)
    ratio = air.humidity_ratio(row["humidity"] * air.saturation_pressure(t), p)
    assert ratio == pytest.approx(row["ratio"], rel=2e-4)
    assert air.wet_bulb_of_humidity(t, row["humidity"], p) == pytest.approx(
        row["wet_bulb"], abs=0.01
    )
    assert air.dew_point_of(ratio, p) == pytest.approx(row["dew_point"], abs=0.01)
    assert air.enthalpy(t, ratio) == pytest.approx(row["enthalpy"], rel=2e-4, abs=5.0)
    assert air.air_density(t, ratio, p) == pytest.approx(row["density"], rel=2e-4)


def test_wet_bulb_is_that_of_the_real_gas_within_a_few_hundredths_of_a_kelvin() -> None:
    for row in AIR:
        found = air.wet_bulb_of_humidity(row["dry_bulb"], row["humidity"], row["pressure"])
        assert found == pytest.approx(row["wet_bulb_real_gas"], abs=0.03)


def test_wet_bulb_from_dew_point_and_from_humidity_are_the_same() -> None:
    for row in AIR:
        t, p = row["dry_bulb"], row["pressure"]
        by_dew = air.wet_bulb_of_dew_point(t, row["dew_point"], p)
        assert by_dew == pytest.approx(row["wet_bulb"], abs=0.01)


def test_saturated_air_has_its_temperature_as_wet_bulb() -> None:
    assert air.wet_bulb_of_humidity(300.0, 1.0, 101325.0) == pytest.approx(300.0, abs=1e-5)


def test_many_wet_bulbs() -> None:
    columns = {key: np.array([row[key] for row in AIR]) for key in AIR[0]}
    out = np.empty(len(AIR))
    air.wet_bulbs(columns["dry_bulb"], columns["humidity"], columns["pressure"], out)
    np.testing.assert_allclose(out, columns["wet_bulb"], atol=0.01)
