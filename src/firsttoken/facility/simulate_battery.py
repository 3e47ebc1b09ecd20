"""Batteries that shave peaks: they give where feeds would take more than they may, else charge."""

from __future__ import annotations

import math

from firsttoken.facility.power_system import FEED, Floats
from firsttoken.facility.simulate_state import Site, State, Work
from firsttoken.kernel.compiled import compiled_inner

__all__ = ["charge_batteries", "feed_excess", "given", "shave"]

ROOM = 0.98
"""Share of a feed's room that charging takes; the rest is for its losses."""


@compiled_inner
def feed_excess(site: Site, work: Work) -> float:
    """Power that feeds with a limit take above it, W; negative: room that they have.

    Without any such feed there is room without end.
    """
    excess = 0.0
    limited = False
    for r in range(len(site.grid.kind)):
        if site.grid.kind[r] == FEED and site.power.limit[r] < math.inf and work.live[r] > 0.0:
            limited = True
            excess += work.input[r] - site.power.limit[r]
    return excess if limited else -math.inf


@compiled_inner
def given(work: Work) -> float:
    """Power that the cells of all batteries give, W."""
    total = 0.0
    for b in range(len(work.cells)):
        total -= min(work.cells[b], 0.0)
    return total


@compiled_inner
def shave(
    site: Site, state: State, work: Work, units: Floats, excess: float, dt: float, first: bool
) -> bool:
    """Change what batteries give and take by the excess; return whether any changed.

    Parameters
    ----------
    first : whether they may charge too; later rounds only take back.
    """
    wanted = excess if excess > 0.0 else max(ROOM * excess, -1e300)
    if wanted < 0.0 and not first:
        return False
    room = 0.0
    for b in range(len(site.battery)):
        room += _room(site, state, work, units, b, dt, wanted > 0.0)
    if room <= 0.0 or wanted == 0.0:
        return False
    share = min(abs(wanted) / room, 1.0)
    for b in range(len(site.battery)):
        row = site.battery[b]
        change = share * _room(site, state, work, units, b, dt, wanted > 0.0)
        if wanted > 0.0:
            change = -change
        work.cells[b] += change
        work.demand[row] += change
    return share > 1e-9


@compiled_inner
def _room(
    site: Site, state: State, work: Work, units: Floats, b: int, dt: float, give: bool
) -> float:
    """How much more the cells of battery `b` can give (or take), W.

    Its rating holds at the terminals: cells give more by the loss, and take less.
    """
    row = site.battery[b]
    if work.live[row] <= 0.0:
        return 0.0
    most = site.power.capacity[row] * units[row]
    loss = 1.0 + site.power.slope[row]
    energy = site.storage[b] * units[row]
    if give:
        return float(max(min(most * loss, state.charge[b] * energy / dt) + work.cells[b], 0.0))
    return float(max(min(most / loss, (1.0 - state.charge[b]) * energy / dt) - work.cells[b], 0.0))


@compiled_inner
def charge_batteries(site: Site, state: State, work: Work, units: Floats, dt: float) -> None:
    """Bring the charge of the batteries to the end of the step."""
    for b in range(len(site.battery)):
        energy = site.storage[b] * units[site.battery[b]]
        if energy > 0.0:
            charge = state.charge[b] + work.cells[b] * dt / energy
            state.charge[b] = min(max(charge, 0.0), 1.0)
