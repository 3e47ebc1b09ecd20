"""The simulation of a training job: replications on all cores, results as arrays, books checked."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.parameters import (
    ParameterTable,
    SeriesTable,
    check_tables,
    draw_parameters,
    evaluate_series,
    fixed_parameters,
)
from firsttoken.kernel.random import FAILURE, log_normal_float, uniform
from firsttoken.kernel.replicate import replicate
from firsttoken.kernel.streams import entity_key
from firsttoken.serving import training_state as of
from firsttoken.serving.training_engine import fresh_state, run
from firsttoken.serving.training_state import Course, Draws, Floats, Ints, Work
from firsttoken.serving.training_theory import daly_interval
from firsttoken.twin.findings import BalanceError, Finding, TwinError
from firsttoken.twin.parameters import Input

BLOCK = 8
NONE = -1
"""Row of what is not said."""


class TrainingRows(NamedTuple):
    """Rows of the parameter table, NONE where nothing is said; see `training_state.Work`.

    Attributes
    ----------
    seconds : time of a step, s; factor : on the speed; tokens : tokens of a step; target : tokens
        of the whole job.
    begin : s from the twin's start; interval : NONE for the optimum of Daly (2006).
    mtbf, replace : by kind of failure, [K].
    train, still, base, repair : W of a GPU and its host while it trains, while it holds the job
        without computing, without work, and while its node is in repair.
    """

    seconds: int
    factor: int
    tokens: int
    target: int
    begin: int
    spares: int
    interval: int
    pause: int
    write: int
    mtbf: Ints
    replace: Ints
    train: int
    still: int
    base: int
    repair: int


class Share(NamedTuple):
    """What a pool of GPUs takes of a cap on power.

    Attributes
    ----------
    number : row of `series`; per_rack, watts : rows of `parameters`, GPUs of one of them (NONE: 1)
        and W of a GPU with its host at their limits.
    others, base : rows of `parameters`, W that are kept for a GPU without training where services
        come first: at its limit if any run on the pool; and where training does: without work.
    trained : GPUs that all training jobs hold.
    """

    number: int
    per_rack: int
    watts: int
    others: int
    base: int
    trained: float


class TrainingLaw(NamedTuple):
    """What a step consists of, as predicted; NaN where the time of a step is declared.

    Attributes
    ----------
    terms : s of a step by term, of the physics alone.
    median, low, high : s of a step, and the ends of its 90 % interval.
    flops : FLOP of a step as papers count them; peak : FLOP/s of a GPU in the job's format.
    memory : bytes on the fullest rank by what they are for, their `total` with all activations
        kept, and those `there`.
    """

    terms: Mapping[str, float]
    median: float
    low: float
    high: float
    flops: float
    peak: float
    memory: Mapping[str, float]


class TrainingSystem(NamedTuple):
    """A compiled training job.

    Attributes
    ----------
    name : path of the job; kinds : names of the kinds of failures, [K].
    rows : rows of `parameters`; draws : what is drawn at each use: rows 0 to 2 are start, load
        and repair, row 3 + k is how long failures of kind k take to be noticed.
    keeps : kinds before which a checkpoint is written (planned stops), [K].
    gpus, speed : rows of `series`: GPUs (or racks) of the pool, and share of full speed (NONE: 1).
    per_rack, factors : row of `parameters`, NONE if `gpus` counts GPUs; rows of `series` on it.
    taken : GPUs of the pool that jobs before it hold.
    cap : row of `series`, W of all pools together (NONE: no cap); first : who keeps its speed
        under it (`nobody`: each GPU has its share by its limit); pools : of the factory; own :
        which of them is the job's.
    replica, replicas : GPUs of a data-parallel replica, and replicas; node : GPUs of a node.
    moments : edges between which the series are constant, s from the twin's start, f8[M + 1].
    edges : of the periods that are reported, f8[B + 1].
    prices : rows of `series`: USD for a GPU and second, USD/J, and energy of the site over that
        of IT.
    law : what a step consists of.
    inputs, users : of the parameters, for the table of inputs.
    """

    name: str
    kinds: tuple[str, ...]
    parameters: ParameterTable
    series: SeriesTable
    rows: TrainingRows
    draws: Draws
    keeps: NDArray[np.bool_]
    gpus: int
    speed: int
    per_rack: int
    factors: tuple[int, ...]
    taken: float
    cap: int
    first: str
    pools: tuple[Share, ...]
    own: int
    replica: float
    replicas: float
    node: float
    elastic: bool
    moments: Floats
    edges: Floats
    prices: tuple[int, int, int]
    law: TrainingLaw
    inputs: tuple[Input, ...] = ()
    users: Mapping[str, list[str]] = MappingProxyType({})

    @property
    def held(self) -> float:
        """GPUs that the job holds, spares (at their mean) included."""
        row = self.rows.spares
        spares = 0.0 if row == NONE else round(float(fixed_parameters(self.parameters)[row]))
        return (math.ceil(self.replica * self.replicas / self.node - 1e-9) + spares) * self.node

    @property
    def idle(self) -> float:
        """W of a GPU and its host without work, at the mean."""
        row = self.rows.base
        return 0.0 if row == NONE else float(fixed_parameters(self.parameters)[row])


@dataclass(frozen=True, slots=True)
class TrainingState:
    """A job at a moment: what is needed to go on.

    Attributes
    ----------
    identity : text that jobs share whose states fit each other.
    state : f8[STATE]; repairs : f8[nodes], when nodes in repair are back.
    """

    identity: str
    state: Floats
    repairs: Floats

    @property
    def time(self) -> float:
        """Moment, s from the twin's start."""
        return float(self.state[of.TIME])


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What R replications of a job did.

    Attributes
    ----------
    time : s simulated; seed : of the run.
    period : counts by report period, f8[R, B, COUNTS], see `training_state`.
    kinds : failures by kind, f8[R, K].
    finish : s from the twin's start at which the target is reached, f8[R]; NaN: not reached.
    interval : s between checkpoints, f8[R]; seconds : time of a step, f8[R].
    """

    time: float
    seed: int
    period: Floats
    kinds: Floats
    finish: Floats
    interval: Floats
    seconds: Floats


def simulate_training(
    system: TrainingSystem,
    replications: int,
    seed: int,
    initial_state: TrainingState | None = None,
    *,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
) -> TrainingResult:
    """Simulate a training job.

    Parameters
    ----------
    system : the compiled job.
    replications, seed : replication r draws its numbers at (seed, r); results do not depend on
        the threads.
    initial_state : state from which all replications go on; None: the job's own start.
    threads, progress, cancel : as in `kernel.replicate.replicate`.

    Raises
    ------
    TwinError
        If the state belongs to another job or lies behind the end.
    BalanceError
        If tokens or GPU-hours do not balance: a defect of the engine.
    CancelledError
        If it was cancelled.
    """
    check_tables(system.parameters, system.series)
    if initial_state is not None:
        check_state(system, initial_state)
    period = np.zeros((replications, len(system.edges) - 1, of.COUNTS))
    kinds = np.zeros((replications, len(system.kinds)))
    finish = np.full(replications, np.nan)
    interval, seconds = np.zeros(replications), np.zeros(replications)
    end = float(system.edges[-1])

    def task(low: int, high: int) -> None:
        for r in range(low, high):
            drawn = Replication(system, seed, r, initial_state)
            drawn.advance(end, system.edges, period[r], kinds[r])
            reached = drawn.state[of.FINISHED]
            finish[r] = reached if math.isfinite(reached) else np.nan
            interval[r], seconds[r] = drawn.work.interval, drawn.seconds

    replicate(task, replications, block=BLOCK, threads=threads, progress=progress, cancel=cancel)
    since = 0.0 if initial_state is None else initial_state.time
    return TrainingResult(end - since, seed, period, kinds, finish, interval, seconds)


def snapshot(system: TrainingSystem, seed: int, replication: int, at: float) -> TrainingState:
    """Run one replication to a moment (s from the twin's start) and return its state."""
    drawn = Replication(system, seed, replication, None)
    counts = np.zeros((len(system.edges) - 1, of.COUNTS))
    drawn.advance(at, system.edges, counts, np.zeros(len(system.kinds)))
    return TrainingState(identity(system), drawn.state, drawn.repairs)


def course_of_power(
    system: TrainingSystem,
    seed: int,
    replication: int,
    edges: Floats,
    initial_state: TrainingState | None = None,
) -> tuple[Floats, Floats]:
    """Power of the GPUs that a job holds and of their hosts, on a grid as fine as one likes.

    Parameters
    ----------
    edges : s from the twin's start, rising, f8[S + 1], within the simulated time.
    initial_state : state to go on from, no later than the first edge; None: the job's own start.

    Returns
    -------
    Mean power of each step, W, f8[S], with the dips of checkpoints and failures; and counts,
    f8[S, COUNTS].
    """
    drawn = Replication(system, seed, replication, initial_state)
    kinds = np.zeros(len(system.kinds))
    if edges[0] > drawn.state[of.TIME]:
        counts = np.zeros((len(system.edges) - 1, of.COUNTS))
        drawn.advance(float(edges[0]), system.edges, counts, kinds)
    fine = np.zeros((len(edges) - 1, of.COUNTS))
    drawn.advance(float(edges[-1]), edges, fine, kinds)
    return power_of(system, fine), fine


def course_of_gpus(
    system: TrainingSystem,
    seed: int,
    replication: int,
    edges: Floats,
    initial_state: TrainingState | None = None,
) -> tuple[Floats, Floats]:
    """What a job takes from others that share its pool, by tick.

    Parameters
    ----------
    edges : of ticks, s from the twin's start, rising, f8[T + 1]; a state lies on one of them.

    Returns
    -------
    Power of its GPUs and hosts, W, and GPUs that it holds, spares included, f8[T] each.  Both are
    0 in ticks that end before it begins or start after it is finished; power before a state, too.
    """
    first, held = 0, np.full(len(edges) - 1, system.held)
    if initial_state is not None:
        first = int(np.searchsorted(edges, initial_state.time - 1e-9))
        begin = Replication(system, seed, replication, None).work.begin
        finished = initial_state.state[of.FINISHED]
        held[(edges[1:] <= begin + 1e-9) | (edges[:-1] >= finished - 1e-9)] = 0.0
        held[first:] = system.held
    power = np.zeros(len(held))
    power[first:], counts = course_of_power(system, seed, replication, edges[first:], initial_state)
    offered, free = counts[:, of.OFFERED], counts[:, of.FREE]
    idle = first + np.flatnonzero((free > 0.0) & (free >= offered * (1.0 - 1e-9)))
    power[idle], held[idle] = 0.0, 0.0
    return power, held


def power_of(system: TrainingSystem, counts: Floats) -> Floats:
    """Mean power of the GPUs that a job holds, W, of counts [..., COUNTS].

    Before it begins and after it is finished they take their power without work.
    """
    energy = counts[..., of.ENERGY] + counts[..., of.FREE] * system.idle
    seconds = counts[..., of.SECONDS]
    found = np.zeros(energy.shape)
    np.divide(energy, seconds, out=found, where=seconds > 0)
    return found


def prices(system: TrainingSystem, replications: int, seed: int) -> Floats:
    """Mean prices by report period, f8[3, R, B]: USD for a GPU and second, USD/J, PUE."""
    found = np.empty((3, replications, len(system.edges) - 1))
    values = np.empty(len(system.parameters.code))
    levels = np.empty((len(system.series.kind), len(system.edges) - 1))
    for r in range(replications):
        draw_parameters(system.parameters, seed, r, values)
        evaluate_series(system.series, system.parameters, values, system.edges, seed, r, levels)
        found[:, r] = levels[list(system.prices)]
    return found


def identity(system: TrainingSystem) -> str:
    """A text that jobs share whose states fit each other."""
    size = f"{system.replica:g} x {system.replicas:g} of {system.node:g}"
    return f"{system.name} {size} {' '.join(system.kinds)}"


def check_state(system: TrainingSystem, state: TrainingState) -> None:
    """Raise `TwinError` if a state belongs to another job or lies behind the end."""
    if state.identity != identity(system):
        what = "the state is of another training job"
        why, hint = "its GPUs or kinds of failures differ", "take the state from the same twin file"
    elif state.time >= system.edges[-1]:
        what = f"the state is at {state.time:g} s, after the end at {system.edges[-1]:g} s"
        why, hint = "", "lengthen the horizon"
    else:
        return
    raise TwinError(Finding(what, why, hint, system.name, "snapshot"))


class Replication:
    """One replication: its numbers, drawn, and where it stands."""

    def __init__(
        self, system: TrainingSystem, seed: int, replication: int, state: TrainingState | None
    ) -> None:
        self.seed, self.replication, self.name = seed, replication, system.name
        values = np.empty(len(system.parameters.code))
        draw_parameters(system.parameters, seed, replication, values)
        factor = 1.0 if system.rows.factor == NONE else float(values[system.rows.factor])
        self.seconds = float(values[system.rows.seconds]) / factor
        self.work = _work(system, values)
        self.course = _course(system, values, seed, replication)
        nodes = math.ceil(system.replica * system.replicas / system.node) + self.work.spares
        if state is None:
            key = entity_key(f"{system.name}.failures")
            first = -log_normal_float(uniform(seed, replication, key, FAILURE, 0))
            self.state = fresh_state(first)
            self.repairs = np.zeros(int(nodes) + 1)
        else:
            self.state, self.repairs = state.state.copy(), np.zeros(int(nodes) + 1)
            broken = state.repairs[: int(state.state[of.BROKEN])][: int(nodes) + 1]
            self.repairs[: len(broken)], self.state[of.BROKEN] = broken, len(broken)

    def advance(self, end: float, edges: Floats, out: Floats, kinds: Floats) -> None:
        """Run to `end` and add to the counts; raises `BalanceError` if books do not balance."""
        if run(
            self.work,
            self.course,
            np.ascontiguousarray(edges, dtype=np.float64),
            end,
            self.seed,
            self.replication,
            self.state,
            self.repairs,
            out,
            kinds,
        ):
            raise BalanceError(f"the books of {self.name} do not balance")


def _work(system: TrainingSystem, values: Floats) -> Work:
    """The job with the numbers of a replication."""
    rows = system.rows

    def number(row: int, nothing: float) -> float:
        return nothing if row == NONE else float(values[row])

    mtbf = np.maximum(values[rows.mtbf], 1e-3) if len(rows.mtbf) else np.full(1, math.inf)
    pause, write = number(rows.pause, 0.0), number(rows.write, 0.0)
    gpus = system.replica * system.replicas
    interval = number(rows.interval, math.nan)
    if math.isnan(interval):
        # What a whole checkpoint costs; one that is written beside costs no time, but is due
        # no sooner than the one before is whole.
        danger = gpus * float(np.sum(1.0 / mtbf))
        between = 1.0 / danger if danger > 0 else math.inf
        interval = max(daly_interval(max(pause, 1.0), between), write)
    train, still = number(rows.train, 0.0), number(rows.still, 0.0)
    watts = np.full(of.STATES, still)
    watts[of.TRAINING], watts[of.REPAIR], watts[of.FREE] = train, number(rows.repair, 0.0), 0.0
    count = max(len(system.kinds), 1)
    return Work(
        rate=number(rows.tokens, 0.0) / number(rows.seconds, 1.0) * number(rows.factor, 1.0),
        target=number(rows.target, math.inf),
        begin=number(rows.begin, 0.0),
        replica=system.replica,
        replicas=system.replicas,
        node=system.node,
        spares=math.floor(number(rows.spares, 0.0) + 0.5),
        elastic=system.elastic,
        interval=float(max(interval, 1e-3)),
        pause=pause,
        write=write,
        table=system.parameters.table,
        draws=system.draws,
        start=0,
        load=1,
        repair=2,
        mtbf=mtbf,
        replace=values[rows.replace] if len(rows.replace) else np.zeros(1),
        keeps=system.keeps if len(system.keeps) else np.zeros(1, dtype=np.bool_),
        detect=np.arange(3, 3 + count) if len(system.kinds) else np.zeros(1, dtype=np.int64),
        watts=watts,
        base=number(rows.base, 0.0),
    )


def _course(system: TrainingSystem, values: Floats, seed: int, replication: int) -> Course:
    """What changes with time in a replication."""
    levels = np.empty((len(system.series.kind), len(system.moments) - 1))
    evaluate_series(
        system.series, system.parameters, values, system.moments, seed, replication, levels
    )
    gpus = levels[system.gpus].copy()
    if system.per_rack != NONE:
        gpus *= values[system.per_rack]
    for row in system.factors:
        gpus *= levels[row]
    speed = np.ones(len(gpus)) if system.speed == NONE else np.clip(levels[system.speed], 0.0, 1.0)
    if system.cap != NONE:
        speed = np.minimum(speed, _under_cap(system, values, levels))
    return Course(system.moments, np.maximum(gpus - system.taken, 0.0), speed)


def _under_cap(system: TrainingSystem, values: Floats, levels: Floats) -> Floats:
    """Speed that a cap on the power of all GPUs leaves to the job's, f8[M]."""
    full = np.zeros(levels.shape[1])
    kept, trained = full.copy(), full.copy()
    for pool in system.pools:
        racks = 1.0 if pool.per_rack == NONE else float(values[pool.per_rack])
        there = levels[pool.number] * racks
        held = np.minimum(pool.trained, there)
        full += there * values[pool.watts]
        kept += (there - held) * values[pool.others if system.first == "services" else pool.base]
        trained += held * values[pool.watts]
    cap, own = levels[system.cap], values[system.pools[system.own].watts]
    if system.first == "nobody":
        limit = own * cap / np.maximum(full, 1.0)
    else:
        limit = own * np.maximum(cap - kept, 0.0) / np.maximum(trained, 1.0)
    rows = system.rows
    base, train = float(values[rows.base]), float(values[rows.train])
    room = np.clip((limit - base) / max(train - base, 1e-9), 0.0, 1.0)
    return np.asarray(room ** (1.0 / of.EXPONENT))
