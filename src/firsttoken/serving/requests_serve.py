"""What a replica does between two steps: who has finished, who is admitted, who must give way."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.serving.requests_cache import drop, find, room, share, take, use
from firsttoken.serving.requests_count import change_waiting, count_end, count_first
from firsttoken.serving.requests_lists import append, free_row, list_of, queue_of, remove
from firsttoken.serving.requests_route import (
    dequeue,
    enqueue,
    free_source,
    restart,
    send_to,
    wake,
)
from firsttoken.serving.requests_state import (
    DRAINING,
    IN_PREFILL,
    IN_READY,
    IN_TRANSFER,
    LINK,
    MOVING,
    PREFILLED,
    READY,
    UP,
    counts,
    entries,
    hashes,
    lists,
    pools,
    records,
    replicas,
    runners,
    sequences,
    world,
)
from firsttoken.serving.requests_step import (
    blocks_of,
    grown,
    pop_runner,
    settle,
    start_decode,
    start_leap,
    timer_of,
)
from firsttoken.serving.requests_timers import set_timer

UNLIMITED = 1 << 40


@compiled_inner
def end_step(m: Any, r: int) -> None:
    """End the steps in hand of replica r, and begin the next ones."""
    rep = replicas(m, r)
    if rep.busy > 0:
        take_blocks(m, r)
        settle(m, r)
        if rep.chunks > 0:
            read_chunks(m, r)
        while rep.decoding > 0 and runners(m, rep.runner).finish <= rep.step:
            s = runners(m, rep.runner).sequence
            seq = sequences(m, s)
            pop_runner(m, r, 0)
            release(m, r, s, grown(m, r, s))
            counts(m, seq.tenant).made += seq.output - seq.made
            finish(m, r, s)
    begin(m, r)


@compiled_fused
def take_blocks(m: Any, r: int) -> None:
    """Take the blocks that the decoding of the steps in hand has filled."""
    rep = replicas(m, r)
    if rep.decoding > 0:
        blocks = blocks_of(m, r, rep.leap)
        if blocks > 0:
            take(m, r, blocks)


@compiled_fused
def release(m: Any, r: int, s: int, more: int) -> None:
    """Give the blocks of sequence s back, `more` of which it took while it decoded."""
    seq = sequences(m, s)
    drop(m, r, seq.hash, seq.shared)
    replicas(m, r).used -= seq.blocks + more
    seq.shared = 0
    seq.blocks = 0


@compiled_inner
def finish(m: Any, r: int, s: int) -> None:
    """Let sequence s, whose last token has been made, go."""
    pools(m, replicas(m, r).pool).running -= 1
    count_end(m, s)
    free_row(m, s)


@compiled_inner
def read_chunks(m: Any, r: int) -> None:
    """Note what the step's prefill has computed; prompts that are complete yield a token."""
    state = world(m, 0)
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    pool.prefilled += rep.chunks
    rep.chunks = 0
    s = lists(m, list_of(m, r, IN_PREFILL)).head
    while s >= 0:
        seq = sequences(m, s)
        after = seq.next
        seq.done += seq.chunk
        seq.chunk = 0
        if seq.done >= seq.need:
            remove(m, list_of(m, r, IN_PREFILL), s)
            rep.prefilling -= 1
            if pool.cache:
                share(m, r, s)
            if seq.first < 0.0:
                seq.first = state.now
            seq.made += 1
            counts(m, seq.tenant).made += 1
            count_first(m, rep.pool)
            if seq.made >= seq.output:
                release(m, r, s, 0)
                finish(m, r, s)
            elif state.split > 0 and rep.pool == 0:
                hand_over(m, r, s)
            else:
                start_decode(m, r, s)
        s = after


@compiled_inner
def hand_over(m: Any, r: int, s: int) -> None:
    """Let sequence s, computed at replica r, wait for a replica that decodes it."""
    rep = replicas(m, r)
    seq = sequences(m, s)
    pools(m, rep.pool).running -= 1
    rep.held += 1
    seq.source = r
    seq.source_blocks = seq.blocks
    seq.source_shared = seq.shared
    seq.source_epoch = rep.epoch
    seq.blocks = 0
    seq.shared = 0
    send_to(m, 1, s)


