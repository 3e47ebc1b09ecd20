"""The law of the test floor beside the simulation, for every station that draws on a budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from firsttoken.kernel.statistics import Interval, mean_interval
from firsttoken.line.analyse_edit import steps_at
from firsttoken.line.analyse_expected import Expected
from firsttoken.line.result import WORKING, Floats, LineResult
from firsttoken.line.system import NONE, System
from firsttoken.line.test_floor import servers_for


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
