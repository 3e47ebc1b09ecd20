"""The simulation of a programme: replications on all cores, results as arrays, books checked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.build.clock import Clock
from firsttoken.build.engine import (
    CREW_EXCEEDED,
    DONE,
    Change,
    backward,
    drivers_of,
    mark_targets,
    new_plan,
    new_timelines,
    schedule,
)
from firsttoken.build.system import Floats, Network, System
from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.parameters import ParameterTable, SeriesTable, draw_parameters
from firsttoken.kernel.replicate import replicate
from firsttoken.twin.findings import BalanceError

Samples = NDArray[np.float32]
BLOCK = 64
FIRST_DATES = 0
"""Only the dates of the targets are kept."""
ALL = 1


class Out(NamedTuple):
    """What a block of replications writes; see `BuildResult`."""

    first: Floats
    last: Floats
    ready: Floats
    spent: Floats
    start: Samples
    finish: Samples
    work: Samples
    total: Samples
    free: Floats
    critical: Floats
    significance: Floats


@dataclass(frozen=True, slots=True)
class BuildResult:
    """Schedules over R replications; times in s from the twin's start.

    Attributes
    ----------
    first : when the first phase is ready; last: when everything is done, [R].
    ready : when each phase is ready, [P, R].
    spent : money spent until each edge of the report periods, [R, B + 1].
    start, finish, work, total_float : of each task, [T, R]; `work` and the float are working time.
    free_float : mean, [T].
    criticality : share of the replications in which a task drives each target, [2, T].
    significance : mean of work / (work + float) x time of all / mean time of all, [T]
        (Williams, Criticality in stochastic networks, Journal of the Operational Research Society
        43 (1992) 353-357).
    """

    first: Floats
    last: Floats
    ready: Floats
    spent: Floats
    start: Samples
    finish: Samples
    work: Samples
    total_float: Samples
    free_float: Floats
    criticality: Floats
    significance: Floats


def no_change(network: Network) -> Change:
    """The programme as it is declared."""
    return Change(
        np.zeros(len(network.tasks.order)),
        np.zeros(len(network.crews.level_start) - 1),
        np.ones(len(network.hazards.probability), dtype=np.bool_),
        np.ones(len(network.hazards.driver_probability), dtype=np.bool_),
    )


@compiled
def run_block(
    network: Network,
    clock: Clock,
    parameters: ParameterTable,
    series: SeriesTable,
    change: Change,
    fixed: Floats,
    edges: Floats,
    seed: int,
    low: int,
    high: int,
    keep: int,
    out: Out,
) -> int:
    """Run replications low to high - 1 and write their part of `out`; returns a status.

    Replication -1 has the parameters `fixed` [P] and all that may happen at its mean; of it only
    the latest starts are written, as `out.free[0]`.
    """
    count = len(network.tasks.order)
    plan = new_plan(count)
    lines = new_timelines(network, True)
    values = fixed.copy()
    size = high - low
    kept = np.empty((4, size if keep else 0, count), np.float32)
    sums = np.zeros((4, count))
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
            out.free[0] = plan.late_start
            continue
        first, last = mark_targets(network, plan)
        out.first[replication] = first
        out.last[replication] = last
        if keep == 0:
            continue
        for p in range(len(network.ready)):
            out.ready[p, replication] = plan.finish[network.ready[p]]
        backward(network, clock, values, plan)
        drivers_of(network, clock, values, plan, 0)
        drivers_of(network, clock, values, plan, 1)
        _spend(network, values, edges, plan.start, plan.finish, out.spent[replication])
        begin = values[network.begin]
        row = replication - low
        for i in range(count):
            kept[0, row, i] = plan.start[i]
            kept[1, row, i] = plan.finish[i]
            kept[2, row, i] = plan.work[i]
            kept[3, row, i] = plan.total[i]
            sums[0, i] += plan.free[i]
            sums[1, i] += plan.critical[0, i]
            sums[2, i] += plan.critical[1, i]
            if plan.work[i] > 0.0:
                part = plan.work[i] / (plan.work[i] + plan.total[i])
                sums[3, i] += part * (last - begin)
    if keep:
        block = low // BLOCK
        out.free[block] = sums[0]
        out.critical[block] = sums[1:3]
        out.significance[block] = sums[3]
        for i in range(count):
            for row in range(size):
                out.start[i, low + row] = kept[0, row, i]
                out.finish[i, low + row] = kept[1, row, i]
                out.work[i, low + row] = kept[2, row, i]
                out.total[i, low + row] = kept[3, row, i]
    return DONE


@compiled
def _spend(
    network: Network, values: Floats, edges: Floats, start: Floats, finish: Floats, out: Floats
) -> None:
    """Fill the money spent until each edge, evenly over each task's time."""
    out[:] = 0.0
    for i in range(len(start)):
        cost = values[network.tasks.cost[i]]
        if cost > 0.0:
            length = finish[i] - start[i]
            for e in range(len(edges)):
                passed = edges[e] - start[i]
                if passed >= length:
                    out[e] += cost
                elif passed > 0.0:
                    out[e] += cost * passed / length


