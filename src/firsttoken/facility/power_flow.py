"""Power flow along the chain: demand upwards, with the losses of every unit on the way.

A row's input is its output and its losses; its input is output of the rows that feed it.  Every
row comes after its sources, so one pass from the loads to the sources is exact: losses depend on a
row's own output only, and nothing flows in circles.
"""

from __future__ import annotations

import numpy as np

from firsttoken.facility.power_system import (
    BATTERY,
    SOURCES,
    Attachment,
    Floats,
    PowerGrid,
    PowerValues,
)
from firsttoken.kernel.compiled import compiled, compiled_inner


@compiled
def power_live(grid: PowerGrid, units: Floats, live: Floats) -> None:
    """Fill `live` [R] with 1 where a row has supply: a unit of its own and a live source."""
    for r in range(len(grid.kind)):
        live[r] = 0.0
        if units[r] > 0.0:
            if grid.kind[r] <= SOURCES:
                live[r] = 1.0
            for e in range(grid.parent_start[r], grid.parent_start[r + 1]):
                if live[grid.parent[e]] > 0.0:
                    live[r] = 1.0


@compiled
def power_spread(
    grid: PowerGrid, feeds: Attachment, live: Floats, load: Floats, demand: Floats
) -> float:
    """Add loads to the demand on the rows that feed them, and return the power without supply, W.

    Standby rows count only for loads that have no other live row; rows that are dead hand their
    share on to the others.

    Parameters
    ----------
    feeds : what feeds each load.
    live : from `power_live`, shape [R].
    load : power of each load, W, shape [n].
    demand : W taken at each row's output, shape [R]; is added to.
    """
    unserved = 0.0
    for i in range(len(load)):
        first, last = feeds.start[i], feeds.start[i + 1]
        normal = 0.0
        standby = 0.0
        for k in range(first, last):
            row = feeds.row[k]
            if live[row] > 0.0:
                if grid.standby[row]:
                    standby += feeds.share[k]
                else:
                    normal += feeds.share[k]
        total = normal if normal > 0.0 else standby
        if total <= 0.0:
            unserved += load[i]
            continue
        for k in range(first, last):
            row = feeds.row[k]
            if live[row] > 0.0 and (grid.standby[row] == 0 or normal <= 0.0):
                demand[row] += load[i] * feeds.share[k] / total
    return unserved


@compiled
def power_flow(
    grid: PowerGrid,
    values: PowerValues,
    units: Floats,
    demand: Floats,
    output: Floats,
    input_: Floats,
    loss: Floats,
) -> float:
    """Find output, input and loss of every row, W, and return the demand without supply, W.

    ``sum(input of sources) + unserved = sum(demand) + sum(loss)`` (see `power_books`).

    A row takes what it needs from its live sources: a transfer switch all from the first, other
    rows from all in proportion to their capacity (equally where one has no rating).  Standby
    sources carry only where no other source is live.

    Parameters
    ----------
    units : working units of each row, shape [R].
    demand : power taken at each row's output by what is not in the chain, W, shape [R]; of a
        battery the power that its cells take (negative: give).
    output, input_, loss : results, shape [R].
    """
    power_live(grid, units, loss)
    rows = len(grid.kind)
    for r in range(rows):
        output[r] = 0.0
    unserved = 0.0
    for r in range(rows - 1, -1, -1):
        if loss[r] == 0.0:
            unserved += demand[r]
            output[r] = 0.0
            input_[r] = 0.0
            continue
        out = output[r] + demand[r]
        output[r] = out
        lost = 0.0
        if out != 0.0 or grid.standby[r] == 0:
            lost = unit_loss(grid, values, r, out / units[r]) * units[r]
        input_[r] = out + lost
        if grid.kind[r] > SOURCES and input_[r] != 0.0:
            _take(grid, values, units, loss, r, input_[r], output)
        loss[r] = lost
    return unserved


@compiled_inner
def unit_loss(grid: PowerGrid, values: PowerValues, r: int, power: float) -> float:
    """Loss of one unit of row `r` with an output of `power`, W (see `power_values`)."""
    size = abs(power)
    lost = values.no_load[r] + (values.slope[r] + values.square[r] * size) * size
    if power < 0.0 and grid.kind[r] == BATTERY:
        # Cells that give P hand P * efficiency on; slope is 1 / efficiency - 1.
        lost = values.no_load[r] + size * values.slope[r] / (1.0 + values.slope[r])
    first, last = grid.curve_start[grid.group[r]], grid.curve_start[grid.group[r] + 1]
    if last > first:
        load = size / values.capacity[r]
        k = first + 1
        while k < last - 1 and load > grid.curve_load[k]:
            k += 1
        x, y = grid.curve_load[k - 1], values.curve_loss[k - 1]
        rise = (values.curve_loss[k] - y) / (grid.curve_load[k] - x)
        lost += (y + rise * (load - x)) * values.capacity[r]
    return float(lost)


@compiled_inner
def _take(
    grid: PowerGrid,
    values: PowerValues,
    units: Floats,
    live: Floats,
    r: int,
    power: float,
    output: Floats,
) -> None:
    """Share the input of a row among the outputs of its live sources."""
    first, last = grid.parent_start[r], grid.parent_start[r + 1]
    if last - first == 1:
        output[grid.parent[first]] += power
        return
    normal = 0
    for e in range(first, last):
        if live[grid.parent[e]] > 0.0 and grid.standby[grid.parent[e]] == 0:
            normal += 1
    count = 0
    total = 0.0
    for e in range(first, last):
        p = grid.parent[e]
        if live[p] > 0.0 and (normal == 0 or grid.standby[p] == 0):
            if grid.prefer[r]:
                output[p] += power
                return
            count += 1
            total += min(values.capacity[p] * units[p], values.limit[p])
    for e in range(first, last):
        p = grid.parent[e]
        if live[p] > 0.0 and (normal == 0 or grid.standby[p] == 0):
            if 0.0 < total < np.inf:
                share = min(values.capacity[p] * units[p], values.limit[p]) / total
            else:
                share = 1.0 / count
            output[p] += power * share


@compiled
def full_load_loss(grid: PowerGrid, values: PowerValues, out: Floats) -> None:
    """Fill `out` [R] with the loss of one unit of each row at its capacity, W; 0 without rating."""
    for r in range(len(grid.kind)):
        out[r] = 0.0
        if values.capacity[r] < np.inf:
            out[r] = unit_loss(grid, values, r, values.capacity[r])


@compiled
def power_books(
    grid: PowerGrid, demand: Floats, input_: Floats, loss: Floats, unserved: float
) -> float:
    """Return how far the books are off, relative to what the sources give; 0 is exact."""
    given = unserved
    taken = 0.0
    for r in range(len(grid.kind)):
        if grid.kind[r] <= SOURCES:
            given += input_[r]
        taken += demand[r] + loss[r]
    return float(abs(given - taken) / max(abs(given), 1.0))
