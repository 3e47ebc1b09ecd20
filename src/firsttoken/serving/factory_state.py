"""What the fluid engine keeps from tick to tick, and what it counts.

All flows are kept as cumulative curves at the ends of ticks: requests arrived and started, and
`phi`, the tokens that a sequence which decodes all the time has been given.  Who started when
`phi` was x ends, with n decoding tokens, when it is x + n: requests in hand, their tokens and
their KV are differences of curves, and nothing can be lost or made twice.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.kernel.sketch import BUCKETS
from firsttoken.serving.autoscale import SLOTS
from firsttoken.serving.factory_system import GROUPS, LEVELS, Floats, Ints, System

# Columns of what is reported by service and tick.
ARRIVED: Final = 0
STARTED: Final = 1
FINISHED: Final = 2
PREFILLED: Final = 3
"""Prompt tokens computed."""
DECODED: Final = 4
"""Output tokens, the first of each answer included."""
WAITING: Final = 5
"""Requests that wait for prefill or, if pools are apart, for decoding; at the end of the tick."""
DECODING: Final = 6
"""Sequences in decoding; mean of the tick."""
KV: Final = 7
"""Share of the KV memory in use; at the end of the tick."""
STEP: Final = 8
"""Seconds between two tokens of a sequence."""
POWER: Final = 9
"""W of the GPUs of all replicas of the service that serve."""
REPLICAS: Final = 10
"""Replicas that decode (and prefill, unless others do)."""
TPOT: Final = 11
"""Sum over finished requests of their time per output token, s."""
TTFT: Final = 12
"""Sum over started requests of their time to first token, s."""
ATTAINED: Final = 13
"""Finished requests that reach all goals."""
LOST: Final = 14
"""Requests that a failure or a full memory threw out, to start again."""
LOAD: Final = 15
"""Mean step as the law gives it, over that of one sequence."""
PLAIN: Final = 16
"""Seconds of a step without prefill."""
TOOK: Final = 17
"""Sum over finished requests of the seconds from their first token to their last."""
ANSWERED: Final = 18
"""Output tokens of finished requests after their first."""
PREFILLERS: Final = 19
"""Replicas that only prefill."""
COLUMNS: Final = 20
AVERAGED: Final = (WAITING, DECODING, KV, STEP, POWER, REPLICAS, LOAD, PLAIN, PREFILLERS)
"""Columns that are means; the others are sums."""

# Distributions that are kept by class.
BY_TPOT: Final = 0
BY_TTFT: Final = 1
BY_E2E: Final = 2
SKETCHES: Final = 3
SCALE: Final = 1024.0
"""Sketches count milliseconds (1/1024 s), so that short times keep their relative precision."""

# Books of a class.
NEW: Final = 0
AGAIN: Final = 1
"""Requests that arrived; that came again after they were thrown out."""
BEGUN: Final = 2
ENDED: Final = 3
THROWN: Final = 4
MADE: Final = 5
"""Output tokens as the steps made them."""
GIVEN: Final = 6
"""Output tokens of answers that ended."""
WASTED: Final = 7
"""Output tokens of answers that were thrown out."""
READ: Final = 8
"""Prompt tokens computed."""
ENERGY: Final = 9
REACHED: Final = 10
"""Finished requests that reach all goals."""
BOOKS: Final = 11

# What autoscaling remembers of a pool.
RATE: Final = 0
"""Requests/s, smoothed; -1: not known."""
FLOOR: Final = 1
FLOOR_RATE: Final = 2
"""Replicas of which fewer were too few, at these requests/s."""
DOWN_RATE: Final = 3
"""Requests/s when replicas stopped, if that came last; else -1."""
SLOT: Final = 4
"""Of the last look."""
SCALER: Final = 5
AHEAD: Final = 64
"""Looks ahead for which replicas may be starting."""

# How a run of ticks ends.
DONE: Final = 0
WINDOW: Final = 1
"""Some request has been in the factory for longer than the curves are kept."""


CURVES: Final = (
    "arrived",
    "prefilled",
    "started",
    "area",
    "good",
    "delay",
    "hold",
    "ready_good",
    "ready_delay",
    "phi",
    "plain",
    "noise",
    "skew",
    "drift",
    "clock",
)
"""Fields of the state that are curves."""


class State(NamedTuple):
    """The complete state at the end of a tick.

    Curves have R columns, that of tick k is `k % R`.

    Attributes
    ----------
    tick : i8[1], ticks done.
    arrived, prefilled, started : f8[C, R], requests, cumulative.
    area : f8[C, R], integral of `started` over phi.
    good, delay : f8[C, R], started requests that reached the goal of TTFT; sum of their TTFT.
    hold : f8[C, R], sum of the s from the end of their prefill in another pool to their start.
    ready_good, ready_delay : f8[C, R], as `good` and `delay`, by the end of that prefill.
    phi : f8[S, R]; plain : f8[S, R], seconds of decoding without the prefill of others.
    noise, skew, drift : f8[S, R], cumulative second and third moment of what prefills add, and
        cumulative squared deviation of the pace between replicas.
    clock : f8[S x GROUPS x LEVELS, R], tokens given to a sequence as slow as a level of the spread
        of TPOT, by group of outputs.
    position, admitted : f8[Q], tick up to whose arrivals (prefills) a queue has been served.
    past : i8[J, LEVELS], tick in which those began, of each level, that ended last.
    pointer : i8[J], tick in which the sequences began that end now; began, swept : f8[J],
        `started` and `area` there.
    survived : f8[S], share of the curves' sequences that is still there (others were thrown out).
    batch, context : f8[S], sequences in decoding, and their tokens of KV.
    variance : f8[S], of the batch between independent replicas.
    pace : f8[S], steps/s of the last tick.
    worked : f8[P], replica-seconds of work since the last look.
    up, due : f8[P], replicas that serve, tick of the next look; coming : f8[P, AHEAD], replicas
        that start, by look; looks : f8[P, SLOTS], the most that were wanted, by slot; scaler :
        f8[P, SCALER], what autoscaling remembers.
    again : f8[C], requests that come again in the next tick.
    books : f8[C, BOOKS].
    """

    tick: Ints
    arrived: Floats
    prefilled: Floats
    started: Floats
    area: Floats
    good: Floats
    delay: Floats
    hold: Floats
    ready_good: Floats
    ready_delay: Floats
    phi: Floats
    plain: Floats
    noise: Floats
    skew: Floats
    drift: Floats
    clock: Floats
    position: Floats
    admitted: Floats
    past: Ints
    pointer: Ints
    began: Floats
    swept: Floats
    survived: Floats
    batch: Floats
    context: Floats
    variance: Floats
    pace: Floats
    worked: Floats
    up: Floats
    due: Floats
    coming: Floats
    looks: Floats
    scaler: Floats
    again: Floats
    books: Floats


class Tally(NamedTuple):
    """What a run counts.

    Attributes
    ----------
    rows : f8[S, T, COLUMNS], by service and row of `every` ticks.
    sketch : f8[C, SKETCHES, BUCKETS], finished (for TTFT: started) requests by time; without
        buckets no distribution is followed.
    every : i8[1], ticks a row; first : i8[1], tick of the first row.
    """

    rows: Floats
    sketch: Floats
    every: Ints
    first: Ints


def begin(system: System, window: int) -> State:
    """The state of an empty factory, whose curves are kept for `window` ticks."""
    classes, services = len(system.class_names), len(system.names)
    factory = system.factory
    pools, bins = len(factory.pools.chunk), len(factory.classes.share)
    queues = int(factory.services.queue[-1])

    def curves(rows: int) -> Floats:
        return np.zeros((rows, window))

    return State(
        tick=np.zeros(1, dtype=np.int64),
        arrived=curves(classes),
        prefilled=curves(classes),
        started=curves(classes),
        area=curves(classes),
        good=curves(classes),
        delay=curves(classes),
        hold=curves(classes),
        ready_good=curves(classes),
        ready_delay=curves(classes),
        phi=curves(services),
        plain=curves(services),
        noise=curves(services),
        skew=curves(services),
        drift=curves(services),
        clock=curves(services * GROUPS * len(LEVELS)),
        position=np.zeros(queues),
        admitted=np.zeros(queues),
        past=np.zeros((bins, len(LEVELS)), dtype=np.int64),
        pointer=np.zeros(bins, dtype=np.int64),
        began=np.zeros(bins),
        swept=np.zeros(bins),
        survived=np.ones(services),
        batch=np.zeros(services),
        context=np.zeros(services),
        variance=np.zeros(services),
        pace=1.0 / factory.pools.overhead[factory.services.decode],
        worked=np.zeros(pools),
        up=np.full(pools, np.nan),
        due=np.zeros(pools),
        coming=np.zeros((pools, AHEAD)),
        looks=np.zeros((pools, SLOTS)),
        scaler=np.tile([-1.0, 0.0, 0.0, -1.0, 0.0], (pools, 1)),
        again=np.zeros(classes),
        books=np.zeros((classes, BOOKS)),
    )


def wider(state: State, window: int) -> State:
    """The same state with curves that are kept for longer."""
    old = state.phi.shape[1]
    tick = int(state.tick[0])
    kept = np.arange(max(tick - old + 1, 0), tick + 1)

    def grown(part: Floats) -> Floats:
        found = np.zeros((len(part), window))
        found[:, kept % window] = part[:, kept % old]
        return found

    curves: dict[str, Any] = {name: grown(getattr(state, name)) for name in CURVES}
    return state._replace(**curves)


def tally(system: System, ticks: int, every: int, first: int, *, spreads: bool = True) -> Tally:
    """An empty tally of `ticks` ticks from tick `first` on, with distributions or without."""
    buckets = BUCKETS if spreads else 0
    return Tally(
        rows=np.zeros((len(system.names), -(-ticks // every), COLUMNS)),
        sketch=np.zeros((len(system.class_names), SKETCHES, buckets)),
        every=np.array([every]),
        first=np.array([first]),
    )
