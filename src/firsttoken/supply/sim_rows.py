"""The program of a simulated period in the making: its rows, and small phrases of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.supply import sim_ops as op
from firsttoken.supply.sim_formulas import Formulas
from firsttoken.supply.sim_waves import Wave, find_waves, owners, row
from firsttoken.supply.system import PULL, Ints, Network

STATE: Final = (
    "stock",
    "value",
    "home",
    "backlog",
    "wip",
    "outstanding",
    "begun",
    "goal",
    "goal_date",
)


@dataclass(slots=True)
class Program:
    """A system restated for the simulation.

    Attributes
    ----------
    parameters, series, formulas : what draws and evaluates the expressions, the first rows.
    net : the network, its expressions renumbered to rows; -1 also for those that do nothing.
    valued : False if nothing costs anything, so that no value needs to be moved.
    homed : whether any cost is domestic.
    ones : rows that are always 1.
    rows : row of every member of every named quantity; -1 where it is not kept.
    count : number of rows.
    code : the instructions of a period.
    parameter_rows : parameter to row, of drawn parameters that instructions read.
    """

    parameters: ParameterTable
    series: SeriesTable
    formulas: Formulas
    net: Network
    valued: bool
    ones: frozenset[int]
    homed: bool = False
    rows: dict[str, Ints] = field(default_factory=dict)
    count: int = 0
    code: list[list[int]] = field(default_factory=list)
    parameter_rows: dict[int, int] = field(default_factory=dict)

    def new(self, name: str, size: int, kept: object = True) -> Ints:
        """Rows of a named quantity with `size` members, of those that are `kept`."""
        chosen = np.broadcast_to(np.asarray(kept, bool), size)
        rows = np.full(size, -1, np.int64)
        rows[chosen] = self.count + np.arange(int(chosen.sum()))
        self.count += int(chosen.sum())
        self.rows[name] = rows
        return rows

    def emit(self, operation: int, *operands: int) -> None:
        """Append an instruction."""
        self.code.append([operation, *(int(x) for x in operands), *[0] * (7 - len(operands))])

    @contextmanager
    def skipping(self, operation: int, *operands: int) -> Iterator[None]:
        """Let the instruction skip those that are emitted inside; their number is its last."""
        place = len(self.code)
        self.emit(operation, *operands)
        yield
        self.code[place][1 + len(operands)] = len(self.code) - place - 1

    def parameter(self, p: int) -> int:
        """Row of a drawn parameter."""
        if p not in self.parameter_rows:
            self.parameter_rows[p] = int(self.new(f"parameter {p}", 1)[0])
        return self.parameter_rows[p]


class Rows:
    """The rows of a program, and the phrases that all rules use."""

    def __init__(self, program: Program, quick: list[bool], planned_yield: Ints) -> None:
        self.p, self.emit, self.net = program, program.emit, program.net
        self.quick, self.planned = quick, planned_yield
        self.waves: list[Wave] = find_waves(self.net, quick)
        self._rows()

    def _rows(self) -> None:
        new, net, valued = self.p.new, self.net, self.p.valued
        n, a, d = len(net.onhand), len(net.kind), len(net.demand_node)
        g, r = len(net.goal_target), len(net.resource_capacity)
        self.stock = new("stock", n)
        self.value = new("value", n if valued else 0)
        self._find_homes()
        self.home = new("home", n if self.p.homed else 0, self.homed_nodes[: n * self.p.homed])
        self.backlog, self.wip = new("backlog", d), new("wip", a)
        self.outstanding = new("outstanding", a, net.release == PULL)
        self.begun = new("begun", a)
        self.goal, self.goal_date = new("goal", g), new("goal_date", g)
        # Sums over a report period.
        first = self.p.count
        self.started, self.completed = new("started", a), new("completed", a)
        self.spend = new("spend", a, (net.cost >= 0) | (net.setup_cost >= 0))
        self.duty, self.energy = new("duty", a, net.duty >= 0), new("energy", a, net.energy >= 0)
        self.capacity = new("capacity", a, net.capacity >= 0)
        self.used, self.offered = new("resource_used", r), new("resource_capacity", r)
        self.due, self.delivered, self.lost = new("due", d), new("delivered", d), new("lost", d)
        self.delivered_value = new("delivered_value", d, net.price >= 0)
        self.delivered_cost = new("delivered_cost", d, valued)
        self.delivered_home = new("delivered_home", d, self.homed_nodes[net.demand_node])
        self.costs = new("holding_cost", 1), new("late_cost", 1)
        self.p.rows["report"] = np.arange(first, self.p.count)
        # Books over the whole run.
        self.arrived, self.gone = new("arrived", n), new("gone", n)
        self.money_in, self.money_out = new("money_in", 2), new("money_out", 2)
        # Working rows.
        widest = max((len(wave.activities) for wave in self.waves), default=0)
        self.want, self.reason = new("want", widest), new("reason", widest)
        self.ratio, self.blame = new("ratio", widest), new("blame", widest)
        self.left, self.before = new("left", r), new("goal_before", g)
        self.room = new("room", n, net.stock_maximum >= 0)
        self.free, self.free_left = new("free", n), new("free_left", r)
        self.total = new("total", max((len(c) for w in self.waves for c in w.contests), default=0))
        self.good, self.cost, self.cost_home, self.paid, self.share, self.s, self.s2 = new("s", 7)

    def _find_homes(self) -> None:
        """Find the activities and nodes that domestic cost can reach."""
        net = self.net
        paid = (net.cost >= 0) | (net.setup_cost >= 0)
        self.homed = paid & (net.domestic != 0) & self.p.valued
        self.homed_nodes = np.zeros(len(net.onhand), bool)
        inputs, outputs = owners(net.input_start), owners(net.output_start)
        for _ in range(len(net.kind)):
            self.homed_nodes[net.output_node[self.homed[outputs]]] = True
            reached = inputs[self.homed_nodes[net.input_node]]
            if self.homed[reached].all():
                break
            self.homed[reached] = True
        self.p.homed = bool(self.homed.any())

    def _outputs(self, a: int) -> list[int]:
        return row(self.net.output_start, self.net.output_node, a)

    def _range(self, start: Ints, a: int) -> range:
        return range(int(start[a]), int(start[a + 1]))

    def _made_at(self, n: int) -> list[int]:
        """Outputs of all activities that go to node n."""
        return [int(k) for k in np.flatnonzero(self.net.output_node == n)]

    def _is_plain(self, k: int) -> bool:
        """Whether a run makes just one unit of output k."""
        one = int(self.net.output_quantity[k]) in self.p.ones
        return one and bool(self.planned[owners(self.net.output_start)[k]] < 0)

    def _add(self, total: int, x: int, quantity: int) -> None:
        """Total += x quantity."""
        if int(quantity) in self.p.ones:
            self.emit(op.ADD, total, x)
        else:
            self.emit(op.ADD_PRODUCT, total, x, quantity)

    def _take(self, units: int, x: int, quantity: int) -> None:
        """Units -= x quantity, not below 0."""
        if int(quantity) in self.p.ones:
            self.emit(op.EASE, units, x)
        else:
            self.emit(op.TAKE, units, x, quantity)

    def _least(self, runs: int, units: int, quantity: int) -> None:
        """Runs = at most what the units allow."""
        if int(quantity) in self.p.ones:
            self.emit(op.MIN, runs, units)
        else:
            self.emit(op.MIN_RUNS, runs, units, quantity)

    def _limit(self, rows: tuple[int, int], units: int, quantity: int, code: int) -> None:
        """Want = at most what the units allow, and the reason."""
        if int(quantity) in self.p.ones:
            self.emit(op.LIMIT, *rows, units, code)
        else:
            self.emit(op.LIMIT_UNITS, *rows, units, quantity, code)
