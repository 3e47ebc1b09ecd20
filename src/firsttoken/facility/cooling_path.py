"""The compiled part of choosing set-points: all pairs in steady state, and the cheapest path."""

from __future__ import annotations

import numpy as np

from firsttoken.facility.cooling_step import cooling_step
from firsttoken.facility.cooling_system import (
    CDU,
    LEAVING,
    REPORTS,
    RETURN,
    SUPPLY,
    CoolingPlant,
    CoolingValues,
    Floats,
    Ints,
)
from firsttoken.kernel.compiled import compiled

SETTLE, SETTLE_STEP = 3, 1e6
"""Steps, and their length in s, in which a pair of set-points comes to its steady state."""


@compiled
def run_pairs(
    plant: CoolingPlant,
    values: CoolingValues,
    state: Floats,
    units: Floats,
    liquid: Floats,
    air: Floats,
    flows: Floats,
    set_points: Floats,
    kinds: Floats,
    water: Floats,
    supply: Floats,
    loop: int,
    cdus: Ints,
    warmest: Floats,
    hottest: Floats,
    power: Floats,
    excess: Floats,
) -> float:
    """Fill power and excess of pairs whose supply is warmer than the water; the worst error."""
    rows, racks = len(units), len(liquid)
    motor, wet = np.empty(rows), np.empty(rows)
    report = np.empty((rows, REPORTS))
    cool, warm = np.empty(racks), np.empty(racks)
    worst = 0.0
    for k in range(len(kinds)):
        for a in range(len(water)):
            for b in range(len(supply)):
                if supply[b] <= water[a]:
                    excess[k, a, b] = 100.0
                    power[k, a, b] = 1e15
                    continue
                if not np.isnan(water[a]):
                    set_points[loop] = water[a]
                    state[loop, SUPPLY] = water[a]
                    for r in cdus:
                        set_points[r] = supply[b]
                        state[r, SUPPLY] = supply[b]
                        state[r, RETURN] = supply[b] + 10.0
                for _ in range(SETTLE):
                    error = cooling_step(
                        plant, values, state, units, liquid, air, flows[b], set_points,
                        kinds[k, 0], kinds[k, 1], kinds[k, 2], SETTLE_STEP, motor, wet, report,
                        cool, warm,
                    )  # fmt: skip
                    worst = max(worst, error)
                power[k, a, b] = motor.sum()
                over = 0.0
                for i in range(racks):
                    if plant.rack_liquid[i] >= 0:
                        over = max(over, cool[i] - warmest[i], warm[i] - hottest[i])
                for r in range(plant.exchangers):
                    if plant.kind[r] != CDU and not np.isnan(set_points[r]):
                        over = max(over, report[r, LEAVING] - set_points[r])
                excess[k, a, b] = over
    return worst


@compiled
def cheapest_path(cost: Floats, hours: Ints, most: int, path: Ints) -> None:
    """Fill `path` [T] with the states a x B + b whose cost is least, each at most `most` steps on.

    Parameters
    ----------
    cost : of each kind of weather and pair, [K, A, B].
    hours : kind of each hour, [T].
    """
    _, waters, supplies = cost.shape
    states = waters * supplies
    chosen = np.empty((len(hours), states), np.int32)
    ahead = np.zeros(states)
    total = np.empty(states)
    for t in range(len(hours) - 1, -1, -1):
        for a in range(waters):
            for b in range(supplies):
                best, where = np.inf, 0
                for c in range(max(a - most, 0), min(a + most + 1, waters)):
                    for d in range(max(b - most, 0), min(b + most + 1, supplies)):
                        if ahead[c * supplies + d] < best:
                            best, where = ahead[c * supplies + d], c * supplies + d
                total[a * supplies + b] = cost[hours[t], a, b] + best
                chosen[t, a * supplies + b] = where
        ahead[:] = total
    now = int(np.argmin(ahead))
    for t in range(len(hours)):
        path[t] = now
        now = chosen[t, now]
