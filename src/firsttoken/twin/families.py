"""Distribution families: from their text to SI arguments.

Each family says which arguments it takes by name, and how a change of unit acts on them.
Percentile forms (``lognormal(p10=8, p90=20)``) are solved in closed form with the normal
quantile function.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from statistics import NormalDist
from typing import cast

from firsttoken.twin.dates import parse_date
from firsttoken.twin.units import DIMENSIONLESS, Unit
from firsttoken.twin.values import Constant, Distribution, DistributionKind, Drawn, Scalar

base_folder: ContextVar[Path] = ContextVar("base_folder", default=Path())
"""Folder that file names inside values are relative to; the loader sets it."""

read_files: ContextVar[dict[str, str] | None] = ContextVar("read_files", default=None)
"""SHA-256 of each file that a value was read from, by name; the loader sets and keeps it."""


class FamilyError(ValueError):
    """A distribution cannot be read; carries a hint."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Family:
    """One family: argument names in order, and how each scales with the unit.

    `scales` has a letter an argument: ``l`` location (factor and offset), ``s`` scale
    (factor only), ``n`` pure number.
    """

    kind: DistributionKind
    arguments: tuple[str, ...]
    scales: str
    example: str


FAMILIES: dict[str, Family] = {
    family.kind: family
    for family in (
        Family("uniform", ("low", "high"), "ll", "uniform(8, 16) week"),
        Family("triangular", ("low", "mode", "high"), "lll", "triangular(8, 12, 16) week"),
        Family("normal", ("mean", "sd"), "ls", "normal(12, 2) week"),
        Family("lognormal", ("mean", "sd"), "ss", "lognormal(p10=8, p90=20) week"),
        Family("gamma", ("shape", "scale"), "ns", "gamma(4, 3) week"),
        Family("beta_pert", ("low", "mode", "high"), "lll", "beta_pert(8, 12, 16) week"),
        Family("exponential", ("mean",), "s", "exponential(12) week"),
        Family("weibull", ("shape", "scale"), "ns", "weibull(1.5, 12) week"),
        Family("discrete", (), "", "discrete(8: 0.3, 12: 0.7) week"),
        Family("empirical", (), "", "empirical(lead_times.csv, weeks) week"),
    )
}


def from_text(
    name: str,
    inside: str,
    unit_text: str,
    expected: str,
    default_unit: str | None,
    drawn: Drawn | None,
) -> Scalar:
    """Read ``name(inside) unit_text`` for a slot of SI unit `expected`.

    Raises
    ------
    FamilyError
        If the family or its arguments are not as they must be.
    """
    family = FAMILIES.get(name)
    if family is None:
        raise FamilyError(f"unknown function {name}(...)", f"one of {', '.join(FAMILIES)}, fact")
    unit = _unit(unit_text, expected, default_unit)
    read = _date if expected == "date" else _number
    if name in ("discrete", "empirical"):
        pairs = _discrete(inside, read) if name == "discrete" else _empirical(inside)
        table = tuple((value * unit.factor + unit.offset, share) for value, share in pairs)
        return Distribution(family.kind, (), table, unit, drawn)
    positional, named = _arguments(family, inside, read)
    raw = _by_percentiles(family, named) or _by_name(family, positional, named)
    return _checked(family, _to_si(family, raw, unit), unit, drawn)


def from_range(numbers: Mapping[str, float], family: str, unit: Unit) -> Scalar:
    """A constant or distribution from SI numbers `low`, `value`, `high` (any may lack).

    Raises
    ------
    FamilyError
        If they are out of order or `family` cannot be made from a range.
    """
    value = numbers.get("value")
    low, high = numbers.get("low", value), numbers.get("high", value)
    if low is None or high is None:
        raise FamilyError("a range needs 'value', or both 'low' and 'high'")
    middle = (low + high) / 2 if value is None else value
    if not low <= middle <= high:
        raise FamilyError(f"the range is out of order: {low:g}, {middle:g}, {high:g} (SI)")
    if low == high:
        return Constant(middle, unit)
    if family in ("triangular", "beta_pert"):
        return _checked(FAMILIES[family], (low, middle, high), unit, None)
    if family == "uniform":
        return Distribution("uniform", (low, high), unit=unit)
    if family in ("normal", "lognormal"):
        raw = _by_percentiles(FAMILIES[family], {"p10": low, "p90": high})
        return _checked(FAMILIES[family], cast("tuple[float, ...]", raw), unit, None)
    raise FamilyError(
        f"dist: {family!r} cannot be made from low/value/high",
        "use triangular, beta_pert, uniform, normal or lognormal (low = P10, high = P90)",
    )


def _unit(unit_text: str, expected: str, default_unit: str | None) -> Unit:
    from firsttoken.twin.grammar import ValueSyntaxError, slot_unit

    if expected == "date":
        if unit_text:
            raise FamilyError(f"a distribution of dates takes no unit, got {unit_text!r}")
        return DIMENSIONLESS
    try:
        return slot_unit(unit_text, expected, default_unit)
    except ValueSyntaxError as error:
        raise FamilyError(str(error), error.hint) from None


def _date(text: str) -> float:
    try:
        return parse_date(text)
    except ValueError as error:
        raise FamilyError(str(error)) from None


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise FamilyError(f"{text.strip()!r} is not a number") from None
    if not math.isfinite(number):
        raise FamilyError(f"{text.strip()!r} is not a finite number")
    return number


def _arguments(
    family: Family, inside: str, read: Callable[[str], float]
) -> tuple[list[float], dict[str, float]]:
    positional: list[float] = []
    named: dict[str, float] = {}
    for part in inside.split(",") if inside else []:
        name, equals, text = part.partition("=")
        if not equals:
            if named:
                raise FamilyError("positional arguments come before named ones", family.example)
            positional.append(read(part.strip()))
        elif name.strip() in named:
            raise FamilyError(f"argument {name.strip()!r} is given twice")
        else:
            named[name.strip()] = read(text.strip())
    return positional, named


