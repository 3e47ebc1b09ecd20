"""Active periods of a serial line, and the station that has the longest at each moment.

The recursion knows the periods of a station lot by lot, long before or after those of others.
They wait in rings, and are compared as far as all stations are known.
"""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_inner
from firsttoken.line.engine_serial_state import passing, runs, serials
from firsttoken.line.system import WIP


@compiled_inner
def append(m: Any, j: int, since: float, end: float) -> None:
    """Keep an active period of station ``j`` until it is compared; one row stays free."""
    station = serials(m, j)
    state = passing(m, 0)
    if since >= end:
        return
    if station.count >= state.capacity - 1:
        state.full = 1
        return
    run = runs(m, station.runs + ((station.first + station.count) & (state.capacity - 1)))
    run.since = since
    run.end = end
    station.count += 1


@compiled_inner
def _first_since(m: Any, j: int) -> float:
    """Return the start of the first active period that is left; infinite if there is none."""
    station = serials(m, j)
    if station.count > 0:
        return float(runs(m, station.runs + station.first).since)
    if station.run_since < station.run_end:
        return float(station.run_since)
    return np.inf


@compiled_inner
def _drop(m: Any, j: int) -> None:
    station = serials(m, j)
    station.first = (station.first + 1) & (passing(m, 0).capacity - 1)
    station.count -= 1


@compiled_inner
def _longest(m: Any, j: int, now: float) -> int:
    """Return the station with the longest active period when that of station ``j`` ends; or -1.

    If nobody else is active, a station may become so at this very moment: where the lot goes (of
    CONWIP the first station, which gets another), else station ``j`` itself.
    """
    state = passing(m, 0)
    best = int(np.int64(-1))
    least = now
    for k in range(state.stations):
        station = serials(m, k)
        while station.count > 0 and runs(m, station.runs + station.first).end <= now:
            _drop(m, k)
        since = _first_since(m, k)
        if since < least:
            least = since
            best = k
    if best >= 0:
        return best
    other = j + 1
    if other == state.stations and state.mode == WIP:
        other = int(np.int64(0))
    if other < state.stations and _first_since(m, other) == now:
        return other
    return j if _first_since(m, j) == now else int(np.int64(-1))


@compiled_apart
def compare(m: Any, known: float) -> None:
    """Add up how long each station had the longest active period, as far as all are known."""
    state = passing(m, 0)
    while True:
        if state.longest < 0:
            least = known
            for k in range(state.stations):
                since = _first_since(m, k)
                if since < least:
                    least = since
                    state.longest = k
            if state.longest < 0:
                return
            state.longest_since = least
        station = serials(m, state.longest)
        if station.count == 0:
            return
        end = runs(m, station.runs + station.first).end
        if end >= known:
            return
        since = max(state.longest_since, state.warmup)
        station.bottleneck += max(min(end, state.until) - since, 0.0)
        _drop(m, int(state.longest))
        state.longest = _longest(m, int(state.longest), end)
        state.longest_since = end
