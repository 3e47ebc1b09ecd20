"""Plain serial lines without a list of events: when lots start and leave follows lot by lot.

Lot k starts at a station when it has come and lot k - 1 has left; it leaves when it is done and the
next station has room, which is when lot k - B has started there (B: places in the buffer).  This is
a recursion in maxima and sums (Baccelli, Cohen, Olsder, Quadrat: Synchronization and Linearity,
Wiley 1992; of queues in tandem with limited buffers: Krivulin, A max-algebra approach to modeling
and simulation of tandem queueing systems, 1995, arXiv:1211.5811).  Streams are drawn in the order
of the event engine, and times are added up in its order: both give the same moments to the bit.

Statistics are sums over what each lot does at each station.  What lies wholly within the
statistics' time takes a few additions; what lies across its edges is cut (:func:`_edge`).
"""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import (
    compiled,
    compiled_apart,
    compiled_fused,
    compiled_inner,
    is_cold,
)
from firsttoken.kernel.draws import next_number, value
from firsttoken.kernel.sketch import BUCKETS, bucket
from firsttoken.line.engine_serial_close import close, close_station
from firsttoken.line.engine_serial_runs import append, compare
from firsttoken.line.engine_serial_state import (
    echoes,
    frees,
    gates,
    passing,
    rings,
    serials,
    stops,
    ways,
)
from firsttoken.line.engine_serial_stops import (
    interrupted,
    next_standstill,
    stand_still,
    wear,
    within,
)
from firsttoken.line.state import (
    DONE,
    FULL,
    classes,
    edges,
    histograms,
    line,
    order_finished,
    order_left,
    periods,
    source_states,
    sources,
)
from firsttoken.line.system import BACKLOG, TIMED

FRESH: int = 16
"""Lots between two comparisons of active periods."""


@compiled
def recur(m: Any) -> int:
    """Run one replication from its beginning to its end; return DONE, or FULL.

    FULL: more active periods have to wait than there are rows; enlarge them and begin again.
    """
    _begin(m)
    if passing(m, 0).mode == TIMED:
        _push(m)
    else:
        _pull(m)
    if passing(m, 0).full != 0:
        return int(np.int64(FULL))
    close(m)
    return int(np.int64(DONE if passing(m, 0).full == 0 else FULL))


@compiled_inner
def _begin(m: Any) -> None:
    """First failures, first releases, first edges of the report periods."""
    state = passing(m, 0)
    state.longest = -1
    for j in range(state.stations):
        station = serials(m, j)
        station.fail = np.inf
        station.up = np.inf
        for k in range(station.worn_outs):
            _first_failure(m, int(station.worn_out + k))
        for k in range(station.stops):
            _first_failure(m, int(station.stop + k))
        next_standstill(m, j)
    for k in range(line(m, 0).sources):
        gates(m, k).next = max(value(m, sources(m, k).first).v, 0.0)
        gates(m, k).sequence = k
    state.sequence = line(m, 0).sources
    state.release_edge = edges(m, 1).v
    state.finish_edge = edges(m, 1).v


@compiled_inner
def _first_failure(m: Any, k: int) -> None:
    stop = stops(m, k)
    stop.left = next_number(m, stop.first)


@compiled_inner
def _push(m: Any) -> None:
    """Release lots at their times, of all sources in order."""
    state = passing(m, 0)
    while state.full == 0:
        k = _next_source(m)
        gate = gates(m, k)
        given = sources(m, k)
        done = source_states(m, k)
        now = gate.next
        if now > state.until:
            return
        state.events += 1
        gate.next = np.inf
        if given.until >= 0 and now >= value(m, given.until).v:
            continue
        for _ in range(given.lots):
            if given.limit < 0 or done.lots < given.limit:
                done.lots += 1
                _pass(m, k, now)
        if given.every >= 0 and (given.limit < 0 or done.lots < given.limit):
            gate.next = now + next_number(m, int(given.every))
            gate.sequence = state.sequence
            state.sequence += 1


@compiled_inner
def _next_source(m: Any) -> int:
    """Return the source that releases next; of several at once the first scheduled."""
    best = int(np.int64(0))
    for k in range(1, line(m, 0).sources):
        gate = gates(m, k)
        first = gates(m, best)
        if gate.next < first.next or (gate.next == first.next and gate.sequence < first.sequence):
            best = k
    return best


