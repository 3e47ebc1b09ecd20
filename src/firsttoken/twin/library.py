"""Libraries of parts and facts: every number with its source, and when it was known.

A library is a folder of `facts*.csv` tables and `parts/*.yaml`. Facts are bitemporal
(Snodgrass, Developing Time-Oriented Database Applications in SQL, 2000): `valid_from`
says from when a value holds, `known_from` from when anybody knew it, so that a twin can
be run with what was known on a given day.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from firsttoken.twin.dates import iso, parse_date
from firsttoken.twin.families import from_range
from firsttoken.twin.findings import Finding, Findings, Place
from firsttoken.twin.grammar import DATE, ValueSyntaxError, slot_unit
from firsttoken.twin.slots import nearest
from firsttoken.twin.source import SourceMap, read_yaml
from firsttoken.twin.tables import read_csv
from firsttoken.twin.units import DIMENSIONLESS, UnitError, parse_unit
from firsttoken.twin.values import (
    Constant,
    Distribution,
    Provenance,
    Scalar,
    Series,
    Value,
    with_provenance,
)

SHIPPED = Path(__file__).resolve().parent.parent / "library"
"""Folder of the libraries that come with the package."""

ALWAYS = -math.inf
TEXT = "text"

_COLUMNS = (
    "id",
    "entity",
    "quantity",
    "low",
    "value",
    "high",
    "unit",
    "valid_from",
    "known_from",
    "confidence",
    "source",
    "note",
    "interpolate",
)
_REQUIRED = ("id", "value", "unit", "known_from", "confidence", "source")
_ID = re.compile(r"[a-z0-9][a-z0-9_\-]*(\.[a-z0-9][a-z0-9_\-]*)*")
_CONFIDENCE = ("A", "B", "C", "D")
_PART_KEYS = (
    "part",
    "description",
    "kind",
    "source",
    "confidence",
    "known_from",
    "bom",
    "attributes",
)
_ATTRIBUTE_KEYS = (
    "low",
    "value",
    "high",
    "unit",
    "source",
    "confidence",
    "note",
    "known_from",
    "valid_from",
)


class FactError(ValueSyntaxError):
    """A fact cannot stand in a slot: unknown, not yet known, or of another dimension."""


@dataclass(frozen=True, slots=True)
class Vintage:
    """One row of a fact: what was known about it from a day on.

    Attributes
    ----------
    low, value, high : the range in the units of `unit`; seconds from 1970-01-01 for the unit
        `date`; nan for a fact that is text.
    text : the value as written.
    valid_from, known_from : seconds from 1970-01-01; `valid_from` is -inf if it always held.
    confidence : A (primary document) to D (assumption).
    """

    id: str
    entity: str
    quantity: str
    low: float
    value: float
    high: float
    text: str
    unit: str
    valid_from: float
    known_from: float
    confidence: str
    source: str
    note: str
    interpolate: Literal["step", "linear"]
    place: Place

    def provenance(self) -> Provenance:
        """Where the value comes from."""
        known = iso(self.known_from) if math.isfinite(self.known_from) else ""
        return Provenance(self.source, known, self.confidence, self.note, self.id)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the catalogue: what it consists of and its data-sheet values.

    Attributes
    ----------
    bom : amount of each item in one of it, as values are written (`18`, `18 tray`).
    attributes : names of its attributes; each is the fact `<part id>.<name>`.
    """

    id: str
    description: str
    kind: str
    source: str
    bom: Mapping[str, Any]
    attributes: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Library:
    """Facts and parts of all libraries of a twin.

    Attributes
    ----------
    facts : the vintages of each fact id, in the order of their files.
    parts : by part id.
    """

    facts: Mapping[str, tuple[Vintage, ...]] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)

    def resolve(self, fact_id: str, as_of: float, expected: str) -> Value:
        """The value of a fact as it was known at `as_of`.

        Parameters
        ----------
        fact_id : id of the fact.
        as_of : seconds from 1970-01-01.
        expected : SI unit of the slot, or `date`.

        Returns
        -------
        A `Constant` or triangular `Distribution`; a `Series` where the fact holds different
        values from different dates. For each of these dates the latest knowledge counts.

        Raises
        ------
        FactError
            If the fact is unknown, was not known yet, or does not fit the slot.
        """
        rows = self.known(fact_id, as_of)
        if expected == DATE and len(rows) > 1:
            raise FactError(f"fact({fact_id}) changes with time and so is no date")
        if len(rows) == 1:
            return _value(rows[0], expected)
        knots = tuple((Constant(row.valid_from), _value(row, expected)) for row in rows)
        kind = rows[-1].interpolate
        last = knots[-1][1]
        unit = last.unit if isinstance(last, Constant | Distribution) else DIMENSIONLESS
        series = Series(kind, knots, unit)
        return with_provenance(series, rows[-1].provenance())

    def known(self, fact_id: str, as_of: float) -> list[Vintage]:
        """The vintages that count at `as_of`, by ascending `valid_from`.

        Raises
        ------
        FactError
            If the fact is unknown or was not known yet.
        """
        vintages = self.facts.get(fact_id)
        if vintages is None:
            raise FactError(f"fact({fact_id}) is unknown", nearest(fact_id, list(self.facts)))
        latest: dict[float, Vintage] = {}
        for row in sorted(vintages, key=lambda row: row.known_from):
            if row.known_from <= as_of:
                latest[row.valid_from] = row
        if not latest:
            first = iso(min(row.known_from for row in vintages))
            raise FactError(
                f"fact({fact_id}) was known only from {first}",
                f"the twin's as_of is {iso(as_of)}: give a value of your own for that day",
            )
        return [latest[time] for time in sorted(latest)]

    def superseded(self, fact_id: str) -> list[Vintage]:
        """All vintages of a fact, by ascending `known_from` and `valid_from`.

        Raises
        ------
        FactError
            If the fact is unknown.
        """
        if fact_id not in self.facts:
            raise FactError(f"fact({fact_id}) is unknown", nearest(fact_id, list(self.facts)))
        return sorted(self.facts[fact_id], key=lambda row: (row.known_from, row.valid_from))

    def part(self, part_id: str) -> Part:
        """A part by its id.

        Raises
        ------
        FactError
            If there is no such part.
        """
        part = self.parts.get(part_id)
        if part is None:
            raise FactError(f"part({part_id}) is unknown", nearest(part_id, list(self.parts)))
        return part

    def within(self, names: Iterable[str]) -> list[Part]:
        """The parts among `names`, all that they consist of or name as an attribute, by id."""
        found: dict[str, Part] = {}
        ahead = list(names)
        while ahead:
            part = self.parts.get(ahead.pop())
            if part is not None and part.id not in found:
                found[part.id] = part
                rows = (self.facts.get(f"{part.id}.{name}", ()) for name in part.attributes)
                ahead.extend(part.bom)
                ahead.extend(row.text for vintages in rows for row in vintages)
        return [found[name] for name in sorted(found)]

    def last_known(self) -> float | None:
        """The latest `known_from` of all facts; None without facts."""
        days = [row.known_from for rows in self.facts.values() for row in rows]
        return max((day for day in days if math.isfinite(day)), default=None)


