"""What steps take, draw and pass in the mean, and how often a lot visits them.

The visits follow from the routing alone: the traffic equations of Jackson, Networks of waiting
lines, Operations Research 5 (1957) 518-521.
"""

from __future__ import annotations

import numpy as np

from firsttoken.kernel.parameters import draw_replications, fixed_parameters
from firsttoken.kernel.sampling import mean
from firsttoken.line.result import Floats
from firsttoken.line.system import NONE, RESTART, SCRAP, SHIP, System


class Expected:
    """Means over the lots of each replication; every number is an array [R].

    Parameters
    ----------
    values : parameters of the replications, [R, P].
    """

    def __init__(self, system: System, values: Floats) -> None:
        self.system, self.values = system, values
        self.count = len(values)

    @classmethod
    def of_means(cls, system: System) -> Expected:
        """One replication in which every parameter has its mean."""
        return cls(system, fixed_parameters(system.parameters)[None])

    @classmethod
    def drawn(cls, system: System, replications: int, seed: int) -> Expected:
        """The replications of a simulation with this seed."""
        values = np.empty((replications, len(system.parameters.code)))
        draw_replications(system.parameters, seed, 0, values)
        return cls(system, values)

    def x(self, row: int, otherwise: float = 0.0) -> Floats:
        """A parameter row."""
        return np.full(self.count, otherwise) if row == NONE else self.values[:, row]

    def stream(self, row: int, otherwise: float = 0.0) -> Floats:
        """Mean of a stream; 1/2 of uniform numbers."""
        if row == NONE:
            return np.full(self.count, otherwise)
        given = self.system.tables.stream[row]
        p = int(given["parameter"])
        if p == NONE:
            return np.full(self.count, 0.5)
        if not given["each"]:
            return self.x(p)
        parameters = self.system.parameters
        known = mean(int(parameters.code[p]), parameters.args[p], parameters.table)
        return np.full(self.count, known)

    def time(self, k: int) -> Floats:
        """Time of one operation of step k on one lot, in s."""
        step = self.system.tables.step[k]
        pieces = int(self.system.tables.product["pieces"][step["product"]])
        each = self.stream(int(step["time"])) * (pieces if step["per_piece"] else 1)
        return each + self.x(int(step["load"])) + self.x(int(step["unload"])) + self._tasks(step)

    def _tasks(self, step: np.void) -> Floats:
        if step["tasks"] == NONE:
            return np.zeros(self.count)
        row = self.system.tables.tasks[step["tasks"]]
        misses = 1 - self.x(int(row["success"]), 1.0)
        each = self.x(int(row["time"])) + misses * self.x(int(row["recovery"]))
        return self.x(int(row["count"])) * each

    def passes(self, k: int) -> Floats:
        """Probability that step k passes."""
        return np.clip(self.x(int(self.system.tables.step["pass_"][k]), 1.0), 0.0, 1.0)

    def in_test(self, k: int) -> Floats:
        """Time of one visit to step k in s: restarts and repairs on the spot included.

        The law's time in test (`test_floor.time_in_test`); infinite if nothing ever passes.
        """
        step = self.system.tables.step[k]
        time, passes = self.time(k), self.passes(k)
        lost = self.stream(int(step["fail_after"]), 1.0) * time
        if step["fail_to"] != RESTART:
            return passes * time + (1 - passes) * lost
        again = lost + self.stream(int(step["repair"]))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(passes < 1, time + (1 - passes) / passes * again, time)

    def share(self, k: int) -> Floats:
        """Share of the lots that come to step k and need it."""
        return np.clip(self.x(int(self.system.tables.step["share"][k]), 1.0), 0.0, 1.0)

    def visits(self, product: int) -> Floats:
        """Visits of each step for one shipped lot of a product, [R, its steps]; NaN: none ships.

        Limits to the number of attempts, inspections and queue-time limits are not looked at.
        """
        row = self.system.tables.product[product]
        first, count = int(row["step"]), int(row["steps"])
        if count == 0 or first == NONE:
            return np.zeros((self.count, 0))
        moves = np.zeros((self.count, count, count + 1))  # the last column: shipped
        for k in range(count):
            for target, chance in self._targets(first + k):
                if target != SCRAP:
                    moves[:, k, count if target == SHIP else target - first] += chance
        start = np.zeros((self.count, count, 1))
        start[:, 0] = 1
        back = np.swapaxes(moves[:, :, :count], 1, 2)
        arrivals = np.asarray(np.linalg.solve(np.eye(count) - back, start))[:, :, 0]
        ships = (arrivals * moves[:, :, count]).sum(axis=1, keepdims=True)
        visits: Floats = np.full(arrivals.shape, np.nan)
        np.divide(arrivals, ships, out=visits, where=ships > 0)
        return visits

    def _targets(self, k: int) -> list[tuple[int, Floats]]:
        """(target, probability) of where lots go from step k."""
        tables = self.system.tables
        step = tables.step[k]
        share = self.share(k)
        passes = np.ones(self.count) if step["fail_to"] == RESTART else self.passes(k)
        found = [(int(step["fail_to"]), share * (1 - passes))] if (passes < 1).any() else []
        left = np.ones(self.count)
        for row in tables.branch[step["branch"] : step["branch"] + step["branches"]]:
            chance = np.minimum(self.x(int(row["probability"])), left)
            left = left - chance
            found.append((int(row["to"]), share * passes * chance))
        skipped = k + 1 if k + 1 < len(tables.step) else SHIP
        if skipped != SHIP and tables.step["product"][skipped] != step["product"]:
            skipped = SHIP
        return [*found, (int(step["next"]), share * passes * left), (skipped, 1 - share)]

    def draws(self, k: int) -> dict[int, Floats]:
        """What one operation of step k draws, by budget, in SI."""
        tables = self.system.tables
        step = tables.step[k]
        found: dict[int, Floats] = {}
        for need in tables.need[step["need"] : step["need"] + step["needs"]]:
            pool = int(tables.alternative["pool"][need["pool"]])
            if tables.pool["budget"][pool]:
                found[pool] = found.get(pool, 0.0) + self.x(int(need["amount"]))
        return found

    def most_needed(self, pool: int) -> float:
        """The most that one operation needs of a pool or budget at a time, in the mean."""
        tables = self.system.tables
        rows = [
            int(need["amount"])
            for need in tables.need
            if pool in tables.alternative["pool"][need["pool"] : need["pool"] + need["pools"]]
        ]
        rows += [int(hold["amount"]) for hold in tables.hold if hold["pool"] == pool]
        return max((float(self.x(row).mean()) for row in rows), default=0.0)

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
        amounts = self.values[:, knots]
        return float(np.min(amounts[amounts > 0], initial=np.inf))
