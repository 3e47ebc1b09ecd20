"""The end of operations: lots go on or wait for room, servers are free for the next load."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.kernel.draws import next_number, value
from firsttoken.kernel.events import clock, schedule
from firsttoken.line.engine_down import free_server, give_crew, set_due
from firsttoken.line.engine_lots import block, create_lot, enter, follow, go, has_room, resolve
from firsttoken.line.engine_pools import add_stock, give
from firsttoken.line.engine_servers import consider, set_state
from firsttoken.line.engine_start import (
    draw_outcome,
    duration,
    first_lot,
    leave_queue,
    start,
    wear,
)
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
    servers,
    stations,
    steps,
    takes,
    tools,
)
from firsttoken.line.system import (
    BRANCHES,
    BY_LOADS,
    BY_TIME,
    CASCADES,
    COUNTS,
    FAILS,
    LEAVES,
    LOADS,
    OVERLAPS,
    RESTART,
    SCRAP,
    SEIZES,
)

_LONG = SEIZES | FAILS | COUNTS | LEAVES | BRANCHES | LOADS | OVERLAPS
"""What makes the end of an operation more than moving a lot on."""


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
    does = steps(m, lot.step).does
    if does & _LONG != 0:
        _finish_long(m, row)
    else:
        _finish(m, row, 0)


@compiled_apart
def _finish_long(m: Any, row: int) -> None:
    _finish(m, row, steps(m, lots(m, row).step).does)


@compiled_fused
def _finish(m: Any, row: int, does: int) -> None:
    """End an operation of which these bits hold."""
    lot = lots(m, row)
    at = int(lot.step)
    v = int(lot.server)
    server = servers(m, v)
    state = line(m, 0)
    state.operations += 1
    state.working -= 1
    failed = does & FAILS != 0 and lot.failed != 0
    if failed and _again(m, row):
        return
    if does & OVERLAPS != 0:
        _leave_server(m, row)
    else:
        server.lot = -1
    if does & SEIZES != 0:
        give_crew(m, row)
    places(m, server.station).operations += 1
    pieces = int(lot.pieces)
    mate = int(lot.mate) if does & LOADS != 0 else int(np.int64(-1))
    _end_step(m, row, at, does, failed)
    if mate >= 0:
        pieces += _end_mates(m, mate, failed)
    if does & COUNTS != 0:
        _count_work(m, v, pieces)
    if does & CASCADES != 0 and (server.taken == 0 or server.lot >= 0 or server.open_time <= 1e300):
        if server.taken == 0 and server.lot < 0 and server.state == WORKING:
            set_state(m, v, int(np.int64(STARVED)))
        return
    free = server.cares == 0 and server.stuck == 0 and server.down == 0
    if not (free and state.pulling == 0 and next_load(m, v)):
        _after_load(m, v)


@compiled_fused
def next_load(m: Any, v: int) -> bool:
    """Let the next lot of a plain station go on server ``v``, which is free for it."""
    s = int(servers(m, v).station)
    place = places(m, s)
    if place.queued == 0 or stations(m, s).plain == 0 or place.opened > place.open:
        return False
    row = first_lot(m, s, v)
    if row < 0:
        return False
    leave_queue(m, row)
    start(m, row, v)
    if place.blocked > 0 or place.feed >= 0:
        consider(m, s)
    return True


@compiled_apart
def _end_mates(m: Any, mate: int, failed: bool) -> int:
    """Send the mates of a lot on; return their pieces."""
    pieces = int(np.int64(0))
    while mate >= 0:
        after = int(lots(m, mate).mate)
        pieces += lots(m, mate).pieces
        at = int(lots(m, mate).step)
        _end_step(m, mate, at, int(steps(m, at).does), failed)
        mate = after
    return pieces


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


@compiled_fused
def _end_step(m: Any, row: int, at: int, does: int, failed: bool) -> None:
    """Send one lot of a finished load on."""
    lot = lots(m, row)
    step = steps(m, at)
    if does & LEAVES != 0:
        _leave_behind(m, row, at)
    target = int(step.next)
    if failed:
        target = int(step.fail_to)
        lot.defect = 0
        if step.attempts > 0 and lot.attempts >= step.attempts:
            target = int(np.int64(SCRAP))
    elif does & (FAILS | BRANCHES) != 0:
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
def _leave_behind(m: Any, row: int, at: int) -> None:
    """Give back what was held until here, keep what later steps ask for, release what is made."""
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
        tools(m, row * state.tool + step.tool_put).v = lots(m, row).server


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
    """Count a load towards maintenance."""
    server = servers(m, v)
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
        free = server.cares == 0 and line(m, 0).pulling == 0
        if not (free and next_load(m, v)):
            free_server(m, v)