def simulate(
    system: System,
    replications: int,
    seed: int,
    *,
    change: Change | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
) -> BuildResult:
    """Simulate a programme.

    Parameters
    ----------
    replications, seed : replication r draws its numbers at (seed, r); results do not depend on the
        threads.
    change : against the programme as declared; None: nothing.
    threads, progress, cancel : as in `kernel.replicate.replicate`.

    Raises
    ------
    BalanceError
        If a schedule breaks a link or exceeds a crew: a defect of the engine.
    """
    out = _run(system, replications, seed, change, ALL, threads, progress, cancel)
    free, critical, significance = (
        part.sum(axis=0) / replications for part in (out.free, out.critical, out.significance)
    )
    return BuildResult(
        out.first,
        out.last,
        out.ready,
        out.spent,
        out.start,
        out.finish,
        out.work,
        out.total,
        free,
        critical,
        significance / max(float(out.last.mean()), 1.0),
    )


def target_dates(
    system: System,
    replications: int,
    seed: int,
    change: Change,
    *,
    threads: int | None = None,
    cancel: threading.Event | None = None,
) -> tuple[Floats, Floats]:
    """When the first phase is ready and when all is done, [R] each, after a change."""
    out = _run(system, replications, seed, change, FIRST_DATES, threads, None, cancel)
    return out.first, out.last


def _run(
    system: System,
    replications: int,
    seed: int,
    change: Change | None,
    keep: int,
    threads: int | None,
    progress: Callable[[int, int], object] | None,
    cancel: threading.Event | None,
) -> Out:
    network = system.network
    change = no_change(network) if change is None else change
    out = room(network, len(system.edges), replications, keep)
    seed = int(seed)
    fixed = np.empty(len(system.parameters.code))

    def task(low: int, high: int) -> None:
        status = run_block(
            network,
            system.clock,
            system.parameters,
            system.series,
            change,
            fixed,
            system.edges,
            seed,
            low,
            high,
            keep,
            out,
        )
        if status != DONE:
            what = "exceeds a crew" if status == CREW_EXCEEDED else "breaks a link"
            raise BalanceError(
                f"a schedule of {system.names.programme} {what} in replications {low} to {high - 1}"
            )

    replicate(task, replications, block=BLOCK, threads=threads, progress=progress, cancel=cancel)
    return out


def room(network: Network, edges: int, replications: int, keep: int) -> Out:
    """Room for the results; of what is not kept, none."""
    tasks = len(network.tasks.order) if keep else 0
    blocks = -(-replications // BLOCK)
    samples = [np.empty((tasks, replications), np.float32) for _ in range(4)]
    return Out(
        np.empty(replications),
        np.empty(replications),
        np.empty((len(network.ready), replications)),
        np.empty((replications, edges)),
        *samples,
        np.empty((blocks, tasks)),
        np.empty((blocks, 2, tasks)),
        np.empty((blocks, tasks)),
    )
