"""Vendors' assets of AI factories: attribute tables of SimReady AIF, as parts of a library.

SimReady's AIF specification (NVIDIA simready-foundation 0.2) names attributes of racks, CDUs, room
air units and UPS, `aif:spec:...`, in mixed units: kW and W, degC and K, L/s and gallons a minute.
A table is a CSV file with the columns `usd_attribute` and `value`, or a JSON object of attributes,
with the connection points under `connectionPoints`; arrays are JSON lists.  `read_asset` turns it
into SI, `check_asset` holds it against the laws of energy and mass, and `part_text` writes the part
that a twin names with `part:`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from firsttoken.facility.balance_check import (
    LITRE_A_MINUTE,
    Problem,
    coolant_fits,
    exchanger_possible,
    heat_agrees,
    heat_carried,
    kilowatts,
    parts_add_up,
    phases_carry,
    powers_in_order,
)
from firsttoken.twin.findings import Finding, Findings, Place
from firsttoken.twin.tables import read_csv

GPM: Final = 231 * 0.0254**3 / 60
"""US gallon a minute in m3/s."""
CFM: Final = 0.3048**3 / 60
"""Cubic foot a minute in m3/s."""
KILO: Final = 1e3
CELSIUS: Final = 273.15

UNITS: Final[Mapping[str, tuple[float, float]]] = {
    "namePlatePower": (1.0, 0.0),
    "numGPUs": (1.0, 0.0),
    "maxPowerDcEdpp2": (KILO, 0.0),
    "maxPowerDcEdpp1": (KILO, 0.0),
    "maxPowerDcTdp": (KILO, 0.0),
    "maxPowerAcEdpp1": (KILO, 0.0),
    "idlePowerDefault30Pct": (KILO, 0.0),
    "idlePowerSmoothing90Pct": (KILO, 0.0),
    "rampUpRateDefault": (1.0, 0.0),
    "rampDownRateDefault": (1.0, 0.0),
    "liquidCooling": (KILO, 0.0),
    "airCooling": (KILO, 0.0),
    "heatCaptureRatio": (0.01, 0.0),
    "nominalCoolingCapacity": (KILO, 0.0),
    "maximumCoolingCapacity": (KILO, 0.0),
    "totalHeatDissipated": (KILO, 0.0),
    "referenceFacilityCoolantTemperature": (1.0, 0.0),
    "referenceSecondaryCoolantTemperature": (1.0, 0.0),
    "referenceTechnologyCoolantFlowRate": (1 / LITRE_A_MINUTE, 0.0),
    "nominalFlow": (1.0, 0.0),
    "maximumFlow": (1.0, 0.0),
    "primaryCircuitVolume": (1e-3, 0.0),
    "secondaryCircuitVolume": (1e-3, 0.0),
    "powerRating": (KILO, 0.0),
    "nominalVoltage": (1.0, 0.0),
    "current": (1.0, 0.0),
    "powerFactor": (1.0, 0.0),
    "totalCapacity": (KILO, 0.0),
    "sensibleCapacity": (KILO, 0.0),
    "flowRate": (GPM, 0.0),
    "nominalAirVolume": (CFM, 0.0),
    "fanMotorPowerMax": (KILO, 0.0),
    "electricalNominalVoltage": (1.0, 0.0),
    "electricalCurrent": (1.0, 0.0),
    "electricalPhase": (1.0, 0.0),
    "electricalPowerRating": (KILO, 0.0),
    "upsRating": (KILO, 0.0),
    "outputActivePower": (KILO, 0.0),
    "electricalInputVoltage": (1.0, 0.0),
    "electricalInputPhase": (1.0, 0.0),
    "inputPowerFactor": (1.0, 0.0),
    "core:weight": (1.0, 0.0),
    "core:width": (1e-3, 0.0),
    "core:depth": (1e-3, 0.0),
    "designFlowRate": (1e-3, 0.0),
    "designTemperature": (1.0, CELSIUS),
    "ratedPower": (1.0, 0.0),
    "maxCurrent": (1.0, 0.0),
    "phases": (1.0, 0.0),
}
"""SI = number x factor + offset, of the attributes that are read."""
ARRAYS: Final = ("requiredLiquidFlowRate", "requiredAirFlowRate", "pumpFlowCurve")
CLASSES: Final = {
    "namePlatePower": "rack",
    "maxPowerDcTdp": "rack",
    "nominalFlow": "cdu",
    "secondaryCircuitVolume": "cdu",
    "nominalAirVolume": "air_unit",
    "sensibleCapacity": "air_unit",
    "upsRating": "ups",
}
"""Attributes that only one class of equipment has."""


@dataclass(frozen=True)
class Asset:
    """One asset in SI units.

    Attributes
    ----------
    kind : `rack`, `cdu`, `air_unit` or `ups`.
    numbers : by attribute without `aif:spec:`; `core:` stays.
    arrays : rows as written.
    points : connection points: numbers in SI, and the texts `domain`, `direction`, `system`,
        `fluidType`.
    places : where each attribute stands.
    """

    name: str
    kind: str
    file: str
    numbers: Mapping[str, float]
    arrays: Mapping[str, Sequence[Sequence[float]]]
    points: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)

    def place(self, attribute: str) -> Place:
        """Where an attribute stands."""
        return self.places.get(attribute, Place(self.file, 1))


def read_asset(path: Path, findings: Findings) -> Asset | None:
    """Read one attribute table, `.csv` or `.json`; None, and findings, if it cannot be read."""
    before = len(findings.errors)
    rows = _json(path, findings) if path.suffix == ".json" else _csv(path, findings)
    numbers: dict[str, float] = {}
    arrays: dict[str, list[list[float]]] = {}
    points: dict[str, dict[str, Any]] = {}
    places: dict[str, Place] = {}
    unused: list[str] = []
    for attribute, raw, place in rows:
        if attribute == "connectionPoints":
            points = _points(raw, place, findings)
            places[attribute] = place
            continue
        name = attribute.removeprefix("aif:").removeprefix("spec:")
        places[name] = place
        if name in ARRAYS:
            arrays[name] = _array(attribute, raw, place, findings)
        elif name in UNITS:
            number = _number(attribute, raw, place, findings)
            if number is not None:
                numbers[name] = _si(name, number)
        else:
            unused.append(name)
    if len(findings.errors) > before:
        return None
    if unused:
        what = f"{len(unused)} attributes are not used: {', '.join(unused)}"
        place = Place(str(path), 1)
        findings.add(Finding(what, "", "", "", "asset-unused", "note", place))
    kinds = [kind for name, kind in CLASSES.items() if name in numbers]
    if not kinds:
        what = f"{path.name} is no asset of a known class"
        why = "it has none of " + ", ".join(CLASSES)
        findings.add(Finding(what, why, "", code="asset", place=Place(str(path), 1)))
        return None
    return Asset(path.stem, kinds[0], str(path), numbers, arrays, points, places)


def _si(name: str, number: float) -> float:
    factor, offset = UNITS[name]
    return number * factor + offset


def _csv(path: Path, findings: Findings) -> list[tuple[str, Any, Place]]:
    table = read_csv(path, findings)
    if table is None:
        return []
    missing = [name for name in ("usd_attribute", "value") if name not in table.columns]
    if missing:
        what = f"column {', '.join(missing)} is missing"
        findings.add(Finding(what, "", "", code="table-column", place=table.place(-1)))
        return []
    cells = zip(table.columns["usd_attribute"], table.columns["value"], strict=True)
    return [
        (str(name), value, table.place(row))
        for row, (name, value) in enumerate(cells)
        if name is not None and value is not None
    ]


def _json(path: Path, findings: Findings) -> list[tuple[str, Any, Place]]:
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        line = getattr(error, "lineno", 0)
        what = f"cannot read {path.name}: {error}"
        findings.add(Finding(what, "", "", code="file", place=Place(str(path), line)))
        return []
    if not isinstance(data, dict):
        what = f"{path.name} is no object of attributes"
        findings.add(Finding(what, "", "", code="asset", place=Place(str(path), 1)))
        return []
    lines = text.splitlines()

    def place(name: str) -> Place:
        found = (n for n, line in enumerate(lines, 1) if f'"{name}"' in line)
        return Place(str(path), next(found, 1))

    return [(str(name), value, place(str(name))) for name, value in data.items()]


def _number(attribute: str, raw: Any, place: Place, findings: Findings) -> float | None:
    try:
        number = math.nan if isinstance(raw, bool) else float(raw)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        what = f"{attribute}: {raw!r} is not a number"
        findings.add(Finding(what, "", "", code="asset", place=place))
        return None
    return number


def _array(attribute: str, raw: Any, place: Place, findings: Findings) -> list[list[float]]:
    try:
        rows = json.loads(raw) if isinstance(raw, str) else raw
        return [[float(cell) for cell in row] for row in rows]
    except (TypeError, ValueError):
        what = f"{attribute}: {raw!r} is not a list of lists of numbers"
        hint = "write [[25, 1.5, 90], [45, 2.9, 175]]"
        findings.add(Finding(what, "", hint, code="asset", place=place))
        return []


def _points(raw: Any, place: Place, findings: Findings) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, given in (raw if isinstance(raw, dict) else {}).items():
        point: dict[str, Any] = {}
        for attribute, value in (given if isinstance(given, dict) else {}).items():
            short = str(attribute).rpartition(":")[2]
            if short in UNITS:
                number = _number(f"{name}: {attribute}", value, place, findings)
                if number is not None:
                    point[short] = _si(short, number)
            else:
                point[short] = value
        found[str(name)] = point
    return found


# The laws ---------------------------------------------------------------------------------------


def check_asset(asset: Asset, findings: Findings) -> None:
    """Add what breaks a law of energy or mass in an asset."""
    check = {"rack": _check_rack, "cdu": _check_cdu, "air_unit": _check_air, "ups": _check_ups}
    for problem, attribute in [*check[asset.kind](asset), *_check_points(asset)]:
        what = f"{asset.name}: {problem.what}"
        place = asset.place(attribute)
        findings.add(
            Finding(what, problem.why, problem.hint, "", "balance", problem.severity, place)
        )


Found = Iterator[tuple[Problem, str]]


def _check_rack(asset: Asset) -> Found:
    n = asset.numbers
    power = rack_power(asset)
    peaks = [n[key] for key in ("maxPowerDcEdpp1", "maxPowerDcEdpp2") if key in n]
    tdp = n.get("maxPowerDcTdp")
    for peak in peaks:
        for problem in powers_in_order(peak, tdp, None):
            yield problem, "maxPowerDcEdpp1"
    for problem in powers_in_order(None, tdp, n.get("idlePowerDefault30Pct")):
        yield problem, "idlePowerDefault30Pct"
    if "liquidCooling" in n and "airCooling" in n and power is not None:
        for problem in parts_add_up(n["liquidCooling"], n["airCooling"], power):
            yield problem, "liquidCooling"
        share = n["liquidCooling"] / (n["liquidCooling"] + n["airCooling"])
        stated = n.get("heatCaptureRatio", share)
        if abs(stated - share) > 0.05:
            what = f"heatCaptureRatio is {stated:.0%}, liquid over liquid and air {share:.0%}"
            yield Problem(what, "they state one thing twice", "", "liquid"), "heatCaptureRatio"
    for row in asset.arrays.get("requiredLiquidFlowRate", ()):
        if len(row) < 3 or power is None:
            continue
        inlet, seconds, minutes = row[:3]
        if abs(seconds * 60 - minutes) > 0.02 * minutes:
            what = f"{seconds:g} L/s are {seconds * 60:.4g} L/min, the table says {minutes:g}"
            problem = Problem(what, "columns 2 and 3 are the same flow", "", "flow", "error")
            yield problem, "requiredLiquidFlowRate"
        heat = power * liquid_share(asset)
        flow = minutes / LITRE_A_MINUTE
        for problem in coolant_fits(heat, flow, inlet + CELSIUS + 5, 0.25, "a heat"):
            yield problem, "requiredLiquidFlowRate"


def _check_cdu(asset: Asset) -> Found:
    n = asset.numbers
    rating, flow = n.get("nominalCoolingCapacity"), n.get("nominalFlow")
    if rating and flow:
        for problem in coolant_fits(rating, flow, 313.15, 0.25, "a duty"):
            yield problem, "nominalFlow"
    cold = n.get("referenceFacilityCoolantTemperature")
    warm = n.get("referenceSecondaryCoolantTemperature")
    if cold is not None and warm is not None:
        rise = rating / heat_carried(flow, 1.0, 313.15, 0.25) if rating and flow else 10.0
        for problem in exchanger_possible(warm - cold, rise, 0.0):
            yield problem, "referenceSecondaryCoolantTemperature"
    yield from _nameplate(asset, "powerRating", "nominalVoltage", "current", 3.0, "powerFactor")


def _check_air(asset: Asset) -> Found:
    n = asset.numbers
    total, sensible = n.get("totalCapacity"), n.get("sensibleCapacity")
    if total is not None and sensible is not None and sensible > total * (1 + 1e-9):
        what = f"the sensible capacity of {kilowatts(sensible)} is above the total of "
        yield Problem(what + kilowatts(total), "", "", "rating", "error"), "sensibleCapacity"
    duty, air = n.get("nominalCoolingCapacity", sensible), n.get("nominalAirVolume")
    if duty and air:
        rise = duty / (1.19 * 1006.0 * air)
        if not 4.0 <= rise <= 25.0:
            what = f"{air / CFM:.4g} CFM change by {rise:.3g} K with {kilowatts(duty)}"
            why = "room units are made for 4 to 25 K"
            yield Problem(what, why, "are they CFM?", "air_flow"), "nominalAirVolume"
    water = n.get("flowRate")
    if duty and water:
        for problem in coolant_fits(duty, water, 293.15, 0.0, "a duty"):
            yield problem, "flowRate"
    phases = n.get("electricalPhase", 3.0)
    keys = ("electricalPowerRating", "electricalNominalVoltage", "electricalCurrent")
    yield from _nameplate(asset, *keys, phases, "")


def _check_ups(asset: Asset) -> Found:
    n = asset.numbers
    rating, active = n.get("upsRating"), n.get("outputActivePower")
    if rating is not None and active is not None and active > rating * (1 + 1e-9):
        what = f"the output of {kilowatts(active)} is above the rating of {kilowatts(rating)}"
        yield Problem(what, "", "", "rating", "error"), "outputActivePower"
    phases = n.get("electricalInputPhase", 3.0)
    keys = ("upsRating", "electricalInputVoltage", "electricalCurrent")
    yield from _nameplate(asset, *keys, phases, "inputPowerFactor")


def _nameplate(
    asset: Asset, power: str, voltage: str, current: str, phases: float, factor: str
) -> Found:
    n = asset.numbers
    if all(key in n for key in (power, voltage, current)):
        share = n.get(factor, 1.0) if factor else 1.0
        for problem in phases_carry(n[power], n[voltage], n[current], phases, share):
            yield problem, power


def _check_points(asset: Asset) -> Found:
    """Heat between thermal points of one system; power of electrical points."""
    systems: dict[str, dict[str, Mapping[str, Any]]] = {}
    for point in asset.points.values():
        if point.get("domain") == "thermal":
            pair = systems.setdefault(str(point.get("system", "")), {})
            pair[str(point.get("direction", ""))] = point
        elif point.get("domain") == "electrical":
            needed = ("ratedPower", "nominalVoltage", "maxCurrent")
            if all(key in point for key in needed):
                power, voltage, current = (float(point[key]) for key in needed)
                phases, factor = point.get("phases", 3.0), point.get("powerFactor", 1.0)
                for problem in phases_carry(power, voltage, current, phases, factor):
                    yield problem, "connectionPoints"
    stated = stated_heat(asset)
    for system, pair in systems.items():
        supply, back = pair.get("supply", {}), pair.get("return", {})
        flow = supply.get("designFlowRate", back.get("designFlowRate"))
        warm, hot = supply.get("designTemperature"), back.get("designTemperature")
        if flow is None or warm is None or hot is None or stated is None:
            continue
        glycol = _glycol(str(supply.get("fluidType", "")))
        of = f"the heat of the {asset.kind.replace('_', ' ')}"
        for problem in heat_agrees(flow, warm, hot, stated, glycol, f"{of} ({system})"):
            yield problem, "connectionPoints"


def _glycol(fluid: str) -> float:
    tail = fluid.removeprefix("glycol_water_")
    return float(tail) / 100 if tail.isdigit() else 0.0


def rack_power(asset: Asset) -> float | None:
    """Full load of a rack, W: its TDP, else its nameplate."""
    n = asset.numbers
    return n.get("maxPowerDcTdp", n.get("namePlatePower"))


def liquid_share(asset: Asset) -> float:
    """Share of a rack's heat that goes to the liquid; 1 where nothing says so."""
    n = asset.numbers
    if "liquidCooling" in n and "airCooling" in n:
        return n["liquidCooling"] / (n["liquidCooling"] + n["airCooling"])
    return n.get("heatCaptureRatio", 1.0)


