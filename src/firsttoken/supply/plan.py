"""The best plan of a network: a multi-period linear or mixed-integer program.

What the planner decides in each period: how many runs of each activity to start, what to
deliver, what to keep, when to buy capacity. The rules, and how time is treated:

- Runs start evenly over their period and their output arrives one lead time later, split
  over the periods in proportion (`plan_inputs.Arrivals`).
- Demand that is not lost waits as backlog, at its late cost; what still waits at the end is
  charged at its price. Demand that may be lost is charged at its price when it is lost.
- Safety stock is a wish with a penalty, below that of a late customer.
- A loss (quake, fire) strikes as its period begins. The plan knows it beforehand: a plan is
  a bound on what is possible with perfect foresight, the simulation is what happens.
- Nothing has a value at the end unless it was delivered. So that least cost does not stop
  buying long before the end, the plan is continued beyond its last period for the longest
  chain of lead times, with the values that the twin's series have there (`beyond`). Value
  and earliest completion look at the plan's own periods only, so the continuation never
  takes anything from them; results show the plan's own periods.

Objectives are lexicographic: without integers to the accuracy of the solver
(`lp.Solver.stay_optimal`; 2e-8 of the value in the example of 28,000 columns), with integers
within a relative 1e-6. Every solution is checked against every row before it is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firsttoken.supply.lp import LinearProgram, NoSolutionError, Solution, Solver, add_rows
from firsttoken.supply.plan_books import (
    Decisions,
    check_dollars,
    check_units,
    cost_parts,
)
from firsttoken.supply.plan_conflict import explain_conflict
from firsttoken.supply.plan_duals import worth
from firsttoken.supply.plan_inputs import PlanInputs, arrivals, checked_edges, owners, read_inputs
from firsttoken.supply.plan_matrix import OBJECTIVES, Builder, PlanProgram
from firsttoken.supply.system import Floats, System
from firsttoken.twin.findings import BalanceError, UsageError
from firsttoken.twin.room import Progress

TOLERANCE = 1e-6
"""Relative loss of a higher objective that a lower one may cause in integer programs."""

_WORDS = {"value": "most value", "cost": "least cost", "earliest": "earliest completion"}


@dataclass(frozen=True, slots=True)
class PlanResult:
    """A plan over P periods; A activities, R resources, N nodes, D demands, I investments.

    Attributes
    ----------
    edges : float64[P + 1], s from start.
    status : "optimal" or "time limit" (a plan with integers, the best found in time).
    gap : relative distance of the first objective from its bound; 0 without integers.
    method : simplex, ipx, hipo, branch and cut.
    objectives : value delivered (USD), cost (USD), unit-years of waiting (earliest), over the
        P periods; each one asked for.
    costs : USD of each kind over the P periods; they add up to the cost.
    completed : [P, A] good units of each activity's first output that arrive.
    runs : [P, A] runs started; lots : [P, A] whole lots, where a lot multiple is declared.
    stock, missing : [P, N] units at the end; missing from the safety stock.
    delivered, backlog, due : [P, D] units; backlog at the end.
    resource_use, resource_capacity : [P, R] units, investments included.
    activity_capacity : [P, A] runs, inf without limit, investments included.
    spend, duty : [P, A] USD; energy : [P, A] J; duty is not in spend.
    invested : (investment, period, units) of each decision.
    marginal_usd_activity, _resource : [P, A], [P, R]; change of the value delivered by the
        end (of net, if least cost ranks above value) in USD per one more run or unit of the
        resource in the period.
    marginal_units_activity, _resource : the same change in units delivered by the end.
    marginal_net_activity, _resource : the same change in value less all costs, lateness and
        the continuation included, USD.
    marginal_usd_stock : [P, N], per unit of stock maximum.
    marginal_usd_demand, marginal_units_demand, marginal_net_demand : [P, D], per unit due.
    """

    edges: Floats
    status: str
    gap: float
    method: str
    objectives: dict[str, float]
    costs: dict[str, float]
    completed: Floats
    runs: Floats
    lots: Floats
    stock: Floats
    missing: Floats
    delivered: Floats
    backlog: Floats
    due: Floats
    resource_use: Floats
    activity_capacity: Floats
    resource_capacity: Floats
    spend: Floats
    duty: Floats
    energy: Floats
    invested: tuple[tuple[int, int, float], ...]
    marginal_usd_activity: Floats
    marginal_usd_resource: Floats
    marginal_units_activity: Floats
    marginal_units_resource: Floats
    marginal_net_activity: Floats
    marginal_net_resource: Floats
    marginal_usd_stock: Floats
    marginal_usd_demand: Floats
    marginal_units_demand: Floats
    marginal_net_demand: Floats

    def runs_by(self, edges: Floats) -> Floats:
        """Runs started in other periods [T, A], spread evenly over the plan's own."""
        total = np.vstack([np.zeros(self.runs.shape[1]), np.cumsum(self.runs, axis=0)])
        at = [np.interp(edges, self.edges, column) for column in total.T]
        return np.diff(np.reshape(at, (self.runs.shape[1], len(edges))), axis=1).T.copy()


