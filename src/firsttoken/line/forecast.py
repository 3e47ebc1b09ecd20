"""What comes next, from a state: many futures of one line, and what they have in common.

All futures start from one snapshot and differ in their random streams: future r has those of
replication r.  What nobody knows at the moment of the snapshot - when work in hand will end, what
breaks next - is drawn anew in each, given how long it has lasted (`line.engine_redraw`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from firsttoken.kernel import statistics
from firsttoken.kernel.statistics import Interval
from firsttoken.line.result import Floats, Integers, LineResult, Snapshot
from firsttoken.line.system import System

FUTURES = 1000
"""Futures of a forecast, if nobody says how many."""
_EDGE = 1e-6


@dataclass(frozen=True)
class Forecast:
    """N futures of a line from one snapshot.

    Attributes
    ----------
    time : of the snapshot; horizon : end of the forecast; in s from the start of the twin.
    edges : of the report periods from the snapshot to the horizon, the first and the last cut to
        them, [B + 1].
    finished : lots finished in each period, by class, [N, B, C].
    wip : lots in the line at the end of each period, by class, [N, B, C].
    order_finished : when each order is complete in s from the start; inf: beyond the horizon,
        [N, O].
    order_due : due date of each order in s from the start, [N, O].
    result : everything else.
    """

    time: float
    horizon: float
    edges: Floats
    finished: Integers
    wip: Integers
    order_finished: Floats
    order_due: Floats
    result: LineResult

    @property
    def total(self) -> Integers:
        """Lots finished from the snapshot to the horizon, by class, [N, C]."""
        total: Integers = self.finished.sum(axis=1)
        return total

    def on_time(self, order: int) -> Interval:
        """Probability that an order is complete by its due date, with its Wilson interval."""
        kept = self.order_finished[:, order] <= self.order_due[:, order]
        return statistics.probability_interval(int(kept.sum()), len(kept))


def forecast(
    system: System,
    snapshot: Snapshot,
    seed: int,
    *,
    futures: int = FUTURES,
    horizon: float | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
) -> Forecast:
    """Simulate many futures of a line from a snapshot.

    Parameters
    ----------
    snapshot : state of this line (`firsttoken.line.simulate.snapshot`).
    seed : of the streams; with the seed of the simulation that the snapshot was taken of, future
        r is no continuation of its replication r: what is not known is drawn anew.
    futures : number N.
    horizon : end in s from the start of the twin; None: the twin's.
    threads, progress, cancel : as of `simulate`.

    Raises
    ------
    ValueError
        If the horizon does not lie after the snapshot, or the snapshot is of another line.
    DeadlockError
        If the line comes to a standstill in some future.
    """
    from firsttoken.line.simulate import simulate

    end = system.horizon if horizon is None else horizon
    if not snapshot.time < end:
        raise ValueError(
            f"a forecast from {snapshot.time:g} s to {end:g} s has no time in which to happen"
        )
    edges, kept = periods(system.edges, snapshot.time, end)
    result = simulate(
        system,
        futures,
        seed,
        initial_state=snapshot,
        horizon=end,
        redraw=True,
        threads=threads,
        progress=progress,
        cancel=cancel,
    )
    return Forecast(
        time=snapshot.time,
        horizon=end,
        edges=edges,
        finished=result.period_finished[:, kept],
        wip=result.period_wip[:, kept],
        order_finished=result.order_finished,
        order_due=due_dates(system, seed, futures),
        result=result,
    )


def periods(edges: Floats, time: float, end: float) -> tuple[Floats, slice]:
    """The part of report periods between two moments.

    Parameters
    ----------
    edges : of the report periods in s, [B + 1].

    Returns
    -------
    Edges of the part, the first and last cut, and the periods it covers.
    """
    first = int(np.searchsorted(edges, time + _EDGE, "right")) - 1
    last = int(np.searchsorted(edges, end - _EDGE, "left"))
    first, last = max(first, 0), min(last, len(edges) - 1)
    cut = edges[first : last + 1].copy()
    cut[0], cut[-1] = time, end
    return cut, slice(first, last)


def due_dates(system: System, seed: int, futures: int) -> Floats:
    """Due dates of the orders in each future in s from the start, [N, O]."""
    from firsttoken.kernel.parameters import draw_replications

    drawn = np.empty((futures, len(system.parameters.code)))
    draw_replications(system.parameters, seed, 0, drawn)
    return drawn[:, system.order_due]


# How good a forecast is ------------------------------------------------------------------------


def randomised_pit(paths: Integers, seen: Integers, uniform: Floats) -> Floats:
    """Where observed counts lie in their predictive distributions; even if these are right.

    Of counts the plain share ``P(X <= y)`` can never be even: an interval that holds 90 % exactly
    does not exist.  The randomised probability integral transform ``P(X < y) + v P(X = y)`` with v
    uniform in (0, 1) is even if and only if the predictive distribution is right, and then its
    central 90 % hold 90 % of what happens.  Source: Czado, Gneiting, Held, Predictive model
    assessment for count data, Biometrics 65 (2009) 1254-1261.  The observed count is taken as one
    of N + 1 that are alike, which makes that exact for any number N of futures.

    Parameters
    ----------
    paths : counts in N futures of each of K forecasts, [K, N].
    seen : what happened, [K].
    uniform : the numbers v, [K].

    Returns
    -------
    Floats
        In (0, 1), [K].
    """
    below = (paths < seen[:, None]).sum(axis=1)
    equal = (paths == seen[:, None]).sum(axis=1)
    return np.asarray((below + uniform * (equal + 1)) / (paths.shape[1] + 1), np.float64)


def covered(pit: Floats, share: float = 0.9) -> Interval:
    """Share of forecasts whose central interval covered what happened, with its interval.

    Parameters
    ----------
    pit : of each forecast, see `randomised_pit`, [K].
    share : that the interval should cover.
    """
    tail = (1 - share) / 2
    inside = int(((pit >= tail) & (pit <= 1 - tail)).sum())
    return statistics.probability_interval(inside, len(pit))
