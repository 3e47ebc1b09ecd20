"""The start of operations: what a load needs, how long it will take, how it will end."""

import math
from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.kernel.draws import next_number, value
from firsttoken.kernel.events import clock, schedule
from firsttoken.kernel.random import normal_quantile
from firsttoken.line.engine_down import arm
from firsttoken.line.engine_pools import seize, seize_needs, take_stock
from firsttoken.line.engine_queue import dequeue, set_timer
from firsttoken.line.engine_servers import N_STATES, set_state
from firsttoken.line.result import DOWN, SETUP, WORKING
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
    marks,
    places,
    queues,
    servers,
    state_times,
    stations,
    steps,
    takes,
    tasks,
    tools,
)
from firsttoken.line.system import (
    BY_WORK,
    CASCADES,
    FAILS,
    HURRIES,
    LOADS,
    ONE_QUEUE,
    OVERLAPS,
    SEIZES,
    SETS_UP,
    TAKES_MORE,
    WEARS,
)

_LONG = SEIZES | SETS_UP | TAKES_MORE | FAILS | OVERLAPS | HURRIES
"""What makes the start of an operation more than drawing its time."""

FEW: float = 20.0
"""Expected misses below which they are counted exactly, above which by a normal number."""


@compiled_fused
def start(m: Any, row: int, v: int) -> None:
    """Begin the operation of a lot, and of its mates in a load, on a server that it has taken.

    The lot is out of its queue, and the server is not among the idle ones.
    """
    does = steps(m, lots(m, row).step).does
    if does & _LONG != 0:
        _start_long(m, row, v)
    else:
        _start(m, row, v, does & WEARS)


@compiled_apart
def _start_long(m: Any, row: int, v: int) -> None:
    _start(m, row, v, steps(m, lots(m, row).step).does)


@compiled_fused
def _start(m: Any, row: int, v: int, does: int) -> None:
    """Begin an operation of which these bits hold."""
    now = clock(m, 0).now
    lot = lots(m, row)
    step = steps(m, lot.step)
    server = servers(m, v)
    server.taken = 1
    lot.server = v
    lot.mate = -1
    lot.failed = 0
    pieces = int(lot.pieces)
    if does & HURRIES != 0:
        too_late(m, row)
    if does & SEIZES != 0:
        pieces = _prepare(m, row, v)
    setup = change_over(m, row, v) if does & SETS_UP != 0 else 0.0
    time = duration(m, row, pieces) if does & TAKES_MORE != 0 else next_number(m, int(step.time))
    if does & FAILS != 0:
        time = draw_outcome(m, row, time)
    if server.state != WORKING:
        set_state(m, v, WORKING)
    extra = setup
    if setup > 0.0:
        at = step.station * N_STATES
        state_times(m, at + SETUP).v += setup
        state_times(m, at + WORKING).v -= setup
    if does & WEARS != 0:
        extra += wear(m, v, time, setup)
    lot.setup = setup
    lot.worn = extra - setup
    lot.work = time
    lot.raw += time
    if does & LOADS != 0:
        _work_together(m, row, time)
    lot.began = now + setup
    lot.finish = now + extra + time
    if does & CASCADES != 0:
        _open_later(m, row, v, pieces, extra)
    lot.place = WORKED
    lot.prev = -1
    lot.next = -1
    if does & OVERLAPS != 0 and server.lot >= 0:
        lot.next = server.lot
        lots(m, server.lot).prev = row
    server.lot = row
    lot.pending = 1
    places(m, step.station).pieces += pieces
    line(m, 0).working += 1
    schedule(m, lot.finish, (FINISH << KIND_BITS) + row)


@compiled_apart
def _prepare(m: Any, row: int, v: int) -> int:
    """Take what a load needs besides its server; return its pieces."""
    lot = lots(m, row)
    step = steps(m, lot.step)
    pieces = int(lot.pieces)
    if step.does & LOADS != 0:
        pieces = gather(m, row, v)
    if step.needs > 0:
        seize_needs(m, lot.taken, int(step.need), int(step.needs))
    for k in range(step.holds):
        hold = holds(m, step.hold + k)
        seize(m, int(hold.pool), value(m, hold.amount).v)
    for k in range(step.parts):
        part = takes(m, step.part + k)
        take_stock(m, int(part.product), value(m, part.amount).v)
    return pieces


