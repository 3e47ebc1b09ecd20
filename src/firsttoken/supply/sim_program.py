"""Writes the program of a simulated period: which operations run on which rows, in order.

Stock is kept at moving average cost: what leaves takes its share of the accumulated cost, what
arrives adds the cost of the runs that made it. Yield loss is thereby borne by the good units,
and several outputs of one run share its cost in proportion to their units (absorption
costing; Horngren, Datar, Rajan: Cost Accounting, chapters 9, 16 and 18).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from firsttoken.kernel import codes
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.supply import sim_ops as op
from firsttoken.supply.sim_formulas import Formulas, Interning, least_lead
from firsttoken.supply.sim_waves import Contest, Wave, find_waves, order_nodes, owners, row
from firsttoken.supply.system import PLAN, PULL, PUSH, Ints, Network, System
from firsttoken.twin.findings import Finding, TwinError

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


def write_program(system: System) -> Program:
    """Write the program of a system's period.

    Raises
    ------
    ValueError
        If an activity that is pushed has no limit at all: it would start without end.
    """
    use = Interning(system)
    net = system.network
    planned = use.without_noise(net.yield_, np.ones(len(net.yield_), bool))
    longest = float(np.max(np.diff(system.edges), initial=0.0))
    quick = [not least_lead(use, int(e)) >= longest for e in net.lead_time]
    columns = {
        name: use.column(getattr(net, name), trivial) for name, trivial in EXPRESSIONS.items()
    }
    net = net._replace(**columns)
    check_limits(net, system.names.activities)
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
    _Writer(program, quick, _placed(planned, place)).write()
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


def check_limits(net: Network, names: tuple[str, ...]) -> None:
    """Raise ``TwinError`` for pushed activities without any limit."""
    endless = []
    for a, name in enumerate(names):
        outputs = row(net.output_start, net.output_node, a)
        limited = (
            net.release[a] != PUSH
            or net.capacity[a] >= 0
            or net.input_start[a + 1] > net.input_start[a]
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


class _Writer:
    """Writes the instructions; one method a rule."""

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

    # The period ---------------------------------------------------------------------------

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
        for n in np.flatnonzero(net.stock_maximum >= 0):
            self._make_room(int(n))
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

    def _outputs(self, a: int) -> list[int]:
        return row(self.net.output_start, self.net.output_node, a)

    def _range(self, start: Ints, a: int) -> range:
        return range(int(start[a]), int(start[a + 1]))

    # Flow ---------------------------------------------------------------------------------

    def _finish(self, a: int) -> None:
        """What finishes now: yield, stock, value, goals."""
        net, outputs = self.net, self._range(self.net.output_start, a)
        self.emit(op.FINISH, a, self.good, self.wip[a], net.yield_[a], self.completed[a])
        for k in outputs:
            n = net.output_node[k]
            self.emit(op.STORE, self.stock[n], self.arrived[n], self.good, net.output_quantity[k])
        if self.p.valued:
            self._store_value(a, outputs)
        for k in np.flatnonzero(net.goal_activity == a):
            goal = int(owners(net.goal_start)[k])
            self.emit(op.ADD_PRODUCT, self.goal[goal], self.good, net.goal_value[k])

    def _store_value(self, a: int, outputs: range) -> None:
        """Move the cost of finished runs to their outputs."""
        net = self.net
        if len(outputs) == 1:
            n = net.output_node[outputs[0]]
            home = self.home[n] if self.homed[a] else -1
            self.emit(op.TAKE_VALUE, a, self.value[n], home)
            return
        for scratch in (self.cost, self.cost_home, self.s):
            self.emit(op.ZERO, scratch)
        self.emit(op.TAKE_VALUE, a, self.cost, self.cost_home if self.homed[a] else -1)
        for k in outputs:
            quantity = net.output_quantity[k]
            self.emit(op.ADD_WEIGHT, self.s, quantity, quantity)
        for k in outputs:
            n = net.output_node[k]
            self.emit(op.PART, self.share, net.output_quantity[k], self.s, len(outputs))
            self.emit(op.ADD_PRODUCT, self.value[n], self.cost, self.share)
            if self.homed[a]:
                self.emit(op.ADD_PRODUCT, self.home[n], self.cost_home, self.share)

    def _deliver(self, d: int) -> None:
        """Deliver a demand from stock as far as it goes."""
        n, units = self.net.demand_node[d], self.s
        totals = units, self.delivered[d], self.gone[n], self.share if self.p.valued else -1
        self.emit(op.DELIVER, self.stock[n], self.backlog[d], *totals)
        if self.net.price[d] >= 0:
            self._add(self.delivered_value[d], units, self.net.price[d])
        money = []
        if self.p.valued:
            money.append((self.value[n], self.delivered_cost[d], self.money_out[0]))
        if self.homed_nodes[n]:
            money.append((self.home[n], self.delivered_home[d], self.money_out[1]))
        for held, paid, out in money:
            self.emit(op.ZERO, self.paid)
            self.emit(op.MOVE, self.paid, held, self.share)
            self.emit(op.ADD, paid, self.paid)
            self.emit(op.ADD, out, self.paid)

    def _start(self, a: int, x: int) -> None:
        """Start row `x` runs: material, money, work in process, and output at once."""
        net, valued, homed = self.net, self.p.valued, self.homed[a]
        if valued:
            self.emit(op.ZERO, self.cost)
        if homed:
            self.emit(op.ZERO, self.cost_home)
        for k in self._range(net.input_start, a):
            n, share = net.input_node[k], self.share if valued else -1
            self.emit(op.CONSUME, self.stock[n], self.gone[n], x, net.input_quantity[k], share)
            if valued:
                self.emit(op.MOVE, self.cost, self.value[n], self.share)
            if self.homed_nodes[n]:
                self.emit(op.MOVE, self.cost_home, self.home[n], self.share)
        self._pay(a, x)
        self.emit(op.BEGIN, x, self.begun[a], self.wip[a])
        if net.release[a] == PULL:
            self.emit(op.EASE, self.outstanding[a], x)
        if net.energy[a] >= 0:
            self._add(self.energy[a], x, net.energy[a])
        money = self.cost if valued else -1, self.cost_home if homed else -1
        self.emit(op.SHIP, a, x, *money)
        if self.quick[a]:
            with self.p.skipping(op.SKIP_SLOW, a):
                self._finish(a)

    def _pay(self, a: int, x: int) -> None:
        """Add what the runs cost to what they have cost so far."""
        net, paid_in = self.net, self.money_in
        if net.cost[a] >= 0:
            self.emit(op.PAY, self.cost, x, net.cost[a], paid_in[0], self.spend[a])
            if net.domestic[a]:
                self.emit(op.PAY, self.cost_home, x, net.cost[a], paid_in[1], -1)
        if net.setup_cost[a] >= 0:
            self.emit(op.SETUP, self.paid, x, net.setup_cost[a])
            home = (paid_in[1], self.cost_home) if net.domestic[a] else ()
            for total in (paid_in[0], self.cost, self.spend[a], *home):
                self.emit(op.ADD, total, self.paid)
        if net.duty[a] >= 0:
            self.emit(op.PAY, self.cost, x, net.duty[a], paid_in[0], self.duty[a])

    # Quantities that are mostly 1 -----------------------------------------------------------

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

    # Orders -------------------------------------------------------------------------------

    def _position(self, n: int, out: int, *, ordered: bool) -> None:
        """Inventory position of node n: stock and what is under way, at planned yield.

        With what is on order upstream, less backlog and downstream orders, if `ordered`.
        """
        net = self.net
        makers = owners(net.output_start)
        outputs = self._made_at(n)
        # Most nodes have one maker, of one unit a run.
        plain = [k for k in outputs if self._is_plain(k) and net.release[makers[k]] == PULL]
        if ordered and plain:
            a = makers[plain[0]]
            self.emit(op.ADD_THREE, out, self.stock[n], self.wip[a], self.outstanding[a])
            outputs.remove(plain[0])
        else:
            self.emit(op.COPY, out, self.stock[n])
        for k in outputs:
            a, quantity = makers[k], net.output_quantity[k]
            on_order = ordered and net.release[a] == PULL
            if self._is_plain(k) and not on_order:
                self.emit(op.ADD, out, self.wip[a])
                continue
            self.emit(op.COPY, self.s, self.wip[a])
            if on_order:
                self.emit(op.ADD, self.s, self.outstanding[a])
            if self.planned[a] >= 0:
                self.emit(op.MULTIPLY, self.s, self.planned[a])
            self._add(out, self.s, quantity)
        if not ordered:
            return
        for d in np.flatnonzero(net.demand_node == n):
            self.emit(op.SUBTRACT, out, self.backlog[d])
        users = owners(net.input_start)
        for k in np.flatnonzero(net.input_node == n):
            if net.release[users[k]] == PULL:
                rows = self.outstanding[users[k]], net.input_quantity[k]
                if int(rows[1]) in self.p.ones:
                    self.emit(op.SUBTRACT, out, rows[0])
                else:
                    self.emit(op.SUBTRACT_PRODUCT, out, *rows)

    def _make_room(self, n: int) -> None:
        """What may still be started of what is kept at node n, at planned yield."""
        outputs, room = self._made_at(n), self.room[n]
        maximum = self.net.stock_maximum[n]
        if len(outputs) == 1 and self._is_plain(outputs[0]):
            wip = self.wip[owners(self.net.output_start)[outputs[0]]]
            self.emit(op.ROOM, room, maximum, self.stock[n], wip)
        else:
            self._position(n, room, ordered=False)
            self.emit(op.SHORTFALL, room, maximum)

    def _made_at(self, n: int) -> list[int]:
        """Outputs of all activities that go to node n."""
        return [int(k) for k in np.flatnonzero(self.net.output_node == n)]

    def _is_plain(self, k: int) -> bool:
        """Whether a run makes just one unit of output k."""
        one = int(self.net.output_quantity[k]) in self.p.ones
        return one and bool(self.planned[owners(self.net.output_start)[k]] < 0)

    def _order(self, n: int, producers: list[tuple[int, int]]) -> None:
        """Raise the inventory position of node n to its base stock.

        A node without a base stock orders what is ordered from it. Source: Snyder and Shen,
        Fundamentals of Supply Chain Theory, 2nd edition, 2019, sections 4.3 and 6.2.
        """
        net, need = self.net, self.s2
        self._position(n, need, ordered=True)
        level = int(net.base_stock[n])
        if level < 0:
            level = int(self.s)
            self.emit(op.ZERO, level)
        several = len(producers) > 1
        if not several and self._is_plain(producers[0][1]):
            self.emit(op.ORDER_UP, need, level, self.outstanding[producers[0][0]])
            return
        self.emit(op.SHORTFALL, need, level)
        if several:
            self.emit(op.ZERO, self.good)
            for a, _ in producers:
                self._weight(a, self.share)
                self.emit(op.ADD, self.good, self.share)
        for a, k in producers:
            self.emit(op.COPY, self.s, need)
            self.emit(op.DIVIDE, self.s, net.output_quantity[k])
            if self.planned[a] >= 0:
                self.emit(op.DIVIDE, self.s, self.planned[a])
            if several:
                self._weight(a, self.share)
                self.emit(op.PART, self.paid, self.share, self.good, len(producers))
                self.emit(op.MULTIPLY, self.s, self.paid)
            self.emit(op.ADD, self.outstanding[a], self.s)

    def _weight(self, a: int, out: int) -> None:
        """Weight of activity a among those that make the same: its share, else its capacity."""
        net = self.net
        if net.share[a] >= 0:
            source = self.p.parameter(int(net.share[a]))
        elif net.capacity[a] >= 0:
            source = int(net.capacity[a])
        else:
            source = -1
        if source < 0:
            self.emit(op.FILL, out, 1)
            source = out
        if net.available[a] >= 0:
            self.emit(op.COPY, self.cost, source)
            self.emit(op.WEIGHT, out, self.cost, net.available[a])
        elif source != out:
            self.emit(op.COPY, out, source)

    # Starts -------------------------------------------------------------------------------

    def _serve(self, wave: Wave) -> None:
        """Wishes, rationing, starts."""
        net = self.net
        contested = {
            (contest.is_resource, k)
            for contests in wave.contests
            for contest in contests
            for k, _ in contest.entries
        }
        for i, a in enumerate(wave.activities):
            self._wish(a, self.want[i], self.reason[i], contested)
        if wave.contests:
            self._ration(wave)
        for i, a in enumerate(wave.activities):
            for k in self._range(net.use_start, a):
                self.emit(
                    op.TAKE, self.left[net.use_resource[k]], self.want[i], net.use_quantity[k]
                )
            self.emit(op.COUNT, self.reason[i], a)
            self._start(a, self.want[i])

    def _wish(self, a: int, want: int, reason: int, contested: set[tuple[bool, int]]) -> None:
        """What policy, capacity and what it need not share let it start.

        Without policy and capacity a wish is what it could start if it had to share nothing.
        """
        net = self.net
        bounded_wish = net.release[a] != PUSH or net.capacity[a] >= 0
        bounded = [k for k in self._range(net.output_start, a) if self._has_maximum(k)]
        rate = int(net.capacity[a])
        if net.release[a] == PUSH and bounded and self._is_plain(bounded[0]):
            self.emit(op.PULL, want, reason, self.room[net.output_node[bounded[0]]])
            rest = bounded[1:]
        elif net.release[a] == PUSH and rate >= 0 and not bounded:
            self.emit(op.FULL, want, reason, rate)
            rate, rest = -1, []
        else:
            self._policy(a, want, reason)
            rest = bounded
        for k in rest:
            self._least(want, self.room[net.output_node[k]], self._made(a, k))
        if rate >= 0:
            self.emit(op.LIMIT_RATE, want, reason, rate)
        if net.available[a] >= 0:
            self.emit(op.LIMIT_OPEN, want, reason, net.available[a])
        for k in self._range(net.input_start, a):
            if bounded_wish and (False, k) in contested:
                continue
            units = self.stock[net.input_node[k]]
            self._limit((want, reason), units, net.input_quantity[k], op.MATERIAL)
        for k in self._range(net.use_start, a):
            if bounded_wish and (True, k) in contested:
                continue
            units = self.left[net.use_resource[k]]
            self._limit((want, reason), units, net.use_quantity[k], op.RESOURCE)
        for k in bounded:
            if len(self._made_at(int(net.output_node[k]))) > 1:
                self._take(self.room[net.output_node[k]], want, self._made(a, k))

    def _policy(self, a: int, want: int, reason: int) -> None:
        """What an activity would start if nothing were scarce."""
        if self.net.release[a] == PLAN:
            self.emit(op.PLAN, want, reason, self.begun[a], a)
        elif self.net.release[a] == PULL:
            self.emit(op.PULL, want, reason, self.outstanding[a])
        else:
            self.emit(op.PUSH, want, reason)

    def _has_maximum(self, k: int) -> bool:
        return bool(self.net.stock_maximum[self.net.output_node[k]] >= 0)

    def _made(self, a: int, k: int) -> int:
        """Row with the units a run is planned to make of output k."""
        if self.planned[a] < 0:
            return int(self.net.output_quantity[k])
        self.emit(op.COPY, self.s, self.net.output_quantity[k])
        self.emit(op.MULTIPLY, self.s, self.planned[a])
        return int(self.s)

    def _ration(self, wave: Wave) -> None:
        """Cut wishes to what material and resources allow together.

        First everybody gets the share that the scarcest of his places can give to all, in
        proportion to wishes or to declared shares; then, one after another, what is left.
        """
        index = {a: i for i, a in enumerate(wave.activities)}
        for contests in wave.contests:
            for c, contest in enumerate(contests):
                self.emit(op.ZERO, self.total[c])
                for k, a in contest.entries:
                    self._add(self.total[c], self.want[index[a]], self._quantity(contest, k))
                self.emit(op.SCARCE, self.total[c], self._place(contest))
            members = sorted({a for contest in contests for _, a in contest.entries})
            with self.p.skipping(op.SKIP_PLENTY):
                self._share_out(contests, {a: index[a] for a in members})

    def _share_out(self, contests: tuple[Contest, ...], index: dict[int, int]) -> None:
        net = self.net
        for i in index.values():
            self.emit(op.FILL, self.ratio[i], 1)
            self.emit(op.COPY, self.blame[i], self.reason[i])
        for c, contest in enumerate(contests):
            self._lower(contest, self.total[c], index)
        nodes = {int(net.input_node[k]) for a in index for k in self._range(net.input_start, a)}
        machines = {int(net.use_resource[k]) for a in index for k in self._range(net.use_start, a)}
        for n in sorted(nodes):
            self.emit(op.COPY, self.free[n], self.stock[n])
        for r in sorted(machines):
            self.emit(op.COPY, self.free_left[r], self.left[r])
        for a, i in index.items():
            self.emit(op.GRANT, self.want[i], self.ratio[i])
            self._take_free(a, self.want[i])
        for a, i in index.items():
            self._grant_rest(i, a)

    def _quantity(self, contest: Contest, k: int) -> int:
        column = self.net.use_quantity if contest.is_resource else self.net.input_quantity
        return int(column[k])

    def _place(self, contest: Contest) -> int:
        return int((self.left if contest.is_resource else self.stock)[contest.place])

    def _lower(self, contest: Contest, total: int, index: dict[int, int]) -> None:
        """Lower the ratios of those who compete for a place to what it can give."""
        place, code = self._place(contest), op.RESOURCE if contest.is_resource else op.MATERIAL
        shared = any(self.net.share[a] >= 0 for _, a in contest.entries)
        if shared:
            self.emit(op.ZERO, self.good)
            for _, a in contest.entries:
                weight = self._declared_share(a)
                self.emit(op.ADD_WEIGHT, self.good, weight, self.want[index[a]])
        else:
            self.emit(op.RATIO, self.share, place, total)
        for k, a in contest.entries:
            if shared:
                self.emit(op.ZERO, self.s)
                rows = self.want[index[a]], self._quantity(contest, k)
                self.emit(op.ADD_PRODUCT, self.s, *rows)
                weight = self._declared_share(a)
                rows = self.share, place, weight, self.good, self.s, total
                self.emit(op.SHARE_RATIO, *rows)
            i = index[a]
            self.emit(op.LOWER, self.ratio[i], self.blame[i], self.share, code)

    def _declared_share(self, a: int) -> int:
        """Row with the declared share of activity a; 1 for those without among others."""
        if self.net.share[a] >= 0:
            return self.p.parameter(int(self.net.share[a]))
        self.emit(op.FILL, self.s2, 1)
        return int(self.s2)

    def _take_free(self, a: int, x: int) -> None:
        net = self.net
        for k in self._range(net.input_start, a):
            self._take(self.free[net.input_node[k]], x, net.input_quantity[k])
        for k in self._range(net.use_start, a):
            self._take(self.free_left[net.use_resource[k]], x, net.use_quantity[k])

    def _grant_rest(self, i: int, a: int) -> None:
        """Grant an activity what it still wants, as far as there is any."""
        net, rest = self.net, self.ratio[i]
        self.emit(op.COPY, self.s, rest)
        for k in self._range(net.input_start, a):
            self._least(rest, self.free[net.input_node[k]], net.input_quantity[k])
        for k in self._range(net.use_start, a):
            self._least(rest, self.free_left[net.use_resource[k]], net.use_quantity[k])
        self._take_free(a, rest)
        self.emit(op.ADD, self.want[i], rest)
        self.emit(op.BLAME, self.reason[i], self.blame[i], self.s, rest)
