"""Where requests go: the routing to replicas, their queues, the gate in front of them."""

from typing import Any

from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.serving.requests_cache import drop, folded, matched
from firsttoken.serving.requests_count import change_waiting
from firsttoken.serving.requests_lists import append, list_of, prepend, queue_of, remove
from firsttoken.serving.requests_state import (
    AT_DECODE_GATE,
    AT_GATE,
    DRAINING,
    GATE,
    IN_QUEUE,
    IN_READY,
    STEP,
    UP,
    WAITING,
    counts,
    lists,
    pools,
    replicas,
    sequences,
    world,
)
from firsttoken.serving.requests_step import cut, timer_of
from firsttoken.serving.requests_timers import set_timer

ROUND_ROBIN = 0
LEAST_LOADED = 1
PREFIX = 2
SESSION = 3

MATCH = 0.3
"""Share of a prompt's blocks that a replica must know to get it for that."""
UNEVEN = 64
UNEVEN_RATIO = 1.5
"""Sequences that the fullest replica may have more than the emptiest, and how many times as many,
before the load counts alone.  These are defaults of SGLang's router (cache-aware policy)."""

MIX = 1540483477
LOW = 0xFFFFFFFF


@compiled_fused
def load_of(m: Any, r: int) -> int:
    """Return the sequences that replica r has in hand."""
    rep = replicas(m, r)
    return int(rep.waiting + rep.prefilling + rep.decoding + rep.moving)


@compiled_inner
def choose(m: Any, p: int, s: int) -> int:
    """Return the replica of pool p that sequence s goes to; -1: none serves."""
    pool = pools(m, p)
    if pool.up == 0:
        return -1
    if pool.routing == ROUND_ROBIN:
        return _in_turn(m, p)
    if pool.routing == SESSION:
        return _by_session(m, p, sequences(m, s).session)
    if pool.routing == PREFIX and sequences(m, s).hashes > 0:
        return _by_prefix(m, p, s)
    return _least_loaded(m, p)


@compiled_inner
def _in_turn(m: Any, p: int) -> int:
    pool = pools(m, p)
    while True:
        r = pool.first + pool.turn
        pool.turn = (pool.turn + 1) % pool.replicas
        if replicas(m, r).state == UP:
            return int(r)


@compiled_inner
def _least_loaded(m: Any, p: int) -> int:
    pool = pools(m, p)
    best = -1
    least = 0
    for r in range(pool.first, pool.first + pool.replicas):
        if replicas(m, r).state == UP:
            load = load_of(m, r)
            if best < 0 or load < least:
                best = r
                least = load
                if load == 0:
                    break
    return int(best)


@compiled_inner
def _by_session(m: Any, p: int, session: int) -> int:
    """Rendezvous hashing: when replicas come or go, only their own sessions move.

    Source: Thaler and Ravishankar, Using name-based mappings to increase hit rates, IEEE/ACM
    Transactions on Networking 6 (1998) 1-14.
    """
    pool = pools(m, p)
    best = -1
    most = -1
    for r in range(pool.first, pool.first + pool.replicas):
        if replicas(m, r).state == UP:
            x = ((folded(session) * 7919 + 40503 * (int(r) + 1)) & LOW) * MIX
            x = ((x ^ (x >> 15)) & LOW) * MIX
            weight = (x ^ (x >> 13)) & LOW
            if weight > most:
                best = r
                most = weight
    return int(best)


@compiled_inner
def _by_prefix(m: Any, p: int, s: int) -> int:
    """Cache-aware: the replica that knows most of the prompt, unless loads are too uneven."""
    pool = pools(m, p)
    seq = sequences(m, s)
    best = -1
    most = 0
    low = 1 << 40
    high = 0
    for r in range(pool.first, pool.first + pool.replicas):
        if replicas(m, r).state == UP:
            load = load_of(m, r)
            low = min(low, load)
            high = max(high, load)
            known = matched(m, r, seq.hash, seq.hashes)
            if known > most or (known == most and best >= 0 and load < load_of(m, best)):
                best = r
                most = known
    uneven = high - low > UNEVEN and high > UNEVEN_RATIO * low
    if best < 0 or uneven or most < MATCH * seq.hashes:
        return _least_loaded(m, p)
    return int(best)


