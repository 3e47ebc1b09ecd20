"""Lints of energy and mass, of data sheets and of vendors' assets."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from firsttoken.facility import model
from firsttoken.facility.assets import (
    ARRAYS,
    UNITS,
    Asset,
    check_asset,
    part_fields,
    part_text,
    read_asset,
)
from firsttoken.facility.balance_check import (
    carnot_holds,
    check_balance,
    coolant_fits,
    exchanger_possible,
    heat_carried,
    phases_carry,
)
from firsttoken.twin.findings import Findings, Place
from firsttoken.twin.library import SHIPPED, read_libraries
from firsttoken.twin.loading import load_twin
from firsttoken.twin.room import Outcome, Room

ROOM = Room("facility", model.Facility, check_balance, lambda *_: Outcome(()), lambda _: ())
HEADER = "twin: site\nstart: 2027-01-01\nhorizon: 52 week\nlibrary: [ai-hardware]\n"

RACK: dict[str, Any] = {
    "aif:core:manufacturer": "Example",
    "aif:core:weight": 1580,
    "aif:spec:namePlatePower": 142000,
    "aif:spec:numGPUs": 72,
    "aif:spec:maxPowerDcTdp": 142,
    "aif:spec:maxPowerDcEdpp1": 160,
    "aif:spec:idlePowerDefault30Pct": 43,
    "aif:spec:rampUpRateDefault": 1000,
    "aif:spec:liquidCooling": 124,
    "aif:spec:airCooling": 18,
    "aif:spec:heatCaptureRatio": 87,
    "aif:spec:requiredLiquidFlowRate": [[25, 2.0, 120], [45, 3.0, 180]],
}


def written(folder: Path, asset: dict[str, Any], name: str = "rack.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(asset, indent=1), encoding="utf-8")
    return path


def read(path: Path) -> tuple[Asset | None, Findings]:
    findings = Findings()
    asset = read_asset(path, findings)
    if asset is not None:
        check_asset(asset, findings)
    return asset, findings


def texts(findings: Findings) -> str:
    return "\n".join(str(found) for found in findings if found.severity != "note")


def site(folder: Path, text: str) -> Findings:
    (folder / "twin.yaml").write_text(f"{HEADER}facility:\n  hall:\n{text}", encoding="utf-8")
    findings = Findings()
    twin = load_twin(folder / "twin.yaml", {"facility": ROOM}, findings)
    findings.raise_if_errors()
    assert twin is not None
    check_balance(twin, "hall", findings)
    return findings


# Laws -------------------------------------------------------------------------------------------


def test_heat_is_flow_density_heat_capacity_rise() -> None:
    """IAPWS-95 at 35 degC: 994.0 kg/m3 x 4179 J/(kg K) x 10 K x 1 L/s = 41.5 kW."""
    assert heat_carried(1e-3, 10.0, 308.15) == pytest.approx(994.0 * 4179 * 10 * 1e-3, rel=1e-3)


def test_pg25_carries_about_3_percent_less_than_water() -> None:
    """ASHRAE Fundamentals ch. 31, 25 % propylene glycol at 40 degC: 1012 kg/m3, 3.96 kJ/(kg K)."""
    carried = heat_carried(1e-3, 1.0, 313.15, 0.25)
    assert carried == pytest.approx(1012 * 3960 * 1e-3, rel=0.01)


def test_carnot_at_40_degrees_of_lift() -> None:
    assert list(carnot_holds(7.1, 40.0))
    assert not list(carnot_holds(3.4, 43.0))


def test_three_phases_carry_root_three() -> None:
    """1.732 x 415 V x 100 A = 71.9 kW."""
    assert not list(phases_carry(71e3, 415, 100, 3, 1.0))
    (problem,) = phases_carry(90e3, 415, 100, 3, 1.0)
    assert "71.88 kW" in problem.why


def test_a_cold_side_does_not_leave_warmer_than_the_hot_side_enters() -> None:
    assert not list(exchanger_possible(4.0, 10.0, 10.0))
    assert list(exchanger_possible(4.0, 10.0, 15.0))
    assert list(exchanger_possible(-1.0, 10.0, 5.0))


def test_the_usual_flow_of_a_rack_is_sound() -> None:
    """OCP: 1.25 to 2.0 L/min for a kilowatt."""
    for flow in (1.25, 1.5, 2.0):
        assert not list(coolant_fits(100e3, flow * 100 / 60000, 313.15, 0.25, "heat"))
    assert list(coolant_fits(100e3, 800 / 60000, 313.15, 0.25, "heat"))


# Assets -----------------------------------------------------------------------------------------


def test_a_sound_rack_passes(tmp_path: Path) -> None:
    asset, findings = read(written(tmp_path, RACK))
    assert asset is not None
    assert not texts(findings)
    assert [found.severity for found in findings] == ["note"]


def test_498_kilowatts_through_a_rack_of_142_are_caught(tmp_path: Path) -> None:
    """6 L/s of PG25-like coolant between 45 and 65 degC carry about 498 kW."""
    points = {}
    for direction, temperature in (("supply", 45.0), ("return", 65.0)):
        points[f"tcs_{direction}"] = {
            "simready:connectionPoint:domain": "thermal",
            "simready:connectionPoint:direction": direction,
            "simready:connectionPoint:system": "TCS",
            "simready:connectionPoint:thermal:designFlowRate": 6.0,
            "simready:connectionPoint:thermal:designTemperature": temperature,
            "simready:connectionPoint:thermal:fluidType": "water",
        }
    bad = {**RACK, "connectionPoints": points}
    del bad["aif:spec:liquidCooling"], bad["aif:spec:airCooling"], bad["aif:spec:heatCaptureRatio"]
    _, findings = read(written(tmp_path, bad))
    (error,) = findings.errors
    carried = 6.0 * 0.985 * 4.183 * 20  # kW; water at 55 degC
    assert f"{carried:.0f}"[:2] in error.what
    assert "kW" in error.what
    assert "142 kW" in error.why
    assert "3.4" in error.why or "3.5" in error.why
    assert (
        error.place.line
        == json.dumps(bad, indent=1)[: json.dumps(bad, indent=1).index("connectionPoints")].count(
            "\n"
        )
        + 1
    )


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("maxPowerDcEdpp1", 120, "the peak of 120 kW is below the full load of 142 kW"),
        ("idlePowerDefault30Pct", 150, "the idle power of 150 kW is above"),
        ("airCooling", 60, "124 kW to liquid and 60 kW to air are 184 kW"),
        ("requiredLiquidFlowRate", [[45, 3.0, 120]], "3 L/s are 180 L/min, the table says 120"),
        ("requiredLiquidFlowRate", [[45, 15.0, 900]], "900 L/min warm by 2"),
        ("heatCaptureRatio", 60, "heatCaptureRatio is 60%, liquid over liquid and air 87%"),
    ],
)
def test_what_breaks_a_law_is_said_with_its_numbers(
    tmp_path: Path, attribute: str, value: object, said: str
) -> None:
    _, findings = read(written(tmp_path, {**RACK, f"aif:spec:{attribute}": value}))
    assert said in texts(findings)


def test_a_rack_becomes_a_part_in_si(tmp_path: Path) -> None:
    """Mixed units: W, kW, W/s for each GPU, L/min, degC."""
    asset, _ = read(written(tmp_path, RACK))
    assert asset is not None
    found = {name: value for name, (value, _) in part_fields(asset).items()}
    assert found["power"] == 142e3
    assert found["idle"] == 43e3
    assert found["ramp_up"] == 72e3
    assert found["flow"] == pytest.approx(180 / 60000)
    assert found["warmest"] == pytest.approx(318.15)
    assert found["liquid"] == pytest.approx(124 / 142)


def test_the_part_is_read_by_a_library(tmp_path: Path) -> None:
    asset, _ = read(written(tmp_path, RACK))
    assert asset is not None
    folder = tmp_path / "mine" / "parts"
    folder.mkdir(parents=True)
    text = part_text(asset, "vendor_rack", "Example's sheet: page 2", "2026-01-01")
    (folder / "vendor_rack.yaml").write_text(text, encoding="utf-8")
    findings = Findings()
    library = read_libraries([("mine", Place("twin.yaml", 1))], tmp_path, findings)
    assert not list(findings)
    assert "vendor_rack.power" in library.facts
    for fields in part_fields(asset):
        assert f"vendor_rack.{fields}" in library.facts


def test_csv_tables_of_other_classes(tmp_path: Path) -> None:
    """GPM and CFM: 1 US gallon is 231 cubic inches, 1 ft is 0.3048 m."""
    rows = [
        ("aif:spec:nominalCoolingCapacity", "150"),
        ("aif:spec:sensibleCapacity", "140"),
        ("aif:spec:totalCapacity", "150"),
        ("aif:spec:nominalAirVolume", "21000"),
        ("aif:spec:flowRate", "60"),
        ("aif:spec:fanMotorPowerMax", "6"),
    ]
    path = tmp_path / "crah.csv"
    path.write_text(
        "usd_attribute,value\n" + "".join(f"{a},{b}\n" for a, b in rows), encoding="utf-8"
    )
    asset, findings = read(path)
    assert asset is not None
    assert not texts(findings)
    found = {name: value for name, (value, _) in part_fields(asset).items()}
    assert found["air_flow"] == pytest.approx(21000 * 0.3048**3 / 60)
    assert found["water_flow"] == pytest.approx(60 * 3.785411784e-3 / 60)


@pytest.mark.parametrize(
    ("asset", "said"),
    [
        ({"aif:spec:upsRating": 1000, "aif:spec:outputActivePower": 1200}, "above the rating"),
        (
            {
                "aif:spec:upsRating": 1250,
                "aif:spec:electricalInputVoltage": 480,
                "aif:spec:electricalCurrent": 1000,
                "aif:spec:electricalInputPhase": 3,
            },
            "they carry 831.4 kW",
        ),
        (
            {
                "aif:spec:nominalCoolingCapacity": 1300,
                "aif:spec:nominalFlow": 0.0325,
                "aif:spec:referenceFacilityCoolantTemperature": 308.15,
                "aif:spec:referenceSecondaryCoolantTemperature": 306.15,
            },
            "an approach of -2 K",
        ),
        ({"aif:spec:nominalCoolingCapacity": 1300, "aif:spec:nominalFlow": 0.5}, "warm by 0.6"),
    ],
)
def test_other_classes_are_held_against_the_laws(
    tmp_path: Path, asset: dict[str, Any], said: str
) -> None:
    _, findings = read(written(tmp_path, asset, "unit.json"))
    assert said in texts(findings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot read bad.json"),
        ("[]", "no object of attributes"),
        ('{"aif:spec:numGPUs": 72}', "no asset of a known class"),
        ('{"aif:spec:namePlatePower": "much"}', "'much' is not a number"),
        ('{"aif:spec:namePlatePower": true}', "True is not a number"),
        ('{"aif:spec:upsRating": 1, "aif:spec:pumpFlowCurve": 3}', "not a list of lists"),
    ],
)
def test_bad_tables_are_findings(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    asset, findings = read(path)
    assert asset is None
    assert said in findings.as_text()


def test_attributes_are_those_of_the_specification(shared_data: Path) -> None:
    """Oracle: the attribute table transcribed from NVIDIA/simready-foundation @7b26642."""
    path = shared_data / "simready_aif" / "attributes.csv"
    if not path.is_file():
        pytest.skip("the attribute table is not here")
    with path.open(newline="", encoding="utf-8") as stream:
        known = {row["usd_attribute"] for row in csv.DictReader(stream)}
    tails = {name.rpartition(":")[2] for name in known}
    for name in (*UNITS, *ARRAYS):
        assert name.removeprefix("core:") in tails, name


# Sites ------------------------------------------------------------------------------------------


def test_all_parts_of_the_library_obey_the_laws(tmp_path: Path) -> None:
    """Every shipped rack, CDU, air unit, chiller and transformer in one hall."""
    kinds: dict[str, list[str]] = {
        "racks": [],
        "cdus": [],
        "air_units": [],
        "chillers": [],
        "transformers": [],
    }
    for path in sorted((SHIPPED / "ai-hardware" / "parts").glob("*.yaml")):
        name = path.stem
        for start, group in (
            (("hgx", "gb200", "gb300", "vr200", "rubin"), "racks"),
            (("cdu_",), "cdus"),
            (("air_unit",), "air_units"),
            (("chiller",), "chillers"),
            (("transformer",), "transformers"),
        ):
            if name.startswith(start):
                kinds[group].append(name)
    assert all(kinds.values())
    lines = []
    for group, names in kinds.items():
        lines.append(f"    {group}:")
        water = ", water: w" if group in ("cdus", "air_units") else ""
        lines += [f"      {name}: {{part: {name}{water}}}" for name in names]
    findings = site(tmp_path, "\n".join(lines) + "\n")
    assert not findings.as_text()


def test_a_site_is_told_its_impossible_numbers(tmp_path: Path) -> None:
    findings = site(
        tmp_path,
        """    racks:
      gb300: {part: gb300_nvl72, flow: 1800 L/min, peak: 100 kW}
      small: {part: gb300_nvl72, flow: 60 L/min}
    cdus: {row: {part: cdu_1300kw, water: w, water_flow: 900 L/min}}
    chillers: {c: {rating: 1 MW, cop: 9, lift: 40 K}}
    transformers: {t: {rating: 3 MW, no_load_loss: 4 kW, load_loss: 400 kW}}
    air_units: {a: {part: air_unit_150kw, water: w, air_flow: 1 m^3/s}}
""",
    )
    said = findings.as_text()
    for text in (
        "the peak of 100 kW is below the full load of 135 kW",
        "with a heat of 117.5 kW, at the usual 10 K they would carry 120",
        "60 L/min carry 80",
        "the facility water warms by",
        "a COP of 9 at a lift of 40 K, Carnot's is 7",
        "losses of 404 kW",
        "of air change by",
    ):
        assert text in said, text
    assert all(found.place.line for found in findings)
