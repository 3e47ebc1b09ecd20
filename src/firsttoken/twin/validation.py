"""Plain data to declared classes, with every problem as a finding at its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from firsttoken.twin.findings import Finding, Findings
from firsttoken.twin.grammar import DATE, ValueSyntaxError
from firsttoken.twin.library import Library
from firsttoken.twin.scenario import KINDS
from firsttoken.twin.schema import Declared, Quantity
from firsttoken.twin.slots import describe_slot, fields, is_tagged, nearest, step, strip
from firsttoken.twin.source import SourceMap
from firsttoken.twin.twin import Twin, child
from firsttoken.twin.values import Constant, Fact, Series, Sum, Value

Model = TypeVar("Model", bound=Declared)
Path = tuple[str, ...]

_PLAIN_TYPES = {
    "string_type": ("text", "put it in quotes"),
    "dict_type": ("a mapping", "write 'name: ...' lines"),
    "model_type": ("a mapping", "write 'name: ...' lines"),
    "list_type": ("a list", "write [first, second]"),
    "bool_type": ("true or false", ""),
    "bool_parsing": ("true or false", ""),
    "int_type": ("a whole number", ""),
    "int_parsing": ("a whole number", ""),
    "int_from_float": ("a whole number", ""),
}

_FACT = re.compile(r"fact\(")


def validate(
    model: type[Model], data: object, path: Path, sources: SourceMap, findings: Findings
) -> Model | None:
    """Read `data`, which stands at `path`, as `model`; report all that is wrong with it."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        report_errors(error, model, path, sources, findings)
        return None


def report_errors(
    error: ValidationError, annotation: Any, path: Path, sources: SourceMap, findings: Findings
) -> None:
    """Turn pydantic's errors about a value of type `annotation` at `path` into findings."""
    for details in error.errors(include_url=False):
        location, here = _location(annotation, details["loc"])
        whole = (*path, *location)
        what, why, hint, code = _words(details, whole, here)
        findings.add(Finding(what, why, hint, ".".join(whole), code, place=sources.place(whole)))


def _location(annotation: Any, loc: Sequence[int | str]) -> tuple[Path, Any]:
    """The data's path of an error, and the type of what holds its last key.

    Pydantic's location has the tag of a tagged union in it, the data has not.
    """
    location: list[str] = []
    here = holder = annotation
    for key in loc:
        if here is not None and is_tagged(here):
            here = step(here, key)
            continue
        location.append(str(key))
        holder, here = here, (None if here is None else step(here, key))
    return tuple(location), holder


def _words(details: ErrorDetails, location: Path, holder: Any) -> tuple[str, str, str, str]:
    """What, why, hint and code of one error."""
    kind = details["type"]
    name = location[-1] if location else "value"
    prefix = "" if name.isdigit() else f"{name}: "
    given = details.get("input")
    if kind == "extra_forbidden":
        known = [key for key in _keys(holder) if not (isinstance(given, str) and key == given)]
        return f"unknown key {name!r}", "", nearest(name, known), "unknown-key"
    if kind == "missing":
        return f"{name!r} is missing", _description(holder, name), "", "missing-key"
    context = details.get("ctx", {})
    if kind == "value_error":
        error = context.get("error")
        hint = getattr(error, "hint", "")
        return f"{prefix}{error}", "", hint, _value_code(str(error))
    if kind in _PLAIN_TYPES:
        wanted, hint = _PLAIN_TYPES[kind]
        return f"{prefix}{_short(given)} is not {wanted}", "", hint, "type"
    if kind == "literal_error":
        expected = str(context.get("expected", ""))
        return f"{prefix}{_short(given)} is unknown", "", f"write {expected}", "choice"
    if kind == "disruption_kind":
        hint = f"name its target under one of {', '.join(KINDS)}"
        return f"disruption {_short(given)} has no or several kinds", "", hint, "disruption-kind"
    return f"{prefix}{_short(given)}: {details['msg']}", "", "", "value"


def _keys(holder: Any) -> list[str]:
    if holder is None:
        return []
    model = describe_slot(holder).model
    return list(fields(model)) if model is not None else []


def _description(holder: Any, name: str) -> str:
    model = describe_slot(holder).model if holder is not None else None
    info = fields(model).get(name) if model is not None else None
    text = info.description if info is not None else None
    return f"it says: {text.rstrip('.')}" if text else ""


def _value_code(text: str) -> str:
    for part, code in (
        ("does not fit", "unit-dimension"),
        ("unknown unit", "unit-unknown"),
        ("unit is missing", "unit-missing"),
        ("finite", "not-finite"),
        ("out of range", "out-of-range"),
        ("is not after", "dates-reversed"),
        ("must ascend", "out-of-order"),
        ("out of order", "out-of-order"),
    ):
        if part in text:
            return code
    return "value"


def _short(given: object) -> str:
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


