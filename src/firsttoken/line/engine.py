"""The loop: take the next event, do what it says, then decide what has become possible."""

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
from firsttoken.kernel.events import advance, clock, event, next_time, schedule
from firsttoken.line.engine_begin import begin
from firsttoken.line.engine_dispatch import release, serve_source, serve_station
from firsttoken.line.engine_down import cared, change_level, due, fail, repaired, serve_repairs
from firsttoken.line.engine_lots import join
from firsttoken.line.engine_periods import end_period, settle
from firsttoken.line.engine_queue import set_timer
from firsttoken.line.engine_redraw import go_on
from firsttoken.line.engine_servers import consider_source, next_on_agenda
from firsttoken.line.engine_work import finish, open_again
from firsttoken.line.state import (
    ARRIVE,
    CARED,
    DEADLOCK,
    DONE,
    DUE,
    ENDLESS,
    FAIL,
    FINISH,
    FULL,
    KIND_BITS,
    LEVEL_CHANGE,
    OPEN,
    RELEASE,
    REPAIRED,
    TRACE_FULL,
    line,
    lots,
    places,
    queues,
    resources,
    servers,
    source_states,
    sources,
    steps,
    traces,
)
from firsttoken.line.system import ORDER, TIMED

BEGIN, GO_ON, GUESS, RUN, CLOSE = 0, 1, 2, 3, 4
LOW = (1 << KIND_BITS) - 1
LOOK = (1 << 20) - 1
"""Events between two looks at whether time passes."""


@compiled
def operate(m: Any, action: int) -> int:
    """Do something with a line: the only function of the engine that Python calls.

    Parameters
    ----------
    m
        Memory of the line, see :mod:`firsttoken.line.state`.
    action
        BEGIN: build the state at time 0; GO_ON or GUESS: prepare a state that was taken over, GUESS
        with what nobody knows drawn anew; RUN: run to the end, or until the line needs attention
        (calling again goes on); CLOSE: bring the statistics up to the end.

    Returns
    -------
    int
        DONE; of RUN also FULL (the lot table must grow), DEADLOCK, TRACE_FULL or ENDLESS.
    """
    if action == RUN:
        return int(run(m))
    if action == BEGIN:
        begin(m)
    elif action == CLOSE:
        settle(m)
    else:
        go_on(m, int(action == GUESS))
    return int(np.int64(DONE))


@compiled_inner
def run(m: Any) -> int:
    """Take event after event."""
    state = line(m, 0)
    time = clock(m, 0)
    look = -1.0
    if not releases_next(m):
        serve_agenda(m)
    while True:
        ahead = next_time(m)
        while state.next_edge <= ahead and state.next_edge <= state.until:
            time.now = state.next_edge
            end_period(m)
        if ahead > state.until:
            time.now = state.until
            return DEADLOCK if held_up(m) else DONE
        if state.free_lots < state.margin:
            return FULL
        what = advance(m)
        if state.trace_rows > 0:
            note(m, what)
        handle(m, what >> KIND_BITS, what & LOW)
        if (state.agenda > 0 or state.repairs_waiting > 0) and state.gathering == 0:
            serve_agenda(m)
        if state.stuck >= 0:
            return DEADLOCK
        if state.trace_rows > 0 and state.traced >= state.trace_rows:
            return TRACE_FULL
        if time.events & LOOK == 0:
            if time.now == look:
                return ENDLESS
            look = time.now


@compiled_fused
def handle(m: Any, kind: int, row: int) -> None:
    """Do what an event says."""
    if kind == FINISH:
        finish(m, row)
    elif kind == ARRIVE:
        line(m, 0).working -= 1
        places(m, steps(m, lots(m, row).step).station).coming -= 1
        join(m, row)
    elif kind == RELEASE:
        line(m, 0).gathering = releases_next(m)
        release_on_time(m, row)
    elif kind == OPEN:
        open_again(m, row)
    elif kind == FAIL:
        fail(m, row)
    elif kind == REPAIRED:
        repaired(m, row)
    elif kind == DUE:
        due(m, row)
    elif kind == CARED:
        cared(m, row)
    elif kind == LEVEL_CHANGE:
        change_level(m)
    else:
        queues(m, row).timer = 0
        set_timer(m, row)


@compiled_apart
def held_up(m: Any) -> bool:
    """Tell whether nothing can move any more because waiting lots hold what others wait for.

    So it is when no operation or move is in hand, no level will change, no server is down, and
    every station with a queue has an idle server but lacks a pool, of which units are in use.
    """
    state = line(m, 0)
    if state.working > 0 or state.lots == 0 or state.change < state.changes:
        return False
    for v in range(state.servers):
        if servers(m, v).down > 0:
            return False
    found = False
    for s in range(state.stations):
        place = places(m, s)
        if place.queued > 0:
            lacks = place.short >= 0 and place.short < state.pools
            if not lacks or resources(m, place.short).used <= 0.0:
                return False
            state.stuck = s
            found = True
    return found


@compiled_inner
def releases_next(m: Any) -> bool:
    """Tell whether the next event is a release at this very moment."""
    if next_time(m) > clock(m, 0).now:
        return False
    return bool(event(m, 0).what >> KIND_BITS == RELEASE)


@compiled_fused
def serve_agenda(m: Any) -> None:
    """Let stations and sources decide until nothing more is possible at this moment."""
    state = line(m, 0)
    if state.repairs_waiting > 0:
        serve_repairs(m)
    while state.agenda > 0:
        what = next_on_agenda(m)
        if what < state.stations:
            serve_station(m, what)
        else:
            serve_source(m, int(what - state.stations))
        if state.repairs_waiting > 0 and state.agenda == 0:
            serve_repairs(m)


@compiled_fused
def release_on_time(m: Any, source: int) -> None:
    """Release the lots of a timed source or an order, and schedule the next release."""
    given = sources(m, source)
    state = source_states(m, source)
    now = clock(m, 0).now
    if given.mode != TIMED and given.mode != ORDER:
        consider_source(m, source)  # its first moment has come
        return
    if given.until >= 0 and now >= value(m, given.until).v:
        return
    for _ in range(given.lots):
        if given.limit < 0 or state.lots < given.limit:
            release(m, source)
    if given.every >= 0 and (given.limit < 0 or state.lots < given.limit):
        schedule(m, now + next_number(m, int(given.every)), (RELEASE << KIND_BITS) + source)


@compiled_inner
def note(m: Any, what: int) -> None:
    """Write an event into the trace."""
    state = line(m, 0)
    row = traces(m, state.traced)
    state.traced += 1
    row.time = clock(m, 0).now
    row.what = what >> KIND_BITS
    row.lot = -1
    row.lot_class = -1
    row.step = -1
    row.server = -1
    kind = what >> KIND_BITS
    if kind in (FINISH, ARRIVE):
        lot = lots(m, what & LOW)
        row.lot = lot.serial
        row.lot_class = lot.lot_class
        row.step = lot.step
        row.server = lot.server
    elif kind == OPEN:
        row.server = what & LOW


def must_compile() -> bool:
    """Tell whether the first run has to wait for the compiler."""
    return is_cold(operate)
