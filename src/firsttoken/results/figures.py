"""Figures as a planner writes them: BUSD, months, four significant digits."""

from __future__ import annotations

import math
from typing import Any


def scaled(values: list[float], unit: str) -> tuple[list[float], str]:
    """Dollars in thousands, millions or billions, so that the largest is at least 1."""
    largest = max((abs(value) for value in values if value == value), default=0.0)
    for scale, name in ((1e9, "BUSD"), (1e6, "MUSD"), (1e3, "kUSD")):
        if unit == "USD" and largest >= scale:
            return [value / scale for value in values], name
    return values, unit


def year_month(value: float) -> str:
    """The month (2027-03) of a decimal year; `beyond` if it is not known."""
    if value != value:
        return "beyond"
    year, month = divmod(int(value * 12), 12)
    return f"{year}-{month + 1:02d}"


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