def _value(row: Vintage, expected: str) -> Scalar:
    if row.unit == TEXT:
        raise FactError(f"fact({row.id}) is the text {row.text!r}, not a quantity")
    if (row.unit == DATE) != (expected == DATE):
        have = "a date" if row.unit == DATE else f"a quantity in {row.unit or 'pure numbers'}"
        want = "a date" if expected == DATE else f"a quantity in {expected or 'pure numbers'}"
        raise FactError(f"fact({row.id}) is {have}, the slot takes {want}")
    unit = DIMENSIONLESS
    if row.unit != DATE:
        try:
            unit = slot_unit(row.unit or "1", expected)
        except ValueSyntaxError as error:
            raise FactError(f"fact({row.id}): {error}", error.hint) from None
    numbers = {
        name: number * unit.factor + unit.offset
        for name, number in (("low", row.low), ("value", row.value), ("high", row.high))
    }
    value = from_range(numbers, "triangular", unit)
    return with_provenance(value, row.provenance())  # type: ignore[return-value]


def read_libraries(names: Iterable[tuple[str, Place]], folder: Path, findings: Findings) -> Library:
    """Read the named libraries: each a folder beside the twin, or one that is shipped.

    Parameters
    ----------
    names : name and where it stands in the twin.
    folder : the twin's folder.
    """
    facts: dict[str, list[Vintage]] = {}
    parts: dict[str, Part] = {}
    for name, place in names:
        root = _find(name, folder)
        if root is None:
            shipped = shipped_libraries()
            findings.add(
                Finding(
                    f"library {name!r} is not found",
                    "it is neither a folder beside the twin nor shipped",
                    nearest(name, shipped),
                    path="library",
                    code="library-unknown",
                    place=place,
                )
            )
            continue
        sources = sorted(root.glob("facts*.csv"))
        catalogue = sorted((root / "parts").glob("*.yaml"))
        if not sources and not catalogue:
            findings.add(
                Finding(
                    f"library {name!r} is empty",
                    "a library holds facts*.csv or parts/*.yaml",
                    path="library",
                    code="library-empty",
                    place=place,
                )
            )
        for path in sources:
            for vintage in read_facts(path, findings):
                facts.setdefault(vintage.id, []).append(vintage)
        for path in catalogue:
            _add_part(path, facts, parts, findings)
    _check_vintages(facts, findings)
    frozen = {key: tuple(rows) for key, rows in facts.items()}
    return Library(MappingProxyType(frozen), MappingProxyType(parts))


