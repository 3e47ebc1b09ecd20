"""What the checks of a line look through: its routes, what is known of values, where to report."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from firsttoken.line import model
from firsttoken.line.compile_routes import Visit, joined, routes, step_names
from firsttoken.twin.findings import Finding, Findings, Severity
from firsttoken.twin.grammar import ValueSyntaxError
from firsttoken.twin.scenario import lineage
from firsttoken.twin.schema import support
from firsttoken.twin.slots import nearest
from firsttoken.twin.twin import split_path
from firsttoken.twin.values import Constant, Distribution, Fact, Scalar, Series, Sum, Value

if TYPE_CHECKING:
    from firsttoken.twin.twin import Twin

Keys = tuple[str, ...]
Range = tuple[float, float]
"""(lowest, highest) outcome in SI; nan where it is not known before the run."""

_USELESS = {"unused-field", "unused", "no-effect", "no-time", "dead-step"}
"""Codes of findings that something has no use."""

UNKNOWN: Range = (math.nan, math.nan)


class View:
    """One line, as its checks see it.

    Attributes
    ----------
    routes : steps of each product, those at undeclared stations left out.
    started : products of which lots are released, ordered or in the line.
    """

    def __init__(self, twin: Twin, name: str, line: model.Line, findings: Findings) -> None:
        self.twin, self.name, self.line, self.findings = twin, name, line, findings
        self.routes = routes(line)
        self._said: set[tuple[Keys, str]] = set()

    # Reporting ----------------------------------------------------------------------------

    def add(
        self,
        keys: Keys,
        what: str,
        why: str = "",
        hint: str = "",
        *,
        code: str,
        severity: Severity = "error",
    ) -> None:
        """Add a finding at keys below the line; of one code only the first there."""
        if (keys, code) in self._said:
            return
        self._said.add((keys, code))
        whole = ("line", self.name, *keys)
        if code in _USELESS and not self._changed(whole):
            return
        place = self.twin.sources.place(whole)
        self.findings.add(Finding(what, why, hint, ".".join(whole), code, severity, place))

    def _changed(self, keys: Keys) -> bool:
        """Whether the scenario, if there is one, says something about what stands at keys.

        What a scenario leaves without use was said for the others.
        """
        return not self.twin.scenario or any(
            own[: len(keys)] == keys[: len(own)] for own in self._overrides
        )

    @functools.cached_property
    def _overrides(self) -> list[Keys]:
        twin = self.twin
        parts = (part.strip() for part in twin.scenario.split("+"))
        names = {name for part in parts for name in lineage(part, twin.scenarios)}
        return [
            split_path(twin.data, path) for name in names for path in twin.scenarios[name].overrides
        ]

    def unknown(
        self, keys: Keys, kind: str, name: str, known: Iterable[str], instead: str = ""
    ) -> bool:
        """Whether a name is not among the known ones; reports it."""
        names = list(known)
        if name in names:
            return False
        hint = instead or nearest(name, names) or f"the line declares no {kind}"
        self.add(keys, f"unknown {kind} {name!r}", "", hint, code="reference")
        return True

    def keys(self, path: str) -> Keys:
        """Keys below the line of a dotted path below it."""
        return split_path(self.twin.data, f"line.{self.name}.{path}")[2:]

    # Lots ---------------------------------------------------------------------------------

    @functools.cached_property
    def started(self) -> set[str]:
        """Products of which lots are released, ordered or in the line."""
        found = {name for name, product in self.line.products.items() if product.releases}
        found |= {order.product for order in self.line.orders.values()}
        return found | {lots.product for lots in self.line.wip}

    @functools.cached_property
    def names(self) -> dict[str, list[str]]:
        """Names of the steps of each product, those at undeclared stations too."""
        return {
            name: [visit.name for visit in self.routes[name]]
            if product.route is None
            else step_names(product.route)
            for name, product in self.line.products.items()
        }

    @functools.cached_property
    def consumed(self) -> set[str]:
        """Products that some step consumes."""
        return joined(self.routes, "consumes")

    @functools.cached_property
    def produced(self) -> set[str]:
        """Products that disassembly makes."""
        return joined(self.routes, "produces")

    @functools.cached_property
    def visits(self) -> dict[str, list[Visit]]:
        """The steps at each station."""
        found: dict[str, list[Visit]] = {name: [] for name in self.line.stations}
        for route in self.routes.values():
            for visit in route:
                found[visit.step.station].append(visit)
        return found

    def holders(self, name: str) -> list[str]:
        """The pool of that name, then those that have the skill."""
        pools = self.line.pools
        skilled = [pool for pool, p in pools.items() if name in p.skills and pool != name]
        return [name, *skilled] if name in pools else skilled

    # Values -------------------------------------------------------------------------------

    def known(self, value: Value, units: Iterable[str]) -> Value | None:
        """A value, or what the library says of a fact; None for what only a run can know."""
        if isinstance(value, Fact):
            for unit in units:
                try:
                    return self.twin.library.resolve(value.id, self.twin.as_of, unit)
                except ValueSyntaxError:
                    continue
            return None
        return value if isinstance(value, Constant | Distribution | Series | Sum) else None

    def range(self, value: Value | None, *units: str) -> Range:
        """Lowest and highest outcome of a value at any time, in SI.

        Parameters
        ----------
        units : SI units that the slot takes, for facts; none: a pure number.
        """
        found = None if value is None else self.known(value, units or ("",))
        if isinstance(found, Series):
            if found.kind not in ("step", "linear", "s_curve"):
                return UNKNOWN
            parts = [self.range(level, *units) for _, level in found.knots]
            if any(math.isnan(low) for low, _ in parts):
                return UNKNOWN
            return min(low for low, _ in parts), max(high for _, high in parts)
        return UNKNOWN if found is None else support(found)

    def mean(self, value: Value | None, *units: str) -> float:
        """Mean of a value that does not change with time in SI; nan if it is not known."""
        found = None if value is None else self.known(value, units or ("",))
        return math.nan if found is None or isinstance(found, Series) else mean(found)

    def average(self, value: Value, *units: str) -> float:
        """Mean of a value over the twin's time in SI; nan if it is not known."""
        found = self.known(value, units or ("",))
        if not isinstance(found, Series):
            return self.mean(value, *units)
        if found.kind not in ("step", "linear", "s_curve"):
            return math.nan
        times = [t.value if isinstance(t, Constant) else math.nan for t, _ in found.knots]
        levels = [self.mean(level, *units) for _, level in found.knots]
        start, end = self.twin.start, self.twin.end
        # Flat before the first knot and after the last one.
        times = [min(start, times[0]), *times, max(end, times[-1])]
        levels = [levels[0], *levels]
        areas = [
            _area(
                *(times[k], times[k + 1], level),
                level if found.kind == "step" else levels[min(k + 1, len(levels) - 1)],
                *(start, end),
            )
            for k, level in enumerate(levels)
        ]
        return sum(areas) / (end - start)