def validate_slot(
    annotation: Any, value: object, path: Path, sources: SourceMap, findings: Findings
) -> bool:
    """Whether `value` can stand in a slot of type `annotation`; reports why not."""
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        report_errors(error, annotation, path, sources, findings)
        return False
    return True


def check_facts(
    data: object,
    annotation: Any,
    path: Path,
    library: Library,
    as_of: float,
    sources: SourceMap,
    findings: Findings,
) -> None:
    """Report every `fact(...)` in valid `data` that is unknown, unknown yet, or does not fit."""
    for at, raw, quantity in _slots_with_facts(data, annotation, path):
        try:
            value = quantity.parse(raw)
        except ValueSyntaxError:
            continue  # reported by validation
        problems = [
            _fact_problems(value, quantity, unit, library, as_of) for unit in quantity.choices
        ]
        if not all(problems):
            continue  # it fits one of the units that the slot takes
        for error in problems[0]:
            findings.add(
                Finding(
                    str(error),
                    "",
                    error.hint,
                    ".".join(at),
                    "fact",
                    place=sources.place(at),
                )
            )


def _fact_problems(
    value: Value, quantity: Quantity, unit: str, library: Library, as_of: float
) -> list[ValueSyntaxError]:
    """Why the facts in a value cannot stand in a slot of SI unit `unit`; empty if they can."""
    problems: list[ValueSyntaxError] = []
    for fact, expected, inside in _facts(value, unit):
        try:
            resolved = library.resolve(fact.id, as_of, expected)
            if isinstance(resolved, Series) and (inside or not quantity.series):
                raise ValueSyntaxError(
                    f"fact({fact.id}) changes with time, this value cannot",
                    "give one value or another fact",
                )
            if expected == unit:
                _check_bounds(quantity, resolved, fact.id)
        except ValueSyntaxError as error:
            problems.append(error)
    return problems


def _check_bounds(quantity: Quantity, value: Value, fact_id: str) -> None:
    parts = [part for _, part in value.knots] if isinstance(value, Series) else [value]
    try:
        for part in parts:
            quantity.check_bounds(part)
    except ValueSyntaxError as error:
        raise ValueSyntaxError(f"fact({fact_id}): {error}", error.hint) from None


def _slots_with_facts(
    data: object, annotation: Any, path: Path
) -> Iterator[tuple[Path, object, Quantity]]:
    """Slots below `data` in which a fact is named."""
    seen: set[Path] = set()
    for keys in paths_naming(data, _FACT):
        here, node = annotation, data
        for depth in range(len(keys) + 1):
            quantity = strip(here)[1]
            if quantity is not None:
                if keys[:depth] not in seen:
                    seen.add(keys[:depth])
                    yield (*path, *keys[:depth]), node, quantity
                break
            if depth == len(keys):
                break
            if is_tagged(here):
                here = step(here, next((k for k in KINDS if _has(node, k)), ""))
            here = None if here is None else step(here, keys[depth])
            if here is None:
                break
            node = child(node, keys[depth])


def _has(node: object, key: str) -> bool:
    return isinstance(node, Mapping) and key in node


def paths_naming(data: object, pattern: re.Pattern[str]) -> list[Path]:
    """Paths of all texts and keys of plain data in which a pattern is found."""
    if isinstance(data, str):
        return [()] if pattern.search(data) else []
    found: list[Path] = []
    items: Any = ()
    if isinstance(data, dict):
        items = data.items()
    elif isinstance(data, list):
        items = ((str(index), item) for index, item in enumerate(data))
    for key, item in items:
        kind = type(item)
        if kind is str:
            if "(" in item and pattern.search(item):
                found.append((key,))
        elif kind is dict or kind is list:
            found += [(key, *rest) for rest in paths_naming(item, pattern)]
        if "(" in key and pattern.search(key):
            found.append((key,))
    return found


def is_needed(twin: Twin, room: str, name: str) -> bool:
    """Whether a value of any room is `model(<room>.<name>.…)`."""
    pattern = re.compile(rf"model\(\s*{room}\.{re.escape(name)}\.")
    return any(paths_naming(twin.data.get(other, {}), pattern) for other in twin.rooms)


def _facts(value: Value, expected: str, inside: bool = False) -> Iterator[tuple[Fact, str, bool]]:
    """Facts in a value with the unit that each must have, and whether each is a part of it."""
    if isinstance(value, Fact):
        yield value, expected, inside
    elif isinstance(value, Sum):
        yield from _facts(value.first, expected, True)
        yield from _facts(value.second, "s" if expected == DATE else expected, True)
    elif isinstance(value, Series):
        for index, (time, level) in enumerate(value.knots):
            yield from _facts(time, DATE, True)
            ratio = value.kind == "wright" and index == 1
            yield from _facts(level, "" if ratio else expected, True)
    else:
        return


def constant(value: Value | None) -> float | None:
    """The number of a constant value; None for anything else."""
    return value.value if isinstance(value, Constant) else None
