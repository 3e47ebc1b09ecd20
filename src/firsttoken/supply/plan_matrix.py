"""The time-expanded linear program of a plan.

Columns, each a block [entities, periods]: runs started, stock at the end of a period, units
delivered, backlog at the end, safety stock missing at the end; units invested, periods with
a set-up, lots. Rows: balance of every stock, demand, shared resources, safety stock, capacity
with investments, lots. See Pochet, Wolsey: Production Planning by Mixed Integer Programming,
2006, chapters 1 (lot sizing) and 12 (multi-level).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from firsttoken.supply.lp import LinearProgram, Triplets
from firsttoken.supply.plan_inputs import Arrivals, PlanInputs, arrivals, owners
from firsttoken.supply.system import Floats, Ints, System

WEEK = 7 * 86400.0
SHORTFALL = 0.0025 / WEEK
"""Penalty on missing safety stock: 0.25 % of its standard cost a week, half of the usual
penalty on a late unit, so that customers come before safety stock."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of columns or rows: entity `ids[i]` in period p has number first + i * P + p."""

    first: int
    ids: Ints
    periods: int

    def __len__(self) -> int:
        return self.ids.size * self.periods

    @property
    def span(self) -> slice:
        """Positions of the whole block."""
        return slice(self.first, self.first + len(self))

    def at(self, position: Ints | int, period: Ints | int) -> Ints:
        """Numbers of entries, by position in `ids`."""
        return np.asarray(self.first + np.asarray(position) * self.periods + period, np.int64)

    def grid(self) -> tuple[Ints, Ints]:
        """(position, period) of every entry in order."""
        position, period = np.divmod(np.arange(len(self)), self.periods)
        return position, period

    def take(self, x: Floats, width: int) -> Floats:
        """Values as [P, width] by entity number, 0 for those without an entry."""
        out = np.zeros((self.periods, width))
        out[:, self.ids] = x[self.span].reshape(self.ids.size, self.periods).T
        return out


@dataclass(slots=True)
class PlanProgram:
    """A plan's program and where everything is in it.

    Attributes
    ----------
    offset : USD to add to each objective's value (demand that may be lost).
    """

    system: System
    given: PlanInputs
    arrivals: Arrivals
    columns: dict[str, Block] = field(default_factory=dict)
    rows: dict[str, Block] = field(default_factory=dict)
    program: LinearProgram = field(init=False)

    def column(self, key: str, x: Floats, width: int) -> Floats:
        """Values of a block of columns [P, width]."""
        return self.columns[key].take(x, width)

    def row(self, key: str, y: Floats, width: int) -> Floats:
        """Values of a block of rows [P, width]."""
        return self.rows[key].take(y, width)


