"""Decisions: which lot goes next, on which server, and who may come in where room has become."""

from typing import Any

import numpy as np

from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.kernel.draws import value
from firsttoken.kernel.events import clock
from firsttoken.kernel.memory import callback
from firsttoken.line.engine_down import free_server
from firsttoken.line.engine_lots import create_lot, enter, go, has_room, resolve
from firsttoken.line.engine_pools import lacking, set_short, wait_for_all
from firsttoken.line.engine_queue import dequeue
from firsttoken.line.engine_servers import take_idle
from firsttoken.line.engine_start import (
    first_in_queue,
    first_lot,
    leave_queue,
    may_use,
    start,
    too_late,
)
from firsttoken.line.engine_work import next_load
from firsttoken.line.state import (
    RULE_SLOT,
    STUCK,
    change_means,
    classes,
    families,
    line,
    lots,
    places,
    products,
    queues,
    resources,
    servers,
    source_states,
    sources,
    stations,
    steps,
)
from firsttoken.line.system import BACKLOG, COUNT, CR, GENERAL, SEIZES, SETUP, STOCK, USER, WIP

RULE_ARGUMENTS = 9
user_rule = callback(RULE_SLOT, RULE_ARGUMENTS)


@compiled_fused
def serve_station(m: Any, s: int) -> None:
    """Start what can start at a station, and let blocked lots come in where room has become."""
    place = places(m, s)
    more = True
    while more:
        if place.queued > 0 and place.free > 0:
            start_all(m, s)
        elif place.short >= 0:
            set_short(m, s, int(np.int64(-1)))
        more = False
        while place.blocked > 0 and has_room(m, int(lots(m, place.blocked_head).target)):
            _admit(m, s)
            more = True
        while place.feed >= 0 and feed(m, int(place.feed), s):
            more = True


@compiled_fused
def _admit(m: Any, s: int) -> None:
    """Let the first blocked lot come to station ``s``; the server it leaves is free."""
    place = places(m, s)
    row = int(place.blocked_head)
    lot = lots(m, row)
    place.blocked_head = lot.wait
    place.blocked -= 1
    target = int(lot.target)
    if lot.place == STUCK:
        v = int(lot.server)
        server = servers(m, v)
        places(m, server.station).stuck -= 1
        server.stuck -= 1
        go(m, row, target)
        if server.stuck == 0:
            if server.down == 0:
                waits = server.cares == 0 and line(m, 0).pulling == 0
                if not (waits and next_load(m, v)):
                    free_server(m, v)
            elif server.lot < 0:
                server.taken = 0
    else:
        go(m, row, target)


@compiled_inner
def feed(m: Any, source: int, s: int) -> bool:
    """Keep the backlog of a saturated line; tell whether a lot was released."""
    place = places(m, s)
    state = source_states(m, source)
    if place.queued + place.coming + place.blocked >= state.level:
        return False
    return release_one(m, source)


@compiled_inner
def release_one(m: Any, source: int) -> bool:
    """Release one lot of a pulling source, unless it is too early, too late or enough."""
    now = clock(m, 0).now
    given = sources(m, source)
    state = source_states(m, source)
    if given.limit >= 0 and state.lots >= given.limit:
        return False
    if now < value(m, given.first).v:
        return False
    if given.until >= 0 and now >= value(m, given.until).v:
        return False
    release(m, source)
    return True


@compiled_fused
def release(m: Any, source: int) -> None:
    """Release one lot of a source."""
    given = sources(m, source)
    source_states(m, source).lots += 1
    due = np.inf
    if given.due >= 0:
        due = value(m, given.due).v
        if given.order < 0:
            due += clock(m, 0).now
    product = products(m, given.product)
    row = create_lot(
        m, int(given.product), int(given.lot_class), given.priority, due, int(given.order)
    )
    enter(m, row, int(product.step))


@compiled_inner
def serve_source(m: Any, source: int) -> None:
    """Release what a pulling source owes: CONWIP, kanban, or the backlog of its first station."""
    given = sources(m, source)
    state = source_states(m, source)
    group = classes(m, given.lot_class)
    pieces = products(m, given.product).pieces
    if given.mode == BACKLOG:
        s = int(steps(m, products(m, given.product).step).station)
        while feed(m, source, s):
            pass
        return
    while True:
        if given.mode == WIP:
            have = float(group.lots)
        elif given.mode == STOCK:
            stock = resources(m, line(m, 0).pools + given.product).used
            have = stock + group.lots * pieces
        else:
            return
        if have >= state.level or not release_one(m, source):
            return


@compiled_inner
def start_all(m: Any, s: int) -> None:
    """Start operations at a station while there are an idle server and a lot that may start."""
    place = places(m, s)
    station = stations(m, s)
    head = station.plain != GENERAL and station.tools == 0
    if place.short >= 0:
        set_short(m, s, int(np.int64(-1)))
    while place.queued > 0 and place.free > 0:
        row = int(np.int64(-1))
        v = int(place.free_head)
        lack = int(np.int64(-1))
        if head:
            row = first_lot(m, s, v)
        else:
            row, v, lack = choose(m, s)
        if lack >= 0:
            set_short(m, s, lack)
            return
        if row < 0:
            return
        if not head and steps(m, lots(m, row).step).limit_to != COUNT and missed(m, row):
            continue
        leave_queue(m, row)
        take_idle(m, v)
        start(m, row, v)


