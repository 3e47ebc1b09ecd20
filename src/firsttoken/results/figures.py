"""Figures as a planner writes them: BUSD, months, four significant digits."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

_SCALES = {
    "USD": ((1e9, "BUSD"), (1e6, "MUSD"), (1e3, "kUSD")),
    "token": ((1e12, "trillion token"), (1e9, "billion token")),
    "kW": ((1e6, "GW"), (1e3, "MW")),
    "kWh": ((1e6, "GWh"), (1e3, "MWh")),
}


def scaled(values: list[float], unit: str) -> tuple[list[float], str]:
    """Values in the unit that fits the largest: MUSD, MWh/week, day."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if unit == "hour":
        size, name = 24.0 if largest >= 72 else 1.0, "day" if largest >= 72 else "hour"
        if 0 < largest < 1:
            size, name = 1 / 60, "min"
        return [value / size for value in values], name
    head, slash, rest = unit.partition("/")
    if not slash or head != "USD":  # prices stay as they are
        for scale, name in _SCALES.get(head, ()):
            if largest >= scale:
                return [value / scale for value in values], name + slash + rest
    return values, unit


def year_day(value: float) -> str:
    """The day (2027-03-14) of a decimal year; `beyond` if it is not known.

    A decimal year is the year and the part of it that is over: 2027.5 is 2 July, noon.
    """
    if value != value:
        return "beyond"
    first = dt.date(math.floor(value), 1, 1)
    days = (dt.date(first.year + 1, 1, 1) - first).days
    # A moment counts for its day, also where rounding puts it just before midnight.
    over = min(math.floor((value - first.year) * days + 1e-4), days - 1)
    return (first + dt.timedelta(over)).isoformat()


def figure(value: float, sign: str = "") -> str:
    """A number with four significant digits and thousands separators; - if it is not known."""
    if not math.isfinite(value):
        return "-"
    digits = 3 - math.floor(math.log10(abs(value))) if value else 0
    return f"{round(value, digits):{sign},.{min(max(digits, 0), 9)}f}"


def finite(value: Any) -> Any:
    """The same document with null for numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
