"""A plan's books: units of every stock and dollars of every kind, added up a second time.

Nothing here reads the program's matrix or its objective: flows are recomputed from the
decisions, so that a wrong coefficient cannot balance itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firsttoken.supply.plan_inputs import PlanInputs, losses, owners
from firsttoken.supply.plan_matrix import shortfall_cost
from firsttoken.supply.system import Floats, System
from firsttoken.twin.findings import BalanceError

TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a plan decides, over all P periods (continuation included).

    Attributes
    ----------
    runs : [P, A]; stock, missing : [P, N]; delivered, backlog : [P, D]; setups : [P, A];
    invested : [P, I].
    """

    runs: Floats
    stock: Floats
    missing: Floats
    delivered: Floats
    backlog: Floats
    setups: Floats
    invested: Floats


def output(system: System, given: PlanInputs, runs: Floats) -> Floats:
    """Good units that arrive at each node in each period [P, N], losses on the way deducted."""
    net, edges = system.network, given.edges
    arrived = np.zeros((edges.size - 1, net.onhand.size))
    struck = losses(net, given.parameters, edges)
    for a in np.flatnonzero(runs.any(axis=0)):
        out = slice(net.output_start[a], net.output_start[a + 1])
        for p in np.flatnonzero(runs[:, a]):
            shifted = np.clip(edges, edges[p] + given.lead_time[p, a], None)
            shifted = np.minimum(shifted, edges[p + 1] + given.lead_time[p, a])
            part = np.diff(shifted) / given.lengths[p]
            for period, share, _, activities in struck:
                if p < period and a in activities:
                    part[period:] *= 1.0 - share
            made = runs[p, a] * given.output_quantity[p, out]
            for node, units in zip(net.output_node[out], made, strict=True):
                arrived[:, node] += part * units
    return arrived


def check_units(system: System, given: PlanInputs, made: Decisions) -> None:
    """Opening stock + arrivals - losses - consumption - deliveries = closing stock, everywhere.

    Raises
    ------
    BalanceError
        Naming the worst stock, demand or resource and its period.
    """
    net, names = system.network, system.names
    used = np.zeros_like(made.stock)
    runs = made.runs[:, owners(net.input_start)] * given.input_quantity
    for k, node in enumerate(net.input_node):
        used[:, node] += runs[:, k]
    for d, node in enumerate(net.demand_node):
        used[:, node] += made.delivered[:, d]
    opening = np.vstack([given.onhand, made.stock[:-1]]) * given.keep
    arrived = output(system, given, made.runs)
    flow = np.maximum(opening + arrived, used + made.stock)
    _compare(opening + arrived - used, made.stock, flow, names.nodes, given, system, "stock")
    before = np.vstack([np.zeros(net.demand_node.size), made.backlog[:-1]])
    waiting = np.where(net.lost > 0, 0.0, before + given.due - made.delivered)
    scale = np.maximum(before + given.due, made.delivered)
    _compare(waiting, made.backlog, scale, names.demands, given, system, "backlog")


def _compare(
    wanted: Floats,
    found: Floats,
    scale: Floats,
    names: tuple[str, ...],
    given: PlanInputs,
    system: System,
    what: str,
) -> None:
    if not wanted.size:
        return
    error = np.abs(wanted - found) / (1.0 + np.maximum(scale, np.max(scale, axis=0)))
    if error.max() <= TOLERANCE:
        return
    from firsttoken.twin.dates import iso

    p, k = np.unravel_index(int(np.argmax(error)), error.shape)
    raise BalanceError(
        f"plan of {system.name}: {what} of {names[k]} in the period from "
        f"{iso(system.start + float(given.edges[p]))} should be {wanted[p, k]:.6g} "
        f"but is {found[p, k]:.6g} units"
    )


def cost_parts(
    system: System, given: PlanInputs, made: Decisions, periods: int
) -> dict[str, float]:
    """USD of every kind up to the end of period `periods`.

    Undelivered demand is charged at its price at the end, missing safety stock at its
    standard cost; stock and work in process have no value of their own at the end.
    """
    net = system.network
    p = slice(0, periods)
    last = periods - 1
    lost = net.lost > 0
    penalty = shortfall_cost(given)[p].copy()
    if periods < given.edges.size - 1:
        penalty[last] += given.standard_cost
    unserved = (given.price * (given.due - made.delivered))[p][:, lost].sum()
    options = system.investments
    return {
        "activities": float((given.cost * made.runs)[p].sum()),
        "duty": float((given.duty * made.runs)[p].sum()),
        "setups": float((given.setup_cost * made.setups)[p].sum()),
        "holding": float((given.holding * made.stock)[p].sum()),
        "late": float((given.late * made.backlog)[p].sum()),
        "undelivered": float(unserved + given.price[last] @ made.backlog[last]),
        "safety stock": float((penalty * made.missing[p]).sum()),
        "investments": float((made.invested[p] @ given.parameters[options.cost]).sum()),
    }


def check_dollars(name: str, parts: dict[str, float], objective: float) -> None:
    """The dollars of all kinds are the objective that was minimised.

    Raises
    ------
    BalanceError
        If they differ.
    """
    total = sum(parts.values())
    scale = 1.0 + max(abs(objective), *(abs(part) for part in parts.values()))
    if abs(total - objective) > TOLERANCE * scale:
        raise BalanceError(
            f"plan of {name}: costs add up to {total:.10g} USD, not to {objective:.10g} USD"
        )
