"""The inputs of a network as a reader sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firsttoken.kernel.sampling import bounds
from firsttoken.supply.system import System
from firsttoken.twin import input_table as table_of_inputs
from firsttoken.twin.input_table import central
from firsttoken.twin.parameters import ParameterBuilder, Resolve
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
    return low, central(code, args, parameters.table), high


def input_table(scenario: str, compiled: System, library: Library) -> ResultTable:
    """Every input that is uncertain or has a source."""
    return table_of_inputs.input_table(
        "supply_inputs",
        scenario,
        compiled.inputs,
        compiled.parameters,
        compiled.start,
        compiled.users,
        library,
    )
