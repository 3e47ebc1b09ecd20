"""From the slots of a line to parameters, streams, levels and needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from firsttoken.kernel.streams import entity_key
from firsttoken.line import model, system
from firsttoken.line.disrupt import Effects, Key
from firsttoken.twin.calendars import open_spans, parse_shift
from firsttoken.twin.findings import Finding, TwinError
from firsttoken.twin.grammar import ValueSyntaxError
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.schema import Declared, quantities, support
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import Twin
from firsttoken.twin.units import parse_unit
from firsttoken.twin.values import (
    Constant,
    Distribution,
    Fact,
    ModelPort,
    Series,
    Signal,
    Value,
)

Keys = tuple[str, ...]
Rows = tuple[int, int]
"""(first row, number of rows)."""

_MOST_SERVERS = 1_000_000


class Table:
    """Rows of one record type on their way into an array."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.names = dtype.names or ()
        self.rows: list[tuple[float, ...]] = []
        self._known: dict[tuple[tuple[float, ...], ...], Rows] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, **values: float) -> int:
        """Append a row, every field given; return its number."""
        if len(values) != len(self.names):
            raise ValueError(f"fields {sorted(set(self.names) ^ set(values))}")
        self.rows.append(tuple(values[name] for name in self.names))
        return len(self.rows) - 1

    def extend(self, rows: Iterable[tuple[float, ...]]) -> Rows:
        """Append rows, or find them again if the same stand there; none: (-1, 0)."""
        key = tuple(rows)
        if not key:
            return system.NONE, 0
        if key not in self._known:
            self._known[key] = len(self.rows), len(key)
            self.rows.extend(key)
        return self._known[key]

    def array(self) -> npt.NDArray[Any]:
        """The rows as a structured array."""
        return np.array(self.rows, dtype=self.dtype)


