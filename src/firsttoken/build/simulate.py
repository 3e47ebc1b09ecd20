"""The simulation of a programme: replications on all cores, results as arrays, books checked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from firsttoken.build.engine import CREW_EXCEEDED, DONE, Change
from firsttoken.build.engine_block import BLOCK, Out, Room, Samples, new_out, new_room, run_block
from firsttoken.build.system import Floats, Network, System
from firsttoken.kernel.replicate import replicate
from firsttoken.twin.findings import BalanceError

FIRST_DATES = 0
"""Only the dates of the targets are kept."""
ALL = 1


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
        np.zeros(len(network.crews.level)),
        np.ones(len(network.hazards.probability), dtype=np.bool_),
        np.ones(len(network.hazards.driver_probability), dtype=np.bool_),
    )


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
        significance / max(float(out.length.mean()), 1.0),
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
    out = new_out(network, len(system.edges), replications, keep)
    seed = int(seed)
    local = threading.local()

    def task(low: int, high: int) -> None:
        room: Room | None = getattr(local, "room", None)
        if room is None:
            room = local.room = new_room(network, system.parameters, keep)
        status = run_block(
            network,
            system.clock,
            system.parameters,
            system.series,
            change,
            system.edges,
            seed,
            low,
            high,
            keep,
            room,
            out,
        )
        if status != DONE:
            what = "exceeds a crew" if status == CREW_EXCEEDED else "breaks a link"
            raise BalanceError(
                f"a schedule of {system.names.programme} {what} in replications {low} to {high - 1}"
            )

    replicate(task, replications, block=BLOCK, threads=threads, progress=progress, cancel=cancel)
    return out
