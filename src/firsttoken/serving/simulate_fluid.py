"""Services in mode `fluid`: one replication as the fluid engine reads and reports it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from firsttoken.kernel.sketch import bucket_edges
from firsttoken.serving import deployment as to
from firsttoken.serving import factory_state as fluid
from firsttoken.serving import result as of
from firsttoken.serving.case import Case, Served, goals_in_replicas, groups_of, seen_by_users
from firsttoken.serving.factory_calibrate import calibrate
from firsttoken.serving.factory_compile import compile_factory
from firsttoken.serving.factory_sample import request_sampler
from firsttoken.serving.factory_simulate import (
    FactoryResult,
    FactoryState,
    simulate,
    snapshot,
    weighted_quantile,
)
from firsttoken.serving.factory_system import (
    NONE,
    Class,
    Corrections,
    Inputs,
    Pool,
    Scaling,
    Service,
    System,
)
from firsttoken.serving.factory_tables import cut_lengths
from firsttoken.serving.laws import law_of
from firsttoken.serving.lengths import prompt_tokens, sample_of
from firsttoken.serving.perf_speculation import accepted_tokens
from firsttoken.serving.rates import dispersion_of, rate_of
from firsttoken.serving.requests_system import ROUTINGS
from firsttoken.serving.timeline import Course, Group

SAMPLED = 4
"""Replicas of the runs that correct the fluid law."""

KEPT = 64
"""Services whose corrections are kept for other scenarios and runs of the same process."""

_known: dict[str, Corrections] = {}

SUMS = (
    (of.ARRIVED, fluid.ARRIVED),
    (of.FINISHED, fluid.FINISHED),
    (of.ATTAINED, fluid.ATTAINED),
    (of.OUTPUT, fluid.DECODED),
    (of.THROWN, fluid.LOST),
)
MEANS = (
    (of.SEQUENCES, fluid.DECODING),
    (of.WAITING, fluid.WAITING),
    (of.REPLICA_SECONDS, fluid.REPLICAS),
)
"""Columns of the room and of the engine."""

SKETCHES = {of.TTFT: fluid.BY_TTFT, of.TPOT: fluid.BY_TPOT, of.E2E: fluid.BY_E2E}


def serve_fluid(
    case: Case, corrections: Mapping[int, Corrections], cancel: threading.Event | None
) -> dict[int, Served]:
    """Simulate services as flows, those whose rows `corrections` has.

    Raises
    ------
    TwinError
        If requests fit into no replica.
    BalanceError
        If requests or tokens do not balance.
    """
    rows = list(corrections)
    if not rows:
        return {}
    compiled = _compiled(case, corrections)
    begun = case.begun.fluid if case.begun is not None else None
    # a call for each replication: its law and its inputs are its own
    found = simulate(
        compiled,
        1,
        case.seed,
        number=case.replication,
        initial_state=begun,
        ticks=ticks_until(case, case.end) - (int(begun.state.tick[0]) if begun else 0),
        threads=1,
        cancel=cancel,
    )
    first = np.cumsum([0, *(len(case.system.services[row].streams) for row in rows)])
    return {
        row: _served(case, row, found, number, slice(first[number], first[number + 1]))
        for number, row in enumerate(rows)
    }


def snapshot_fluid(case: Case, corrections: Mapping[int, Corrections]) -> FactoryState | None:
    """State of the services that `corrections` has at the end of a case; None: there are none."""
    if not corrections:
        return None
    ticks = ticks_until(case, case.end)
    return snapshot(_compiled(case, corrections), case.seed, case.replication, ticks)


def ticks_until(case: Case, end: float) -> int:
    """Ticks from the twin's start to the one that reaches a moment, s."""
    return int(np.searchsorted(case.line.edges[1:], end - 1e-9)) + 1


