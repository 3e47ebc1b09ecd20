"""Writes the program of a simulated period: which operations run on which rows, in order."""

from __future__ import annotations

from typing import Final

import numpy as np

from firsttoken.kernel import codes
from firsttoken.supply import sim_ops as op
from firsttoken.supply.sim_formulas import Interning, least_value
from firsttoken.supply.sim_orders import Orders
from firsttoken.supply.sim_rows import Program
from firsttoken.supply.sim_starts import Starts
from firsttoken.supply.sim_waves import order_nodes, owners, row
from firsttoken.supply.system import PUSH, Ints, Network, System
from firsttoken.twin.findings import Finding, TwinError

EXPRESSIONS: Final[dict[str, float | None]] = {
    # Columns of `Network` that are expressions, and the value at which there is none to speak of.
    "stock_maximum": np.inf,
    "base_stock": None,
    "holding_cost": 0.0,
    "input_quantity": None,
    "output_quantity": None,
    "yield_": 1.0,
    "lead_time": 0.0,
    "capacity": np.inf,
    "available": 1.0,
    "cost": 0.0,
    "setup_cost": 0.0,
    "duty": 0.0,
    "energy": 0.0,
    "use_quantity": None,
    "resource_capacity": None,
    "demand_rate": None,
    "price": 0.0,
    "late_cost": 0.0,
    "goal_value": None,
}


def write_program(system: System) -> Program:
    """Write the program of a system's period.

    Raises
    ------
    TwinError
        If an activity that is pushed has no limit at all: it would start without end.
    """
    use = Interning(system)
    net = system.network
    planned = use.without_noise(net.yield_, np.ones(len(net.yield_), bool))
    longest = float(np.max(np.diff(system.edges), initial=0.0))
    quick = [not least_value(use, int(e)) >= longest for e in net.lead_time]
    columns = {
        name: use.column(getattr(net, name), trivial) for name, trivial in EXPRESSIONS.items()
    }
    bounds = [least_value(use, int(e)) for e in net.input_quantity]
    net = net._replace(**columns)
    check_limits(net, system.names.activities, bounds)
    formulas, series, place, count = use.finish()
    columns = {name: _placed(columns[name], place) for name in columns}
    valued = _is_valued(use, net)
    ones = frozenset(place[e] for e, p in enumerate(use.found) if use.value(p) == 1.0)
    program = Program(
        use.parameters,
        series,
        formulas,
        net._replace(**columns),
        valued,
        ones,
        count=count,
    )
    Period(program, quick, _placed(planned, place)).write()
    return program


def _placed(column: Ints, place: Ints) -> Ints:
    """Rows of expressions; -1 stays."""
    rows = np.full(len(column), -1, np.int64)
    rows[column >= 0] = place[column[column >= 0]]
    return rows


def _is_valued(use: Interning, net: Network) -> bool:
    paid = (net.cost, net.setup_cost, net.duty)
    if any(int(column.max(initial=-1)) >= 0 for column in paid):
        return True
    table = use.parameters
    free = (table.code[net.unit_cost] == codes.CONSTANT) & (table.args[net.unit_cost, 0] == 0.0)
    return not bool(np.all(free))


def check_limits(net: Network, names: tuple[str, ...], quantities: list[float]) -> None:
    """Raise ``TwinError`` for pushed activities without any limit.

    Parameters
    ----------
    quantities : lower bound of what each input takes; what may take nothing limits nothing.
    """
    endless = []
    for a, name in enumerate(names):
        inputs = quantities[net.input_start[a] : net.input_start[a + 1]]
        outputs = row(net.output_start, net.output_node, a)
        limited = (
            net.release[a] != PUSH
            or net.capacity[a] >= 0
            or any(least > 0 for least in inputs)
            or net.use_start[a + 1] > net.use_start[a]
            or bool(np.any(net.stock_maximum[outputs] >= 0))
        )
        if not limited:
            endless.append(name)
    if endless:
        raise TwinError(
            Finding(
                f"pushed without any limit: {', '.join(endless)}",
                "push starts whatever material and capacity allow",
                "give a capacity, a resource or a stock maximum, or 'release: plan' or 'pull'",
                code="endless",
            )
        )


class Period(Orders, Starts):
    """Writes a whole period, rule by rule."""

    def write(self) -> None:
        """Write the whole period."""
        net = self.net
        for g, total in enumerate(self.goal):
            self.emit(op.COPY, self.before[g], total)
        for a in range(len(net.kind)):
            with self.p.skipping(op.SKIP_UNPIPED, a):
                self._finish(a)
        for d in range(len(net.demand_node)):
            self.emit(op.DUE, self.backlog[d], self.due[d], net.demand_rate[d])
            self._deliver(d)
        for n, producers in order_nodes(net):
            self._order(n, producers)
        for limited in np.flatnonzero(net.stock_maximum >= 0).tolist():
            self._make_room(limited)
        for r, rate in enumerate(net.resource_capacity):
            self.emit(op.SET_RATE, self.left[r], rate)
        for wave in self.waves:
            self._serve(wave)
        self._close()

    def _close(self) -> None:
        """Late deliveries, costs of the period, capacity offered, dates of goals."""
        net, (holding, late) = self.net, self.costs
        made = {n for a, q in enumerate(self.quick) if q for n in self._outputs(a)}
        for d, n in enumerate(net.demand_node):
            if int(n) in made:
                self._deliver(d)
            if net.lost[d]:
                self.emit(op.ADD, self.lost[d], self.backlog[d])
                self.emit(op.ZERO, self.backlog[d])
            if net.late_cost[d] >= 0:
                self.emit(op.ADD_HELD, late[0], self.backlog[d], net.late_cost[d])
        for r, rate in enumerate(net.resource_capacity):
            self.emit(op.ADD_RATE, self.offered[r], rate)
            self.emit(op.ADD_RATE, self.used[r], rate)
            self.emit(op.SUBTRACT, self.used[r], self.left[r])
        for a in np.flatnonzero(net.capacity >= 0):
            self.emit(op.ADD_RATE, self.capacity[a], net.capacity[a])
        for n in np.flatnonzero(net.holding_cost >= 0):
            self.emit(op.ADD_HELD, holding[0], self.stock[n], net.holding_cost[n])
        for k, a in enumerate(owners(net.input_start)):
            cost, held = net.holding_cost[net.input_node[k]], self.wip[a]
            if cost < 0:
                continue
            if int(net.input_quantity[k]) not in self.p.ones:
                self.emit(op.COPY, self.s, held)
                self.emit(op.MULTIPLY, self.s, net.input_quantity[k])
                held = self.s
            self.emit(op.ADD_HELD, holding[0], held, cost)
        for g, total in enumerate(self.goal):
            target = self.p.parameter(int(net.goal_target[g]))
            self.emit(op.GOAL_DATE, self.goal_date[g], total, self.before[g], target)
