"""The curves of the fluid engine: who is served next, who is in hand, who has ended."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.serving.factory_state import THROWN, WASTED, State
from firsttoken.serving.factory_system import Classes, Factory, Floats


class Work(NamedTuple):
    """Room for the numbers of one tick.

    Attributes
    ----------
    start : f8[C], requests that start; mix : f8[C], shares of their prompt tokens in all.
    finish : f8[C], requests that end; made, given : f8[C], tokens decoded, and all tokens of the
        answers that end.
    place : f8[Q], positions that the queues move to.
    limits : f8[5], what may start: prompt tokens, requests, KV tokens (with those of the tick);
        by how much `phi` moves in the tick; mean time to first token, in ticks.
    measure : f8[5], see `measure`.
    good, delay, wait : f8[C], of the requests that start: share that reaches the goal of TTFT,
        mean TTFT, mean time in the queue.
    part, own : f8[C], shares of the classes in the prompts that start, and s of the steps of one.
    hand : f8[C], prompts that are in their own steps at the end of the tick.
    beside : f8[2], seconds that prefills add to a replica's steps in a second, and the sum of their
        squares.
    quant : f8[QUANTS], points of a distribution.
    """

    start: Floats
    mix: Floats
    finish: Floats
    made: Floats
    given: Floats
    place: Floats
    limits: Floats
    measure: Floats
    good: Floats
    delay: Floats
    wait: Floats
    part: Floats
    own: Floats
    hand: Floats
    beside: Floats
    quant: Floats


TOKENS: Final = 0
REQUESTS: Final = 1
KV: Final = 2
AHEAD: Final = 3
LAG: Final = 4
"""Limits of what may start in a tick."""

BATCH: Final = 0
CONTEXT: Final = 1
MADE: Final = 2
ENDED: Final = 3
FREED: Final = 4
"""What `measure` fills."""

FEW: Final = 1e-9
"""Share of surviving sequences at which curves are brought back to scale."""


@compiled_inner
def waiting(f: Factory, curve: Floats, place: Floats, s: int, end: float) -> tuple[float, float]:
    """Prompt tokens and requests of service s that wait at `end`, in ticks."""
    classes = f.classes
    tokens, requests = 0.0, 0.0
    for c in range(f.services.first[s], f.services.first[s + 1]):
        left = curve_at(curve, c, end) - curve_at(curve, c, place[classes.queue[c]])
        tokens += left * classes.mean_prompt[c]
        requests += left
    return tokens, requests


@compiled_inner
def curve_at(curve: Floats, c: int, tick: float) -> float:
    """A cumulative curve at a moment between the ends of ticks."""
    window = curve.shape[1]
    whole = int(tick)
    share = tick - whole
    low = curve[c, whole % window]
    if share <= 0.0:
        return float(low)
    return float(low + share * (curve[c, (whole + 1) % window] - low))


@compiled_inner
def take(
    f: Factory,
    curve: Floats,
    s: int,
    end: float,
    begin: Floats,
    work: Work,
) -> None:
    """Serve the queues of service s in the order of priority, each first come, first served.

    Fills `work.start` and `work.place`; takes what starts from `work.limits`.  Of what is in hand
    a share starts in the tick, as `factory_delay` says; the rest is on its way to the first token.

    Parameters
    ----------
    curve : arrivals, cumulative; end : moment in ticks up to which they may be served.
    begin : position of each queue.
    """
    services, classes = f.services, f.classes
    for c in range(services.first[s], services.first[s + 1]):
        work.start[c] = 0.0
    low = services.first[s]
    for q in range(services.queue[s], services.queue[s + 1]):
        high = low
        while high < services.first[s + 1] and classes.queue[high] == q:
            high += 1
        work.place[q] = _take_queue(classes, curve, low, high, begin[q], end, work.limits, work)
        low = high


@compiled_inner
def _take_queue(
    classes: Classes,
    curve: Floats,
    low: int,
    high: int,
    place: float,
    end: float,
    limits: Floats,
    work: Work,
) -> float:
    """Move one queue on, from arrivals tick to arrivals tick, until a limit is met."""
    due = math.inf
    if limits[LAG] > 0.0:
        due = 0.0
        for c in range(low, high):
            due += curve_at(curve, c, end) - curve_at(curve, c, place)
        due /= 1.0 + limits[LAG]
    while place < end:
        stop = min(float(int(place) + 1), end)
        tokens, requests, kv = 0.0, 0.0, 0.0
        for c in range(low, high):
            some = curve_at(curve, c, stop) - curve_at(curve, c, place)
            tokens += some * classes.mean_prompt[c]
            requests += some
            kv += some * (classes.mean_context[c] + 1.0 + 0.5 * work.limits[AHEAD])
        share = 1.0
        if tokens > limits[TOKENS]:
            share = min(share, limits[TOKENS] / tokens)
        if requests > limits[REQUESTS]:
            share = min(share, limits[REQUESTS] / requests)
        if kv > limits[KV]:
            share = min(share, limits[KV] / kv)
        if requests > due:
            share = min(share, due / requests)
        share = max(share, 0.0)
        goal = place + share * (stop - place)
        for c in range(low, high):
            work.start[c] += curve_at(curve, c, goal) - curve_at(curve, c, place)
        limits[TOKENS] -= share * tokens
        limits[REQUESTS] -= share * requests
        limits[KV] -= share * kv
        due -= share * requests
        if share < 1.0:
            return goal
        place = stop
    return place


@compiled_inner
def trace_back(state: State, s: int, k: int, x: float, phi: float, tick: int) -> tuple[int, float]:
    """Tick, and share of it, in which `phi` of service s was x.

    Parameters
    ----------
    k : the present tick, at whose end `phi` will be; tick : where to begin to look.
    """
    window = state.phi.shape[1]
    while tick < k and state.phi[s, (tick + 1) % window] <= x:
        tick += 1
    low = state.phi[s, tick % window]
    high = phi if tick == k else state.phi[s, (tick + 1) % window]
    span = high - low
    if span <= 0.0:
        return tick, 0.0
    return tick, min(max((x - low) / span, 0.0), 1.0)


@compiled_inner
def begun(
    state: State, s: int, c: int, k: int, start: float, phi: float, tick: int, share: float
) -> tuple[float, float]:
    """`started` and `area` of class c at a share of a tick; `start` are raw starts of tick k."""
    window = state.phi.shape[1]
    low = state.started[c, tick % window]
    base = state.phi[s, tick % window]
    if tick == k:
        rise, span = start, phi - base
    else:
        after = (tick + 1) % window
        rise, span = state.started[c, after] - low, state.phi[s, after] - base
    area = state.area[c, tick % window] + share * span * (low + 0.5 * share * rise)
    return low + share * rise, area


@compiled_inner
def measure(state: State, f: Factory, s: int, k: int, ahead: float, work: Work) -> None:
    """Fill `work.measure` with what the tick k does if `phi` moves by `ahead`.

    Entries: batch and KV tokens at the end, decoded tokens, requests that end, KV tokens freed.
    """
    classes, services = f.classes, f.services
    window = state.phi.shape[1]
    phi = state.phi[s, k % window] + ahead
    alive = state.survived[s]
    for m in range(5):
        work.measure[m] = 0.0
    for c in range(services.first[s], services.first[s + 1]):
        start = work.start[c] / alive
        base = state.started[c, k % window]
        top = base + start
        area = state.area[c, k % window] + ahead * (base + 0.5 * start)
        grown = area - state.area[c, k % window]
        work.finish[c], work.made[c], work.given[c] = 0.0, 0.0, 0.0
        for j in range(classes.first[c], classes.first[c + 1]):
            steps = max(classes.output[j] - 1.0, 0.0)
            tick, share = trace_back(state, s, k, phi - steps, phi, state.pointer[j])
            low, under = 0.0, 0.0
            if phi >= steps:
                low, under = begun(state, s, c, k, start, phi, tick, share)
            part = alive * classes.share[j]
            context = classes.prompt[j] + classes.cached[j] + 1.0
            ended = low - state.began[j]
            work.measure[BATCH] += part * (top - low)
            work.measure[CONTEXT] += part * (context * (top - low) + area - under - steps * low)
            work.made[c] += part * (grown - (under - state.swept[j]))
            work.measure[ENDED] += part * ended
            work.measure[FREED] += part * ended * (context + steps)
            work.finish[c] += part * ended
            work.given[c] += part * ended * (steps + 1.0)
        work.measure[MADE] += work.made[c]


@compiled_inner
def keep(state: State, f: Factory, s: int, k: int, ahead: float, work: Work) -> None:
    """Write the curves of service s at the end of tick k, and where its sequences began."""
    classes, services = f.classes, f.services
    window = state.phi.shape[1]
    now, then = k % window, (k + 1) % window
    phi = state.phi[s, now] + ahead
    for c in range(services.first[s], services.first[s + 1]):
        start = work.start[c] / state.survived[s]
        base = state.started[c, now]
        state.started[c, then] = base + start
        state.area[c, then] = state.area[c, now] + ahead * (base + 0.5 * start)
        for j in range(classes.first[c], classes.first[c + 1]):
            steps = max(classes.output[j] - 1.0, 0.0)
            if phi < steps:
                continue
            tick, share = trace_back(state, s, k, phi - steps, phi, state.pointer[j])
            low, under = begun(state, s, c, k, start, phi, tick, share)
            state.pointer[j] = tick
            state.began[j] = low
            state.swept[j] = under
    state.phi[s, then] = phi


@compiled_inner
def throw(state: State, f: Factory, s: int, k: int, share: float) -> float:
    """Throw out a share of all sequences of service s before tick k; return how many.

    They come again as new requests in the next tick.
    """
    thrown = 0.0
    for c in range(f.services.first[s], f.services.first[s + 1]):
        requests, tokens = in_hand(state, f, s, c, k)
        state.again[c] += share * requests
        state.books[c, THROWN] += share * requests
        state.books[c, WASTED] += share * tokens
        thrown += share * requests
    state.batch[s] *= 1.0 - share
    state.context[s] *= 1.0 - share
    state.survived[s] *= 1.0 - share
    if state.survived[s] < FEW:
        _forget(state, f, s, k)
    return thrown


@compiled_inner
def give_way(state: State, f: Factory, s: int, k: int, most: float, work: Work) -> float:
    """Throw out those who began last until at most `most` tokens of KV are held; return how many.

    As in the request mode: what was admitted last gives way.  They come again in the next tick.
    """
    window = state.phi.shape[1]
    oldest = max(k - window + 2, 0)
    low, high = f.services.first[s], f.services.first[s + 1]
    for c in range(low, high):
        work.made[c], work.given[c] = in_hand(state, f, s, c, k)
    tick, keep, excess = k, 1.0, state.context[s] - most
    while excess > 0.0 and tick > oldest:
        tick -= 1
        held = _held_by(state, f, s, k, tick)
        keep = max(1.0 - excess / held, 0.0) if held > 0.0 else 0.0
        excess -= held
    if tick == k:
        return 0.0
    _flatten(state, f, s, k, tick, keep)
    thrown = 0.0
    for c in range(low, high):
        requests, tokens = in_hand(state, f, s, c, k)
        gone = work.made[c] - requests
        state.again[c] += gone
        state.books[c, THROWN] += gone
        state.books[c, WASTED] += work.given[c] - tokens
        thrown += gone
        context = f.classes.mean_context[c]
        state.context[s] -= gone * context + work.given[c] - tokens
    state.batch[s] -= thrown
    return thrown


@compiled_inner
def in_hand(state: State, f: Factory, s: int, c: int, k: int) -> tuple[float, float]:
    """Requests of class c that decode before tick k, and the output tokens they have."""
    window = state.phi.shape[1]
    phi = state.phi[s, k % window]
    top, area = state.started[c, k % window], state.area[c, k % window]
    requests, tokens = 0.0, 0.0
    for j in range(f.classes.first[c], f.classes.first[c + 1]):
        steps = min(max(f.classes.output[j] - 1.0, 0.0), phi)
        part = state.survived[s] * f.classes.share[j]
        requests += part * (top - state.began[j])
        tokens += part * (top - state.began[j] + area - state.swept[j] - steps * state.began[j])
    return requests, tokens


@compiled_inner
def _held_by(state: State, f: Factory, s: int, k: int, tick: int) -> float:
    """KV tokens of the sequences that began in a tick and still decode."""
    window = state.phi.shape[1]
    phi = state.phi[s, k % window]
    left, right = state.phi[s, tick % window], state.phi[s, (tick + 1) % window]
    found = 0.0
    for c in range(f.services.first[s], f.services.first[s + 1]):
        base = state.started[c, tick % window]
        rise = state.started[c, (tick + 1) % window] - base
        if rise <= 0.0:
            continue
        for j in range(f.classes.first[c], f.classes.first[c + 1]):
            some = base + rise - max(base, state.began[j])
            if some > 0.0:
                began = right - 0.5 * some / rise * (right - left)
                context = f.classes.prompt[j] + f.classes.cached[j] + 1.0
                found += f.classes.share[j] * some * (context + phi - began)
    return float(state.survived[s] * found)


@compiled_inner
def _flatten(state: State, f: Factory, s: int, k: int, tick: int, keep: float) -> None:
    """Let only a share of those who started in `tick` have done so, and nobody after them."""
    window = state.phi.shape[1]
    phi = state.phi[s, k % window]
    for c in range(f.services.first[s], f.services.first[s + 1]):
        base = state.started[c, tick % window]
        top = base + keep * (state.started[c, (tick + 1) % window] - base)
        for t in range(tick, k):
            now, then = t % window, (t + 1) % window
            share = keep if t == tick else 0.0
            state.good[c, then] = _part(state.good, c, now, then, share)
            state.delay[c, then] = _part(state.delay, c, now, then, share)
            state.hold[c, then] = _part(state.hold, c, now, then, share)
            span = state.phi[s, then] - state.phi[s, now]
            before = state.started[c, now]
            state.started[c, then] = top
            state.area[c, then] = state.area[c, now] + 0.5 * span * (before + top)
        for j in range(f.classes.first[c], f.classes.first[c + 1]):
            steps = max(f.classes.output[j] - 1.0, 0.0)
            if phi >= steps:
                at, share = trace_back(state, s, k, phi - steps, phi, state.pointer[j])
                low, under = begun(state, s, c, k, 0.0, phi, at, share)
                state.pointer[j], state.began[j], state.swept[j] = at, low, under


@compiled_inner
def _part(curve: Floats, c: int, now: int, then: int, share: float) -> float:
    """End of a tick of a curve of which only a share is to rise."""
    return float(curve[c, now] + share * (curve[c, then] - curve[c, now]))


@compiled_inner
def _forget(state: State, f: Factory, s: int, k: int) -> None:
    """Bring the curves of a service back to scale, after nearly all sequences were thrown out."""
    window = state.phi.shape[1]
    factor = state.survived[s]
    for c in range(f.services.first[s], f.services.first[s + 1]):
        for w in range(window):
            state.started[c, w] *= factor
            state.area[c, w] *= factor
            state.good[c, w] *= factor
            state.delay[c, w] *= factor
            state.hold[c, w] *= factor
        for j in range(f.classes.first[c], f.classes.first[c + 1]):
            state.began[j] *= factor
            state.swept[j] *= factor
    state.survived[s] = 1.0
