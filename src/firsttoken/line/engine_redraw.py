"""Going on from a state: statistics begin, levels are those of today, the unknown is drawn anew.

A simulation has drawn the end of each operation and repair, and the next breakdowns, when they
began.  A forecast must not know them.  Each is drawn again from its distribution, given how long
it has lasted already: numbers are drawn until one is longer than that (rejection), which is the
conditional distribution exactly; of an exponential one the rest is a fresh number.  Certain times
stay as they are, and so do

- repairs and maintenance whose beginning is not known because they wait for a crew,
- loads in cascade tools, whose times depend on each other,
- releases and transports, unless their times are exponential: the plan is known.

Working time since the last breakdown is not kept; breakdowns counted in working time begin it
anew.
"""

import math
from typing import Any, Final

from firsttoken.kernel import codes
from firsttoken.kernel.compiled import compiled_inner
from firsttoken.kernel.draws import next_number, stream
from firsttoken.kernel.events import WAYS, clock, event, gather, schedule
from firsttoken.line.engine_down import apply_level
from firsttoken.line.engine_periods import next_edge, start_statistics
from firsttoken.line.engine_start import draw_outcome, duration
from firsttoken.line.state import (
    ARRIVE,
    FAIL,
    FINISH,
    KIND_BITS,
    LEVEL_CHANGE,
    RELEASE,
    REPAIRED,
    changes,
    failures,
    faults,
    level_users,
    line,
    lots,
    period_pools,
    periods,
    resources,
    servers,
    sources,
    stations,
    steps,
)
from firsttoken.line.system import BY_WORK

TRIES: Final = 1000
"""Numbers drawn before the old one is kept: it lasts longer than its distribution allows."""


@compiled_inner
def go_on(m: Any, unknown: int) -> None:
    """Prepare a state that was taken over for going on.

    Parameters
    ----------
    m
        Memory of the line; `value` of LEVEL_USER and `change` of LINE are those of the moment.
    unknown
        1: draw anew what nobody knows; 0: what was drawn before stays.
    """
    state = line(m, 0)
    state.warmup = min(state.warmup, clock(m, 0).now)
    start_statistics(m)
    for i in range((state.period + 1) * state.classes):
        if i < state.periods * state.classes:
            periods(m, i).finished = 0
            periods(m, i).cycle = 0.0
    rows = state.pools + state.products
    for i in range(state.period * rows):
        period_pools(m, i).v = 0.0
    for r in range(rows):
        resources(m, r).period_area = 0.0
    _change_levels(m)
    if unknown != 0:
        redraw(m)
    next_edge(m)


@compiled_inner
def _change_levels(m: Any) -> None:
    """Set all levels, and the time of their next change, which need not be those of before."""
    state = line(m, 0)
    for k in range(state.users):
        user = level_users(m, k)
        apply_level(m, int(user.kind), int(user.row), user.value)
    time = math.inf
    if state.change < state.changes:
        time = changes(m, state.change).time
    gather(m)
    count = clock(m, 0).pending
    found = False
    for i in range(count):
        if event(m, i).what >> KIND_BITS == LEVEL_CHANGE:
            event(m, i).time = time
            found = True
    _order_events(m)
    if not found and time < math.inf:
        schedule(m, time, LEVEL_CHANGE << KIND_BITS)


@compiled_inner
def redraw(m: Any) -> None:
    """Draw what is not known at the moment of the clock."""
    last = stations(m, line(m, 0).stations - 1)
    for v in range(last.server + last.servers):
        row = int(servers(m, v).lot)
        while row >= 0:
            if steps(m, lots(m, row).step).interval < 0:
                _redraw_work(m, row, v)
            row = int(lots(m, row).next)
    gather(m)
    for i in range(clock(m, 0).pending):
        _redraw_event(m, i)
    _order_events(m)


