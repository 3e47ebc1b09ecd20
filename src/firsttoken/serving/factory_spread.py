"""How times spread about the mean of the flow: TPOT and TTFT of single requests.

A sequence that decodes is held up by the prefill of others.  With prefills as interruptions of a
job the time it takes is that of completion times under preemption (Gaver, Journal of the Royal
Statistical Society B 24, 1962; Conway, Maxwell, Miller, Theory of Scheduling, 1967, 8-4):

    Var = w x rate x E[e2] / (1 - load)^2

with w the time it takes and e what one prefill adds.  Replicas differ in their batch too; over the
time w that averages out as a process with one relaxation time.  Mean, variance and skew of both
together give a shifted gamma distribution.
"""

from __future__ import annotations

import math
from typing import Final

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.kernel.sketch import bucket
from firsttoken.serving.factory_delay import NEVER
from firsttoken.serving.factory_flow import LAG, Work, begun, curve_at, trace_back
from firsttoken.serving.factory_serve import Pace
from firsttoken.serving.factory_state import (
    ANSWERED,
    ATTAINED,
    BY_E2E,
    BY_TPOT,
    BY_TTFT,
    REACHED,
    SCALE,
    TOOK,
    TPOT,
    TTFT,
    State,
    Tally,
)
from firsttoken.serving.factory_step import correction_place, part_of_law
from firsttoken.serving.factory_system import (
    GROUPS,
    LEVELS,
    QUANTS,
    SHAPES,
    Factory,
    Floats,
)
from firsttoken.serving.factory_tables import LARGEST_SHAPE, SMALLEST_SHAPE, WEIGHTS

RATIO: Final = math.log(LARGEST_SHAPE / SMALLEST_SHAPE)
SYMMETRIC: Final = 1e-6
"""Least skewness, that of the largest shapes."""


@compiled_inner
def spread_out(
    gamma: Floats,
    mean: float,
    variance: float,
    third: float,
    low: float,
    high: float,
    quant: Floats,
) -> None:
    """Fill `quant` with points of a shifted gamma distribution, kept within [low, high].

    Parameters
    ----------
    third : third central moment, >= 0.
    """
    if not variance > 1e-18 * mean * mean or mean <= 0.0:
        for i in range(QUANTS):
            quant[i] = mean
        return
    deviation = math.sqrt(variance)
    skew = max(third / (variance * deviation), SYMMETRIC)
    shape = min(max(4.0 / (skew * skew), SMALLEST_SHAPE), LARGEST_SHAPE)
    scale = math.sqrt(variance / shape)
    shift = mean - shape * scale
    place = math.log(shape / SMALLEST_SHAPE) / RATIO * (SHAPES - 1)
    row = min(int(place), SHAPES - 2)
    rest = place - row
    for i in range(QUANTS):
        unit = gamma[row, i] + rest * (gamma[row + 1, i] - gamma[row, i])
        quant[i] = min(max(shift + shape * scale * unit, low), high)


@compiled_inner
def share_below(quant: Floats, goal: float) -> float:
    """Share of a distribution below a goal, by straight lines between its points."""
    if goal >= quant[QUANTS - 1]:
        return 1.0
    done = 0.0
    for i in range(QUANTS):
        if quant[i] > goal:
            if i == 0:
                return 0.0
            span = quant[i] - quant[i - 1]
            share = (goal - quant[i - 1]) / span if span > 0.0 else 1.0
            return done - 0.5 * WEIGHTS[i - 1] + share * 0.5 * (WEIGHTS[i - 1] + WEIGHTS[i])
        done += WEIGHTS[i]
    return 1.0


@compiled_inner
def count_into(sketch: Floats, quant: Floats, factor: float, amount: float) -> None:
    """Count requests into a sketch, spread over the points of their distribution."""
    for i in range(QUANTS):
        sketch[bucket(quant[i] * factor)] += amount * WEIGHTS[i]


@compiled_inner
def averaging(ratio: float) -> float:
    """What is left of the variance of a process over a window, by window / relaxation time."""
    if ratio < 1e-3:
        return 1.0 - ratio / 3.0
    return 2.0 / ratio * (1.0 - (1.0 - math.exp(-ratio)) / ratio)


