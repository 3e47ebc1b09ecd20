"""Failures in a serial line: repairs within operations, and standstills by the clock."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.kernel.draws import next_number
from firsttoken.line.engine_serial_runs import append
from firsttoken.line.engine_serial_state import passing, serials, stops


@compiled_fused
def within(m: Any, since: float, end: float) -> float:
    """Return how much of a time lies within the time of the statistics."""
    state = passing(m, 0)
    return float(max(min(end, state.until) - max(since, state.warmup), 0.0))


@compiled_fused
def wear(m: Any, j: int, time: float) -> float:
    """Return the repair time of failures by working time that interrupt ``time`` of work."""
    station = serials(m, j)
    extra = 0.0
    for k in range(station.worn_outs):
        fault = stops(m, station.worn_out + k)
        rest = time
        while fault.left < rest:
            rest -= fault.left
            extra += next_number(m, fault.mttr)
            fault.left = next_number(m, fault.mtbf)
        fault.left -= rest
    return extra


@compiled_inner
def next_standstill(m: Any, j: int) -> None:
    """Find when a station next stands still by the clock: kinds of failure may overlap."""
    station = serials(m, j)
    station.fail = np.inf
    station.up = np.inf
    while True:
        first = np.inf
        kind = int(np.int64(-1))
        for k in range(station.stops):
            if stops(m, station.stop + k).left < first:
                first = stops(m, station.stop + k).left
                kind = int(station.stop + k)
        if kind < 0 or (station.fail < np.inf and first > station.up):
            return
        fault = stops(m, kind)
        end = first + next_number(m, fault.mttr)
        fault.left = end + next_number(m, fault.mtbf)
        state = passing(m, 0)
        state.events += int(first <= state.until) + int(end <= state.until)
        if station.fail == np.inf:
            station.fail = first
            station.up = end
        else:
            station.up = max(station.up, end)


@compiled_apart
def stand_still(m: Any, j: int, start: float) -> float:
    """Pass the standstills of a station without work before ``start``; return when it may start."""
    station = serials(m, j)
    while station.fail < start:
        fail = station.fail
        up = station.up
        station.down += within(m, fail, up)
        station.blocked -= within(m, max(fail, station.finish), min(up, station.leave))
        station.idle_down += within(m, max(fail, station.leave), up)
        append(m, j, station.run_since, station.run_end)
        append(m, j, fail, up)
        station.run_since = up
        station.run_end = up
        start = max(start, up)
        next_standstill(m, j)
    return start


@compiled_apart
def interrupted(m: Any, j: int, start: float, finish: float) -> float:
    """Return when an operation ends that would last from ``start`` to ``finish`` undisturbed.

    Events are counted as the event engine meets them: an end that was scheduled before a
    standstill comes up and is scheduled again.
    """
    station = serials(m, j)
    state = passing(m, 0)
    station.lost_start = start
    station.lost_before = 0.0
    station.lost = 0.0
    scheduled = finish
    while True:
        if scheduled < finish and scheduled < station.fail:
            state.events += int(scheduled <= state.until)
            scheduled = finish
        if station.fail >= finish:
            return finish
        fail = station.fail
        up = station.up
        finish = up + (finish - fail)
        if scheduled < up:
            state.events += int(scheduled <= state.until)
            scheduled = finish
        station.down += within(m, fail, up)
        station.lost_before += max(min(up, state.warmup) - fail, 0.0)
        station.lost += max(min(up, state.until) - fail, 0.0)
        next_standstill(m, j)
