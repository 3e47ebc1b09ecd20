"""Rules of ordering: inventory positions, base stocks, room below a stock maximum."""

from __future__ import annotations

import numpy as np

from firsttoken.supply import sim_ops as op
from firsttoken.supply.sim_rows import Rows
from firsttoken.supply.sim_waves import owners
from firsttoken.supply.system import PULL


class Orders(Rows):
    """Writes what is ordered, and what there is room for."""

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
        for k in np.flatnonzero(net.input_node == n).tolist():
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
