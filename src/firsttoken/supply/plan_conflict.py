"""Why there is no plan: the constraints that cannot be met, by name.

Whatever is due may wait or be lost, nothing must be started and safety stock may be missed;
so only stock that has no room and no way out can make a plan impossible. The program is
solved again with room for sale at a price per unit and period (an elastic program: Chinneck,
Feasibility and Infeasibility in Optimization, 2008, chapter 6): where room is bought is the
conflict.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from firsttoken.supply.lp import LinearProgram, NoSolutionError, Solver, Triplets
from firsttoken.supply.plan_matrix import PlanProgram
from firsttoken.supply.system import Floats, Ints
from firsttoken.twin.dates import iso
from firsttoken.twin.findings import InfeasibleError


def explain_conflict(plan: PlanProgram, reason: str) -> InfeasibleError:
    """The error that names every stock without room and the first period it happens in."""
    system, given = plan.system, plan.given
    block = plan.columns["stock"]
    limited = block.first + np.flatnonzero(np.isfinite(plan.program.upper[block.span]))
    try:
        overflow = _overflow(plan.program, limited)
    except NoSolutionError:
        return InfeasibleError(f"plan of {system.name}: the constraints conflict ({reason})")
    if not overflow.any():
        return InfeasibleError(f"plan of {system.name}: no best plan ({reason})")
    lines = []
    periods = given.edges.size - 1
    nodes, when = np.divmod(limited - block.first, periods)
    for node in np.unique(nodes[overflow > 0]):
        mine = np.flatnonzero((nodes == node) & (overflow > 0))
        first = mine[0]
        period = int(when[first])
        room = given.stock_maximum[period, node]
        lines.append(
            f"{system.names.nodes[node]}: {room + overflow[first]:.6g} units must be in stock at "
            f"the end of the period from {iso(system.start + float(given.edges[period]))}, "
            f"but at most {room:.6g} fit"
        )
    return InfeasibleError(
        f"plan of {system.name}: no plan satisfies the stock limits: " + "; ".join(lines) + " "
        "(hint: raise the buffer's maximum or lower its stock at start)"
    )


def _overflow(program: LinearProgram, limited: Ints) -> Floats:
    """Least units of room to buy for each limited column."""
    n, m, extra = program.lower.size, program.row_lower.size, limited.size
    entries = Triplets()
    columns = np.repeat(np.arange(n), np.diff(program.start))
    entries.add(program.index.astype(np.int64), columns, program.value)
    rows = m + np.arange(extra)
    entries.add(rows, limited, 1.0)
    entries.add(rows, n + np.arange(extra), -1.0)
    start, index, value = entries.compress(m + extra, n + extra)
    upper = program.upper.copy()
    upper[limited] = np.inf
    elastic = replace(
        program,
        lower=np.concatenate([program.lower, np.zeros(extra)]),
        upper=np.concatenate([upper, np.full(extra, np.inf)]),
        row_lower=np.concatenate([program.row_lower, np.full(extra, -np.inf)]),
        row_upper=np.concatenate([program.row_upper, program.upper[limited]]),
        start=start,
        index=index,
        value=value,
        integer=np.zeros(n + extra, np.bool_),
    )
    cost = np.concatenate([np.zeros(n), np.ones(extra)])
    bought = Solver(elastic).minimise(cost).x[n:]
    return np.where(bought > 1e-6, bought, 0.0)
