"""The end of operations: lots go on or wait for room, servers are free for the next load."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.kernel.draws import next_number, value
from firsttoken.kernel.events import clock, schedule
from firsttoken.line.engine_down import free_server, set_due
from firsttoken.line.engine_lots import block, create_lot, enter, follow, go, has_room, resolve
from firsttoken.line.engine_pools import add_stock, give, give_needs
from firsttoken.line.engine_servers import consider, set_state
from firsttoken.line.engine_start import draw_outcome, duration, leave_queue, start_plain, wear
from firsttoken.line.result import BLOCKED, STARVED, WORKING
from firsttoken.line.state import (
    FINISH,
    KIND_BITS,
    cares,
    counts,
    holds,
    line,
    lots,
    maintenances,
    marks,
    places,
    products,
    queues,
    servers,
    stations,
    steps,
    takes,
    tools,
)
from firsttoken.line.system import BY_LOADS, BY_TIME, RESTART, SCRAP


@compiled_fused
def finish(m: Any, row: int) -> None:
    """End an operation: its server becomes free, its lots go on or wait for room."""
    lot = lots(m, row)
    now = clock(m, 0).now
    if lot.finish > now:  # it was suspended meanwhile
        lot.pending = 0
        if lot.finish < 1e300:
            lot.pending = 1
            schedule(m, lot.finish, (FINISH << KIND_BITS) + row)
        return
    lot.pending = 0
    at = int(lot.step)
    if counts(m, at).simple != 0:
        _finish_simple(m, row)
        return
    v = int(lot.server)
    state = line(m, 0)
    state.operations += 1
    state.working -= 1
    if lot.failed != 0 and _again(m, row):
        return
    _leave_server(m, row)
    step = steps(m, at)
    if step.needs > 0:
        give_needs(m, lot.taken, int(step.need), int(step.needs))
    failed = lot.failed
    mate = row
    pieces = int(np.int64(0))
    while mate >= 0:
        after = int(lots(m, mate).mate)
        pieces += lots(m, mate).pieces
        _end_step(m, mate, int(lots(m, mate).step), failed != 0)
        mate = after
    _count_work(m, v, pieces)
    server = servers(m, v)
    free = server.cares == 0 and server.stuck == 0 and server.down == 0
    if free and state.pulling == 0 and next_load(m, v):
        return
    if step.interval < 0 or (server.taken != 0 and server.lot < 0 and server.open_time > 1e300):
        _after_load(m, v)
    elif server.taken == 0 and server.lot < 0 and server.state == WORKING:
        set_state(m, v, int(np.int64(STARVED)))


@compiled_fused
def _finish_simple(m: Any, row: int) -> None:
    """End the operation of one lot at a simple step: there is but one way for it to go."""
    lot = lots(m, row)
    step = steps(m, lot.step)
    v = int(lot.server)
    server = servers(m, v)
    server.lot = -1
    state = line(m, 0)
    state.operations += 1
    state.working -= 1
    places(m, step.station).operations += 1
    target = int(step.next)
    if target >= 0 and steps(m, target).share >= 0:
        target = resolve(m, target)
    if target < 0 or has_room(m, target):
        go(m, row, target)
        if state.pulling != 0 or not next_load(m, v):
            free_server(m, v)
    else:
        server.stuck += 1
        set_state(m, v, BLOCKED)
        block(m, row, target)


@compiled_fused
def next_load(m: Any, v: int) -> bool:
    """Let the first lot of a plain station go on server ``v``, which has just finished one."""
    s = int(servers(m, v).station)
    place = places(m, s)
    if place.plain == 0 or place.queued == 0 or place.opened > place.open:
        return False
    row = int(queues(m, stations(m, s).family).head)
    leave_queue(m, row)
    start_plain(m, row, v)
    if place.blocked > 0 or place.feed >= 0:
        consider(m, s)
    return True


@compiled_fused
def _after_load(m: Any, v: int) -> None:
    """Server ``v`` has finished a load: it is free, or blocked by lots that cannot leave."""
    server = servers(m, v)
    if server.stuck > 0:
        if server.down == 0:
            set_state(m, v, BLOCKED)
    else:
        free_server(m, v)


@compiled_apart
def _again(m: Any, row: int) -> bool:
    """Count a failed operation; if it is to be restarted on the spot, do so and return True."""
    now = clock(m, 0).now
    lot = lots(m, row)
    step = steps(m, lot.step)
    places(m, step.station).failed += 1
    counts(m, lot.step).rework += 1
    if lot.tried != lot.step:
        lot.tried = lot.step
        lot.attempts = 0
    lot.attempts += 1
    if step.attempts > 0 and lot.attempts >= step.attempts:
        return False
    if step.fail_to != RESTART:
        return False
    places(m, step.station).operations += 1
    repair = next_number(m, int(step.repair)) if step.repair >= 0 else 0.0
    pieces = int(np.int64(0))
    mate = row
    while mate >= 0:
        pieces += lots(m, mate).pieces
        mate = int(lots(m, mate).mate)
    lot.defect = 0
    time = draw_outcome(m, row, duration(m, row, pieces))
    extra = repair
    if stations(m, step.station).failures > 0:
        extra += wear(m, int(lot.server), time, repair)
    lot.setup = 0.0
    lot.worn = extra - repair
    lot.work = time + repair
    lot.raw += time
    lot.began = now + repair
    lot.finish = now + extra + time
    lot.pending = 1
    line(m, 0).working += 1
    schedule(m, lot.finish, (FINISH << KIND_BITS) + row)
    return True


@compiled_fused
def _leave_server(m: Any, row: int) -> None:
    """Take an operation out of those its server has in hand."""
    lot = lots(m, row)
    if lot.prev >= 0:
        lots(m, lot.prev).next = lot.next
    else:
        servers(m, lot.server).lot = lot.next
    if lot.next >= 0:
        lots(m, lot.next).prev = lot.prev


@compiled_inner
def _end_step(m: Any, row: int, at: int, failed: bool) -> None:
    """Send one lot of a finished load on."""
    lot = lots(m, row)
    step = steps(m, at)
    state = line(m, 0)
    for k in range(step.gives):
        hold = holds(m, step.give + k)
        give(m, int(hold.pool), value(m, hold.amount).v)
    for k in range(step.makes):
        part = takes(m, step.make + k)
        _produce(m, int(part.product), value(m, part.amount).v)
    if step.mark >= 0:
        marks(m, row * state.mark + step.mark).v = clock(m, 0).now
    if step.tool_put >= 0:
        tools(m, row * state.tool + step.tool_put).v = lot.server
    if failed:
        target = int(step.fail_to)
        lot.defect = 0
        if step.attempts > 0 and lot.attempts >= step.attempts:
            target = int(np.int64(SCRAP))
    else:
        if lot.tried == at:
            lot.tried = -1
        target = follow(m, at)
    target = resolve(m, target)
    if has_room(m, target):
        go(m, row, target)
    else:
        servers(m, lot.server).stuck += 1
        block(m, row, target)


@compiled_apart
def _produce(m: Any, product: int, pieces: float) -> None:
    """Release what disassembly makes: lots that go their way, or pieces that go to stock."""
    made = products(m, product)
    if made.step < 0:
        add_stock(m, product, pieces)
        return
    lots_made = int(pieces / made.pieces)
    for _ in range(lots_made):
        row = create_lot(m, product, int(made.own_class), 10.0, np.inf, int(np.int64(-1)))
        enter(m, row, int(made.step))


@compiled_fused
def _count_work(m: Any, v: int, pieces: int) -> None:
    """Count a load at its station and towards maintenance."""
    server = servers(m, v)
    place = places(m, server.station)
    place.operations += 1
    station = stations(m, server.station)
    for k in range(station.maintenances):
        care = cares(m, server.care + k)
        maintenance = maintenances(m, care.maintenance)
        if maintenance.clock != BY_TIME:
            care.left -= 1 if maintenance.clock == BY_LOADS else pieces
            if care.left <= 0.0:
                set_due(m, int(server.care + k))


@compiled_inner
def open_again(m: Any, v: int) -> None:
    """A cascade server lets the next load enter."""
    server = servers(m, v)
    if server.down > 0 or server.open_time > clock(m, 0).now:
        return
    server.open_time = np.inf
    if server.taken != 0:
        free_server(m, v)
