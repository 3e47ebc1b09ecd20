"""Services in mode `requests`: one replication as the request engine reads and reports it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from firsttoken.kernel.streams import entity_key
from firsttoken.serving import deployment as to
from firsttoken.serving import result as of
from firsttoken.serving.arrivals import traffic_of
from firsttoken.serving.case import Case, Served, goals_in_replicas, groups_of, seen_by_users
from firsttoken.serving.laws import law_of
from firsttoken.serving.perf_speculation import accepted_tokens
from firsttoken.serving.requests_result import QUANTILES, RequestResult, Snapshot
from firsttoken.serving.requests_simulate import simulate, snapshot
from firsttoken.serving.requests_system import (
    CAP,
    COUNT,
    ROUTINGS,
    SPEED,
    Change,
    Pool,
    Requests,
    Scaling,
    System,
    Tenant,
)
from firsttoken.serving.timeline import Group
from firsttoken.twin.findings import Finding, TwinError

SHOWN = [QUANTILES.index(share) for share in of.PROBABILITIES]


def serve_requests(
    case: Case, row: int, cancel: threading.Event | None, *, every: int = 1
) -> Served:
    """Simulate one service (by its row) request by request.

    Parameters
    ----------
    every : one replica in so many is simulated, with its part of the requests.

    Raises
    ------
    TwinError
        If the model leaves no memory for KV, or a chunk is smaller than the batch.
    BalanceError
        If requests, tokens, blocks or energy do not balance.
    """
    system = _system(case, row, every)
    if system is None:
        return nothing(case, row, 1 if case.system.services[row].prefill is None else 2)
    begun = None
    if case.begun is not None:
        begun = case.begun.requests.get(row)
        if begun is None:
            name = case.system.services[row].name
            what = f"the state has no requests of {name!r}, which had no replica then"
            raise TwinError(Finding(what, "", "begin at the twin's start", name, "snapshot"))
    found = simulate(
        system,
        1,
        case.seed,
        initial_state=begun,
        horizon=case.end,
        threads=1,
        cancel=cancel,
        first=case.replication,
    )
    return _served(case, row, found)


def snapshot_requests(case: Case, row: int, *, every: int = 1) -> Snapshot | None:
    """State of one service (by its row) at the end of a case; None if it never has a replica."""
    system = _system(case, row, every)
    return None if system is None else snapshot(system, case.seed, case.replication, case.end)


def _system(case: Case, row: int, every: int) -> System | None:
    """A service as the request engine reads it; None if it never has a replica."""
    service = case.system.services[row]
    own, prefill = groups_of(case.line, row)
    groups = [own] if prefill is None else [prefill, own]
    part = np.ones(len(own.count))
    if every > 1:
        whole = own.count
        groups = [thinned(group, every) for group in groups]
        part = np.divide(groups[-1].count, whole, out=np.zeros_like(whole), where=whole > 0.0)
    if not all(group.count.max() >= 1.0 for group in groups):
        return None
    goals = goals_in_replicas(service, case.drawn)
    return System(
        pool=_pool(case, service, groups[0]),
        decode=None if prefill is None else _pool(case, service, groups[1]),
        traffic=traffic_of(case, row, part),
        tenants=tuple(Tenant(s.name, s.priority, *goals) for s in service.streams),
        horizon=case.system.horizon,
        hash_block=hash_block(service),
        changes=tuple(_changes(case, groups)),
        tick=case.system.step,
        edges=case.system.edges,
        key=entity_key(f"serving.{case.system.name}.services.{service.name}"),
    )


def thinned(group: Group, every: int) -> Group:
    """One replica in so many of a group, at least one where there is any."""
    count = np.where(group.count > 0.0, np.maximum(np.round(group.count / every), 1.0), 0.0)
    left = np.divide(count, group.count, out=np.ones_like(count), where=group.count > 0.0)
    return replace(group, count=count, cap=group.cap * left)


def with_sample(flows: Served, sampled: Served) -> Served:
    """What flows say, with latencies and shares that reach all goals of the simulated replicas."""
    period = flows.period.copy()
    ended, good = sampled.period[:, of.FINISHED], sampled.period[:, of.ATTAINED]
    share = np.divide(good, ended, out=np.zeros_like(good), where=ended > 0.0)
    period[:, of.ATTAINED] = period[:, of.FINISHED] * share
    done = np.maximum(sampled.tenants[:, :1].sum(), 1.0)
    tenants = sampled.tenants / done * period[:, of.FINISHED].sum()
    return replace(flows, period=period, latency=sampled.latency, tenants=tenants)


def hash_block(service: to.Service) -> int:
    """Tokens of a block of hashes: those of the traces, which agree."""
    traces = [stream.trace for stream in service.streams if stream.trace is not None]
    return traces[0].hash_block if traces else service.engine.block


def nothing(case: Case, row: int, groups: int) -> Served:
    """What a service without replicas does: its requests come, and wait."""
    service, edges = case.system.services[row], case.line.edges
    ticks = np.zeros((len(edges) - 1, of.COUNTS))
    for arrival in _arrivals(case, row):
        tick = np.searchsorted(edges, arrival, side="right") - 1
        ticks[:, of.ARRIVED] += np.bincount(tick, minlength=len(ticks))
        # what is left of its own tick; the later ones follow below
        ticks[:, of.WAITING] += np.bincount(tick, edges[tick + 1] - arrival, len(ticks))
    before = np.cumsum(ticks[:, of.ARRIVED]) - ticks[:, of.ARRIVED]
    ticks[:, of.WAITING] += before * np.diff(edges)
    ticks[edges[:-1] >= case.end - 1e-9] = 0.0
    none = np.zeros(len(ticks))
    return Served(
        period=np.add.reduceat(ticks, case.first, axis=0),
        latency=np.full((len(of.LATENCIES), len(of.PROBABILITIES) + 1), np.nan),
        tenants=np.zeros((len(service.streams), 2)),
        power=none,
        tokens=none,
        sequences=none,
        replicas=np.zeros((groups, len(ticks))),
    )


def _arrivals(case: Case, row: int) -> Iterator[to.Floats]:
    """Times at which the requests of a service come before the horizon, s, part after part."""
    traffic = traffic_of(case, row, np.ones(len(case.line.edges) - 1))
    if isinstance(traffic, Requests):
        parts: Iterator[Requests] = iter((traffic,))
    else:
        parts = traffic.chunks(case.seed, case.replication)
    for part in parts:
        yield part.arrival[part.arrival < case.line.edges[-1]]


def _pool(case: Case, service: to.Service, group: Group) -> Pool:
    engine, drawn = service.engine, case.drawn
    row = service.prefill if group.role == "prefill" else service.pool
    assert row is not None
    progress = 1.0
    if engine.drafted:
        progress += float(accepted_tokens(engine.drafted, drawn[engine.acceptance]))
    gpu = case.system.accelerators[row.on]
    mtbf, mttr = np.inf, 0.0
    if gpu.mtbf != to.NONE:
        mtbf, mttr = float(drawn[gpu.mtbf]) / group.gpus, float(drawn[gpu.mttr])
    replicas = int(group.count.max())
    ranks = int(group.layout.data)
    return Pool(
        law=law_of(case.system, service, row, group.layout, drawn),
        replicas=replicas,
        sequences=engine.sequences * ranks,
        chunk=engine.chunk * ranks,
        block=engine.block,
        routing=ROUTINGS.index(service.routing),
        prefix_cache=engine.prefix_cache,
        width=1 + engine.drafted,
        progress=progress,
        scaling=_scaling(row.scaling, drawn, replicas),
        mtbf=mtbf,
        mttr=mttr,
    )


def _scaling(scaling: to.Scaling | None, drawn: to.Floats, most: int) -> Scaling | None:
    if scaling is None:
        return None
    rows = (scaling.target, scaling.interval, scaling.startup, scaling.cooldown)
    return Scaling(min(scaling.least, most), *(float(drawn[row]) for row in rows))


def _changes(case: Case, groups: list[Group]) -> Iterator[Change]:
    """Every change of replicas, caps and speed, at the tick in which it happens."""
    times = case.line.edges[:-1]
    for pool, group in enumerate(groups):
        courses = ((COUNT, group.count), (CAP, group.cap), (SPEED, case.line.throttle))
        for what, course in courses:
            kept = np.flatnonzero(np.r_[True, course[1:] != course[:-1]])
            usual = {COUNT: group.count.max(), CAP: np.inf, SPEED: 1.0}[what]
            for tick in kept:
                if tick or course[0] != usual:
                    yield Change(float(times[tick]), pool, what, float(course[tick]))


def _served(case: Case, row: int, found: RequestResult) -> Served:
    """The engine's results as those of the room; its last pool decodes."""
    length = np.diff(case.line.edges)
    running, replicas = case.padded(found.running[0, -1]), case.padded(found.replicas[0].T).T
    ticks = np.zeros((len(length), of.COUNTS))
    ticks[:, of.OUTPUT] = case.padded(found.decoded[0].sum(axis=0)) * length
    ticks[:, of.SEQUENCES] = running * length
    ticks[:, of.WAITING] = case.padded(found.waiting[0].sum(axis=0)) * length
    ticks[:, of.REPLICA_SECONDS] = replicas[-1] * length
    period = np.add.reduceat(ticks, case.first, axis=0)
    for column, counts in (
        (of.ARRIVED, found.period_arrived),
        (of.FINISHED, found.period_finished),
        (of.ATTAINED, found.period_good),
        (of.PROMPT, found.period_prompt),
    ):
        period[:, column] = counts[0].sum(axis=-1)
    asked = max(float(found.asked[0].sum()), 1.0)
    period[:, of.KNOWN] = period[:, of.PROMPT] * found.found[0].sum() / asked
    # what the engine tells of the whole time only is told by the requests of a period
    share = period[:, of.FINISHED] / max(period[:, of.FINISHED].sum(), 1.0)
    thrown = float(found.preempted[0].sum() + found.restarted[0].sum())
    period[:, of.THROWN] = share * thrown
    period[:, of.REFUSED] = share * float(found.refused[0].sum())
    return Served(
        period=period,
        latency=seen_by_users(case.system.services[row], _latencies(found)),
        tenants=np.stack([found.finished[0], found.good[0]], axis=-1).astype(np.float64),
        power=case.padded(found.power[0].sum(axis=0)),
        tokens=ticks[:, of.OUTPUT] / length,
        sequences=running,
        replicas=replicas[::-1],
    )


def _latencies(found: RequestResult) -> to.Floats:
    """Quantiles over all tenants' requests and their mean, s, [3, 5]."""
    from firsttoken.kernel.sketch import fill_quantiles
    from firsttoken.serving.requests_state import SCALE

    out = np.full((len(of.LATENCIES), len(of.PROBABILITIES) + 1), np.nan)
    counted = found.counted[0].astype(np.float64)
    for row in range(len(of.LATENCIES)):
        sketch = found.sketch[:, row].sum(axis=0)
        fill_quantiles(sketch, np.array(of.PROBABILITIES), out[row, :-1])
        out[row, :-1] /= SCALE
        if counted.sum() > 0:
            out[row, -1] = np.nansum(found.mean[0, :, row] * counted) / counted.sum()
    return out
