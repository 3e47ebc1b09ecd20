"""Racks that give up power: where a row of the chain would carry more than it may.

Racks below an overloaded row are cut in the order of `shed`, those of the same order by the same
share.  Under a load target by best effort they fall to idle at most.
"""

from __future__ import annotations

import math

from firsttoken.facility.grid_targets import (
    BREACHED,
    CRITICAL,
    SEVERE,
    THRESHOLD,
    UNDER,
    target_of,
)
from firsttoken.facility.power_system import FEED
from firsttoken.facility.simulate_battery import given
from firsttoken.facility.simulate_state import Floats, Site, State, Tally, Work
from firsttoken.kernel.compiled import compiled_inner

__all__ = ["count_targets", "cut_racks", "find_overload"]

SLACK = 1e-6
"""Overload that counts as none."""
LEAST = 1e-6
"""Share of what a rack wants that counts as nothing."""
LAST = 1 << 62
"""Order of a row below which nobody can give."""


@compiled_inner
def find_overload(site: Site, work: Work, units: Floats) -> float:
    """Fill to what the loads of every row must fall so that no row carries too much.

    What batteries give is load that a feed does not see: it is theirs still when racks are cut.

    Returns
    -------
    float
        The worst load, as a multiple of what its row may carry; 0: none is overloaded.
    """
    grid = site.grid
    worst = 0.0
    taken = 0.0
    for r in range(len(grid.kind)):
        if grid.kind[r] == FEED and site.power.limit[r] < math.inf:
            taken += work.input[r]
    beside = given(work) / taken if taken > 0.0 else 0.0
    for r in range(len(grid.kind)):
        share, weakest = 1.0, r
        most = min(site.power.capacity[r] * units[r], 1e300) if units[r] > 0.0 else 0.0
        if work.output[r] > most * (1.0 + SLACK):
            share = most / work.output[r]
        if work.input[r] > site.power.limit[r] * (1.0 + SLACK):
            load = work.input[r] * (1.0 + beside * (grid.kind[r] == FEED))
            share = min(share, 1.0 - (work.input[r] - site.power.limit[r]) / load)
        if share < 1.0:
            worst = max(worst, 1.0 / max(share, 1e-9))
        above = 1.0
        for e in range(grid.parent_start[r], grid.parent_start[r + 1]):
            p = grid.parent[e]
            if work.live[p] > 0.0 and work.output[p] > 0.0:
                if work.factor[p] < above:
                    above, weakest = work.factor[p], work.weakest[p]
                if grid.prefer[r]:
                    break
        work.factor[r] = share * above
        work.weakest[r] = weakest
    return worst


@compiled_inner
def _weakest(site: Site, work: Work, n: int) -> tuple[float, int]:
    """To what a row of racks must fall, and the row of the chain that asks for it."""
    feeds = site.loads.feeds
    share, row = 1.0, -1
    for k in range(feeds.start[n], feeds.start[n + 1]):
        r = feeds.row[k]
        if work.live[r] > 0.0 and work.output[r] > 0.0 and work.factor[r] < share:
            share, row = work.factor[r], work.weakest[r]
    return share, row


@compiled_inner
def _least(site: Site, state: State, work: Work, n: int, row: int) -> float:
    """Share of what it wants to which a row of racks can be cut."""
    if work.gentle[row] == 0.0:
        return 0.0
    want = work.want[n]
    idle = min(site.racks.idle[site.loads.rack_group[n]], want)
    one = idle + (want - idle) * (1.0 - state.throttle[n])
    return idle / one if one > 0.0 else 0.0


@compiled_inner
def cut_racks(site: Site, state: State, work: Work) -> bool:
    """Cut the racks that rows with too much load feed; return whether any could be cut."""
    work.order[:] = LAST
    work.under[:] = 0.0
    work.first[:] = 0.0
    for n in range(len(work.want)):
        share, row = _weakest(site, work, n)
        if row < 0 or share >= 1.0:
            continue
        work.under[row] += work.actual[n]
        if not _can_give(site, state, work, n, row):
            continue
        if site.loads.shed[n] < work.order[row]:
            work.order[row] = site.loads.shed[n]
            work.first[row] = 0.0
        if site.loads.shed[n] == work.order[row]:
            work.first[row] += work.actual[n]
    changed = False
    for n in range(len(work.want)):
        share, row = _weakest(site, work, n)
        if row < 0 or share >= 1.0 or site.loads.shed[n] != work.order[row]:
            continue
        if not _can_give(site, state, work, n, row):
            continue
        if work.first[row] < work.under[row]:  # these give for the others too
            share = max(1.0 - (1.0 - share) * work.under[row] / work.first[row], 0.0)
        work.cut[n] = max(work.cut[n] * share, _least(site, state, work, n, row))
        changed = True
    return changed


@compiled_inner
def _can_give(site: Site, state: State, work: Work, n: int, row: int) -> bool:
    if work.want[n] <= 0.0 or work.actual[n] <= 0.0:
        return False
    return bool(work.cut[n] > max(_least(site, state, work, n, row), 0.0) * (1.0 + LEAST) + LEAST)


@compiled_inner
def count_targets(site: Site, work: Work, tally: Tally, number: int, t0: float, t1: float) -> None:
    """Count the time under load targets, and above them, of step `number`."""
    for k in range(len(site.targets.row)):
        level, _ = target_of(site.targets, k, t0, t1)
        taken = work.input[site.targets.row[k]]
        if len(tally.feeds):
            tally.feeds[number, k, 0] = taken
            tally.feeds[number, k, 1] = level
        if level == math.inf:
            continue
        row = tally.targets[k]
        row[UNDER] += t1 - t0
        if taken > level * (1.0 + THRESHOLD):
            row[BREACHED] += t1 - t0
        if taken > level * (1.0 + CRITICAL):
            row[SEVERE] += t1 - t0
