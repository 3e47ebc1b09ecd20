"""A tick of one service: prefill, decoding, and the books of both."""

from __future__ import annotations

import math
from typing import Final

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.serving.factory_delay import regularity, settle_apart, stage_of, used_share
from firsttoken.serving.factory_flow import (
    AHEAD,
    BATCH,
    CONTEXT,
    ENDED,
    LAG,
    Work,
    curve_at,
    keep,
    take,
    waiting,
)
from firsttoken.serving.factory_flow import MADE as DECODE
from firsttoken.serving.factory_serve import FEWEST, Pace, find_pace, set_mix
from firsttoken.serving.factory_spread import count_begun, count_ended, move_clocks
from firsttoken.serving.factory_state import (
    BEGUN,
    DECODED,
    DECODING,
    FINISHED,
    GIVEN,
    KV,
    LOAD,
    MADE,
    PLAIN,
    PREFILLED,
    READ,
    STARTED,
    STEP,
    State,
    Tally,
)
from firsttoken.serving.factory_state import ENDED as ENDED_BOOK
from firsttoken.serving.factory_step import batch_place, by_batch, prefill_only, step_of
from firsttoken.serving.factory_system import Factory

FIRMEST: Final = 0.05
"""Least rate at which batches return to their mean, over that of requests."""


@compiled_inner
def decode_tick(
    state: State,
    f: Factory,
    tally: Tally,
    work: Work,
    s: int,
    k: int,
    row: int,
    replicas: float,
    speed: float,
    limit: float,
) -> float:
    """Move the decoding of service s (and prefill, if they share replicas) on by tick k.

    Returns the energy above idle, J.
    """
    if not replicas > 0.0 or not speed > 0.0:
        stand_still(state, f, s, k, work)
        return 0.0
    shared = f.services.prefill[s] == f.services.decode[s]
    end = k + 1.0
    if not shared:
        end = max(end - _transfer(f, s) / f.dt, 0.0)
    pace = find_pace(state, f, s, k, replicas, speed, limit, end, work)
    ahead = f.dt / pace.token
    move_clocks(state, f, s, k, ahead, pace.load)
    relax = _move_noise(state, f, s, k, replicas, pace, speed, work)
    if shared:
        set_wait(state, f, s, k, work)
        count_begun(state, f, tally, work, s, k, row, pace, speed)
    else:
        _set_ready(state, f, s, k, work)
    _keep_begun(state, f, s, k, work)
    count_ended(state, f, tally, work, s, k, row, ahead, relax, pace)
    keep(state, f, s, k, ahead, work)
    for q in range(f.services.queue[s], f.services.queue[s + 1]):
        state.admitted[q] = work.place[q]
        if shared:
            state.position[q] = work.place[q]
    return _account(state, f, tally, work, s, row, replicas, pace)


@compiled_inner
def _set_ready(state: State, f: Factory, s: int, k: int, work: Work) -> None:
    """Fill what those who start to decode have seen in the pool that prefilled them."""
    for c in range(f.services.first[s], f.services.first[s + 1]):
        low, high = state.admitted[f.classes.queue[c]], work.place[f.classes.queue[c]]
        work.wait[c] = max(k + 0.5 - 0.5 * (low + high), 0.0) * f.dt
        some = curve_at(state.prefilled, c, high) - curve_at(state.prefilled, c, low)
        work.good[c], work.delay[c] = 1.0, 0.0
        if some > 0.0:
            good = curve_at(state.ready_good, c, high) - curve_at(state.ready_good, c, low)
            delay = curve_at(state.ready_delay, c, high) - curve_at(state.ready_delay, c, low)
            work.good[c], work.delay[c] = good / some, delay / some


@compiled_inner
def _keep_begun(state: State, f: Factory, s: int, k: int, work: Work) -> None:
    """Write the curves of what those who start have seen before."""
    window = state.phi.shape[1]
    now, then = k % window, (k + 1) % window
    apart = f.services.prefill[s] != f.services.decode[s]
    for c in range(f.services.first[s], f.services.first[s + 1]):
        raw = work.start[c] / state.survived[s]
        state.good[c, then] = state.good[c, now] + raw * work.good[c]
        state.delay[c, then] = state.delay[c, now] + raw * work.delay[c]
        state.hold[c, then] = state.hold[c, now] + (raw * work.wait[c] if apart else 0.0)


