"""Choosing the best of several lines by simulation, with as few replications as it takes.

Procedure KN of Kim and Nelson, A fully sequential procedure for indifference-zone selection in
simulation, ACM Transactions on Modeling and Computer Simulation 11 (2001) 251-273, with c = 1 and
common random numbers: if the best is better than every other by the indifference zone, it is chosen
with the confidence asked for (95 %), for normal outputs.  Lines are screened after batches of
replications instead of after each, which looks less often and so errs less often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from firsttoken.line.analyse_changes import Run, throughput
from firsttoken.line.result import Floats
from firsttoken.line.system import System

BATCH: Final = 10
"""Replications before the first screening, and between two."""


@dataclass(frozen=True)
class Choice:
    """The best of several lines.

    Attributes
    ----------
    best : its index; alive : indices that could not be told from it.
    replications : of the best.
    decided : whether only one was left; else the ones left differ by less than could be seen, and
        the best is the one with the highest mean.
    """

    best: int
    alive: tuple[int, ...]
    replications: int
    decided: bool


class Samples:
    """Throughput of lines in lots per second, batch by batch, simulated when first asked for.

    Parameters
    ----------
    line : makes the line of a key.
    run : simulates it; batch b has the streams b, the same for all lines.
    """

    def __init__(self, line: Callable[[tuple[int, ...]], System], run: Run) -> None:
        self._line, self._run = line, run
        self._known: dict[tuple[int, ...], list[Floats]] = {}

    def of(self, key: tuple[int, ...], batches: int) -> Floats:
        """Samples of a line, [batches * BATCH]."""
        known = self._known.setdefault(key, [])
        if len(known) < batches:
            system = self._line(key)
            for batch in range(len(known), batches):
                known.append(throughput(system, self._run(system, BATCH, batch)))
        return np.concatenate(known[:batches])

    @property
    def lines(self) -> int:
        """How many lines have been simulated."""
        return len(self._known)


def select(
    samples: Callable[[int, int], Floats],
    count: int,
    zone: float,
    *,
    most: int,
    confidence: float = 0.95,
) -> Choice:
    """Choose the line of the highest mean.

    Parameters
    ----------
    samples : (line, batches) -> its outputs in those batches, [batches * BATCH].
    count : number of lines.
    zone : indifference zone: a smaller difference does not matter.
    most : most batches.

    Raises
    ------
    ValueError
        If there is no line, the zone is not positive or no batch is allowed.
    """
    if count < 1 or not zone > 0 or most < 1:
        raise ValueError(f"cannot select of {count} lines with zone {zone} in {most} batches")
    if count == 1:
        return Choice(0, (0,), 0, True)
    eta = 0.5 * ((2 * (1 - confidence) / (count - 1)) ** (-2 / (BATCH - 1)) - 1)
    h2 = 2 * eta * (BATCH - 1)
    first = np.array([samples(i, 1) for i in range(count)])
    variance = np.array([[np.var(a - b, ddof=1) for b in first] for a in first])
    alive = list(range(count))
    for batch in range(1, most + 1):
        size = batch * BATCH
        means = {i: float(samples(i, batch).mean()) for i in alive}
        slack = np.maximum(0.0, zone / (2 * size) * (h2 * variance / zone**2 - size))
        alive = [i for i in alive if all(means[i] >= means[j] - slack[i, j] for j in alive)]
        if len(alive) == 1:
            break
    best = max(alive, key=lambda i: means[i])
    return Choice(best, tuple(alive), size, len(alive) == 1)


def key_of(values: Sequence[int]) -> tuple[int, ...]:
    """A hashable key."""
    return tuple(int(value) for value in values)