@compiled_inner
def count_ended(
    state: State,
    f: Factory,
    tally: Tally,
    work: Work,
    s: int,
    k: int,
    row: int,
    ahead: float,
    relax: float,
    pace: Pace,
) -> None:
    """Count the requests of service s that end in tick k.

    The curves `plain`, `noise`, `skew` and `drift` must already reach to the end of the tick.

    Parameters
    ----------
    ahead : by how much `phi` moves; relax : relaxation time of batches, s.
    """
    classes, services = f.classes, f.services
    window = state.phi.shape[1]
    phi = state.phi[s, k % window] + ahead
    middle = phi - 0.5 * ahead
    now = k + 0.5
    for c in range(services.first[s], services.first[s + 1]):
        start = work.start[c] / state.survived[s]
        for j in range(classes.first[c], classes.first[c + 1]):
            steps = max(classes.output[j] - 1.0, 0.0)
            if phi < steps:
                continue
            tick, share = trace_back(state, s, k, phi - steps, phi, state.pointer[j])
            low, _ = begun(state, s, c, k, start, phi, tick, share)
            amount = state.survived[s] * classes.share[j] * (low - state.began[j])
            if not amount > 0.0:
                continue
            tick, share = trace_back(state, s, k, max(middle - steps, 0.0), phi, state.pointer[j])
            since = tick + share
            took = max((now - since) * f.dt, 1e-9) if steps >= 0.5 else 0.0
            if tally.sketch.shape[2] == 0:
                tally.rows[s, row, TOOK] += amount * took
                tally.rows[s, row, ANSWERED] += amount * steps
                continue
            load = took / max(steps, 1.0) / pace.token * pace.load
            fixed = _by_table(state, f, work, s, j, k, load, took, steps)
            if not fixed:
                slowest = pace.full * pace.token / pace.seconds
                _by_moments(state, f, work, s, since, now, took, steps, relax, slowest)
            _count_one(state, f, tally, work, s, c, row, since, took, steps, amount)


@compiled_inner
def move_clocks(state: State, f: Factory, s: int, k: int, ahead: float, load: float) -> None:
    """Move the clocks of service s on by tick k, in which `phi` moves by `ahead`.

    A sequence that is r times slower than the mean gets 1 / r of its tokens.
    """
    window = state.phi.shape[1]
    now, then = k % window, (k + 1) % window
    row, share = correction_place(f, s, load)
    table = f.services.tpot
    after = row + 1 if share > 0.0 else row
    known = not math.isnan(table[row, 0, 0])
    for g in range(GROUPS):
        for m in range(len(LEVELS)):
            i = LEVELS[m]
            slow = 1.0
            if known:
                slow = table[row, g, i] + share * (table[after, g, i] - table[row, g, i])
            place = (s * GROUPS + g) * len(LEVELS) + m
            state.clock[place, then] = state.clock[place, now] + ahead / slow


@compiled_inner
def _by_table(
    state: State,
    f: Factory,
    work: Work,
    s: int,
    j: int,
    k: int,
    load: float,
    took: float,
    steps: float,
) -> bool:
    """Fill `work.quant` with decoding times as the request mode has them; False: not known.

    Who is slow stays so through changes of the load: each level of the spread has lived through
    its own past, a slow one through a longer one.

    Parameters
    ----------
    load : mean over the life of requests; took : their mean time; steps : their tokens.
    """
    table = f.services.tpot
    row, share = correction_place(f, s, load)
    if math.isnan(table[row, 0, 0]) or took <= 0.0:
        return False
    g = f.classes.output_group[j]
    fill_between(table, row, share, g, 1.0, work.quant)
    place = (s * GROUPS + g) * len(LEVELS)
    below, low = 0.0, 0.0
    for m in range(len(LEVELS)):
        top = work.quant[LEVELS[m]]
        high = (k + 0.5 - _since(state, place + m, k, steps, j, m)) * f.dt
        if m == 0:
            below, low = top, high
            work.quant[LEVELS[0]] = high
            continue
        rise = (high - low) / (top - below) if top > below else 0.0
        for i in range(LEVELS[m - 1] + 1, LEVELS[m]):
            work.quant[i] = low + rise * (work.quant[i] - below)
        work.quant[LEVELS[m]] = high
        below, low = top, high
    return True


