"""Operations: what happens between the moment a server takes a load and the moment it is free."""

import math
from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.kernel.draws import next_number, value
from firsttoken.kernel.events import clock, schedule
from firsttoken.kernel.random import normal_quantile
from firsttoken.line.engine_down import cares, free_server, set_due
from firsttoken.line.engine_lots import (
    add_stock,
    block,
    create_lot,
    enter,
    follow,
    go,
    has_room,
    resolve,
    set_timer,
    take_stock,
)
from firsttoken.line.engine_pools import give, give_needs, seize, seize_needs
from firsttoken.line.engine_queue import dequeue
from firsttoken.line.engine_servers import N_STATES, set_state, take_idle
from firsttoken.line.result import BLOCKED, DOWN, SETUP, WORKING
from firsttoken.line.state import (
    FINISH,
    KIND_BITS,
    OPEN,
    WORKED,
    change_overs,
    counts,
    failures,
    families,
    faults,
    holds,
    line,
    lots,
    maintenances,
    marks,
    places,
    products,
    queues,
    servers,
    state_times,
    stations,
    steps,
    takes,
    tasks,
    tools,
)
from firsttoken.line.system import BY_LOADS, BY_TIME, BY_WORK, RESTART, SCRAP

FEW: float = 20.0
"""Expected misses below which they are counted exactly, above which by a normal number."""


@compiled_inner
def start(m: Any, row: int, v: int) -> None:
    """Begin the operation of a lot, and of those that share its load, on an idle server."""
    now = clock(m, 0).now
    lot = lots(m, row)
    step = steps(m, lot.step)
    server = servers(m, v)
    s = int(step.station)
    take_idle(m, v)
    server.taken = 1
    pieces = gather(m, row, v)
    if step.needs > 0:
        seize_needs(m, lot.taken, int(step.need), int(step.needs))
    for k in range(step.holds):
        hold = holds(m, step.hold + k)
        seize(m, int(hold.pool), value(m, hold.amount).v)
    for k in range(step.parts):
        part = takes(m, step.part + k)
        take_stock(m, int(part.product), value(m, part.amount).v)
    setup = change_over(m, row, v)
    time = draw_outcome(m, row, duration(m, row, pieces))
    set_state(m, v, WORKING)
    extra = setup
    if setup > 0.0:
        state_times(m, s * N_STATES + SETUP).v += setup
        state_times(m, s * N_STATES + WORKING).v -= setup
    if stations(m, s).failures > 0:
        extra += wear(m, v, time)
    lot.raw += time
    lot.began = now
    lot.finish = now + extra + time
    if step.interval >= 0:
        _open_later(m, row, v, pieces, extra)
    lot.place = WORKED
    lot.prev = -1
    lot.next = server.lot
    if server.lot >= 0:
        lots(m, server.lot).prev = row
    server.lot = row
    lot.pending = 1
    places(m, s).pieces += pieces
    line(m, 0).working += 1
    schedule(m, lot.finish, (FINISH << KIND_BITS) + row)


@compiled_inner
def _open_later(m: Any, row: int, v: int, pieces: int, extra: float) -> None:
    """A cascade server: schedule when the next load may enter; loads do not overtake."""
    now = clock(m, 0).now
    lot = lots(m, row)
    step = steps(m, lot.step)
    server = servers(m, v)
    interval = next_number(m, int(step.interval))
    if step.interval_per_piece != 0:
        interval *= pieces
    server.open_time = now + extra + interval
    lot.finish = max(lot.finish, server.last_finish)
    server.last_finish = lot.finish
    if server.open_time < lot.finish:
        schedule(m, server.open_time, (OPEN << KIND_BITS) + v)
    else:
        server.open_time = np.inf


@compiled_inner
def gather(m: Any, row: int, v: int) -> int:
    """Take a lot and, for a batch, its mates out of the queue; return the pieces of the load."""
    lot = lots(m, row)
    family = int(steps(m, lot.step).family)
    mate = int(lot.next)
    most = families(m, family).batch_max
    _leave_queue(m, row, v)
    pieces = int(lot.pieces)
    if most <= 0:
        return pieces
    last = row
    while mate >= 0:
        other = lots(m, mate)
        after = int(other.next)
        if pieces + other.pieces > most:
            break
        if may_use(m, mate, v):
            _leave_queue(m, mate, v)
            pieces += other.pieces
            lots(m, last).mate = mate
            last = mate
        mate = after
    queues(m, family).overdue = 0
    if families(m, family).batch_wait >= 0:
        set_timer(m, family)
    return pieces


@compiled_inner
def _leave_queue(m: Any, row: int, v: int) -> None:
    dequeue(m, row)
    lot = lots(m, row)
    lot.server = v
    lot.mate = -1
    place = places(m, servers(m, v).station)
    place.wait += clock(m, 0).now - lot.arrived
    place.waits += 1
    get = steps(m, lot.step).limit_mark
    if get >= 0:
        marks(m, row * line(m, 0).mark + get).v = -1.0


@compiled_inner
def may_use(m: Any, row: int, v: int) -> bool:
    """Tell whether a lot may use server ``v``: an earlier step may bind it to another."""
    slot = steps(m, lots(m, row).step).tool_get
    if slot < 0:
        return True
    tool = tools(m, row * line(m, 0).tool + slot).v
    return bool(tool < 0 or tool == v)


