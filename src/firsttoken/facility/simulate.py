"""The simulation of a site: replications on all cores, results as arrays, books checked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from firsttoken.facility.cooling_count import HEAT_COUNTS
from firsttoken.facility.grid_targets import TARGET_COUNTS
from firsttoken.facility.result import SiteResult, SiteState
from firsttoken.facility.simulate_replication import Replication
from firsttoken.facility.simulate_state import BY_HOUR, COUNTS, ROW_COUNTS, ROW_PEAK, Floats
from firsttoken.facility.system import System
from firsttoken.kernel.parameters import check_tables
from firsttoken.kernel.replicate import replicate
from firsttoken.twin.findings import Finding, TwinError

BLOCKS = 64
"""Most blocks of replications; rows of the fleet are added up by block, in their order."""


def simulate(
    system: System,
    replications: int,
    seed: int,
    *,
    initial_state: SiteState | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
    trace: bool = False,
) -> SiteResult:
    """Simulate a site.

    Parameters
    ----------
    system
        The compiled site.
    replications, seed
        Replication r draws its numbers at (seed, r); results do not depend on the threads.
    initial_state
        State from which all replications go on; None: the site's own start.
    threads
        Threads; None: all cores.
    progress, cancel
        As in :func:`firsttoken.kernel.replicate.replicate`; a replication is cancelled on its way.
    trace
        Whether to keep every step of replication 0.

    Returns
    -------
    SiteResult
        With statistics from the start (or the state) on.

    Raises
    ------
    TwinError
        If the state belongs to another site or lies behind the end.
    BalanceError
        If power or heat do not balance: a defect of the engine.
    CancelledError
        If it was cancelled.
    """
    check_tables(system.parameters, system.series)
    if initial_state is not None:
        check_state(system, initial_state)
    groups, rows = len(system.names.groups), int(system.fleet.first[-1])
    period = np.zeros((replications, len(system.edges) - 1, COUNTS))
    hour = np.zeros((replications, 24, len(BY_HOUR)))
    month = np.zeros((replications, len(system.months) - 1))
    group = np.zeros((replications, groups, ROW_COUNTS))
    heat = np.zeros((replications, len(system.cooling.groups), HEAT_COUNTS))
    block = max(1, -(-replications // BLOCKS))
    sums = np.zeros((-(-replications // block), rows, ROW_COUNTS))
    targets = np.zeros((replications, len(system.targets.row), TARGET_COUNTS))
    traces: list[tuple[Floats, Floats]] = []

    def task(low: int, high: int) -> None:
        total = sums[low // block]
        for r in range(low, high):
            kept = {"trace": trace and r == 0, "feeds": r == 0}
            run = Replication(system, seed, r, **kept, state=initial_state)
            run.advance(system.horizon, cancel)
            tally = run.tally
            period[r], hour[r], month[r] = tally.period, tally.hour, tally.month
            group[r], heat[r] = by_group(system, tally.rows), tally.heat
            total[:, :ROW_PEAK] += tally.rows[:, :ROW_PEAK]
            total[:, ROW_PEAK:] = np.maximum(total[:, ROW_PEAK:], tally.rows[:, ROW_PEAK:])
            targets[r] = tally.targets
            if r == 0:
                traces.append((tally.trace, tally.feeds))

    replicate(task, replications, block=block, threads=threads, progress=progress, cancel=cancel)
    unit = np.empty((rows, ROW_COUNTS))
    unit[:, :ROW_PEAK] = sums[:, :, :ROW_PEAK].sum(axis=0) / max(replications, 1)
    unit[:, ROW_PEAK:] = sums[:, :, ROW_PEAK:].max(axis=0, initial=0.0)
    found, fed = traces[0] if traces else (np.empty((0, 0)), np.empty((0, 0, 2)))
    since = 0.0 if initial_state is None else initial_state.time
    return SiteResult(
        system.horizon - since, seed, period, hour, month, group, heat, unit, found, targets, fed
    )


def snapshot(system: System, seed: int, replication: int, at: float) -> SiteState:
    """Run one replication to a moment, at the end of a step, and return its complete state.

    Parameters
    ----------
    at
        Moment in s from the start of the twin.
    """
    run = Replication(system, seed, replication)
    run.advance(at, None)
    return run.snapshot()


def check_state(system: System, state: SiteState) -> None:
    """Raise `TwinError` if a state belongs to another site or lies behind the end."""
    if state.identity != identity(system):
        what = "the state is of another site"
        why = "its racks, power chain or cooling plant differ from those of the twin"
        hint = "take the state from the same twin file"
    elif state.time >= system.horizon:
        what = f"the state is at {state.time:g} s, after the end at {system.horizon:g} s"
        why, hint = "", "lengthen the horizon"
    else:
        return
    raise TwinError(Finding(what, why, hint, f"facility.{system.names.site}", "snapshot"))


def identity(system: System) -> str:
    """A text that two sites share whose states fit each other."""
    rows = ",".join(str(row) for row in system.fleet.first)
    return f"{system.names.groups} {rows} {system.step:g} {len(system.loads.table.time)}"


def by_group(system: System, rows: Floats) -> Floats:
    """Statistics by group of the fleet from those by row: sums, and the highest of all rows."""
    first = system.fleet.first
    found = np.zeros((len(first) - 1, ROW_COUNTS))
    for g, (low, high) in enumerate(pairwise(first)):
        if high > low:
            found[g, :ROW_PEAK] = rows[low:high, :ROW_PEAK].sum(axis=0)
            found[g, ROW_PEAK:] = rows[low:high, ROW_PEAK:].max(axis=0)
    return found
