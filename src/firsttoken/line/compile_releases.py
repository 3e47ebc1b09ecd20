"""Products, lot classes, releases, orders and the lots in the line at the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from math import inf

import numpy as np
import numpy.typing as npt

from firsttoken.kernel.streams import ARRIVAL
from firsttoken.line import model, system
from firsttoken.line.compile_routes import Visit, joined
from firsttoken.line.compile_slots import Slots, Table
from firsttoken.twin.schema import quantities
from firsttoken.twin.values import Value

ORDERS = ""
"""Key of the class of a product's orders and of lots that disassembly makes."""


class Classes:
    """Lot classes: how lots of a product came into the line.

    Attributes
    ----------
    number : of each (product, release); `ORDERS` stands for the product's orders.
    """

    def __init__(self, line: model.Line, made: Set[str]) -> None:
        self.number: dict[tuple[str, str], int] = {}
        self.own: dict[str, int] = {}
        self._names: list[str] = []
        self._products: list[int] = []
        uses = [name for product in line.products.values() for name in product.releases]
        ordered = {order.product for order in line.orders.values()}
        waiting = {lots.product for lots in line.wip if lots.lot_class is None}
        for position, (name, product) in enumerate(line.products.items()):
            for release in product.releases:
                unique = uses.count(release) == 1
                self._add(name, release, release if unique else f"{name}.{release}", position)
            if name in ordered or (name in waiting and not product.releases):
                label = f"{name}_orders" if product.releases else name
                self._add(name, ORDERS, label, position)
            if name in made:
                own = not product.releases and (name, ORDERS) in self.number
                row = self.number[name, ORDERS] if own else self._row(name, name, position)
                self.own[name] = row

    def _add(self, product: str, key: str, label: str, position: int) -> None:
        self.number[product, key] = self._row(product, label, position)

    def _row(self, product: str, label: str, position: int) -> int:
        while label in self._names:
            label = f"{product}.{label}"
        self._names.append(label)
        self._products.append(position)
        return len(self._names) - 1

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each class."""
        return tuple(self._names)

    @property
    def products(self) -> tuple[int, ...]:
        """Product of each class."""
        return tuple(self._products)


class Releases:
    """Compiles all that puts lots into a line.

    Attributes
    ----------
    order_due : parameter row of each order's due date.
    wip_dates : parameter rows of (due, released) of each row of WIP_LOT; -1: none, the start.
    """

    def __init__(
        self,
        slots: Slots,
        routes: Mapping[str, Sequence[Visit]],
        first: Mapping[str, tuple[int, int]],
        number: Mapping[tuple[str, str], int],
    ) -> None:
        self.slots, self.routes, self.first, self.number = slots, routes, first, number
        self.classes = Classes(slots.line, joined(routes, "produces"))
        self.products = Table(system.PRODUCT)
        self.sources = Table(system.SOURCE)
        self.names: list[str] = []
        self.order_due: list[int] = []
        self.wip_dates: list[tuple[int, int]] = []
        self._wip: list[tuple[float, ...]] = []

    def compile(self) -> None:
        """Fill all tables."""
        components = joined(self.routes, "consumes")
        for position, (name, product) in enumerate(self.slots.line.products.items()):
            step, steps = self.first[name]
            self.products.add(
                step=step,
                steps=steps,
                pieces=product.pieces,
                stock=self.slots.x(product, "stock", ("products", name)),
                component=int(name in components),
                supplied=int(product.supplied),
                own_class=self.classes.own.get(name, system.NONE),
            )
            for label, release in product.releases.items():
                self._release(position, name, label, release)
        for label, order in self.slots.line.orders.items():
            self._order(label, order)
        for position, lots in enumerate(self.slots.line.wip):
            self._lots(lots, ("wip", str(position)))

    # Releases and orders ------------------------------------------------------------------

    def _release(self, product: int, name: str, label: str, release: model.Release) -> None:
        slots, keys = self.slots, ("products", name, "releases", label)
        every = level = system.NONE
        ways = {
            "every": (system.TIMED, release.every),
            "wip": (system.WIP, release.wip),
            "stock": (system.STOCK, release.stock),
            "backlog": (system.BACKLOG, release.backlog),
        }
        given = {way: value for way, (_, value) in ways.items() if value is not None}
        if len(given) != 1:
            hint = f"give one of {', '.join(ways)}"
            raise slots.error("a release has exactly one way to start lots", keys, hint, "release")
        ((way, value),) = given.items()
        mode = ways[way][0]
        if mode == system.TIMED:
            every = slots.stream(release, "every", keys, ARRIVAL, nothing=None)
        else:
            level = slots.level(value, "each", (*keys, way), whole=True)
        self.sources.add(
            product=product,
            lot_class=self.classes.number[name, label],
            mode=mode,
            every=every,
            level=level,
            first=slots.x(release, "first", keys),
            until=slots.x(release, "until", keys),
            lots=release.lots,
            limit=system.NONE if release.limit is None else release.limit,
            due=slots.x(release, "due", keys),
            order=system.NONE,
            priority=release.priority,
        )
        self.names.append(f"{name}.{label}")

    def _order(self, label: str, order: model.Order) -> None:
        slots, keys = self.slots, ("orders", label)
        products = self.slots.line.products
        product = slots.index(products, order.product, "product", (*keys, "product"))
        with slots.slipping(("orders", label)):
            first = slots.x(order, "release", keys)
            due = slots.x(order, "due", keys)
        self.sources.add(
            product=product,
            lot_class=self.classes.number[order.product, ORDERS],
            mode=system.ORDER,
            every=system.NONE,
            level=system.NONE,
            first=slots.build.constant(0.0) if first < 0 else first,
            until=system.NONE,
            lots=order.lots,
            limit=order.lots,
            due=due,
            order=len(self.order_due),
            priority=order.priority,
        )
        self.order_due.append(due)
        self.names.append(label)

    # Work in process ----------------------------------------------------------------------

    def _lots(self, lots: model.Wip, keys: tuple[str, ...]) -> None:
        slots = self.slots
        products = slots.line.products
        slots.index(products, lots.product, "product", (*keys, "product"))
        names = [visit.name for visit in self.routes[lots.product]]
        slots.index(names, lots.step, "step", (*keys, "step"))
        releases = list(products[lots.product].releases)
        label = lots.lot_class
        if label is None:
            label = releases[0] if releases else ORDERS
        else:
            slots.index(releases, label, "release", (*keys, "lot_class"))
        self.wip_dates.append((self._date(lots, "due", keys), self._date(lots, "released", keys)))
        step = self.number[lots.product, lots.step]
        number = self.classes.number[lots.product, label]
        self._wip.append((step, number, lots.lots, lots.priority))

    def _date(self, lots: model.Wip, name: str, keys: tuple[str, ...]) -> int:
        value: Value | None = getattr(lots, name)
        if value is None:
            return system.NONE
        return self.slots.scalar(value, quantities(model.Wip)[name].unit, (*keys, name))

    def wip(self, expected: npt.NDArray[np.float64]) -> system.Records:
        """The lots in the line, their dates at the expected values of the parameters [P]."""
        rows = [
            (
                *row,
                inf if due < 0 else float(expected[due]),
                0.0 if released < 0 else float(expected[released]),
            )
            for row, (due, released) in zip(self._wip, self.wip_dates, strict=True)
        ]
        return np.array(rows, dtype=system.WIP_LOT)
