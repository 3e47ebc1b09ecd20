"""What steps take, draw and pass in the mean, and how often a lot visits them.

The visits follow from the routing alone: the traffic equations of Jackson, Networks of waiting
lines, Operations Research 5 (1957) 518-521.
"""

from __future__ import annotations

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.line.result import Floats
from firsttoken.line.system import NONE, RESTART, SCRAP, SHIP, System
from firsttoken.line.test_floor import time_in_test


class Expected:
    """Means of what a line's steps take and draw; K steps."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.values = fixed_parameters(system.parameters)

    def x(self, row: int, otherwise: float = 0.0) -> float:
        """Mean of a parameter row."""
        return otherwise if row == NONE else float(self.values[row])

    def stream(self, row: int, otherwise: float = 0.0) -> float:
        """Mean of a stream."""
        if row == NONE:
            return otherwise
        return self.x(int(self.system.tables.stream["parameter"][row]), 0.5)

    def time(self, k: int) -> float:
        """Mean time of one operation of step k on one lot, in s."""
        step = self.system.tables.step[k]
        pieces = int(self.system.tables.product["pieces"][step["product"]])
        each = self.stream(int(step["time"])) * (pieces if step["per_piece"] else 1)
        return each + self.x(int(step["load"])) + self.x(int(step["unload"])) + self._tasks(step)

    def _tasks(self, step: np.void) -> float:
        if step["tasks"] == NONE:
            return 0.0
        row = self.system.tables.tasks[step["tasks"]]
        misses = 1 - self.x(int(row["success"]), 1.0)
        each = self.x(int(row["time"])) + misses * self.x(int(row["recovery"]))
        return self.x(int(row["count"])) * each

    def passes(self, k: int) -> float:
        """Probability that step k passes."""
        return min(self.x(int(self.system.tables.step["pass_"][k]), 1.0), 1.0)

    def in_test(self, k: int) -> float:
        """Mean time of one visit to step k in s: restarts, and repairs on the spot, included."""
        step = self.system.tables.step[k]
        time, passes = self.time(k), self.passes(k)
        share = self.stream(int(step["fail_after"]), 1.0)
        if step["fail_to"] == RESTART and passes > 0:
            return time_in_test(time, passes, share, self.stream(int(step["repair"])))
        return passes * time + (1 - passes) * share * time

    def visits(self, product: int) -> Floats:
        """Mean visits of each step for one shipped lot of a product, [its steps]; NaN: none ships.

        Limits to the number of attempts, inspections and queue-time limits are not looked at.
        """
        row = self.system.tables.product[product]
        first, count = int(row["step"]), int(row["steps"])
        if count == 0 or first == NONE:
            return np.zeros(0)
        moves = np.zeros((count, count + 1))  # the last column: shipped
        for k in range(count):
            for target, chance in self._targets(first + k):
                if target != SCRAP:
                    moves[k, count if target == SHIP else target - first] += chance
        start = np.zeros(count)
        start[0] = 1
        arrivals = np.asarray(np.linalg.solve(np.eye(count) - moves[:, :count].T, start))
        ships = float(arrivals @ moves[:, count])
        return arrivals / ships if ships > 0 else np.full(count, np.nan)

    def _targets(self, k: int) -> list[tuple[int, float]]:
        """(target, probability) of where lots go from step k."""
        tables = self.system.tables
        step = tables.step[k]
        share = self.x(int(step["share"]), 1.0)
        passes = 1.0 if step["fail_to"] == RESTART else self.passes(k)
        found = [(int(step["fail_to"]), share * (1 - passes))] if passes < 1 else []
        left = 1.0
        for row in tables.branch[step["branch"] : step["branch"] + step["branches"]]:
            chance = min(self.x(int(row["probability"])), left)
            left -= chance
            found.append((int(row["to"]), share * passes * chance))
        skipped = SHIP if k + 1 == len(tables.step) else k + 1
        if skipped != SHIP and tables.step["product"][skipped] != step["product"]:
            skipped = SHIP
        return [*found, (int(step["next"]), share * passes * left), (skipped, 1 - share)]

    def draws(self, k: int) -> dict[int, float]:
        """What one operation of step k draws, by budget, in SI."""
        tables = self.system.tables
        step = tables.step[k]
        found: dict[int, float] = {}
        for need in tables.need[step["need"] : step["need"] + step["needs"]]:
            pool = int(tables.alternative["pool"][need["pool"]])
            if tables.pool["budget"][pool]:
                found[pool] = found.get(pool, 0.0) + self.x(int(need["amount"]))
        return found

    def lots_in_load(self, k: int) -> float:
        """Most lots that share one operation of step k."""
        step = self.system.tables.step[k]
        pieces = int(self.system.tables.product["pieces"][step["product"]])
        most = int(self.system.tables.family["batch_max"][step["family"]])
        return max(1.0, most // pieces) if most else 1.0

    def least(self, level: int) -> float:
        """The smallest amount that a level is declared to have at any time, but 0."""
        row = self.system.tables.level[level]
        first = int(self.system.tables.factor["series"][row["factor"]])
        series = self.system.series
        knots = series.knot_value[series.start[first] : series.start[first + 1]]
        found = [value for k in knots if (value := self.x(int(k))) > 0]
        return min(found, default=0.0)