@compiled_apart
def _work_together(m: Any, row: int, time: float) -> None:
    """Give the mates of a lot their working time, and the defects that it makes."""
    step = steps(m, lots(m, row).step)
    mate = int(lots(m, row).mate)
    while mate >= 0:
        other = lots(m, mate)
        other.raw += time
        if step.defects >= 0:
            hit = next_number(m, int(step.chance)) < value(m, step.defects).v
            other.defect = max(other.defect, int(hit))
        mate = int(other.mate)


@compiled_fused
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


@compiled_fused
def leave_queue(m: Any, row: int) -> None:
    """Take a lot out of its queue because it starts; count its wait."""
    dequeue(m, row)
    lot = lots(m, row)
    step = steps(m, lot.step)
    place = places(m, step.station)
    place.wait += clock(m, 0).now - lot.arrived
    place.waits += 1


@compiled_apart
def too_late(m: Any, row: int) -> bool:
    """Tell, and count, whether a lot that is to start has missed its queue-time limit."""
    lot = lots(m, row)
    step = steps(m, lot.step)
    mark = marks(m, row * line(m, 0).mark + step.limit_mark)
    since = mark.v
    mark.v = -1.0
    if since < 0.0 or clock(m, 0).now - since <= value(m, step.limit).v:
        return False
    counts(m, lot.step).missed += 1
    return True


@compiled_fused
def first_lot(m: Any, s: int, v: int) -> int:
    """Return the lot that server ``v`` of a plain station takes next, -1 if none may use it."""
    station = stations(m, s)
    if station.plain == ONE_QUEUE:
        return int(queues(m, station.family).head)
    return _first_of_families(m, s, v)


@compiled_apart
def _first_of_families(m: Any, s: int, v: int) -> int:
    station = stations(m, s)
    best = int(np.int64(-1))
    for f in range(station.family, station.family + station.families):
        row = first_in_queue(m, f, v)
        if row >= 0 and (best < 0 or comes_before(m, row, best)):
            best = row
    return best


@compiled_inner
def comes_before(m: Any, row: int, other: int) -> bool:
    """Tell whether a lot goes before another by priority and by the rule's key."""
    a, b = lots(m, row), lots(m, other)
    return bool(a.priority > b.priority or (a.priority == b.priority and a.key < b.key))


@compiled_inner
def first_in_queue(m: Any, f: int, v: int) -> int:
    """Return the first lot of a family that may use server ``v``, -1 if there is none."""
    row = int(queues(m, f).head)
    if stations(m, families(m, f).station).tools != 0:
        while row >= 0 and not may_use(m, row, v):
            row = int(lots(m, row).next)
    return row


@compiled_apart
def gather(m: Any, row: int, v: int) -> int:
    """Take the mates of a lot that opens a load out of the queue; return the pieces of the load."""
    lot = lots(m, row)
    f = int(steps(m, lot.step).family)
    most = families(m, f).batch_max
    pieces = int(lot.pieces)
    mate = int(queues(m, f).head)
    last = row
    while mate >= 0:
        other = lots(m, mate)
        after = int(other.next)
        if pieces + other.pieces > most:
            break
        if may_use(m, mate, v):
            leave_queue(m, mate)
            slot = steps(m, other.step).limit_mark
            if slot >= 0:
                marks(m, mate * line(m, 0).mark + slot).v = -1.0
            pieces += other.pieces
            other.server = v
            other.mate = -1
            lots(m, last).mate = mate
            last = mate
        mate = after
    queues(m, f).overdue = 0
    if families(m, f).batch_wait >= 0:
        set_timer(m, f)
    return pieces


@compiled_inner
def may_use(m: Any, row: int, v: int) -> bool:
    """Tell whether a lot may use server ``v``: an earlier step may bind it to another."""
    tool = bound_to(m, row)
    return bool(tool < 0 or tool == v)


@compiled_inner
def bound_to(m: Any, row: int) -> int:
    """Return the server that a lot must use because an earlier step used it, -1 if any will do."""
    slot = steps(m, lots(m, row).step).tool_get
    if slot < 0:
        return int(np.int64(-1))
    return int(tools(m, row * line(m, 0).tool + slot).v)


@compiled_apart
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


@compiled_apart
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


@compiled_fused
def wear(m: Any, v: int, time: float, after: float) -> float:
    """Return the repair time of failures by working time that interrupt ``time`` of work.

    The work begins ``after`` a time.  Failures whose repair needs a crew become events.
    """
    server = servers(m, v)
    station = stations(m, server.station)
    extra = 0.0
    for k in range(station.failures):
        fault = faults(m, server.fault + k)
        failure = failures(m, fault.failure)
        if failure.clock == BY_WORK and failure.needs > 0:
            arm(m, int(server.fault + k), time, after)
        elif failure.clock == BY_WORK:
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
