"""The tables that change while a line runs, and the accessors of all tables of the engine."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from firsttoken.kernel.draws import KERNEL_SLOTS
from firsttoken.kernel.events import CLOCK_SLOT, EVENT_SLOT
from firsttoken.kernel.memory import INTEGER, NUMBER, lines, table
from firsttoken.line import system as layout

# What an event carries: kind in the high bits, row in the low 32.
KIND_BITS: Final = 32
RELEASE: Final = 0  # source
ARRIVE: Final = 1  # lot, after transport
FINISH: Final = 2  # lead lot of an operation
OPEN: Final = 3  # server of a cascade station: the next load may enter
FAIL: Final = 4  # row of FAULT
REPAIRED: Final = 5  # row of FAULT
DUE: Final = 6  # row of CARE
CARED: Final = 7  # row of CARE
LEVEL_CHANGE: Final = 8  # the next row of CHANGE
WAITED: Final = 9  # family: a batch has waited long enough

# Why the engine came back.
RUNNING: Final = 0
DONE: Final = 1
FULL: Final = 2  # more lots than rows
DEADLOCK: Final = 3
TRACE_FULL: Final = 4
ENDLESS: Final = 5  # events go on without time passing

# Where a lot is.
NOWHERE: Final = 0
OUTSIDE: Final = 1  # in front of a full first station
MOVING: Final = 2
WAITING: Final = 3
WORKED: Final = 4
STUCK: Final = 5  # blocked on its server

LINE: Final = np.dtype(
    [
        ("status", "i8"),
        ("until", "f8"),
        ("start", "f8"),  # of the statistics
        ("warmup", "f8"),
        ("next_edge", "f8"),
        ("period", "i8"),
        ("free", "i8"),  # first free row of LOT
        ("free_lots", "i8"),
        ("margin", "i8"),  # rows of LOT that one event may need
        ("lots", "i8"),  # lots in the line
        ("serial", "i8"),  # lots so far
        ("working", "i8"),  # operations and moves in hand: without any, nothing moves
        ("change", "i8"),  # next row of CHANGE
        ("changes", "i8"),
        ("agenda", "i8"),  # stations and sources on the agenda, a ring
        ("agenda_first", "i8"),
        ("pulling", "i8"),  # sources on the agenda
        ("gathering", "i8"),  # more lots are released at this moment: none starts yet
        ("cyclic", "i8"),  # limited buffers form a circle: deadlocks are possible
        ("operations", "i8"),
        ("bottleneck", "i8"),  # station with the longest active period; -1
        ("bottleneck_since", "f8"),
        ("traced", "i8"),
        ("trace_rows", "i8"),
        ("mark", "i8"),  # slots of times per lot
        ("tool", "i8"),  # slots of servers per lot
        ("stations", "i8"),
        ("pools", "i8"),
        ("products", "i8"),
        ("classes", "i8"),
        ("sources", "i8"),
        ("families", "i8"),
        ("faults", "i8"),
        ("cares", "i8"),
        ("servers", "i8"),
        ("steps", "i8"),
        ("users", "i8"),  # rows of LEVEL_USER
        ("wip", "i8"),
        ("repairs_waiting", "i8"),
        ("stuck", "i8"),  # station that closes a deadlock
        ("periods", "i8"),
    ],
    align=True,
)
"""The line as a whole, one row."""

MOST_NEEDS: Final = 8

LOT: Final = lines(
    [
        # what most events look at: the first cache line
        ("step", "i4"),
        ("next", "i4"),  # in a queue, among the operations of a server, or in the free list
        ("prev", "i4"),
        ("mate", "i4"),  # next lot of the load
        ("server", "i4"),
        ("pieces", "i4"),
        ("lot_class", "i4"),
        ("place", "i1"),
        ("failed", "i1"),  # outcome of the operation in hand
        ("defect", "i1"),
        ("pending", "i1"),  # its FINISH event is in the heap
        ("priority", "f8"),
        ("key", "f8"),
        ("arrived", "f8"),  # at the queue
        ("finish", "f8"),  # of the operation in hand
        # the rest
        ("left", "f8"),  # time left of a suspended operation
        ("began", "f8"),  # of the work in hand, less interruptions; less the clock if suspended
        ("released", "f8"),
        ("due", "f8"),
        ("raw", "f8"),  # processing time so far
        ("setup", "f8"),  # change-over, repairs and work of the operation in hand, in this order
        ("worn", "f8"),
        ("work", "f8"),
        ("product", "i4"),
        ("order", "i4"),
        ("attempts", "i4"),
        ("tried", "i4"),  # step whose attempts are counted
        ("target", "i4"),  # where a blocked lot wants to go
        ("wait", "i4"),  # next blocked lot of the same station
        ("serial", "i8"),
        ("taken", "i2", (MOST_NEEDS,)),  # pool that serves each need
    ]
)
"""Lots in the line."""

SERVER: Final = lines(
    [
        # what most events look at: the first cache line
        ("station", "i4"),
        ("state", "i4"),
        ("since", "f8"),
        ("open_time", "f8"),  # cascade: when the next load may enter
        ("last_finish", "f8"),  # cascade: loads leave in the order in which they came
        ("lot", "i4"),  # first operation in hand
        ("next", "i4"),  # free list of the station
        ("prev", "i4"),
        ("down", "i4"),  # reasons why it does not work: repairs, maintenance, pauses
        ("stuck", "i4"),  # lots on it that are blocked
        ("cares", "i4"),  # kinds of maintenance that are due
        ("care", "i4"),  # first row of CARE
        ("taken", "i1"),  # no load may enter
        ("closed", "i1"),
        ("paused", "i1"),
        # the rest
        ("setup", "i4"),  # -1: none yet
        ("run", "i4"),  # loads since the last change of set-up
        ("min_run", "i4"),  # loads to run before the next change
        ("caring", "i4"),  # kinds of maintenance that are being done
        ("fault", "i4"),  # first row of FAULT
    ]
)
"""Servers."""

FAULT: Final = np.dtype(
    [
        ("server", "i4"),
        ("failure", "i4"),
        ("left", "f8"),  # working time to the next failure
        ("waiting", "i1"),  # for its crew
        ("asked", "f8"),  # since when it is down; of a server that works, since when it does
        ("taken", "i2", (MOST_NEEDS,)),
    ],
    align=True,
)
"""One row a server and kind of failure."""

CARE: Final = np.dtype(
    [
        ("server", "i4"),
        ("maintenance", "i4"),
        ("due", "i1"),
        ("waiting", "i1"),
        ("left", "f8"),  # pieces or loads to the next due date
        ("asked", "f8"),
        ("taken", "i2", (MOST_NEEDS,)),
    ],
    align=True,
)
"""One row a server and kind of maintenance."""

QUEUE: Final = np.dtype(
    [
        ("head", "i4"),
        ("tail", "i4"),
        ("lots", "i4"),
        ("pieces", "i4"),
        ("overdue", "i1"),
        ("timer", "i1"),
    ],
    align=True,
)
"""Queues of families; `overdue`: its first lot has waited long enough; `timer`: a
WAITED event is scheduled."""

PLACE: Final = lines(
    [
        # what most events look at: the first cache line
        ("free_head", "i4"),
        ("free_tail", "i4"),
        ("free", "i4"),  # idle servers
        ("queued", "i4"),
        ("coming", "i4"),  # on the way
        ("open", "i4"),  # servers that ought to be open
        ("opened", "i4"),  # servers that are
        ("blocked", "i4"),
        ("idle", "i4"),  # servers that are not active: idle or blocked
        ("short", "i4"),  # resource that is lacking: pool, or pools + product; -1
        ("feed", "i4"),  # source that keeps a backlog here; -1
        ("listed", "i1"),  # on the agenda
        ("queue_area", "f8"),
        ("wait", "f8"),
        # the rest
        ("blocked_head", "i4"),  # lots that wait to come in
        ("blocked_tail", "i4"),
        ("stuck", "i4"),  # servers here whose lot is blocked
        ("marked", "i1"),  # in the search for a deadlock
        ("active_since", "f8"),  # inf: not active
        ("short_since", "f8"),
        ("short_area", "f8"),
        ("waits", "i8"),
        ("operations", "i8"),
        ("pieces", "i8"),
        ("failed", "i8"),
        ("bottleneck", "f8"),
    ]
)
"""Stations while they run, with their statistics."""

RESOURCE: Final = np.dtype(
    [
        ("used", "f8"),
        ("level", "f8"),
        ("since", "f8"),
        ("used_area", "f8"),
        ("level_area", "f8"),
        ("period_area", "f8"),
        ("peak", "f8"),
        ("waiting", "i4"),  # stations on its waiting list
        ("pull", "i4"),  # source that restocks the product; -1
        ("short", "i4"),  # stations that lack it
        ("short_since", "f8"),
        ("short_time", "f8"),
    ],
    align=True,
)
"""Pools and budgets, then products (`used` is then the stock)."""

CLASS: Final = np.dtype(
    [
        ("lots", "i8"),
        ("pull", "i8"),  # source that follows what leaves; -1
        ("area", "f8"),
        ("released", "i8"),
        ("finished", "i8"),
        ("scrapped", "i8"),
        ("on_time", "i8"),
        ("dated", "i8"),
        ("late", "f8"),
        ("cycle", "f8"),
        ("cycle2", "f8"),
        ("raw", "f8"),
        ("escapes", "i8"),
        ("ever", "i8"),  # released, finished and scrapped since the beginning: the books
        ("ended", "i8"),
    ],
    align=True,
)
"""Lot classes."""

SOURCE_STATE: Final = np.dtype([("lots", "i8"), ("listed", "i8"), ("level", "f8")])
"""Sources: lots released so far, and the target of a pull."""

CHANGE: Final = np.dtype([("time", "f8"), ("level", "i4"), ("value", "f8")])
"""Changes of levels, in order of time."""

LEVEL_USER: Final = np.dtype([("kind", "i4"), ("row", "i4"), ("value", "f8")])
"""What a level governs: 0 station, 1 pool, 2 source; and its value at the start."""

PERIOD: Final = np.dtype([("finished", "i8"), ("cycle", "f8"), ("lots", "i8")])
"""Report periods x classes."""

TRACE: Final = np.dtype(
    [
        ("time", "f8"),
        ("what", "i4"),
        ("lot", "i8"),
        ("lot_class", "i4"),
        ("step", "i4"),
        ("server", "i4"),
    ],
    align=True,
)
"""What happened, if asked for."""

STEP_STATE: Final = np.dtype([("missed", "i8"), ("rework", "i8")])
"""Counts of steps."""

_static = (
    ("station", layout.STATION),
    ("family", layout.FAMILY),
    ("step", layout.STEP),
    ("branch", layout.BRANCH),
    ("tasks", layout.TASKS),
    ("need", layout.NEED),
    ("alternative", layout.ALTERNATIVE),
    ("hold", layout.HOLD),
    ("take", layout.TAKE),
    ("pool", layout.POOL),
    ("level", layout.LEVEL),
    ("failure", layout.FAILURE),
    ("maintenance", layout.MAINTENANCE),
    ("source", layout.SOURCE),
    ("product", layout.PRODUCT),
    ("wip", layout.WIP_LOT),
    ("change_over", INTEGER),
    ("change_mean", NUMBER),
    ("rule", INTEGER),
    ("level_user", LEVEL_USER),
    ("change", CHANGE),
    ("edge", NUMBER),
)
_dynamic = (
    ("line", LINE),
    ("lot", LOT),
    ("server", SERVER),
    ("fault", FAULT),
    ("care", CARE),
    ("queue", QUEUE),
    ("place", PLACE),
    ("resource", RESOURCE),
    ("lot_class", CLASS),
    ("source_state", SOURCE_STATE),
    ("period", PERIOD),
    ("period_pool", NUMBER),
    ("histogram", INTEGER),
    ("count", STEP_STATE),
    ("mark", NUMBER),
    ("tool", INTEGER),
    ("agenda", INTEGER),
    ("waiting", INTEGER),
    ("state_time", NUMBER),
    ("order_left", INTEGER),
    ("order_finished", NUMBER),
    ("trace", TRACE),
)

STATIC: Final[dict[str, int]] = {name: KERNEL_SLOTS + i for i, (name, _) in enumerate(_static)}
"""Slots of the tables that stay as they are during a replication."""

DYNAMIC: Final[dict[str, int]] = {
    name: KERNEL_SLOTS + len(_static) + i for i, (name, _) in enumerate(_dynamic)
}
"""Slots of the state."""

DTYPES: Final[dict[str, np.dtype[Any]]] = dict((*_static, *_dynamic))

KERNEL: Final[dict[str, int]] = {"clock": CLOCK_SLOT, "event": EVENT_SLOT, "stream": 2, "block": 3}
"""Slots of the kernel's own state."""


