"""Weather of a site: hourly temperatures of typical or measured years.

A climate is a number of weather years.  Replication r begins with year r by turns, and goes on with
the next at each turn of the calendar, so that replications show the spread between years.  A file
that holds no whole year must cover the twin's own time, and is used by its dates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.weather_files import WeatherFile, pressure_at, read_weather_file
from firsttoken.twin.dates import iso, to_datetime
from firsttoken.twin.findings import Finding, Findings, Place

Floats = NDArray[np.float64]

HOUR: Final = 3600.0
LEAP_HOURS: Final = 366 * 24
QUANTITIES: Final = ("dry_bulb", "wet_bulb", "pressure")
LONGEST_GAP: Final = 6
"""Hours of missing values that are filled by straight lines."""
STANDARD: Final = (288.15, 284.15, 101325.0)
"""Air where no weather is given: ISO 2533 at sea level, with the wet bulb at 60 % humidity."""
_FEBRUARY_29: Final = slice((31 + 28) * 24, (31 + 29) * 24)


@dataclass(frozen=True)
class Climate:
    """Weather years of a site.

    Attributes
    ----------
    labels : file, and the year where a file has several, shape [Y].
    years : dry bulb K, wet bulb K and pressure Pa (of prices one quantity) at each hour of leap
        years, shape [Y, Q, LEAP_HOURS]; 29 February repeats the day before in years that have none.
    dated : hours from `begin` instead of years, shape [Q, H]; None: `years` count.
    begin : first hour of `dated` in seconds from 1970-01-01.
    """

    labels: tuple[str, ...]
    years: Floats
    dated: Floats | None = None
    begin: float = 0.0

    def hours(self, start: float, hours: int, replication: int) -> Floats:
        """Weather at full hours.

        Parameters
        ----------
        start : first hour, in seconds from 1970-01-01.
        hours : number of hours.

        Returns
        -------
        Shape [Q, hours].
        """
        if self.dated is not None:
            first = round((start - self.begin) / HOUR)
            chosen = np.clip(np.arange(first, first + hours), 0, self.dated.shape[1] - 1)
            return np.ascontiguousarray(self.dated[:, chosen])
        year, hour = _calendar(start, hours)
        turn = (replication + year - year[0]) % len(self.years)
        return np.ascontiguousarray(self.years[turn, :, hour].T)


def _calendar(start: float, hours: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Calendar year and hour of a leap year, of each of the hours from `start`."""
    moments = np.datetime64(round(start), "s") + np.arange(hours) * np.timedelta64(3600, "s")
    years = moments.astype("datetime64[Y]")
    number = years.astype(np.int64) + 1970
    hour = (moments - years).astype(np.int64) // 3600
    after = hour >= _FEBRUARY_29.start
    hour[after & ~_is_leap(number)] += 24
    return number, hour