def shipped_libraries() -> list[str]:
    """Names of the libraries that come with the package."""
    if not SHIPPED.is_dir():
        return []
    return sorted(
        path.name
        for path in SHIPPED.iterdir()
        if path.is_dir() and (any(path.glob("facts*.csv")) or (path / "parts").is_dir())
    )


def _find(name: str, folder: Path) -> Path | None:
    own = folder / name
    if own.is_dir():
        return own
    return SHIPPED / name if name in shipped_libraries() else None


def read_facts(path: Path, findings: Findings) -> list[Vintage]:
    """Read one table of facts; every malformed row is reported and left out."""
    table = read_csv(path, findings)
    if table is None:
        return []
    for name, title in table.headers.items():
        if name not in _COLUMNS:
            hint = nearest(name, _COLUMNS)
            _report(findings, table.place(-1), f"unknown column {title!r}", hint, "table-column")
    missing = [name for name in _REQUIRED if name not in table.columns]
    if missing:
        what = f"column {', '.join(missing)} is missing"
        _report(findings, table.place(-1), what, "", "table-column")
        return []
    vintages = []
    for row in range(len(table)):
        cells = {name: str(column[row] or "") for name, column in table.columns.items()}
        try:
            vintages.append(_vintage(cells, table.place(row)))
        except (ValueError, UnitError) as error:
            what = f"fact {cells['id'] or '?'}: {error}"
            _report(findings, table.place(row), what, getattr(error, "hint", ""), "fact")
    return vintages


def _report(findings: Findings, place: Place, what: str, hint: str, code: str) -> None:
    findings.add(Finding(what, "", hint, code=code, place=place))


def _vintage(cells: Mapping[str, str], place: Place, *, strict: bool = True) -> Vintage:
    """One vintage; a part's attribute (not `strict`) may lack confidence and known_from."""
    fact_id = cells["id"]
    if not _ID.fullmatch(fact_id):
        raise FactError(f"{fact_id!r} is not an id", "write small letters: cowos.tsmc.capacity")
    if cells["confidence"] not in _CONFIDENCE and (strict or cells["confidence"]):
        raise FactError(f"confidence {cells['confidence']!r} is not A, B, C or D")
    if not cells["source"]:
        raise FactError("the source is missing", "cite where the number comes from")
    interpolate = cells.get("interpolate", "") or "step"
    if interpolate not in ("step", "linear"):
        raise FactError(f"interpolate {interpolate!r} is not step or linear")
    unit = "" if cells["unit"] == "1" else cells["unit"]
    low, value, high = _range(cells, unit)
    if unit not in (DATE, TEXT):
        parse_unit(unit)
    known = cells["known_from"]
    if not known and strict:
        raise FactError("known_from is missing", "write the day from which it was known")
    valid = cells.get("valid_from", "")
    return Vintage(
        fact_id,
        cells.get("entity", ""),
        cells.get("quantity", ""),
        low,
        value,
        high,
        cells["value"],
        unit,
        parse_date(valid) if valid else ALWAYS,
        parse_date(known) if known else ALWAYS,
        cells["confidence"],
        cells["source"],
        cells.get("note", ""),
        "linear" if interpolate == "linear" else "step",
        place,
    )


def _range(cells: Mapping[str, str], unit: str) -> tuple[float, float, float]:
    if unit == TEXT:
        if not cells["value"]:
            raise FactError("the value is missing")
        return math.nan, math.nan, math.nan
    value = _number(cells["value"], unit) if cells["value"] else None
    low = _number(cells["low"], unit) if cells.get("low") else value
    high = _number(cells["high"], unit) if cells.get("high") else value
    if low is None or high is None:
        raise FactError("the value is missing", "give value, or low and high")
    middle = (low + high) / 2 if value is None else value
    if not low <= middle <= high:
        raise FactError("the range is out of order", "low <= value <= high")
    return low, middle, high


