"""The clock and the list of future events: a heap in which ties keep their order.

The heap has four children to a node, which halves the levels of a binary one and keeps siblings on
one or two cache lines (LaMarca and Ladner, The influence of caches on the performance of heaps, ACM
JEA 1 (1996)).  Events at the same time come out in the order in which they were scheduled.

An event carries one integer; engines pack into it what happens and to whom.
"""

from typing import Any, Final

import numpy as np

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.kernel.memory import table

CLOCK_SLOT: Final = 0
EVENT_SLOT: Final = 1

CLOCK: Final = np.dtype(
    [
        ("now", "f8"),  # s from the start
        ("sequence", "i8"),  # events scheduled so far
        ("pending", "i8"),  # events in the heap
        ("events", "i8"),  # events that have happened
        ("seed", "i8"),
        ("replication", "i8"),
    ]
)
"""The state of the clock, one row."""

EVENT: Final = np.dtype([("time", "f8"), ("sequence", "i8"), ("what", "i8")])
"""A scheduled event."""

WAYS: Final = 4

clock = table(CLOCK_SLOT, CLOCK)
event = table(EVENT_SLOT, EVENT)


@compiled_inner
def schedule(m: Any, time: float, what: int) -> None:
    """Schedule an event.

    Parameters
    ----------
    m
        Memory; its event table must have a free row.
    time
        When, in s; not before the clock.
    what
        What the engine is to be told.
    """
    c = clock(m, 0)
    i = c.pending
    sequence = c.sequence
    c.pending = i + 1
    c.sequence = sequence + 1
    while i > 0:
        parent = (i - 1) >> 2
        p = event(m, parent)
        if p.time <= time:
            break
        e = event(m, i)
        e.time = p.time
        e.sequence = p.sequence
        e.what = p.what
        i = parent
    e = event(m, i)
    e.time = time
    e.sequence = sequence
    e.what = what


@compiled_inner
def next_time(m: Any) -> float:
    """Return the time of the next event, infinite if there is none."""
    if clock(m, 0).pending == 0:
        return np.inf
    return float(event(m, 0).time)


@compiled_inner
def advance(m: Any) -> int:
    """Move the clock to the next event, take it from the heap and return what it carries.

    There must be one.
    """
    c = clock(m, 0)
    first = event(m, 0)
    what = first.what
    c.now = first.time
    c.events += 1
    n = c.pending - 1
    c.pending = n
    last = event(m, n)
    time = last.time
    sequence = last.sequence
    carried = last.what
    i = int(np.int64(0))
    while True:
        child = WAYS * i + 1
        if child >= n:
            break
        best = child
        b = event(m, child)
        best_time = b.time
        for k in range(child + 1, min(child + WAYS, n)):
            e = event(m, k)
            if e.time < best_time or (e.time == best_time and e.sequence < b.sequence):
                best = k
                best_time = e.time
                b = e
        if best_time > time or (best_time == time and b.sequence > sequence):
            break
        e = event(m, i)
        e.time = best_time
        e.sequence = b.sequence
        e.what = b.what
        i = best
    e = event(m, i)
    e.time = time
    e.sequence = sequence
    e.what = carried
    return int(what)
