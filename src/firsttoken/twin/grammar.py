"""Reading values: `12 week`, `triangular(8, 12, 16) week`, `{unit: rack/week, 2026-07: 250}`.

One function, `parse_value`, turns what stands in a file into a `Value` in SI, checked
against the dimension that its slot expects. The slot names its SI unit (`each/s`); the
special slot unit `date` takes dates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from firsttoken.twin import families
from firsttoken.twin.dates import is_date, parse_date
from firsttoken.twin.units import DIMENSIONLESS, Unit, UnitError, parse_unit, require
from firsttoken.twin.values import (
    Constant,
    Distribution,
    Drawn,
    Fact,
    ModelPort,
    Provenance,
    Scalar,
    Series,
    SeriesKind,
    Signal,
    Sum,
    Value,
    with_provenance,
)

DATE = "date"
DIFFERENCE = "delta_degC"
"""Slots of temperature differences, which `10 degC` (283.15 K) would silently break."""

_NUMBER = r"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"({_NUMBER})\s*(.*)", re.DOTALL)
_CALL = re.compile(r"([a-z_]+)\s*\((.*)\)\s*(.*)", re.DOTALL)
_EACH = re.compile(r"\s*\b(each (?:period|time))$")
_HABITS = (None, "once", "each period", "each time")
_PORT = re.compile(r"[a-z][\w-]*(\.[A-Za-z][\w-]*){2,}")
_RANGE_KEYS = {"low", "value", "high", "unit", "dist", "drawn"}
_SOURCE_KEYS = {"source", "as_of", "confidence", "note"}
_INTERPOLATE: dict[str, SeriesKind] = {"step": "step", "linear": "linear", "s_curve": "s_curve"}


class ValueSyntaxError(ValueError):
    """A value cannot be read; carries what is wrong and a hint for its writer."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


def parse_value(raw: object, expected: str, default_unit: str | None = None) -> Value:
    """Read one value.

    Parameters
    ----------
    raw : text, number, date or mapping as it stands in the file; a `Value` passes through.
    expected : SI unit of the slot (``each/s``), or ``date``.
    default_unit : unit of a bare number; None means that a bare number is an error unless
        the slot counts things (``each``) or has no dimension.

    Raises
    ------
    ValueSyntaxError
        If it cannot be read, is not finite, or has the wrong dimension.
    """
    if isinstance(raw, Constant | Distribution | Series | Fact | ModelPort | Signal | Sum):
        return raw
    if isinstance(raw, Mapping):
        return _parse_mapping(raw, expected, default_unit)
    return _parse_scalar(raw, expected, default_unit)


def _parse_scalar(raw: object, expected: str, default_unit: str | None) -> Scalar:
    if isinstance(raw, bool) or raw is None:
        raise ValueSyntaxError(f"{raw!r} is not a quantity", "write a number with its unit")
    if expected == DATE and (not isinstance(raw, str) or is_date(raw)):
        try:
            return Constant(parse_date(raw))
        except ValueError as error:
            raise ValueSyntaxError(str(error)) from None
    if isinstance(raw, int | float):
        return _quantity(float(raw), "", expected, default_unit)
    text = str(raw).strip()
    call = _CALL.fullmatch(text)
    if call is not None:
        return _parse_call(call[1], call[2].strip(), call[3].strip(), expected, default_unit)
    match = _QUANTITY.fullmatch(text)
    if match is None or expected == DATE:
        wanted = "date" if expected == DATE else "quantity"
        cut = text.count("(") > text.count(")")  # YAML ends a plain text in { } at a comma
        hint = f'quote it inside {{ }}: "{text}, ...)"' if cut else _hint(expected)
        raise ValueSyntaxError(f"{text!r} is not a {wanted}", hint)
    return _quantity(float(match[1].replace("_", "")), match[2], expected, default_unit)


def _hint(expected: str) -> str:
    from firsttoken.twin.units import describe

    return "write a date such as 2026-07-01" if expected == DATE else f"write {describe(expected)}"


def _quantity(number: float, unit: str, expected: str, default_unit: str | None) -> Constant:
    if not math.isfinite(number):
        raise ValueSyntaxError(f"{number} is not a finite number", _hint(expected))
    reduced = slot_unit(unit, expected, default_unit)
    return Constant(number * reduced.factor + reduced.offset, reduced)


