"""How long prompts are in hand before their first token, and how much prefill a tick does.

Requests reach replicas unevenly.  While a burst lasts some replicas have prompts waiting and
others have none, and it takes time until as many wait as at a steady load.  The flow therefore
follows the pointwise stationary approximation of queues whose load changes (Tipper and
Sundareshan, IEEE JSAC 8, 1990; Wang, Tipper and Banerjee, INFOCOM 1996): prefill goes on at the
rate u at which a steady queue would hold the x requests that are there now,

    dx/dt = arrivals - u,   x = u D(u)   (Little),

with D the mean time to first token at a steady rate, of the law and its corrections.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.serving.factory_flow import Work
from firsttoken.serving.factory_step import (
    batch_place,
    between,
    by_batch,
    correction_place,
    narrowed,
    part_of_law,
    real_step,
)
from firsttoken.serving.factory_system import Factory

NEVER: Final = 0.95
"""Utilisation beyond which the wait within a tick grows no more: the backlog is counted apart."""

ROUNDS: Final = 40
"""Most rounds in which the prefill of a step is found; three to six are common."""

CLOSE: Final = 1e-7
"""Error of it, over the tokens of a chunk, that counts as none."""


class Stage(NamedTuple):
    """What prompts meet in one replica, but for the rate at which they come.

    Attributes
    ----------
    tokens : mean computed tokens of a prompt.
    first, square : mean seconds that one prompt adds to others' steps, and of their square, as far
        as prompts meet others.
    ahead : mean tokens of a prompt that is met, over the room of a step.
    most : tokens that the batch leaves to prefill in a step.
    """

    tokens: float
    first: float
    square: float
    ahead: float
    most: float


@compiled_inner
def regularity(f: Factory, s: int) -> float:
    """How regularly the requests of service s reach a replica: 0 at random, 1 by turns.

    Routing that evens out batches evens out arrivals: dispersion 2 x imbalance - 1 of Poisson's.
    """
    return float(1.0 - max(2.0 * f.pools.imbalance[f.services.decode[s]] - 1.0, 0.0))


@compiled_inner
def stage_of(f: Factory, s: int, batch: float, plain: float, speed: float, work: Work) -> Stage:
    """The stage of prefill of service s for the prompts of `work.start`.

    Fills `work.part`, the shares of the classes in them, and `work.own`, the s of the steps that
    a prompt needs if it is alone.

    Parameters
    ----------
    batch : sequences that decode in a replica; plain : s of a step without prefill.
    """
    p = f.services.prefill[s]
    low, high = f.services.first[s], f.services.first[s + 1]
    beside = batch * f.pools.width[p]
    most = max(f.pools.chunk[p] - beside, 1.0)
    row, share = batch_place(f.pools, p, batch)
    base = f.pools.overhead[p] + part_of_law(f.pools, p, f.pools.seconds, beside)
    meets = 1.0 - 0.5 * regularity(f, s)
    total = 0.0
    for c in range(low, high):
        total += work.start[c]
    tokens, first, square, second = 0.0, 0.0, 0.0, 0.0
    for c in range(low, high):
        part = work.start[c] / total if total > 0.0 else 1.0 / (high - low)
        added = by_batch(f.classes.extra[c], 0, row, share)
        steps = max((by_batch(f.classes.own[c], 0, row, share) - added) / base, 1.0)
        work.part[c] = part
        work.own[c] = added / speed + steps * plain
        tokens += part * f.classes.mean_prompt[c]
        second += part * f.classes.second[c]
        first += part * added / speed * meets
        square += part * by_batch(f.classes.extra[c], 1, row, share) / speed**2 * meets
    ahead = second / (2.0 * tokens) / most if tokens > 0.0 else 0.0
    return Stage(tokens, first, square, ahead, most)


@compiled_inner
def delay_of(
    f: Factory, s: int, work: Work, stage: Stage, rate: float, fill: float, step: float,
    full: float, load: float,
) -> float:  # fmt: skip
    """Mean s to the first token of prompts that come to a replica at a steady rate.

    Parameters
    ----------
    rate : prompts/s; fill : prefill tokens of a step over those of a full one.
    step, full : s of the mean step and of a full one; load : see `factory_system.Corrections`.
    """
    busy = min(fill, NEVER)
    # The step under way is the longer the likelier it is met; who came in it as well is
    # prefilled in the same next step.
    met = step + rate * stage.square
    rest = 0.5 * met + met * rate * stage.first + stage.ahead * full * busy / (1.0 - busy)
    row, share = correction_place(f, s, load)
    found = 0.0
    for c in range(f.services.first[s], f.services.first[s + 1]):
        found += work.part[c] * rest * between(f.classes.rest_ratio[c], row, share)
        found += work.part[c] * work.own[c] * between(f.classes.own_ratio[c], row, share)
    return float(found)


@compiled_inner
def settle_flow(
    f: Factory, s: int, p: int, work: Work, stage: Stage, batch: float, kv: float, there: float,
    limit: float, speed: float, one: float,
) -> tuple[float, float, float, float, float]:  # fmt: skip
    """Find the step in which a replica does as much prefill as what is in hand lets it do.

    Parameters
    ----------
    there : prompt tokens that are there in the tick, those of before included, by replica and s
        of the tick; others as in `factory_step.settle`.

    Returns
    -------
    tuple
        Prefill tokens of a step, seconds, joules, load; mean s to the first token over the tick.
    """
    most = stage.most
    t0, e0, load0 = real_step(f, s, p, work.mix, batch, kv, 0.0, limit, speed, one)
    t1, e1, load1 = real_step(f, s, p, work.mix, batch, kv, most, limit, speed, one)
    if there <= 0.0:
        return 0.0, t0, e0, load0, delay_of(f, s, work, stage, 0.0, 0.0, t0, t1, load0) / f.dt
    rate = most / (t1 * stage.tokens)
    lag = delay_of(f, s, work, stage, rate, 1.0, t1, t1, load1) / f.dt
    left, right = 0.0, most
    miss_left, miss_right = there * t0, there * t1 - most * (1.0 + lag)
    if miss_right >= 0.0:
        return most, t1, e1, load1, lag
    side = 0
    y, t, e, load = most, t1, e1, load1
    for _ in range(ROUNDS):
        y = (left * miss_right - right * miss_left) / (miss_right - miss_left)
        t, e, load = real_step(f, s, p, work.mix, batch, kv, y, limit, speed, one)
        rate = y / (t * stage.tokens)
        lag = delay_of(f, s, work, stage, rate, y / most, t, t1, load) / f.dt
        miss = there * t - y * (1.0 + lag)
        if abs(miss) < CLOSE * most:
            break
        left, right, miss_left, miss_right, side = narrowed(
            left, right, miss_left, miss_right, side, y, miss
        )
    return y, t, e, load, lag


@compiled_inner
def settle_apart(
    f: Factory, s: int, work: Work, stage: Stage, there: float, most: float, alone: float,
    full: float, plain: float,
) -> tuple[float, float]:  # fmt: skip
    """Find how much prefill replicas that do nothing else do in a tick; return its delay too.

    Parameters
    ----------
    there, most : tokens by replica and s, in hand and at most; alone, full : s a token of prompts
        that have steps of their own, and of full steps; plain : s of a step without tokens.

    Returns
    -------
    tuple
        Share of the time that a replica works; mean s to the first token over the tick.
    """
    whole = full * stage.most
    low, high = 0.0, min(there, most)
    used, lag = 0.0, 0.0
    for _ in range(ROUNDS):
        done = high if lag == 0.0 else 0.5 * (low + high)
        used = used_share(done, alone, full)
        fill = min(used, 1.0)
        load = 1.0 / max(1.0 - used, 0.02)
        lag = delay_of(f, s, work, stage, 0.0, fill, plain, whole, load) / f.dt
        if done * (1.0 + lag) <= there:
            low = done
        else:
            high = done
        if high - low < CLOSE * most:
            break
    return used, lag


@compiled_inner
def used_share(done: float, alone: float, full: float) -> float:
    """Share of its time in which a replica prefills `done` tokens/s, the more the fuller steps."""
    return float(done * alone / (1.0 + done * (alone - full)))
