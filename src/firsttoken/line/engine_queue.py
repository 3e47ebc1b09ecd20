"""Queues: lots in front of a station, by family, in the order of the station's rule."""

from typing import Any

from firsttoken.kernel.compiled import compiled_fused, compiled_inner
from firsttoken.kernel.draws import value
from firsttoken.kernel.events import clock, schedule
from firsttoken.line.engine_servers import consider
from firsttoken.line.state import (
    KIND_BITS,
    WAITED,
    WAITING,
    families,
    lots,
    places,
    queues,
    stations,
    steps,
)
from firsttoken.line.system import EDD, SPT


@compiled_fused
def enqueue(m: Any, lot_row: int) -> None:
    """Put a lot into the queue of its step, behind its equals."""
    now = clock(m, 0).now
    lot = lots(m, lot_row)
    step = steps(m, lot.step)
    s = int(step.station)
    rule = stations(m, s).rule
    if rule == EDD:
        lot.key = lot.due
    elif rule == SPT:
        lot.key = step.work
    else:
        lot.key = now
    lot.arrived = now
    lot.place = WAITING
    queue = queues(m, step.family)
    after = queue.tail
    while after >= 0:
        other = lots(m, after)
        if other.priority > lot.priority:
            break
        if other.priority == lot.priority and other.key <= lot.key:
            break
        after = other.prev
    before = queue.head
    if after >= 0:
        before = lots(m, after).next
        lots(m, after).next = lot_row
    else:
        queue.head = lot_row
    if before >= 0:
        lots(m, before).prev = lot_row
    else:
        queue.tail = lot_row
    lot.prev = after
    lot.next = before
    queue.lots += 1
    queue.pieces += lot.pieces
    place = places(m, s)
    place.queued += 1
    place.queue_area -= now


@compiled_fused
def dequeue(m: Any, lot_row: int) -> None:
    """Take a lot out of its queue."""
    now = clock(m, 0).now
    lot = lots(m, lot_row)
    step = steps(m, lot.step)
    queue = queues(m, step.family)
    if lot.prev >= 0:
        lots(m, lot.prev).next = lot.next
    else:
        queue.head = lot.next
    if lot.next >= 0:
        lots(m, lot.next).prev = lot.prev
    else:
        queue.tail = lot.prev
    queue.lots -= 1
    queue.pieces -= lot.pieces
    place = places(m, step.station)
    place.queued -= 1
    place.queue_area += now


@compiled_inner
def set_timer(m: Any, f: int) -> None:
    """Schedule the moment at which the first lot of a batch family has waited long enough."""
    queue = queues(m, f)
    if queue.lots == 0 or queue.timer != 0:
        return
    time = lots(m, queue.head).arrived + value(m, families(m, f).batch_wait).v
    if time <= clock(m, 0).now:
        queue.overdue = 1
        consider(m, int(families(m, f).station))
    else:
        queue.timer = 1
        schedule(m, time, (WAITED << KIND_BITS) + f)