def slot_unit(unit: str, expected: str, default_unit: str | None = None) -> Unit:
    """The reduced unit, checked against the slot; bare numbers take the slot's default.

    Raises
    ------
    ValueSyntaxError
        If the unit is unknown, missing where one is needed, or of another dimension.
    """
    try:
        if not unit.strip():
            if default_unit is not None:
                return parse_unit(default_unit)
            if expected in ("", "each"):
                return DIMENSIONLESS
            raise ValueSyntaxError("the unit is missing", _hint(expected))
        reduced = parse_unit(unit)
        if expected == DIFFERENCE and reduced.offset:
            raise ValueSyntaxError(
                f"{unit} is a temperature, the slot takes a difference", _hint(expected)
            )
        if expected == "K" and unit.startswith("delta_"):
            raise ValueSyntaxError(
                f"{unit} is a difference, the slot takes a temperature", _hint(expected)
            )
        if expected == "each" and reduced.dimension in _STUFF:
            return reduced
        if expected == "each/s" and reduced.dimension in _STUFF_RATES:
            return reduced
        require(reduced, expected)
    except UnitError as error:
        raise ValueSyntaxError(str(error), _hint(expected)) from None
    return reduced


# An item may also be weighed or measured; that its operations agree is the room's check.
_STUFF = frozenset(["[mass]", "[length] ** 3", "[length]", "[mass] * [length] ** 2 / [time] ** 2"])
_STUFF_RATES = frozenset(
    [
        "[mass] / [time]",
        "[length] ** 3 / [time]",
        "[length] / [time]",
        "[mass] * [length] ** 2 / [time] ** 3",
    ]
)


def _parse_call(
    name: str, inside: str, suffix: str, expected: str, default_unit: str | None
) -> Scalar:
    if name in ("fact", "model", "signal"):
        if suffix or not inside:
            raise ValueSyntaxError(
                f"{name}(...) takes one name and no unit, got {inside!r} {suffix!r}"
            )
        return _reference(name, inside)
    drawn: Drawn | None = None
    each = _EACH.search(suffix)
    if each is not None:
        drawn, suffix = cast("Drawn", each[1]), suffix[: each.start()].strip()
    try:
        return families.from_text(name, inside, suffix, expected, default_unit, drawn)
    except families.FamilyError as error:
        raise ValueSyntaxError(str(error), error.hint) from None


def _reference(name: str, inside: str) -> Scalar:
    if name == "fact":
        return Fact(inside)
    if name == "signal":
        return Signal(inside)
    if not _PORT.fullmatch(inside):
        raise ValueSyntaxError(f"model({inside}) names no port", "write model(room.name.port)")
    room, instance, port = inside.split(".", 2)
    return ModelPort(room, instance, port)


def _parse_mapping(raw: Mapping[Any, Any], expected: str, default_unit: str | None) -> Value:
    provenance = _provenance(raw)
    body = {key: value for key, value in raw.items() if str(key) not in _SOURCE_KEYS}
    keys = {str(key) for key in body}
    if len(keys) == 1 and keys <= {"ramp", "learning", "wright"}:
        (form,) = keys
        value: Value = _curve(form, body[form], expected, default_unit)
    elif keys <= _RANGE_KEYS and keys:
        value = _range(body, expected, default_unit)
    else:
        value = _series(body, expected, default_unit)
    return with_provenance(value, provenance) if provenance else value


def _provenance(raw: Mapping[Any, Any]) -> Provenance | None:
    found = {key: str(raw[key]) for key in _SOURCE_KEYS if key in raw}
    if not found:
        return None
    return Provenance(
        found.get("source", ""),
        found.get("as_of", ""),
        found.get("confidence", ""),
        found.get("note", ""),
    )


def _range(body: Mapping[Any, Any], expected: str, default_unit: str | None) -> Scalar:
    unit = str(body["unit"]) if "unit" in body else default_unit
    drawn = body.get("drawn")
    if drawn not in _HABITS:
        hint = "write 'once', 'each period' or 'each time'"
        raise ValueSyntaxError(f"drawn: {drawn!r} is unknown", hint)
    given = {
        key: _parse_scalar(body[key], expected, unit)
        for key in ("low", "value", "high")
        if key in body
    }
    family = body.get("dist")
    if family is not None and "(" in str(family):
        if given:
            raise ValueSyntaxError("give either low/value/high or a full distribution, not both")
        value = _parse_scalar(family, expected, unit)
    elif given:
        value = _from_range(given, str(family or "triangular"))
    else:
        raise ValueSyntaxError(
            "a range needs at least 'value'", "write {low: 8, value: 12, high: 16}"
        )
    # low/value/high says what is not known, not what varies: one draw a replication.
    if drawn is None and given:
        drawn = "once"
    if drawn is not None and isinstance(value, Distribution):
        return replace(value, drawn=cast("Drawn", drawn))
    return value


def _from_range(given: Mapping[str, Scalar], family: str) -> Scalar:
    numbers: dict[str, float] = {}
    for key, part in given.items():
        if not isinstance(part, Constant):
            if len(given) == 1:
                return part
            raise ValueSyntaxError(f"{key} of a range must be a number")
        numbers[key] = part.value
    unit = next(part.unit for part in given.values() if isinstance(part, Constant))
    try:
        return families.from_range(numbers, family, unit)
    except families.FamilyError as error:
        raise ValueSyntaxError(str(error), error.hint) from None


