"""The step of a replica in the mean: seconds and joules at a batch, a load of prefill, a cap."""

from __future__ import annotations

from typing import Final

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.serving.factory_system import BATCHES, FILLS, Factory, Floats, Pools
from firsttoken.serving.requests_system import LOWEST_SPEED

ROUNDS: Final = 40
"""Most rounds in which the prefill of a step is found; three to six are common."""

CLOSE: Final = 1e-7
"""Error of it, over the tokens of a chunk, that counts as none."""


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
    limit : cap on the power of the replica, W.
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
    """Seconds and joules of a step at most at a speed, and slower if a cap of power asks it.

    As in the request mode: GPUs keep to the law's limit by themselves, in the time that the law
    says; below a cap, power above idle goes with the speed to a power.
    """
    power = min(joules / seconds, pools.limit[p] - pools.idle[p])
    room = max(limit - pools.idle[p], 0.0)
    x = min(speed, 1.0)
    if power * x ** pools.exponent[p] > room:
        x = (room / power) ** (1.0 / pools.exponent[p])
    x = max(x, LOWEST_SPEED)
    return seconds / x, power * seconds * x ** (pools.exponent[p] - 1.0)


@compiled_inner
def correction_place(f: Factory, s: int, load: float) -> tuple[int, float]:
    """Row of the corrections of service s at a load, and the share of the way to the next."""
    low, high = f.services.correction[s], f.services.correction[s + 1] - 1
    points = f.services.load
    if load <= points[low] or low == high:
        return low, 0.0
    while low < high - 1 and points[low + 1] < load:
        low += 1
    return low, min((load - points[low]) / (points[low + 1] - points[low]), 1.0)


@compiled_inner
def between(values: Floats, row: int, share: float) -> float:
    """Value between two rows."""
    if share <= 0.0:
        return float(values[row])
    return float(values[row] + share * (values[row + 1] - values[row]))


@compiled_inner
def real_step(
    f: Factory,
    s: int,
    p: int,
    mix: Floats,
    batch: float,
    kv: float,
    prefill: float,
    limit: float,
    speed: float,
    one: float,
) -> tuple[float, float, float]:
    """Seconds and joules of a mean step, corrected, and its load.

    Parameters
    ----------
    one : seconds of a step of one sequence, the unit of load; others as in `step_of`.
    """
    seconds, joules = step_of(f, s, p, mix, batch, kv, prefill, limit, speed)
    row, share = correction_place(f, s, seconds / one)
    fix = between(f.services.pace, row, share)
    return seconds * fix, joules * fix, seconds / one


@compiled_inner
def narrowed(
    left: float,
    right: float,
    miss_left: float,
    miss_right: float,
    side: int,
    y: float,
    miss: float,
) -> tuple[float, float, float, float, int]:
    """Return the bracket of a root after a try at y, by the Illinois rule.

    An end that stays twice counts half (Dowell and Jarratt, BIT 11 (1971) 168-174).

    Parameters
    ----------
    miss_left, miss_right : above and below 0; side : end that moved last, 1 left, -1 right, 0 none.
    """
    if miss > 0.0:
        return y, right, miss, miss_right * 0.5 if side == 1 else miss_right, 1
    return left, y, miss_left * 0.5 if side == -1 else miss_left, miss, -1


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
    one: float,
) -> tuple[float, float, float, float]:
    """Find the step in which a replica does as much prefill as comes in a step's time.

    Parameters
    ----------
    rate : prefill tokens/s that one replica is to do; speed : share of the law's speed.

    Returns
    -------
    tuple
        Prefill tokens of a step, seconds, joules, load (see `real_step`).  If the tokens are all
        that the batch leaves of the chunk, no more can be done.
    """
    most = max(f.pools.chunk[p] - batch * f.pools.width[p], 1.0)
    t0, e0, load0 = real_step(f, s, p, mix, batch, kv, 0.0, limit, speed, one)
    if rate <= 0.0:
        return 0.0, t0, e0, load0
    t1, e1, load1 = real_step(f, s, p, mix, batch, kv, most, limit, speed, one)
    left, right = 0.0, most
    miss_left, miss_right = rate * t0, rate * t1 - most
    if miss_right >= 0.0:
        return most, t1, e1, load1
    side = 0
    y, t, e, load = most, t1, e1, load1
    for _ in range(ROUNDS):
        y = (left * miss_right - right * miss_left) / (miss_right - miss_left)
        t, e, load = real_step(f, s, p, mix, batch, kv, y, limit, speed, one)
        miss = rate * t - y
        if abs(miss) < CLOSE * most:
            break
        left, right, miss_left, miss_right, side = narrowed(
            left, right, miss_left, miss_right, side, y, miss
        )
    return y, t, e, load


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