@compiled_inner
def lack_of(m: Any, row: int) -> int:
    """Return the resource that a lot lacks to start, -1 if none."""
    if steps(m, lots(m, row).step).does & SEIZES == 0:
        return int(np.int64(-1))
    return lacking(m, row)


@compiled_apart
def missed(m: Any, row: int) -> bool:
    """Check the queue-time limit of a lot that is about to start; tell whether it was sent away."""
    lot = lots(m, row)
    step = steps(m, lot.step)
    if not too_late(m, row):
        return False
    place = places(m, step.station)
    place.waits += 1
    place.wait += clock(m, 0).now - lot.arrived
    dequeue(m, row)
    enter(m, row, resolve(m, int(step.limit_to)))
    return True


@compiled_apart
def choose(m: Any, s: int) -> tuple[int, int, int]:
    """Choose among all families and idle servers of a station.

    Highest priority first, then (rule SETUP) the shortest change-over, then the rule's key, then
    the server that has been idle longest.

    Returns
    -------
    tuple of int
        Lot, server, and the resource that is lacking where nothing can start for want of it; -1
        where there is none.
    """
    station = stations(m, s)
    best = int(np.int64(-1))
    server = int(np.int64(-1))
    lack = int(np.int64(-1))
    priority = -np.inf
    setup_time = np.inf
    key = np.inf
    v = int(places(m, s).free_head)
    alike = station.setup < 0 and station.tools == 0
    while v >= 0:
        for k in range(station.families):
            f = int(station.family + k)
            row = candidate(m, f, v)
            if row < 0:
                continue
            lot = lots(m, row)
            if lot.priority < priority:
                continue
            change = setup_time_of(m, s, f, v) if station.rule == SETUP else 0.0
            rank = key_of(m, row, f, v)
            if lot.priority == priority and (
                change > setup_time or (change == setup_time and rank >= key)
            ):
                continue
            r = lack_of(m, row)
            if r >= 0:
                lack = r
                wait_for_all(m, row)
                continue
            best = row
            server = v
            priority = lot.priority
            setup_time = change
            key = rank
        if alike:
            break
        v = int(servers(m, v).next)
    return best, server, (lack if best < 0 else int(np.int64(-1)))


@compiled_inner
def candidate(m: Any, f: int, v: int) -> int:
    """Return the lot of a family that is next for server ``v``, -1 if none may start there."""
    queue = queues(m, f)
    if queue.lots == 0:
        return int(np.int64(-1))
    family = families(m, f)
    server = servers(m, v)
    if family.batch_max > 0 and queue.overdue == 0 and queue.pieces < family.batch_min:
        return int(np.int64(-1))
    other = family.setup >= 0 and server.setup >= 0 and family.setup != server.setup
    if other and server.run < server.min_run:
        return int(np.int64(-1))
    station = stations(m, family.station)
    if station.rule == CR or station.rule == USER:
        return best_by_rule(m, f, v)
    return first_in_queue(m, f, v)


@compiled_inner
def best_by_rule(m: Any, f: int, v: int) -> int:
    """Return the lot with the least key among those of highest priority that may use a server."""
    best = int(np.int64(-1))
    key = np.inf
    row = int(queues(m, f).head)
    while row >= 0:
        lot = lots(m, row)
        if best >= 0 and lot.priority < lots(m, best).priority:
            break
        if may_use(m, row, v):
            rank = key_of(m, row, f, v)
            if best < 0 or rank < key:
                best = row
                key = rank
        row = int(lot.next)
    return best


@compiled_inner
def key_of(m: Any, row: int, f: int, v: int) -> float:
    """Return the rank of a lot among equals: lower goes first.

    The critical ratio is the time to the due date over the processing time left.
    """
    lot = lots(m, row)
    step = steps(m, lot.step)
    station = stations(m, step.station)
    now = clock(m, 0).now
    if station.rule == CR:
        return float((lot.due - now) / max(step.work_left, 1.0))
    if station.rule == USER:
        change = setup_time_of(m, int(step.station), f, v)
        return user_rule(
            m,
            (
                now,
                lot.priority,
                lot.arrived,
                lot.due,
                lot.released,
                step.work,
                step.work_left,
                change,
                float(lot.pieces),
            ),
        )
    return float(lot.key)


@compiled_inner
def setup_time_of(m: Any, s: int, f: int, v: int) -> float:
    """Return the change-over that server ``v`` would need for a family, in expectation."""
    station = stations(m, s)
    family = families(m, f)
    server = servers(m, v)
    if station.setup < 0 or family.setup < 0 or family.setup == server.setup:
        return 0.0
    cell = station.setup + (server.setup + 1) * station.setups + family.setup + 1
    return float(change_means(m, cell).v)
