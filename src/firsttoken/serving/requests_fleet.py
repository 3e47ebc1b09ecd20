"""Replicas that come and go: autoscaling, failures, closures, power caps and throttling."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_inner
from firsttoken.kernel.random import FAILURE, REPAIR, log_normal_float, uniform
from firsttoken.serving.autoscale import (
    SLOTS,
    decode_load,
    recommended,
    slot_seconds,
    slots_back,
    smoothed,
)
from firsttoken.serving.requests_cache import clear
from firsttoken.serving.requests_count import count_powered, tally
from firsttoken.serving.requests_route import load_of, open_gate, send_away
from firsttoken.serving.requests_serve import lose, rests, take_blocks
from firsttoken.serving.requests_state import (
    CHANGE_TIMER,
    DOWN,
    DRAINING,
    LIFE,
    LOOK_TIMER,
    MOST_STRIDE,
    OFF,
    STARTING,
    STEP,
    UP,
    changes,
    laws,
    looks,
    phases,
    pools,
    replicas,
    world,
)
from firsttoken.serving.requests_step import (
    cut,
    set_seconds,
    settle,
    steps_until,
    timer_of,
)
from firsttoken.serving.requests_timers import set_timer

COUNT = 0
CAP = 1
SPEED = 2
FAIL = 3
LOW = 0xFFFFFFFF


@compiled_inner
def set_state(m: Any, r: int, new: int) -> None:
    """Change the state of a replica, and what follows from the numbers of each."""
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    count_powered(m, rep.pool)
    old = rep.state
    rep.state = new
    pool.up += int(new == UP) - int(old == UP)
    pool.starting += int(new == STARTING) - int(old == STARTING)


@compiled_inner
def draw(m: Any, r: int, purpose: int, mean: float) -> float:
    """Draw an exponential time of replica r."""
    state = world(m, 0)
    rep = replicas(m, r)
    entity = (int(state.key) ^ ((int(r) + 1) * 40503)) & LOW
    rep.draws += 1
    u = uniform(state.seed, state.replication, entity, purpose, rep.draws)
    return float(-mean * log_normal_float(u))


@compiled_inner
def come_up(m: Any, r: int) -> None:
    """Let replica r serve."""
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    set_state(m, r, UP)
    life = np.inf
    if pool.failure_rate > 0.0:
        life = world(m, 0).now + draw(m, r, FAILURE, 1.0 / pool.failure_rate)
    set_timer(m, timer_of(r, LIFE), life)
    open_gate(m, rep.pool)


@compiled_inner
def stop(m: Any, r: int) -> None:
    """Let replica r end what it has in hand, and take nothing new."""
    rep = replicas(m, r)
    if rep.state == STARTING:
        set_state(m, r, OFF)
        set_timer(m, timer_of(r, LIFE), np.inf)
    elif rep.state == UP:
        set_state(m, r, DRAINING)
        send_away(m, r)
        if_done(m, r)


@compiled_inner
def if_done(m: Any, r: int) -> None:
    """Switch replica r off if it was to stop and has nothing more in hand."""
    rep = replicas(m, r)
    if rep.state == DRAINING and rests(m, r):
        set_state(m, r, OFF)
        set_timer(m, timer_of(r, LIFE), np.inf)
        clear(m, r)


@compiled_apart
def set_fleet(m: Any, p: int) -> None:
    """Start or stop replicas of pool p until as many serve, or will, as are wanted."""
    pool = pools(m, p)
    end = pool.first + pool.replicas
    for r in range(pool.first + pool.allowed, end):
        stop(m, r)
    wanted = min(pool.wanted, pool.allowed)
    for r in range(pool.first, pool.first + pool.allowed):
        if pool.up + pool.starting < wanted and replicas(m, r).state == DRAINING:
            set_state(m, r, UP)
            open_gate(m, p)
    for r in range(pool.first, pool.first + pool.allowed):
        if pool.up + pool.starting < wanted and replicas(m, r).state == OFF:
            if pool.startup > 0.0:
                set_state(m, r, STARTING)
                set_timer(m, timer_of(r, LIFE), world(m, 0).now + pool.startup)
            else:
                come_up(m, r)
    for k in range(pool.allowed):
        r = pool.first + pool.allowed - 1 - k
        if pool.up + pool.starting > wanted and replicas(m, r).state == STARTING:
            stop(m, r)
    while pool.up + pool.starting > wanted and pool.up > 0:
        stop(m, emptiest(m, p))


@compiled_inner
def emptiest(m: Any, p: int) -> int:
    """Return the replica of pool p that serves and has least in hand, the last of equals."""
    pool = pools(m, p)
    best = -1
    least = 0
    for r in range(pool.first, pool.first + pool.replicas):
        if replicas(m, r).state == UP:
            load = load_of(m, r)
            if best < 0 or load <= least:
                best = r
                least = load
    return int(best)


@compiled_apart
def look(m: Any, p: int) -> None:
    """Look at the load of pool p, and start or stop replicas as `autoscale` says."""
    state = world(m, 0)
    pool = pools(m, p)
    set_timer(m, LOOK_TIMER + p, state.now + pool.interval)
    rate = (state.come - pool.come) / pool.interval
    pool.come = state.come
    pool.rate = smoothed(pool.rate, rate, pool.interval, pool.cooldown)
    if pool.rate < pool.floor_rate * (1.0 - pool.tolerance):
        pool.floor = 0
    have = pool.up + pool.starting
    wanted = int(recommended(float(have), _load(m, p), pool.tolerance))
    wanted = min(max(wanted, pool.least, pool.floor), pool.allowed)
    most = _most_wanted(m, p, wanted)
    if wanted > have:
        if pool.down_rate >= 0.0 and pool.rate <= pool.down_rate * (1.0 + pool.tolerance):
            pool.floor = have + 1
            pool.floor_rate = pool.rate
        pool.down_rate = -1.0
        pool.wanted = wanted
        set_fleet(m, p)
    elif most < have:
        pool.down_rate = pool.rate
        pool.wanted = most
        set_fleet(m, p)
    elif wanted == have:
        pool.wanted = wanted


@compiled_inner
def _load(m: Any, p: int) -> float:
    """Load of pool p, in replicas at the target."""
    pool = pools(m, p)
    if p == 0 and world(m, 0).split:
        worked = pool.work - pool.worked
        pool.worked = pool.work
        return float(worked / (pool.interval * pool.target))
    hand = float(pool.waiting + pool.running)
    full = pool.target * pool.sequences
    kv = 0.0
    decoding = 0
    for r in range(pool.first, pool.first + pool.replicas):
        kv += replicas(m, r).kv
        decoding += replicas(m, r).decoding
    each = kv / max(decoding, 1)
    mine = _step_seconds(m, p, hand / max(pool.up, 1), each)
    return decode_load(float(pool.up), hand, full, mine, _step_seconds(m, p, full, each))


@compiled_inner
def _step_seconds(m: Any, p: int, batch: float, each: float) -> float:
    """Seconds of a step of a batch whose sequences have `each` tokens of KV."""
    pool = pools(m, p)
    batch = min(batch, float(pool.sequences))
    tokens = batch * pool.width
    low = int(tokens)
    first = laws(m, pool.law + low).second
    more = laws(m, pool.law + min(low + 1, pool.chunk)).second - first
    return float(pool.overhead + first + (tokens - low) * more + pool.kv_second * each * batch)


@compiled_inner
def _most_wanted(m: Any, p: int, wanted: int) -> int:
    """Note what is wanted now, and return the most that was within the stabilisation window."""
    pool = pools(m, p)
    slot = round(world(m, 0).now / slot_seconds(pool.interval, pool.cooldown))
    first = p * SLOTS
    for i in range(min(slot - pool.slot, SLOTS)):
        looks(m, first + (slot - i) % SLOTS).v = 0.0
    pool.slot = slot
    here = looks(m, first + slot % SLOTS)
    here.v = max(here.v, float(wanted))
    most = 0.0
    for i in range(slots_back(pool.interval, pool.cooldown) + 1):
        most = max(most, looks(m, first + (slot - i) % SLOTS).v)
    return int(most)


@compiled_apart
def live_on(m: Any, r: int) -> None:
    """Do what the life of replica r has in store: it serves, fails, or is repaired."""
    rep = replicas(m, r)
    if rep.state == STARTING:
        come_up(m, r)
    elif rep.state == DOWN:
        set_state(m, r, OFF)
        pool = pools(m, rep.pool)
        if r < pool.first + pool.allowed and pool.up + pool.starting < pool.wanted:
            come_up(m, r)
    elif rep.state != OFF:
        fail(m, r, draw(m, r, REPAIR, pools(m, rep.pool).mttr))


@compiled_apart
def fail(m: Any, r: int, seconds: float) -> None:
    """Let replica r fail: what it has in hand is lost, steps that have ended count."""
    state = world(m, 0)
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    if rep.state == OFF or rep.state == DOWN:
        return
    if rep.busy > 0:
        end_early(m, r)
    set_timer(m, timer_of(r, STEP), np.inf)
    set_state(m, r, DOWN)
    pool.failures += 1
    rep.epoch += 1
    lose(m, r)
    send_away(m, r)
    clear(m, r)
    for k in range(pool.stride):
        phases(m, r * MOST_STRIDE + k).v = 0
    set_timer(m, timer_of(r, LIFE), state.now + seconds)
    if pool.scales == 0:
        set_fleet(m, rep.pool)


@compiled_inner
def end_early(m: Any, r: int) -> None:
    """Count the steps in hand of replica r that have ended; the one in hand gives nothing."""
    state = world(m, 0)
    rep = replicas(m, r)
    steps = 0
    if rep.chunks == 0:
        steps = steps_until(m, r, state.now) - 1
        if steps > 0:
            rep.leap = steps
            set_seconds(m, r)
            take_blocks(m, r)
            settle(m, r)
    began = rep.began + rep.seconds if steps > 0 else rep.began
    if state.now > began:
        tally(m, rep.pool, began, state.now, rep.joule / rep.second * (state.now - began), 0, 0, 0)
    rep.busy = 0
    rep.leap = 0
    rep.chunks = 0


@compiled_apart
def change(m: Any) -> None:
    """Do what changes now, and set the timer of the next change."""
    state = world(m, 0)
    while state.change < state.changes and changes(m, state.change).time <= state.now:
        row = changes(m, state.change)
        state.change += 1
        p = row.pool
        pool = pools(m, p)
        if row.what == COUNT:
            pool.allowed = int(row.value)
            if pool.scales == 0:
                pool.wanted = pool.allowed
            set_fleet(m, p)
        elif row.what == FAIL:
            fail(m, int(pool.first + row.value), row.seconds)
        else:
            if row.what == CAP:
                pool.cap = row.value
            else:
                pool.speed = row.value
            for r in range(pool.first, pool.first + pool.replicas):
                if replicas(m, r).busy > 0:
                    cut(m, r)
    if state.change < state.changes:
        set_timer(m, CHANGE_TIMER, changes(m, state.change).time)
