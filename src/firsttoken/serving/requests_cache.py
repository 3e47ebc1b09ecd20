"""Blocks of KV memory, and the prefix cache: known blocks by hash, the least recently used go.

A replica's blocks are free, belong to a sequence, or hold a block of hashes that sequences share.
A shared block that nobody uses stays until its room is needed; of one prompt the last go first, as
in vLLM, since a block is of no use without those before it.
"""

from typing import Any

from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.serving.requests_state import (
    buckets,
    entries,
    hashes,
    pools,
    replicas,
    sequences,
    world,
)

MIX = 1540483477
"""Odd multiplier of 31 bits (of MurmurHash2)."""
LOW = 0xFFFFFFFF


@compiled_fused
def folded(name: int) -> int:
    """Return 32 bits of a number, those of its high bits too, by which copies of traffic differ."""
    return int((int(name) + (int(name) >> 40) * 2654435761) & LOW)


@compiled_fused
def bucket_of(m: Any, r: int, name: int) -> int:
    """Return the bucket of a block of replica r."""
    x = ((folded(name) + 40503 * int(r)) & LOW) * MIX
    return int((x ^ (x >> 15)) & world(m, 0).buckets)


@compiled_inner
def find(m: Any, r: int, name: int) -> int:
    """Return the entry of a block of hashes at replica r, from 1; 0: not known."""
    e = buckets(m, bucket_of(m, r, name)).v
    while e > 0:
        row = entries(m, e - 1)
        if row.hash == name and row.replica == r:
            break
        e = row.chain
    return int(e)


@compiled_inner
def matched(m: Any, r: int, first: int, most: int) -> int:
    """Return how many of the hashes from row `first` on replica r knows without a gap."""
    n = 0
    while n < most and find(m, r, hashes(m, first + n).v) > 0:
        n += 1
    return n


@compiled_inner
def use(m: Any, r: int, e: int) -> None:
    """Let one more sequence use an entry (from 1)."""
    row = entries(m, e - 1)
    if row.users == 0:
        _unlink(m, r, e)
    row.users += 1


@compiled_inner
def drop(m: Any, r: int, first: int, count: int) -> None:
    """Let a sequence use `count` blocks of hashes no more."""
    rep = replicas(m, r)
    for k in range(count):
        e = find(m, r, hashes(m, first + count - 1 - k).v)
        row = entries(m, e - 1)
        row.users -= 1
        if row.users == 0:
            row.older = rep.newest
            row.newer = 0
            if rep.newest > 0:
                entries(m, rep.newest - 1).newer = e
            else:
                rep.oldest = e
            rep.newest = e
            rep.unused += 1


@compiled_inner
def _unlink(m: Any, r: int, e: int) -> None:
    """Take an entry out of the unused ones."""
    rep = replicas(m, r)
    row = entries(m, e - 1)
    if row.older > 0:
        entries(m, row.older - 1).newer = row.newer
    else:
        rep.oldest = row.newer
    if row.newer > 0:
        entries(m, row.newer - 1).older = row.older
    else:
        rep.newest = row.older
    rep.unused -= 1


@compiled_inner
def insert(m: Any, r: int, name: int) -> None:
    """Note a block of hashes that one sequence uses; there must be a free row."""
    state = world(m, 0)
    e = state.free_entry
    row = entries(m, e - 1)
    state.free_entry = row.chain
    state.free_entries -= 1
    bucket = buckets(m, bucket_of(m, r, name))
    row.hash = name
    row.replica = r
    row.users = 1
    row.chain = bucket.v
    bucket.v = e


@compiled_inner
def _forget(m: Any, e: int) -> None:
    """Take an entry out of its bucket, and free its row."""
    state = world(m, 0)
    row = entries(m, e - 1)
    bucket = buckets(m, bucket_of(m, row.replica, row.hash))
    if bucket.v == e:
        bucket.v = row.chain
    else:
        before = entries(m, bucket.v - 1)
        while before.chain != e:
            before = entries(m, before.chain - 1)
        before.chain = row.chain
    row.replica = -1
    row.chain = state.free_entry
    state.free_entry = e
    state.free_entries += 1


@compiled_fused
def room(m: Any, r: int) -> int:
    """Return the blocks of replica r that are free, or can be made so."""
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    return int(pool.blocks - rep.used + rep.unused * pool.per_hash)


@compiled_inner
def take(m: Any, r: int, blocks: int) -> None:
    """Take blocks of replica r, for which there is room."""
    rep = replicas(m, r)
    pool = pools(m, rep.pool)
    rep.used += blocks
    while rep.used > pool.blocks:
        e = rep.oldest
        _unlink(m, r, e)
        _forget(m, e)
        rep.used -= pool.per_hash
        pool.evicted += 1
    pool.peak = max(pool.peak, rep.used)


@compiled_apart
def clear(m: Any, r: int) -> None:
    """Forget all that replica r knows: its memory is lost."""
    state = world(m, 0)
    for b in range(state.buckets + 1):
        e = buckets(m, b).v
        while e > 0:
            after = entries(m, e - 1).chain
            if entries(m, e - 1).replica == r:
                _forget(m, e)
            e = after
    rep = replicas(m, r)
    rep.oldest = 0
    rep.newest = 0
    rep.unused = 0
    rep.used = 0


@compiled_inner
def share(m: Any, r: int, s: int) -> None:
    """Make the prompt of sequence s, now computed, known; blocks known already become free."""
    seq = sequences(m, s)
    rep = replicas(m, r)
    per_hash = pools(m, rep.pool).per_hash
    full = min(seq.hashes, seq.prompt // world(m, 0).hash_block)
    while seq.shared < full:
        name = hashes(m, seq.hash + seq.shared).v
        e = find(m, r, name)
        if e > 0:
            use(m, r, e)
            rep.used -= per_hash
        else:
            insert(m, r, name)
        seq.blocks -= per_hash
        seq.shared += 1


@compiled_apart
def rehash(m: Any, rows: int) -> None:
    """Fill the buckets anew, after the tables have grown, from `rows` entries."""
    for b in range(world(m, 0).buckets + 1):
        buckets(m, b).v = 0
    for e in range(1, rows + 1):
        row = entries(m, e - 1)
        if row.replica >= 0:
            bucket = buckets(m, bucket_of(m, row.replica, row.hash))
            row.chain = bucket.v
            bucket.v = e