@compiled_inner
def _pull(m: Any) -> None:
    """Release a lot as often as one starts (backlog) or is finished (CONWIP)."""
    state = passing(m, 0)
    given = sources(m, 0)
    begin = gates(m, 0).next
    level = state.level
    done = source_states(m, 0)
    if begin > 0.0 and begin <= state.until:
        state.events += 1
    place = int(np.int64(0))
    while state.full == 0 and level > 0 and (given.limit < 0 or done.lots < given.limit):
        now = begin if done.lots < level else echoes(m, place).v
        if now > state.until or (given.until >= 0 and now >= value(m, given.until).v):
            return
        done.lots += 1
        end = _pass(m, int(np.int64(0)), now)
        echoes(m, place).v = state.first_start if state.mode == BACKLOG else end
        place = place + 1 if place + 1 < level else int(np.int64(0))


@compiled_fused
def _pass(m: Any, source: int, now: float) -> float:
    """Pass a lot that is released now through the line, count it, and return when it is done."""
    state = passing(m, 0)
    given = sources(m, source)
    c = int(given.lot_class)
    group = classes(m, c)
    group.ever += 1
    if now >= state.warmup:
        group.released += 1
    while now >= state.release_edge:
        state.release_period += 1
        state.release_edge = _edge_after(m, state.release_period)
    if state.release_period < line(m, 0).periods:
        periods(m, state.release_period * line(m, 0).classes + c).lots += 1
    end = _through(m, int(given.product * state.stations), now)
    if end <= state.until:
        _finish(m, source, now, end)
    else:
        group.lots += 1
        group.area -= max(now, state.warmup)
    state.fresh += 1
    if state.fresh >= FRESH:
        state.fresh = 0
        if serials(m, 0).closed == 0:
            compare(m, serials(m, 0).finish)
    return end


@compiled_fused
def _through(m: Any, way: int, now: float) -> float:
    """Pass a lot through the stations; return when it leaves the last, infinite if never."""
    state = passing(m, 0)
    warmup = state.warmup
    until = state.until
    raw = 0.0
    for j in range(state.stations):
        station = serials(m, j)
        came = now
        if station.transport > 0.0:
            now = _transported(m, j, came)
        time = next_number(m, ways(m, way + j).v)
        start = max(now, station.leave)
        if station.fail < start:
            start = stand_still(m, j, start)
        enter = now
        if station.buffer >= 0:
            enter = _enter(m, j, now, start)
            came = enter
        if j > 0:
            serials(m, j - 1).leave = came
        else:
            state.first_start = start
        if start > until:
            _stay(m, j, enter)
            return np.inf
        worn = wear(m, j, time)
        finish = start + worn + time
        if station.fail < finish:
            finish = interrupted(m, j, start, finish)
        if start != station.run_end or station.joins == 0:
            append(m, j, station.run_since, station.run_end)
            station.run_since = start
        free = finish if station.servers == 1 else _first_free(m, j, finish)
        station.run_end = max(free, start)
        if station.finish >= warmup and enter >= warmup and finish <= until:
            station.blocked += station.leave - station.finish
            station.idle += start - station.leave
            station.wait += start - enter
            station.work += time
            station.worn += worn
            station.whole += 1
        else:
            _edge(m, j, enter, start, worn, time, finish)
        station.finish = free
        raw += time
        now = finish
    last = serials(m, state.stations - 1)
    last.leave = last.finish
    state.raw = raw
    return float(now)


@compiled_inner
def _first_free(m: Any, j: int, finish: float) -> float:
    """Let the server that was free first work until ``finish``; return when the next is free.

    Lots that come in order take the servers in the order in which they are free (Kiefer and
    Wolfowitz, On the theory of queues with many servers, Transactions of the American Mathematical
    Society 78 (1955) 1-18).
    """
    station = serials(m, j)
    taken = int(station.free)
    second = np.inf
    for k in range(station.free + 1, station.free + station.servers):
        time = frees(m, k).v
        if time < frees(m, taken).v:
            second = frees(m, taken).v
            taken = k
        elif time < second:
            second = time
    frees(m, taken).v = finish
    return float(min(second, finish))


@compiled_fused
def _enter(m: Any, j: int, now: float, start: float) -> float:
    """Return when a lot finds room before station ``j``, where it starts at ``start``."""
    station = serials(m, j)
    if station.buffer == 0:
        enter = start
    else:
        oldest = rings(m, station.ring + station.at)
        enter = max(now, oldest.v)
        oldest.v = start
        station.at += 1
        if station.at == station.buffer:
            station.at = 0
    if j == 0:
        _outside(m, now, enter)
    return enter