def _by_percentiles(family: Family, named: Mapping[str, float]) -> tuple[float, ...] | None:
    """Normal or lognormal through two percentiles: ``q = mean + sd * z``, in the log for both."""
    if family.kind not in ("normal", "lognormal") or not any(n[:1] == "p" for n in named):
        return None
    try:
        points = sorted((float(name[1:]) / 100, value) for name, value in named.items())
    except ValueError:
        raise FamilyError("percentiles are named p10, p50, p90", family.example) from None
    if len(points) != 2 or not 0 < points[0][0] < points[1][0] < 1:
        raise FamilyError("give exactly two different percentiles", family.example)
    (p_low, low), (p_high, high) = points
    if family.kind == "lognormal":
        if low <= 0:
            raise FamilyError("a lognormal is positive", family.example)
        low, high = math.log(low), math.log(high)
    z_low, z_high = NormalDist().inv_cdf(p_low), NormalDist().inv_cdf(p_high)
    sd = (high - low) / (z_high - z_low)
    if sd <= 0:
        raise FamilyError("the percentiles are out of order", family.example)
    mean = low - sd * z_low
    if family.kind == "normal":
        return mean, sd
    # As mean and sd of the variable itself, which is how `lognormal(mean, sd)` is written.
    expected = math.exp(mean + sd * sd / 2)
    return expected, expected * math.sqrt(math.expm1(sd * sd))


def _by_name(
    family: Family, positional: Sequence[float], named: Mapping[str, float]
) -> tuple[float, ...]:
    if family.kind == "gamma" and set(named) == {"mean", "sd"} and not positional:
        shape = (named["mean"] / named["sd"]) ** 2 if named["sd"] else 0.0
        return shape, named["mean"] / shape if shape else 0.0
    values = dict(zip(family.arguments, positional, strict=False))
    if len(positional) > len(family.arguments) or set(values) & set(named):
        raise FamilyError(f"too many arguments for {family.kind}", family.example)
    values.update(named)
    if set(values) != set(family.arguments):
        wanted = ", ".join(family.arguments)
        raise FamilyError(f"{family.kind} takes ({wanted})", f"for example {family.example}")
    return tuple(values[name] for name in family.arguments)


def _to_si(family: Family, raw: Sequence[float], unit: Unit) -> tuple[float, ...]:
    if unit.offset and set(family.scales) & {"n"} | ({"s"} if family.scales == "ss" else set()):
        raise FamilyError(f"{family.kind} cannot be given in {unit.text}", "use kelvin")
    act = {
        "l": lambda value: value * unit.factor + unit.offset,
        "s": lambda value: value * unit.factor,
        "n": lambda value: value,
    }
    return tuple(act[how](value) for how, value in zip(family.scales, raw, strict=True))


def _checked(
    family: Family, args: tuple[float, ...], unit: Unit, drawn: Drawn | None
) -> Distribution:
    ascending = family.kind in ("uniform", "triangular", "beta_pert")
    if ascending and not (list(args) == sorted(args) and args[0] < args[-1]):
        raise FamilyError(f"the arguments of {family.kind} must ascend", family.example)
    if not ascending and any(
        value <= 0
        for name, value in zip(family.arguments, args, strict=True)
        if _positive(family, name)
    ):
        raise FamilyError(f"the arguments of {family.kind} must be positive", family.example)
    if family.kind == "lognormal":
        mean, sd = args
        variance = math.log1p((sd / mean) ** 2)
        args = (math.log(mean) - variance / 2, math.sqrt(variance))
    if family.kind == "beta_pert":
        args = (*args, 4.0)
    return Distribution(family.kind, args, (), unit, drawn)


def _positive(family: Family, argument: str) -> bool:
    return not (family.kind == "normal" and argument == "mean")


def _discrete(inside: str, read: Callable[[str], float]) -> list[tuple[float, float]]:
    example = FAMILIES["discrete"].example
    pairs: list[tuple[float, float]] = []
    for part in inside.split(","):
        value, colon, chance = part.rpartition(":")
        if not colon:
            raise FamilyError("discrete takes value: probability pairs", example)
        pairs.append((read(value.strip()), _number(chance)))
    total = sum(share for _, share in pairs)
    if any(share < 0 for _, share in pairs) or abs(total - 1) > 1e-6:
        raise FamilyError(f"the probabilities sum to {total:g}, not 1", example)
    cumulative = 0.0
    table: list[tuple[float, float]] = []
    for number, share in sorted(pairs):
        cumulative += share / total
        table.append((number, min(cumulative, 1.0)))
    table[-1] = (table[-1][0], 1.0)
    return table


def _empirical(inside: str) -> list[tuple[float, float]]:
    """Observations of a CSV column, sorted, each with cumulative probability (i + 1) / n."""
    file_name, _, column = (part.strip() for part in inside.partition(","))
    if not column:
        raise FamilyError("empirical takes a CSV file and a column", FAMILIES["empirical"].example)
    path = base_folder.get() / file_name
    try:
        raw = path.read_bytes()
        rows = list(csv.DictReader(StringIO(raw.decode("utf-8-sig"), newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FamilyError(f"cannot read {file_name}: {error}") from None
    if not rows or column not in rows[0]:
        raise FamilyError(f"{file_name} has no column {column!r}", "name a column of its header")
    digests = read_files.get()
    if digests is not None:
        digests[file_name] = hashlib.sha256(raw).hexdigest()
    values = sorted(_number(row[column] or "") for row in rows)
    return [(value, (index + 1) / len(values)) for index, value in enumerate(values)]
