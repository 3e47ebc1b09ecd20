"""A heap of timers that can be set anew: a replica's step ends earlier than it was said to.

The kernel's list of events keeps every event until its time has come.  Here there is one timer a
replica and purpose, and most are moved more often than they ring.  Timers of the same moment ring
in the order of their numbers, whatever the order in which they were set.
"""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_fused, compiled_inner
from firsttoken.serving.requests_state import timer_places, timers, world


@compiled_inner
def set_timer(m: Any, number: int, time: float) -> None:
    """Let a timer ring at a time, and not when it was to ring before; infinite: never."""
    state = world(m, 0)
    i = timer_places(m, number).v - 1
    if i < 0:
        if time == np.inf:
            return
        i = state.timers
        state.timers = i + 1
        _sift_up(m, i, number, time)
    elif time == np.inf:
        n = state.timers - 1
        state.timers = n
        timer_places(m, number).v = 0
        if i < n:
            last = timers(m, n)
            _place(m, i, n, last.id, last.time)
    else:
        _place(m, i, state.timers, number, time)


@compiled_fused
def next_ring(m: Any) -> float:
    """Return when the next timer rings; infinite: none."""
    if world(m, 0).timers == 0:
        return np.inf
    return float(timers(m, 0).time)


@compiled_fused
def ring(m: Any) -> int:
    """Take out the next timer, and return its number; there must be one."""
    number = timers(m, 0).id
    set_timer(m, number, np.inf)
    return int(number)


@compiled_inner
def _place(m: Any, i: int, n: int, number: int, time: float) -> None:
    """Put a timer at row i of n, and move it to where it belongs."""
    if i > 0:
        parent = timers(m, (i - 1) >> 1)
        if time < parent.time or (time == parent.time and number < parent.id):
            _sift_up(m, i, number, time)
            return
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        best = timers(m, child)
        if child + 1 < n:
            other = timers(m, child + 1)
            if other.time < best.time or (other.time == best.time and other.id < best.id):
                child += 1
                best = other
        if time < best.time or (time == best.time and number < best.id):
            break
        _write(m, i, best.id, best.time)
        i = child
    _write(m, i, number, time)


@compiled_inner
def _sift_up(m: Any, i: int, number: int, time: float) -> None:
    while i > 0:
        up = (i - 1) >> 1
        parent = timers(m, up)
        if parent.time < time or (parent.time == time and parent.id < number):
            break
        _write(m, i, parent.id, parent.time)
        i = up
    _write(m, i, number, time)


@compiled_fused
def _write(m: Any, i: int, number: int, time: float) -> None:
    row = timers(m, i)
    row.time = time
    row.id = number
    timer_places(m, number).v = i + 1
