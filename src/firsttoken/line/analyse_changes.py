"""What could be changed on a line, one small step each, and what each step brings.

The derivative d(throughput)/d(parameter) is estimated by finite differences under common random
numbers: replication r of the line and of the changed line share all random streams, so the
difference of the two is far less random than either.  Its mean over replications has a Student t
interval.  Source: Glasserman and Yao, Some guidelines and guarantees for common random numbers,
Management Science 38 (1992) 884-908; L'Ecuyer and Perron, On the convergence rates of IPA and FDC
derivative estimators, Operations Research 42 (1994) 643-656.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from firsttoken.kernel.statistics import Interval, mean_interval
from firsttoken.line import analyse_edit as edit
from firsttoken.line.analyse_expected import Expected
from firsttoken.line.kpi_rows import figure, shown_unit
from firsttoken.line.result import Floats, LineResult
from firsttoken.line.system import NONE, System

if TYPE_CHECKING:
    import threading

FASTER: Final = 0.95
"""Factor on the time of a station."""
LONGER: Final = 1.10
"""Factor on the time between failures; its inverse is that on the time to repair."""
POINT: Final = 0.01
"""Added to the probability that work passes."""
WIDER: Final = 1.05
"""Factor on a budget, and on the rate of releases."""

SCREEN: Final = 8
"""Pairs of runs after which it is decided which changes are looked at closely."""
FINALISTS: Final = 12
"""Most changes that are looked at closely."""

STATION: Final = "station"
POOL: Final = "pool"
BUDGET: Final = "budget"
RELEASE: Final = "release"


@dataclass(frozen=True)
class Change:
    """One small step.

    Attributes
    ----------
    kind : what is changed: station, pool, budget or release; name : which one.
    parameter : of it: time, servers, buffer, mtbf, mttr, pass, count, level, releases.
    step : as a person would say it: `-5 %`, `+1`.
    apply : makes the changed line.
    """

    kind: str
    name: str
    parameter: str
    step: str
    apply: Callable[[System], System]


@dataclass(frozen=True)
class Runs:
    """How an analysis runs a line: `runs(system, replications)` simulates it.

    Attributes
    ----------
    seed : of the streams; the same for all lines that are compared.
    progress : called as ``progress(done, replications)``.
    cancel : set by somebody who no longer wants the result.
    """

    seed: int
    threads: int | None = None
    progress: Callable[[int, int], object] | None = None
    cancel: threading.Event | None = None

    def __call__(self, system: System, replications: int, stream: int = 0) -> LineResult:
        """Simulate; another `stream` gives independent replications."""
        from firsttoken.line.simulate import simulate

        return simulate(
            system,
            replications,
            self.seed + STREAM_STEP * stream,
            threads=self.threads,
            progress=self.progress,
            cancel=self.cancel,
        )


class Run(Protocol):
    """Simulates so many replications of a line; see `Runs`."""

    def __call__(self, system: System, replications: int, stream: int = 0) -> LineResult:
        """Simulate; another `stream` gives independent replications."""


STREAM_STEP: Final = 1_000_003
"""Between the seeds of batches of replications, far from the seeds that people choose."""


def changes(system: System) -> list[Change]:
    """Everything on the line that one more, or one better, could be had of."""
    found: list[Change] = []
    for s, name in enumerate(system.names.stations):
        found += _station_changes(system, s, name)
    expected = Expected.of_means(system)
    for n, name in enumerate(system.names.pools):
        found.append(_pool_change(system, expected, n, name))
    for k, name in enumerate(system.names.sources):
        row = system.tables.source[k]
        apply = partial(edit.scale_releases, source=k, factor=WIDER)
        if row["every"] != NONE:
            found.append(Change(RELEASE, name, "releases", "+5 %", apply))
        elif row["level"] != NONE:
            found.append(Change(RELEASE, name, "releases", "+1", apply))
    return found


def _pool_change(system: System, expected: Expected, n: int, name: str) -> Change:
    """More of a pool or budget: enough for one more operation, or it may bring nothing.

    Eleven slots of 132 kW take 1.45 MW; 1.5 MW feed no twelfth, and neither do 5 % more.  One more
    person makes no team of four.
    """
    needed = expected.most_needed(n)
    if not system.tables.pool["budget"][n]:
        units = max(1, math.ceil(needed - 1e-9))
        apply = partial(edit.add_pool, pool=n, units=units)
        return Change(POOL, name, "count", f"+{units}", apply)
    if needed > (WIDER - 1) * expected.least(int(system.tables.pool["level"][n])):
        more, scale = shown_unit(system.names.pool_units[n])
        step = f"+{figure(needed * scale)} {more}"
        return Change(BUDGET, name, "level", step, partial(edit.add_pool, pool=n, units=needed))
    apply = partial(edit.scale_pool, pool=n, factor=WIDER)
    return Change(BUDGET, name, "level", "+5 %", apply)


def _station_changes(system: System, s: int, name: str) -> list[Change]:
    """Changes of one station, those first that cost least."""
    row = system.tables.station[s]
    steps = system.tables.step[edit.steps_at(system, s)]
    found: list[Change] = []

    def add(parameter: str, step: str, apply: Callable[[System], System]) -> None:
        found.append(Change(STATION, name, parameter, step, apply))

    if len(steps) == 0:
        return []
    add("time", "-5 %", partial(edit.scale_time, station=s, factor=FASTER))
    add("servers", "+1", partial(edit.add_server, station=s))
    for f in range(row["failure"], row["failure"] + row["failures"]):
        which = f" of {system.names.failures[f].removeprefix(f'{name}.')}"
        add(f"mtbf{which}", "+10 %", partial(edit.scale_failures, failure=f, mtbf=LONGER))
        add(f"mttr{which}", "-10 %", partial(edit.scale_failures, failure=f, mttr=1 / LONGER))
    if row["buffer"] >= 0:
        grown = [int(row["buffer"]) + 1]
        add("buffer", "+1", partial(edit.set_buffers, stations=[s], places=grown))
    if np.any(steps["pass_"] != NONE):
        add("pass", "+1 point", partial(edit.add_pass, station=s, points=POINT))
    return found


# What a line is worth ------------------------------------------------------------------------


def shipped(system: System) -> Floats:
    """Weight of each lot class in the throughput: 1, but 0 of components, shape [C].

    Where every product is a component of another, all count.
    """
    component = system.tables.product["component"][list(system.names.class_product)] != 0
    weights = np.where(component, 0.0, 1.0)
    return weights if weights.any() else np.ones(len(weights))


def throughput(system: System, result: LineResult) -> Floats:
    """Lots shipped per second, [R]."""
    lots: Floats = np.asarray(result.finished @ shipped(system), np.float64)
    return lots / result.time


def cycle_time(system: System, result: LineResult) -> Floats:
    """Mean cycle time in s of the lots shipped, [R]; NaN without any."""
    counted = result.finished * shipped(system)
    total = np.where(counted > 0, np.nan_to_num(result.cycle_mean) * counted, 0.0).sum(axis=1)
    lots = counted.sum(axis=1)
    mean: Floats = np.full(len(lots), np.nan)
    np.divide(total, lots, out=mean, where=lots > 0)
    return mean


@dataclass(frozen=True)
class Effect:
    """What one change brings.

    Attributes
    ----------
    throughput : change in lots per second; cycle_time : change in s; with 95 % intervals.
    replications : pairs of runs.
    sure : whether it raises the throughput beyond doubt; quicker : whether it shortens the cycle
        time so.  Of many changes a few would seem to at 95 % by chance; this is 95 % for all of
        them together (Bonferroni).
    """

    change: Change
    throughput: Interval
    cycle_time: Interval
    replications: int
    sure: bool
    quicker: bool


@dataclass(frozen=True)
class Sensitivity:
    """Effects of all changes, the best first.

    Attributes
    ----------
    throughput, cycle_time : of the line as it is, lots per second and s.
    """

    throughput: Interval
    cycle_time: Interval
    effects: tuple[Effect, ...] = field(default=())


def sensitivity(
    system: System,
    replications: int,
    run: Run,
    wanted: list[Change] | None = None,
    say: Callable[[int, int], object] | None = None,
    *,
    finalists: int = FINALISTS,
) -> Sensitivity:
    """Estimate what each change of a line brings.

    Where there are many changes, a few runs of each say which are worth looking at more closely;
    these are run again, with other streams, so that what looked good by chance is found out.

    Parameters
    ----------
    replications : pairs of runs of each finalist; two at least for an interval.
    run : simulates a line, with the same streams each time (`Runs`).
    wanted : changes to look at; None: all.
    say : called as ``say(done, pairs of runs)``.
    finalists : most changes that are looked at closely.
    """
    looked_at = changes(system) if wanted is None else wanted
    screened = len(looked_at) > finalists and replications > SCREEN
    first = SCREEN if screened else replications
    total = first * len(looked_at) + (replications * finalists if screened else 0)
    pairs = _Pairs(system, run, say, total)
    effects = [pairs.effect(change, first, 0, len(looked_at)) for change in looked_at]
    if screened:
        chosen = _promising(effects, finalists)
        again = [pairs.effect(effects[i].change, replications, 1, finalists) for i in chosen]
        rest = [replace(e, sure=False, quicker=False) for e in effects]
        effects = again + [rest[i] for i in range(len(rest)) if i not in chosen]
    rate, cycle = pairs.base(replications, int(screened))
    return Sensitivity(mean_interval(rate), known_interval(cycle), tuple(ranked(effects)))


def _promising(effects: list[Effect], count: int) -> list[int]:
    """Rows of the changes that seem best: three of four by throughput, the others by time."""
    by_rate = sorted(range(len(effects)), key=lambda i: -effects[i].throughput.estimate)
    by_time = sorted(
        range(len(effects)), key=lambda i: np.nan_to_num(effects[i].cycle_time.estimate)
    )
    most = count - count // 4
    return list(dict.fromkeys([*by_rate[:most], *by_time, *by_rate[most:]]))[:count]


class _Pairs:
    """Runs a line and changed copies of it with the same streams."""

    def __init__(
        self, system: System, run: Run, say: Callable[[int, int], object] | None, total: int
    ) -> None:
        self.system, self.run, self.say = system, run, say
        self.done, self.total = 0, total
        self._bases: dict[tuple[int, int], tuple[Floats, Floats]] = {}

    def base(self, replications: int, stream: int) -> tuple[Floats, Floats]:
        """Throughput and cycle time of the line as it is, [R]."""
        key = replications, stream
        if key not in self._bases:
            result = self.run(self.system, replications, stream)
            self._bases[key] = throughput(self.system, result), cycle_time(self.system, result)
        return self._bases[key]

    def effect(self, change: Change, replications: int, stream: int, among: int) -> Effect:
        """What a change brings, of which there are so many."""
        if self.say is not None:
            self.say(self.done, self.total)
        rate, cycle = self.base(replications, stream)
        changed = change.apply(self.system)
        result = self.run(changed, replications, stream)
        more, sooner = throughput(changed, result) - rate, cycle_time(changed, result) - cycle
        strict = 1 - 0.05 / (2 * among)  # of both throughput and cycle time
        self.done += replications
        if self.say is not None and self.done >= self.total:
            self.say(self.total, self.total)
        return Effect(
            change,
            mean_interval(more),
            known_interval(sooner),
            replications,
            sure=mean_interval(more, strict).low > 0,
            quicker=known_interval(sooner, strict).high < 0,
        )


def ranked(effects: list[Effect]) -> list[Effect]:
    """Sort effects: those that surely raise throughput, then those that surely save time."""

    def key(effect: Effect) -> tuple[int, float]:
        if effect.sure:
            return 0, -effect.throughput.estimate
        if effect.quicker:
            return 1, effect.cycle_time.estimate
        return 2, -effect.throughput.estimate

    return sorted(effects, key=key)


def known_interval(samples: Floats, confidence: float = 0.95) -> Interval:
    """Interval of the mean of the samples that are known; NaN without any."""
    known = samples[~np.isnan(samples)]
    if not len(known):
        return Interval(np.nan, np.nan, np.nan)
    return mean_interval(known, confidence)