class Builder:
    """Collects columns, rows and entries; `finish` makes the program."""

    def __init__(self, system: System, given: PlanInputs, integer: bool) -> None:
        self.system, self.net, self.given = system, system.network, given
        self.integer = integer
        self.periods = given.edges.size - 1
        self.plan = PlanProgram(system, given, arrivals(system.network, given))
        self.entries = Triplets()
        self.lower: list[Floats] = []
        self.upper: list[Floats] = []
        self.whole: list[bool] = []
        self.row_lower: list[Floats] = []
        self.row_upper: list[Floats] = []

    # Words --------------------------------------------------------------------------------

    def columns(self, key: str, ids: Ints, upper: Floats | float, whole: bool = False) -> Block:
        """Add a block of columns from 0 to `upper` [P, ids]."""
        block = Block(sum(map(len, self.plan.columns.values())), ids, self.periods)
        self.plan.columns[key] = block
        self.lower.append(np.zeros(len(block)))
        full = np.broadcast_to(np.asarray(upper, np.float64), (self.periods, ids.size))
        self.upper.append(full.T.ravel())
        self.whole.append(whole)
        return block

    def rows(self, key: str, ids: Ints, lower: Floats | float, upper: Floats | float) -> Block:
        """Add a block of rows with bounds [P, ids]."""
        block = Block(sum(map(len, self.plan.rows.values())), ids, self.periods)
        self.plan.rows[key] = block
        for side, bound in ((self.row_lower, lower), (self.row_upper, upper)):
            full = np.broadcast_to(np.asarray(bound, np.float64), (self.periods, ids.size))
            side.append(full.T.ravel())
        return block

    def enter(self, row: Block, column: Block, value: Floats | float = 1.0) -> None:
        """Entries between blocks of the same entities, value [P, ids] or one for all."""
        position, period = row.grid()
        if isinstance(value, np.ndarray):
            value = value.T.ravel()
        self.entries.add(row.at(position, period), column.at(position, period), value)

    def carry(self, row: Block, column: Block, value: Floats | float) -> None:
        """Entries of the period before: row p, column p - 1; value [P, ids], first unused."""
        position, period = row.grid()
        if isinstance(value, np.ndarray):
            value = value.T.ravel()[period > 0]
        position, period = position[period > 0], period[period > 0]
        self.entries.add(row.at(position, period), column.at(position, period - 1), value)

    # The plan -----------------------------------------------------------------------------

    def build(self) -> PlanProgram:
        """Assemble everything."""
        self._stocks()
        self._demands()
        self._resources()
        self._safety()
        if self.system.investments.maximum.size:
            self._investments()
        self._setups()
        self._lots()
        return self._finish()

    def _stocks(self) -> None:
        net, given = self.net, self.given
        runs = self.columns("runs", np.arange(net.kind.size), self._run_limit())
        nodes = np.arange(net.onhand.size)
        stock = self.columns("stock", nodes, given.stock_maximum)
        opening = np.zeros((self.periods, nodes.size))
        opening[0] = -given.onhand * given.keep[0]
        balance = self.rows("balance", nodes, opening, opening)
        self.enter(balance, stock, -1.0)
        self.carry(balance, stock, given.keep)
        period = np.arange(self.periods)[:, None]
        self.entries.add(
            balance.at(net.input_node, period),
            runs.at(owners(net.input_start), period),
            -given.input_quantity,
        )
        flow = self.plan.arrivals
        self.entries.add(
            balance.at(net.output_node[flow.output], flow.end),
            runs.at(owners(net.output_start)[flow.output], flow.start),
            flow.units,
        )

    def _run_limit(self) -> Floats:
        """Capacity [P, A]; those that investments add to are limited by rows instead."""
        limit = self.given.capacity.copy()
        grows = self.system.investments.activity
        grows = np.unique(grows[grows >= 0])
        limit[:, grows] = np.where(self.given.available[:, grows] > 0, np.inf, 0.0)
        return limit

    def _demands(self) -> None:
        net, given = self.net, self.given
        every = np.arange(net.demand_node.size)
        lost = net.lost > 0
        limit = np.where(lost, given.due, np.inf)
        delivered = self.columns("delivered", every, limit)
        period = np.arange(self.periods)[:, None]
        balance = self.plan.rows["balance"]
        self.entries.add(balance.at(net.demand_node, period), delivered.at(every, period), -1.0)
        waiting = every[~lost]
        backlog = self.columns("backlog", waiting, np.inf)
        due = given.due[:, waiting]
        demand = self.rows("demand", waiting, due, due)
        self.entries.add(
            demand.at(np.arange(waiting.size), period), delivered.at(waiting, period), 1.0
        )
        self.enter(demand, backlog)
        self.carry(demand, backlog, -1.0)

    def _resources(self) -> None:
        net, given = self.net, self.given
        every = np.arange(net.resource_capacity.size)
        rows = self.rows("resource", every, -np.inf, given.resource_capacity)
        period = np.arange(self.periods)[:, None]
        self.entries.add(
            rows.at(net.use_resource, period),
            self.plan.columns["runs"].at(owners(net.use_start), period),
            given.use_quantity,
        )

    def _safety(self) -> None:
        wanted = self.given.stock_minimum
        ids = np.flatnonzero(np.any(wanted > 0, axis=0))
        missing = self.columns("missing", ids, np.inf)
        rows = self.rows("safety", ids, wanted[:, ids], np.inf)
        self.enter(rows, missing)
        period = np.arange(self.periods)[:, None]
        self.entries.add(
            rows.at(np.arange(ids.size), period), self.plan.columns["stock"].at(ids, period), 1.0
        )

    def _investments(self) -> None:
        given, options = self.given, self.system.investments
        values = given.parameters
        begin, end = given.edges[:-1], given.edges[1:]
        ids = np.arange(options.maximum.size)
        allowed = (begin[:, None] >= values[options.earliest] - 1e-6) & (
            begin[:, None] <= values[options.latest] + 1e-6
        )
        bought = self.columns(
            "invested", ids, np.where(allowed, options.maximum, 0.0), whole=self.integer
        )
        grows = np.unique(options.activity[options.activity >= 0])
        limit = self.rows("capacity", grows, -np.inf, given.capacity[:, grows])
        period = np.arange(self.periods)
        self.entries.add(
            limit.at(np.arange(grows.size), period[:, None]),
            self.plan.columns["runs"].at(grows, period[:, None]),
            1.0,
        )
        for i in range(ids.size):
            ready = begin + values[options.lead_time[i]]
            # share of each period p (second axis) that capacity decided in q (first) serves
            served = np.clip(end - np.maximum(begin, ready[:, None]), 0.0, None)
            a, r = options.activity[i], options.resource[i]
            if a >= 0:
                served = served * np.minimum(given.available[:, a], 1.0)
                row = limit.at(int(np.searchsorted(grows, a)), period)
            else:
                row = self.plan.rows["resource"].at(int(r), period)
            q, p = np.nonzero(served * allowed[:, i, None])
            self.entries.add(row[p], bought.at(i, q), -values[options.adds[i]] * served[q, p])
        total = np.full((self.periods, ids.size), np.inf)
        total[0] = options.maximum
        most = self.rows("maximum", ids, -np.inf, total)
        self.entries.add(most.at(ids[:, None], 0), bought.at(ids[:, None], period), 1.0)

    def _setups(self) -> None:
        net, given = self.net, self.given
        smallest = self._fixed(net.lot_minimum)
        paid = np.any(given.setup_cost > 0, axis=0)
        ids = np.flatnonzero(paid | (smallest > 0))
        if not ids.size:
            return
        limit = self._run_limit()[:, ids]
        most = np.maximum(np.minimum(self.most_runs()[:, ids], limit), smallest[ids])
        most = np.where(limit < smallest[ids], 0.0, most)
        on = self.columns("setup", ids, 1.0, whole=self.integer)
        above = self.rows("setup", ids, -np.inf, 0.0)
        self.enter(above, on, -most)
        least = self.rows("lot_minimum", ids, 0.0, np.inf)
        self.enter(least, on, np.broadcast_to(-smallest[ids], most.shape).copy())
        self._runs_in(above, ids)
        self._runs_in(least, ids)

    def _lots(self) -> None:
        size = self._fixed(self.net.lot_multiple)
        ids = np.flatnonzero(size > 0)
        if not ids.size:
            return
        # without lots an upper bound could never be reached by rounding up once
        most = np.ceil(self.most_runs()[:, ids] / size[ids]) + 1
        lots = self.columns("lots", ids, most, whole=self.integer)
        rows = self.rows("lot_multiple", ids, 0.0, 0.0)
        self.enter(rows, lots, np.broadcast_to(-size[ids], most.shape).copy())
        self._runs_in(rows, ids)

    def _runs_in(self, rows: Block, ids: Ints) -> None:
        position, period = rows.grid()
        runs = self.plan.columns["runs"]
        self.entries.add(rows.at(position, period), runs.at(ids[position], period), 1.0)

    def _fixed(self, index: Ints) -> Floats:
        return np.where(index >= 0, self.given.parameters[np.maximum(index, 0)], 0.0)

    def most_runs(self) -> Floats:
        """Runs [P, A] beyond which a period can gain nothing.

        All demand and stock wanted, exploded through the bills of material at the worst
        yield, rounded up to lots.
        """
        net, given = self.net, self.given
        need = given.stock_minimum.max(axis=0)
        np.add.at(need, net.demand_node, given.due.sum(axis=0))
        made = np.where(given.output_quantity > 0, given.output_quantity, np.inf).min(axis=0)
        used = given.input_quantity.max(axis=0, initial=0.0)
        lot = np.maximum(self._fixed(net.lot_minimum), self._fixed(net.lot_multiple))
        most = np.zeros(net.kind.size)
        for a in range(net.kind.size - 1, -1, -1):
            out = slice(net.output_start[a], net.output_start[a + 1])
            into = slice(net.input_start[a], net.input_start[a + 1])
            most[a] = np.max(need[net.output_node[out]] / made[out], initial=0.0) + lot[a]
            np.add.at(need, net.input_node[into], used[into] * most[a])
        return np.broadcast_to(most, given.capacity.shape).copy()

    def _finish(self) -> PlanProgram:
        blocks = self.plan.columns.values()
        n, m = sum(map(len, blocks)), sum(map(len, self.plan.rows.values()))
        start, index, value = self.entries.compress(m, n)
        self.plan.program = LinearProgram(
            np.concatenate(self.lower),
            np.concatenate(self.upper),
            np.concatenate(self.row_lower),
            np.concatenate(self.row_upper),
            start,
            index,
            value,
            np.repeat(np.array(self.whole), [len(block) for block in blocks]),
        )
        return self.plan


