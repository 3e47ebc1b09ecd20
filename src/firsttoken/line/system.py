"""A compiled line: tables of records, in which names have become integers.

Numbers that are drawn once a replication stand as rows of the parameter table (`x`: "row of
`parameters`", -1 where there is none); what is drawn at each use is a *stream*.  Amounts are in
SI: seconds, watts, cubic metres a second, pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from firsttoken.kernel.memory import lines
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.twin.parameters import Input

Records = npt.NDArray[Any]

NONE: Final = -1
SHIP: Final = -1
"""Target of a step: the lot is finished."""
SCRAP: Final = -2
"""Target of a step: the lot is scrapped."""
RESTART: Final = -3
"""Target of a failed step: once more, on the same server."""
COUNT: Final = -4
"""Target of a missed queue-time limit: nothing but counting."""

# Dispatch rules.
FIFO: Final = 0
EDD: Final = 1
SPT: Final = 2
CR: Final = 3
SETUP: Final = 4
USER: Final = 5

# Ways of release.
TIMED: Final = 0
WIP: Final = 1
STOCK: Final = 2
BACKLOG: Final = 3
ORDER: Final = 4

# Clocks of failures and maintenance.
BY_TIME: Final = 0
BY_WORK: Final = 1
BY_PIECES: Final = 2
BY_LOADS: Final = 3

# What of all that may happen at a step does happen there: bits of STEP.does.
SEIZES: Final = 1  # loads of several lots, crews, budgets, things held, parts
SETS_UP: Final = 2
TAKES_MORE: Final = 4  # time that is more than one number drawn
FAILS: Final = 8  # tests, defects, inspections
WEARS: Final = 16  # failures by working time
CASCADES: Final = 32
COUNTS: Final = 64  # work counts towards maintenance
LEAVES: Final = 128  # what is held is given back, times and servers are kept, products made
BRANCHES: Final = 256
SKIPS: Final = 512  # only a share of the lots stops here
MOVES: Final = 1024
LIMITED: Final = 2048  # the buffer in front
HURRIES: Final = 4096  # a queue-time limit ends here
LOADS: Final = 8192  # batches
OVERLAPS: Final = 16384  # the server may have other loads in hand

# Whether an idle server is all that the next lot of a station needs: see compile_ways.
GENERAL: Final = 0  # it is not
ONE_QUEUE: Final = 1  # and it is the first of the only queue
PLAIN: Final = 2

STATION: Final = lines(
    [
        # what most events look at: the first cache line
        ("server", "i4"),  # first server; servers of a station are consecutive
        ("servers", "i4"),  # servers that may ever be open
        ("family", "i4"),  # first queue family
        ("families", "i4"),
        ("buffer", "i4"),  # lots that may wait or be on the way; -1: no limit
        ("maintenance", "i4"),
        ("maintenances", "i4"),
        ("failures", "i4"),
        ("rule", "i2"),
        ("plain", "i1"),  # GENERAL, ONE_QUEUE or PLAIN
        ("tools", "i1"),  # some step here needs the server of an earlier step
        # the rest
        ("setup", "i4"),  # first row of `change`: setups x setups streams; -1: no set-ups
        ("setups", "i4"),  # set-ups, 0 being "none yet"
        ("failure", "i4"),
        ("level", "i4"),  # level of open servers; -1: all, always
        ("pause", "i1"),  # work in hand pauses when servers close
    ]
)
"""Stations."""

FAMILY: Final = np.dtype(
    [
        ("station", "i4"),
        ("setup", "i4"),  # 0-based within the station; -1: needs none
        ("min_run", "i4"),  # loads to run before the set-up is changed
        ("batch_min", "i4"),  # pieces; 0: not a batch
        ("batch_max", "i4"),
        ("batch_wait", "i4"),  # x
    ]
)
"""Queue families: lots at a station that are alike in set-up and may share a load."""

STEP: Final = lines(
    [
        # what every operation looks at: one cache line
        ("does", "i4"),  # bits as above, see compile_ways
        ("station", "i4"),
        ("family", "i4"),
        ("next", "i4"),  # step or SHIP
        ("time", "i4"),  # stream; -1: no time
        ("interval", "i4"),  # stream; -1: the server is taken until the end
        ("share", "i4"),  # x: share of lots that need the step; -1: all
        ("chance", "i4"),  # stream of uniform numbers for all yes-or-no draws of the step
        ("transport", "i4"),  # stream
        ("load", "i4"),  # x: time before
        ("unload", "i4"),  # x: time after
        ("tool_get", "i4"),  # slot of the server that must do it; -1
        ("mark", "i4"),  # slot in which the end time is kept; -1: not kept
        ("tool_put", "i4"),  # slot in which the server is kept; -1
        ("limit_mark", "i4"),  # slot of the queue-time clock; -1: no limit
        ("per_piece", "i1"),
        ("interval_per_piece", "i1"),
        # the rest
        ("product", "i4"),
        ("branch", "i4"),  # rows of BRANCH, before `next`
        ("branches", "i4"),
        ("fail_to", "i4"),  # step, SCRAP or RESTART
        ("tasks", "i4"),  # row of TASKS or -1
        ("need", "i4"),  # rows of NEED: crew and budgets while working
        ("needs", "i4"),
        ("hold", "i4"),  # rows of HOLD seized at the start
        ("holds", "i4"),
        ("give", "i4"),  # rows of HOLD given back at the end
        ("gives", "i4"),
        ("part", "i4"),  # rows of TAKE: products consumed at the start
        ("parts", "i4"),
        ("make", "i4"),  # rows of TAKE: products released at the end
        ("makes", "i4"),
        ("pass_", "i4"),  # x
        ("fail_after", "i4"),  # stream of shares
        ("repair", "i4"),  # stream
        ("attempts", "i4"),  # 0: no limit
        ("defects", "i4"),  # x
        ("inspect", "i4"),  # x: share inspected; -1: no inspection
        ("escape", "i4"),  # x
        ("false_call", "i4"),  # x
        ("limit", "i4"),  # x
        ("limit_to", "i4"),  # step, SCRAP or COUNT
        ("work", "f8"),  # expected processing time of a load with one lot, s
        ("work_left", "f8"),  # expected processing time of this and later steps, s
    ]
)
"""Steps of all routes; the steps of a product are consecutive."""

BRANCH: Final = np.dtype([("to", "i4"), ("probability", "i4")])
"""Targets with probability (x)."""

TASKS: Final = np.dtype(
    [("count", "i4"), ("time", "i4"), ("success", "i4"), ("recovery", "i4"), ("normal", "i4")]
)
"""Repeated tasks: x of each, and the stream of uniform numbers for the misses."""

NEED: Final = np.dtype([("pool", "i4"), ("pools", "i4"), ("amount", "i4")])
"""Needs: rows of ALTERNATIVE, in order of preference, and the amount (x)."""

ALTERNATIVE: Final = np.dtype([("pool", "i4")])
"""Pools that can serve a need."""

HOLD: Final = np.dtype([("pool", "i4"), ("amount", "i4")])
"""Units of a pool seized or given back (x)."""

TAKE: Final = np.dtype([("product", "i4"), ("amount", "i4")])
"""Pieces of a product consumed or released (x)."""

POOL: Final = np.dtype([("level", "i4"), ("budget", "i1")])
"""Pools of people, robots, slots, cards; and budgets."""

LEVEL: Final = np.dtype([("factor", "i4"), ("factors", "i4"), ("whole", "i1")])
"""Amounts that change with time: products of series (rows of FACTOR), perhaps whole numbers."""

FACTOR: Final = np.dtype([("series", "i4")])
"""Series of `series`."""

FAILURE: Final = np.dtype(
    [
        ("clock", "i4"),  # BY_TIME or BY_WORK
        ("mtbf", "i4"),  # stream
        ("mttr", "i4"),  # stream
        ("first", "i4"),  # stream; -1: mtbf
        ("need", "i4"),
        ("needs", "i4"),
    ]
)
"""Kinds of breakdown."""

MAINTENANCE: Final = np.dtype(
    [
        ("clock", "i4"),  # BY_TIME, BY_PIECES or BY_LOADS
        ("every", "i4"),  # BY_TIME: stream; else x
        ("takes", "i4"),  # stream
        ("first", "i4"),  # BY_TIME: stream; else x; -1: every
        ("need", "i4"),
        ("needs", "i4"),
        ("stagger", "i1"),
        ("alone", "i1"),  # not during repairs and other maintenance
    ]
)
"""Kinds of planned maintenance."""

SOURCE: Final = np.dtype(
    [
        ("product", "i4"),
        ("lot_class", "i4"),
        ("mode", "i4"),  # TIMED, WIP, STOCK, BACKLOG, ORDER
        ("every", "i4"),  # TIMED: stream
        ("level", "i4"),  # WIP, STOCK, BACKLOG: level of the target
        ("first", "i4"),  # x
        ("until", "i4"),  # x; -1: for ever
        ("lots", "i4"),
        ("limit", "i8"),  # lots; -1: no limit
        ("due", "i4"),  # ORDER: x of the due date; else x of the allowance; -1: no due date
        ("order", "i4"),  # order number or -1
        ("priority", "f8"),
    ]
)
"""Releases and orders."""

PRODUCT: Final = np.dtype(
    [
        ("step", "i4"),  # first step; -1: lots go straight to stock
        ("steps", "i4"),
        ("pieces", "i4"),
        ("stock", "i4"),  # x: pieces at the start
        ("component", "i1"),  # consumed by assembly: finished lots go to stock
        ("supplied", "i1"),  # never short
        ("own_class", "i4"),  # lot class of lots that disassembly makes
    ]
)
"""Products."""

WIP_LOT: Final = np.dtype(
    [
        ("step", "i4"),
        ("lot_class", "i4"),
        ("lots", "i4"),
        ("priority", "f8"),
        ("due", "f8"),  # seconds from the start; inf: none
        ("released", "f8"),  # seconds from the start
    ]
)
"""Lots in the line at the start."""

STREAM: Final = np.dtype([("parameter", "i4"), ("purpose", "i4"), ("each", "i1"), ("entity", "u4")])
"""What is drawn at each use: a parameter row; parameter -1: uniform numbers; `each` 0: the number
drawn once a replication."""


class Tables(NamedTuple):
    """The static records of a line, one structured array each, in the dtypes above."""

    station: Records
    family: Records
    step: Records
    branch: Records
    tasks: Records
    need: Records
    alternative: Records
    hold: Records
    take: Records
    pool: Records
    level: Records
    factor: Records
    failure: Records
    maintenance: Records
    source: Records
    product: Records
    wip: Records
    stream: Records
    change: npt.NDArray[np.int32]
    """Streams of set-up times, flat; station s: from row `setup`, [from, to]; -1: no time."""


@dataclass(frozen=True)
class Names:
    """Names of rows, by table; paths are those of the twin file.

    Attributes
    ----------
    stations, products, pools : as declared; budgets follow the pools in `pools`.
    classes : lot classes: the release's name, `product` of orders, or the product itself.
    class_product : product of each class.
    steps : `product.step`, one a row of STEP.
    orders : declared orders, in order of `SOURCE.order`.
    pool_units : `W`, `m**3/s` or `each`, one a pool.
    """

    line: str
    stations: tuple[str, ...]
    products: tuple[str, ...]
    classes: tuple[str, ...]
    class_product: tuple[int, ...]
    steps: tuple[str, ...]
    pools: tuple[str, ...]
    pool_units: tuple[str, ...]
    orders: tuple[str, ...]
    failures: tuple[str, ...] = ()
    maintenances: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class System:
    """A line in arrays.

    Attributes
    ----------
    start : seconds from 1970-01-01.
    horizon, warmup : seconds.
    edges : report periods, seconds from the start, from 0 to the horizon, shape [B + 1].
    servers : number of server records of all stations.
    marks, tools : slots of times and of servers that each lot carries.
    user_rule : (file, function) of the dispatch rule of one's own, or None.
    """

    names: Names
    tables: Tables
    parameters: ParameterTable
    series: SeriesTable
    start: float
    horizon: float
    warmup: float
    edges: npt.NDArray[np.float64]
    servers: int
    marks: int
    tools: int
    user_rule: tuple[str, str] | None
    order_due: npt.NDArray[np.int32]
    """Parameter row of each order's due date, shape [O]."""
    order_lots: npt.NDArray[np.int64]
    inputs: tuple[Input, ...] = ()
    users: dict[str, list[str]] = field(default_factory=dict)