@compiled_inner
def _account(
    state: State,
    f: Factory,
    tally: Tally,
    work: Work,
    s: int,
    row: int,
    replicas: float,
    pace: Pace,
) -> float:
    """Write books and rows of a tick whose curves are kept; return J above idle."""
    shared = f.services.prefill[s] == f.services.decode[s]
    p = f.services.decode[s]
    rows = tally.rows[s, row]
    prefill, started, alone = 0.0, 0.0, 0.0
    for c in range(f.services.first[s], f.services.first[s + 1]):
        state.books[c, BEGUN] += work.start[c]
        state.books[c, ENDED_BOOK] += work.finish[c]
        state.books[c, MADE] += work.start[c] + work.made[c]
        state.books[c, GIVEN] += work.given[c]
        started += work.start[c]
        if shared:
            state.books[c, READ] += work.start[c] * f.classes.mean_prompt[c]
            prefill += work.start[c] * f.classes.mean_prompt[c]
            alone += work.start[c] * f.classes.own[c, 0, 0]
    if shared:
        rows[PREFILLED] += prefill
        rows[STARTED] += started
    mean = work.measure[DECODE] * pace.token / f.dt
    rows[FINISHED] += work.measure[ENDED]
    rows[DECODED] += started + work.measure[DECODE]
    rows[DECODING] += mean
    rows[STEP] += pace.token
    rows[LOAD] += pace.load
    rows[PLAIN] += pace.plain
    rows[KV] += work.measure[CONTEXT] / max(f.pools.kv_tokens[p] * replicas, 1.0)
    state.batch[s] = work.measure[BATCH]
    state.context[s] = work.measure[CONTEXT]
    busy = busy_share((mean + alone / f.dt) / replicas, f.pools.imbalance[p])
    return float(replicas * f.dt * busy * pace.joules / pace.seconds)


@compiled_inner
def busy_share(offered: float, imbalance: float) -> float:
    """Share of the time that a replica is at work, by what it would do in steps of its own.

    Replicas whose requests come at random stand idle with the chance that none is there; where
    routing keeps requests apart, all work counts (but no more than all of the time).
    """
    regular = 1.0 - max(2.0 * imbalance - 1.0, 0.0)
    apart = offered + 0.5 * offered**2 + offered**3 / 3.0
    random = 1.0 - math.exp(-offered)
    return float(random + regular * (math.exp(-offered) - math.exp(-apart)))


@compiled_inner
def stand_still(state: State, f: Factory, s: int, k: int, work: Work) -> None:
    """Carry the curves of a service without replicas over tick k."""
    window = state.phi.shape[1]
    now, then = k % window, (k + 1) % window
    for c in range(f.services.first[s], f.services.first[s + 1]):
        work.start[c], work.finish[c] = 0.0, 0.0
        if f.services.prefill[s] == f.services.decode[s]:
            work.hand[c] = 0.0
        work.good[c], work.delay[c], work.wait[c] = 1.0, 0.0, 0.0
    _keep_begun(state, f, s, k, work)
    move_clocks(state, f, s, k, 0.0, 1.0)
    keep(state, f, s, k, 0.0, work)
    state.plain[s, then], state.noise[s, then] = state.plain[s, now], state.noise[s, now]
    state.skew[s, then], state.drift[s, then] = state.skew[s, now], state.drift[s, now]


@compiled_inner
def _transfer(f: Factory, s: int) -> float:
    """Seconds from the end of prefill to decoding elsewhere."""
    longest = 0.0
    for c in range(f.services.first[s], f.services.first[s + 1]):
        longest = max(longest, f.classes.transfer[c])
    return longest


@compiled_inner
def set_wait(state: State, f: Factory, s: int, k: int, work: Work) -> None:
    """Fill the mean time in hand of those who start in tick k, and how many are in their steps."""
    for c in range(f.services.first[s], f.services.first[s + 1]):
        work.hand[c] = work.start[c] / f.dt * work.own[c]
        q = f.classes.queue[c]
        low, high = state.position[q], work.place[q]
        # Those served first have been there since `low`.
        work.wait[c] = max(k + 0.5 - 0.5 * (low + high), 0.0) * f.dt


@compiled_inner
def _move_noise(
    state: State,
    f: Factory,
    s: int,
    k: int,
    replicas: float,
    pace: Pace,
    speed: float,
    work: Work,
) -> float:
    """Move the variance of batches and the curves of noise on; return the relaxation time, s.

    The variance follows the linear noise approximation of a birth and death process with the
    birth rate of starts and the death rate of ends (van Kampen, Stochastic Processes in Physics
    and Chemistry, chapter X).  Its rest point for independent Poisson arrivals is the variance of
    generalised processor sharing (Cohen, Acta Informatica 12, 1979), whatever the lengths.
    """
    window = state.phi.shape[1]
    now, then = k % window, (k + 1) % window
    per = 1.0 / (replicas * f.dt)
    batch = work.measure[DECODE] * pace.token / f.dt / replicas
    births, ended = 0.0, work.measure[ENDED] * per
    second, third = 0.0, 0.0
    work.beside[0], work.beside[1] = 0.0, 0.0
    p = f.services.prefill[s]
    row, share = batch_place(f.pools, p, pace.batch)
    regular = regularity(f, s)
    for c in range(f.services.first[s], f.services.first[s + 1]):
        rate = work.start[c] * per
        births += rate
        if p == f.services.decode[s]:
            first = by_batch(f.classes.extra[c], 0, row, share) / speed
            square = by_batch(f.classes.extra[c], 1, row, share) / speed**2
            work.beside[0] += rate * first * (1.0 - 0.5 * regular)
            work.beside[1] += rate * square * (1.0 - 0.5 * regular)
            second += rate * (square - regular * first * first)
            third += rate * by_batch(f.classes.extra[c], 2, row, share) / speed**3
    leave = ended / batch if batch > FEWEST else 1.0 / pace.seconds
    leave = max(leave, 1e-6)
    back = leave * min(max(1.0 - batch * pace.slope, FIRMEST), 1.0)
    if pace.limited:
        state.variance[s] /= 1.0 + leave * f.dt
    else:
        grown = state.variance[s] + f.dt * (births + ended)
        state.variance[s] = grown / (1.0 + 2.0 * back * f.dt)
    free = min(max(pace.plain / pace.seconds, 1e-3), 1.0)
    state.plain[s, then] = state.plain[s, now] + free * f.dt
    state.noise[s, then] = state.noise[s, now] + second / free**2 * f.dt
    state.skew[s, then] = state.skew[s, now] + (third / free**3 + 3.0 * second**2 / free**4) * f.dt
    spread = f.pools.imbalance[f.services.decode[s]] * state.variance[s]
    state.drift[s, then] = state.drift[s, now] + pace.slope**2 * spread * f.dt
    return float(1.0 / back)


