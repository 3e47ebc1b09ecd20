"""What a simulation of a line gives back: arrays, one row a replication."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

STARVED: Final = 0
WORKING: Final = 1
SETUP: Final = 2
BLOCKED: Final = 3
DOWN: Final = 4
MAINTENANCE: Final = 5
CLOSED: Final = 6
SHORT: Final = 7
STATES: Final = (
    "starved",
    "working",
    "setup",
    "blocked",
    "down",
    "maintenance",
    "closed",
    "short",
)
"""States of a server. `short`: there is a lot, but a crew, budget or component is lacking."""

QUANTILES: Final = (0.05, 0.10, 0.25, 0.50, 0.75, 0.80, 0.90, 0.95, 0.99)
"""Quantiles of cycle times that are kept for each replication."""


@dataclass(frozen=True)
class LineResult:
    """Results of R replications after the warm-up.

    C lot classes, S stations, N pools and budgets, O orders, B report periods, P products,
    K queue-limit steps are those of the system; T is the statistics time.

    Attributes
    ----------
    time : statistics time T in s (horizon less warm-up).
    finished, scrapped, released : lots, [R, C].
    on_time : finished lots not later than their due date, [R, C].
    tardiness : mean tardiness of finished lots with a due date in s, [R, C].
    cycle_mean, cycle_sd : cycle time of finished lots in s, NaN without any, [R, C].
    cycle_quantiles : at QUANTILES, [R, C, Q].
    cycle_histogram : of all replications, counts in the buckets of `kernel.sketch`, [C, H].
    wip : time-weighted mean number of lots in the line, [R, C].
    raw_time : sum of processing times of finished lots over their number in s, [R, C].
    escapes : finished lots with an undetected defect, [R, C].
    period_finished : lots finished by report period (warm-up included), [R, B, C].
    period_cycle : sum of their cycle times in s, [R, B, C].
    period_wip : lots in the line at the end of each period, [R, B, C].
    state_time : time-weighted mean number of servers by state, [R, S, 8].
    operations : operations completed at a station, [R, S].
    pieces : pieces processed, [R, S].
    failed : operations that did not pass, [R, S].
    queue : time-weighted mean number of lots waiting (blocked ones wait upstream), [R, S].
    wait : mean wait before an operation in s, [R, S].
    pool_used, pool_level : time-weighted means of units (or SI) in use and available, [R, N].
    pool_peak : largest use, [R, N].
    pool_short : share of time in which work waited for it, [R, N].
    period_pool : mean use by report period, [R, B, N].
    product_short : share of time in which an assembly waited for the product, [R, P].
    stock : time-weighted mean stock of the product in pieces, [R, P].
    limit_missed : queue-time limits missed, by step, [R, steps].
    rework : lots sent back by a step, [R, steps].
    order_finished : when the last lot of an order was finished in s from the start; inf: not
        within the horizon, [R, O].
    events, steps_done : events and operations of the whole replication, [R].
    active_bottleneck : share of time in which a station had the longest active period, [R, S].
    """

    time: float
    finished: Integers
    scrapped: Integers
    released: Integers
    on_time: Integers
    tardiness: Floats
    cycle_mean: Floats
    cycle_sd: Floats
    cycle_quantiles: Floats
    cycle_histogram: Integers
    wip: Floats
    raw_time: Floats
    escapes: Integers
    period_finished: Integers
    period_cycle: Floats
    period_wip: Integers
    state_time: Floats
    operations: Integers
    pieces: Integers
    failed: Integers
    queue: Floats
    wait: Floats
    pool_used: Floats
    pool_level: Floats
    pool_peak: Floats
    pool_short: Floats
    period_pool: Floats
    product_short: Floats
    stock: Floats
    limit_missed: Integers
    rework: Integers
    order_finished: Floats
    events: Integers
    steps_done: Integers
    active_bottleneck: Floats
    trace: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    @property
    def throughput(self) -> Floats:
        """Finished lots per second, [R, C]."""
        return self.finished / self.time


@dataclass(frozen=True)
class Snapshot:
    """The complete state of one replication of a line at a moment.

    Attributes
    ----------
    identity : hash of the tables it belongs to; it restores into no other line.
    time : s from the start of the twin.
    arrays : the state, by name; `kernel.memory` restores them.
    """

    identity: str
    time: float
    arrays: dict[str, npt.NDArray[Any]]
