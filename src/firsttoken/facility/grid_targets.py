"""Load targets of the grid in time: what a feed may take while one is in force."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled_inner

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

THRESHOLD: Final = 1e-3
"""Excess over a target, as a share of it, up to which it counts as kept."""
CRITICAL: Final = 0.2
"""Excess beyond which a breach is critical (DSX Flex 1.7: warning up to it)."""

# Columns of what is counted by row with targets.
UNDER: Final = 0
"""Seconds with a target in force."""
BREACHED: Final = 1
"""Seconds with more than the target."""
SEVERE: Final = 2
"""Seconds of critical breach."""
TARGET_COUNTS: Final = 3


class Targets(NamedTuple):
    """Load targets of the rows of the power chain that are feeds.  K rows have some.

    Attributes
    ----------
    row : rows of the chain, shape [K].
    start : segments of row k are ``start[k]`` to ``start[k + 1]``, shape [K + 1].
    time : s from the twin's start at which a segment begins, ascending by row.
    level : W that the row may take from then on; inf: no target.
    gentle : 1: by best effort, racks are not cut below idle.
    """

    row: Ints
    start: Ints
    time: Floats
    level: Floats
    gentle: Floats


@compiled_inner
def target_of(targets: Targets, k: int, t0: float, t1: float) -> tuple[float, float]:
    """Lowest level of row `k` within [t0, t1), W, and whether it is by best effort."""
    low, high = targets.start[k], targets.start[k + 1]
    last = high
    while low < high:  # first segment that begins after t0
        middle = (low + high) // 2
        if targets.time[middle] <= t0:
            low = middle + 1
        else:
            high = middle
    at = max(low - 1, targets.start[k])
    level, gentle = math.inf, 0.0
    while at < last and targets.time[at] < t1:
        if targets.level[at] < level:
            level, gentle = targets.level[at], targets.gentle[at]
        at += 1
    return level, gentle


NO_TARGETS: Final = Targets(
    np.empty(0, np.int64), np.zeros(1, np.int64), np.empty(0), np.empty(0), np.empty(0)
)
"""Of a site without events."""
