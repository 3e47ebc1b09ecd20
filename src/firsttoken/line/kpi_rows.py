"""Numbers over replications on their way into tables, in the units of a plant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel import statistics
from firsttoken.twin.result_rows import spread

Floats = NDArray[np.float64]
Samples = NDArray[Any]
"""Amounts by replication first."""

HOUR = 3600.0
WEEK = 604800.0
_SHOWN = {"W": ("kW", 1e-3), "m**3/s": ("L/min", 6e4), "each": ("each", 1.0)}


def shown_unit(unit: str) -> tuple[str, float]:
    """The unit in which a pool or budget is shown, and how many of it are one of SI."""
    return _SHOWN[unit]


def one(samples: Samples) -> dict[str, float]:
    """As `spread`, of one number a replication [R]."""
    return {key: float(value[0]) for key, value in spread(samples[:, None]).items()}


def half_width(samples: Samples) -> float:
    """Half the width of the 95 % interval of the mean of [R]; NaN of fewer than two numbers."""
    known = samples[np.isfinite(samples)]
    if len(known) < 2:
        return float("nan")
    return statistics.mean_interval(known).high - float(known.mean())


def mean(samples: Samples) -> Floats:
    """Mean over replications of [R, ...], of those that are known; NaN where none is."""
    values = np.asarray(samples, np.float64)
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    return ratio(total, known.sum(axis=0))


def ratio(part: Samples, whole: Samples, otherwise: float = np.nan) -> Floats:
    """Part over whole, elementwise; `otherwise` where there is no whole."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    out: Floats = np.full(part.shape, otherwise)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def figure(value: float) -> str:
    """A number with three significant digits for a sentence: 12.3, 1,240."""
    if value == 0 or not np.isfinite(value):
        return "0" if value == 0 else "-"
    digits = 2 - int(np.floor(np.log10(abs(value))))
    text = f"{round(value, digits):,.{min(max(digits, 0), 9)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share as a percentage for a sentence: 96 %, 0.4 %."""
    if not np.isfinite(share):
        return "-"
    return f"{figure(100 * share) if share < 0.0995 else format(100 * share, '.0f')} %"


def amount(value: float, unit: str) -> str:
    """An amount of a pool or budget, given in SI, for a sentence: 19.2 MW, 12."""
    name, scale = shown_unit(unit)
    value *= scale
    if name == "kW" and abs(value) >= 1000:
        return f"{figure(value / 1000)} MW"
    return figure(value) + ("" if name == "each" else f" {name}")