@compiled_inner
def begin(m: Any, r: int) -> None:
    """Compose the next step of replica r, or let it rest."""
    rep = replicas(m, r)
    if rep.state != UP and rep.state != DRAINING:
        return
    pool = pools(m, rep.pool)
    ready = list_of(m, r, IN_READY)
    while lists(m, ready).head >= 0:
        s = lists(m, ready).head
        remove(m, ready, s)
        rep.moving -= 1
        start_decode(m, r, s)
    short = 0
    while rep.decoding > 0 and blocks_of(m, r, 1) > room(m, r):
        preempt(m, r)
        short = 1
    rep.kept = blocks_of(m, r, 1)
    left = pool.chunk - rep.decoding * pool.width
    left = go_on_reading(m, r, left)
    if short == 0 and rep.waiting > 0:
        admit(m, r, left)
    if rep.decoding > 0 or rep.chunks > 0:
        start_leap(m, r, 1 if short > 0 else UNLIMITED)


@compiled_inner
def go_on_reading(m: Any, r: int, left: int) -> int:
    """Give prompts that have begun their part of the step's tokens; return how many are left."""
    rep = replicas(m, r)
    s = lists(m, list_of(m, r, IN_PREFILL)).head
    while s >= 0:
        seq = sequences(m, s)
        seq.chunk = max(min(seq.need - seq.done, left), 0)
        left -= seq.chunk
        rep.chunks += seq.chunk
        s = seq.next
    return int(left)


@compiled_inner
def admit(m: Any, r: int, left: int) -> None:
    """Admit those who wait, by priority and then in order, as far as there is room."""
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    for k in range(world(m, 0).levels):
        while lists(m, queue_of(m, r, k)).count > 0:
            if rep.decoding + rep.prefilling + rep.moving >= pool.sequences:
                return
            s = lists(m, queue_of(m, r, k)).head
            seq = sequences(m, s)
            if seq.source >= 0:
                if replicas(m, seq.source).epoch != seq.source_epoch:
                    dequeue(m, r, s)
                    seq.source = -1
                    restart(m, s)
                elif not fetch(m, r, s):
                    return
            elif left <= 0 or not start_reading(m, r, s):
                return
            else:
                seq.chunk = min(seq.need - seq.done, left)
                left -= seq.chunk
                rep.chunks += seq.chunk