@dataclass(slots=True)
class Slots:
    """State shared by the compile steps of one line.

    Attributes
    ----------
    build : collects parameters and series.
    resolve : looks references up.
    effects : what the active disruptions do to whom.
    """

    twin: Twin
    name: str
    line: model.Line
    build: ParameterBuilder
    resolve: Resolve
    effects: Effects
    streams: Table = field(default_factory=lambda: Table(system.STREAM))
    levels: Table = field(default_factory=lambda: Table(system.LEVEL))
    factors: Table = field(default_factory=lambda: Table(system.FACTOR))
    need: Table = field(default_factory=lambda: Table(system.NEED))
    alternatives: Table = field(default_factory=lambda: Table(system.ALTERNATIVE))
    budget_units: dict[str, str] = field(default_factory=dict)
    calendars: dict[str, int] = field(default_factory=dict)

    # Small words --------------------------------------------------------------------------

    def path(self, *keys: str) -> str:
        """The parameter path of a slot of this line."""
        return ".".join(("line", self.name, *keys))

    def error(self, what: str, keys: Keys, hint: str = "", code: str = "line") -> TwinError:
        """A finding about what stands at `keys` below the line, to raise."""
        place = self.twin.place(("line", self.name, *keys))
        return TwinError(Finding(what, "", hint, self.path(*keys), code, place=place))

    def index(self, known: Iterable[str], name: str, what: str, keys: Keys) -> int:
        """Position of a name that must be declared; raises `TwinError`."""
        names = list(known)
        if name not in names:
            raise self.error(f"{what} {name!r} is unknown", keys, nearest(name, names), "reference")
        return names.index(name)

    def slipping(self, key: Key) -> AbstractContextManager[None]:
        """Within: dates move as the disruptions of `key` say."""
        return self.build.slipping(self.effects.slips.get(key, []))

    # Parameters and streams ---------------------------------------------------------------

    def x(self, owner: Declared, name: str, keys: Keys, *, nothing: float | None = None) -> int:
        """Parameter row of a declared slot; -1 for None and for the constant `nothing`."""
        given: Value | None = getattr(owner, name)
        if given is None or (isinstance(given, Constant) and given.value == nothing):
            return system.NONE
        return self.scalar(given, quantities(type(owner))[name].unit, (*keys, name.rstrip("_")))

    def scalar(self, value: Value, unit: str, keys: Keys, *, once: bool = True) -> int:
        """Parameter row of a value that does not change with time; raises `TwinError`."""
        if isinstance(self.looked_up(value, unit), Series):
            what = "a value that changes with time stands where one value is needed"
            raise self.error(what, keys, "give one value", "series")
        return self.build.scalar(value, self.path(*keys), unit, date=unit == "date", once=once)

    def looked_up(self, value: Value, unit: str) -> Value:
        """The value that a reference leads to; any other value itself."""
        if isinstance(value, Fact | ModelPort | Signal):
            return self.looked_up(self.resolve(value, unit), unit)
        return value

    def stream(
        self, owner: Declared, name: str, keys: Keys, purpose: int, *, nothing: float | None = 0.0
    ) -> int:
        """Stream of a declared slot; -1 for None and for the constant `nothing`."""
        given: Value | None = getattr(owner, name)
        if given is None or (isinstance(given, Constant) and given.value == nothing):
            return system.NONE
        quantity = quantities(type(owner))[name]
        habit = given.drawn or quantity.drawn if isinstance(given, Distribution) else "once"
        each = habit == "each time"
        here = (*keys, name)
        parameter = self.scalar(given, quantity.unit, here, once=not each)
        return self._stream(parameter, purpose, here, each=each)

    def uniforms(self, keys: Keys, purpose: int) -> int:
        """Stream of uniform numbers."""
        return self._stream(system.NONE, purpose, keys, each=True)

    def _stream(self, parameter: int, purpose: int, keys: Keys, *, each: bool) -> int:
        entity = entity_key(self.path(*keys))
        return self.streams.extend([(parameter, purpose, int(each), entity)])[0]

    # Levels -------------------------------------------------------------------------------

    def calendar(self, name: str | None, keys: Keys) -> list[int]:
        """Series of 0 and 1 of a named calendar, to multiply with."""
        if name is None:
            return []
        if name not in self.calendars:
            self.index(self.line.calendars, name, "calendar", keys)
            self.calendars[name] = self._calendar(name)
        return [self.calendars[name]]

    def _calendar(self, name: str) -> int:
        declared, here = self.line.calendars[name], ("calendars", name)
        start, end = self.twin.start, self.twin.end
        try:
            shifts = [parse_shift(text) for text in declared.shifts]
        except ValueSyntaxError as error:
            raise self.error(str(error), (*here, "shifts"), error.hint, "shift") from None
        closed: list[float] = []
        for position, day in enumerate(declared.closed):
            where = (*here, "closed", str(position))
            moment = self.build.fixed(self.scalar(day, "date", where))
            if moment is None:
                raise self.error("a day off must be a certain date", where, code="date")
            closed.append(moment + start)
        nobody, everybody = self.build.constant(0.0), self.build.constant(1.0)
        knots = [(self.build.beginning(), nobody)]
        for first, last in open_spans(shifts, closed, start, end):
            knots.append((self.build.constant(first), everybody))
            knots.append((self.build.constant(last), nobody))
        return self.build.steps(knots)

    def level(
        self, value: Value, unit: str, keys: Keys, factors: Sequence[int] = (), *, whole: bool
    ) -> int:
        """Level of one user: a value that may change with time, times series.

        Raises
        ------
        TwinError
            If the value is drawn each period: a level has no periods.
        """
        if isinstance(value, Distribution) and value.drawn == "each period":
            raise self.error("a level is drawn once", keys, "leave out 'each period'", "drawn")
        series = self.build.series(value, self.path(*keys), unit)
        first, count = self.factors.extend((s,) for s in (series, *factors))
        return self.levels.add(factor=first, factors=count, whole=int(whole))

    def most(self, value: Value, unit: str, keys: Keys) -> float:
        """The largest outcome of a value at any time; raises `TwinError` if there is none."""
        found = self.looked_up(value, unit)
        if isinstance(found, Series):
            return max(self.most(part, unit, keys) for _, part in found.knots)
        largest = support(found)[1]
        if not isfinite(largest) or largest > _MOST_SERVERS:
            what = "this may grow beyond every number of servers"
            raise self.error(what, keys, "use uniform, triangular or a range", "servers")
        return largest

    def servers(self, station: str) -> tuple[int, int]:
        """Servers that may ever be open, and their level; -1: all of them, always."""
        declared, keys = self.line.stations[station], ("stations", station, "servers")
        key = ("stations", station)
        factors = self.calendar(declared.available, (*key, "available"))
        factors += self.effects.factors.get(key, [])
        largest = self.most(declared.servers, "each", keys)
        for factor in self.effects.largest.get(key, []):
            largest *= max(1.0, self.most(factor, "", keys))
        certain = isinstance(self.looked_up(declared.servers, "each"), Constant)
        if certain and not factors:
            self.scalar(declared.servers, "each", keys)  # that readers see what it rests on
            return int(largest + 1e-9), system.NONE
        with self.slipping(key):
            level = self.level(declared.servers, "each", keys, factors, whole=True)
        return int(largest + 1e-9), level

    # Needs --------------------------------------------------------------------------------

    def budget_unit(self, budget: str) -> str:
        """SI unit of a budget: `W`, `m**3/s` or `each`."""
        if budget not in self.budget_units:
            self.budget_units[budget] = self._unit(self.line.budgets[budget])
        return self.budget_units[budget]

    def _unit(self, value: Value) -> str:
        """The first unit of a budget that fits a value; what a port computes counts as power."""
        units = model.BUDGET_UNITS
        if isinstance(value, Series) and not value.unit.text:
            value = value.knots[0][1]
        if isinstance(value, Fact):
            for unit in units:
                try:
                    self.resolve(value, unit)
                except TwinError:
                    continue
                return unit
        if isinstance(value, Constant | Distribution | Series):
            fitting = (u for u in units if parse_unit(u).dimension == value.unit.dimension)
            return next(fitting, "each")
        return "W"

    def needs(
        self, crew: Mapping[str, Value], crew_keys: Keys, draws: Mapping[str, Value], keys: Keys
    ) -> Rows:
        """Rows of NEED of a crew and of what is drawn from budgets, declared at their keys."""
        rows: list[tuple[float, ...]] = []
        for name, amount in crew.items():
            here = (*crew_keys, name)
            if isinstance(amount, Constant) and amount.value == 0:
                continue
            first, count = self.alternatives.extend((pool,) for pool in self._pools(name, here))
            rows.append((first, count, self.scalar(amount, "each", here)))
        for name, amount in draws.items():
            here = (*keys, name)
            pool = len(self.line.pools) + self.index(self.line.budgets, name, "budget", here)
            if isinstance(amount, Constant) and amount.value == 0:
                continue
            first, count = self.alternatives.extend([(pool,)])
            rows.append((first, count, self._draw(name, amount, here)))
        return self.need.extend(rows)

    def _pools(self, name: str, keys: Keys) -> list[int]:
        """The pool of that name, then those that have the skill."""
        pools = self.line.pools
        found = [i for i, pool in enumerate(pools) if pool == name]
        found += [
            i for i, (pool, p) in enumerate(pools.items()) if name in p.skills and pool != name
        ]
        if not found:
            known = [*pools, *(skill for pool in pools.values() for skill in pool.skills)]
            raise self.error(
                f"pool or skill {name!r} is unknown", keys, nearest(name, known), "reference"
            )
        return found

    def _draw(self, budget: str, amount: Value, keys: Keys) -> int:
        unit = self.budget_unit(budget)
        if isinstance(amount, Fact):
            try:
                self.resolve(amount, unit)
                fits = True
            except TwinError:
                fits = False
        else:
            fits = isinstance(amount, ModelPort | Signal) or self._unit(amount) == unit
        if not fits:
            what = f"this is not in the unit of budget {budget!r}"
            hint = "both are a power, both a flow, or both a count"
            raise self.error(what, keys, hint, "unit-dimension")
        return self.scalar(amount, unit, keys)
