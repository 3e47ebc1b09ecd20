"""Levels that change with time: open servers, people on shift, budgets, targets of pulls."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from firsttoken.kernel import codes
from firsttoken.kernel.memory import aligned
from firsttoken.kernel.parameters import fixed_parameters, series_mean
from firsttoken.line.state import CHANGE
from firsttoken.line.system import System

Floats = npt.NDArray[np.float64]
Path = tuple[Floats, Floats]
"""Times from 0 and values from then on."""

STATION, POOL, SOURCE = 0, 1, 2


class LevelPaths:
    """The levels of a system as steps in time.

    Attributes
    ----------
    users : what a level governs: (STATION, POOL or SOURCE; its row; the level).
    count : changes of the last replication.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        tables = system.tables
        self.users = [
            (kind, row, int(level))
            for kind, rows in (
                (STATION, tables.station),
                (POOL, tables.pool),
                (SOURCE, tables.source),
            )
            for row, level in enumerate(rows["level"])
            if level >= 0
        ]
        self.count = 0
        self._certain = [self._is_certain(level) for _, _, level in self.users]
        self._known: dict[int, Path] = {}
        self._result: tuple[Floats, npt.NDArray[Any]] | None = None

    def _series(self, level: int) -> list[int]:
        row = self._system.tables.level[level]
        first = int(row["factor"])
        return [
            int(s) for s in self._system.tables.factor["series"][first : first + row["factors"]]
        ]

    def _is_certain(self, level: int) -> bool:
        series, parameters = self._system.series, self._system.parameters
        for s in self._series(level):
            knots = slice(series.start[s], series.start[s + 1])
            rows = np.concatenate([series.knot_time[knots], series.knot_value[knots]])
            if np.any(parameters.code[rows] != codes.CONSTANT):
                return False
        return True

    def paths(self, x: Floats, seed: int, replication: int) -> tuple[Floats, npt.NDArray[Any]]:
        """Return the values at time 0, one a user, and the changes after it as CHANGE records.

        Parameters
        ----------
        x
            Parameters of the replication, [P].
        """
        if self._result is not None and all(self._certain):
            return self._result
        found = [
            self._path(level, certain, x, seed, replication)
            for (_, _, level), certain in zip(self.users, self._certain, strict=True)
        ]
        first = np.array([values[0] for _, values in found])
        lengths = [len(times) - 1 for times, _ in found]
        self.count = int(sum(lengths))
        changes = aligned(max(self.count, 1), CHANGE)
        if self.count:
            times = np.concatenate([times[1:] for times, _ in found])
            order = np.argsort(times, kind="stable")
            changes["time"] = times[order]
            changes["value"] = np.concatenate([values[1:] for _, values in found])[order]
            changes["level"] = np.repeat(np.arange(len(found)), lengths)[order]
        self._result = first, changes
        return self._result

    def _path(self, level: int, certain: bool, x: Floats, seed: int, replication: int) -> Path:
        if certain and level in self._known:
            return self._known[level]
        system = self._system
        times = self._times(level, x)
        values = np.ones(len(times))
        ends = np.append(times[1:], system.horizon)
        for s in self._series(level):
            step = system.series.kind[s] == codes.STEP
            for k, (start, end) in enumerate(zip(times, ends, strict=True)):
                values[k] *= series_mean(
                    system.series, x, system.parameters, s, float(start),
                    float(start if step else end), 0, seed, replication,
                )  # fmt: skip
        if system.tables.level[level]["whole"]:
            values = np.floor(values + 1e-9)
        keep = np.append(True, np.diff(values) != 0.0)
        path = times[keep], values[keep]
        if certain:
            self._known[level] = path
        return path

    def _times(self, level: int, x: Floats) -> Floats:
        """Moments at which a level may change: knots, and report periods where it runs smoothly."""
        series = self._system.series
        found = [np.zeros(1)]
        for s in self._series(level):
            knots = slice(series.start[s], series.start[s + 1])
            found.append(x[series.knot_time[knots]])
            if series.kind[s] != codes.STEP:
                found.append(self._system.edges[:-1])
        times = np.unique(np.concatenate(found))
        return times[(times >= 0.0) & (times < self._system.horizon)]

    def greatest(self, level: int) -> float:
        """Return the largest value of a level, by the medians of its parameters."""
        x = self._medians()
        _, values = self._path(level, False, x, 0, -1)
        return float(values.max())

    def greatest_number(self, rows: npt.NDArray[np.int32]) -> float:
        """Return the largest of some parameters, by their medians; 0 if there is none."""
        if not len(rows):
            return 0.0
        return float(self._medians()[rows].max())

    def _medians(self) -> Floats:
        return fixed_parameters(self._system.parameters, "median")
