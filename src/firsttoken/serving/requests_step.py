"""Steps of a replica: continuous batching with chunked prefill, blocks of KV, preemption.

As in vLLM's scheduler (version 1): running sequences come first, then prompts that have begun,
then those that wait, as long as the step has tokens left, the batch a seat, and the memory blocks.
Where memory runs out, the sequence of the lowest priority that was admitted last gives all of its
blocks back and is computed again later.

Steps in which sequences only decode are taken at once, up to the next one that ends or needs a
block that is not there: their times form an arithmetic series, since each reads as many more KV
tokens than the one before as there are sequences.  Whoever comes meanwhile cuts it short at the
end of the step in hand, as if steps had been taken one by one.
"""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_fused, compiled_inner
from firsttoken.serving.requests_cache import room
from firsttoken.serving.requests_count import count_gaps, tally
from firsttoken.serving.requests_lists import list_of
from firsttoken.serving.requests_state import (
    DECODED,
    IN_PREFILL,
    MOST_STRIDE,
    PER_REPLICA,
    REPLICA_TIMERS,
    STEP,
    laws,
    lists,
    phases,
    pools,
    replicas,
    runners,
    sequences,
    world,
)
from firsttoken.serving.requests_timers import set_timer


@compiled_fused
def timer_of(r: int, purpose: int) -> int:
    """Return the number of a timer of replica r."""
    return int(REPLICA_TIMERS + r * PER_REPLICA + purpose)


@compiled_inner
def blocks_of(m: Any, r: int, steps: int) -> int:
    """Return the blocks that the next steps of decoding take."""
    rep = replicas(m, r)
    stride = pools(m, rep.pool).stride
    found = steps // stride * rep.decoding
    for i in range(1, steps % stride + 1):
        found += phases(m, r * MOST_STRIDE + (rep.step + i) % stride).v
    return int(found)


