"""Units of measure: text in files, SI floats inside.

Pint does the work and is imported on the first unit that is asked for. Beside the SI the
registry knows what the trade counts and pays with: `each` (and its synonyms rack, wafer,
die, ...) as a dimension of its own, and USD.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

COUNT_UNITS = (
    "rack",
    "wafer",
    "die",
    "package",
    "stack",
    "tray",
    "shelf",
    "cable",
    "board",
    "gpu",
    "cpu",
    "server",
    "node",
    "unit",
    "piece",
    "lot",
    "run",
    "person",
    "job",
    "request",
    "token",
    "site",
    "set",
)
"""Names for one `each`; a twin says `900 rack/week`, not `900 each/week`."""

_DEFINITIONS = (
    "each = [count]",
    "USD = [money]",
    "BUSD = 1e9 USD",
    "FLOP = []",
    "month = 365.25 / 12 * day",
    "calendar_quarter = 365.25 / 4 * day",
    "wpm = wafer / month",
    "kwpm = 1000 wafer / month",
    "gpm = gallon / minute",
)


_STRANGE = re.compile(r"[^\w\s*/^().+\-°·µ]")
_EXPONENT = re.compile(r"(\*\*|\^)\s*[-+]?\d+")
_FACTOR = re.compile(r"(?<!\w)\d")
# Pint's quarter is a mass of 28 pounds.
_QUARTER = re.compile(r"\bquarters?\b")


class UnitError(ValueError):
    """A unit is unknown or has the wrong dimension; the message says what and a hint."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit reduced to SI: ``si = value * factor + offset``.

    Attributes
    ----------
    text : the unit as written.
    dimension : pint's dimensionality in canonical text, e.g. ``[count] / [time]``.
    factor : SI units (s, each, USD, J, W, kg, m, K) per unit.
    offset : SI value of zero; nonzero for degC and degF only.
    """

    text: str
    dimension: str
    factor: float
    offset: float = 0.0


DIMENSIONLESS = Unit("", "dimensionless", 1.0)


@functools.cache
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry(autoconvert_offset_to_baseunit=True, cache_folder=None)
    for definition in _DEFINITIONS[:2]:
        registry.define(definition)
    for name in COUNT_UNITS:
        registry.define(f"{name} = each")
        registry.define(f"@alias {name} = {plural(name)}")
    for definition in _DEFINITIONS[2:]:
        registry.define(definition)
    return registry


def plural(name: str) -> str:
    """The plural of a counted unit; other words stay as they are."""
    if name not in COUNT_UNITS:
        return name
    if name == "person":
        return "people"
    if name == "shelf":
        return "shelves"
    return f"{name}s"


@functools.lru_cache(maxsize=4096)
def parse_unit(text: str) -> Unit:
    """Reduce a unit such as ``rack/week`` or ``kUSD`` to SI.

    Raises
    ------
    UnitError
        If the text is not a unit.
    """
    cleaned = text.strip().replace("%", " percent ").strip()
    if cleaned in ("", "1"):
        return DIMENSIONLESS
    if _STRANGE.search(cleaned):
        raise UnitError(f"unknown unit {text!r}{_suggestion(cleaned)}")
    if _FACTOR.search(_EXPONENT.sub("", cleaned).removeprefix("1/")):
        # `1 500 rack/week` would be read as 1 times 500 racks.
        raise UnitError(f"a number stands in the unit {text!r}; write it as one number: 1500")
    cleaned = _QUARTER.sub("calendar_quarter", cleaned)
    registry = _registry()
    try:
        quantity = registry.Quantity(1.0, cleaned)
        zero = registry.Quantity(0.0, cleaned).to_base_units().magnitude
        base = quantity.to_base_units()
        factor = float(base.magnitude) - float(zero)
    except Exception as error:  # pint raises tokenizer, syntax and its own errors
        raise UnitError(f"unknown unit {text!r}{_suggestion(cleaned)}") from error
    if not factor > 0:
        raise UnitError(f"unit {text!r} has no size")
    return Unit(text.strip(), str(base.dimensionality), factor, float(zero))


def _suggestion(text: str) -> str:
    import difflib

    known = [*COUNT_UNITS, "each", "week", "month", "day", "hour", "year", "USD", "percent", "kW"]
    close = difflib.get_close_matches(text, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def require(unit: Unit, expected: str) -> None:
    """Check that `unit` has the dimension of the SI unit text `expected`.

    Raises
    ------
    UnitError
        If the dimensions differ.
    """
    wanted = parse_unit(expected)
    if unit.dimension != wanted.dimension:
        have = unit.text or "a bare number"
        raise UnitError(f"{have!s} does not fit: expected {describe(expected)}")


def counted_unit(unit: Unit) -> str:
    """What a count or a rate counts: `wafer` of kwpm, `rack` of rack/week; '' for others."""
    if not unit.dimension.startswith("[count]"):
        return ""
    if unit.text.endswith("wpm"):
        return "wafer"
    name = unit.text.partition("/")[0].strip()
    for count in (*COUNT_UNITS, "each"):
        if name in (count, plural(count)) or name[1:] in (count, plural(count)):
            return count
    return ""


_EXAMPLES = {
    "s": "a time, such as '12 week'",
    "each": "a count, such as '18' or '18 tray'",
    "each/s": "a rate, such as '250 rack/week'",
    "USD": "money, such as '4.0 MUSD'",
    "USD/each": "a price, such as '35 kUSD' or '35 kUSD/package'",
    "": "a number or a percentage",
    "W": "a power, such as '132 kW'",
    "J": "an energy, such as '120 kWh'",
    "1/s": "a rate, such as '10 %/year'",
    "K": "a temperature, such as '30 degC'",
    "delta_degC": "a temperature difference, such as '8 K'",
    "m**3/s": "a flow, such as '1200 L/min'",
}


def describe(expected: str) -> str:
    """Say in words, with an example, what an SI unit text asks for."""
    return _EXAMPLES.get(expected, f"a quantity in {expected}")