@compiled_inner
def _order_events(m: Any) -> None:
    """Make a heap of the events again after their times have changed."""
    count = clock(m, 0).pending
    for i in range((count - 2) // WAYS, -1, -1):
        _sift(m, i, count)


@compiled_inner
def _redraw_work(m: Any, row: int, v: int) -> None:
    """Draw outcome and end of an operation in hand, given how long it has lasted."""
    now = clock(m, 0).now
    lot = lots(m, row)
    suspended = servers(m, v).down > 0
    done = -lot.began if suspended else now - lot.began
    pieces = 0
    mate = row
    while mate >= 0:
        pieces += int(lots(m, mate).pieces)
        mate = int(lots(m, mate).mate)
    defect = lot.defect
    failed = lot.failed
    for _ in range(TRIES):
        lot.defect = defect
        time = draw_outcome(m, row, duration(m, row, pieces))
        time += _repairs(m, v, time)
        if time > done:
            if suspended:
                lot.left = time - done
            else:
                lot.finish = now + (time - done)
            return
    lot.defect = defect
    lot.failed = failed


@compiled_inner
def _repairs(m: Any, v: int, time: float) -> float:
    """Draw the repair times of breakdowns by working time within ``time`` of work."""
    server = servers(m, v)
    extra = 0.0
    for k in range(stations(m, server.station).failures):
        fault = faults(m, server.fault + k)
        failure = failures(m, fault.failure)
        if failure.clock == BY_WORK:
            rest = time
            left = next_number(m, int(failure.mtbf))
            while left < rest:
                rest -= left
                extra += next_number(m, int(failure.mttr))
                left = next_number(m, int(failure.mtbf))
            fault.left = left - rest
    return extra


@compiled_inner
def _redraw_event(m: Any, i: int) -> None:
    """Give an event of the heap its new time; the order of the heap is lost."""
    now = clock(m, 0).now
    e = event(m, i)
    kind = e.what >> KIND_BITS
    row = int(e.what & ((1 << KIND_BITS) - 1))
    if kind == FINISH:
        # That of a suspended operation is put off when it comes, as always.
        if lots(m, row).finish < 1e300:
            e.time = lots(m, row).finish
    elif FAIL <= kind <= REPAIRED:
        fault = faults(m, row)
        failure = failures(m, fault.failure)
        drawn = int(failure.mtbf) if kind == FAIL else int(failure.mttr)
        if kind == FAIL or failure.needs == 0:
            e.time = now + _rest(m, drawn, now - fault.asked, e.time - now)
    elif kind == RELEASE:
        e.time = now + _rest_exponential(m, int(sources(m, row).every), e.time - now)
    elif kind == ARRIVE:
        drawn = int(steps(m, lots(m, row).step).transport)
        e.time = now + _rest_exponential(m, drawn, e.time - now)


@compiled_inner
def _rest(m: Any, s: int, age: float, otherwise: float) -> float:
    """Draw the rest of a time of stream ``s`` that has lasted ``age`` already."""
    if stream(m, s).code == codes.CONSTANT:
        return otherwise
    if stream(m, s).code == codes.EXPONENTIAL:
        return next_number(m, s)
    for _ in range(TRIES):
        time = next_number(m, s)
        if time > age:
            return time - age
    return otherwise


@compiled_inner
def _rest_exponential(m: Any, s: int, otherwise: float) -> float:
    """Draw the rest of an exponential time; that of any other is known."""
    if s >= 0 and stream(m, s).code == codes.EXPONENTIAL:
        return next_number(m, s)
    return otherwise


@compiled_inner
def _sift(m: Any, i: int, count: int) -> None:
    """Move event ``i`` down until none below it comes before it; ties keep their order."""
    time = event(m, i).time
    sequence = event(m, i).sequence
    what = event(m, i).what
    while True:
        child = WAYS * i + 1
        if child >= count:
            break
        best = child
        for k in range(child + 1, min(child + WAYS, count)):
            if _before(m, k, event(m, best).time, event(m, best).sequence):
                best = k
        if not _before(m, best, time, sequence):
            break
        b = event(m, best)
        e = event(m, i)
        e.time = b.time
        e.sequence = b.sequence
        e.what = b.what
        i = best
    e = event(m, i)
    e.time = time
    e.sequence = sequence
    e.what = what


@compiled_inner
def _before(m: Any, i: int, time: float, sequence: int) -> bool:
    """Tell whether event ``i`` comes before a time and sequence number."""
    e = event(m, i)
    return bool(e.time < time or (e.time == time and e.sequence < sequence))
