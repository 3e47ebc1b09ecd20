"""The fluid engine: ticks of all services of a factory."""

from __future__ import annotations

import math
from typing import Final

from firsttoken.kernel.compiled import compiled, compiled_inner, is_cold
from firsttoken.kernel.random import ARRIVAL, normal
from firsttoken.serving.factory_flow import Work, give_way, throw
from firsttoken.serving.factory_scaling import scaled
from firsttoken.serving.factory_state import (
    AGAIN,
    ARRIVED,
    DONE,
    LOST,
    NEW,
    POWER,
    PREFILLERS,
    REPLICAS,
    WAITING,
    WINDOW,
    State,
    Tally,
)
from firsttoken.serving.factory_system import Factory
from firsttoken.serving.factory_tick import decode_tick, prefill_tick, waiting_requests

SLACK: Final = 1.005
"""KV tokens over those that fit, above which sequences give way."""


@compiled
def run_ticks(
    f: Factory, state: State, tally: Tally, work: Work, ticks: int, seed: int, replication: int
) -> int:
    """Run ticks from the state on and return how they ended."""
    for _ in range(ticks):
        k = state.tick[0]
        if _outlived(state, k):
            return WINDOW
        row = (k - tally.first[0]) // tally.every[0]
        for s in range(len(f.services.decode)):
            _arrive(state, f, tally, s, k, row, seed, replication)
            _serve(state, f, tally, work, s, k, row)
        state.tick[0] = k + 1
    return DONE


@compiled_inner
def _outlived(state: State, k: int) -> bool:
    """Whether a curve is about to be written over where it is still needed."""
    window = state.phi.shape[1]
    oldest = k - window + 3
    for j in range(len(state.pointer)):
        # who is slow has been there for longer than the mean
        if 3 * state.pointer[j] < 3 * k - window:
            return True
    for q in range(len(state.position)):
        if min(state.position[q], state.admitted[q]) < oldest:
            return True
    return False


@compiled_inner
def _arrive(
    state: State, f: Factory, tally: Tally, s: int, k: int, row: int, seed: int, replication: int
) -> None:
    """Let the requests of tick k arrive."""
    window = state.phi.shape[1]
    for c in range(f.services.first[s], f.services.first[s + 1]):
        mean = f.inputs.rate[c, k] * f.dt
        new = mean
        if f.classes.dispersion[c] > 0.0 and mean > 0.0:
            new = _drawn(mean, f.classes.dispersion[c], seed, replication, f.keys[c], k)
        state.arrived[c, (k + 1) % window] = state.arrived[c, k % window] + new + state.again[c]
        tally.rows[s, row, ARRIVED] += new
        state.books[c, NEW] += new
        state.books[c, AGAIN] += state.again[c]
        state.again[c] = 0.0


@compiled_inner
def _drawn(mean: float, dispersion: float, seed: int, replication: int, key: int, k: int) -> float:
    """Requests of a tick: gamma distributed with the variance `dispersion` times the mean.

    Source of the quantile: Wilson and Hilferty, PNAS 17 (1931) 684.
    """
    shape = mean / dispersion
    z = normal(seed, replication, key, ARRIVAL, k)
    root = 1.0 - 1.0 / (9.0 * shape) + z / (3.0 * math.sqrt(shape))
    return mean * max(root, 0.0) ** 3


@compiled_inner
def _serve(state: State, f: Factory, tally: Tally, work: Work, s: int, k: int, row: int) -> None:
    """Serve tick k of a service in its pools."""
    p, q = f.services.decode[s], f.services.prefill[s]
    up = scaled(state, f, work, s, p, k)
    lost = min(f.inputs.lost[p, k], 1.0)
    if lost > 0.0:
        tally.rows[s, row, LOST] += throw(state, f, s, k, lost)
    most = f.pools.kv_tokens[p] * up * f.services.room[s]
    if up > 0.0 and state.context[s] > SLACK * most:
        tally.rows[s, row, LOST] += give_way(state, f, s, k, most, work)
    power = 0.0
    if q != p:
        able = scaled(state, f, work, s, q, k)
        tally.rows[s, row, PREFILLERS] += able
        limit = _limit(f, q, k, able)
        above = prefill_tick(state, f, tally, work, s, k, row, able, f.inputs.speed[q, k], limit)
        power += able * f.pools.idle[q] + above / f.dt
    limit = _limit(f, p, k, up)
    above = decode_tick(state, f, tally, work, s, k, row, up, f.inputs.speed[p, k], limit)
    power += up * f.pools.idle[p] + above / f.dt
    tally.rows[s, row, POWER] += power
    tally.rows[s, row, REPLICAS] += up
    tally.rows[s, row, WAITING] += waiting_requests(state, f, work, s, k)


@compiled_inner
def _limit(f: Factory, p: int, k: int, replicas: float) -> float:
    """Most power of one replica that serves; those that do not take their idle power."""
    idle = (f.inputs.replicas[p, k] - replicas) * f.pools.idle[p]
    return float((f.inputs.cap[p, k] - idle) / max(replicas, 1e-9))


def must_compile() -> bool:
    """Tell whether the first simulation has to wait for the compiler."""
    return is_cold(run_ticks)