def plan(
    system: System,
    *,
    objectives: Sequence[str] = ("value", "cost"),
    uncertain: str = "median",
    edges: NDArray[np.float64] | None = None,
    integer: bool | None = None,
    time_limit: float | None = None,
    progress: Progress | None = None,
    beyond: float | None = None,
) -> PlanResult:
    """Find the best plan.

    Parameters
    ----------
    system : compiled network.
    objectives : `value`, `cost`, `earliest` in order of rank.
    uncertain : `median` or `mean`, what is taken for an uncertain input.
    edges : [P + 1] edges of the plan's periods, s from start; None: the system's.
    integer : False relaxes lots, set-ups and investments to fractions; None: as declared.
    time_limit : s for each solve.
    progress : called as (what, done, total).
    beyond : s of continuation after the last period; None: the longest chain of lead times
        if cost is an objective, else nothing.

    Raises
    ------
    UsageError
        If an objective is unknown or the periods are not.
    InfeasibleError
        If no plan satisfies the constraints; it names those that conflict.
    SolverError
        If the solver gives up or runs out of time.
    BalanceError
        If units or dollars do not balance: a defect of this engine.
    """
    ranks = _checked_objectives(objectives)
    if uncertain not in ("median", "mean"):
        raise UsageError(f"a plan takes the median or the mean, not {uncertain!r}")
    if beyond is None and "cost" not in ranks:
        beyond = 0.0
    given = read_inputs(system, uncertain, checked_edges(system, edges), beyond)
    program = Builder(system, given, integer is not False).build()
    try:
        solution, solver = _solve(program, ranks, time_limit, progress)
    except NoSolutionError as error:
        raise explain_conflict(program, str(error)) from None
    return _result(program, ranks, solution, solver)


def _checked_objectives(objectives: Sequence[str]) -> tuple[str, ...]:
    ranks = tuple(objectives)
    unknown = [name for name in ranks if name not in OBJECTIVES]
    if unknown or not ranks or len(set(ranks)) < len(ranks):
        known = ", ".join(OBJECTIVES)
        raise UsageError(f"objectives must be some of {known}, each once, not {list(ranks)}")
    return ranks