def _number(text: str, unit: str) -> float:
    if unit == DATE:
        return parse_date(text)
    try:
        number = float(text)
    except ValueError:
        raise FactError(
            f"{text!r} is not a number", f"a fact that is text has the unit {TEXT!r}"
        ) from None
    if not math.isfinite(number):
        raise FactError(f"{text!r} is not a finite number")
    return number


def _check_vintages(facts: Mapping[str, list[Vintage]], findings: Findings) -> None:
    """Vintages of one fact must differ in their dates and agree in dimension."""
    for fact_id, rows in facts.items():
        seen: dict[tuple[float, float], Vintage] = {}
        for row in rows:
            key = (row.valid_from, row.known_from)
            if key in seen:
                what = f"fact {fact_id} is given twice for the same dates"
                hint = f"it also stands at {seen[key].place}"
                _report(findings, row.place, what, hint, "fact-duplicate")
            seen[key] = row
            if _dimension(row.unit) != _dimension(rows[0].unit):
                what = f"fact {fact_id} changes its dimension from {rows[0].unit} to {row.unit}"
                _report(findings, row.place, what, "", "unit-dimension")
        if len({row.valid_from == ALWAYS for row in rows}) > 1:
            what = f"fact {fact_id} has rows with and without valid_from"
            _report(findings, rows[0].place, what, "give each row a valid_from, or none", "fact")


def _dimension(unit: str) -> str:
    return unit if unit in (DATE, TEXT) else parse_unit(unit).dimension


def _add_part(
    path: Path, facts: dict[str, list[Vintage]], parts: dict[str, Part], findings: Findings
) -> None:
    data, sources = read_yaml(path, findings)
    if not data:
        return

    def report(at: tuple[str, ...], what: str, hint: str = "") -> None:
        _report(findings, sources.place(at), what, hint, "part")

    for key in data:
        if key not in _PART_KEYS:
            report((key,), f"unknown key {key!r}", nearest(key, _PART_KEYS))
    part_id = str(data.get("part") or "")
    if not _ID.fullmatch(part_id):
        report(("part",), f"part {part_id!r} is not an id", "write part: gb300_nvl72")
        return
    bom, attributes = data.get("bom") or {}, data.get("attributes") or {}
    for key, given in (("bom", bom), ("attributes", attributes)):
        if not isinstance(given, Mapping):
            report((key,), f"{key} is not a mapping")
            return
    if part_id in parts:
        report(("part",), f"part {part_id} is given twice", f"also at {parts[part_id].place}")
        return
    for name, given in attributes.items():
        vintage = _attribute(part_id, name, given, data, sources, findings)
        if vintage is not None:
            facts.setdefault(vintage.id, []).append(vintage)
    texts = {key: str(data.get(key) or "") for key in ("description", "kind", "source")}
    place = sources.place(("part",))
    parts[part_id] = Part(part_id, **texts, bom=bom, attributes=tuple(attributes), place=place)


def _attribute(
    part_id: str,
    name: str,
    given: object,
    data: Mapping[str, Any],
    sources: SourceMap,
    findings: Findings,
) -> Vintage | None:
    place = sources.place(("attributes", name))
    if not isinstance(given, Mapping):
        hint = "write {value: 132, unit: kW, source: ...}"
        _report(findings, place, f"attribute {name!r} is not a mapping", hint, "part")
        return None
    for key in given:
        if key not in _ATTRIBUTE_KEYS:
            hint = nearest(key, _ATTRIBUTE_KEYS)
            _report(findings, place, f"unknown key {key!r} in attribute {name!r}", hint, "part")
    cells = {key: "" if given.get(key) is None else str(given[key]) for key in _ATTRIBUTE_KEYS}
    cells["id"] = f"{part_id}.{name}"
    cells["entity"], cells["quantity"] = part_id, name
    for key in ("source", "confidence", "known_from"):
        cells[key] = cells[key] or str(data.get(key) or "")
    try:
        return _vintage(cells, place, strict=False)
    except (ValueError, UnitError) as error:
        hint = getattr(error, "hint", "")
        _report(findings, place, f"attribute {name!r}: {error}", hint, "part")
        return None