# Objectives -----------------------------------------------------------------------------


def cost_vector(plan: PlanProgram) -> tuple[Floats, float]:
    """Least cost: (coefficients, constant), USD; see `cost_parts` for what is in it."""
    given, net = plan.given, plan.system.network
    vector = np.zeros(plan.program.lower.size)

    def put(key: str, values: Floats) -> None:
        block = plan.columns[key]
        vector[block.span] = values[:, block.ids].T.ravel()

    put("runs", given.cost + given.duty)
    put("stock", given.holding)
    lost = net.lost > 0
    put("delivered", np.where(lost, -given.price, 0.0))
    waiting = given.late.copy()
    waiting[-1] += given.price[-1]
    put("backlog", waiting)
    put("missing", shortfall_cost(given))
    if "setup" in plan.columns:
        put("setup", given.setup_cost)
    if "invested" in plan.columns:
        options = plan.system.investments
        price = given.parameters[options.cost]
        put("invested", np.broadcast_to(price, (given.edges.size - 1, price.size)))
    return vector, float((given.price * given.due)[:, lost].sum())


def shortfall_cost(given: PlanInputs) -> Floats:
    """USD [P, N] for a unit of safety stock that is missing at the end of the period.

    At the end of the plan it is its standard cost: somebody has to buy it later.
    """
    rate = SHORTFALL * given.standard_cost * given.lengths[:, None]
    penalty = 2.0 * given.holding + rate
    penalty[-1] += given.standard_cost
    return penalty


