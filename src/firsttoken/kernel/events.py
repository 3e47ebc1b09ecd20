"""The clock and the list of future events, in which ties keep their order.

The next events lie in a heap with four children to a node, which halves the levels of a binary one
(LaMarca and Ladner, The influence of caches on the performance of heaps, ACM JEA 1 (1996)).  Of
more than a few dozen events, the later ones lie in a wheel of unsorted lists, one a span of time:
when its span begins, a list moves into the heap, which so stays small however many events are
pending (Brown, Calendar queues, Communications of the ACM 31 (1988) 1220-1227).  What lies beyond
the wheel waits in one list for its next turn; each turn sets the span anew from the rate of events
in the last one.  Events at the same time come out in the order in which they were scheduled.

An event carries one integer; engines pack into it what happens and to whom.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.kernel.memory import INTEGER, aligned, table

CLOCK_SLOT: Final = 0
EVENT_SLOT: Final = 1
LATER_SLOT: Final = 6
WHEEL_SLOT: Final = 7

CLOCK: Final = np.dtype(
    [
        ("now", "f8"),  # s from the start
        ("sequence", "i8"),  # events scheduled so far
        ("pending", "i8"),  # events scheduled that have not happened
        ("events", "i8"),  # events that have happened
        ("seed", "i8"),
        ("replication", "i8"),
        ("near", "i8"),  # events in the heap
        ("spoke", "i8"),  # list of the wheel that the heap has taken over, and all before it
        ("start", "f8"),  # s: when the turn of the wheel began
        ("pace", "f8"),  # spokes a second; 0: all events are in the heap
        ("beyond", "i8"),  # first row of the list beyond the wheel, from 1; 0: none
        ("free", "i8"),  # first row of the list of free rows, from 1; 0: none
        ("rows", "i8"),  # rows that have ever been used
        ("turn_events", "i8"),  # events that had happened when the turn began
        ("turn_time", "f8"),  # s: when the next event was, as the turn began
    ]
)
"""The state of the clock, one row; zeros at the start."""

EVENT: Final = np.dtype([("time", "f8"), ("sequence", "i8"), ("what", "i8")])
"""A scheduled event in the heap."""

LATER: Final = np.dtype([("time", "f8"), ("sequence", "i8"), ("what", "i8"), ("next", "i8")])
"""A later event, and the next of its list (row from 1)."""

WAYS: Final = 4
SPOKES: Final = 4096
FEW: Final = 16
"""Events that a heap holds as fast as a wheel would."""
MANY: Final = 32
"""Events in the heap that call for a finer wheel."""
PER_SPOKE: Final = 2.0
"""Events a spoke, to choose the pace."""

clock = table(CLOCK_SLOT, CLOCK)
event = table(EVENT_SLOT, EVENT)
later = table(LATER_SLOT, LATER)
wheel = table(WHEEL_SLOT, INTEGER)


def event_tables(pending: int) -> dict[int, NDArray[Any]]:
    """Return the tables of a clock of up to ``pending`` events by slot, all zeros as they begin.

    Clock and wheel keep their size; those of EVENT_SLOT and LATER_SLOT have ``pending`` rows.
    """
    return {
        CLOCK_SLOT: aligned(1, CLOCK),
        EVENT_SLOT: aligned(pending, EVENT),
        LATER_SLOT: aligned(pending, LATER),
        WHEEL_SLOT: aligned(SPOKES, INTEGER),
    }


@compiled_inner
def schedule(m: Any, time: float, what: int) -> None:
    """Schedule an event.

    Parameters
    ----------
    m
        Memory; its event tables must have a free row.
    time
        When, in s; not before the clock.
    what
        What the engine is to be told.
    """
    c = clock(m, 0)
    sequence = c.sequence
    c.sequence = sequence + 1
    c.pending += 1
    if c.pace > 0.0 and (time - c.start) * c.pace >= c.spoke + 1:
        _hang(m, _keep(m, time, sequence, what))
    else:
        _push(m, time, sequence, what)


@compiled_fused
def next_time(m: Any) -> float:
    """Return the time of the next event, infinite if there is none."""
    c = clock(m, 0)
    if c.near == 0:
        if c.pending == 0:
            return np.inf
        _refill(m)
    return float(event(m, 0).time)


@compiled_fused
def advance(m: Any) -> int:
    """Move the clock to the next event, take it out and return what it carries.

    There must be one.
    """
    c = clock(m, 0)
    if c.near == 0:
        _refill(m)
    elif c.near > MANY and c.events - c.turn_events > c.pending + SPOKES:
        _spread(m)
        _refill(m)
    first = event(m, 0)
    what = first.what
    c.now = first.time
    c.events += 1
    c.pending -= 1
    n = c.near - 1
    c.near = n
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


@compiled_inner
def gather(m: Any) -> None:
    """Bring all events into the heap: rows 0 to ``pending - 1`` of EVENT_SLOT."""
    c = clock(m, 0)
    if c.near < c.pending:
        for k in range(SPOKES):
            spoke = wheel(m, k)
            row = spoke.v
            spoke.v = 0
            _take(m, row)
        row = c.beyond
        c.beyond = 0
        _take(m, row)
        c.pace = 0.0


@compiled_inner
def _push(m: Any, time: float, sequence: int, what: int) -> None:
    """Put an event into the heap."""
    c = clock(m, 0)
    i = c.near
    c.near = i + 1
    while i > 0:
        parent = (i - 1) >> 2
        p = event(m, parent)
        if p.time < time or (p.time == time and p.sequence < sequence):
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
def _keep(m: Any, time: float, sequence: int, what: int) -> int:
    """Write a later event into a free row, and return its number, from 1."""
    c = clock(m, 0)
    row = c.free
    if row > 0:
        c.free = later(m, row - 1).next
    else:
        row = c.rows + 1
        c.rows = row
    e = later(m, row - 1)
    e.time = time
    e.sequence = sequence
    e.what = what
    return int(row)


@compiled_inner
def _hang(m: Any, row: int) -> None:
    """Hang a later event onto its spoke, or onto the list beyond the wheel."""
    c = clock(m, 0)
    e = later(m, row - 1)
    place = (e.time - c.start) * c.pace
    if place < SPOKES:
        spoke = wheel(m, int(place))
        e.next = spoke.v
        spoke.v = row
    else:
        e.next = c.beyond
        c.beyond = row


@compiled_apart
def _refill(m: Any) -> None:
    """Fill the empty heap from the next spoke that has events."""
    c = clock(m, 0)
    while c.near == 0:
        c.spoke += 1
        if c.spoke >= SPOKES:
            _turn(m)
        spoke = wheel(m, c.spoke)
        row = spoke.v
        spoke.v = 0
        _take(m, row)


@compiled_inner
def _take(m: Any, row: int) -> None:
    """Move the list that begins at ``row`` into the heap."""
    c = clock(m, 0)
    while row > 0:
        e = later(m, row - 1)
        _push(m, e.time, e.sequence, e.what)
        after = e.next
        e.next = c.free
        c.free = row
        row = after


@compiled_inner
def _turn(m: Any) -> None:
    """Begin a turn of the wheel, which is empty, with the events beyond it."""
    c = clock(m, 0)
    first = np.inf
    row = c.beyond
    while row > 0:
        e = later(m, row - 1)
        first = min(first, e.time)
        row = e.next
    happened = c.events - c.turn_events
    passed = first - c.turn_time
    c.turn_events = c.events
    c.turn_time = first
    c.start = first
    c.spoke = 0
    c.pace = happened / passed / PER_SPOKE if passed > 0.0 else 0.0
    row = c.beyond
    c.beyond = 0
    if c.pending <= FEW or not 0.0 < c.pace < np.inf:
        c.pace = 0.0
        _take(m, row)
    while c.pace > 0.0 and row > 0:
        after = later(m, row - 1).next
        _hang(m, row)
        row = after


@compiled_apart
def _spread(m: Any) -> None:
    """Move all events, of heap and wheel, to the list beyond the wheel; a turn comes next."""
    c = clock(m, 0)
    for i in range(c.near):
        given = event(m, i)
        row = _keep(m, given.time, given.sequence, given.what)
        later(m, row - 1).next = c.beyond
        c.beyond = row
    c.near = 0
    for k in range(SPOKES):
        spoke = wheel(m, k)
        row = spoke.v
        spoke.v = 0
        while row > 0:
            e = later(m, row - 1)
            after = e.next
            e.next = c.beyond
            c.beyond = row
            row = after
    c.spoke = SPOKES