@compiled_inner
def _since(state: State, row: int, k: int, steps: float, j: int, m: int) -> float:
    """Moment in ticks at which a clock stood `steps` before the middle of tick k.

    Parameters
    ----------
    row : of the clock; j, m : bin and level, whose last moment is where to begin to look.
    """
    window = state.phi.shape[1]
    clock = state.clock[row]
    goal = 0.5 * (clock[k % window] + clock[(k + 1) % window]) - steps
    tick = max(state.past[j, m], k - window + 2)
    while tick < k and clock[(tick + 1) % window] <= goal:
        tick += 1
    state.past[j, m] = tick
    low, high = clock[tick % window], clock[(tick + 1) % window]
    share = (goal - low) / (high - low) if high > low else 0.0
    return float(tick + min(max(share, 0.0), 1.0))


@compiled_inner
def fill_between(
    table: Floats, row: int, share: float, g: int, factor: float, quant: Floats
) -> None:
    """Fill `quant` with a distribution between two rows of a table, times a factor."""
    after = row + 1 if share > 0.0 else row
    for i in range(QUANTS):
        low = table[row, g, i]
        quant[i] = factor * (low + share * (table[after, g, i] - low))


@compiled_inner
def _by_moments(
    state: State,
    f: Factory,
    work: Work,
    s: int,
    since: float,
    now: float,
    took: float,
    steps: float,
    relax: float,
    slowest: float,
) -> None:
    """Fill `work.quant` with the decoding times of requests that began at `since`.

    Parameters
    ----------
    took : their mean; slowest : seconds of a full step, the longest between two tokens.
    """
    if took <= 0.0:
        for i in range(QUANTS):
            work.quant[i] = 0.0
        return
    plain = curve_at(state.plain, s, now) - curve_at(state.plain, s, since)
    noise = curve_at(state.noise, s, now) - curve_at(state.noise, s, since)
    third = curve_at(state.skew, s, now) - curve_at(state.skew, s, since)
    drift = curve_at(state.drift, s, now) - curve_at(state.drift, s, since)
    batch = drift * took * averaging(took / max(relax, 1e-9))
    low = min(plain, took) * (1.0 - 2.0 * math.sqrt(batch) / took)
    high = max(slowest * steps, took)
    spread_out(f.gamma, took, noise + batch, third, low, high, work.quant)


@compiled_inner
def _count_one(
    state: State,
    f: Factory,
    tally: Tally,
    work: Work,
    s: int,
    c: int,
    row: int,
    since: float,
    took: float,
    steps: float,
    amount: float,
) -> None:
    """Count requests whose decoding times stand in `work.quant`."""
    classes = f.classes
    window = state.phi.shape[1]
    whole = int(since)
    after, before = (whole + 1) % window, whole % window
    began = state.started[c, after] - state.started[c, before]
    good, delay, hold = work.good[c], work.delay[c], work.wait[c]
    if f.services.prefill[s] == f.services.decode[s]:
        hold = 0.0
    if whole < state.tick[0] and began > 0.0:
        good = (state.good[c, after] - state.good[c, before]) / began
        delay = (state.delay[c, after] - state.delay[c, before]) / began
        hold = (state.hold[c, after] - state.hold[c, before]) / began
    if hold > 0.0:
        took += hold
        for i in range(QUANTS):
            work.quant[i] += hold
    reached = good
    if steps >= 0.5:
        count_into(tally.sketch[c, BY_TPOT], work.quant, SCALE / steps, amount)
        reached *= share_below(work.quant, classes.goals[c, 1] * steps)
    if classes.goals[c, 2] < math.inf:
        reached *= share_below(work.quant, classes.goals[c, 2] - delay)
    for i in range(QUANTS):
        work.quant[i] += delay
    count_into(tally.sketch[c, BY_E2E], work.quant, SCALE, amount)
    tally.rows[s, row, TOOK] += amount * took
    tally.rows[s, row, ANSWERED] += amount * steps
    tally.rows[s, row, ATTAINED] += amount * reached
    state.books[c, REACHED] += amount * reached
    tally.rows[s, row, TPOT] += amount * took / max(steps, 1.0)