def _area(a: float, b: float, first: float, last: float, start: float, end: float) -> float:
    """Area within [start, end) under a straight line from (a, first) to (b, last).

    An S-curve between the same knots has the same area if it lies within.
    """
    low, high = max(a, start), min(b, end)
    if math.isnan(a + b):
        return math.nan
    if high <= low:
        return 0.0
    slope = (last - first) / (b - a)
    return (high - low) * (first + slope * ((low + high) / 2 - a))


def mean(value: Scalar) -> float:
    """Mean of a scalar value in SI; nan for a reference.

    The same formulas as `kernel.sampling.mean`, which needs the compiler's packages.
    """
    if isinstance(value, Constant):
        return value.value
    if isinstance(value, Sum):
        return mean(value.first) + mean(value.second)
    if not isinstance(value, Distribution):
        return math.nan
    if value.table:
        return _table_mean(value)
    args: Any = value.args
    match value.kind:
        case "uniform":
            return float(args[0] + args[1]) / 2
        case "triangular":
            return float(sum(args)) / 3
        case "lognormal":
            return math.exp(args[0] + args[1] ** 2 / 2)
        case "gamma":
            return float(args[0] * args[1])
        case "beta_pert":
            weight = args[3] if len(args) > 3 else 4.0
            return float(args[0] + weight * args[1] + args[2]) / (2 + weight)
        case "weibull":
            return float(args[1]) * math.gamma(1 + 1 / args[0])
        case _:  # normal, exponential
            return float(args[0])


def _table_mean(value: Distribution) -> float:
    numbers = [number for number, _ in value.table]
    if value.kind == "discrete":
        shares = [share for _, share in value.table]
        before = [0.0, *shares[:-1]]
        return sum(x * (b - a) for x, a, b in zip(numbers, before, shares, strict=True))
    if len(numbers) == 1:
        return numbers[0]
    return sum((a + b) / 2 for a, b in pairwise(numbers)) / (len(numbers) - 1)
