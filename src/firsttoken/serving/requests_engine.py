"""The loop of the request mode: the next arrival or the next timer, whichever comes first."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled, compiled_fused, compiled_inner, is_cold
from firsttoken.serving.requests_cache import rehash
from firsttoken.serving.requests_count import begin_counts, close, count_arrival
from firsttoken.serving.requests_fleet import change, come_up, if_done, live_on, look
from firsttoken.serving.requests_lists import new_row
from firsttoken.serving.requests_route import send_to
from firsttoken.serving.requests_serve import end_step, end_transfer
from firsttoken.serving.requests_state import (
    CHANGE_TIMER,
    DONE,
    DRAINING,
    ENDLESS,
    FULL,
    HUNGRY,
    LIFE,
    LOOK_TIMER,
    PER_REPLICA,
    REPLICA_TIMERS,
    STEP,
    changes,
    counts,
    feeds,
    pools,
    records,
    replicas,
    sequences,
    tenants,
    world,
)
from firsttoken.serving.requests_timers import next_ring, ring, set_timer

BEGIN, RUN, CLOSE, REHASH, GO_ON = 0, 1, 2, 3, 4
LOOK = (1 << 22) - 1
"""Events between two looks at whether time passes."""


@compiled
def operate(m: Any, action: int) -> int:
    """Do something with a system: the only function of the engine that Python calls.

    Parameters
    ----------
    m
        Memory of the system, see :mod:`firsttoken.serving.requests_state`.
    action
        BEGIN: build the state at time 0; GO_ON: begin statistics with a state that was taken over;
        RUN: run to the end, or until something is needed (calling again goes on); CLOSE: bring
        the statistics up to the end; REHASH: fill the buckets anew after the tables have grown.

    Returns
    -------
    int
        DONE; of RUN also HUNGRY (more requests), FULL (the tables must grow) or ENDLESS.
    """
    if action == RUN:
        return int(run(m))
    if action == BEGIN:
        begin_counts(m)
        begin_world(m)
    elif action == GO_ON:
        begin_counts(m)
        set_timer(m, CHANGE_TIMER, np.inf)
        if world(m, 0).changes > 0:
            set_timer(m, CHANGE_TIMER, changes(m, 0).time)
    elif action == REHASH:
        rehash(m, world(m, 0).rows)
    else:
        close(m)
    return int(np.int64(DONE))


@compiled_inner
def begin_world(m: Any) -> None:
    """Let replicas serve, and set the first timers."""
    state = world(m, 0)
    change(m)
    for p in range(state.pools):
        pool = pools(m, p)
        wanted = min(pool.least if pool.scales else pool.allowed, pool.allowed)
        pool.wanted = wanted
        for r in range(pool.first, pool.first + wanted):
            if replicas(m, r).state == 0:
                come_up(m, r)
        if pool.scales:
            set_timer(m, LOOK_TIMER + p, pool.interval)
    if state.change < state.changes:
        set_timer(m, CHANGE_TIMER, changes(m, state.change).time)


@compiled_inner
def run(m: Any) -> int:
    """Take arrival after arrival and timer after timer."""
    state = world(m, 0)
    seen = -1.0
    while True:
        arrival = np.inf
        if state.fed < state.feed:
            arrival = feeds(m, state.fed).arrival
        elif state.last == 0:
            return HUNGRY
        time = next_ring(m)
        if arrival > state.until and time > state.until:
            state.now = state.until
            return DONE
        if state.free_rows < 1 or state.free_entries < state.margin:
            return FULL
        if arrival <= time:
            state.now = arrival
            arrive(m)
        else:
            state.now = max(time, state.now)
            handle(m, ring(m))
        state.events += 1
        if state.events & LOOK == 0:
            if state.now == seen:
                return ENDLESS
            seen = state.now


@compiled_fused
def handle(m: Any, number: int) -> None:
    """Do what a timer was set for."""
    if number >= REPLICA_TIMERS:
        r = (number - REPLICA_TIMERS) // PER_REPLICA
        purpose = (number - REPLICA_TIMERS) % PER_REPLICA
        if purpose == STEP:
            end_step(m, r)
        elif purpose == LIFE:
            live_on(m, r)
        else:
            end_transfer(m, r)
        if replicas(m, r).state == DRAINING:
            if_done(m, r)
    elif number == CHANGE_TIMER:
        change(m)
    else:
        look(m, number - LOOK_TIMER)


@compiled_fused
def arrive(m: Any) -> None:
    """Let the next request come in; one that no replica's memory could hold is refused."""
    state = world(m, 0)
    row = feeds(m, state.fed)
    state.fed += 1
    number = state.arrived
    state.arrived += 1
    count_arrival(m, row.tenant)
    if number < state.recorded:
        records(m, number).arrival = row.arrival
    for p in range(state.pools):
        pool = pools(m, p)
        most = row.prompt + row.output - 1
        if state.split > 0 and p == 0:
            most = row.prompt
        if -(-most // pool.block) > pool.blocks - pool.slack:
            counts(m, row.tenant).refused += 1
            return
    s = new_row(m)
    seq = sequences(m, s)
    seq.request = number
    seq.tenant = row.tenant
    seq.level = tenants(m, row.tenant).level
    seq.need = row.prompt
    seq.done = 0
    seq.chunk = 0
    seq.made = 0
    seq.blocks = 0
    seq.shared = 0
    seq.prompt = row.prompt
    seq.output = row.output
    seq.cached = row.cached
    seq.session = row.session
    seq.hash = row.hash
    seq.hashes = row.hashes
    seq.source = -1
    seq.arrival = row.arrival
    seq.first = -1.0
    send_to(m, 0, s)


def must_compile() -> bool:
    """Tell whether the first run has to wait for the compiler."""
    return is_cold(operate)
