"""Weather files: EnergyPlus weather (EPW) and CSV tables, as hours of dry bulb, wet bulb, pressure.

EPW: 8 lines of header, then a row an hour; hour 1 of a day ends at 1:00 (EnergyPlus, Auxiliary
Programs, Weather Converter).  Missing are dry bulb and dew point 99.9, humidity 999 and pressure
999999.  CSV: a row a moment, columns named as by Open-Meteo, or `dry_bulb`, `relative_humidity`,
`dew_point`, `wet_bulb`, `pressure`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.time_files import (
    Column,
    TimeFile,
    find_missing,
    read_text,
    read_time_file,
    report,
)
from firsttoken.twin.findings import Finding, Findings, Place

Floats = NDArray[np.float64]

HOUR: Final = 3600.0
_DATA: Final = 8
"""Lines before the data of an EPW."""
_CELLS: Final = {"dry_bulb": 6, "dew_point": 7, "relative_humidity": 8, "pressure": 9}
_MISSING: Final = {"dry_bulb": 99.9, "dew_point": 99.9, "relative_humidity": 999.0}
_RANGE: Final = {  # as in EnergyPlus, with room for records
    "dry_bulb": (-90.0, 70.0),
    "dew_point": (-90.0, 70.0),
    "relative_humidity": (0.0, 110.0),
    "pressure": (31000.0, 120000.0),
}
COLUMNS: Final = {
    "dry_bulb": Column(
        ("dry_bulb", "temperature_2m", "temperature", "dry_bulb_temperature"),
        *("K", "degC", 183.15, 343.15),
    ),
    "wet_bulb": Column(
        ("wet_bulb", "wet_bulb_temperature_2m", "wet_bulb_temperature"),
        *("K", "degC", 183.15, 343.15),
    ),
    "dew_point": Column(
        ("dew_point", "dew_point_2m", "dewpoint", "dewpoint_2m"), "K", "degC", 183.15, 343.15
    ),
    "relative_humidity": Column(
        ("relative_humidity", "relative_humidity_2m", "humidity"), "", "percent", 0.0, 1.1
    ),
    "pressure": Column(("pressure", "surface_pressure"), "Pa", "hPa", 31000.0, 120000.0),
}


@dataclass(frozen=True)
class WeatherFile:
    """Weather at full hours.

    Attributes
    ----------
    begin : first hour in seconds from 1970-01-01; of a typical year the first of January.
    values : dry bulb K, wet bulb K, pressure Pa, NaN where missing, shape [3, H].
    lines : line of the file of each hour, shape [H].
    typical : whether it is one typical year, not that of its dates.
    """

    begin: float
    values: Floats
    lines: NDArray[np.int64]
    typical: bool


def read_weather_file(
    path: Path,
    start: float,
    altitude: float | None,
    utc_offset: float | None,
    findings: Findings,
    at: str,
) -> WeatherFile | None:
    """Read one file, `.epw` or `.csv`, plain or `.xz`; None, and findings, if it cannot be."""
    kind = Path(path.stem).suffix if path.suffix == ".xz" else path.suffix
    if kind.casefold() == ".epw":
        return _read_epw(path, altitude, findings, at)
    if kind.casefold() == ".csv":
        return _read_csv(path, start, altitude, utc_offset, findings, at)
    what = f"{path.name} is no weather file"
    report(findings, path, 0, what, "", "name an .epw or a .csv, plain or .xz", at, "weather")
    return None


def _read_epw(
    path: Path, altitude: float | None, findings: Findings, at: str
) -> WeatherFile | None:
    text = read_text(path, findings, at)
    if text is None:
        return None
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines or not lines[0].startswith("LOCATION"):
        report(findings, path, 1, f"{path.name} is no EPW", "it begins with LOCATION", "", at)
        return None
    rows = [line.split(",") for line in lines[_DATA:]]
    if len(rows) not in (8760, 8784):
        what = f"{path.name} has {len(rows)} hours"
        why = "a weather year has 8760, or 8784 in a leap year"
        report(findings, path, len(lines), what, why, "", at, "weather")
        return None
    cells = {name: _epw_column(path, rows, name, findings, at) for name in _CELLS}
    if any(values is None for values in cells.values()):
        return None
    found = {name: values for name, values in cells.items() if values is not None}
    height = altitude if altitude is not None else _number(lines[0].split(","), 9)
    values = _moist(found, height)
    # The value of the hour that ends at midnight stands for the first instant of the next day.
    values = np.roll(values, 1, axis=1)
    numbers = np.roll(np.arange(_DATA + 1, _DATA + 1 + len(rows)), 1)
    return WeatherFile(0.0, values, numbers, True)


def _number(cells: list[str], position: int) -> float:
    try:
        return float(cells[position])
    except (IndexError, ValueError):
        return 0.0


def _epw_column(
    path: Path, rows: list[list[str]], name: str, findings: Findings, at: str
) -> Floats | None:
    """A column of an EPW in SI (temperatures K, humidity as a share), NaN where missing."""
    position = _CELLS[name]
    try:
        numbers = np.array([row[position] for row in rows], dtype=np.float64)
    except (IndexError, ValueError):
        for line, row in enumerate(rows, _DATA + 1):
            try:
                float(row[position])
            except (IndexError, ValueError):
                what = f"{name} is no number"
                report(findings, path, line, what, "", f"it is cell {position + 1} of a row", at)
                return None
        return None  # pragma: no cover - one of the rows is bad
    missing = numbers == _MISSING[name] if name in _MISSING else numbers >= 999999.0
    numbers[missing] = np.nan
    low, high = _RANGE[name]
    wrong = np.flatnonzero((numbers < low) | (numbers > high))
    for row in wrong[:3]:
        what = f"{name} of {numbers[row]:g} is out of range"
        why = f"sound are {low:g} to {high:g}"
        report(findings, path, int(row) + _DATA + 1, what, why, "", at, "weather")
    if wrong.size:
        return None
    if name in ("dry_bulb", "dew_point"):
        return numbers + 273.15
    return numbers / 100.0 if name == "relative_humidity" else numbers


def _read_csv(
    path: Path,
    start: float,
    altitude: float | None,
    utc_offset: float | None,
    findings: Findings,
    at: str,
) -> WeatherFile | None:
    found = read_time_file(path, COLUMNS, start, utc_offset, findings, at)
    if found is None or find_missing(found, ("dry_bulb",), path, findings, at):
        return None
    if not {"wet_bulb", "dew_point", "relative_humidity"} & set(found.columns):
        what = f"{path.name} does not say how moist the air is"
        hint = "add a column relative_humidity, dew_point or wet_bulb"
        report(findings, path, 1, what, "", hint, at, "weather")
        return None
    again = np.flatnonzero(np.diff(found.time) == 0)
    if again.size:
        what = f"{path.name} has {again.size} of its times twice"
        why = "the first of each counts"
        hint = "write standard time all year, or drop the rows that repeat"
        place = Place(str(path), int(found.lines[again[0] + 1]))
        findings.add(Finding(what, why, hint, at, "weather", "warning", place))
    return _hourly(found, altitude or 0.0)


def _hourly(found: TimeFile, altitude: float) -> WeatherFile:
    """The table at full hours: between two of its moments by straight lines.

    Hours in gaps of more than two hours, or beside missing values, are missing.
    """
    first = np.ceil(found.time[0] / HOUR) * HOUR
    count = int((found.time[-1] - first) // HOUR) + 1
    hours = first + HOUR * np.arange(max(count, 1))
    after = np.clip(np.searchsorted(found.time, hours), 0, len(found.time) - 1)
    before = np.maximum(after - 1, 0)
    exact = found.time[after] == hours
    wide = (found.time[after] - found.time[before] > 2.0 * HOUR) & ~exact
    columns: dict[str, Floats] = {}
    for name, values in found.columns.items():
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (hours - found.time[before]) / (found.time[after] - found.time[before])
        line = values[before] + share * (values[after] - values[before])
        columns[name] = np.where(exact, values[after], np.where(wide, np.nan, line))
    return WeatherFile(float(first), _moist(columns, altitude), found.lines[after], False)


def _moist(columns: dict[str, Floats], altitude: float) -> Floats:
    """Dry bulb, wet bulb and pressure [3, H] from what a file has of the air."""
    dry = columns["dry_bulb"]
    standard = pressure_at(altitude)
    pressure = columns.get("pressure", np.full(len(dry), standard))
    if np.isnan(pressure).all():
        pressure = np.full(len(dry), standard)
    known = np.where(np.isnan(pressure), standard, pressure)
    wet: Floats = np.full(len(dry), np.nan)
    if "wet_bulb" in columns:
        wet = np.minimum(columns["wet_bulb"], dry)
    for name in ("relative_humidity", "dew_point"):
        if name in columns:
            other = _wet_bulbs(name, columns[name], dry, known)
            wet = np.where(np.isnan(wet), other, wet)
    return np.stack([dry, wet, pressure])


def _wet_bulbs(name: str, values: Floats, dry: Floats, pressure: Floats) -> Floats:
    """Wet bulb from relative humidity or dew point; NaN where one is missing."""
    from firsttoken.facility.air import saturation_pressure, wet_bulbs

    known = ~np.isnan(dry + values)
    wet: Floats = np.full(len(dry), np.nan)
    humidity = np.clip(values[known], 0.0, 1.0)
    if name == "dew_point":
        pairs = zip(np.minimum(values, dry)[known], dry[known], strict=True)
        ratios = [saturation_pressure(dew) / saturation_pressure(air) for dew, air in pairs]
        humidity = np.array(ratios)
    found = np.empty(len(humidity))
    wet_bulbs(dry[known], humidity, pressure[known], found)
    wet[known] = found
    return wet


def pressure_at(altitude: float) -> float:
    """Pressure of the standard atmosphere, Pa (ISO 2533: lapse rate 6.5 K/km)."""
    return float(101325.0 * (1.0 - 2.25577e-5 * altitude) ** 5.2559)