def _is_leap(year: NDArray[np.int64]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return found


def standard_climate(altitude: float) -> Climate:
    """The standard air of a site without weather, at an altitude in m."""
    air = np.array([*STANDARD[:2], pressure_at(altitude)])
    return Climate(("standard",), np.broadcast_to(air[None, :, None], (1, 3, LEAP_HOURS)))


def read_climate(
    names: list[str],
    folder: Path,
    span: tuple[float, float],
    altitude: float | None,
    utc_offset: float | None,
    findings: Findings,
    at: str,
) -> Climate | None:
    """Read weather files.

    Parameters
    ----------
    names : EPW and CSV files, relative to `folder`; `.xz` are unpacked.
    span : start and end of the twin in seconds from 1970-01-01.
    altitude : m, for the pressure where a file has none; None: that of the file, else 0.
    utc_offset : site's clock minus UTC in s; None: not known.
    at : path of the field.

    Returns
    -------
    None, and findings, if one cannot be used.
    """
    before = len(findings.errors)
    files: list[tuple[Path, WeatherFile]] = []
    for name in names:
        found = read_weather_file(folder / name, span[0], altitude, utc_offset, findings, at)
        if found is not None:
            files.append((folder / name, found))
    if len(findings.errors) > before or not files:
        return None
    return climate_of(files, QUANTITIES, span, findings, at)


def climate_of(
    files: Sequence[tuple[Path, WeatherFile]],
    quantities: Sequence[str],
    span: tuple[float, float],
    findings: Findings,
    at: str,
) -> Climate | None:
    """The years of some files, or the one that covers the twin's time by its dates.

    Parameters
    ----------
    quantities : names of the rows of `WeatherFile.values`, for messages.
    """
    before = len(findings.errors)
    labels: list[str] = []
    years: list[Floats] = []
    for path, found in files:
        if not _fill(found, quantities, path, findings, at):
            continue
        for year, hours in _years(found).items():
            labels.append(path.name if found.typical else f"{path.name} {year}")
            years.append(hours)
    if len(findings.errors) > before:
        return None
    if years:
        return Climate(tuple(labels), np.stack(years))
    return _dated(files, span, findings, at)


def _dated(
    files: Sequence[tuple[Path, WeatherFile]],
    span: tuple[float, float],
    findings: Findings,
    at: str,
) -> Climate | None:
    """The climate of a file without a whole year."""
    for path, found in files:
        last = found.begin + HOUR * (found.values.shape[1] - 1)
        if found.begin <= span[0] and last >= span[1] - HOUR:
            none = np.empty((0, len(found.values), 0))
            return Climate((path.name,), none, found.values, found.begin)
    path, found = files[0]
    last = found.begin + HOUR * (found.values.shape[1] - 1)
    what = f"{path.name} holds no whole year, and does not cover the twin's time"
    why = f"it runs from {iso(found.begin)} to {iso(last)}, the twin to {iso(span[1])}"
    hint = "give a file of a whole year"
    findings.add(Finding(what, why, hint, at, "weather", place=Place(str(path))))
    return None


def _years(found: WeatherFile) -> dict[int, Floats]:
    """Whole calendar years of a file, as hours of leap years [3, LEAP_HOURS].

    Up to a day may be missing at either end (files in UTC); it repeats its neighbour.
    """
    if found.typical:
        return {0: _leap_year(found.values)}
    hours = found.values.shape[1]
    first = to_datetime(found.begin)
    whole: dict[int, Floats] = {}
    last = to_datetime(found.begin + (hours + 24) * HOUR).year
    for year in range(first.year, last + 1):
        begin = np.datetime64(f"{year}-01-01", "s").astype(np.int64)
        end = np.datetime64(f"{year + 1}-01-01", "s").astype(np.int64)
        low = round((float(begin) - found.begin) / HOUR)
        high = round((float(end) - found.begin) / HOUR)
        if low >= -24 and high <= hours + 24:
            chosen = np.arange(low, high)
            chosen[chosen < 0] += 24
            chosen[chosen >= hours] -= 24
            whole[year] = _leap_year(found.values[:, chosen])
    return whole


def _leap_year(values: Floats) -> Floats:
    """Hours [3, 8760 or 8784] as hours of a leap year."""
    if values.shape[1] == LEAP_HOURS:
        return values
    day = _FEBRUARY_29.start
    return np.concatenate([values[:, :day], values[:, day - 24 : day], values[:, day:]], axis=1)


def _fill(
    found: WeatherFile, quantities: Sequence[str], path: Path, findings: Findings, at: str
) -> bool:
    """Fill short gaps by straight lines; longer ones are reported, and False is returned."""
    filled = np.zeros(found.values.shape[1], bool)
    for name, values in zip(quantities, found.values, strict=True):
        missing = np.isnan(values)
        if not missing.any():
            continue
        edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(np.int8), [0]])))
        starts, ends = edges[::2], edges[1::2]
        longest = int(np.argmax(ends - starts))
        if ends[longest] - starts[longest] > LONGEST_GAP:
            line = int(found.lines[min(starts[longest], len(found.lines) - 1)])
            what = f"{name} is missing for {ends[longest] - starts[longest]} hours"
            why = f"gaps of up to {LONGEST_GAP} hours are filled"
            hint = "fill the gap, or take another year"
            place = Place(str(path), line)
            findings.add(Finding(what, why, hint, at, "weather-gap", place=place))
            return False
        known = np.flatnonzero(~missing)
        values[missing] = np.interp(np.flatnonzero(missing), known, values[known])
        filled |= missing
    if filled.any():
        what = f"{filled.sum()} missing hours of {path.name} are filled by straight lines"
        place = Place(str(path))
        findings.add(Finding(what, "", "", at, "weather-gap", "note", place))
    return True
