"""Pairs of elements that can act together, and what their loss does: N-2.

Two contingencies act on each other only where they meet: one changes the supply of a row that the
other touches, or both raise the load of a row which then passes its breaker's limit.  All other
pairs lose what their elements lose alone, one plus the other; they need not be run.

Generators that do not start are no rare event once the grid is out, so the outage of an element
and two standby generators that stand in for it is run as well.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from firsttoken.facility.power_screen import (
    HORIZON,
    RESULTS,
    Case,
    Screened,
    copied,
    new_work,
    screen,
    single_elements,
)
from firsttoken.facility.power_state import Network, State, Work
from firsttoken.facility.power_system import STANDBY, Floats, Ints
from firsttoken.facility.power_trips import AFFECTED, N_TOUCHED, restore, run_contingency
from firsttoken.kernel.compiled import compiled

Bools = NDArray[np.bool_]

MARGIN = 0.98
"""Share of a limit up to which two rises of load do not meet: what losses may add."""


def meeting_pairs(case: Case, horizon: float = HORIZON) -> Ints:
    """All pairs of elements whose contingencies act on each other, shape [pairs, 2]."""
    count, rows = case.elements, len(case.net.kind)
    state, work = copied(case.base), new_work(rows)
    sets = single_elements(case)
    start = np.zeros(count + 1, np.int64)
    none_i, none_f = np.zeros(0, np.int64), np.zeros(0)
    _trace(case.net, case.base, state, work, sets, horizon, start, none_i, none_i, none_f)
    start = np.concatenate([[0], np.cumsum(start[:-1])]).astype(np.int64)
    touched = np.empty(start[-1], np.int64)
    affected = np.empty(start[-1], np.int64)
    rise = np.empty(start[-1])
    _trace(case.net, case.base, state, work, sets, horizon, start, touched, affected, rise)
    element = np.repeat(np.arange(count), np.diff(start))
    found = [_by_supply(touched, affected, element, count, rows)]
    found.append(_by_load(case, touched, affected, element, rise))
    keys = np.unique(np.concatenate(found))
    return np.stack([keys // count, keys % count], axis=1)


def _by_supply(touched: Ints, affected: Ints, element: Ints, count: int, rows: int) -> Ints:
    """Pairs of which one changes the supply of what the other touches."""
    order = np.argsort(touched, kind="stable")
    edges = np.searchsorted(touched[order], np.arange(rows + 1))
    keys: list[Ints] = [np.zeros(0, np.int64)]
    for r in range(rows):
        here = order[edges[r] : edges[r + 1]]
        all_, strong = element[here], element[here[affected[here] == 1]]
        if len(strong) and len(all_) > 1:
            a, b = np.repeat(strong, len(all_)), np.tile(all_, len(strong))
            keys.append(_keys(a, b, count))
    return np.unique(np.concatenate(keys))


def _by_load(case: Case, touched: Ints, affected: Ints, element: Ints, rise: Floats) -> Ints:
    """Pairs that together load a row beyond its limit."""
    keys: list[Ints] = [np.zeros(0, np.int64)]
    limit, base = case.net.limit, case.base.output
    rows = np.flatnonzero(np.isfinite(limit))
    able = (rise > 0.0) & np.isfinite(limit[touched])
    order = np.flatnonzero(able)[np.argsort(touched[able], kind="stable")]
    edges = np.searchsorted(touched[order], np.arange(len(limit) + 1))
    for r in rows:
        here = order[edges[r] : edges[r + 1]]
        spare = MARGIN * limit[r] - base[r]
        up = np.argsort(rise[here])
        here = here[up]
        partner = np.searchsorted(rise[here], spare - rise[here], side="right")
        for k, first in enumerate(here):
            others = here[max(int(partner[k]), k + 1) :]
            if len(others):
                keys.append(
                    _keys(np.full(len(others), element[first]), element[others], case.elements)
                )
    return np.unique(np.concatenate(keys))


def _keys(a: Ints, b: Ints, count: int) -> Ints:
    """Pairs as `first * count + second`, the first the lesser; each once."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    return np.unique((low * count + high)[low < high])


@compiled
def _trace(
    net: Network,
    base: State,
    state: State,
    work: Work,
    sets: Ints,
    horizon: float,
    start: Ints,
    touched: Ints,
    affected: Ints,
    rise: Floats,
) -> None:
    """Run contingencies; count the rows touched into `start`, or note them where it says."""
    row = np.zeros(RESULTS)
    count = len(touched) == 0
    for c in range(len(sets)):
        run_contingency(net, state, work, sets[c], horizon, row)
        if count:
            start[c] = work.size[N_TOUCHED]
        else:
            for i in range(work.size[N_TOUCHED]):
                r = work.touched[i]
                at = start[c] + i
                touched[at] = r
                affected[at] = 1 if work.flags[r] & AFFECTED else 0
                rise[at] = state.peak[r] - base.output[r]
        restore(net, base, state, work)


def screen_pairs(
    case: Case, horizon: float = HORIZON, pairs: Ints | None = None
) -> tuple[Ints, Screened]:
    """Run all pairs of elements that can act together.

    Returns
    -------
    The pairs, shape [pairs, 2], and their results.
    """
    found = meeting_pairs(case, horizon) if pairs is None else pairs
    return found, screen(case, found, horizon)


def screen_standby(
    case: Case, pairs: Ints, q: Floats, horizon: float = HORIZON
) -> tuple[Ints, Screened]:
    """Run all triples of an element and two standby generators that stand in for it.

    Both generators are above a common rack, and each acts together with the element.

    Parameters
    ----------
    pairs : from `screen_pairs`, shape [pairs, 2].
    q : probability that each element is out, shape [R]; triples with q = 0 are left out.

    Returns
    -------
    The triples, shape [triples, 3], the element first; and their results.
    """
    standby = case.system.grid.kind == STANDBY
    beside: dict[int, list[int]] = {}
    for one, other in pairs[(q[pairs] > 0.0).all(axis=1)].tolist():
        if standby[one] != standby[other]:
            row, generator = (other, one) if standby[one] else (one, other)
            beside.setdefault(row, []).append(generator)
    common = _above_racks(case, standby)
    found: set[tuple[int, int, int]] = set()
    for row, generators in beside.items():
        for group in common:
            able = sorted(group.intersection(generators))
            found.update((row, a, b) for a, b in combinations(able, 2))
    triples = np.array(sorted(found), np.int64).reshape(-1, 3)
    return triples, screen(case, triples, horizon)


def _above_racks(case: Case, standby: Bools) -> set[frozenset[int]]:
    """Sets of standby generators that are above the same racks."""
    grid, none = case.system.grid, frozenset[int]()
    above: list[frozenset[int]] = []
    for r in range(case.elements):
        sources = grid.parent[grid.parent_start[r] : grid.parent_start[r + 1]].tolist()
        own = frozenset({r}) if standby[r] else none
        above.append(own.union(*(above[p] for p in sources)))
    found: set[frozenset[int]] = set()
    for group in case.loads:
        feeds = group.feeds
        for i in range(group.units if not group.restarts else 0):
            rows = feeds.row[feeds.start[i] : feeds.start[i + 1]].tolist()
            found.add(none.union(*(above[p] for p in rows)))
    return found
