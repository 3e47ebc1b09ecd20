"""The simulation of a token factory: training first, then services in their modes, books added up.

Services share GPUs and power, which one replication's timeline deals out before any engine runs;
then each service is simulated by itself, request by request or as flows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from firsttoken.kernel.parameters import check_tables, fixed_parameters
from firsttoken.kernel.replicate import replicate
from firsttoken.serving import deployment as to
from firsttoken.serving import result as of
from firsttoken.serving.case import Case, Served, groups_of
from firsttoken.serving.factory_system import Corrections
from firsttoken.serving.physics import hardware_of
from firsttoken.serving.plan import Layouts
from firsttoken.serving.result import FactoryResult, Floats, ServingState
from firsttoken.serving.simulate_fluid import corrections_of, serve_fluid, snapshot_fluid
from firsttoken.serving.simulate_requests import serve_requests, snapshot_requests, with_sample
from firsttoken.serving.stratified import draw_evenly, errors_of
from firsttoken.serving.timeline import Held, timeline


def simulate(
    system: to.System,
    replications: int,
    seed: int,
    *,
    layouts: Sequence[Layouts],
    trained: Callable[[int, Floats], Held] | None = None,
    initial_state: ServingState | None = None,
    until: float | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
) -> FactoryResult:
    """Simulate the services of a token factory.

    Parameters
    ----------
    system : the compiled factory.
    replications, seed : replication r draws its numbers at (seed, r); results do not depend on
        the threads.
    layouts : of the replicas of each service: its own, and those that prefill.
    trained : what training has, of a replication and the edges of the ticks; None: nothing.
    initial_state : state from which all replications go on; None: empty services.
    until : end, s from the twin's start, at the end of a tick; None: the horizon.
    threads, progress, cancel : as in `kernel.replicate.replicate`.

    Raises
    ------
    TwinError
        If requests fit into no replica.
    BalanceError
        If requests or tokens do not balance: a defect of an engine.
    CancelledError
        If it was cancelled.
    """
    check_tables(system.parameters, system.series)
    run = _Run(system, layouts, replications, seed, cancel, (initial_state, until))
    run.trained = trained
    run.correct()
    replicate(run.task, replications, block=1, threads=threads, progress=progress, cancel=cancel)
    return run.result()


def snapshot(
    system: to.System,
    seed: int,
    replication: int,
    at: float,
    *,
    layouts: Sequence[Layouts],
    trained: Callable[[int, Floats], Held] | None = None,
) -> ServingState:
    """Run one replication to the end of a tick (s from the twin's start) and return its state."""
    check_tables(system.parameters, system.series)
    run = _Run(system, layouts, 1, seed, None, (None, at))
    run.trained = trained
    run.correct()
    drawn = np.empty(len(system.parameters.code))
    draw_evenly(system.parameters, errors_of(system), seed, replication, drawn)
    case = run.case(drawn, replication)
    found = {}
    for row, service in enumerate(system.services):
        if service.mode != "fluid":
            every = service.sample if service.mode == "hybrid" else 1
            state = snapshot_requests(case, row, every=every)
            found.update({} if state is None else {row: state})
    return ServingState(at, seed, replication, snapshot_fluid(case, run.corrections), found)


def must_compile(system: to.System) -> bool:
    """Tell whether the first simulation of a factory has to wait for the compiler."""
    from firsttoken.serving import factory_engine, requests_engine

    if not system.services:
        return False
    flows = any(service.mode != "requests" for service in system.services)
    return requests_engine.must_compile() or (flows and factory_engine.must_compile())


def tick_edges(system: to.System) -> Floats:
    """Edges of the ticks, s from the start, [T + 1]; the last tick may be short."""
    count = int(np.ceil(system.horizon / system.step - 1e-9))
    return np.asarray(np.minimum(np.arange(count + 1) * system.step, system.horizon))


def between(system: to.System, begin: float, end: float) -> to.System:
    """A factory whose results are those from a moment to an end, s from the twin's start."""

    def cut(edges: Floats) -> Floats:
        inside = edges[(edges > begin) & (edges < end)]
        return np.concatenate([[begin], inside, [end]])

    return replace(system, edges=cut(system.edges), port_edges=cut(system.port_edges))


class _Run:
    """Replications on their way into a result."""

    def __init__(
        self,
        system: to.System,
        layouts: Sequence[Layouts],
        replications: int,
        seed: int,
        cancel: threading.Event | None,
        span: tuple[ServingState | None, float | None],
    ) -> None:
        self.layouts, self.seed, self.cancel = layouts, seed, cancel
        self.begun, until = span
        self.edges = tick_edges(system)
        self.begin = 0.0 if self.begun is None else self.begun.time
        self.end = system.horizon if until is None else until
        system = self.system = between(system, self.begin, self.end)
        self.ticks = slice(*np.searchsorted(self.edges, (self.begin - 1e-9, self.end - 1e-9)))
        services, pools = len(system.services), len(system.accelerators)
        periods, ticks = len(system.edges) - 1, self.ticks.stop - self.ticks.start
        self.period = np.zeros((replications, services, periods, of.COUNTS))
        self.pools = np.zeros((replications, pools, periods, of.POOL_COUNTS))
        shape = (replications, services, len(of.LATENCIES), len(of.PROBABILITIES) + 1)
        self.latency = np.full(shape, np.nan)
        self.tenants = tuple(
            np.zeros((replications, len(service.streams), 2)) for service in system.services
        )
        self.corrections: dict[int, Corrections] = {}
        self.trained: Callable[[int, Floats], Held] | None = None
        self.course = np.zeros((services, ticks, of.TICKS))
        self.peak = np.zeros(replications)
        self.port = np.searchsorted(self.edges[:-1], system.port_edges[:-1] - 1e-9)
        self.power = np.zeros((replications, pools, len(self.port)))
        self.gpus = np.zeros_like(self.power)
        # ticks begin in the report period that they belong to
        self.first = np.searchsorted(self.edges[:-1], system.edges[:-1] - 1e-9)

    def task(self, low: int, high: int) -> None:
        for r in range(low, high):
            self._replication(r)

    def result(self) -> FactoryResult:
        return FactoryResult(
            time=self.end - self.begin,
            begin=self.begin,
            seed=self.seed,
            period=self.period,
            pools=self.pools,
            latency=self.latency,
            tenants=self.tenants,
            course=self.course,
            tick=self.system.step,
            peak=self.peak,
            power=self.power,
            gpus=self.gpus,
        )

    def correct(self) -> None:
        """Find what the fluid law of services misses, once, with every parameter at its mean."""
        rows = [i for i, service in enumerate(self.system.services) if service.mode != "requests"]
        if rows:
            case = self.case(fixed_parameters(self.system.parameters), 0)
            self.corrections = {row: corrections_of(case, row) for row in rows}

    def case(self, drawn: Floats, r: int) -> Case:
        """A replication as the engines of the modes read it."""
        held, system = self._held(r), self.system
        line = timeline(system, drawn, self.layouts, held, self.edges, self.seed, r)
        return Case(system, drawn, line, self.first, self.seed, r, self.end, self.begun)

    def _replication(self, r: int) -> None:
        system, held = self.system, self._held(r)
        drawn = np.empty(len(system.parameters.code))
        draw_evenly(system.parameters, errors_of(system), self.seed, r, drawn)
        case = self.case(drawn, r)
        served = serve_fluid(case, self.corrections, self.cancel)
        for i, service in enumerate(system.services):
            if service.mode == "requests":
                served[i] = serve_requests(case, i, self.cancel)
            elif service.mode == "hybrid":
                sampled = serve_requests(case, i, self.cancel, every=service.sample)
                served[i] = with_sample(served[i], sampled)
        self._add_up(case, held, served, r)

    def _held(self, r: int) -> Held:
        """What training has, by tick."""
        if self.trained is not None:
            return self.trained(r, self.edges)
        ticks = len(self.edges) - 1
        return Held(np.zeros((len(self.system.accelerators), ticks)), np.zeros(ticks))

    def _add_up(self, case: Case, held: Held, served: dict[int, Served], r: int) -> None:
        """Counts by report period of services and pools, and the course of the first one."""
        system, line = self.system, case.line
        length = np.diff(self.edges)
        gpus = [hardware_of(pool, case.drawn) for pool in system.accelerators]
        used = np.zeros_like(line.available)
        pool_power = np.zeros_like(line.available)
        for row, found in served.items():
            own, prefill = groups_of(line, row)
            ticks = np.zeros((len(length), of.COUNTS))
            hosts = np.zeros(len(length))
            groups = [own] if prefill is None else [own, prefill]
            for group, count in zip(groups, found.replicas, strict=True):
                have = group.gpus * count
                used[group.on] += have
                hosts += have * gpus[group.on].host
                ticks[:, of.GPU_SECONDS] += have * length
                ticks[:, of.COST] += have * length * line.rent[group.on]
            pool_power[own.on] += found.power
            ticks[:, of.ENERGY] = found.power * length
            ticks[:, of.HOSTS] = hosts * length
            energy = ticks[:, of.ENERGY] + ticks[:, of.HOSTS]
            ticks[:, of.COST] += energy * line.pue * line.energy_price
            self.period[r, row] = found.period + np.add.reduceat(
                ticks[: self.ticks.stop], self.first, axis=0
            )
            self.latency[r, row] = found.latency
            self.tenants[row][r] = found.tenants
            if r == 0:
                columns = (found.power + hosts, found.tokens, found.replicas[0], found.sequences)
                self.course[row] = np.stack(columns, axis=-1)[self.ticks]
        self._pools(case, held, used, pool_power, r)

    def _pools(self, case: Case, held: Held, used: Floats, power: Floats, r: int) -> None:
        """Power and money of the pools, GPUs without work included."""
        system, line = self.system, case.line
        length = np.diff(self.edges)
        for row, pool in enumerate(system.accelerators):
            gpu = hardware_of(pool, case.drawn)
            others = line.available[row] - line.trained[row]
            idle = np.maximum(others - used[row], 0.0)
            power[row] += others * gpu.host + idle * gpu.idle
        whole = np.maximum(line.trained.sum(axis=0), 1e-9)
        power += held.power * line.trained / whole
        energy = power * length
        counts = np.zeros((*power.shape, of.POOL_COUNTS))
        counts[..., of.THERE] = line.available * length
        counts[..., of.USED] = used * length
        counts[..., of.TRAINED] = line.trained * length
        counts[..., of.POOL_ENERGY] = energy
        counts[..., of.POOL_COST] = (
            line.paid * length * line.rent + energy * line.pue * line.energy_price
        )
        stop = self.ticks.stop
        self.pools[r] = np.add.reduceat(counts[:, :stop], self.first, axis=1)
        self.peak[r] = power[:, self.ticks].sum(axis=0).max(initial=0.0)
        whole = np.diff(system.port_edges)
        self.power[r] = np.add.reduceat(energy[:, :stop], self.port, axis=1) / whole
        self.gpus[r] = np.add.reduceat(counts[:, :stop, of.THERE], self.port, axis=1) / whole
