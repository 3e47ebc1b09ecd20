"""The law of the test floor beside the simulation, for every station that draws on a budget.

How often a lot visits a step follows from the routing alone: the traffic equations of Jackson,
Networks of waiting lines, Operations Research 5 (1957) 518-521.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.kernel.statistics import Interval, mean_interval
from firsttoken.line.analyse_edit import steps_at
from firsttoken.line.result import WORKING, Floats, LineResult
from firsttoken.line.system import NONE, RESTART, SCRAP, SHIP, System
from firsttoken.line.test_floor import servers_for, time_in_test


@dataclass(frozen=True)
class FloorRow:
    """One station, or all of them, and one budget.

    Attributes
    ----------
    station, budget : rows of the system; station -1: all that draw on the budget.
    rate : lots shipped per second that the station works for.
    time, passes : of one complete test in s, and its first-pass yield, in the mean over lots.
    slots, draw : by the law; draw in SI.
    slots_simulated, draw_simulated : with 95 % intervals.
    servers, needed : that there are, and the fewest that the law allows for this rate; 0 of all.
    level : of the budget, simulated mean, in SI.
    """

    station: int
    budget: int
    rate: float
    time: float
    passes: float
    slots: float
    draw: float
    slots_simulated: Interval
    draw_simulated: Interval
    servers: int
    needed: int
    level: float


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


def floor_rows(system: System, result: LineResult) -> list[FloorRow]:
    """Law and simulation for every station that draws on a budget, and for each budget in all."""
    expected = Expected(system)
    tables = system.tables
    rates = np.zeros(len(tables.product))
    np.add.at(rates, list(system.names.class_product), result.throughput.mean(axis=0))
    visits = [expected.visits(p) for p in range(len(tables.product))]
    budgets = np.flatnonzero(tables.pool["budget"]).tolist()
    work = np.zeros(len(tables.step))  # operations per second
    for p, row in enumerate(tables.product):
        for j in range(len(visits[p])):
            k = int(row["step"]) + j
            share = expected.x(int(tables.step["share"][k]), 1.0)
            work[k] = np.nan_to_num(rates[p] * visits[p][j]) * share / expected.lots_in_load(k)
    rows = [
        _station_row(system, result, expected, rates, work, s, budget)
        for budget in budgets
        for s in range(len(tables.station))
        if any(budget in expected.draws(int(k)) for k in steps_at(system, s))
    ]
    return rows + [_total_row(rows, budget, result) for budget in budgets]


def _station_row(
    system: System,
    result: LineResult,
    expected: Expected,
    rates: Floats,
    work: Floats,
    station: int,
    budget: int,
) -> FloorRow:
    steps = steps_at(system, station)
    rate = float(rates[np.unique(system.tables.step["product"][steps])].sum())
    slots = np.array([work[k] * expected.in_test(int(k)) for k in steps])
    draws = np.array([expected.draws(int(k)).get(budget, 0.0) for k in steps])
    total, draw = float(slots.sum()), float(slots @ draws)
    weights = work[steps] if work[steps].sum() > 0 else np.ones(len(steps))
    weights = weights / weights.sum()
    busy = result.state_time[:, station, WORKING]
    each = draw / total if total > 0 else 0.0
    return FloorRow(
        station=station,
        budget=budget,
        rate=rate,
        time=float(weights @ [expected.time(int(k)) for k in steps]),
        passes=float(weights @ [expected.passes(int(k)) for k in steps]),
        slots=total,
        draw=draw,
        slots_simulated=mean_interval(busy),
        draw_simulated=mean_interval(busy * each),
        servers=int(system.tables.station["servers"][station]),
        needed=servers_for(total, 1.0),
        level=float(result.pool_level[:, budget].mean()),
    )


def _total_row(rows: list[FloorRow], budget: int, result: LineResult) -> FloorRow:
    mine = [row for row in rows if row.budget == budget]
    busy = result.state_time[:, [row.station for row in mine], WORKING]
    return FloorRow(
        station=NONE,
        budget=budget,
        rate=max((row.rate for row in mine), default=0.0),
        time=np.nan,
        passes=np.nan,
        slots=sum(row.slots for row in mine),
        draw=sum(row.draw for row in mine),
        slots_simulated=mean_interval(busy.sum(axis=1)),
        draw_simulated=mean_interval(result.pool_used[:, budget]),
        servers=0,
        needed=0,
        level=float(result.pool_level[:, budget].mean()),
    )
