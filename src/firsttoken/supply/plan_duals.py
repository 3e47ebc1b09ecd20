"""Marginal values: what one more unit of a capacity, a stock's room or a demand is worth.

They are rates of change along the optimal basis of the last-ranked objective, which is an
optimal basis of every rank above it. Value, cost and units delivered are all measured along
that one basis, so that dollars and units of a capacity belong to the same change of the
plan. Where the plan is at a kink (one more is worth less than one fewer costs) a rate of the
objective lies between the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firsttoken.supply.lp import Solver
from firsttoken.supply.plan_matrix import PlanProgram, cost_vector, price_vector, units_vector
from firsttoken.supply.system import Floats

_AT = 1e-7
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Marginals:
    """Rates of one quantity per unit of each limit, over all P periods.

    Attributes
    ----------
    activity : [P, A] per run; resource : [P, R] per unit of the resource;
    stock : [P, N] per unit of stock maximum; demand : [P, D] per unit due.
    """

    activity: Floats
    resource: Floats
    stock: Floats
    demand: Floats


def marginals(plan: PlanProgram, solver: Solver, x: Floats, quantity: Floats) -> Marginals:
    """Rates of ``quantity @ x``."""
    rows, columns = solver.sensitivity(quantity)
    net = plan.system.network
    # a column's rate belongs to its upper bound only if it stands there
    upper = plan.program.upper
    bound = np.where(np.isfinite(upper), upper, 0.0)
    at_limit = np.isfinite(upper) & (x >= bound - _AT * (1.0 + bound))
    columns = np.where(at_limit, columns, 0.0)
    activity = plan.column("runs", columns, net.kind.size)
    if "capacity" in plan.rows:
        activity += plan.row("capacity", rows, net.kind.size)
    demand = plan.row("demand", rows, net.demand_node.size)
    lost = plan.column("delivered", columns, net.demand_node.size)
    return Marginals(
        activity,
        plan.row("resource", rows, net.resource_capacity.size),
        plan.column("stock", columns, net.onhand.size),
        np.where(net.lost > 0, lost, demand),
    )


@dataclass(frozen=True, slots=True)
class Worth:
    """Marginals of the first-ranked money (`usd`), of units delivered, and of the net."""

    usd: Marginals
    units: Marginals
    net: Marginals


def worth(plan: PlanProgram, solver: Solver, x: Floats, objectives: tuple[str, ...]) -> Worth:
    """Marginal values of a solved plan.

    `net` is value delivered less all costs; `usd` is the value delivered, or the net if
    least cost ranks above value.
    """
    value = marginals(plan, solver, x, price_vector(plan))
    units = marginals(plan, solver, x, units_vector(plan))
    saved = marginals(plan, solver, x, -cost_vector(plan)[0])
    # a unit more of demand that may be lost costs its price unless it is delivered
    lost = plan.system.network.lost > 0
    demand = saved.demand - np.where(lost, plan.given.price, 0.0)
    saved = Marginals(saved.activity, saved.resource, saved.stock, demand)
    ranked = [name for name in objectives if name != "earliest"]
    money = saved if ranked and ranked[0] == "cost" else value
    return Worth(*(_useful(rates, money, saved) for rates in (money, units, saved)))


def _useful(rates: Marginals, money: Marginals, net: Marginals) -> Marginals:
    """Rates of the limits that are worth something: nobody has to use a capacity."""

    def keep(key: str) -> Floats:
        values: Floats = getattr(rates, key)
        usd, saved = getattr(money, key), getattr(net, key)
        tiny = _TINY * max(float(np.abs(usd).max(initial=0.0)), 1e-12)
        tiny_net = _TINY * max(float(np.abs(saved).max(initial=0.0)), 1e-12)
        return np.where((usd > tiny) | ((usd >= -tiny) & (saved > tiny_net)), values, 0.0)

    return Marginals(keep("activity"), keep("resource"), keep("stock"), rates.demand)
