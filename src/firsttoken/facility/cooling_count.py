"""What a step of the cooling plant adds to the statistics of its groups."""

from __future__ import annotations

from typing import Final

from firsttoken.facility.cooling_system import HEAT, LEAVING, CoolingPlant, Floats
from firsttoken.kernel.compiled import compiled_inner

COLDEST: Final = 263.15
"""Lower edge of the first bin, K."""
WIDTH: Final = 0.25
"""Width of a bin, K."""
BINS: Final = 400
"""Bins of supply temperatures, -10 to 90 degC; what lies beyond counts at the end."""

TAKEN: Final = BINS
"""Column of the water taken, kg."""
RUNNING: Final = BINS + 1
"""Column of the time in which the group took heat, s: the mean of its rows."""
HEAT_COUNTS: Final = BINS + 2
"""Columns; the first BINS have the time at each supply temperature, s, of all rows."""

__all__ = ["BINS", "COLDEST", "HEAT_COUNTS", "RUNNING", "TAKEN", "WIDTH", "count_cooling"]


@compiled_inner
def count_cooling(
    plant: CoolingPlant, report: Floats, water: Floats, dt: float, counts: Floats
) -> None:
    """Add a step of `dt` s to `counts`, shape [G, HEAT_COUNTS].

    Temperatures count while a row takes heat: the supply of racks, air or facility water; of
    coolers the water that leaves them.

    Parameters
    ----------
    report, water : of the step, [R, REPORTS] and kg [R].
    """
    for r in range(len(water)):
        g = plant.group[r]
        counts[g, TAKEN] += water[r]
        if report[r, HEAT] > 0.0:
            counts[g, RUNNING] += dt
            place = int((report[r, LEAVING] - COLDEST) / WIDTH)
            counts[g, min(max(place, 0), BINS - 1)] += dt