@compiled_inner
def start_reading(m: Any, r: int, s: int) -> bool:
    """Give sequence s the blocks of its prompt, and what is known of it; tell whether it can."""
    state = world(m, 0)
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    seq = sequences(m, s)
    blocks = -(-seq.need // pool.block)
    known = 0
    asked = 0
    left = room(m, r) - rep.kept
    if pool.cache:
        asked = seq.hashes
        most = min(seq.hashes, (seq.need - 1) // state.hash_block)
        if blocks - most * pool.per_hash > left:
            return False
        while known < most:
            e = find(m, r, hashes(m, seq.hash + known).v)
            if e == 0:
                break
            if entries(m, e - 1).users == 0:
                left -= pool.per_hash
            known += 1
    blocks -= known * pool.per_hash
    if blocks > left:
        return False
    for i in range(known):
        use(m, r, find(m, r, hashes(m, seq.hash + i).v))
    dequeue(m, r, s)
    take(m, r, blocks)
    seq.blocks = blocks
    seq.shared = known
    seq.done = known * state.hash_block
    if pool.cache:
        seq.done = max(seq.done, min(seq.cached, seq.need - 1))
        pool.asked += seq.need
        pool.found += seq.done
        pool.asked_blocks += asked
        pool.found_blocks += known
    counts(m, seq.tenant).hit += seq.done
    counts(m, seq.tenant).computed += seq.need - seq.done
    if seq.request < state.recorded and records(m, seq.request).hit == 0:
        records(m, seq.request).hit = seq.done
    seq.place = PREFILLED
    seq.admitted = state.admissions
    state.admissions += 1
    append(m, list_of(m, r, IN_PREFILL), s)
    rep.prefilling += 1
    pool.running += 1
    return True


@compiled_inner
def fetch(m: Any, r: int, s: int) -> bool:
    """Keep a seat and blocks for sequence s, and let its KV come; tell whether there is room.

    A sender's link carries one sequence after the other.
    """
    state = world(m, 0)
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    seq = sequences(m, s)
    blocks = -(-seq.need // pool.block)
    if blocks > room(m, r) - rep.kept:
        return False
    dequeue(m, r, s)
    take(m, r, blocks)
    seq.blocks = blocks
    seq.place = MOVING
    seq.epoch = rep.epoch
    seq.admitted = state.admissions
    state.admissions += 1
    rep.moving += 1
    pool.running += 1
    pool.sent += seq.need
    sender = replicas(m, seq.source)
    transfer = list_of(m, seq.source, IN_TRANSFER)
    sender.link_free = max(sender.link_free, state.now) + seq.need * pool.transfer
    append(m, transfer, s)
    if lists(m, transfer).count == 1:
        set_timer(m, timer_of(seq.source, LINK), sender.link_free)
    return True


@compiled_inner
def end_transfer(m: Any, r: int) -> None:
    """Let the KV of the first sequence on the link of replica r arrive."""
    transfer = list_of(m, r, IN_TRANSFER)
    s = lists(m, transfer).head
    remove(m, transfer, s)
    free_source(m, s)
    seq = sequences(m, s)
    rep = replicas(m, seq.replica)
    if rep.epoch == seq.epoch:
        seq.place = READY
        append(m, list_of(m, seq.replica, IN_READY), s)
        wake(m, seq.replica)
    else:
        pools(m, world(m, 0).pools - 1).running -= 1
        restart(m, s)
    s = lists(m, transfer).head
    if s >= 0:
        wait = sequences(m, s).need * pools(m, world(m, 0).pools - 1).transfer
        set_timer(m, timer_of(r, LINK), world(m, 0).now + wait)


@compiled_apart
def preempt(m: Any, r: int) -> None:
    """Let the sequence of the lowest priority that was admitted last wait again, without KV."""
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    found = -1
    row = -1
    level = -1
    last = -1
    for i in range(rep.decoding):
        s = runners(m, rep.runner + i).sequence
        seq = sequences(m, s)
        if seq.level > level or (seq.level == level and seq.admitted > last):
            found = s
            row = i
            level = seq.level
            last = seq.admitted
    s = lists(m, list_of(m, r, IN_PREFILL)).head
    while s >= 0:
        seq = sequences(m, s)
        if seq.level > level or (seq.level == level and seq.admitted > last):
            found = s
            row = -1
            level = seq.level
            last = seq.admitted
        s = seq.next
    seq = sequences(m, found)
    if row >= 0:
        pop_runner(m, r, row)
        release(m, r, found, grown(m, r, found))
        made_so_far(m, r, found)
    else:
        remove(m, list_of(m, r, IN_PREFILL), found)
        rep.prefilling -= 1
        release(m, r, found, 0)
        counts(m, seq.tenant).computed -= seq.need - seq.done
    seq.need = seq.prompt + seq.made
    seq.done = 0
    seq.chunk = 0
    pool.running -= 1
    pool.preempted += 1
    if seq.request < world(m, 0).recorded:
        records(m, seq.request).preempted += 1
    change_waiting(m, rep.pool, 1)
    enqueue(m, r, found, 1)


@compiled_inner
def made_so_far(m: Any, r: int, s: int) -> None:
    """Add the tokens that sequence s has decoded to those that it has made; it ends before all."""
    seq = sequences(m, s)
    gained = int((replicas(m, r).step - seq.begin) * pools(m, replicas(m, r).pool).progress)
    gained = max(min(gained, seq.output - seq.made - 1), 0)
    seq.made += gained
    counts(m, seq.tenant).made += gained


@compiled_apart
def lose(m: Any, r: int) -> None:
    """Let all that replica r had in hand begin again: it has failed."""
    state = world(m, 0)
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    while rep.decoding > 0:
        s = runners(m, rep.runner).sequence
        pop_runner(m, r, 0)
        made_so_far(m, r, s)
        pool.running -= 1
        restart(m, s)
    for kind in (IN_PREFILL, IN_READY):
        number = list_of(m, r, kind)
        while lists(m, number).head >= 0:
            s = lists(m, number).head
            remove(m, number, s)
            pool.running -= 1
            seq = sequences(m, s)
            if kind == IN_PREFILL:
                counts(m, seq.tenant).computed -= seq.need - seq.done
            restart(m, s)
    rep.prefilling = 0
    rep.moving = 0
    transfer = list_of(m, r, IN_TRANSFER)
    while lists(m, transfer).head >= 0:
        s = lists(m, transfer).head
        remove(m, transfer, s)
        seq = sequences(m, s)
        to = replicas(m, seq.replica)
        if to.epoch == seq.epoch:
            to.moving -= 1
            to.used -= seq.blocks
            wake(m, seq.replica)
        pools(m, state.pools - 1).running -= 1
        restart(m, s)
    set_timer(m, timer_of(r, LINK), np.inf)
    rep.held = 0
    rep.chunks = 0
    rep.link_free = 0.0


@compiled_fused
def rests(m: Any, r: int) -> bool:
    """Tell whether replica r has nothing in hand."""
    rep = replicas(m, r)
    some = rep.decoding + rep.prefilling + rep.moving + rep.waiting + rep.held + rep.busy
    return bool(some == 0)