@compiled_inner
def count_begun(
    state: State,
    f: Factory,
    tally: Tally,
    work: Work,
    s: int,
    k: int,
    row: int,
    pace: Pace,
    speed: float,
) -> None:
    """Count the requests of service s that start in tick k, by their time to first token."""
    classes, services = f.classes, f.services
    p = services.prefill[s]
    room = max(f.pools.chunk[p] - pace.batch * f.pools.width[p], 1.0)
    busy = min(pace.fill, NEVER)
    for c in range(services.first[s], services.first[s + 1]):
        good, delay = 0.0, 0.0
        if work.start[c] > 0.0 and tally.sketch.shape[2] > 0:
            queue = 0.0
            if classes.mean_prompt[c] > 0.0:
                queue = classes.second[c] / (2.0 * classes.mean_prompt[c]) / room
                queue *= pace.full * busy / (1.0 - busy)
            # The step under way is the longer the likelier it is met; who came in it as well is
            # prefilled in the same next step.
            met = pace.seconds + work.beside[1]
            mean = 0.5 * met + met * work.beside[0] + queue
            variance = met**2 / 6.0 + met * work.beside[1] + 2.0 * queue * queue
            for j in range(classes.first[c], classes.first[c + 1]):
                average = _first_tokens(f, work, s, c, j, pace, speed, mean, variance)
                part = work.start[c] * classes.share[j]
                count_into(tally.sketch[c, BY_TTFT], work.quant, SCALE, part)
                good += classes.share[j] * share_below(work.quant, classes.goals[c, 0])
                delay += classes.share[j] * average
        work.good[c], work.delay[c] = good, delay
        tally.rows[s, row, TTFT] += work.start[c] * delay


@compiled_inner
def _first_tokens(
    f: Factory,
    work: Work,
    s: int,
    c: int,
    j: int,
    pace: Pace,
    speed: float,
    mean: float,
    variance: float,
) -> float:
    """Fill `work.quant` with TTFT of a bin of class c; return the mean of its points.

    Parameters
    ----------
    mean, variance : of the time from the head of the queue to the prompt's own steps.
    """
    own = _own_seconds(f, s, j, pace, speed)
    place, between = correction_place(f, s, pace.load)
    if math.isnan(f.services.ttft[place, 0, 0]):
        third = 2.0 * variance * variance / mean
        spread_out(f.gamma, mean, variance, third, 0.0, math.inf, work.quant)
    else:
        g = f.classes.prompt_group[j]
        fill_between(f.services.ttft, place, between, g, mean + own, work.quant)
        own = 0.0
    # What the flow knows of the time in hand: more than at a steady load after a burst, or less.
    steady = work.limits[LAG] * f.dt
    more = max(work.wait[c] - steady, 0.0)
    less = min(work.wait[c] / steady, 1.0) if steady > 0.0 else 1.0
    average = 0.0
    for i in range(QUANTS):
        work.quant[i] = (work.quant[i] + own) * less + more
        average += WEIGHTS[i] * work.quant[i]
    return average


@compiled_inner
def _own_seconds(f: Factory, s: int, j: int, pace: Pace, speed: float) -> float:
    """Seconds of the steps that the prompt of a bin needs beside a batch."""
    pools, prompt = f.pools, f.classes.prompt[j]
    p = f.services.prefill[s]
    batch = pace.batch * pools.width[p]
    room = max(pools.chunk[p] - batch, 1.0)
    base = part_of_law(pools, p, pools.seconds, batch)
    whole = math.floor(prompt / room)
    rest = prompt - whole * room
    own = pools.pair_second[p] * prompt * (f.classes.cached[j] + 0.5 * prompt)
    if whole > 0.0:
        own += whole * (part_of_law(pools, p, pools.seconds, pools.chunk[p]) - base)
    if rest > 0.0:
        own += part_of_law(pools, p, pools.seconds, batch + rest) - base
    return float(own / speed + max(math.ceil(prompt / room), 1.0) * pace.plain)