@compiled_inner
def change_over(m: Any, row: int, v: int) -> float:
    """Change the set-up of server ``v`` for a lot if need be; return the time it takes."""
    step = steps(m, lots(m, row).step)
    family = families(m, step.family)
    server = servers(m, v)
    server.run += 1
    if family.setup < 0 or family.setup == server.setup:
        return 0.0
    station = stations(m, step.station)
    to = int(family.setup) + 1
    cell = station.setup + (server.setup + 1) * station.setups + to
    stream = change_overs(m, cell).v
    server.setup = family.setup
    server.run = 1
    server.min_run = family.min_run
    return next_number(m, int(stream)) if stream >= 0 else 0.0


@compiled_inner
def duration(m: Any, row: int, pieces: int) -> float:
    """Draw the time of an operation: loading, processing, tasks, unloading."""
    step = steps(m, lots(m, row).step)
    time = next_number(m, int(step.time)) if step.time >= 0 else 0.0
    if step.per_piece != 0:
        if step.interval >= 0 and step.interval_per_piece != 0:
            # the first piece takes its time, the others follow at the interval
            time += (pieces - 1) * next_number(m, int(step.interval))
        else:
            time *= pieces
    if step.load >= 0:
        time += value(m, step.load).v
    if step.unload >= 0:
        time += value(m, step.unload).v
    if step.tasks >= 0:
        mate = row
        while mate >= 0:
            time += task_time(m, int(step.tasks))
            mate = int(lots(m, mate).mate)
    return time


@compiled_inner
def task_time(m: Any, k: int) -> float:
    """Time of many equal tasks of which a binomial number needs recovery.

    Few misses are the binomial quantile; many are its normal approximation (de Moivre), rounded.
    """
    task = tasks(m, k)
    n = value(m, task.count).v
    miss = 1.0 - value(m, task.success).v
    time = n * value(m, task.time).v
    if miss <= 0.0:
        return float(time)
    u = next_number(m, int(task.normal))
    mean = n * miss
    if mean > FEW and n - mean > FEW:
        spread = math.sqrt(mean * (1.0 - miss))
        misses = math.floor(mean + spread * normal_quantile(u) + 0.5)
        misses = min(max(misses, 0.0), n)
    else:
        misses = _binomial(n, miss, u)
    return float(time + misses * value(m, task.recovery).v)


@compiled_inner
def _binomial(n: float, p: float, u: float) -> float:
    """Quantile at ``u`` of a binomial number, by adding probabilities up."""
    if p >= 1.0:
        return n
    chance = math.exp(n * math.log1p(-p))
    ratio = p / (1.0 - p)
    k = 0.0
    while u >= chance and k < n:
        u -= chance
        chance *= ratio * (n - k) / (k + 1.0)
        k += 1.0
    return k


@compiled_inner
def draw_outcome(m: Any, row: int, time: float) -> float:
    """Decide whether the operation fails, and return its time: shorter if failures show early."""
    lot = lots(m, row)
    step = steps(m, lot.step)
    lot.failed = 0
    if step.defects >= 0 and next_number(m, int(step.chance)) < value(m, step.defects).v:
        lot.defect = 1
    if step.pass_ >= 0 and next_number(m, int(step.chance)) >= value(m, step.pass_).v:
        lot.failed = 1
        if step.fail_after >= 0:
            time *= next_number(m, int(step.fail_after))
    elif step.inspect >= 0 and next_number(m, int(step.chance)) < value(m, step.inspect).v:
        u = next_number(m, int(step.chance))
        if lot.defect != 0:
            lot.failed = u >= value(m, step.escape).v
        else:
            lot.failed = u < value(m, step.false_call).v
    return time


@compiled_inner
def wear(m: Any, v: int, time: float) -> float:
    """Return the repair time of failures by working time that interrupt ``time`` of work."""
    server = servers(m, v)
    station = stations(m, server.station)
    extra = 0.0
    for k in range(station.failures):
        fault = faults(m, server.fault + k)
        failure = failures(m, fault.failure)
        if failure.clock == BY_WORK:
            rest = time
            while fault.left < rest:
                rest -= fault.left
                extra += next_number(m, int(failure.mttr))
                fault.left = next_number(m, int(failure.mtbf))
            fault.left -= rest
    if extra > 0.0:
        s = int(server.station)
        state_times(m, s * N_STATES + DOWN).v += extra
        state_times(m, s * N_STATES + WORKING).v -= extra
    return extra


@compiled_inner
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
        _end_step(m, mate, at, failed != 0)
        mate = after
    _count_work(m, v, pieces)
    server = servers(m, v)
    if step.interval < 0 or (server.taken != 0 and server.lot < 0 and server.open_time > 1e300):
        _after_load(m, v)


@compiled_inner
def _after_load(m: Any, v: int) -> None:
    """Server ``v`` has finished a load: it is free, or blocked by lots that cannot leave."""
    server = servers(m, v)
    if server.stuck > 0:
        if server.down == 0:
            set_state(m, v, BLOCKED)
    else:
        free_server(m, v)


@compiled_inner
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
        extra += wear(m, int(lot.server), time)
    lot.raw += time
    lot.finish = now + extra + time
    lot.pending = 1
    line(m, 0).working += 1
    schedule(m, lot.finish, (FINISH << KIND_BITS) + row)
    return True


@compiled_inner
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


@compiled_inner
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


@compiled_inner
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