def _series(body: Mapping[Any, Any], expected: str, default_unit: str | None) -> Series:
    unit_text = str(body["unit"]) if "unit" in body else default_unit
    kind = _INTERPOLATE.get(str(body.get("interpolate", "step")))
    if kind is None:
        raise ValueSyntaxError(
            f"interpolate: {body['interpolate']!r} is unknown", "write step, linear or s_curve"
        )
    knots: list[tuple[Scalar, Scalar]] = []
    for key, item in body.items():
        if key in ("unit", "interpolate"):
            continue
        if not is_date(key) and not str(key).startswith("fact("):
            raise ValueSyntaxError(
                f"unknown key {key!r} in a value",
                "a series has dates as keys; a range has low, value, high",
            )
        knots.append((_parse_scalar(key, DATE, None), _inner(item, expected, unit_text)))
    if not knots:
        raise ValueSyntaxError("a series needs at least one date")
    times = [time.value for time, _ in knots if isinstance(time, Constant)]
    if times != sorted(set(times)):
        raise ValueSyntaxError("the dates of a series must ascend", "order them, each once")
    unit = slot_unit(unit_text, expected) if unit_text and expected != DATE else DIMENSIONLESS
    return Series(kind, tuple(knots), unit)


def _inner(raw: object, expected: str, unit: str | None) -> Scalar:
    value = parse_value(raw, expected, unit)
    if isinstance(value, Series):
        raise ValueSyntaxError("a series cannot stand inside a series")
    return value


def _curve(form: str, raw: object, expected: str, default_unit: str | None) -> Series:
    if not isinstance(raw, Mapping):
        raise ValueSyntaxError(
            f"{form} needs a mapping",
            "write {ramp: {start: 2026-07, over: 26 week, from: 0 rack/week, to: 400 rack/week}}",
        )
    build = {"ramp": _ramp, "learning": _learning, "wright": _wright}[form]
    return build(_Fields(form, raw, expected, default_unit))


class _Fields:
    """The fields of one curve, each read with its own unit; unread ones are errors."""

    def __init__(
        self, form: str, raw: Mapping[Any, Any], expected: str, default_unit: str | None
    ) -> None:
        self.form, self.raw, self.expected, self.default_unit = form, raw, expected, default_unit
        self.read: set[str] = set()

    def scalar(self, name: str, unit: str | None = None, default: object = None) -> Scalar:
        self.read.add(name)
        raw = self.raw.get(name, default)
        if raw is None:
            raise ValueSyntaxError(f"{self.form} lacks {name!r}")
        own = unit is None
        return _inner(raw, self.expected if own else str(unit), self.default_unit if own else None)

    def done(self, *, also: str = "") -> None:
        unknown = {str(key) for key in self.raw} - self.read - {also}
        if unknown:
            raise ValueSyntaxError(
                f"unknown key {sorted(unknown)[0]!r} in {self.form}",
                f"{self.form} takes {', '.join(sorted(self.read | ({also} - {''})))}",
            )


def _ramp(fields: _Fields) -> Series:
    start = fields.scalar("start", DATE)
    over = fields.scalar("over", "s")
    low = fields.scalar("from")
    high = fields.scalar("to")
    kind = _INTERPOLATE.get(str(fields.raw.get("shape", "s_curve")))
    if kind is None:
        raise ValueSyntaxError(
            f"shape: {fields.raw['shape']!r} is unknown", "step, linear or s_curve"
        )
    fields.done(also="shape")
    unit = high.unit if isinstance(high, Constant | Distribution) else DIMENSIONLESS
    return Series(kind, ((start, low), (Sum(start, over), high)), unit)


def _learning(fields: _Fields) -> Series:
    start = fields.scalar("start", DATE)
    first, final = fields.scalar("first"), fields.scalar("final")
    halving = fields.scalar("halving", "s")
    fields.done()
    unit = final.unit if isinstance(final, Constant | Distribution) else DIMENSIONLESS
    return Series("learning", ((start, first), (Sum(start, halving), final)), unit)


def _wright(fields: _Fields) -> Series:
    start = fields.scalar("start", DATE)
    first = fields.scalar("first")
    progress = fields.scalar("progress", "")
    volume = fields.scalar("volume", "each/s")
    fields.done()
    if not isinstance(volume, Constant) or volume.value <= 0:
        raise ValueSyntaxError("volume of a learning curve must be a positive rate")
    unit = first.unit if isinstance(first, Constant | Distribution) else DIMENSIONLESS
    return Series(
        "wright", ((start, first), (Sum(start, Constant(1 / volume.value)), progress)), unit
    )
