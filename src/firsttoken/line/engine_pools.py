"""Pools and budgets: seizing what work needs, waiting for it, and waking those who wait."""

from typing import Any

from firsttoken.kernel.compiled import compiled_inner
from firsttoken.kernel.draws import value
from firsttoken.kernel.events import clock
from firsttoken.line.engine_servers import consider, consider_source
from firsttoken.line.state import (
    alternatives,
    holds,
    line,
    lots,
    needs,
    places,
    products,
    resources,
    steps,
    takes,
    waiting,
)

TOLERANCE = 1e-9
"""Share of a budget by which sums of draws may exceed it: rounding."""


@compiled_inner
def account(m: Any, r: int) -> None:
    """Add the time since the last change to the integrals of resource ``r``."""
    now = clock(m, 0).now
    resource = resources(m, r)
    span = now - resource.since
    area = resource.used * span
    resource.used_area += area
    resource.period_area += area
    resource.level_area += resource.level * span
    resource.since = now


@compiled_inner
def seize(m: Any, r: int, amount: float) -> None:
    """Take an amount of resource ``r``."""
    account(m, r)
    resource = resources(m, r)
    resource.used += amount
    resource.peak = max(resource.peak, resource.used)


@compiled_inner
def give(m: Any, r: int, amount: float) -> None:
    """Give an amount of resource ``r`` back, and let those try who wait for it."""
    account(m, r)
    resources(m, r).used -= amount
    wake(m, r)


@compiled_inner
def fits(m: Any, r: int, amount: float) -> bool:
    """Tell whether an amount of resource ``r`` is free."""
    resource = resources(m, r)
    return bool(resource.used + amount <= resource.level * (1.0 + TOLERANCE))


@compiled_inner
def wake(m: Any, r: int) -> None:
    """Put the stations that wait for resource ``r`` on the agenda, those first that came first."""
    resource = resources(m, r)
    if resource.waiting > 0:
        row = r * line(m, 0).stations
        for k in range(resource.waiting):
            s = int(waiting(m, row + k).v)
            consider(m, s)
        resource.waiting = 0


@compiled_inner
def wait_for(m: Any, s: int, r: int) -> None:
    """Station ``s`` lacks resource ``r``."""
    resource = resources(m, r)
    row = r * line(m, 0).stations
    listed = False
    for k in range(resource.waiting):
        listed = listed or waiting(m, row + k).v == s
    if not listed:
        waiting(m, row + resource.waiting).v = s
        resource.waiting += 1


@compiled_inner
def wait_for_all(m: Any, lot_row: int) -> None:
    """Let the station of a lot wait for everything with which the lot might start."""
    step = steps(m, lots(m, lot_row).step)
    s = int(step.station)
    for k in range(step.needs):
        need = needs(m, step.need + k)
        for j in range(need.pools):
            wait_for(m, s, int(alternatives(m, need.pool + j).pool))
    for k in range(step.holds):
        wait_for(m, s, int(holds(m, step.hold + k).pool))
    for k in range(step.parts):
        wait_for(m, s, int(line(m, 0).pools + takes(m, step.part + k).product))


@compiled_inner
def set_short(m: Any, s: int, r: int) -> None:
    """Note that station ``s`` lacks resource ``r``, or with -1 that it lacks nothing any more."""
    place = places(m, s)
    if place.short == r:
        return
    now = clock(m, 0).now
    if place.short >= 0:
        place.short_area += place.free * (now - place.short_since)
        before = resources(m, place.short)
        before.short -= 1
        if before.short == 0:
            before.short_time += now - before.short_since
    if r >= 0:
        place.short_since = now
        lacking = resources(m, r)
        if lacking.short == 0:
            lacking.short_since = now
        lacking.short += 1
    place.short = r


@compiled_inner
def choose_pools(m: Any, taken: Any, first: int, count: int) -> int:
    """Choose a pool for each need; return -1, or the first choice of a need that none can meet.

    Parameters
    ----------
    taken
        Receives the pools, shape [count].
    first, count
        Rows of NEED.
    """
    for k in range(count):
        need = needs(m, first + k)
        amount = value(m, need.amount).v
        found = -1
        for j in range(need.pools):
            pool = int(alternatives(m, need.pool + j).pool)
            wanted = amount
            for i in range(k):
                if taken[i] == pool:
                    wanted += value(m, needs(m, first + i).amount).v
            if fits(m, pool, wanted):
                found = pool
                break
        if found < 0:
            return int(alternatives(m, need.pool).pool)
        taken[k] = found
    return -1


@compiled_inner
def seize_needs(m: Any, taken: Any, first: int, count: int) -> None:
    """Seize what was chosen."""
    for k in range(count):
        seize(m, int(taken[k]), value(m, needs(m, first + k).amount).v)


@compiled_inner
def give_needs(m: Any, taken: Any, first: int, count: int) -> None:
    """Give back what was seized."""
    for k in range(count):
        give(m, int(taken[k]), value(m, needs(m, first + k).amount).v)


@compiled_inner
def lacking(m: Any, lot_row: int) -> int:
    """Return the resource that a lot lacks to start its step, -1 if none; choose its pools."""
    lot = lots(m, lot_row)
    step = steps(m, lot.step)
    if step.needs > 0:
        r = choose_pools(m, lot.taken, int(step.need), int(step.needs))
        if r >= 0:
            return int(r)
    for k in range(step.holds):
        hold = holds(m, step.hold + k)
        if not fits(m, int(hold.pool), value(m, hold.amount).v):
            return int(hold.pool)
    n = line(m, 0).pools
    for k in range(step.parts):
        part = takes(m, step.part + k)
        stock = resources(m, n + part.product).used
        if products(m, part.product).supplied == 0 and stock < value(m, part.amount).v:
            return int(n + part.product)
    return -1


@compiled_inner
def add_stock(m: Any, product: int, pieces: float) -> None:
    """Put pieces of a component into stock, and let assemblies try that wait for it."""
    r = int(line(m, 0).pools + product)
    account(m, r)
    resources(m, r).used += pieces
    wake(m, r)


@compiled_inner
def take_stock(m: Any, product: int, pieces: float) -> None:
    """Take pieces of a component from stock."""
    if products(m, product).supplied != 0:
        return
    r = int(line(m, 0).pools + product)
    account(m, r)
    resource = resources(m, r)
    resource.used -= pieces
    if resource.pull >= 0:
        consider_source(m, int(resource.pull))
