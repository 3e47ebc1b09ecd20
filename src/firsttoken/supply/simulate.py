"""Monte Carlo simulation of a supply network in periods, thousands of replications at once.

In every period, in this order:

1. stock and work in process are lost where a disruption says so;
2. what was started a lead time ago arrives, less its yield loss; fractional lead times are
   split between two periods, random ones may cross;
3. demand falls due and is delivered from stock, in order of demand priority;
4. activities start: as much as material, capacity, resources and the stock maximum of the
   output allow (push), the plan's cumulative quantity (plan), or what base-stock levels order
   (pull). Short material and resources are shared in proportion to what is wanted, or to
   declared shares;
5. demand is delivered from what came out without lead time; the rest waits or is lost;
6. the books are closed: holding cost of stock and of work in process (at the holding cost of
   what went into it), lateness cost of backlog.

A draw outside of what a slot allows counts as the edge: a yield above 1 as 1, a negative rate,
quantity, lead time or cost as 0.

Base-stock operation follows Snyder and Shen, Fundamentals of Supply Chain Theory, 2nd edition
2019, sections 4.3 and 6.2: demand is seen before orders are placed, orders reach upstream
stages within the period, and costs are assessed at its end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.replicate import replicate, usable_cores
from firsttoken.supply.sim_block import Block, Imbalance, Output, Span, Tables
from firsttoken.supply.sim_ops import BITS
from firsttoken.supply.sim_program import write_program
from firsttoken.supply.sim_rows import Program
from firsttoken.supply.sim_state import (
    BlockState,
    SimulationState,
    check_state,
    join_states,
    keep_state,
    load_state,
)
from firsttoken.supply.system import Floats, Ints, Names, System

__all__ = ["BalanceError", "SimulationResult", "SimulationState", "simulate"]

Singles = NDArray[np.float32]

CACHE: Final = 1 << 20
"""Bytes of rows that a block should not exceed: about half of a core's second-level cache."""

LANES: Final = (16, 256)
"""Fewest and most replications side by side."""

ACTIVITY_FIELDS: Final = ("started", "completed", "spend", "duty", "energy", "wip_end")
DEMAND_FIELDS: Final = (
    "due",
    "delivered",
    "lost",
    "backlog_end",
    "delivered_value",
    "delivered_cost",
    "delivered_home",
)


