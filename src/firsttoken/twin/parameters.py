"""From values to the kernel's tables: every room's `compile.py` builds its arrays with this.

`ParameterBuilder` turns `Value`s into rows of a `ParameterTable` and a `SeriesTable`. What
is the same quantity in the world is the same row: a fact that two slots use is drawn once a
replication, so both see the same outcome, and its streams are keyed by the fact's name, so
that scenarios compare under common random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from firsttoken.kernel import codes
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.kernel.streams import entity_key
from firsttoken.twin.dates import iso
from firsttoken.twin.families import FAMILIES
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.units import Unit
from firsttoken.twin.values import (
    Constant,
    Distribution,
    Drawn,
    Fact,
    ModelPort,
    Provenance,
    Series,
    Signal,
    Sum,
    Value,
)

Resolve = Callable[[Fact | ModelPort | Signal, str], Value]
"""(reference, SI unit of the slot) -> value; raises `TwinError` if it cannot."""

_CODES = {
    "uniform": codes.UNIFORM,
    "triangular": codes.TRIANGULAR,
    "normal": codes.NORMAL,
    "lognormal": codes.LOGNORMAL,
    "gamma": codes.GAMMA,
    "beta_pert": codes.BETA_PERT,
    "exponential": codes.EXPONENTIAL,
    "weibull": codes.WEIBULL,
    "discrete": codes.DISCRETE,
    "empirical": codes.EMPIRICAL,
}
_KINDS = {
    "step": codes.STEP,
    "linear": codes.LINEAR,
    "s_curve": codes.S_CURVE,
    "learning": codes.LEARNING,
    "wright": codes.WRIGHT,
}
DATE = "date"
BEGINNING = -1e12
"""Seconds: before everything; the first knot of windows that begin later."""


@dataclass(frozen=True, slots=True)
class Input:
    """One row of the table that a user would recognise.

    Attributes
    ----------
    path : path of the slot, or of the first slot that used the fact.
    unit : unit of the value as its writer gave it; dates have the unit `date`.
    provenance : where it comes from, or None.
    once : whether it is an uncertain input drawn once a replication.
    date : whether it is a date.
    valid_from : ISO day from which it holds, for a knot of a fact that changes with time.
    """

    parameter: int
    path: str
    unit: Unit
    provenance: Provenance | None
    once: bool
    date: bool
    valid_from: str = ""


class ParameterBuilder:
    """Collects parameters and series; `tables()` freezes them.

    Parameters
    ----------
    start : twin start in seconds from 1970-01-01; dates become seconds from it.
    resolve : looks references up.
    """

    def __init__(self, start: float, resolve: Resolve) -> None:
        self._start = start
        self._resolve = resolve
        self._code: list[int] = []
        self._args: list[tuple[float, ...]] = []
        self._entity: list[int] = []
        self._table: list[tuple[float, float]] = []
        self._kind: list[int] = []
        self._knots: list[tuple[tuple[int, int], ...]] = []
        self._known: dict[object, int] = {}
        self._slips: tuple[tuple[int, float], ...] = ()
        self._valid_from = ""
        self._inputs: dict[Input, None] = {}
        self.users: dict[str, list[str]] = {}

    # Parameters -------------------------------------------------------------------------

    def constant(self, value: float) -> int:
        """Parameter index of a fixed number."""
        return self._row(("constant", float(value)), codes.CONSTANT, (float(value),))

    def scalar(
        self, value: Value, path: str, unit: str = "", *, date: bool = False, once: bool = True
    ) -> int:
        """Parameter index of a scalar value; dates become seconds from the twin's start.

        Parameters
        ----------
        path : path of the slot; keys the random stream of a distribution written there.
        unit : SI unit of the slot, for references.
        once : False for a distribution that a series redraws each period.
        """
        unit = DATE if date else unit
        if isinstance(value, Fact | ModelPort | Signal):
            name, found = self._look_up(value, path, unit)
            return self.scalar(found, name, unit, date=date, once=once)
        if isinstance(value, Sum):
            first = self.scalar(value.first, f"{path}.start", unit, date=date)
            return self.total(first, self.scalar(value.second, f"{path}.over", "s"))
        if isinstance(value, Series):
            what = "a value that changes with time stands where one value is needed"
            raise TwinError(Finding(what, "", "give one value", path, "series"))
        index = self._leaf(value, path, date=date, once=once)
        return self._shifted(index) if date else index

    def _look_up(
        self, reference: Fact | ModelPort | Signal, path: str, unit: str
    ) -> tuple[str, Value]:
        """Name and value of a reference; remembers who uses it."""
        name = f"fact:{reference.id}" if isinstance(reference, Fact) else str(reference)
        users = self.users.setdefault(name, [])
        if path not in users:
            users.append(path)
        return name, self._resolve(reference, unit)

    def total(self, first: int, second: int) -> int:
        """Parameter index of the sum of two parameters."""
        return self._row(("sum", first, second), codes.SUM, (first, second))

    def product(self, first: int, second: int) -> int:
        """Parameter index of the product of two parameters."""
        return self._row(("product", first, second), codes.PRODUCT, (first, second))

    @contextmanager
    def slipping(self, slips: Sequence[tuple[int, float]]) -> Iterator[None]:
        """Within: every date at or after `from` moves by the slip.

        Parameters
        ----------
        slips : pairs (parameter of the delay in s, from in s from the twin's start).
        """
        before, self._slips = self._slips, tuple(slips)
        try:
            yield
        finally:
            self._slips = before

    def _shifted(self, index: int) -> int:
        for slip, start in self._slips:
            index = self._row(("shift", index, slip, start), codes.SHIFT, (index, slip, start))
        return index

    def _leaf(self, value: Constant | Distribution, path: str, *, date: bool, once: bool) -> int:
        offset = self._start if date else 0.0
        if isinstance(value, Constant):
            index = self.constant(value.value - offset)
            if value.provenance is not None:
                self._remember(index, path, value, False, date)
            return index
        key = (path, replace(value, provenance=None), date, once)
        if key in self._known:
            return self._known[key]
        if value.table:
            start = len(self._table)
            self._table.extend((number - offset, share) for number, share in value.table)
            args: tuple[float, ...] = (start, len(value.table))
        else:
            args = _moved(value, offset)
        index = self._row(key, _CODES[value.kind], args, entity_key(path))
        self._remember(index, path, value, once, date)
        return index

    def _remember(
        self, index: int, path: str, value: Constant | Distribution, once: bool, date: bool
    ) -> None:
        row = Input(index, path, value.unit, value.provenance, once, date, self._valid_from)
        self._inputs[row] = None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What a user would recognise in the tables, in the order in which it was met."""
        return tuple(self._inputs)

    def _row(self, key: object, code: int, args: tuple[float, ...], entity: int = 0) -> int:
        if key not in self._known:
            self._known[key] = len(self._code)
            self._code.append(code)
            self._args.append((*args, *(0.0,) * (4 - len(args))))
            self._entity.append(entity)
        return self._known[key]

    # Series -----------------------------------------------------------------------------

    def beginning(self) -> int:
        """Parameter of the time before everything."""
        return self.constant(BEGINNING)

    def fixed(self, parameter: int) -> float | None:
        """The number of a parameter that is certain, None for any other."""
        return self._args[parameter][0] if self._code[parameter] == codes.CONSTANT else None

    def steps(self, knots: Sequence[tuple[int, int]]) -> int:
        """Series index of a step function through knots (time, value)."""
        return self.knots(codes.STEP, knots)

    def ramp(self, knots: Sequence[tuple[int, int]]) -> int:
        """Series index of straight lines through knots (time, value)."""
        return self.knots(codes.LINEAR, knots)

    def constant_series(self, value: float) -> int:
        """Series index of a fixed number."""
        return self.of_parameter(self.constant(value))

    def of_parameter(self, parameter: int) -> int:
        """Series index of a parameter that does not change with time."""
        return self.knots(codes.STEP, ((self.beginning(), parameter),))

    def knots(self, kind: int, knots: Sequence[tuple[int, int]]) -> int:
        """Series index of knots (parameter of the time, parameter of the value)."""
        key = ("series", kind, tuple(knots))
        if key not in self._known:
            self._known[key] = len(self._kind)
            self._kind.append(kind)
            self._knots.append(tuple(knots))
        return self._known[key]

    def window(self, start: int | None, end: int | None, inside: float, outside: float) -> int:
        """Series index of `inside` from parameter `start` to parameter `end`, else `outside`.

        None is open: from the beginning, or for ever.
        """
        within, without = self.constant(inside), self.constant(outside)
        first = self.beginning()
        knots = [(first, within)] if start is None else [(first, without), (start, within)]
        if end is not None:
            knots.append((end, without))
        return self.knots(codes.STEP, knots)

    def spans(self, spans: Sequence[tuple[int, int, int]], default: int) -> int:
        """Series index of parameter `default`, but within spans of parameters of their own.

        Parameters
        ----------
        spans : (start, end, value), parameters. Of overlapping spans the later listed wins; spans
            with uncertain dates must be listed in order and not overlap.
        """
        known = [(self.fixed(start), self.fixed(end), level) for start, end, level in spans]
        certain = [(a, b, level) for a, b, level in known if a is not None and b is not None]
        knots = [(self.beginning(), default)]
        if len(certain) < len(spans):
            for start, end, level in spans:
                knots += [(start, level), (end, default)]
            return self.steps(knots)
        for moment in sorted({edge for a, b, _ in certain for edge in (a, b)}):
            levels = [level for a, b, level in certain if a <= moment < b]
            knots.append((self.constant(moment), levels[-1] if levels else default))
        return self.steps(knots)

    def series(self, value: Value, path: str, unit: str, drawn: Drawn = "once") -> int:
        """Series index of any value.

        Parameters
        ----------
        unit : SI unit of the slot.
        drawn : the slot's habit for a distribution that does not say how often it is drawn.
        """
        if isinstance(value, Fact | ModelPort | Signal):
            name, found = self._look_up(value, path, unit)
            # What is known about a fact does not vary from period to period.
            return self.series(found, name, unit, "once")
        if not isinstance(value, Series):
            each = isinstance(value, Distribution) and (value.drawn or drawn) == "each period"
            parameter = self.scalar(value, path, unit, once=not each)
            if each:
                return self.knots(codes.NOISE, ((self.beginning(), parameter),))
            return self.of_parameter(parameter)
        knots: list[tuple[int, int]] = []
        for position, (time, level) in enumerate(value.knots):
            moment = self.scalar(time, f"{path}.time", date=True)
            if path.startswith("fact:") and isinstance(time, Constant):
                self._valid_from = iso(time.value)
            knots.append((moment, self.scalar(level, path, self._knot_unit(value, position, unit))))
            self._valid_from = ""
        return self.knots(_KINDS[value.kind], knots)

    @staticmethod
    def _knot_unit(value: Series, position: int, unit: str) -> str:
        return "" if value.kind == "wright" and position else unit

    # The end ----------------------------------------------------------------------------

    def tables(self) -> tuple[ParameterTable, SeriesTable]:
        """The frozen tables."""
        starts = np.cumsum([0, *(len(knots) for knots in self._knots)])
        flat = [knot for knots in self._knots for knot in knots]
        pairs = np.array(flat, dtype=np.int64).reshape(-1, 2)
        parameters = ParameterTable(
            np.array(self._code, dtype=np.int64),
            np.array(self._args, dtype=np.float64).reshape(-1, 4),
            np.array(self._entity, dtype=np.uint32),
            np.array(self._table, dtype=np.float64).reshape(-1, 2),
        )
        series = SeriesTable(
            np.array(self._kind, dtype=np.int64),
            starts.astype(np.int64),
            np.ascontiguousarray(pairs[:, 0]),
            np.ascontiguousarray(pairs[:, 1]),
        )
        return parameters, series


def _moved(value: Distribution, offset: float) -> tuple[float, ...]:
    """Arguments of a distribution of dates, counted from the twin's start."""
    if not offset:
        return value.args
    scales = FAMILIES[value.kind].scales
    padded = scales + "n" * (len(value.args) - len(scales))
    return tuple(
        number - offset if how == "l" else number
        for number, how in zip(value.args, padded, strict=True)
    )