def _solve(
    plan: PlanProgram, ranks: tuple[str, ...], time_limit: float | None, progress: Progress | None
) -> tuple[Solution, Solver]:
    """Solve rank by rank; the solver comes back with an optimal basis."""
    program = plan.program
    name = f"plan {plan.system.name}"

    def say(done: int) -> None:
        if progress is not None:
            words = _WORDS[ranks[done]] if done < len(ranks) else "done"
            progress(f"{name}: {words}", done, len(ranks))

    costs = [OBJECTIVES[rank](plan)[0] for rank in ranks]
    whole: Solution | None = None
    if program.integer.any():
        whole = _solve_whole(program, costs, time_limit)
        program = _fixed(program, whole.x)
    solver = Solver(program, time_limit)
    for done, cost in enumerate(costs):
        say(done)
        if done:
            solver.stay_optimal()
        solution = solver.minimise(cost)
    say(len(ranks))
    if whole is not None:
        method, gap = whole.method, whole.gap
        solution = Solution(solution.x, solution.objective, whole.status, gap, method)
    return solution, solver


def _solve_whole(program: LinearProgram, costs: list[Floats], time_limit: float | None) -> Solution:
    """Lexicographic mixed-integer program: each rank bounds the values of those above it."""
    first: Solution | None = None
    bounded: list[Floats] = []
    bounds: list[float] = []
    for cost in costs:
        limits = [-np.inf] * len(bounds)
        bound = add_rows(program, bounded, limits, bounds) if bounded else program
        solution = Solver(bound, time_limit).minimise(cost)
        first = first or solution
        # rows of objectives are scaled so that the solver's absolute tolerance is small
        scale = 1.0 / max(1.0, float(np.abs(cost).max(initial=0.0)))
        bounded.append(cost * scale)
        slack = TOLERANCE * max(1.0, abs(solution.objective))
        bounds.append((solution.objective + slack) * scale)
    assert first is not None
    status = first.status if solution.status == "optimal" else solution.status
    return Solution(solution.x, solution.objective, status, first.gap, solution.method)


def _fixed(program: LinearProgram, x: Floats) -> LinearProgram:
    """The linear program that is left when the integers are decided."""
    lower, upper = program.lower.copy(), program.upper.copy()
    lower[program.integer] = upper[program.integer] = x[program.integer]
    return LinearProgram(
        lower,
        upper,
        program.row_lower,
        program.row_upper,
        program.start,
        program.index,
        program.value,
        np.zeros_like(program.integer),
    )


# The result -----------------------------------------------------------------------------


def _decisions(plan: PlanProgram, x: Floats) -> Decisions:
    net = plan.system.network
    nodes, demands = net.onhand.size, net.demand_node.size
    nothing = np.zeros((plan.given.edges.size - 1, net.kind.size))
    options = plan.system.investments.maximum.size
    return Decisions(
        runs=plan.column("runs", x, net.kind.size),
        stock=plan.column("stock", x, nodes),
        missing=plan.column("missing", x, nodes),
        delivered=plan.column("delivered", x, demands),
        backlog=plan.column("backlog", x, demands),
        setups=plan.column("setup", x, net.kind.size) if "setup" in plan.columns else nothing,
        invested=plan.column("invested", x, options)
        if options
        else np.zeros((plan.given.edges.size - 1, 0)),
    )