class BalanceError(Exception):
    """The books of a replication do not balance: a fault of the engine, never of the input.

    Attributes
    ----------
    replication : number of the replication.
    place : stock node, activity or "dollars".
    come, gone : amounts that came in, and that left or are still there.
    """

    def __init__(self, replication: int, place: str, come: float, gone: float) -> None:
        super().__init__(
            f"replication {replication}: the books of {place} do not balance: "
            f"{come!r} came in, {gone!r} left or is there"
        )
        self.replication, self.place, self.come, self.gone = replication, place, come, gone


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What R replications did in Q report periods.

    Attributes
    ----------
    started : [R, Q, A], runs started.
    completed : [R, Q, A], good units of the first output that are finished, at the yield of the
        period in which they finish.
    spend : [R, Q, A], USD paid for runs started, without duty.
    duty : [R, Q, A], USD.
    energy : [R, Q, A], J.
    utilisation_activity : [R, Q, A], runs started over capacity; 0 without capacity.
    utilisation_resource : [R, Q, R], the same of resources.
    due, delivered, lost : [R, Q, D], units.
    backlog_end : [R, Q, D], units at the end of the report period.
    delivered_value, delivered_cost, delivered_home : [R, Q, D], USD: at the price, at
        accumulated cost (duty included), and the domestic part of that cost.
    stock_end : [R, Q, N], units; wip_end : [R, Q, A], runs in process, before yield.
    goal : [R, T, G], cumulative USD after each simulated period.
    goal_date : [R, G], s from start, linear within the period; NaN if not reached.
    limited : [Q, A, 4], replication-periods in which an activity was limited by material, its
        own capacity, a resource, or its policy (plan, base stock, stock maximum).
    holding_cost, late_cost : [R, Q], USD.
    parameters : [R, U], the draws of ``system.uncertain``.
    state : the state after the last period.
    """

    started: Singles
    completed: Singles
    spend: Singles
    duty: Singles
    energy: Singles
    utilisation_activity: Singles
    utilisation_resource: Singles
    due: Singles
    delivered: Singles
    lost: Singles
    backlog_end: Singles
    delivered_value: Singles
    delivered_cost: Singles
    delivered_home: Singles
    stock_end: Singles
    wip_end: Singles
    goal: Singles
    goal_date: Floats
    limited: Ints
    holding_cost: Floats
    late_cost: Floats
    parameters: Floats
    state: SimulationState


def simulate(
    system: System,
    replications: int,
    seed: int,
    initial_state: SimulationState | None = None,
    *,
    until: int | None = None,
    plan_runs: Floats | None = None,
    threads: int | None = None,
    block: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
) -> SimulationResult:
    """Simulate a supply network.

    Parameters
    ----------
    system : the compiled network, T periods.
    replications : number of replications R.
    seed : seed of the random streams; results are the same bits for any `threads` and `block`.
    initial_state : where to continue, of as many replications, or of one that all start from;
        None: the twin's start. Continuing gives the same bits as never having stopped.
    until : period before which to stop; None: the last.
    plan_runs : [T, A], runs to start in each period by activities released by plan.
    threads : number of threads; None: all cores.
    block : replications computed side by side; None: a good number.
    progress : called as ``progress(done, replications)``.
    cancel : event that stops the work.

    Raises
    ------
    ValueError
        If an argument does not fit the system, or a pushed activity has no limit.
    BalanceError
        If the books of a replication do not balance.
    CancelledError
        If `cancel` was set.
    """
    program = write_program(system)
    first = initial_state.period if initial_state is not None else 0
    last = len(system.report) if until is None else until
    if not 0 <= first <= last <= len(system.report) or replications < 0:
        raise ValueError(
            f"cannot simulate {replications} replications of the periods {first} to {last} "
            f"of {len(system.report)}"
        )
    if initial_state is not None:
        check_state(program, replications, initial_state)
    plan = _cumulative_plan(system, plan_runs)
    fresh = int(initial_state is None)
    span = Span(system.edges, system.report, first, last, fresh, plan)
    output = _new_output(system, program, replications, last - first)
    tables = _tables(system, program)
    run = _Run(program, tables, span, system.uncertain, seed, initial_state, output)
    replicate(
        run.block,
        replications,
        block=min(block or _lanes(program, replications, threads), (1 << BITS) - 1),
        threads=threads,
        progress=progress,
        cancel=cancel,
    )
    return run.result(system)


def _lanes(program: Program, replications: int, threads: int | None) -> int:
    """Replications side by side: as many as the cache holds, and something for every thread."""
    fewest, most = LANES
    held = CACHE // (8 * program.count) // fewest * fewest
    share = -(-replications // (threads or usable_cores()))
    return max(min(held, most, -(-share // 8) * 8), fewest)


class _Run:
    """A simulation under way: hands blocks to compiled code and collects what they leave."""

    def __init__(
        self,
        program: Program,
        tables: Tables,
        span: Span,
        uncertain: Ints,
        seed: int,
        initial: SimulationState | None,
        output: Output,
    ) -> None:
        self.program, self.tables, self.span = program, tables, span
        self.uncertain = uncertain
        self.parameters = np.zeros((len(output.goal), len(uncertain)))
        self.seed, self.initial, self.output = seed, initial, output
        self.lock = threading.Lock()
        periods = int(span.report.max(initial=-1)) + 1
        self.limited = np.zeros((periods, len(program.net.kind), 4), np.int64)
        self.ends: dict[int, BlockState] = {}
        self.failures: list[Imbalance] = []

    def block(self, low: int, high: int) -> None:
        """Simulate the replications ``low <= r < high``."""
        w, pipeline = load_state(self.program, self.initial, low, high)
        block = Block(self.program, self.tables, self.span, self.seed, low, w, pipeline)
        limited = np.zeros_like(self.limited)
        block.run(self.output, limited)
        self.parameters[low:high] = block.drawn[self.uncertain].T
        end, imbalance = keep_state(self.program, w, block.pipeline), block.imbalance()
        with self.lock:
            self.limited += limited
            self.ends[low] = end
            if imbalance is not None:
                self.failures.append(imbalance)

    def result(self, system: System) -> SimulationResult:
        """What all blocks did."""
        if self.failures:
            raise _balance_error(min(self.failures), system.names)
        ends = [self.ends[low] for low in sorted(self.ends)]
        state = join_states(self.program, self.span.last, ends)
        activities = len(system.network.kind)
        ratios = self.output.ratios
        return SimulationResult(
            **dict(zip(ACTIVITY_FIELDS, self.output.activities, strict=True)),
            **dict(zip(DEMAND_FIELDS, self.output.demands, strict=True)),
            utilisation_activity=ratios[:, :, :activities],
            utilisation_resource=ratios[:, :, activities:],
            stock_end=self.output.nodes[0],
            goal=self.output.goal,
            goal_date=state.goal_date,
            limited=self.limited,
            holding_cost=self.output.money[:, :, 0],
            late_cost=self.output.money[:, :, 1],
            parameters=self.parameters,
            state=state,
        )


def _balance_error(imbalance: Imbalance, names: Names) -> BalanceError:
    replication, kind, index, come, gone = imbalance
    places = {
        "units": names.nodes,
        "runs": names.activities,
        "money": ("dollars", "domestic dollars"),
    }
    return BalanceError(replication, places[kind][index], come, gone)


def _cumulative_plan(system: System, plan_runs: Floats | None) -> Floats:
    shape = (len(system.report), len(system.network.kind))
    plan = np.zeros((shape[0] + 1, shape[1]))
    if plan_runs is not None:
        if np.shape(plan_runs) != shape:
            raise ValueError(f"plan_runs has shape {np.shape(plan_runs)}, not {shape}")
        np.cumsum(plan_runs, axis=0, out=plan[1:])
    return plan


def _tables(system: System, program: Program) -> Tables:
    leads = np.flatnonzero(program.net.lead_time >= 0)
    rows = program.net.lead_time[leads]
    widths, formulas = np.diff(system.edges), program.formulas
    rows_of = (formulas.noise, formulas.moving, formulas.row[formulas.dynamic])
    changing = np.concatenate(rows_of)
    return Tables(
        parameters=program.parameters,
        series=program.series,
        formulas=program.formulas,
        code=np.array(program.code, np.int64).reshape(-1, 8),
        lead_activity=leads,
        lead_row=rows,
        moving_lead=int(bool(np.any(np.isin(rows, changing)))),
        even=int(bool(np.all(widths == widths[:1]))),
        goal=program.rows["goal"],
        sums=program.rows["report"],
        started=program.rows["started"],
        begun=program.rows["begun"],
    )


def _new_output(system: System, program: Program, replications: int, periods: int) -> Output:
    net, rows, r = system.network, program.rows, replications
    q = int(system.report.max(initial=-1)) + 1
    a, d, n = len(net.kind), len(net.demand_node), len(net.onhand)
    activity_rows = np.array([rows[name.removesuffix("_end")] for name in ACTIVITY_FIELDS])
    demand_rows = np.array([rows[name.removesuffix("_end")] for name in DEMAND_FIELDS])
    used = np.concatenate([rows["started"], rows["resource_used"]])
    return Output(
        activities=np.zeros((len(ACTIVITY_FIELDS), r, q, a), np.float32),
        nodes=np.zeros((1, r, q, n), np.float32),
        demands=np.zeros((len(DEMAND_FIELDS), r, q, d), np.float32),
        ratios=np.zeros((r, q, len(used)), np.float32),
        goal=np.zeros((r, periods, len(net.goal_target)), np.float32),
        money=np.zeros((r, q, 2)),
        activity_rows=activity_rows,
        node_rows=rows["stock"][None, :],
        demand_rows=demand_rows,
        used_rows=used,
        offered_rows=np.concatenate([rows["capacity"], rows["resource_capacity"]]),
        money_rows=np.concatenate([rows["holding_cost"], rows["late_cost"]]),
    )