@compiled_inner
def send_to(m: Any, p: int, s: int) -> None:
    """Let sequence s wait at a replica of pool p, or at the gate until one serves."""
    r = choose(m, p, s)
    seq = sequences(m, s)
    change_waiting(m, p, 1)
    if r < 0:
        seq.place = GATE
        seq.replica = -1
        append(m, AT_GATE if p == 0 else AT_DECODE_GATE, s)
        return
    enqueue(m, r, s, 0)
    wake(m, r)


@compiled_inner
def enqueue(m: Any, r: int, s: int, first: int) -> None:
    """Put sequence s into the queue of replica r; `first`: at its head."""
    seq = sequences(m, s)
    seq.place = WAITING
    seq.replica = r
    replicas(m, r).waiting += 1
    if first:
        prepend(m, queue_of(m, r, seq.level), s)
    else:
        append(m, queue_of(m, r, seq.level), s)


@compiled_inner
def dequeue(m: Any, r: int, s: int) -> None:
    """Take sequence s out of the queue of replica r."""
    rep = replicas(m, r)
    rep.waiting -= 1
    remove(m, queue_of(m, r, sequences(m, s).level), s)
    change_waiting(m, rep.pool, -1)


@compiled_fused
def wake(m: Any, r: int) -> None:
    """Let replica r see at the end of its step that somebody has come, or at once if it rests."""
    rep = replicas(m, r)
    if rep.state != UP and rep.state != DRAINING:
        return
    if rep.busy == 0:
        set_timer(m, timer_of(r, STEP), world(m, 0).now)
    elif rep.cut == 0 and _has_seat(m, r):
        cut(m, r)


@compiled_fused
def _has_seat(m: Any, r: int) -> bool:
    """Tell whether the batch has a seat for one more, or one has come for whom a seat is kept."""
    rep = replicas(m, r)
    if lists(m, list_of(m, r, IN_READY)).count > 0:
        return True
    return bool(rep.decoding + rep.prefilling + rep.moving < pools(m, rep.pool).sequences)


@compiled_apart
def open_gate(m: Any, p: int) -> None:
    """Let those who wait at the gate of pool p go to its replicas, one of which serves now."""
    gate = AT_GATE if p == 0 else AT_DECODE_GATE
    for _ in range(lists(m, gate).count):
        s = lists(m, gate).head
        remove(m, gate, s)
        change_waiting(m, p, -1)
        send_to(m, p, s)


@compiled_apart
def send_away(m: Any, r: int) -> None:
    """Send all who wait at replica r, which serves no more, to others."""
    p = replicas(m, r).pool
    for k in range(world(m, 0).levels):
        queue = list_of(m, r, IN_QUEUE) + k
        for _ in range(lists(m, queue).count):
            s = lists(m, queue).head
            dequeue(m, r, s)
            send_to(m, p, s)


@compiled_apart
def restart(m: Any, s: int) -> None:
    """Let sequence s, whose KV is lost, begin again; it must be in no list."""
    seq = sequences(m, s)
    counts(m, seq.tenant).restarted += 1
    counts(m, seq.tenant).wasted += seq.made
    seq.made = 0
    seq.done = 0
    seq.chunk = 0
    seq.need = seq.prompt
    seq.blocks = 0
    seq.shared = 0
    seq.source = -1
    seq.first = -1.0
    send_to(m, 0, s)


@compiled_inner
def free_source(m: Any, s: int) -> None:
    """Free the blocks of sequence s at the replica that computed its prompt, if it still lives."""
    seq = sequences(m, s)
    r = seq.source
    if r < 0:
        return
    rep = replicas(m, r)
    if rep.epoch == seq.source_epoch:
        drop(m, r, seq.hash, seq.source_shared)
        rep.used -= seq.source_blocks
        rep.held -= 1
        wake(m, r)
    seq.source = -1
