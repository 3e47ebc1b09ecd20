"""Rules of the flow: finishing, delivering, consuming, paying.

Stock is kept at moving average cost: what leaves takes its share of the accumulated cost, what
arrives adds the cost of the runs that made it. Yield loss is thereby borne by the good units,
and several outputs of one run share its cost in proportion to their units (absorption
costing; Horngren, Datar, Rajan: Cost Accounting, chapters 9, 16 and 18).
"""

from __future__ import annotations

import numpy as np

from firsttoken.supply import sim_ops as op
from firsttoken.supply.sim_rows import Rows
from firsttoken.supply.sim_waves import owners
from firsttoken.supply.system import PULL


class Flow(Rows):
    """Writes what moves units and their value."""

    def _finish(self, a: int) -> None:
        """What finishes now: yield, stock, value, goals."""
        net, outputs = self.net, self._range(self.net.output_start, a)
        first = net.output_quantity[outputs[0]]
        counted = int(first) in self.p.ones
        done = self.completed[a] if counted else -1
        self.emit(op.FINISH, a, self.good, self.wip[a], net.yield_[a], done)
        if not counted:
            self.emit(op.WEIGHT, self.s2, first, self.good)
            self.emit(op.ADD_PRODUCT, self.completed[a], self.good, self.s2)
        for k in outputs:
            n = net.output_node[k]
            self.emit(op.STORE, self.stock[n], self.arrived[n], self.good, net.output_quantity[k])
        if self.p.valued:
            self._store_value(a, outputs)
        for entry in np.flatnonzero(net.goal_activity == a).tolist():
            goal = int(owners(net.goal_start)[entry])
            self.emit(op.ADD_PRODUCT, self.goal[goal], self.good, net.goal_value[entry])

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
