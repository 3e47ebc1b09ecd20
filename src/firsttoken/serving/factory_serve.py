"""The pace of a service in a tick, and what starts in it: each depends on the other."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.serving.factory_delay import delay_of, settle_flow, stage_of
from firsttoken.serving.factory_flow import (
    AHEAD,
    BATCH,
    CONTEXT,
    KV,
    LAG,
    MADE,
    REQUESTS,
    TOKENS,
    Work,
    measure,
    take,
    waiting,
)
from firsttoken.serving.factory_state import State
from firsttoken.serving.factory_step import between, correction_place, real_step, settle, step_of
from firsttoken.serving.factory_system import Factory

ROUNDS: Final = 24
"""Most rounds in which pace, starts and batch of a tick are found."""

CLOSE: Final = 1e-6
"""Relative change of the pace between rounds that counts as none."""

DAMPED: Final = 4
"""Rounds after which the pace moves half of the way only."""

LATE: Final = 11
"""Round from which on their mean counts if they do not meet."""

NOTHING: Final = 1e-9
"""Requests and tokens that are none."""

STILL: Final = 1e-4
"""Relative change of the starts between rounds that counts as none."""

FEWEST: Final = 1e-9
"""Sequences a replica below which a batch counts as empty."""


class Pace(NamedTuple):
    """The mean step of a tick.

    Attributes
    ----------
    batch : sequences that a token shares its step with, itself included, in one replica.
    plain, full, seconds : of a step without prefill, of a full one, of the mean one.
    token : seconds between two tokens of a sequence, in the mean.
    fill : prefill tokens of the mean step over those of a full one.
    joules : of the mean step, above idle.
    load : mean step, as the law gives it, over that of one sequence under the same limits.
    slope : relative rise of `plain` for one more sequence.
    limited : whether memory or the largest batch kept requests from starting.
    """

    batch: float
    plain: float
    full: float
    seconds: float
    token: float
    fill: float
    joules: float
    load: float
    slope: float
    limited: bool


@compiled_inner
def set_mix(f: Factory, s: int, work: Work) -> float:
    """Fill the shares of the classes of service s in prefill; return the prompt tokens."""
    low, high = f.services.first[s], f.services.first[s + 1]
    total = 0.0
    for c in range(low, high):
        total += work.start[c] * f.classes.mean_prompt[c]
    for c in range(low, high):
        if total > 0.0:
            work.mix[c] = work.start[c] * f.classes.mean_prompt[c] / total
        else:
            work.mix[c] = 1.0 / (high - low)
    return total


@compiled_inner
def pace_of(
    state: State,
    f: Factory,
    s: int,
    replicas: float,
    speed: float,
    limit: float,
    prompt: float,
    there: float,
    batch: float,
    context: float,
    work: Work,
) -> Pace:
    """The mean step of a replica; fills the delay of `work.limits`.

    Parameters
    ----------
    limit : most power of one replica; prompt : prompt tokens/s that one is to prefill, if seats
        or memory say so; there : else, those in hand over the s of the tick.
    batch, context : sequences and KV tokens of one, means over time.
    """
    p = f.services.decode[s]
    spread = f.pools.imbalance[p] * state.variance[s]
    seen, per, slope = 1.0, 0.0, 0.0
    if batch > FEWEST:
        per = context / batch
        here, _ = step_of(f, s, p, work.mix, batch, context, 0.0, limit, speed)
        more, _ = step_of(f, s, p, work.mix, batch + 1.0, context + per, 0.0, limit, speed)
        slope = max(more / here - 1.0, 0.0)
        # Tokens are made in steps of k at the rate k / t(k): that is where they see others.
        biased = spread / batch * max(1.0 - batch * slope, 0.0)
        seen = min(max(batch + biased, 1.0), max(f.pools.sequences[p], 1.0))
    kv = seen * per
    one, _ = step_of(f, s, p, work.mix, 1.0, f.services.context[s], 0.0, limit, speed)
    plain, _ = step_of(f, s, p, work.mix, seen, kv, 0.0, limit, speed)
    most = max(f.pools.chunk[p] - seen * f.pools.width[p], 1.0)
    full, _, _ = real_step(f, s, p, work.mix, seen, kv, most, limit, speed, one)
    if f.services.prefill[s] != p:
        filled, seconds, joules, load = settle(f, s, p, work.mix, seen, kv, 0.0, limit, speed, one)
    else:
        stage = stage_of(f, s, seen, plain, speed, work)
        if prompt >= 0.0:
            filled, seconds, joules, load = settle(
                f, s, p, work.mix, seen, kv, prompt, limit, speed, one
            )
            rate = filled / (seconds * max(stage.tokens, 1e-9))
            delay = delay_of(f, s, work, stage, rate, filled / most, seconds, full, load)
            work.limits[LAG] = delay / f.dt
        else:
            filled, seconds, joules, load, work.limits[LAG] = settle_flow(
                f, s, p, work, stage, seen, kv, there, limit, speed, one
            )
    row, share = correction_place(f, s, load)
    fix = between(f.services.pace, row, share)
    return Pace(
        seen,
        plain * fix,
        max(full, seconds),
        seconds,
        seconds / f.pools.progress[p],
        filled / most,
        joules,
        load,
        slope,
        False,
    )


@compiled_inner
def room_of(f: Factory, s: int, replicas: float, tokens: float, work: Work) -> None:
    """Fill `work.limits` with what may start in the tick, given what was last measured."""
    p = f.services.decode[s]
    started, held = 0.0, 0.0
    for c in range(f.services.first[s], f.services.first[s + 1]):
        started += work.start[c]
        # Answers grow while the tick lasts, those of who starts for half of it in the mean.
        grown = 0.5 * work.limits[AHEAD]
        held += work.start[c] * (f.classes.mean_context[c] + 1.0 + grown)
    work.limits[TOKENS] = tokens
    able = replicas * f.services.room[s]
    work.limits[REQUESTS] = f.pools.sequences[p] * able - work.measure[BATCH] + started
    work.limits[KV] = f.pools.kv_tokens[p] * able - work.measure[CONTEXT] + held


@compiled_inner
def find_pace(
    state: State,
    f: Factory,
    s: int,
    k: int,
    replicas: float,
    speed: float,
    limit: float,
    end: float,
    work: Work,
) -> Pace:
    """Find pace and starts of a service in tick k; fill `work`.

    Parameters
    ----------
    end : moment in ticks up to which requests may start (of the prefill pool, if apart).
    """
    for m in range(3):
        work.limits[m] = math.inf
    work.limits[AHEAD], work.limits[LAG] = 0.0, 0.0
    there = 0.0
    if f.services.prefill[s] == f.services.decode[s]:
        there, _ = waiting(f, state.arrived, state.position, s, end)
        there /= f.dt * replicas
    take_next(state, f, s, end, work)
    rate = last = state.pace[s]
    some = 0.0
    pace = mean = Pace(1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, False)
    settled = False
    for turn in range(ROUNDS):
        pace = _round(state, f, s, k, replicas, speed, limit, rate, there, end, work)
        take_next(state, f, s, end, work)
        new = 1.0 / pace.token
        before, some = some, started(f, s, work)
        if turn > 0 and abs(new - last) < CLOSE * new and abs(some - before) <= STILL * some:
            rate = new
            settled = True
            break
        last = new
        rate = new if turn < DAMPED else 0.5 * (rate + new)
        if turn == LATE:
            mean = pace
        elif turn > LATE:
            mean = _mixed(mean, pace, 1.0 / (turn - LATE + 1.0))
    if not settled:
        # Where seats are short, starts and steps take turns; what they turn about is the tick's.
        pace = mean
    limited = is_limited(work)
    measure(state, f, s, k, rate * f.dt, work)
    state.pace[s] = rate
    seconds = f.pools.progress[f.services.decode[s]] / rate
    return Pace(
        pace.batch,
        pace.plain,
        pace.full,
        seconds,
        1.0 / rate,
        pace.fill,
        pace.joules * seconds / pace.seconds,
        pace.load,
        pace.slope,
        limited,
    )


@compiled_inner
def _mixed(one: Pace, other: Pace, share: float) -> Pace:
    """The mean of two paces, with a share of the other."""
    keep = 1.0 - share
    return Pace(
        keep * one.batch + share * other.batch,
        keep * one.plain + share * other.plain,
        keep * one.full + share * other.full,
        keep * one.seconds + share * other.seconds,
        keep * one.token + share * other.token,
        keep * one.fill + share * other.fill,
        keep * one.joules + share * other.joules,
        keep * one.load + share * other.load,
        keep * one.slope + share * other.slope,
        False,
    )


@compiled_inner
def is_limited(work: Work) -> bool:
    """Whether memory or the largest batch kept requests from starting."""
    return bool(work.limits[REQUESTS] <= NOTHING or work.limits[KV] <= NOTHING)


@compiled_inner
def _round(
    state: State,
    f: Factory,
    s: int,
    k: int,
    replicas: float,
    speed: float,
    limit: float,
    rate: float,
    there: float,
    end: float,
    work: Work,
) -> Pace:
    """The pace that follows if `phi` rises at a rate, and what may start then."""
    p = f.services.decode[s]
    shared = f.services.prefill[s] == p
    ahead = rate * f.dt
    work.limits[AHEAD] = ahead
    measure(state, f, s, k, ahead, work)
    if is_limited(work):
        # As many start as end at this very rate; else both would take turns.
        room_of(f, s, replicas, math.inf, work)
        take_next(state, f, s, end, work)
        measure(state, f, s, k, ahead, work)
    batch = work.measure[MADE] / ahead / replicas
    context = 0.5 * (state.context[s] + work.measure[CONTEXT]) / replicas
    prompt = set_mix(f, s, work) / (f.dt * replicas)
    if not is_limited(work):
        prompt = -1.0
    pace = pace_of(state, f, s, replicas, speed, limit, prompt, there, batch, context, work)
    tokens = math.inf
    if shared:
        most = max(f.pools.chunk[p] - pace.batch * f.pools.width[p], 1.0)
        tokens = most / pace.full * f.dt * replicas
    room_of(f, s, replicas, tokens, work)
    return pace


@compiled_inner
def take_next(state: State, f: Factory, s: int, end: float, work: Work) -> None:
    """Let start what may: from arrivals, or from what another pool has prefilled."""
    if f.services.prefill[s] == f.services.decode[s]:
        take(f, state.arrived, s, end, state.position, work)
    else:
        take(f, state.prefilled, s, end, state.admitted, work)


@compiled_inner
def started(f: Factory, s: int, work: Work) -> float:
    """Requests of service s that start."""
    found = 0.0
    for c in range(f.services.first[s], f.services.first[s + 1]):
        found += work.start[c]
    return found
