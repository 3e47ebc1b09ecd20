"""Running a declared line, and intervals of what it measures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from tests.line.lines import ROOM, compiled

from firsttoken.chain.ports import Resolver
from firsttoken.line.compile import compile_line
from firsttoken.line.result import DOWN, LineResult
from firsttoken.line.simulate import simulate
from firsttoken.line.system import Names, System
from firsttoken.twin.findings import Findings
from firsttoken.twin.loading import apply_scenario, load_twin

Floats = npt.NDArray[np.float64]

SEED = 3
"""The seed of every check of the line against theory."""


@dataclass(frozen=True)
class Simulated:
    """A line and its replications."""

    names: Names
    result: LineResult

    def measure(self, name: str) -> Floats:
        """A measure by replication, float64[R]: `throughput`, or `wait STATION`."""
        what, _, station = name.partition(" ")
        row = self.names.stations.index(station) if station else -1
        return np.asarray(MEASURES[what](self.result, row), np.float64)

    def by_class(self, field: str, lot_class: str) -> Floats:
        """A field of one lot class by replication, float64[R]."""
        values = getattr(self.result, field)[:, self.names.classes.index(lot_class)]
        return np.asarray(values, np.float64)


def _cycle_time(result: LineResult, row: int) -> Floats:
    total = np.where(result.finished > 0, result.finished * result.cycle_mean, 0.0).sum(axis=1)
    return np.asarray(total / result.finished.sum(axis=1))


MEASURES: dict[str, Callable[[LineResult, int], Any]] = {
    "throughput": lambda r, s: r.throughput.sum(axis=1),
    "throughput_per_hour": lambda r, s: r.throughput.sum(axis=1) * 3600.0,
    "cycle_time": _cycle_time,
    "wip": lambda r, s: r.wip.sum(axis=1),
    "queue": lambda r, s: r.queue[:, s],
    "wait": lambda r, s: r.wait[:, s],
    "share_late": lambda r, s: r.limit_missed.sum(axis=1) / r.operations[:, s],
    "availability": lambda r, s: 1 - r.state_time[:, s, DOWN] / r.state_time[:, s].sum(axis=1),
}
"""Measures of the known answers, of a station `s` where they are of one; SI."""


@dataclass(frozen=True)
class Interval:
    """The t-interval of a mean over independent replications.

    Attributes
    ----------
    mean, half : centre and half-width.
    score : the standardised distance of the mean from the exact value.
    """

    mean: float
    half: float
    score: float

    def holds(self, exact: float) -> bool:
        """Whether the exact value lies inside, but for rounding."""
        return abs(self.mean - exact) <= self.half + 1e-9 * abs(exact)


def interval(samples: Floats, exact: float, level: float = 0.95) -> Interval:
    """The interval of `level` of the mean of independent samples, float64[R]."""
    mean = float(np.mean(samples))
    error = float(np.std(samples, ddof=1)) / math.sqrt(len(samples))
    quantile = float(stats.t.ppf(0.5 + level / 2, len(samples) - 1))
    return Interval(mean, quantile * error, (mean - exact) / error if error > 0 else 0.0)


def agrees(samples: Floats, exact: float, half_width: float, level: float = 0.999) -> None:
    """Assert that the exact value lies in an interval of the mean, and that it is known well.

    Parameters
    ----------
    half_width : largest relative half-width of the 95 % interval that still says something.
    level : of the interval that must hold the value.  At 99.9 % one of a thousand right answers
        fails at an arbitrary seed.
    """
    narrow, found = interval(samples, exact), interval(samples, exact, level)
    assert narrow.half <= half_width * abs(exact), f"wide: {narrow} for {exact}"
    assert found.holds(exact), f"{found} misses {exact}"


def case_system(folder: Path, scenario: str = "") -> System:
    """The line of a known answer, compiled."""
    findings = Findings()
    twin = load_twin(folder, {"line": ROOM}, findings)
    assert twin is not None, findings.as_text()
    twin = apply_scenario(twin, scenario) if scenario else twin
    return compile_line(twin, "case", Resolver(twin))


def run(system: System, replications: int, seed: int) -> Simulated:
    """Simulate a compiled line."""
    return Simulated(system.names, simulate(system, replications, seed))


def run_line(folder: Path, line: str, horizon: str, replications: int = 30) -> Simulated:
    """Simulate a line written in YAML, of the given horizon."""
    return run(compiled(folder, line, f"horizon: {horizon}"), replications, SEED)
