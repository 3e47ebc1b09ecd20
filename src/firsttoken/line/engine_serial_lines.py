"""Which lines are so plain that a recursion does for them what the event engine does.

The recursion does not see in which order things happen at one moment.  That matters where two
clocks can meet, so at most one thing in the line may go by constant or discrete times.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from firsttoken.kernel import codes
from firsttoken.line.system import (
    BACKLOG,
    BY_TIME,
    FIFO,
    NONE,
    ORDER,
    STREAM,
    TIMED,
    WIP,
    System,
)

_NEVER: Final = (
    "branches", "needs", "holds", "gives", "parts", "makes", "per_piece"
)  # fmt: skip
_ABSENT: Final = (
    "load", "unload", "tasks", "interval", "pass_", "defects", "inspect", "share", "mark",
    "limit_mark", "tool_put", "tool_get",
)  # fmt: skip
MOST_SERVERS: Final = 200
"""Beyond, looking for the first free one takes longer than an event."""
_SPREAD: Final = {
    codes.UNIFORM: (0, 1),
    codes.TRIANGULAR: (0, 2),
    codes.BETA_PERT: (0, 2),
    codes.LOGNORMAL: None,
    codes.GAMMA: None,
    codes.EXPONENTIAL: None,
    codes.WEIBULL: None,
}
"""Distributions on positive numbers without atoms; between which arguments they lie."""


def route_of(system: System) -> list[int] | None:
    """Return the stations in the order in which all lots visit them; None if there is none."""
    tables = system.tables
    found: list[int] | None = None
    for product in np.unique(tables.source["product"]):
        first, count = tables.product[["step", "steps"]][product].tolist()
        if first < 0:
            return None
        steps = tables.step[first : first + count]
        follows = np.append(np.arange(first + 1, first + count), NONE)
        route = steps["station"].tolist()
        if not np.array_equal(steps["next"], follows) or found not in (None, route):
            return None
        found = route
    if found is None or sorted(found) != list(range(len(tables.station))):
        return None
    return found


def is_serial(system: System) -> bool:
    """Tell whether a line is a plain serial one, of which `SerialMachine` knows all.

    Every station has one server (the last may have several) and one queue, first come first
    served, and works on one lot after the other for a drawn time; all lots visit all stations in
    one order.  Stations of one server may fail, buffers may be limited; lots are released at
    times, by orders, or pulled by one source.
    """
    route = route_of(system)
    if route is None or len(system.tables.wip) or len(system.tables.pool):
        return False
    plain = _plain_stations(system, route) and _plain_steps(system) and _plain_products(system)
    return plain and _plain_sources(system) and _own_streams(system) and _clocks(system) <= 1


def _plain_stations(system: System, route: list[int]) -> bool:
    station, family = system.tables.station, system.tables.family
    last = station[route[-1]]
    if np.any(station["servers"][route[:-1]] != 1) or not 1 <= last["servers"] <= MOST_SERVERS:
        return False
    if last["servers"] > 1:  # whoever overtakes there meets nobody, or else the order matters
        pulled = np.any(np.isin(system.tables.source["mode"], (ORDER, WIP)))
        if pulled or last["failures"] > 0:
            return False
    return bool(
        np.all(station["families"] == 1)
        and np.all(station["setup"] < 0)
        and np.all(station["maintenances"] == 0)
        and np.all(station["level"] < 0)
        and np.all(station["rule"] == FIFO)
        and np.all(station["tools"] == 0)
        and np.all(family["batch_max"] == 0)
        and np.all(system.tables.failure["needs"] == 0)
    )


def _plain_steps(system: System) -> bool:
    step, station = system.tables.step, system.tables.station
    if any(np.any(step[name] != 0) for name in _NEVER):
        return False
    if any(np.any(step[name] >= 0) for name in _ABSENT) or np.any(step["time"] < 0):
        return False
    # On the way to a limited buffer a lot has a place there, and an idle server is one more.
    moved = step["transport"] >= 0
    if np.any(moved & (station["buffer"][step["station"]] >= 0)):
        return False
    transport = step["transport"][moved]
    return bool(np.all(system.tables.stream["each"][transport] == 0)) and all(
        len(np.unique(step["transport"][step["station"] == s])) == 1 for s in range(len(station))
    )


def _plain_products(system: System) -> bool:
    product = system.tables.product
    used = product[np.unique(system.tables.source["product"])]
    return bool(
        all(row < 0 or _is_zero(system, row) for row in product["stock"].tolist())
        and np.all(product["component"] == 0)
        and len(np.unique(used["pieces"])) == 1
    )


def _plain_sources(system: System) -> bool:
    source = system.tables.source
    timed = (source["mode"] == TIMED) | (source["mode"] == ORDER)
    pulled = len(source) == 1 and source["mode"][0] in (BACKLOG, WIP)
    if pulled and source["mode"][0] == WIP and np.any(system.tables.station["buffer"] >= 0):
        return False  # who moves first, the lot that is called or those that were blocked?
    return bool(len(np.unique(source["priority"])) == 1 and (np.all(timed) or pulled))


def _own_streams(system: System) -> bool:
    """Tell whether no stream serves two purposes whose order matters."""
    tables = system.tables
    step, failure, source = tables.step, tables.failure, tables.source
    used = [np.unique(step["time"][step["station"] == s]) for s in range(len(tables.station))]
    used += [failure[name][failure[name] >= 0] for name in ("mtbf", "mttr", "first")]
    used.append(source["every"][source["every"] >= 0])
    streams = np.concatenate(used)
    drawn = streams[tables.stream["each"][streams] != 0]
    return len(np.unique(drawn)) == len(drawn)


def _clocks(system: System) -> int:
    """Count the clocks in a line whose times are not spread: two of them might meet."""
    tables = system.tables
    step = tables.step
    count = 0
    for s in range(len(tables.station)):
        count += not all(_is_spread(system, k) for k in step["time"][step["station"] == s])
    for failure in tables.failure[tables.failure["clock"] == BY_TIME]:
        begins = failure["first"] if failure["first"] >= 0 else failure["mtbf"]
        count += not (_is_spread(system, failure["mtbf"]) and _is_spread(system, begins))
    source = tables.source
    at_start = _is_zero(system, int(source["first"][0]))
    certain = len(source) > 1 or not at_start
    every = int(source["every"][0])
    certain |= every >= 0 and not _is_spread(system, every)
    return count + int(certain)


def _is_zero(system: System, parameter: int) -> bool:
    constant = system.parameters.code[parameter] == codes.CONSTANT
    return bool(constant and system.parameters.args[parameter, 0] == 0.0)


def _is_spread(system: System, stream: int) -> bool:
    """Tell whether a stream draws positive numbers of which no two are ever alike."""
    given: Any = system.tables.stream[stream]
    assert system.tables.stream.dtype == STREAM
    parameter = int(given["parameter"])
    code = int(system.parameters.code[parameter])
    if not given["each"] or code not in _SPREAD:
        return False
    bounds = _SPREAD[code]
    if bounds is None:
        spread = 1 if code in (codes.LOGNORMAL, codes.WEIBULL, codes.GAMMA) else 0
        return bool(system.parameters.args[parameter, spread] > 0.0)
    low, high = (float(system.parameters.args[parameter, k]) for k in bounds)
    return 0.0 <= low < high