def _compiled(case: Case, corrections: Mapping[int, Corrections]) -> System:
    services = [_service(case, row, found) for row, found in corrections.items()]
    return compile_factory(services, _inputs(case, list(corrections)), case.system.step)


def corrections_of(case: Case, row: int) -> Corrections:
    """What runs of the request mode say that the fluid law of a service misses.

    A few replicas at several loads stand for all: routing and scheduling are those of the service.
    """
    service = case.system.services[row]
    fluid = _service(case, row, NONE)
    course = Course(case.system, case.drawn, case.line.edges, case.seed, case.replication)
    ordered = by_priority(service)
    weights = np.array([rate_of(stream, course).sum() for stream in ordered])
    if not weights.sum() > 0.0:
        return NONE
    bursts = [1.0 if s.trace is not None else float(case.drawn[s.burstiness]) for s in ordered]
    burstiness = float(weights @ bursts / weights.sum())
    how = (ROUTINGS.index(service.routing), service.engine.block, burstiness)
    key = fingerprint((fluid, how, weights / weights.sum()))
    if key not in _known:
        routing, block, _ = how
        sampler = request_sampler(
            fluid, SAMPLED, routing=routing, block=block, burstiness=burstiness, weights=weights
        )
        if len(_known) >= KEPT:
            _known.pop(next(iter(_known)))
        _known[key] = calibrate(fluid, sampler, SAMPLED)
    return _known[key]


def fingerprint(value: Any) -> str:
    """A hash of all that a service is for its corrections: numbers to the last bit."""
    digest = blake2b(digest_size=16)

    def add(part: Any) -> None:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode() + part.tobytes())
        elif isinstance(part, tuple):
            digest.update(f"({len(part)}".encode())
            for each in part:
                add(each)
        else:
            digest.update(repr(part).encode() + b";")

    add(value)
    return digest.hexdigest()


def _service(case: Case, row: int, corrections: Corrections) -> Service:
    service = case.system.services[row]
    own, prefill = groups_of(case.line, row)
    goals = goals_in_replicas(service, case.drawn)
    classes = []
    for stream in service.streams:
        sample = sample_of(case.system, stream, case.drawn)
        lengths = cut_lengths(sample.prompt, sample.output, sample.cached)
        spread = dispersion_of(stream, case.drawn)
        classes.append(Class(stream.name, lengths, stream.priority, spread, *goals))
    return Service(
        f"{case.system.name}.{service.name}",
        tuple(classes),
        _pool(case, service, own),
        None if prefill is None else _pool(case, service, prefill),
        corrections,
    )


def _pool(case: Case, service: to.Service, group: Group) -> Pool:
    engine, drawn = service.engine, case.drawn
    row = service.prefill if group.role == "prefill" else service.pool
    assert row is not None
    progress = 1.0
    if engine.drafted:
        progress += float(accepted_tokens(engine.drafted, drawn[engine.acceptance]))
    ranks = float(group.layout.data)
    return Pool(
        law_of(case.system, service, row, group.layout, drawn),
        chunk=engine.chunk * ranks,
        sequences=engine.sequences * ranks,
        imbalance=0.2 if service.routing == "least_loaded" else 0.5,
        width=1.0 + engine.drafted,
        progress=progress,
        scaling=_scaling(row.scaling, drawn),
    )


def _scaling(scaling: to.Scaling | None, drawn: to.Floats) -> Scaling | None:
    if scaling is None:
        return None
    rows = (scaling.target, scaling.interval, scaling.startup, scaling.cooldown)
    return Scaling(float(scaling.least), *(float(drawn[row]) for row in rows))