@compiled_inner
def _outside(m: Any, now: float, enter: float) -> None:
    """Count a lot that waits before a full first station."""
    state = passing(m, 0)
    state.outside += within(m, now, enter)
    if enter > state.until:
        state.outside_lots += 1


@compiled_inner
def _transported(m: Any, j: int, leave: float) -> float:
    """Return when a lot arrives that leaves now."""
    state = passing(m, 0)
    arrive = leave + serials(m, j).transport
    state.moving += within(m, leave, arrive)
    if arrive <= state.until:
        state.events += 1
    elif leave <= state.until:
        state.moving_lots += 1
    return float(arrive)


@compiled_apart
def _stay(m: Any, j: int, enter: float) -> None:
    """Leave a lot that will not start before the end in front of station ``j``.

    Nothing will start there any more, nor after it.
    """
    station = serials(m, j)
    if enter <= passing(m, 0).until:
        station.queue += within(m, enter, np.inf)
        station.inside += 1
    k = j
    while k < passing(m, 0).stations and serials(m, k).closed == 0:
        close_station(m, k)
        k += 1


@compiled_apart
def _edge(
    m: Any, j: int, enter: float, start: float, worn: float, time: float, finish: float
) -> None:
    """Count an operation that does not lie wholly within the time of the statistics.

    Repairs within an operation come first, then its work, as far as it is not interrupted.
    """
    station = serials(m, j)
    state = passing(m, 0)
    stood = station.lost_start == start
    lost_before = station.lost_before if stood else 0.0
    lost = station.lost if stood else 0.0
    if finish < state.warmup:
        station.early += 1
        return
    station.blocked += within(m, station.finish, station.leave)
    station.idle += within(m, station.leave, start)
    station.queue += within(m, enter, start)
    if start >= state.warmup:
        station.starts += 1
        station.edge_wait += start - enter
    if finish <= state.until:
        station.ends += 1
    else:
        station.inside += 1
    whole = worn + time
    before = min(max(state.warmup - start - lost_before, 0.0), whole)
    after = whole if finish <= state.until else min(state.until - start - lost, whole)
    station.worn += min(after, worn) - min(before, worn)
    station.work += max(after - worn, 0.0) - max(before - worn, 0.0)


@compiled_inner
def _edge_after(m: Any, period: int) -> float:
    """Return the end of a report period, infinite after the last."""
    return float(edges(m, period + 1).v) if period < line(m, 0).periods else np.inf


@compiled_fused
def _finish(m: Any, source: int, released: float, end: float) -> None:
    """Count a finished lot."""
    state = passing(m, 0)
    given = sources(m, source)
    c = int(given.lot_class)
    group = classes(m, c)
    group.ended += 1
    while end >= state.finish_edge:
        state.finish_period += 1
        state.finish_begin = state.finish_edge
        state.finish_edge = _edge_after(m, state.finish_period)
    while end < state.finish_begin:  # one of several servers was quicker
        state.finish_period -= 1
        state.finish_edge = state.finish_begin
        state.finish_begin = edges(m, state.finish_period).v
    cycle = end - released
    count = line(m, 0).periods
    if state.finish_period < count:
        periods(m, state.finish_period * line(m, 0).classes + c).lots -= 1
    at = min(state.finish_period, count - 1)  # the last moment belongs to the last period
    period = periods(m, at * line(m, 0).classes + c)
    period.finished += 1
    period.cycle += cycle
    if given.order >= 0:
        order_left(m, given.order).v -= 1
        if order_left(m, given.order).v == 0:
            order_finished(m, given.order).v = end
    if end < state.warmup:
        return
    group.area += end - max(released, state.warmup)
    group.finished += 1
    group.cycle += cycle
    group.cycle2 += cycle * cycle
    group.raw += state.raw
    if given.due >= 0:
        due = value(m, given.due).v if given.order >= 0 else value(m, given.due).v + released
        group.dated += 1
        if end <= due:
            group.on_time += 1
        else:
            group.late += end - due
    histograms(m, c * BUCKETS + bucket(cycle)).v += 1


def must_compile() -> bool:
    """Tell whether the first run has to wait for the compiler."""
    return is_cold(recur)