def _result(
    plan: PlanProgram, ranks: tuple[str, ...], solution: Solution, solver: Solver
) -> PlanResult:
    system, given, x = plan.system, plan.given, solution.x
    made = _decisions(plan, x)
    _check_limits(plan, x)
    check_units(system, given, made)
    vector, constant = OBJECTIVES["cost"](plan)
    whole = cost_parts(system, given, made, given.edges.size - 1)
    check_dollars(system.name, whole, float(vector @ x) + constant)
    p = slice(0, given.reported)
    costs = cost_parts(system, given, made, given.reported)
    values = worth(plan, solver, x, ranks)
    net = system.network
    lots = np.zeros_like(made.runs)
    if "lots" in plan.columns:
        lots = plan.column("lots", x, net.kind.size)
    uses = made.runs[:, owners(net.use_start)] * given.use_quantity
    used = np.zeros_like(given.resource_capacity)
    for k, r in enumerate(net.use_resource):
        used[:, r] += uses[:, k]
    added = _added(plan, x)
    return PlanResult(
        edges=given.edges[: given.reported + 1],
        status=solution.status,
        gap=solution.gap,
        method=solution.method,
        objectives={rank: _objective(rank, given, made, costs) for rank in ranks},
        costs=costs,
        completed=_completed(system, given, made)[p],
        runs=made.runs[p],
        lots=lots[p],
        stock=made.stock[p],
        missing=made.missing[p],
        delivered=made.delivered[p],
        backlog=made.backlog[p],
        due=given.due[p],
        resource_use=used[p],
        activity_capacity=(given.capacity + added[0])[p],
        resource_capacity=(given.resource_capacity + added[1])[p],
        spend=(given.cost * made.runs)[p],
        duty=(given.duty * made.runs)[p],
        energy=(given.energy * made.runs)[p],
        invested=tuple(
            (int(i), int(t), float(made.invested[t, i]))
            for t, i in np.argwhere(made.invested[p] > 1e-9)
        ),
        marginal_usd_activity=values.usd.activity[p],
        marginal_usd_resource=values.usd.resource[p],
        marginal_units_activity=values.units.activity[p],
        marginal_units_resource=values.units.resource[p],
        marginal_net_activity=values.net.activity[p],
        marginal_net_resource=values.net.resource[p],
        marginal_usd_stock=values.usd.stock[p],
        marginal_usd_demand=values.usd.demand[p],
        marginal_units_demand=values.units.demand[p],
        marginal_net_demand=values.net.demand[p],
    )


def _completed(system: System, given: PlanInputs, made: Decisions) -> Floats:
    """Good units of each activity's first output that arrive in each period [P, A]."""
    net = system.network
    found = arrivals(net, given)
    owner = owners(net.output_start)
    first = found.output == net.output_start[owner[found.output]]
    activity = owner[found.output[first]]
    out = np.zeros_like(made.runs)
    units = found.units[first] * made.runs[found.start[first], activity]
    np.add.at(out, (found.end[first], activity), units)
    return out


def _objective(rank: str, given: PlanInputs, made: Decisions, costs: dict[str, float]) -> float:
    """Value of an objective over the plan's own periods."""
    p = slice(0, given.reported)
    if rank == "cost":
        return sum(costs.values())
    if rank == "value":
        price = given.price if np.any(given.price > 0) else np.ones_like(given.price)
        return float((price * made.delivered)[p].sum())
    left = (given.edges[given.reported] - given.edges[:-1][p]) / (365.25 * 86400.0)
    return float(left @ (given.due - made.delivered)[p].sum(axis=1))


def _added(plan: PlanProgram, x: Floats) -> tuple[Floats, Floats]:
    """Capacity that investments add: runs [P, A], units of resources [P, R]."""
    net, periods = plan.system.network, plan.given.edges.size - 1
    if "invested" not in plan.columns:
        return np.zeros((periods, net.kind.size)), np.zeros((periods, net.resource_capacity.size))
    only = np.zeros_like(x)
    span = plan.columns["invested"].span
    only[span] = x[span]
    bought = -plan.program.products(only)
    return (
        plan.row("capacity", bought, net.kind.size),
        plan.row("resource", bought, net.resource_capacity.size),
    )


def _check_limits(plan: PlanProgram, x: Floats) -> None:
    """Every capacity, resource and lot row holds; the solver's word is not enough."""
    program = plan.program
    over = program.violations(x)
    if over.size and over.max() > TOLERANCE:
        worst = int(np.argmax(over))
        key, block = next(
            (key, block)
            for key, block in plan.rows.items()
            if block.first <= worst < block.first + len(block)
        )
        position, period = divmod(worst - block.first, block.periods)
        raise BalanceError(
            f"plan of {plan.system.name}: the {key} rule of number {block.ids[position]} "
            f"does not hold in period {period}: off by {over[worst]:.3g}"
        )