@compiled_inner
def steps_in_memory(m: Any, r: int, most: int) -> int:
    """Return how many steps of decoding, up to `most`, there is memory for."""
    rep = replicas(m, r)
    stride = pools(m, rep.pool).stride
    left = room(m, r)
    if (most // stride + 1) * rep.decoding <= left:
        return most
    turns = left // rep.decoding
    steps = turns * stride
    left -= turns * rep.decoding
    while steps < most:
        left -= phases(m, r * MOST_STRIDE + (rep.step + steps + 1) % stride).v
        if left < 0:
            break
        steps += 1
    return int(min(steps, most))


@compiled_inner
def grown(m: Any, r: int, s: int) -> int:
    """Return the blocks that sequence s has taken since it began to decode."""
    rep = replicas(m, r)
    seq = sequences(m, s)
    stride = pools(m, rep.pool).stride
    return int((rep.step - seq.phase) // stride - (seq.begin - seq.phase) // stride)


@compiled_inner
def start_decode(m: Any, r: int, s: int) -> None:
    """Let sequence s decode from the next step on."""
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    seq = sequences(m, s)
    seq.place = DECODED
    seq.begin = rep.step
    blank = -(-seq.need // pool.block) * pool.block - seq.need
    seq.phase = (rep.step + 1 + int(blank / pool.progress)) % pool.stride
    phases(m, r * MOST_STRIDE + seq.phase).v += 1
    rep.kv += seq.need
    steps = int(np.ceil((seq.output - seq.made) / pool.progress))
    push_runner(m, r, rep.step + steps, s)


@compiled_inner
def push_runner(m: Any, r: int, finish: int, s: int) -> None:
    """Put a decoding sequence into the heap of replica r."""
    rep = replicas(m, r)
    i = rep.decoding
    rep.decoding = i + 1
    _rise(m, rep.runner, i, finish, s)


@compiled_inner
def _rise(m: Any, base: int, i: int, finish: int, s: int) -> None:
    while i > 0:
        up = (i - 1) >> 1
        parent = runners(m, base + up)
        if parent.finish <= finish:
            break
        row = runners(m, base + i)
        row.finish = parent.finish
        row.sequence = parent.sequence
        i = up
    row = runners(m, base + i)
    row.finish = finish
    row.sequence = s


@compiled_inner
def pop_runner(m: Any, r: int, i: int) -> None:
    """Take row i out of the heap of replica r, and what the sequence reads and needs with it."""
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    base = rep.runner
    seq = sequences(m, runners(m, base + i).sequence)
    rep.kv -= seq.need + (rep.step - seq.begin) * pool.progress
    phases(m, r * MOST_STRIDE + seq.phase).v -= 1
    n = rep.decoding - 1
    rep.decoding = n
    if n == 0:
        rep.kv = 0.0
    if i == n:
        return
    last = runners(m, base + n)
    finish = last.finish
    s = last.sequence
    if i > 0 and finish < runners(m, base + ((i - 1) >> 1)).finish:
        _rise(m, base, i, finish, s)
        return
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        best = runners(m, base + child)
        if child + 1 < n and runners(m, base + child + 1).finish < best.finish:
            child += 1
            best = runners(m, base + child)
        if finish <= best.finish:
            break
        row = runners(m, base + i)
        row.finish = best.finish
        row.sequence = best.sequence
        i = child
    row = runners(m, base + i)
    row.finish = finish
    row.sequence = s


@compiled_inner
def pairs_of(m: Any, r: int) -> float:
    """Return the pairs that the prefill chunks of the step in hand attend."""
    found = 0.0
    s = lists(m, list_of(m, r, IN_PREFILL)).head
    while s >= 0:
        seq = sequences(m, s)
        found += seq.chunk * (seq.done + 0.5 * seq.chunk)
        s = seq.next
    return float(found)


@compiled_inner
def start_leap(m: Any, r: int, most: int) -> None:
    """Begin a step with prefill, or up to `most` steps of decoding."""
    state = world(m, 0)
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    law = laws(m, pool.law + rep.decoding * pool.width + rep.chunks)
    second = pool.overhead + law.second + pool.kv_second * rep.kv
    joule = pool.energy_step + law.joule + pool.kv_joule * rep.kv
    steps = 1
    if rep.chunks > 0:
        pairs = pairs_of(m, r)
        second += pool.pair_second * pairs
        joule += pool.pair_joule * pairs
    else:
        steps = min(runners(m, rep.runner).finish - rep.step, most)
        if steps > 1:
            steps = max(steps_in_memory(m, r, steps), 1)
    rep.second = second
    rep.second_more = pool.kv_second * rep.decoding * pool.progress
    rep.joule = joule
    rep.joule_more = pool.kv_joule * rep.decoding * pool.progress
    pace(m, r, steps)
    rep.leap = steps
    rep.busy = 1
    rep.cut = 0
    rep.began = state.now
    set_seconds(m, r)
    set_timer(m, timer_of(r, STEP), state.now + rep.seconds)


@compiled_fused
def set_seconds(m: Any, r: int) -> None:
    """Compute seconds and joules of the leap in hand."""
    rep = replicas(m, r)
    more = 0.5 * rep.leap * (rep.leap - 1)
    rep.seconds = rep.leap * rep.second + more * rep.second_more
    rep.joules = rep.leap * rep.joule + more * rep.joule_more


@compiled_inner
def pace(m: Any, r: int, steps: int) -> None:
    """Slow the steps of a leap down to what power cap and cooling allow.

    Power above idle goes with the speed to the power of `System.exponent`; the cap of a pool is
    shared evenly by the replicas that are up.
    """
    state = world(m, 0)
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    half = 0.5 * (steps - 1)
    seconds = rep.second + half * rep.second_more
    power = (rep.joule + half * rep.joule_more) / seconds
    most = pool.limit - pool.idle
    if power > most:
        rep.joule *= most / power
        rep.joule_more *= most / power
        power = most
    if pool.speed >= 1.0 and pool.cap == np.inf:
        return
    speed = min(pool.speed, 1.0)
    if pool.cap < np.inf:
        left = max(pool.cap / max(pool.up, 1) - pool.idle, 0.0)
        if power * speed**state.exponent > left:
            speed = (left / power) ** (1.0 / state.exponent)
    speed = max(speed, state.lowest)
    factor = speed ** (state.exponent - 1.0)
    rep.second /= speed
    rep.second_more /= speed
    rep.joule *= factor
    rep.joule_more *= factor


@compiled_inner
def steps_until(m: Any, r: int, time: float) -> int:
    """Return the first number of steps of the leap in hand that end at or after a time."""
    rep = replicas(m, r)
    gone = time - rep.began
    a = rep.second
    b = rep.second_more
    linear = a - 0.5 * b
    n = int(2.0 * gone / (linear + np.sqrt(max(linear * linear + 2.0 * b * gone, 0.0))))
    n = max(n - 1, 1)
    while n < rep.leap and rep.began + (n * a + 0.5 * n * (n - 1) * b) < time:
        n += 1
    return int(n)


@compiled_inner
def cut(m: Any, r: int) -> None:
    """End the leap in hand with the step that is being taken."""
    rep = replicas(m, r)
    rep.cut = 1
    if rep.leap == 1 or rep.chunks > 0:
        return
    steps = steps_until(m, r, world(m, 0).now)
    if steps < rep.leap:
        rep.leap = steps
        set_seconds(m, r)
        set_timer(m, timer_of(r, STEP), max(rep.began + rep.seconds, world(m, 0).now))


@compiled_inner
def settle(m: Any, r: int) -> None:
    """Count the leap that has just ended; blocks must be taken for it."""
    rep = replicas(m, r)
    p = rep.pool
    pool = pools(m, p)
    steps = rep.leap
    tokens = steps * rep.decoding * pool.progress
    end = rep.began + rep.seconds
    some = float(rep.decoding + rep.prefilling)
    tally(m, p, rep.began, end, rep.joules, tokens, float(rep.chunks), some)
    pool.steps += steps
    if rep.decoding > 0:
        count_gaps(m, p, rep.seconds / steps / pool.progress, int(tokens))
    rep.step += steps
    rep.kv += tokens
    rep.busy = 0
    rep.leap = 0