def _inputs(case: Case, rows: Sequence[int]) -> Inputs:
    """Rates, replicas, speeds, caps and losses by tick."""
    line = case.line
    rates = [rate for row in rows for rate in _rates(case, row)]
    pairs = [groups_of(line, row) for row in rows]
    groups = [own for own, _ in pairs] + [other for _, other in pairs if other is not None]
    rates_down, up = zip(*(_failures(case, group) for group in groups), strict=True)
    count = np.array([group.count for group in groups]) * np.array(up)[:, None]
    length = np.diff(line.edges)
    return Inputs(
        rate=np.array(rates),
        replicas=count,
        speed=np.broadcast_to(line.throttle, count.shape),
        cap=np.array([group.cap for group in groups]),
        lost=-np.expm1(-np.array(rates_down)[:, None] * length),
    )


def _failures(case: Case, group: Group) -> tuple[float, float]:
    """Failures/s of one replica, and the share of the time in which it is up, in the mean."""
    gpu = case.system.accelerators[group.on]
    if gpu.mtbf == to.NONE:
        return 0.0, 1.0
    mtbf = float(case.drawn[gpu.mtbf]) / group.gpus
    return 1.0 / mtbf, mtbf / (mtbf + float(case.drawn[gpu.mttr]))


def _rates(case: Case, row: int) -> list[to.Floats]:
    """Rates of the streams of a service, in the order of the engine: by falling priority."""
    course = Course(case.system, case.drawn, case.line.edges, case.seed, case.replication)
    return [rate_of(stream, course) for stream in by_priority(case.system.services[row])]


def by_priority(service: to.Service) -> list[to.Stream]:
    """Streams of a service as the engine orders them."""
    return sorted(service.streams, key=lambda stream: -stream.priority)


def _served(case: Case, row: int, found: FactoryResult, number: int, classes: slice) -> Served:
    """The engine's columns as those of the room."""
    rows, dt = case.padded(found.rows[0, number], found.first), found.dt
    ticks = np.zeros((len(rows), of.COUNTS))
    for column, source in SUMS:
        ticks[:, column] = rows[:, source]
    for column, source in MEANS:
        ticks[:, column] = rows[:, source] * dt
    service = case.system.services[row]
    ordered = by_priority(service)
    rates = np.array(_rates(case, row))
    come = np.maximum(rates.sum(axis=0), 1e-300)
    counts = found.sketch[0, classes]
    course = Course(case.system, case.drawn, case.line.edges, case.seed, case.replication)
    tenants = np.zeros((len(ordered), 2))
    for position, (stream, rate) in enumerate(zip(ordered, rates, strict=True)):
        done = counts[position, fluid.BY_E2E].sum()
        ended = ticks[:, of.FINISHED] * rate / come
        ended *= done / max(ended.sum(), 1e-300)
        ticks[:, [of.PROMPT, of.KNOWN]] += prompt_tokens(
            case.system, stream, course, ended, found.first
        )
        tenants[service.streams.index(stream)] = done, found.reached[0, classes][position]
    _, prefill = groups_of(case.line, row)
    columns = [fluid.REPLICAS] if prefill is None else [fluid.REPLICAS, fluid.PREFILLERS]
    return Served(
        period=np.add.reduceat(ticks, case.first, axis=0),
        latency=seen_by_users(service, _latencies(counts.sum(axis=0))),
        tenants=tenants,
        power=rows[:, fluid.POWER],
        tokens=rows[:, fluid.DECODED] / dt,
        sequences=rows[:, fluid.DECODING],
        replicas=rows[:, columns].T,
    )


def _latencies(counts: to.Floats) -> to.Floats:
    """Quantiles and mean of TTFT, TPOT and E2E, s, [3, 5]; NaN without requests."""
    edges = bucket_edges()
    middle = 0.5 * (edges[:-1] + edges[1:])
    found = np.full((len(of.LATENCIES), len(of.PROBABILITIES) + 1), np.nan)
    for row, sketch in SKETCHES.items():
        total = counts[sketch].sum()
        if total > 0:
            found[row, :-1] = [weighted_quantile(counts[sketch], p) for p in of.PROBABILITIES]
            found[row, -1] = counts[sketch] @ middle / total
    return found / fluid.SCALE
