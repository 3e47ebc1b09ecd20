"""What binds a line, and what to change next.

The parts, each in a module of its own:

- `analyse_bottleneck`: active periods and turning points, from a simulation;
- `analyse_changes`: what one small step of every parameter brings, by paired simulations;
- `analyse_buffers`: the best split of the buffer space, and servers for a target rate;
- `analyse_floor`: the law of the test floor beside the simulation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from firsttoken.line.analyse_bottleneck import Bottlenecks, bottlenecks
from firsttoken.line.analyse_buffers import Allocation, allocate
from firsttoken.line.analyse_changes import Runs, Sensitivity, sensitivity
from firsttoken.line.analyse_floor import FloorRow, floor_rows
from firsttoken.line.result import LineResult
from firsttoken.line.system import System

PAIRS: Final = 48
"""Most replications of each change that is looked at closely; their differences are paired."""
BLOCKED: Final = 0.05
"""Share of time for which some station must be blocked for buffers to be worth a search."""
BATCHES: Final = 8
"""Most batches of replications of each split of the buffers."""
ZONE: Final = 1e-3
"""Differences between splits below this share of the throughput do not matter."""


@dataclass(frozen=True)
class Analysis:
    """What binds a line, and what to change next.

    Attributes
    ----------
    result : the simulation that bottlenecks and floor were read off.
    buffers : None where no two buffers are limited, or where stations are hardly ever blocked.
    """

    result: LineResult
    bottlenecks: Bottlenecks
    sensitivity: Sensitivity
    buffers: Allocation | None
    floor: list[FloorRow]


def analyse(
    system: System,
    result: LineResult,
    seed: int,
    *,
    replications: int = PAIRS,
    threads: int | None = None,
    progress: Callable[[str, int, int], object] | None = None,
    cancel: threading.Event | None = None,
) -> Analysis:
    """Analyse a line.

    Parameters
    ----------
    system : the line.
    result : a simulation of it with this seed.
    seed : of the streams, also of the paired runs.
    replications : pairs of runs of each change.
    threads, cancel : as of `simulate`.
    progress : called as ``progress(what, done, total)``; total 0: not known.

    Raises
    ------
    DeadlockError
        If the line, or the line with a change, comes to a standstill.
    CancelledError
        If `cancel` was set.
    """

    def say(what: str) -> Callable[[int, int], object] | None:
        if progress is None:
            return None
        return lambda done, total: progress(what, done, total)

    runs = Runs(seed, threads, None, cancel)
    found = bottlenecks(system, result)
    effects = sensitivity(system, replications, runs, say=say("changes"))
    buffers = None
    if found.blocked.max(initial=0.0) >= BLOCKED:
        buffers = allocate(system, runs, zone=ZONE, most=BATCHES, say=say("buffers"))
    return Analysis(result, found, effects, buffers, floor_rows(system, result, seed))
