"""What keeps servers from work: failures and repairs, maintenance, and levels that change."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_inner
from firsttoken.kernel.draws import next_number, value
from firsttoken.kernel.events import clock, schedule
from firsttoken.line.engine_pools import account, choose_pools, give_needs, seize_needs, wake
from firsttoken.line.engine_servers import (
    close_server,
    consider,
    consider_source,
    make_idle,
    release_server,
    set_state,
    take_idle,
)
from firsttoken.line.result import BLOCKED, CLOSED, DOWN, MAINTENANCE, STARVED, WORKING
from firsttoken.line.state import (
    CARED,
    DUE,
    FAIL,
    FINISH,
    KIND_BITS,
    LEVEL_CHANGE,
    OPEN,
    REPAIRED,
    cares,
    changes,
    failures,
    faults,
    level_users,
    line,
    lots,
    maintenances,
    places,
    resources,
    servers,
    source_states,
    stations,
    steps,
)
from firsttoken.line.system import BY_TIME


@compiled_inner
def is_idle(m: Any, v: int) -> bool:
    """Tell whether server ``v`` is among the idle ones; an open cascade server may work as well."""
    server = servers(m, v)
    return bool(server.taken == 0 and (server.state == STARVED or server.state == WORKING))


@compiled_inner
def suspend(m: Any, v: int, state: int) -> None:
    """Stop server ``v`` for one more reason; its operations in hand stand still."""
    now = clock(m, 0).now
    server = servers(m, v)
    server.down += 1
    if server.down > 1:
        if server.state != DOWN:
            set_state(m, v, state)
        return
    if is_idle(m, v):
        take_idle(m, v)
    row = server.lot
    while row >= 0:
        lot = lots(m, row)
        lot.left = lot.finish - now
        lot.finish = np.inf
        lot.began -= now  # less the clock: what has been worked so far, negative
        row = lot.next
    server.open_time -= now
    set_state(m, v, state)


@compiled_inner
def resume(m: Any, v: int) -> None:
    """End one reason why server ``v`` stands still; with the last one its work goes on."""
    now = clock(m, 0).now
    server = servers(m, v)
    server.down -= 1
    if server.down > 0:
        if server.down == server.caring:
            set_state(m, v, int(np.int64(MAINTENANCE)))
        return
    server.open_time += now
    row = int(server.lot)
    while row >= 0:
        lot = lots(m, row)
        lot.finish = now + lot.left
        lot.began += now
        if lot.pending == 0:
            lot.pending = 1
            schedule(m, lot.finish, (FINISH << KIND_BITS) + row)
        row = int(lot.next)
    if server.taken != 0:
        if server.lot >= 0:
            set_state(m, v, WORKING)
            if server.open_time < 1e300:
                schedule(m, max(server.open_time, now), (OPEN << KIND_BITS) + v)
        elif server.stuck > 0:
            set_state(m, v, BLOCKED)
        else:
            free_server(m, v)
    elif server.closed != 0:
        set_state(m, v, CLOSED)
    else:
        free_server(m, v)


@compiled_inner
def free_server(m: Any, v: int) -> None:
    """Let server ``v``, which has nothing in hand, be maintained if that is due, or else idle."""
    server = servers(m, v)
    server.taken = 0
    server.open_time = np.inf
    if server.cares > 0 and server.down == 0 and server.lot < 0:
        count = stations(m, server.station).maintenances
        for k in range(count):
            c = int(server.care + k)
            if cares(m, c).due != 0 and (server.caring == 0 or _goes_along(m, c)):
                begin_care(m, c)
        if server.caring > 0:
            return
    if server.cares > 0 and server.down == 0 and server.lot >= 0:
        # A cascade tool that waits for its last load before maintenance takes no further one.
        server.taken = 1
        return
    release_server(m, v)


@compiled_inner
def fail(m: Any, f: int) -> None:
    """A server breaks down: it waits for its crew and for the repair."""
    fault = faults(m, f)
    v = int(fault.server)
    suspend(m, v, int(np.int64(DOWN)))
    fault.asked = clock(m, 0).now
    _try_repair(m, f)


@compiled_inner
def _try_repair(m: Any, f: int) -> bool:
    """Begin a repair if its crew is there, else let it wait; tell whether it began."""
    fault = faults(m, f)
    failure = failures(m, fault.failure)
    if failure.needs > 0:
        if choose_pools(m, fault.taken, int(failure.need), int(failure.needs)) >= 0:
            if fault.waiting == 0:
                fault.waiting = 1
                line(m, 0).repairs_waiting += 1
            return False
        seize_needs(m, fault.taken, int(failure.need), int(failure.needs))
    if fault.waiting != 0:
        fault.waiting = 0
        line(m, 0).repairs_waiting -= 1
    time = next_number(m, int(failure.mttr))
    schedule(m, clock(m, 0).now + time, (REPAIRED << KIND_BITS) + f)
    return True


@compiled_inner
def repaired(m: Any, f: int) -> None:
    """A repair is done: the server goes on, and the clock of its next failure starts."""
    fault = faults(m, f)
    failure = failures(m, fault.failure)
    v = int(fault.server)
    time = next_number(m, int(failure.mtbf))
    give_needs(m, fault.taken, int(failure.need), int(failure.needs))
    fault.asked = clock(m, 0).now  # since when it works
    if failure.clock == BY_TIME:
        schedule(m, clock(m, 0).now + time, (FAIL << KIND_BITS) + f)
        resume(m, v)
        return
    fault.left = time
    resume(m, v)
    row = int(servers(m, v).lot)
    if row >= 0 and servers(m, v).down == 0:
        arm(m, f, lots(m, row).finish - clock(m, 0).now, 0.0)


@compiled_inner
def arm(m: Any, f: int, work: float, after: float) -> None:
    """Schedule the failure by working time that will stop ``work``, which begins ``after`` a time.

    Of failures whose repair needs nobody the operation knows the repair time from the start.
    """
    fault = faults(m, f)
    if fault.left < work:
        schedule(m, clock(m, 0).now + after + fault.left, (FAIL << KIND_BITS) + f)
    else:
        fault.left -= work


@compiled_inner
def due(m: Any, c: int) -> None:
    """Maintenance by the calendar is due: now if the server is idle, else after its load."""
    care = cares(m, c)
    maintenance = maintenances(m, care.maintenance)
    time = next_number(m, int(maintenance.every))
    schedule(m, clock(m, 0).now + time, (DUE << KIND_BITS) + c)
    set_due(m, c)


@compiled_inner
def set_due(m: Any, c: int) -> None:
    """Note that maintenance is due, and begin it if the server is idle."""
    care = cares(m, c)
    server = servers(m, care.server)
    if care.due != 0:
        return
    care.due = 1
    server.cares += 1
    if is_idle(m, int(care.server)):
        take_idle(m, int(care.server))
        free_server(m, int(care.server))
    elif server.down > 0 and server.lot < 0 and server.stuck == 0 and _goes_along(m, c):
        begin_care(m, c)


@compiled_inner
def _goes_along(m: Any, c: int) -> bool:
    """Tell whether maintenance may be done while the server is down for another reason."""
    return bool(maintenances(m, cares(m, c).maintenance).alone == 0)


@compiled_inner
def begin_care(m: Any, c: int) -> bool:
    """Begin maintenance of a server that has nothing in hand, or let it wait for its crew."""
    now = clock(m, 0).now
    care = cares(m, c)
    v = int(care.server)
    maintenance = maintenances(m, care.maintenance)
    if maintenance.needs > 0:
        if choose_pools(m, care.taken, int(maintenance.need), int(maintenance.needs)) >= 0:
            if care.waiting == 0:
                care.waiting = 1
                care.asked = now
                line(m, 0).repairs_waiting += 1
            return False
        seize_needs(m, care.taken, int(maintenance.need), int(maintenance.needs))
    if care.waiting != 0:
        care.waiting = 0
        line(m, 0).repairs_waiting -= 1
    care.due = 0
    servers(m, v).cares -= 1
    servers(m, v).caring += 1
    if maintenance.clock != BY_TIME:
        care.left = value(m, maintenance.every).v
    # Not among the idle servers any more: suspend must not take it out of them again.
    servers(m, v).taken = 1
    suspend(m, v, int(np.int64(MAINTENANCE)))
    schedule(m, now + next_number(m, int(maintenance.takes)), (CARED << KIND_BITS) + c)
    return True


@compiled_inner
def cared(m: Any, c: int) -> None:
    """Maintenance is done."""
    care = cares(m, c)
    maintenance = maintenances(m, care.maintenance)
    give_needs(m, care.taken, int(maintenance.need), int(maintenance.needs))
    servers(m, care.server).caring -= 1
    resume(m, int(care.server))


@compiled_inner
def serve_repairs(m: Any) -> None:
    """Begin waiting repairs and maintenance whose crew has become free, the oldest first."""
    while line(m, 0).repairs_waiting > 0:
        first = np.inf
        best = int(np.int64(-1))
        state = line(m, 0)
        for f in range(state.faults):
            fault = faults(m, f)
            if fault.waiting != 0 and fault.asked < first and _crew_is_free(m, f):
                first = fault.asked
                best = f
        if best < 0 or not _try_repair(m, best):
            break
    if line(m, 0).repairs_waiting > 0:
        _serve_cares(m)


@compiled_inner
def _serve_cares(m: Any) -> None:
    """Begin waiting maintenance of idle servers whose crew has become free."""
    for c in range(line(m, 0).cares):
        care = cares(m, c)
        v = int(care.server)
        if care.waiting != 0 and is_idle(m, v) and servers(m, v).down == 0:
            maintenance = maintenances(m, care.maintenance)
            if choose_pools(m, care.taken, int(maintenance.need), int(maintenance.needs)) < 0:
                take_idle(m, v)
                free_server(m, v)


@compiled_inner
def _crew_is_free(m: Any, f: int) -> bool:
    fault = faults(m, f)
    failure = failures(m, fault.failure)
    return bool(choose_pools(m, fault.taken, int(failure.need), int(failure.needs)) < 0)


@compiled_inner
def change_level(m: Any) -> None:
    """Apply the next change of a level and schedule the one after it."""
    state = line(m, 0)
    change = changes(m, state.change)
    state.change += 1
    if state.change < state.changes:
        schedule(m, changes(m, state.change).time, LEVEL_CHANGE << KIND_BITS)
    user = level_users(m, change.level)
    apply_level(m, int(user.kind), int(user.row), change.value)


@compiled_inner
def apply_level(m: Any, kind: int, row: int, amount: float) -> None:
    """Set the open servers of a station (kind 0), the level of a pool (1) or a target (2)."""
    if kind == 0:
        _open_servers(m, row, int(amount))
    elif kind == 1:
        account(m, row)
        resources(m, row).level = amount
        wake(m, row)
    else:
        source_states(m, row).level = amount
        consider_source(m, row)


@compiled_inner
def _open_servers(m: Any, s: int, count: int) -> None:
    """Open or close servers of a station: idle ones first, others when they are free or at once."""
    station = stations(m, s)
    place = places(m, s)
    place.open = count
    for k in range(station.servers):
        v = int(station.server + k)
        server = servers(m, v)
        if place.opened < count and server.closed != 0:
            server.closed = 0
            place.opened += 1
            if server.paused != 0:
                server.paused = 0
                _crew_comes(m, v)
                resume(m, v)
            elif server.down == 0:
                set_state(m, v, STARVED)
                make_idle(m, v)
    for k in range(station.servers):
        v = int(station.server + k)
        if place.opened > count and is_idle(m, v) and servers(m, v).down == 0:
            take_idle(m, v)
            close_server(m, v)
    if station.pause != 0:
        for k in range(station.servers):
            v = int(station.server + k)
            server = servers(m, v)
            if place.opened > count and server.closed == 0 and server.lot >= 0:
                server.closed = 1
                server.paused = 1
                place.opened -= 1
                suspend(m, v, int(np.int64(CLOSED)))
                _crew_leaves(m, v)
    consider(m, s)


@compiled_inner
def _crew_leaves(m: Any, v: int) -> None:
    """Give back what paused work has seized: people go home, the test power is free."""
    row = int(servers(m, v).lot)
    while row >= 0:
        give_crew(m, row)
        row = int(lots(m, row).next)


@compiled_apart
def give_crew(m: Any, row: int) -> None:
    """Give back what the work on a lot has seized."""
    lot = lots(m, row)
    step = steps(m, lot.step)
    give_needs(m, lot.taken, int(step.need), int(step.needs))


@compiled_inner
def _crew_comes(m: Any, v: int) -> None:
    """Seize for work that goes on what it had before; it does not wait for it."""
    row = int(servers(m, v).lot)
    while row >= 0:
        lot = lots(m, row)
        step = steps(m, lot.step)
        seize_needs(m, lot.taken, int(step.need), int(step.needs))
        row = int(lot.next)
