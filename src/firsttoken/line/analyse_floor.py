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


def floor_rows(system: System, result: LineResult, seed: int) -> list[FloorRow]:
    """Law and simulation for every station that draws on a budget, and for each budget in all.

    The law is applied to each replication with the parameters that it has drawn.

    Parameters
    ----------
    result : R replications of `system` with this seed.
    """
    tables = system.tables
    expected = Expected.drawn(system, len(result.finished), seed)
    rates = np.zeros((expected.count, len(tables.product)))
    for c, p in enumerate(system.names.class_product):
        rates[:, p] += result.throughput[:, c]
    work = np.zeros((expected.count, len(tables.step)))  # operations per second
    for p, row in enumerate(tables.product):
        visits = expected.visits(p)
        for j in range(visits.shape[1]):
            k = int(row["step"]) + j
            lots = np.nan_to_num(rates[:, p] * visits[:, j]) * expected.share(k)
            work[:, k] = lots / expected.lots_in_load(k)
    budgets = np.flatnonzero(tables.pool["budget"]).tolist()
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
    steps = steps_at(system, station).tolist()
    made = np.unique(system.tables.step["product"][steps])
    slots = np.array([work[:, k] * expected.in_test(k) for k in steps])
    draws = np.array([slots[i] * expected.draws(k).get(budget, 0.0) for i, k in enumerate(steps)])
    total, draw = slots.sum(axis=0), draws.sum(axis=0)
    weights = work[:, steps].mean(axis=0)
    weights = weights / weights.sum() if weights.sum() > 0 else np.full(len(steps), 1 / len(steps))
    busy = result.state_time[:, station, WORKING]
    each = np.divide(draw, total, out=np.zeros_like(draw), where=total > 0)
    return FloorRow(
        station=station,
        budget=budget,
        rate=float(rates[:, made].sum(axis=1).mean()),
        time=float(weights @ [expected.time(k).mean() for k in steps]),
        passes=float(weights @ [expected.passes(k).mean() for k in steps]),
        slots=float(total.mean()),
        draw=float(draw.mean()),
        slots_simulated=mean_interval(busy),
        draw_simulated=mean_interval(busy * each),
        servers=int(system.tables.station["servers"][station]),
        needed=servers_for(float(total.mean()), 1.0),
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
