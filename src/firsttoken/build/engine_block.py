"""A block of replications of a programme: what is run, and what is kept of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.build.clock import Clock
from firsttoken.build.engine import (
    DONE,
    Change,
    Plan,
    backward,
    drivers_of,
    mark_targets,
    new_plan,
    new_timelines,
    schedule,
)
from firsttoken.build.engine_place import Timelines
from firsttoken.build.system import FIRST, LAST, Floats, Network
from firsttoken.kernel.compiled import compiled_bare, compiled_inner, is_cold
from firsttoken.kernel.parameters import ParameterTable, SeriesTable, draw_parameters

Samples = NDArray[np.float32]
BLOCK = 64


class Out(NamedTuple):
    """What a block of replications writes; see `simulate.BuildResult`."""

    first: Floats
    last: Floats
    length: Floats
    ready: Floats
    spent: Floats
    start: Samples
    finish: Samples
    work: Samples
    total: Samples
    free: Floats
    critical: Floats
    significance: Floats


def new_out(network: Network, edges: int, replications: int, keep: int) -> Out:
    """Room for the results; of what is not kept, none."""
    tasks = len(network.tasks.order) if keep else 0
    blocks = -(-replications // BLOCK)
    shape = (tasks, replications)
    return Out(
        first=np.empty(replications),
        last=np.empty(replications),
        length=np.empty(replications),
        ready=np.empty((len(network.ready), replications)),
        spent=np.empty((replications, edges)),
        start=np.empty(shape, dtype=np.float32),
        finish=np.empty(shape, dtype=np.float32),
        work=np.empty(shape, dtype=np.float32),
        total=np.empty(shape, dtype=np.float32),
        free=np.empty((blocks, tasks)),
        critical=np.empty((blocks, 2, tasks)),
        significance=np.empty((blocks, tasks)),
    )


class Room(NamedTuple):
    """What a thread writes and reads again within a block.

    Attributes
    ----------
    values : parameters, [P].
    kept : start, finish, work and float of each task, [4, BLOCK, T].
    """

    values: Floats
    plan: Plan
    lines: Timelines
    kept: Samples


def new_room(network: Network, parameters: ParameterTable, keep: int) -> Room:
    """Return room for one thread."""
    tasks = len(network.tasks.order)
    return Room(
        np.empty(len(parameters.code)),
        new_plan(tasks),
        new_timelines(network),
        np.empty((4, BLOCK if keep else 0, tasks), dtype=np.float32),
    )


@compiled_bare
def run_block(
    network: Network,
    clock: Clock,
    parameters: ParameterTable,
    series: SeriesTable,
    change: Change,
    edges: Floats,
    seed: int,
    low: int,
    high: int,
    keep: int,
    room: Room,
    out: Out,
) -> int:
    """Run replications low to high - 1 and write their part of `out`; returns a status.

    Replication -1 has the parameters that stand in `room` and all that may happen at its mean; of
    it only the latest starts are kept, in `room.plan`.
    """
    plan, lines, values = room.plan, room.lines, room.values
    for replication in range(low, high):
        if replication >= 0:
            draw_parameters(parameters, seed, replication, values)
        status = schedule(
            network, clock, parameters, series, change, values, seed, replication, lines, plan
        )
        if status != DONE:
            return status
        if replication < 0:
            backward(network, clock, values, plan)
            continue
        first, last = mark_targets(network, plan)
        out.first[replication] = first
        out.last[replication] = last
        out.length[replication] = last - values[network.begin]
        if keep:
            backward(network, clock, values, plan)
            drivers_of(network, clock, values, plan, FIRST)
            drivers_of(network, clock, values, plan, LAST)
            _keep(network, values, edges, replication, low, plan, room.kept, out)
    if keep:
        _hand_over(low, high, room.kept, out)
    return DONE


@compiled_inner
def _keep(
    network: Network,
    values: Floats,
    edges: Floats,
    replication: int,
    low: int,
    plan: Plan,
    kept: Samples,
    out: Out,
) -> None:
    """Keep what is told of one replication."""
    block, row = low // BLOCK, replication - low
    for p in range(len(network.ready)):
        out.ready[p, replication] = plan.finish[network.ready[p]]
    for e in range(len(edges)):
        out.spent[replication, e] = 0.0
    for i in range(len(plan.start)):
        kept[0, row, i] = plan.start[i]
        kept[1, row, i] = plan.finish[i]
        kept[2, row, i] = plan.work[i]
        kept[3, row, i] = plan.total[i]
        if not row:
            out.free[block, i] = out.significance[block, i] = 0.0
            out.critical[block, 0, i] = out.critical[block, 1, i] = 0.0
        out.free[block, i] += plan.free[i]
        out.critical[block, 0, i] += plan.critical[0, i]
        out.critical[block, 1, i] += plan.critical[1, i]
        if plan.work[i] > 0.0:
            part = plan.work[i] / (plan.work[i] + plan.total[i])
            out.significance[block, i] += part * out.length[replication]
        cost = values[network.tasks.cost[i]]
        if cost > 0.0:
            _spend(cost, plan.start[i], plan.finish[i], edges, replication, out.spent)
    for e in range(1, len(edges)):
        out.spent[replication, e] += out.spent[replication, e - 1]


@compiled_inner
def _spend(
    cost: float, start: float, finish: float, edges: Floats, replication: int, spent: Floats
) -> None:
    """Add the money spent since the edge before each edge, evenly over a task's time."""
    low, high = 0, len(edges)
    while low < high:  # the first edge after the start, or at the finish of what takes no time
        middle = (low + high) // 2
        if edges[middle] > start or edges[middle] >= finish:
            high = middle
        else:
            low = middle + 1
    passed = start
    while low < len(edges) and edges[low] < finish:
        spent[replication, low] += cost * (edges[low] - passed) / (finish - start)
        passed = edges[low]
        low += 1
    if low < len(edges):
        rest = (finish - passed) / (finish - start) if finish > start else 1.0
        spent[replication, low] += cost * rest


@compiled_inner
def _hand_over(low: int, high: int, kept: Samples, out: Out) -> None:
    """Write the samples of a block, the replications of a task side by side."""
    for i in range(out.start.shape[0]):
        for replication in range(low, high):
            row = replication - low
            out.start[i, replication] = kept[0, row, i]
            out.finish[i, replication] = kept[1, row, i]
            out.work[i, replication] = kept[2, row, i]
            out.total[i, replication] = kept[3, row, i]


def must_compile() -> bool:
    """Tell whether the first run has to wait for the compiler."""
    return is_cold(run_block)
