"""Rows of results on their way to a table, and the columns that all rooms have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from firsttoken.kernel.statistics import quantiles
from firsttoken.twin.result_table import Column, ResultTable

QUANTILES = ("p10", "p50", "p80", "p90", "mean")
"""Columns of what is told over replications; P10 of a date is the earliest tenth."""
PROBABILITIES = (0.1, 0.5, 0.8, 0.9)
"""Those of the first four."""


def spread(samples: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """P10, P50, P80, P90 and mean over axis 0 of [R, ...]: five arrays [...].

    Replications in which a number is not known (NaN) do not count; NaN where none is known.
    """
    values = np.asarray(samples, np.float64)
    shape, values = values.shape[1:], values.reshape(len(values), -1)
    found = np.full((len(QUANTILES), values.shape[1]), np.nan)
    whole = ~np.isnan(values).any(axis=0)
    columns = [whole, *np.flatnonzero(~whole)]
    for column in columns:
        known = values[:, column]
        known = known[~np.isnan(known)] if known.ndim == 1 else known
        if known.size:
            found[:-1, column] = quantiles(known, PROBABILITIES)
            with np.errstate(invalid="ignore"):  # of infinite amounts
                found[-1, column] = known.mean(axis=0)
    return dict(zip(QUANTILES, found.reshape(-1, *shape), strict=True))


class Rows:
    """Rows of a table on their way to a `ResultTable`."""

    def __init__(self, name: str, description: str, keys: tuple[str, ...], *columns: str) -> None:
        self.name, self.description, self.keys = name, description, keys
        self.columns: dict[str, list[Any]] = {column: [] for column in columns}

    def add(self, **values: Any) -> None:
        """Add one row; every column must be given."""
        for column, cells in self.columns.items():
            cells.append(values[column])

    def extend(self, count: int, /, **values: Sequence[Any] | Column | str | float) -> None:
        """Add `count` rows; a text or a number stands in all of them, a sequence gives one each."""
        for column, cells in self.columns.items():
            given = values[column]
            if isinstance(given, str | int | float):
                cells += [given] * count
            else:
                cells += given.tolist() if hasattr(given, "tolist") else list(given)

    def table(self, units: Mapping[str, str] | None = None) -> ResultTable:
        """The frozen table."""
        return ResultTable(
            self.name, dict(self.columns), dict(units or {}), self.description, self.keys
        )