@compiled_inner
def prefill_tick(
    state: State,
    f: Factory,
    tally: Tally,
    work: Work,
    s: int,
    k: int,
    row: int,
    replicas: float,
    speed: float,
    limit: float,
) -> float:
    """Do the prefill of a service whose pools are apart; return the energy above idle, J."""
    p = f.services.prefill[s]
    low, high = f.services.first[s], f.services.first[s + 1]
    for m in range(3):
        work.limits[m] = math.inf
    work.limits[AHEAD], work.limits[LAG] = 0.0, 0.0
    able = replicas > 0.0 and speed > 0.0
    used = 0.0
    if able:
        there, _ = waiting(f, state.arrived, state.position, s, k + 1.0)
        take(f, state.arrived, s, k + 1.0, state.position, work)
        set_mix(f, s, work)
        alone, full, joules = prefill_only(f, s, p, work.mix, limit, speed)
        plain, _ = step_of(f, s, p, work.mix, 0.0, 0.0, 0.0, limit, speed)
        stage = stage_of(f, s, 0.0, plain, speed, work)
        per = 1.0 / (replicas * f.dt)
        _, work.limits[LAG] = settle_apart(
            f, s, work, stage, there * per, 1.0 / full, alone, full, plain
        )
        work.limits[0] = replicas * f.dt / full
    else:
        work.limits[0] = 0.0
        work.hand[low:high] = 0.0
    take(f, state.arrived, s, k + 1.0, state.position, work)
    done = set_mix(f, s, work)
    if able:
        used = used_share(done * per, alone, full)
        whole = full * f.pools.chunk[p]
        load = 1.0 / max(1.0 - used, 0.02)
        fill = min(used, 1.0)
        pace = Pace(0.0, plain, whole, plain, plain, fill, 0.0, load, 0.0, False)
        work.beside[0], work.beside[1] = 0.0, 0.0
        set_wait(state, f, s, k, work)
        count_begun(state, f, tally, work, s, k, row, pace, speed)
    _keep_ready(state, f, tally, work, s, k, row, able)
    tally.rows[s, row, PREFILLED] += done
    for q in range(f.services.queue[s], f.services.queue[s + 1]):
        state.position[q] = work.place[q]
    state.worked[p] += used * replicas * f.dt
    if not able:
        return 0.0
    return float(done * joules + used * replicas * f.dt * f.pools.energy_step[p] / whole)


@compiled_inner
def _keep_ready(
    state: State, f: Factory, tally: Tally, work: Work, s: int, k: int, row: int, able: bool
) -> None:
    """Write the curves and books of the prompts that are prefilled in another pool."""
    window = state.phi.shape[1]
    now, then = k % window, (k + 1) % window
    for c in range(f.services.first[s], f.services.first[s + 1]):
        some = work.start[c] if able else 0.0
        state.ready_good[c, then] = state.ready_good[c, now] + some * work.good[c]
        state.ready_delay[c, then] = state.ready_delay[c, now] + some * work.delay[c]
        state.prefilled[c, then] = state.prefilled[c, now] + work.start[c]
        state.books[c, READ] += work.start[c] * f.classes.mean_prompt[c]
        tally.rows[s, row, STARTED] += work.start[c]


@compiled_inner
def waiting_requests(state: State, f: Factory, work: Work, s: int, k: int) -> float:
    """Requests of service s that wait at the end of tick k, before prefill or decoding."""
    total = 0.0
    for c in range(f.services.first[s], f.services.first[s + 1]):
        q = f.classes.queue[c]
        there = curve_at(state.arrived, c, k + 1.0) - curve_at(state.arrived, c, state.position[q])
        total += max(there - work.hand[c], 0.0)
        if f.services.prefill[s] != f.services.decode[s]:
            total += curve_at(state.prefilled, c, k + 1.0) - curve_at(
                state.prefilled, c, state.admitted[q]
            )
    return total
