"""Statistics in time: the end of a report period, the end of the warm-up, the end of a run."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_inner
from firsttoken.kernel.events import clock
from firsttoken.kernel.sketch import BUCKETS
from firsttoken.line.engine_pools import account
from firsttoken.line.engine_servers import N_STATES
from firsttoken.line.result import DOWN, SETUP, WORKING
from firsttoken.line.state import (
    classes,
    counts,
    edges,
    histograms,
    line,
    lots,
    period_pools,
    periods,
    places,
    resources,
    servers,
    state_times,
)


@compiled_inner
def next_edge(m: Any) -> None:
    """Find the next moment at which statistics want something: a period's end or the warm-up's."""
    state = line(m, 0)
    state.next_edge = np.inf
    if state.period < state.periods:
        state.next_edge = edges(m, state.period + 1).v
    if state.warmup < state.next_edge and state.start < state.warmup:
        state.next_edge = state.warmup


@compiled_apart
def end_period(m: Any) -> None:
    """Close a report period, or begin the statistics at the end of the warm-up."""
    state = line(m, 0)
    now = clock(m, 0).now
    if now == state.warmup and state.start < now:
        start_statistics(m)
    if state.period < state.periods and now >= edges(m, state.period + 1).v:
        n = state.pools + state.products
        for r in range(n):
            account(m, r)
            period_pools(m, state.period * n + r).v = resources(m, r).period_area
            resources(m, r).period_area = 0.0
        for c in range(state.classes):
            periods(m, state.period * state.classes + c).lots = classes(m, c).lots
        state.period += 1
    next_edge(m)


@compiled_apart
def start_statistics(m: Any) -> None:
    """Forget what was counted so far; what is under way counts from now on."""
    state = line(m, 0)
    now = clock(m, 0).now
    settle(m)
    state.start = now
    for s in range(state.stations):
        place = places(m, s)
        place.queue_area = -now * place.queued
        place.short_area = 0.0
        place.wait = 0.0
        place.waits = 0
        place.operations = 0
        place.pieces = 0
        place.failed = 0
        place.bottleneck = 0.0
        for k in range(N_STATES):
            state_times(m, s * N_STATES + k).v = 0.0
    for r in range(state.pools + state.products):
        resource = resources(m, r)
        resource.used_area = 0.0
        resource.level_area = 0.0
        resource.short_time = 0.0
        resource.peak = resource.used
    for c in range(state.classes):
        group = classes(m, c)
        group.area = -now * group.lots
        group.released = 0
        group.finished = 0
        group.scrapped = 0
        group.on_time = 0
        group.dated = 0
        group.late = 0.0
        group.cycle = 0.0
        group.cycle2 = 0.0
        group.raw = 0.0
        group.escapes = 0
        for k in range(BUCKETS):
            histograms(m, c * BUCKETS + k).v = 0
    for k in range(state.steps):
        counts(m, k).missed = 0
        counts(m, k).rework = 0
    _lie_ahead(m, 1.0)


@compiled_inner
def _lie_ahead(m: Any, sign: float) -> None:
    """Count change-overs and repairs within operations in hand that are still to come, or not.

    They were counted in full when the operation began: the part after now is taken away (-1) from
    the time that ends, and given (1) to the time that begins.
    """
    now = clock(m, 0).now
    for v in range(line(m, 0).servers):
        server = servers(m, v)
        row = int(server.lot)
        while row >= 0:
            lot = lots(m, row)
            left = lot.left if lot.finish > 1e300 else lot.finish - now
            worn = min(max(left - lot.work, 0.0), lot.worn)
            setup = min(max(left - lot.work - lot.worn, 0.0), lot.setup)
            at = server.station * N_STATES
            state_times(m, at + DOWN).v += sign * worn
            state_times(m, at + SETUP).v += sign * setup
            state_times(m, at + WORKING).v -= sign * (worn + setup)
            row = int(lot.next)


@compiled_inner
def settle(m: Any) -> None:
    """Bring all integrals up to now."""
    state = line(m, 0)
    now = clock(m, 0).now
    _lie_ahead(m, -1.0)
    for v in range(state.servers):
        server = servers(m, v)
        state_times(m, server.station * N_STATES + server.state).v += now - server.since
        server.since = now
    for r in range(state.pools + state.products):
        account(m, r)
        resource = resources(m, r)
        if resource.short > 0:
            resource.short_time += now - resource.short_since
            resource.short_since = now
    for s in range(state.stations):
        place = places(m, s)
        if place.short >= 0:
            place.short_area += place.free * (now - place.short_since)
            place.short_since = now
    if state.bottleneck >= 0:
        places(m, state.bottleneck).bottleneck += now - state.bottleneck_since
        state.bottleneck_since = now
