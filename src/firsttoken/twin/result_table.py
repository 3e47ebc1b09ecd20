"""A table of results: named columns of equal length, with units.

Rooms make these tables and the run folder keeps them; it stands down here so that rooms need
not know how results are stored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class ResultTable:
    """One table of a run.

    Attributes
    ----------
    name : `<room>_<table>` in lower case; the file's name in the run folder.
    columns : column name -> values; all columns have the same length. Values are texts, floats
        (NaN: not known), integers or booleans, given as a list or an array.
    units : column name -> unit as a planner writes it (`rack`, `USD`); a column of ISO days has
        the unit `date` and '' where there is no date. Columns without a unit may be left out.
    description : one sentence that says what a row is.
    keys : the columns that together identify a row.

    Raises
    ------
    ValueError
        If the name is not a table's name, the columns differ in length, or a unit or a key
        belongs to no column.
    """

    name: str
    columns: dict[str, Sequence[Any] | Column]
    units: dict[str, str] = field(default_factory=dict)
    description: str = ""
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a table's name such as supply_summary")
        if not self.columns:
            raise ValueError(f"table {self.name} has no columns")
        lengths = {name: len(values) for name, values in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of table {self.name} differ in length: {lengths}")
        for name in (*self.units, *self.keys):
            if name not in self.columns:
                raise ValueError(f"table {self.name} has no column {name!r}")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def array(self, column: str) -> Column:
        """The column as an array, shape (rows,): float64, int64, bool, or object for texts.

        None becomes NaN among numbers and '' among texts.

        Raises
        ------
        ValueError
            If the values are of mixed kinds.
        """
        values = self.columns[column]
        if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
            return values.astype({"f": np.float64, "b": np.bool_}.get(values.dtype.kind, np.int64))
        listed = list(values)
        kinds = {type(value) for value in listed if value is not None}
        if (
            all(issubclass(kind, bool | np.bool_) for kind in kinds)
            and kinds
            and None not in listed
        ):
            return np.array(listed, dtype=np.bool_)
        if all(issubclass(kind, int | np.integer) for kind in kinds) and kinds:
            if None not in listed:
                return np.array(listed, dtype=np.int64)
            kinds.add(float)
        if kinds and all(issubclass(kind, int | float | np.number) for kind in kinds):
            return np.array([np.nan if v is None else v for v in listed], dtype=np.float64)
        if any(not issubclass(kind, str) for kind in kinds):
            raise ValueError(
                f"column {column!r} of table {self.name} mixes kinds: "
                + ", ".join(sorted(kind.__name__ for kind in kinds))
            )
        out = np.empty(len(listed), dtype=object)
        out[:] = ["" if value is None else str(value) for value in listed]
        return out


def concatenate(tables: Sequence[ResultTable]) -> ResultTable:
    """Put the rows of tables of one kind (say, one a scenario) under each other.

    Raises
    ------
    ValueError
        If there is no table, or they differ in name, columns or units.
    """
    if not tables:
        raise ValueError("no tables to concatenate")
    first = tables[0]
    for table in tables[1:]:
        if table.name != first.name or list(table.columns) != list(first.columns):
            raise ValueError(f"tables {first.name} and {table.name} differ in name or columns")
        if table.units != first.units:
            raise ValueError(f"tables named {first.name} differ in units")
    filled = [table for table in tables if len(table)] or [first]
    columns: dict[str, Sequence[Any] | Column] = {
        name: np.concatenate([table.array(name) for table in filled]) for name in first.columns
    }
    return ResultTable(first.name, columns, first.units, first.description, first.keys)
