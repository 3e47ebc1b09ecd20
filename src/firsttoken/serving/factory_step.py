"""The step of a replica in the mean: seconds and joules at a batch, a load of prefill, a cap."""

from __future__ import annotations

from typing import Final

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.serving.factory_system import BATCHES, FILLS, Factory, Floats, Pools

ROUNDS: Final = 40
"""Most rounds in which the prefill of a step is found; three to six are common."""

CLOSE: Final = 1e-7
"""Error of it, over the tokens of a chunk, that counts as none."""

LOWEST_SPEED: Final = 0.15
"""Lowest clock as a share of the highest, as in the request mode: caps go no further."""


@compiled_inner
def part_of_law(pools: Pools, p: int, values: Floats, tokens: float) -> float:
    """`seconds` or `joules` of pool p at tokens of a step, straight beyond the table."""
    low, high = pools.first[p], pools.first[p + 1] - 1
    if tokens >= pools.tokens[high]:
        low = high - 1
    else:
        while high - low > 1:
            middle = (low + high) // 2
            if pools.tokens[middle] <= tokens:
                low = middle
            else:
                high = middle
    span = pools.tokens[low + 1] - pools.tokens[low]
    share = (tokens - pools.tokens[low]) / span
    return float(values[low] + share * (values[low + 1] - values[low]))


@compiled_inner
def batch_place(pools: Pools, p: int, batch: float) -> tuple[int, float]:
    """Row of the tables by batch, and the share of the way to the next."""
    grid = pools.batch[p]
    if batch >= grid[BATCHES - 1]:
        return BATCHES - 2, 1.0
    low, high = 0, BATCHES - 1
    while high - low > 1:
        middle = (low + high) // 2
        if grid[middle] <= batch:
            low = middle
        else:
            high = middle
    return low, max((batch - grid[low]) / (grid[low + 1] - grid[low]), 0.0)


@compiled_inner
def by_batch(table: Floats, column: int, row: int, share: float) -> float:
    """Entry of a table [BATCHES, n] between two rows."""
    return float(table[row, column] + share * (table[row + 1, column] - table[row, column]))


@compiled_inner
def filled(table: Floats, row: int, share: float, fill: float) -> float:
    """Entry of a table [BATCHES, FILLS] at a filling in [0, 1]."""
    place = min(max(fill, 0.0), 1.0) * (FILLS - 1)
    column = min(int(place), FILLS - 2)
    rest = place - column
    low = by_batch(table, column, row, share)
    return low + rest * (by_batch(table, column + 1, row, share) - low)


@compiled_inner
def step_of(
    f: Factory,
    s: int,
    p: int,
    mix: Floats,
    batch: float,
    kv: float,
    prefill: float,
    limit: float,
    speed: float,
) -> tuple[float, float]:
    """Seconds and joules (above idle) of a mean step.

    Parameters
    ----------
    s, p : rows of service and pool; mix : f8[C], shares of the classes of the service in prefill.
    batch, kv : sequences that decode, and the KV tokens they read.
    prefill : prefill tokens of the step.
    limit : most power of the replica, W; a step that would take more is stretched.
    speed : share of the law's speed.
    """
    pools, classes = f.pools, f.classes
    tokens = batch * pools.width[p]
    seconds = pools.overhead[p] + pools.kv_second[p] * kv
    seconds += part_of_law(pools, p, pools.seconds, tokens)
    joules = pools.energy_step[p] + pools.kv_joule[p] * kv
    joules += part_of_law(pools, p, pools.joules, tokens)
    if prefill > 0.0:
        row, share = batch_place(pools, p, batch)
        fill = prefill / max(pools.chunk[p] - tokens, 1.0)
        for c in range(f.services.first[s], f.services.first[s + 1]):
            if mix[c] > 0.0:
                pairs = classes.pairs[c] * prefill
                added = filled(classes.fill[c], row, share, fill) + pools.pair_second[p] * pairs
                taken = filled(classes.fill_joules[c], row, share, fill)
                seconds += mix[c] * added
                joules += mix[c] * (taken + pools.pair_joule[p] * pairs)
    return at_speed(pools, p, seconds, joules, limit, speed)


@compiled_inner
def at_speed(
    pools: Pools, p: int, seconds: float, joules: float, limit: float, speed: float
) -> tuple[float, float]:
    """Seconds and joules of a step at most at a speed, and slower if a limit of power asks it.

    Power above idle goes with the speed to a power, as in the request mode.
    """
    room = max(min(limit, pools.limit[p]) - pools.idle[p], 0.0)
    power = joules / seconds
    x = speed
    if power * x ** pools.exponent[p] > room:
        x = min(x, max((room / power) ** (1.0 / pools.exponent[p]), LOWEST_SPEED))
    return seconds / x, joules * x ** (pools.exponent[p] - 1.0)


@compiled_inner
def settle(
    f: Factory,
    s: int,
    p: int,
    mix: Floats,
    batch: float,
    kv: float,
    rate: float,
    limit: float,
    speed: float,
) -> tuple[float, float, float]:
    """Find the step in which a replica does as much prefill as comes in a step's time.

    Parameters
    ----------
    rate : prefill tokens/s that one replica is to do; speed : share of the law's speed.

    Returns
    -------
    tuple
        Prefill tokens of a step, seconds, joules.  If they are all that the batch leaves of the
        chunk, no more can be done.
    """
    most = max(f.pools.chunk[p] - batch * f.pools.width[p], 1.0)
    t0, e0 = step_of(f, s, p, mix, batch, kv, 0.0, limit, speed)
    if rate <= 0.0:
        return 0.0, t0, e0
    t1, e1 = step_of(f, s, p, mix, batch, kv, most, limit, speed)
    if rate * t1 >= most and rate * t0 >= most:
        return most, t1, e1
    left, right = 0.0, most
    miss_left, miss_right = rate * t0, rate * t1 - most
    if miss_right >= 0.0:
        # Prefill that is dearer the more of it there is fits in below, if it fits at all.
        return most, t1, e1
    side = 0
    y, t, e = most, t1, e1
    for _ in range(ROUNDS):
        y = (left * miss_right - right * miss_left) / (miss_right - miss_left)
        t, e = step_of(f, s, p, mix, batch, kv, y, limit, speed)
        miss = rate * t - y
        if abs(miss) < CLOSE * most:
            break
        if miss > 0.0:
            left, miss_left = y, miss
            if side == 1:
                miss_right *= 0.5
            side = 1
        else:
            right, miss_right = y, miss
            if side == -1:
                miss_left *= 0.5
            side = -1
    return y, t, e


@compiled_inner
def prefill_only(
    f: Factory,
    s: int,
    p: int,
    mix: Floats,
    limit: float,
    speed: float,
) -> tuple[float, float, float]:
    """Cost of prompts in a replica that only prefills, by the mix of prompts' tokens.

    Returns
    -------
    tuple
        Seconds a prompt token if each prompt has steps of its own, and if all steps are full;
        joules a token of full steps.
    """
    pools, classes = f.pools, f.classes
    chunk = pools.chunk[p]
    full, joules = step_of(f, s, p, mix, 0.0, 0.0, chunk, limit, speed)
    alone = 0.0
    for c in range(f.services.first[s], f.services.first[s + 1]):
        if mix[c] > 0.0:
            alone += mix[c] * classes.own[c, 0, 0] / max(classes.mean_prompt[c], 1e-9)
    full /= chunk
    return max(alone / speed, full), full, joules / chunk
