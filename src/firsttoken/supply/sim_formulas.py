"""The expressions a simulation needs, each once, and what may be known about them beforehand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from firsttoken.kernel import codes, sampling
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.supply.system import Ints, System


class Formulas(NamedTuple):
    """The expressions in use that need evaluation, and the series in use, by how they change.

    Series s has row s; the expressions have the rows after the series.

    Attributes
    ----------
    term, factor, series : as in :class:`firsttoken.kernel.expressions.Expressions`.
    row : row that receives each expression.
    dynamic : indices of the expressions with a series that changes in time.
    fixed : the other expressions.
    single : series with one knot: one value a replication.
    moving : series with several knots.
    noise : series drawn anew in every period.
    """

    term: Ints
    factor: Ints
    series: Ints
    row: Ints
    dynamic: Ints
    fixed: Ints
    single: Ints
    moving: Ints
    noise: Ints


Products = tuple[tuple[int, ...], ...]


class Interning:
    """Collects the expressions in use, each once."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.parameters = system.parameters
        self.series = system.series
        self.found: dict[Products, int] = {}
        self._shadow: dict[int, int] = {}

    def products(self, e: int) -> Products:
        """The factors of the terms of expression `e` of the system, without ones."""
        table = self.system.expressions
        terms = []
        for k in range(table.term[e], table.term[e + 1]):
            factors = table.series[table.factor[k] : table.factor[k + 1]]
            terms.append(tuple(sorted(int(s) for s in factors if self.constant(int(s)) != 1.0)))
        return tuple(sorted(terms))

    def constant(self, s: int) -> float | None:
        """The value of series `s` if it is always the same, else None."""
        first = self.series.start[s]
        if self.series.kind[s] == codes.NOISE or self.series.start[s + 1] != first + 1:
            return None
        p = self.series.knot_value[first]
        if self.parameters.code[p] != codes.CONSTANT:
            return None
        return float(self.parameters.args[p, 0])

    def value(self, products: Products) -> float | None:
        """The value of an expression if it is always the same, else None."""
        total = 0.0
        for term in products:
            product = 1.0
            for s in term:
                value = self.constant(s)
                if value is None:
                    return None
                product *= value
            total += product
        return total

    def add(self, products: Products) -> int:
        """Index of an expression among those in use."""
        return self.found.setdefault(products, len(self.found))

    def column(self, expressions: Iterable[int], trivial: float | None = None) -> Ints:
        """Indices in use; -1 for none and for expressions that always have the trivial value."""
        column = []
        for e in expressions:
            products = self.products(int(e)) if e >= 0 else None
            if products is None or (trivial is not None and self.value(products) == trivial):
                column.append(-1)
            else:
                column.append(self.add(products))
        return np.array(column, np.int64)

    def without_noise(self, expressions: Iterable[int], wanted: Iterable[bool]) -> Ints:
        """The same expressions with every draw of a period replaced by its mean."""
        column = []
        for e, need in zip(expressions, wanted, strict=True):
            products = self.products(int(e)) if e >= 0 else None
            if products is None or not need or self.value(products) == 1.0:
                column.append(-1)
                continue
            column.append(self.add(tuple(tuple(self.quiet(s) for s in t) for t in products)))
        return np.array(column, np.int64)

    def quiet(self, s: int) -> int:
        """Series `s`, or a new constant series if `s` is noise."""
        if self.series.kind[s] != codes.NOISE:
            return s
        if s not in self._shadow:
            p = int(self.series.knot_value[self.series.start[s]])
            self._shadow[s] = self._append(_mean(self.parameters, p))
        return self._shadow[s]

    def _append(self, value: float) -> int:
        p, table = len(self.parameters.code), self.parameters
        self.parameters = ParameterTable(
            np.append(table.code, [codes.CONSTANT, codes.CONSTANT]).astype(np.int64),
            np.vstack([table.args, [[0.0] * 4, [value, 0.0, 0.0, 0.0]]]),
            np.append(table.entity, [0, 0]).astype(np.uint32),
            table.table,
        )
        series = self.series
        self.series = SeriesTable(
            np.append(series.kind, codes.STEP).astype(np.int64),
            np.append(series.start, series.start[-1] + 1).astype(np.int64),
            np.append(series.knot_time, p).astype(np.int64),
            np.append(series.knot_value, p + 1).astype(np.int64),
        )
        return len(self.series.kind) - 1

    def finish(self) -> tuple[Formulas, SeriesTable, Ints, int]:
        """Lay the expressions and series in use out in rows.

        Returns
        -------
        tuple
            The formulas, the series in use (row s holds series s), the row of each expression
            added, and the number of rows. An expression that is just one series is its row.
        """
        used = sorted({s for products in self.found for product in products for s in product})
        place = {s: k for k, s in enumerate(used)}
        rows: list[int] = []
        term, factor, flat, out = [0], [0], list[int](), list[int]()
        split: tuple[list[int], list[int]] = ([], [])
        for products in self.found:
            if len(products) == 1 and len(products[0]) == 1:
                rows.append(place[products[0][0]])
                continue
            for product in products:
                flat.extend(place[s] for s in product)
                factor.append(len(flat))
            changes = any(self._kind(s) != "single" for product in products for s in product)
            split[changes].append(len(out))
            term.append(len(factor) - 1)
            rows.append(len(used) + len(out))
            out.append(rows[-1])
        kinds: dict[str, list[int]] = {"single": [], "moving": [], "noise": []}
        for s in used:
            kinds[self._kind(s)].append(place[s])
        columns = [term, factor, flat, out, split[1], split[0], *kinds.values()]
        formulas = Formulas(*(np.array(column, np.int64) for column in columns))
        return formulas, self._used(used), np.array(rows, np.int64), len(used) + len(out)

    def _used(self, used: list[int]) -> SeriesTable:
        """The table of some of the series."""
        spans = [np.arange(self.series.start[s], self.series.start[s + 1]) for s in used]
        knots = np.concatenate([*spans, np.zeros(0, np.int64)]).astype(np.int64)
        start = np.cumsum([0, *(len(span) for span in spans)]).astype(np.int64)
        table = self.series
        return SeriesTable(
            table.kind[used].astype(np.int64),
            start,
            table.knot_time[knots],
            table.knot_value[knots],
        )

    def _kind(self, s: int) -> str:
        if self.series.kind[s] == codes.NOISE:
            return "noise"
        return "moving" if self.series.start[s + 1] - self.series.start[s] > 1 else "single"


