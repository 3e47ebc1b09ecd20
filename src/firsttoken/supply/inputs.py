"""The inputs of a run as a reader sees them: value, range, source, and what was known before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firsttoken.kernel import codes
from firsttoken.kernel.sampling import bounds, median
from firsttoken.supply.kpi_rows import Rows
from firsttoken.supply.system import Floats, System
from firsttoken.twin.dates import iso
from firsttoken.twin.parameters import Input, ParameterBuilder, Resolve
from firsttoken.twin.result_table import ResultTable
from firsttoken.twin.values import Value

if TYPE_CHECKING:
    from firsttoken.twin.library import Library


def display_range(value: Value, unit: str, resolve: Resolve) -> tuple[float, float, float]:
    """Lowest, written (or median) and highest value in SI; a series counts with its first knot."""
    build = ParameterBuilder(0.0, resolve)
    series = build.series(value, "shown", unit)
    parameters, table = build.tables()
    row = int(table.knot_value[table.start[series]])
    code, args = int(parameters.code[row]), parameters.args[row]
    low, high = bounds(code, args, parameters.table)
    return low, _central(code, args, parameters.table), high


def _central(code: int, args: Floats, table: Floats) -> float:
    """The value as written where a range has one: the mode; else the median."""
    if code in (codes.TRIANGULAR, codes.BETA_PERT):
        return float(args[1])
    return median(code, args, table)


def input_table(scenario: str, compiled: System, library: Library) -> ResultTable:
    """Every input that is uncertain or has a source."""
    rows = Rows(
        "supply_inputs",
        "Inputs that are uncertain or cited, with their sources and earlier or later vintages.",
        ("scenario", "path", "valid_from"),
        *("scenario", "path", "fact", "valid_from", "low", "value", "high", "unit"),
        *("known_from", "confidence", "source", "note", "superseded", "used_by"),
    )
    for row in compiled.inputs:
        parameters = compiled.parameters
        code, args = int(parameters.code[row.parameter]), parameters.args[row.parameter]
        low, high = bounds(code, args, parameters.table)
        middle = _central(code, args, parameters.table)
        shown = [_shown(row, number, compiled.start) for number in (low, middle, high)]
        cited = row.provenance
        fact = cited.fact if cited else ""
        rows.add(
            scenario=scenario,
            path=row.path,
            fact=fact,
            valid_from=row.valid_from,
            low=shown[0] if code != codes.CONSTANT else "",
            value=shown[1],
            high=shown[2] if code != codes.CONSTANT else "",
            unit="date" if row.date else row.unit.text,
            known_from=cited.known_from if cited else "",
            confidence=cited.confidence if cited else "",
            source=cited.source if cited else "",
            note=cited.note if cited else "",
            superseded=_vintages(library, fact) if fact in library.facts else "",
            used_by="; ".join(compiled.users.get(row.path, ())),
        )
    return rows.table()


def _shown(row: Input, value: float, start: float) -> str:
    if row.date:
        return iso(value + start)
    return f"{(value - row.unit.offset) / row.unit.factor:.6g}"


def _vintages(library: Library, fact: str) -> str:
    """What was believed when, if belief changed: `2025-11: 1.4e+12 USD; 2026-02: ...`."""
    vintages = library.superseded(fact)
    changed = {row.valid_from for row in vintages if row.known_from != vintages[0].known_from}
    if not changed or len(vintages) < 2:
        return ""
    return "; ".join(
        f"{iso(row.known_from)}: {row.text} {row.unit}".strip()
        for row in vintages
        if row.known_from > float("-inf")
    )
