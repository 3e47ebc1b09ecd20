"""Whether limited buffers can hold each other up in a circle."""

from __future__ import annotations

import numpy as np

from firsttoken.line.system import Tables


def successors(tables: Tables, step: int) -> set[int]:
    """Steps to which lots may go from a step: next, branches, failures, missed limits."""
    row = tables.step[step]
    first, count = int(row["branch"]), int(row["branches"])
    found = {int(row["next"]), *map(int, tables.branch["to"][first : first + count])}
    if row["pass_"] >= 0 or row["inspect"] >= 0:
        found.add(int(row["fail_to"]))
    if row["limit_mark"] >= 0:
        found.add(int(row["limit_to"]))
    return {target for target in found if target >= 0}


def buffers_form_circle(tables: Tables) -> bool:
    """Tell whether a circle of steps leads through stations with limited buffers only.

    Only there can lots block each other for ever: a station whose buffer has no limit always lets
    the lots before it go on.
    """
    limited = tables.station["buffer"][tables.step["station"]] >= 0
    stations = tables.step["station"]
    edges: dict[int, set[int]] = {}
    for step in np.flatnonzero(limited):
        targets = {
            int(stations[target]) for target in _next_stops(tables, int(step)) if limited[target]
        }
        edges.setdefault(int(stations[step]), set()).update(targets)
    waiting = dict(edges)
    while True:
        ends = [s for s, targets in waiting.items() if not targets & waiting.keys()]
        if not ends:
            return bool(waiting)
        for s in ends:
            del waiting[s]


def _next_stops(tables: Tables, step: int) -> set[int]:
    """Successors; a sampled step may be skipped, so its successors count as well."""
    found: set[int] = set()
    ahead = successors(tables, step)
    while ahead:
        target = ahead.pop()
        if target in found:
            continue
        found.add(target)
        if tables.step["share"][target] >= 0:
            ahead |= successors(tables, target)
    return found