def _accessor(name: str) -> Any:
    slot = STATIC[name] if name in STATIC else DYNAMIC[name]
    return table(slot, DTYPES[name])


stations = _accessor("station")
families = _accessor("family")
steps = _accessor("step")
branches = _accessor("branch")
tasks = _accessor("tasks")
needs = _accessor("need")
alternatives = _accessor("alternative")
holds = _accessor("hold")
takes = _accessor("take")
pools = _accessor("pool")
failures = _accessor("failure")
maintenances = _accessor("maintenance")
sources = _accessor("source")
products = _accessor("product")
wips = _accessor("wip")
change_overs = _accessor("change_over")
change_means = _accessor("change_mean")
RULE_SLOT: Final = STATIC["rule"]
"""The dispatch rule of one's own."""

level_users = _accessor("level_user")
changes = _accessor("change")
edges = _accessor("edge")

line = _accessor("line")
lots = _accessor("lot")
servers = _accessor("server")
faults = _accessor("fault")
cares = _accessor("care")
queues = _accessor("queue")
places = _accessor("place")
resources = _accessor("resource")
classes = _accessor("lot_class")
source_states = _accessor("source_state")
periods = _accessor("period")
period_pools = _accessor("period_pool")
histograms = _accessor("histogram")
counts = _accessor("count")
marks = _accessor("mark")
tools = _accessor("tool")
agenda = _accessor("agenda")
waiting = _accessor("waiting")
state_times = _accessor("state_time")
order_left = _accessor("order_left")
order_finished = _accessor("order_finished")
traces = _accessor("trace")
