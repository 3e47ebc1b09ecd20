"""The state of a line at its start: idle servers, first failures, first releases, lots in hand."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.kernel.draws import next_number, value
from firsttoken.kernel.events import schedule
from firsttoken.line.engine_down import apply_level
from firsttoken.line.engine_lots import create_lot, join
from firsttoken.line.engine_periods import next_edge
from firsttoken.line.engine_servers import consider_source, make_idle
from firsttoken.line.result import STARVED
from firsttoken.line.state import (
    DUE,
    FAIL,
    KIND_BITS,
    LEVEL_CHANGE,
    RELEASE,
    cares,
    changes,
    classes,
    failures,
    faults,
    level_users,
    line,
    lots,
    maintenances,
    places,
    products,
    queues,
    resources,
    servers,
    sources,
    stations,
    steps,
    wips,
)
from firsttoken.line.system import BACKLOG, BY_TIME, BY_WORK, ORDER, STOCK, TIMED, WIP


@compiled_inner
def begin(m: Any) -> None:
    """Build the state at time 0 from the static tables; all tables of the state are zero before."""
    state = line(m, 0)
    state.bottleneck = -1
    state.stuck = -1
    _link_lots(m)
    for f in range(state.families):
        queues(m, f).head = -1
        queues(m, f).tail = -1
    for c in range(state.classes):
        classes(m, c).pull = -1
    for r in range(state.pools + state.products):
        resources(m, r).pull = -1
    for p in range(state.products):
        if products(m, p).stock >= 0:
            resources(m, state.pools + p).used = value(m, products(m, p).stock).v
    _begin_stations(m)
    for k in range(state.users):
        user = level_users(m, k)
        apply_level(m, int(user.kind), int(user.row), user.value)
    if state.changes > 0:
        schedule(m, changes(m, 0).time, LEVEL_CHANGE << KIND_BITS)
    for k in range(state.sources):
        _begin_source(m, k)
    state.gathering = 1
    for k in range(state.wip):
        _begin_wip(m, k)
    state.gathering = 0
    next_edge(m)


@compiled_inner
def _link_lots(m: Any) -> None:
    state = line(m, 0)
    for i in range(state.free_lots):
        lots(m, i).next = i + 1
    state.free = 0


@compiled_inner
def _begin_stations(m: Any) -> None:
    state = line(m, 0)
    for s in range(state.stations):
        station = stations(m, s)
        place = places(m, s)
        place.free_head = -1
        place.free_tail = -1
        place.short = -1
        place.feed = -1
        place.active_since = np.inf
        place.open = station.servers
        place.opened = station.servers
        place.idle = station.servers
        for k in range(station.servers):
            v = int(station.server + k)
            server = servers(m, v)
            server.station = s
            server.state = STARVED
            server.setup = -1
            server.lot = -1
            server.open_time = np.inf
            make_idle(m, v)
            _begin_faults(m, v)
            _begin_cares(m, v, k)


@compiled_inner
def _begin_faults(m: Any, v: int) -> None:
    server = servers(m, v)
    station = stations(m, server.station)
    state = line(m, 0)
    server.fault = state.faults
    for k in range(station.failures):
        f = int(state.faults)
        state.faults += 1
        fault = faults(m, f)
        fault.server = v
        fault.failure = station.failure + k
        failure = failures(m, fault.failure)
        stream = failure.first if failure.first >= 0 else failure.mtbf
        time = next_number(m, int(stream))
        if failure.clock == BY_WORK:
            fault.left = time
        else:
            schedule(m, time, (FAIL << KIND_BITS) + f)


@compiled_inner
def _begin_cares(m: Any, v: int, number: int) -> None:
    """First due dates; staggered ones are spread over the servers: (number + 1) / servers."""
    server = servers(m, v)
    station = stations(m, server.station)
    state = line(m, 0)
    server.care = state.cares
    share = (number + 1.0) / station.servers
    for k in range(station.maintenances):
        c = int(state.cares)
        state.cares += 1
        care = cares(m, c)
        care.server = v
        care.maintenance = station.maintenance + k
        maintenance = maintenances(m, care.maintenance)
        first = maintenance.first if maintenance.first >= 0 else maintenance.every
        by_time = maintenance.clock == BY_TIME
        time = next_number(m, int(first)) if by_time else value(m, first).v
        if maintenance.stagger != 0:
            time *= share
        if maintenance.clock == BY_TIME:
            schedule(m, time, (DUE << KIND_BITS) + c)
        else:
            care.left = time


@compiled_inner
def _begin_source(m: Any, k: int) -> None:
    source = sources(m, k)
    state = line(m, 0)
    first = value(m, source.first).v
    if source.mode == TIMED or source.mode == ORDER:
        schedule(m, max(first, 0.0), (RELEASE << KIND_BITS) + k)
        return
    if source.mode == BACKLOG:
        places(m, steps(m, products(m, source.product).step).station).feed = k
    elif source.mode == WIP:
        classes(m, source.lot_class).pull = k
    elif source.mode == STOCK:
        classes(m, source.lot_class).pull = k
        resources(m, state.pools + source.product).pull = k
    if first > 0.0:
        schedule(m, first, (RELEASE << KIND_BITS) + k)
    else:
        consider_source(m, k)


@compiled_inner
def _begin_wip(m: Any, k: int) -> None:
    given = wips(m, k)
    product = int(steps(m, given.step).product)
    for _ in range(given.lots):
        row = create_lot(
            m, product, int(given.lot_class), given.priority, given.due, int(np.int64(-1))
        )
        lots(m, row).released = given.released
        lots(m, row).step = given.step
        join(m, row)
