"""What a room's `model.py` is made of: declared classes with units in the annotations.

A field's annotation carries its SI unit and its bounds; from the same row come the
parsing, the JSON Schema, the reference page and the units at the API edge::

    class Tank(Declared):
        volume: Annotated[Value, Quantity("m**3", above=0)] = Field(description="Brim-full.")
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from firsttoken.twin.grammar import DATE, ValueSyntaxError, parse_value
from firsttoken.twin.units import describe
from firsttoken.twin.values import Constant, Distribution, Drawn, Series, Value

_KNOWN_VALUES = 10_000
"""Most texts that one slot remembers."""


_Z95 = NormalDist().inv_cdf(0.95)


class Declared(BaseModel):
    """Base of everything that can be declared: closed (unknown keys are errors), frozen."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, validate_default=True
    )


@dataclass(frozen=True, slots=True)
class Quantity:
    """The unit and bounds of a parameter's slot.

    Attributes
    ----------
    unit : SI unit text (``s``, ``each/s``, ``USD``), empty for a pure number, or ``date``.
    at_least, above, at_most : bounds in SI (or in `shown` units for messages); None is open.
    drawn : how often a distribution in this slot is drawn unless it says so itself.
    series : whether the value may change with time.
    default_unit : unit of a bare number, where the trade has one.
    units : SI units of which a value may have any; empty: `unit` only.
    """

    unit: str
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    drawn: Drawn = "once"
    series: bool = True
    default_unit: str | None = None
    units: tuple[str, ...] = ()

    @property
    def choices(self) -> tuple[str, ...]:
        """The SI units that a value may have, most usual first."""
        return self.units or (self.unit,)

    def parse(self, raw: object) -> Value:
        """Read and check one value, in the first of the units that fits.

        Raises
        ------
        ValueSyntaxError
            If it cannot be read, is out of bounds, or drawn more often than it can be.
        """
        value = self._read(raw)
        if isinstance(value, Series):
            if not self.series:
                raise ValueSyntaxError("this value cannot change with time", "give one value")
            for _, part in value.knots:
                self.check_bounds(part)
                self._check_drawn(part)
        else:
            self.check_bounds(value)
            self._check_drawn(value)
        return value

    def _read(self, raw: object) -> Value:
        problem: ValueSyntaxError | None = None
        for unit in self.choices:
            try:
                return parse_value(raw, unit, self.default_unit)
            except ValueSyntaxError as error:
                problem = problem or error
        assert problem is not None
        if not self.units:
            raise problem
        hint = ", or ".join(describe(unit) for unit in self.units)
        raise ValueSyntaxError(str(problem), f"write {hint}")

    def _check_drawn(self, value: Value) -> None:
        """What is used again and again is drawn each time, what runs in time each period."""
        given = value.drawn if isinstance(value, Distribution) else None
        if given == "each period" and not self.series:
            each = "at each use" if self.drawn == "each time" else "once"
            raise ValueSyntaxError(f"this value is drawn {each}", "leave out 'each period'")
        if given == "each time" and self.drawn != "each time":
            each = "each period or once" if self.series else "once"
            raise ValueSyntaxError(f"this value is drawn {each}", "leave out 'each time'")

    def check_bounds(self, value: Value) -> None:
        """Check the support of a value against the bounds; raises `ValueSyntaxError`."""
        low, high = support(value)
        shown = value.unit if isinstance(value, Constant | Distribution) else None
        for bad, number, rule in (
            (
                self.at_least is not None and low < self.at_least,
                low,
                f">= {self.at_least:g}" if self.at_least is not None else "",
            ),
            (
                self.above is not None and low <= self.above,
                low,
                f"> {self.above:g}" if self.above is not None else "",
            ),
            (
                self.at_most is not None and high > self.at_most * (1 + 1e-12),
                high,
                f"<= {self.at_most:g}" if self.at_most is not None else "",
            ),
        ):
            if bad:
                size = (number - shown.offset) / shown.factor if shown else number
                unit = f" {shown.text}" if shown and shown.text else ""
                if isinstance(value, Distribution) and value.kind == "normal":
                    raise ValueSyntaxError(
                        f"more than 5 % of this normal is out of range: must be {rule}",
                        "use lognormal(mean, sd) or gamma(mean=, sd=), which stay above 0",
                    )
                raise ValueSyntaxError(f"{size:g}{unit} is out of range: must be {rule}")

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Validate with `parse`; the same text in the same slot is read once."""
        known: dict[object, Value] = {}

        def read(raw: object) -> Value:
            if type(raw) not in (str, int, float):
                return self.parse(raw)
            value = known.get(raw)
            if value is None:
                value = self.parse(raw)
                # An empirical distribution depends on a file beside the twin.
                if len(known) < _KNOWN_VALUES and "empirical" not in str(raw):
                    known[raw] = value
            return value

        return core_schema.no_info_plain_validator_function(read)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """JSON Schema of a slot: text, number or mapping, with the unit in words."""
        what = ", or ".join(describe(unit) for unit in self.choices)
        if self.unit == DATE:
            what = "a date such as 2026-07-01"
        return {
            "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "object"}],
            "description": f"{what}; or a distribution, series, fact(...), model(...)",
            "x-unit": self.unit,
        }


@functools.cache
def quantities(declared: type[BaseModel]) -> dict[str, Quantity]:
    """The `Quantity` of each field that holds values, by attribute name."""
    found = {
        name: _find_quantity(info.annotation, tuple(info.metadata))
        for name, info in declared.model_fields.items()
    }
    return {name: quantity for name, quantity in found.items() if quantity is not None}


def _find_quantity(annotation: Any, metadata: tuple[Any, ...] = ()) -> Quantity | None:
    for mark in metadata:
        if isinstance(mark, Quantity):
            return mark
    inner = getattr(annotation, "__metadata__", ())
    for argument in get_args(annotation):
        found = _find_quantity(argument, inner)
        if found is not None:
            return found
    return None


def slots(declared: BaseModel, path: str = "") -> Iterator[tuple[str, Quantity, Value]]:
    """Every value under a declared object: (parameter path, its quantity, the value)."""
    own = quantities(type(declared))
    for name, info in type(declared).model_fields.items():
        where = ".".join(part for part in (path, info.alias or name) if part)
        yield from _slots(getattr(declared, name), where, own.get(name))


def _slots(
    given: Any, path: str, quantity: Quantity | None
) -> Iterator[tuple[str, Quantity, Value]]:
    if isinstance(given, BaseModel):
        yield from slots(given, path)
    elif isinstance(given, dict):
        for key, item in given.items():
            yield from _slots(item, f"{path}.{key}", quantity)
    elif isinstance(given, list):
        for position, item in enumerate(given):
            yield from _slots(item, f"{path}.{position}", quantity)
    elif quantity is not None and isinstance(given, Value):
        yield path, quantity, given


def default(written: object, *, description: str, alias: str | None = None) -> Any:
    """A field's default as a user would write it (`"0 week"`); it is read like any value."""
    return Field(written, description=description, alias=alias)


def support(value: Value) -> tuple[float, float]:
    """Smallest and largest outcome of a value in SI; nan where it is not known yet.

    A normal counts with its P5 and P95.
    """
    if isinstance(value, Constant):
        return value.value, value.value
    if isinstance(value, Distribution):
        if value.table:
            return value.table[0][0], value.table[-1][0]
        if value.kind in ("uniform", "triangular", "beta_pert"):
            return value.args[0], value.args[2 if value.kind != "uniform" else 1]
        if value.kind == "normal":
            # A normal reaches everywhere; engines let draws beyond a bound count as the bound.
            # That is fair for a thin tail, so P5 and P95 are what must keep to the bounds.
            mean, sd = value.args
            return mean - _Z95 * sd, mean + _Z95 * sd
        return math.nextafter(0.0, 1.0), math.inf
    return math.nan, math.nan


__all__ = [
    "Annotated",
    "Declared",
    "Quantity",
    "Value",
    "default",
    "quantities",
    "slots",
    "support",
]