def _mean(parameters: ParameterTable, p: int) -> float:
    """Mean of parameter `p`; of one that is derived, from the means of what it derives from."""
    code, args = int(parameters.code[p]), parameters.args[p]
    if code < codes.SUM:
        return sampling.mean(code, args, parameters.table)
    x, y = (_mean(parameters, int(args[k])) for k in (0, 1))
    if code == codes.PRODUCT:
        return x * y
    return x + y if code == codes.SUM or x >= args[2] else x


def least_value(use: Interning, e: int) -> float:
    """Lower bound of expression `e` of the system, none of whose factors may be negative."""
    products = use.products(e) if e >= 0 else ()
    return sum(float(np.prod([_least(use.system, s) for s in term])) for term in products)


def _least(system: System, s: int) -> float:
    """Lower bound of series `s`, never below zero."""
    knots = slice(system.series.start[s], system.series.start[s + 1])
    least = min(_lower(system.parameters, int(p)) for p in system.series.knot_value[knots])
    if system.series.kind[s] == codes.WRIGHT:
        least = 0.0
    return max(least, 0.0)


def _lower(parameters: ParameterTable, p: int) -> float:
    """Lower bound of parameter `p`."""
    code, args = int(parameters.code[p]), parameters.args[p]
    if code < codes.SUM:
        return sampling.bounds(code, args, parameters.table)[0]
    x, y = (_lower(parameters, int(args[k])) for k in (0, 1))
    if code == codes.PRODUCT:
        return x * y if x >= 0 and y >= 0 else -np.inf
    return x + y if code == codes.SUM else x + min(y, 0.0)
