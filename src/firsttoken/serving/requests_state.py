"""The tables of a running request simulation, and their accessors."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from firsttoken.kernel.draws import KERNEL_SLOTS
from firsttoken.kernel.memory import INTEGER, NUMBER, lines, table

# Why the engine came back.
DONE: Final = 0
HUNGRY: Final = 1  # no request is left of those that were handed over
FULL: Final = 2  # a table must grow: SEQUENCE or ENTRY
ENDLESS: Final = 3  # events go on without time passing

# States of a replica.
OFF: Final = 0
STARTING: Final = 1
UP: Final = 2
DRAINING: Final = 3
DOWN: Final = 4

# Where a sequence is.
NOWHERE: Final = 0
GATE: Final = 1  # no replica serves
WAITING: Final = 2
PREFILLED: Final = 3  # its prompt is being computed
DECODED: Final = 4
MOVING: Final = 5  # its KV is on the way
READY: Final = 6  # its KV has arrived, its first step has not begun

# Lists of a replica; its waiting sequences follow, one list a priority.
IN_PREFILL: Final = 0
IN_TRANSFER: Final = 1
IN_READY: Final = 2
IN_QUEUE: Final = 3

# Lists of the system behind those of the replicas.
AT_GATE: Final = 0
AT_DECODE_GATE: Final = 1
GATES: Final = 2

# Timers.
CHANGE_TIMER: Final = 0
LOOK_TIMER: Final = 1  # and 2: one a pool
REPLICA_TIMERS: Final = 3  # then three of each replica
STEP: Final = 0
LIFE: Final = 1
LINK: Final = 2
PER_REPLICA: Final = 3

# Columns of the series by pool and tick.
ENERGY: Final = 0
DECODE: Final = 1
PREFILL: Final = 2
BUSY: Final = 3
RUNNING: Final = 4
REPLICAS: Final = 5
QUEUED: Final = 6
COLUMNS: Final = 7

# Sketches of a tenant.
BY_TTFT: Final = 0
BY_TPOT: Final = 1
BY_E2E: Final = 2
SKETCHES: Final = 3
SCALE: Final = 1024.0
"""Sketches count 1/1024 s, so that short times keep their relative precision."""

WORLD: Final = np.dtype(
    [
        ("now", "f8"),
        ("until", "f8"),
        ("since", "f8"),  # start of the statistics
        ("warmup", "f8"),
        ("fed", "i8"),  # next row of FEED
        ("feed", "i8"),  # rows of FEED
        ("last", "i8"),  # no more will come after them
        ("arrived", "i8"),  # requests so far
        ("free", "i8"),  # first free row of SEQUENCE
        ("free_rows", "i8"),
        ("free_entry", "i8"),  # first free row of ENTRY
        ("free_entries", "i8"),
        ("margin", "i8"),  # blocks of hashes that one event may make known
        ("rows", "i8"),  # of ENTRY
        ("buckets", "i8"),  # of BUCKET, less 1
        ("timers", "i8"),  # that are set
        ("change", "i8"),  # next row of CHANGE
        ("changes", "i8"),
        ("replicas", "i8"),
        ("pools", "i8"),
        ("levels", "i8"),  # priorities
        ("tenants", "i8"),
        ("lists", "i8"),  # a replica
        ("hash_block", "i8"),
        ("admissions", "i8"),
        ("events", "i8"),
        ("period", "i8"),
        ("periods", "i8"),
        ("ticks", "i8"),
        ("tick", "f8"),
        ("exponent", "f8"),
        ("lowest", "f8"),  # speed
        ("seed", "i8"),
        ("replication", "i8"),
        ("key", "i8"),
        ("recorded", "i8"),  # rows of RECORD; 0: none wanted
        ("split", "i8"),  # 1: one pool prefills, the other decodes
        ("come", "i8"),  # requests so far
    ],
    align=True,
)
"""The system as a whole, one row."""

POOL: Final = np.dtype(
    [
        ("first", "i8"),  # replica
        ("replicas", "i8"),
        ("sequences", "i8"),
        ("chunk", "i8"),
        ("block", "i8"),
        ("blocks", "i8"),  # of a replica
        ("slack", "i8"),  # of them, that no request may count on
        ("stride", "i8"),  # steps in which a sequence fills a block
        ("routing", "i8"),
        ("cache", "i8"),
        ("per_hash", "i8"),  # KV blocks of a block of hashes
        ("width", "i8"),
        ("progress", "f8"),
        ("law", "i8"),  # first row of LAW
        ("overhead", "f8"),
        ("kv_second", "f8"),
        ("pair_second", "f8"),
        ("energy_step", "f8"),
        ("kv_joule", "f8"),
        ("pair_joule", "f8"),
        ("idle", "f8"),
        ("limit", "f8"),
        ("transfer", "f8"),  # s a token of KV
        ("scales", "i8"),
        ("least", "i8"),
        ("target", "f8"),
        ("interval", "f8"),
        ("startup", "f8"),
        ("cooldown", "f8"),
        ("tolerance", "f8"),
        ("failure_rate", "f8"),  # 1/s
        ("mttr", "f8"),
        # state
        ("allowed", "i8"),  # replicas there are
        ("wanted", "i8"),  # that autoscaling wants
        ("up", "i8"),
        ("starting", "i8"),
        ("turn", "i8"),  # round robin
        ("cap", "f8"),
        ("speed", "f8"),
        ("slot", "i8"),  # of LOOK, that of the last look at the load
        ("come", "i8"),  # requests that had come by then
        ("worked", "f8"),  # replica-seconds of steps by then
        ("rate", "f8"),  # of requests, smoothed; -1: not known
        ("floor", "i8"),  # replicas; fewer were too few
        ("floor_rate", "f8"),  # at these requests/s
        ("down_rate", "f8"),  # requests/s when replicas stopped, if that came last; else -1
        ("waiting", "i8"),
        ("running", "i8"),
        ("work", "f8"),  # replica-seconds of steps so far
        ("waiting_since", "f8"),
        ("up_since", "f8"),
        # books
        ("up_area", "f8"),
        ("energy", "f8"),
        ("steps", "i8"),
        ("busy", "f8"),
        ("asked", "i8"),  # tokens of prompts that were looked up, and those found
        ("found", "i8"),
        ("asked_blocks", "i8"),
        ("found_blocks", "i8"),
        ("evicted", "i8"),
        ("preempted", "i8"),
        ("prefilled", "i8"),  # tokens computed
        ("sent", "i8"),  # tokens of KV
        ("failures", "i8"),
        ("peak", "i8"),  # most blocks in use
    ],
    align=True,
)
"""Pools: what they are, how they are, and what they have done."""

REPLICA: Final = lines(
    [
        ("pool", "i8"),
        ("state", "i8"),
        ("step", "i8"),  # decode steps so far
        ("leap", "i8"),  # steps in hand; 0: idle or about to begin
        ("busy", "i8"),
        ("cut", "i8"),  # the leap ends early, for who has come
        ("decoding", "i8"),
        ("chunks", "i8"),  # prefill tokens of the step in hand
        ("kv", "f8"),  # tokens that decoding sequences read
        ("began", "f8"),
        ("second", "f8"),  # of the first step of the leap
        ("second_more", "f8"),  # that each step takes longer than the one before
        ("joule", "f8"),
        ("joule_more", "f8"),
        ("used", "i8"),  # blocks, those of the cache too
        ("oldest", "i8"),  # entry of the cache that nobody uses, from 1
        ("newest", "i8"),
        ("unused", "i8"),  # entries that nobody uses
        ("waiting", "i8"),
        ("prefilling", "i8"),
        ("moving", "i8"),  # seats kept for KV that is on the way, or has just come
        ("kept", "i8"),  # blocks that decoding takes in the next step
        ("held", "i8"),  # sequences whose KV waits to be sent
        ("link_free", "f8"),
        ("epoch", "i8"),  # failures so far
        ("draws", "i8"),
        ("runner", "i8"),  # first row of RUNNER
        ("joules", "f8"),  # of the leap in hand as it was begun, and its seconds
        ("seconds", "f8"),
    ]
)
"""Replicas."""

SEQUENCE: Final = lines(
    [
        ("request", "i8"),
        ("place", "i8"),
        ("next", "i8"),
        ("prev", "i8"),
        ("replica", "i8"),
        ("tenant", "i8"),
        ("level", "i8"),
        ("need", "i8"),  # tokens whose KV the admission computes or brings
        ("done", "i8"),  # of them so far
        ("chunk", "i8"),  # in the step in hand
        ("made", "i8"),  # output tokens before it decodes
        ("begin", "i8"),  # step of the replica at which it began to decode
        ("phase", "i8"),  # step, modulo the pool's stride, that needs a new block
        ("blocks", "i8"),  # of its own, those that decoding adds apart
        ("shared", "i8"),  # blocks of hashes that it uses in the cache
        ("admitted", "i8"),
        ("prompt", "i8"),
        ("output", "i8"),
        ("cached", "i8"),
        ("session", "i8"),
        ("hash", "i8"),
        ("hashes", "i8"),
        ("source", "i8"),  # replica that holds its KV; -1
        ("source_blocks", "i8"),
        ("source_shared", "i8"),
        ("source_epoch", "i8"),
        ("epoch", "i8"),
        ("arrival", "f8"),
        ("first", "f8"),  # moment of the first token; -1
    ]
)
"""Requests in the system."""

RUNNER: Final = np.dtype([("finish", "i8"), ("sequence", "i8")])
"""Decoding sequences of each replica, a heap by the step at which they end."""

ENTRY: Final = np.dtype(
    [
        ("hash", "i8"),
        ("replica", "i8"),
        ("users", "i8"),
        ("chain", "i8"),  # next of its bucket, or of the free rows, from 1
        ("older", "i8"),  # unused entries of the replica, from 1
        ("newer", "i8"),
    ]
)
"""Blocks of known KV."""

LIST: Final = np.dtype([("head", "i8"), ("tail", "i8"), ("count", "i8")])
"""Lists of sequences; -1: none."""

TIMER: Final = np.dtype([("time", "f8"), ("id", "i8")])
"""Timers that are set: a heap."""

FEED: Final = np.dtype(
    [
        ("arrival", "f8"),
        ("prompt", "i8"),
        ("output", "i8"),
        ("tenant", "i8"),
        ("session", "i8"),
        ("cached", "i8"),
        ("hash", "i8"),
        ("hashes", "i8"),
    ]
)
"""Requests to come."""

TENANT: Final = np.dtype([("level", "i8"), ("ttft", "f8"), ("tpot", "f8"), ("e2e", "f8")])
CHANGE: Final = np.dtype(
    [("time", "f8"), ("pool", "i8"), ("what", "i8"), ("value", "f8"), ("seconds", "f8")]
)
LAW: Final = np.dtype([("second", "f8"), ("joule", "f8")])
"""Seconds and joules of a step by its tokens."""

COUNT: Final = np.dtype(
    [
        ("arrived", "i8"),
        ("refused", "i8"),  # larger than a replica's memory
        ("finished", "i8"),
        ("restarted", "i8"),
        ("prompt", "i8"),  # tokens of finished requests
        ("output", "i8"),
        ("made", "i8"),  # output tokens that were made, lost ones too
        ("wasted", "i8"),
        ("hit", "i8"),  # prompt tokens not computed, at each admission
        ("computed", "i8"),  # tokens that admissions had to compute
        # those that arrived after the warm-up
        ("counted", "i8"),  # finished
        ("good", "i8"),  # reach all goals
        ("good_ttft", "i8"),
        ("good_tpot", "i8"),
        ("good_e2e", "i8"),
        ("decoded", "i8"),  # of more than one token
        ("ttft", "f8"),
        ("tpot", "f8"),
        ("e2e", "f8"),
        ("late", "i8"),  # in hand at the end, and already beyond a goal
    ],
    align=True,
)
"""Counts of tenants."""

PERIOD: Final = np.dtype(
    [
        ("arrived", "i8"),
        ("finished", "i8"),
        ("good", "i8"),
        ("prompt", "i8"),
        ("output", "i8"),
        ("ttft", "f8"),
        ("tpot", "f8"),
    ]
)
"""Counts of tenants by report period of the arrival (arrived) or end (the others)."""

RECORD: Final = np.dtype(
    [
        ("arrival", "f8"),
        ("first", "f8"),
        ("end", "f8"),
        ("replica", "i8"),
        ("hit", "i8"),
        ("preempted", "i8"),
    ]
)
"""What became of each request, if asked for; NaN: not yet."""

_static = (
    ("feed", FEED),
    ("hash", INTEGER),
    ("tenant", TENANT),
    ("change", CHANGE),
    ("law", LAW),
    ("edge", NUMBER),
)
_dynamic = (
    ("world", WORLD),
    ("pool", POOL),
    ("replica", REPLICA),
    ("sequence", SEQUENCE),
    ("runner", RUNNER),
    ("phase", INTEGER),
    ("entry", ENTRY),
    ("bucket", INTEGER),
    ("list", LIST),
    ("timer", TIMER),
    ("place", INTEGER),
    ("count", COUNT),
    ("period", PERIOD),
    ("sketch", INTEGER),
    ("gap", INTEGER),
    ("series", NUMBER),
    ("record", RECORD),
    ("look", NUMBER),
)

STATIC: Final[dict[str, int]] = {name: KERNEL_SLOTS + i for i, (name, _) in enumerate(_static)}
"""Slots of what is handed in."""

DYNAMIC: Final[dict[str, int]] = {
    name: KERNEL_SLOTS + len(_static) + i for i, (name, _) in enumerate(_dynamic)
}
"""Slots of the state."""

DTYPES: Final[dict[str, np.dtype[Any]]] = dict((*_static, *_dynamic))


def _accessor(name: str) -> Any:
    slot = STATIC[name] if name in STATIC else DYNAMIC[name]
    return table(slot, DTYPES[name])


feeds = _accessor("feed")
hashes = _accessor("hash")
tenants = _accessor("tenant")
changes = _accessor("change")
laws = _accessor("law")
edges = _accessor("edge")

world = _accessor("world")
pools = _accessor("pool")
replicas = _accessor("replica")
sequences = _accessor("sequence")
runners = _accessor("runner")
phases = _accessor("phase")
entries = _accessor("entry")
buckets = _accessor("bucket")
lists = _accessor("list")
timers = _accessor("timer")
timer_places = _accessor("place")
counts = _accessor("count")
periods = _accessor("period")
sketches = _accessor("sketch")
gaps = _accessor("gap")
series = _accessor("series")
records = _accessor("record")
looks = _accessor("look")

MOST_STRIDE: Final = 256
"""Rows of `phase` a replica."""
