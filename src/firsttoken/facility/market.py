"""Hourly prices and carbon intensities of energy: files in the order of time, by turns of years."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from firsttoken.facility.time_files import Column, TimeFile, find_missing, read_time_file
from firsttoken.facility.weather import HOUR, Climate, climate_of
from firsttoken.facility.weather_files import WeatherFile
from firsttoken.twin.findings import Findings

PRICE: Final = Column(
    ("price", "price_usd_per_mwh", "energy_price", "lmp"), "USD/J", "USD/MWh", -5.6e-6, 5.6e-6
)
CARBON: Final = Column(
    ("carbon_intensity", "ci_direct_g_per_kwh", "carbon", "ci_lca_g_per_kwh"),
    *("kg/J", "g/kWh", 0.0, 1e-5),
)


def read_market(
    name: str,
    column: Column,
    folder: Path,
    span: tuple[float, float],
    utc_offset: float | None,
    findings: Findings,
    at: str,
) -> Climate | None:
    """Read a CSV file of hourly prices or carbon intensities, SI units a J.

    Parameters
    ----------
    column : PRICE or CARBON.
    span : start and end of the twin in seconds from 1970-01-01.
    utc_offset : site's clock minus UTC in s; None: not known.
    at : path of the field.

    Returns
    -------
    Whole years by turns, or the dates of the twin, of one quantity; None, and findings, if it
    cannot be used.
    """
    path = folder / name
    wanted = {column.names[0]: column}
    found = read_time_file(path, wanted, span[0], utc_offset, findings, at)
    if found is None or find_missing(found, (column.names[0],), path, findings, at):
        return None
    hourly = _hourly(found, column.names[0])
    return climate_of([(path, hourly)], (column.names[0],), span, findings, at)


def _hourly(found: TimeFile, name: str) -> WeatherFile:
    """The table at full hours: the level of the hour is that of the last row at or before it.

    Hours after a gap of more than two hours are missing.
    """
    first = np.floor(found.time[0] / HOUR) * HOUR
    count = int((found.time[-1] - first) // HOUR) + 1
    hours = first + HOUR * np.arange(count)
    row = np.maximum(np.searchsorted(found.time, hours, "right") - 1, 0)
    values = np.where(hours - found.time[row] >= 2.0 * HOUR, np.nan, found.columns[name][row])
    return WeatherFile(float(first), values[None, :], found.lines[row], False)
