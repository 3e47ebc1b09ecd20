"""The tables of the recursion for serial lines, beside those of the event engine."""

from typing import Final

import numpy as np

from firsttoken.kernel.memory import INTEGER, NUMBER, table
from firsttoken.line.state import DYNAMIC

PASSING: Final = np.dtype(
    [
        ("until", "f8"),
        ("warmup", "f8"),
        ("stations", "i8"),
        ("capacity", "i8"),  # active periods that a station may have waiting; a power of 2
        ("full", "i8"),  # more of them were needed
        ("events", "i8"),  # releases, arrivals, failures and repairs; operations come on top
        ("sequence", "i8"),  # releases scheduled so far: ties keep their order
        ("pieces", "i8"),  # of a lot
        ("mode", "i8"),  # TIMED, BACKLOG or WIP
        ("level", "i8"),  # of BACKLOG and WIP
        ("fresh", "i8"),  # lots since active periods were last compared
        ("first_start", "f8"),  # of the last lot at the first station
        ("raw", "f8"),  # processing time of the last lot
        ("release_period", "i8"),
        ("release_edge", "f8"),
        ("finish_period", "i8"),
        ("finish_begin", "f8"),
        ("finish_edge", "f8"),
        ("outside", "f8"),  # time of lots before a full first station, and on the way
        ("moving", "f8"),
        ("outside_lots", "i8"),
        ("moving_lots", "i8"),
        ("longest", "i8"),  # station with the longest active period; -1
        ("longest_since", "f8"),
    ]
)
"""The run as a whole, one row."""

SERIAL: Final = np.dtype(
    [
        ("finish", "f8"),  # of the last operation; of several servers, as `leave`
        ("leave", "f8"),  # when its lot left; of several servers, when the first is free
        ("fail", "f8"),  # the next time of standstill by the clock
        ("up", "f8"),
        ("run_since", "f8"),  # active period in hand
        ("run_end", "f8"),
        ("transport", "f8"),
        ("servers", "i8"),
        ("free", "i8"),  # of several servers: first row of FREE
        ("buffer", "i8"),  # as of STATION
        ("ring", "i8"),  # first of `buffer` starts in RING
        ("at", "i8"),  # the oldest of them
        ("joins", "i8"),  # a lot that waits goes on without a moment of idleness
        ("runs", "i8"),  # first row of RUN
        ("first", "i8"),  # the oldest of those that wait
        ("count", "i8"),
        ("worn_out", "i8"),  # rows of STOP by working time, then by the clock
        ("worn_outs", "i8"),
        ("stop", "i8"),
        ("stops", "i8"),
        # Sums of what lies within the statistics' time.
        ("work", "f8"),
        ("worn", "f8"),  # repairs within operations
        ("down", "f8"),  # standstill by the clock
        ("blocked", "f8"),
        ("idle", "f8"),  # between a lot and the next, standstills and all
        ("idle_down", "f8"),
        ("wait", "f8"),  # of lots that waited and worked within
        ("whole", "i8"),  # these lots
        ("queue", "f8"),  # what lots at its edges add to the time in the queue
        ("edge_wait", "f8"),  # ... and to their waits
        ("starts", "i8"),
        ("ends", "i8"),
        ("early", "i8"),  # operations that ended before
        ("inside", "i8"),  # lots here at the end
        ("bottleneck", "f8"),
        ("lost_start", "f8"),  # start of the operation that was last interrupted
        ("lost_before", "f8"),  # its standstill before the statistics, ...
        ("lost", "f8"),  # ... and before the end
        ("row", "i8"),  # of STATION
        ("closed", "i8"),  # nothing more begins before the end
    ]
)
"""Stations in the order of the line."""

STOP: Final = np.dtype([("mtbf", "i8"), ("mttr", "i8"), ("first", "i8"), ("left", "f8")])
"""Kinds of failure; `left`: working time to the next one, or its moment."""

GATE: Final = np.dtype([("next", "f8"), ("sequence", "i8")])
"""Sources: the next release."""

RUN: Final = np.dtype([("since", "f8"), ("end", "f8")])
"""Active periods of a station that have not been compared with those of the others."""

_first = max(DYNAMIC.values()) + 1
SLOTS: Final = {
    name: _first + i
    for i, name in enumerate(
        ("passing", "serial", "stop", "gate", "run", "ring", "echo", "way", "free")
    )
}

passing = table(SLOTS["passing"], PASSING)
serials = table(SLOTS["serial"], SERIAL)
stops = table(SLOTS["stop"], STOP)
gates = table(SLOTS["gate"], GATE)
runs = table(SLOTS["run"], RUN)
rings = table(SLOTS["ring"], NUMBER)
"""Starts of the last lots, as many as the buffer holds."""
echoes = table(SLOTS["echo"], NUMBER)
"""Of pulled lines: the moments that release the next lots."""
ways = table(SLOTS["way"], INTEGER)
"""Streams of processing times, products x stations."""
frees = table(SLOTS["free"], NUMBER)
"""Of several servers: when each is free."""