def stated_heat(asset: Asset) -> float | None:
    """Heat that an asset's coolant carries by its own statement, W."""
    n = asset.numbers
    if asset.kind == "rack":
        power = rack_power(asset)
        return n.get("liquidCooling", power * liquid_share(asset) if power else None)
    return n.get("nominalCoolingCapacity", n.get("sensibleCapacity"))


# Parts ------------------------------------------------------------------------------------------


def part_fields(asset: Asset) -> dict[str, tuple[float, str]]:
    """Fields of the site's classes that an asset gives: value and unit, by name."""
    n = asset.numbers
    found: dict[str, tuple[float | None, str]] = {"weight": (n.get("core:weight"), "kg")}
    if asset.kind == "rack":
        gpus, power = n.get("numGPUs"), rack_power(asset)
        flows = [row for row in asset.arrays.get("requiredLiquidFlowRate", ()) if len(row) > 2]
        warmest = max(flows, key=lambda row: row[0], default=None)
        found |= {
            "gpus": (gpus, "gpu"),
            "power": (power, "W"),
            "peak": (n.get("maxPowerAcEdpp1", n.get("maxPowerDcEdpp1")), "W"),
            "idle": (n.get("idlePowerDefault30Pct"), "W"),
            "liquid": (liquid_share(asset), ""),
            "flow": (warmest[2] / LITRE_A_MINUTE if warmest else None, "m^3/s"),
            "warmest": (warmest[0] + CELSIUS if warmest else None, "K"),
            "ramp_up": (_times(n.get("rampUpRateDefault"), gpus), "W/s"),
            "ramp_down": (_times(n.get("rampDownRateDefault"), gpus), "W/s"),
        }
    elif asset.kind == "cdu":
        cold = n.get("referenceFacilityCoolantTemperature")
        warm = n.get("referenceSecondaryCoolantTemperature")
        approach = warm - cold if warm is not None and cold is not None else None
        curve = asset.arrays.get("pumpFlowCurve", ())
        flow = n.get("nominalFlow")
        near = min(curve, key=lambda row: abs(row[0] - (flow or 0.0)), default=None)
        found |= {
            "rating": (n.get("nominalCoolingCapacity"), "W"),
            "approach": (approach, "delta_degC"),
            "pumps.flow": (flow, "m^3/s"),
            "pumps.head": (near[1] * KILO if near else None, "Pa"),
            "volume": (n.get("secondaryCircuitVolume"), "m^3"),
        }
    elif asset.kind == "air_unit":
        found |= {
            "rating": (n.get("nominalCoolingCapacity", n.get("sensibleCapacity")), "W"),
            "air_flow": (n.get("nominalAirVolume"), "m^3/s"),
            "water_flow": (n.get("flowRate"), "m^3/s"),
            "fan_power": (n.get("fanMotorPowerMax"), "W"),
        }
    else:
        found["rating"] = (n.get("outputActivePower", n.get("upsRating")), "W")
    return {key: (value, unit) for key, (value, unit) in found.items() if value is not None}


def _times(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a * b


def part_text(asset: Asset, part: str, source: str, known_from: str) -> str:
    """The part of an asset as a library's YAML file.

    Parameters
    ----------
    part : id, in small letters.
    source : document that the numbers come from.
    known_from : day from which they were known.
    """
    lines = [
        f"part: {part}",
        f"description: Asset {asset.name}",
        f"kind: {'rack' if asset.kind == 'rack' else 'equipment'}",
        f"source: {json.dumps(source)}",
        "confidence: B",
        f"known_from: {known_from}",
        "attributes:",
    ]
    for name, (value, unit) in part_fields(asset).items():
        lines.append(f"  {name}: {{value: {value:.9g}, unit: {json.dumps(unit)}}}")
    return "\n".join(lines) + "\n"
