"""What is counted while requests are simulated: series by tick, and what became of requests."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_fused, compiled_inner
from firsttoken.kernel.sketch import BUCKETS, bucket
from firsttoken.serving.requests_state import (
    BUSY,
    BY_E2E,
    BY_TPOT,
    BY_TTFT,
    COLUMNS,
    DECODE,
    DOWN,
    ENERGY,
    OFF,
    PREFILL,
    QUEUED,
    REPLICAS,
    RUNNING,
    SCALE,
    SKETCHES,
    counts,
    edges,
    gaps,
    periods,
    pools,
    records,
    replicas,
    sequences,
    series,
    sketches,
    tenants,
    world,
)


@compiled_inner
def tally(
    m: Any, p: int, start: float, end: float, joules: float, made: float, read: float, some: float
) -> None:
    """Spread the work of a replica of pool p from `start` to `end` over the ticks it lay in.

    Parameters
    ----------
    joules, made, read : energy above idle, tokens decoded, prompt tokens computed.
    some : sequences in hand.
    """
    state = world(m, 0)
    length = end - start
    low = max(start, state.since)
    high = min(end, state.until)
    if not high > low:
        return
    pools(m, p).busy += high - low
    pools(m, p).work += high - low
    pools(m, p).energy += joules * ((high - low) / length)
    k = min(int(low / state.tick), state.ticks - 1)
    while low < high:
        edge = high if k >= state.ticks - 1 else min(high, (k + 1) * state.tick)
        part = edge - low
        if part > 0.0:
            share = part / length
            row = (p * state.ticks + k) * COLUMNS
            series(m, row + ENERGY).v += joules * share
            series(m, row + DECODE).v += made * share
            series(m, row + PREFILL).v += read * share
            series(m, row + BUSY).v += part
            series(m, row + RUNNING).v += some * part
            low = edge
        k += 1


@compiled_fused
def count_first(m: Any, p: int) -> None:
    """Count the token that the end of a prompt yields at pool p."""
    state = world(m, 0)
    k = min(int(state.now / state.tick), state.ticks - 1)
    series(m, (p * state.ticks + k) * COLUMNS + DECODE).v += 1.0


@compiled_inner
def level(m: Any, p: int, column: int, value: float, start: float, end: float) -> float:
    """Add a level of pool p that lasted from `start` to `end` to the ticks; return its integral."""
    state = world(m, 0)
    low = max(start, state.since)
    high = min(end, state.until)
    if not high > low:
        return 0.0
    area = value * (high - low)
    k = min(int(low / state.tick), state.ticks - 1)
    while low < high:
        edge = high if k >= state.ticks - 1 else min(high, (k + 1) * state.tick)
        if edge > low:
            series(m, (p * state.ticks + k) * COLUMNS + column).v += value * (edge - low)
            low = edge
        k += 1
    return float(area)


@compiled_fused
def change_waiting(m: Any, p: int, change: int) -> None:
    """Let the sequences that wait at pool p be more or fewer."""
    pool = pools(m, p)
    now = world(m, 0).now
    if pool.waiting > 0:
        level(m, p, QUEUED, float(pool.waiting), pool.waiting_since, now)
    pool.waiting_since = now
    pool.waiting += change


@compiled_inner
def powered(m: Any, p: int) -> int:
    """Return the replicas of pool p that take power."""
    pool = pools(m, p)
    found = 0
    for r in range(pool.first, pool.first + pool.replicas):
        state = replicas(m, r).state
        if state != OFF and state != DOWN:
            found += 1
    return int(found)


@compiled_inner
def count_powered(m: Any, p: int) -> None:
    """Count the replicas of pool p that have taken power since their number last changed."""
    pool = pools(m, p)
    now = world(m, 0).now
    pool.up_area += level(m, p, REPLICAS, float(powered(m, p)), pool.up_since, now)
    pool.up_since = now


@compiled_fused
def period_now(m: Any) -> int:
    """Return the report period of the clock."""
    state = world(m, 0)
    while state.period < state.periods - 1 and state.now >= edges(m, state.period + 1).v:
        state.period += 1
    return int(state.period)


@compiled_inner
def count_arrival(m: Any, tenant: int) -> None:
    """Count a request that arrives."""
    world(m, 0).come += 1
    counts(m, tenant).arrived += 1
    periods(m, period_now(m) * world(m, 0).tenants + tenant).arrived += 1


@compiled_fused
def note(m: Any, tenant: int, kind: int, value: float) -> None:
    """Add a time to a sketch of a tenant."""
    sketches(m, (tenant * SKETCHES + kind) * BUCKETS + bucket(value * SCALE)).v += 1


@compiled_inner
def count_gaps(m: Any, p: int, second: float, tokens: int) -> None:
    """Count times between tokens of running sequences of pool p."""
    gaps(m, p * BUCKETS + bucket(second * SCALE)).v += tokens


@compiled_inner
def count_end(m: Any, s: int) -> None:
    """Count a request whose last token has just been made."""
    state = world(m, 0)
    seq = sequences(m, s)
    row = counts(m, seq.tenant)
    ttft = seq.first - seq.arrival
    e2e = state.now - seq.arrival
    tpot = (state.now - seq.first) / (seq.output - 1) if seq.output > 1 else 0.0
    row.finished += 1
    row.prompt += seq.prompt
    row.output += seq.output
    goal = tenants(m, seq.tenant)
    soon = ttft <= goal.ttft
    steady = tpot <= goal.tpot
    early = e2e <= goal.e2e
    good = soon and steady and early
    if seq.arrival >= state.warmup:
        row.counted += 1
        row.good += int(good)
        row.good_ttft += int(soon)
        row.good_tpot += int(steady)
        row.good_e2e += int(early)
        row.ttft += ttft
        row.e2e += e2e
        note(m, seq.tenant, BY_TTFT, ttft)
        note(m, seq.tenant, BY_E2E, e2e)
        if seq.output > 1:
            row.decoded += 1
            row.tpot += tpot
            note(m, seq.tenant, BY_TPOT, tpot)
    period = periods(m, period_now(m) * state.tenants + seq.tenant)
    period.finished += 1
    period.good += int(good)
    period.prompt += seq.prompt
    period.output += seq.output
    period.ttft += ttft
    period.tpot += tpot
    if seq.request < state.recorded:
        record = records(m, seq.request)
        record.first = seq.first
        record.end = state.now
        record.replica = seq.replica


@compiled_inner
def close(m: Any) -> None:
    """Bring the statistics up to the end: steps in hand count as far as they have come."""
    state = world(m, 0)
    for r in range(state.replicas):
        rep = replicas(m, r)
        if rep.busy > 0:
            tokens = rep.leap * rep.decoding * pools(m, rep.pool).progress
            end = rep.began + rep.seconds
            tally(
                m,
                rep.pool,
                rep.began,
                end,
                rep.joules,
                tokens,
                float(rep.chunks),
                float(rep.decoding + rep.prefilling),
            )
    for p in range(state.pools):
        change_waiting(m, p, 0)
        count_powered(m, p)


@compiled_inner
def begin_counts(m: Any) -> None:
    """Set what is no zero at the start of the statistics."""
    state = world(m, 0)
    for p in range(state.pools):
        pool = pools(m, p)
        pool.waiting_since = state.since
        pool.up_since = state.since
    for i in range(state.recorded):
        record = records(m, i)
        record.arrival = np.nan
        record.first = np.nan
        record.end = np.nan
        record.replica = -1
