"""The inputs of a run as a reader sees them: value, range, source, and what was known before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel import codes
from firsttoken.kernel.parameters import ParameterTable
from firsttoken.kernel.sampling import bounds, median
from firsttoken.twin.dates import iso
from firsttoken.twin.parameters import Input
from firsttoken.twin.result_rows import Rows
from firsttoken.twin.result_table import ResultTable

if TYPE_CHECKING:
    from firsttoken.twin.library import Library

Floats = NDArray[np.float64]


def input_table(
    name: str,
    scenario: str,
    inputs: Sequence[Input],
    parameters: ParameterTable,
    start: float,
    users: Mapping[str, Sequence[str]],
    library: Library,
) -> ResultTable:
    """Every input that is uncertain or has a source.

    Parameters
    ----------
    name : of the table, `<room>_inputs`.
    inputs : the rows of `parameters` that a user would recognise.
    start : of the twin, seconds from 1970-01-01.
    users : path or fact -> paths of the slots that use it.
    """
    rows = Rows(
        name,
        "Inputs that are uncertain or cited, with their sources and earlier or later vintages.",
        ("scenario", "path", "valid_from"),
        *("scenario", "path", "fact", "valid_from", "low", "value", "high", "unit"),
        *("known_from", "confidence", "source", "note", "superseded", "used_by"),
    )
    for row in inputs:
        code, args = int(parameters.code[row.parameter]), parameters.args[row.parameter]
        low, high = bounds(code, args, parameters.table)
        middle = central(code, args, parameters.table)
        shown = [_shown(row, number, start) for number in (low, middle, high)]
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
            used_by="; ".join(users.get(row.path, ())),
        )
    return rows.table()


def central(code: int, args: Floats, table: Floats) -> float:
    """The value as written where a range has one: the mode; else the median."""
    if code in (codes.TRIANGULAR, codes.BETA_PERT):
        return float(args[1])
    return median(code, args, table)


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