def value_vector(plan: PlanProgram) -> tuple[Floats, float]:
    """Most value delivered in the plan's own periods, negated.

    Units count at their price, or bare if all are free.
    """
    price = plan.given.price
    return _delivered_vector(plan, -price if np.any(price > 0) else -np.ones_like(price)), 0.0


def units_vector(plan: PlanProgram) -> Floats:
    """Units delivered in the plan's own periods."""
    return _delivered_vector(plan, np.ones_like(plan.given.price))


def price_vector(plan: PlanProgram) -> Floats:
    """Value delivered in the plan's own periods, USD."""
    return _delivered_vector(plan, plan.given.price)


def earliest_vector(plan: PlanProgram) -> tuple[Floats, float]:
    """Earliest completion: unit-years that demand waits.

    From the period it is due in to that of its delivery; what is not delivered waits to the
    end of the plan's own periods.
    """
    given, due = plan.given, plan.given.due
    left = (given.edges[given.reported] - given.edges[:-1]) / (365.25 * 86400.0)
    waits = np.broadcast_to(np.maximum(left, 0.0)[:, None], due.shape)
    return _delivered_vector(plan, -waits), float((due * waits).sum())


def _delivered_vector(plan: PlanProgram, values: Floats) -> Floats:
    vector = np.zeros(plan.program.lower.size)
    own = np.arange(len(values)) < plan.given.reported
    vector[plan.columns["delivered"].span] = (values * own[:, None]).T.ravel()
    return vector


OBJECTIVES: dict[str, Callable[[PlanProgram], tuple[Floats, float]]] = {
    "value": value_vector,
    "cost": cost_vector,
    "earliest": earliest_vector,
}
