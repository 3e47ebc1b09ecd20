"""Lots: how they begin, where they go next, how they wait for room, and how they end."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.kernel.draws import next_number, value
from firsttoken.kernel.events import clock, schedule
from firsttoken.kernel.sketch import BUCKETS, bucket
from firsttoken.line.engine_down import is_idle
from firsttoken.line.engine_pools import add_stock
from firsttoken.line.engine_queue import enqueue, set_timer
from firsttoken.line.engine_servers import consider, consider_source, take_idle
from firsttoken.line.engine_start import bound_to, start
from firsttoken.line.state import (
    ARRIVE,
    KIND_BITS,
    MOVING,
    NOWHERE,
    OUTSIDE,
    STUCK,
    branches,
    classes,
    families,
    histograms,
    line,
    lots,
    marks,
    order_finished,
    order_left,
    periods,
    places,
    products,
    servers,
    stations,
    steps,
    tools,
)
from firsttoken.line.system import BRANCHES, GENERAL, LIMITED, LOADS, MOVES, ONE_QUEUE, SHIP, SKIPS


@compiled_fused
def create_lot(
    m: Any, product: int, lot_class: int, priority: float, due: float, order: int
) -> int:
    """Begin a lot, without placing it; return its row."""
    now = clock(m, 0).now
    state = line(m, 0)
    row = int(state.free)
    lot = lots(m, row)
    state.free = lot.next
    state.free_lots -= 1
    state.lots += 1
    lot.lot_class = lot_class
    lot.product = product
    lot.pieces = products(m, product).pieces
    lot.priority = priority
    lot.due = due
    lot.order = order
    lot.released = now
    lot.serial = state.serial
    state.serial += 1
    lot.raw = 0.0
    lot.defect = 0
    lot.attempts = 0
    lot.tried = -1
    lot.server = -1
    lot.mate = -1
    lot.place = NOWHERE
    for k in range(state.mark):
        marks(m, row * state.mark + k).v = -1.0
    for k in range(state.tool):
        tools(m, row * state.tool + k).v = -1
    group = classes(m, lot_class)
    group.lots += 1
    group.area -= now
    group.released += 1
    group.ever += 1
    return row


@compiled_inner
def enter(m: Any, row: int, target: int) -> None:
    """Let a lot come into the line at a step, or wait outside for room."""
    if target >= 0 and steps(m, target).does & (SKIPS | MOVES | LIMITED) == 0:
        lots(m, row).step = target
        join(m, row)
        return
    target = resolve(m, target)
    if has_room(m, target):
        go(m, row, target)
    else:
        lots(m, row).place = OUTSIDE
        wait_for_room(m, row, target)


@compiled_inner
def resolve(m: Any, target: int) -> int:
    """Return the step at which a lot that is sent to a step will stop; sampled ones are skipped."""
    while target >= 0:
        step = steps(m, target)
        if step.does & SKIPS == 0:
            break
        if next_number(m, int(step.chance)) < value(m, step.share).v:
            break
        target = follow(m, target)
    return target


@compiled_inner
def follow(m: Any, at: int) -> int:
    """Return the target after a step that was passed or skipped."""
    step = steps(m, at)
    if step.does & BRANCHES != 0:
        u = next_number(m, int(step.chance))
        for k in range(step.branches):
            branch = branches(m, step.branch + k)
            u -= value(m, branch.probability).v
            if u < 0.0:
                return int(branch.to)
    return int(step.next)


@compiled_fused
def has_room(m: Any, target: int) -> bool:
    """Tell whether a lot may come to a step: a free place in the buffer, or an idle server."""
    if target < 0:
        return True
    step = steps(m, target)
    if step.does & LIMITED == 0:
        return True
    limit = stations(m, step.station).buffer
    place = places(m, step.station)
    return bool(place.queued + place.coming < limit + place.free)


@compiled_fused
def go(m: Any, row: int, target: int) -> None:
    """Move a lot to a step that has room for it, or out of the line."""
    if target < 0:
        end_lot(m, row, target != SHIP)
        return
    lot = lots(m, row)
    lot.step = target
    lot.server = -1
    lot.mate = -1
    step = steps(m, target)
    if step.does & MOVES != 0:
        time = next_number(m, int(step.transport))
        if time > 0.0:
            lot.place = MOVING
            places(m, step.station).coming += 1
            line(m, 0).working += 1
            schedule(m, clock(m, 0).now + time, (ARRIVE << KIND_BITS) + row)
            return
    join(m, row)


@compiled_fused
def join(m: Any, row: int) -> None:
    """Let a lot that has arrived start at once if nothing hinders it, or put it into its queue."""
    lot = lots(m, row)
    step = steps(m, lot.step)
    s = int(step.station)
    place = places(m, s)
    v = _server_for(m, row, s) if place.free > 0 else int(np.int64(-1))
    if v >= 0:
        lot.arrived = clock(m, 0).now
        place.waits += 1
        take_idle(m, v)
        start(m, row, v)
        if place.blocked > 0 or place.feed >= 0:
            consider(m, s)
        return
    enqueue(m, row)
    if place.free > 0 or place.blocked > 0:
        consider(m, s)
    if step.does & LOADS != 0 and families(m, step.family).batch_wait >= 0:
        set_timer(m, int(step.family))


@compiled_fused
def _server_for(m: Any, row: int, s: int) -> int:
    """Return the idle server on which a lot that arrives may start at once, -1 if there is none."""
    place = places(m, s)
    station = stations(m, s)
    none = int(np.int64(-1))
    if station.plain == GENERAL or line(m, 0).gathering != 0:
        return none
    if station.plain == ONE_QUEUE or station.tools == 0:
        return int(place.free_head) if place.queued == 0 else none
    if place.listed != 0:  # it is not yet known which lots before it may start
        return none
    v = bound_to(m, row)
    if v < 0:
        return int(place.free_head)
    return v if is_idle(m, v) and servers(m, v).down == 0 else none


@compiled_inner
def wait_for_room(m: Any, row: int, target: int) -> None:
    """Put a lot behind those that wait to come to the station of a step."""
    lot = lots(m, row)
    lot.target = target
    lot.wait = -1
    place = places(m, steps(m, target).station)
    if place.blocked > 0:
        lots(m, place.blocked_tail).wait = row
    else:
        place.blocked_head = row
    place.blocked_tail = row
    place.blocked += 1


@compiled_apart
def block(m: Any, row: int, target: int) -> None:
    """Keep a finished lot on its server until there is room for it."""
    lot = lots(m, row)
    lot.place = STUCK
    server_station = steps(m, lot.step).station
    places(m, server_station).stuck += 1
    wait_for_room(m, row, target)
    if line(m, 0).cyclic != 0:
        _search_deadlock(m, int(server_station))


@compiled_apart
def _search_deadlock(m: Any, s: int) -> None:
    """Find stations whose every open server waits for room at another such station.

    A station is out of it as soon as one of its blocked lots can move or waits for a station that
    is out of it.  What remains can never move again.
    """
    state = line(m, 0)
    if places(m, s).stuck < places(m, s).opened:
        return
    for k in range(state.stations):
        place = places(m, k)
        place.marked = place.opened > 0 and place.stuck >= place.opened
    changed = True
    while changed:
        changed = False
        for k in range(state.stations):
            place = places(m, k)
            row = place.blocked_head if place.blocked > 0 else -1
            while row >= 0:
                lot = lots(m, row)
                if lot.place == STUCK:
                    here = places(m, steps(m, lot.step).station)
                    free = place.marked == 0 or has_room(m, int(lot.target))
                    if here.marked != 0 and free:
                        here.marked = 0
                        changed = True
                row = lot.wait
    if places(m, s).marked != 0:
        state.stuck = s


@compiled_fused
def end_lot(m: Any, row: int, scrapped: bool) -> None:
    """End a lot: count it, put a component into stock, and let pulling sources follow."""
    now = clock(m, 0).now
    lot = lots(m, row)
    state = line(m, 0)
    group = classes(m, lot.lot_class)
    group.lots -= 1
    group.area += now
    group.ended += 1
    if scrapped:
        group.scrapped += 1
    else:
        _count_finished(m, row)
        if products(m, lot.product).component != 0:
            add_stock(m, int(lot.product), float(lot.pieces))
    if group.pull >= 0:
        consider_source(m, int(group.pull))
    if lot.order >= 0:
        order_left(m, lot.order).v -= 1
        if order_left(m, lot.order).v == 0:
            order_finished(m, lot.order).v = now
    lot.place = NOWHERE
    lot.next = state.free
    state.free = row
    state.free_lots += 1
    state.lots -= 1


@compiled_fused
def _count_finished(m: Any, row: int) -> None:
    now = clock(m, 0).now
    lot = lots(m, row)
    group = classes(m, lot.lot_class)
    cycle = now - lot.released
    group.finished += 1
    group.cycle += cycle
    group.cycle2 += cycle * cycle
    group.raw += lot.raw
    group.escapes += lot.defect
    if lot.due < 1e300:
        group.dated += 1
        if now <= lot.due:
            group.on_time += 1
        else:
            group.late += now - lot.due
    histograms(m, lot.lot_class * BUCKETS + bucket(cycle)).v += 1
    state = line(m, 0)
    at = min(state.period, state.periods - 1)  # the last moment belongs to the last period
    period = periods(m, at * state.classes + lot.lot_class)
    period.finished += 1
    period.cycle += cycle
