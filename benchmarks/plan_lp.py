"""Plan LP of 50 items x 5 sites x 104 weeks (78,000 columns) against HiGHS on the same matrix.

Prints ratios, each measured in this run: seconds to build the program from a `System` over
0.5 s; CPU of the whole plan (evaluation, build, solve, duals, books) over the CPU of HiGHS'
interior point method IPX, with its default options, on the same matrix and objective.

    python benchmarks/plan_lp.py [--simplex] [--weeks 104]
"""

from __future__ import annotations

import argparse
import sys
import time

import highspy
import numpy as np

from firsttoken.kernel.expressions import Expressions
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.supply import lp
from firsttoken.supply.plan import plan
from firsttoken.supply.plan_inputs import read_inputs
from firsttoken.supply.plan_matrix import Builder, cost_vector
from firsttoken.supply.system import Investments, Names, Network, System

ITEMS, SITES, WEEKS = 50, 5, 104
SOLD, RAW, SUBASSEMBLY, LINES = 25, 30, 45, 3
WEEK = 7 * 86400.0


class Table:
    """Expressions made of one step series each, with a knot a week or a single one."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.knots: list[tuple[list[int], list[int]]] = []

    def parameter(self, value: float) -> int:
        """Add a constant."""
        self.values.append(float(value))
        return len(self.values) - 1

    def expression(self, values: np.ndarray | float) -> int:
        """Add one value, or one a week."""
        levels = [self.parameter(value) for value in np.atleast_1d(values)]
        times = [self.parameter(k * WEEK) for k in range(len(levels))]
        self.knots.append((times, levels))
        return len(self.knots) - 1

    def expressions(self, values: np.ndarray) -> np.ndarray:
        """Add one expression a row."""
        return np.array([self.expression(value) for value in values], np.int64)


def network(weeks: int, seed: int = 0) -> System:
    """Three levels of items, made at every site from items of lower levels, on shared lines."""
    rng = np.random.default_rng(seed)
    count = ITEMS * SITES
    item, site = np.divmod(np.arange(count), SITES)
    level = (np.arange(ITEMS) >= RAW).astype(int) + (np.arange(ITEMS) >= SUBASSEMBLY)
    parts: list[list[int]] = [[] for _ in range(ITEMS)]
    amounts: list[list[int]] = [[] for _ in range(ITEMS)]
    for i in range(RAW, ITEMS):
        low, high = (0, RAW) if i < SUBASSEMBLY else (RAW - 10, SUBASSEMBLY)
        parts[i] = rng.choice(np.arange(low, high), 3, replace=False).tolist()
        amounts[i] = rng.integers(1, 4, 3).tolist()
    sold = np.flatnonzero(item >= SOLD)
    season = 1 + 0.3 * np.sin(np.arange(weeks) / 8)
    rate = rng.gamma(4, 25 / 4, (sold.size, weeks)) * season / WEEK
    need = np.zeros((ITEMS, SITES))
    need[SOLD:] = rate.mean(axis=1).reshape(-1, SITES)
    for i in range(ITEMS - 1, -1, -1):
        for part, amount in zip(parts[i], amounts[i], strict=True):
            need[part] += amount * need[i]
    use = rng.uniform(0.5, 2, count)
    line = rng.integers(0, LINES, ITEMS)[item] + LINES * site
    wanted = np.bincount(line, use * need.ravel(), LINES * SITES)
    capacity = wanted * rng.uniform(0.9, 1.15, wanted.size)
    cost = rng.uniform(1, 10, count) * np.array([1, 3, 8])[level[item]]
    price = 12 * cost[sold]

    table = Table()
    one = table.expression(1.0)
    zero = table.parameter(0.0)
    inputs = [[p * SITES + s for p in parts[i]] for i, s in zip(item, site, strict=True)]
    quantities = [amount for i in item for amount in amounts[i]]
    fixed = {q: table.expression(float(q)) for q in set(quantities)}
    none = np.full(count, -1, np.int64)
    empty, start0 = np.empty(0, np.int64), np.zeros(1, np.int64)
    net = Network(
        onhand=np.full(count, zero),
        unit_cost=np.full(count, zero),
        stock_minimum=none,
        stock_maximum=none,
        base_stock=none,
        holding_cost=table.expressions(0.005 * cost / WEEK),
        kind=np.zeros(count, np.int64),
        input_start=np.cumsum([0, *map(len, inputs)]),
        input_node=np.array([n for row in inputs for n in row], np.int64),
        input_quantity=np.array([fixed[q] for q in quantities], np.int64),
        output_start=np.arange(count + 1),
        output_node=np.arange(count),
        output_quantity=np.full(count, one),
        yield_=none,
        lead_time=table.expressions(rng.integers(0, 5, count) * WEEK),
        capacity=none,
        available=none,
        cost=table.expressions(cost),
        setup_cost=none,
        duty=none,
        energy=none,
        priority=np.full(count, 10),
        share=none,
        release=np.zeros(count, np.int64),
        domestic=np.zeros(count, np.int64),
        lot_minimum=none,
        lot_multiple=none,
        use_start=np.arange(count + 1),
        use_resource=line,
        use_quantity=table.expressions(use),
        resource_capacity=table.expressions(capacity),
        demand_node=sold,
        demand_rate=table.expressions(rate),
        price=table.expressions(price),
        late_cost=table.expressions(0.01 * price / WEEK),
        lost=np.zeros(sold.size, np.int64),
        goal_target=empty,
        goal_start=start0,
        goal_activity=empty,
        goal_value=empty,
        loss_time=empty,
        loss_share=empty,
        loss_node_start=start0,
        loss_node=empty,
        loss_activity_start=start0,
        loss_activity=empty,
    )
    return _system(net, table, weeks)


def _system(net: Network, table: Table, weeks: int) -> System:
    nodes = tuple(f"item{n // SITES}@site{n % SITES}" for n in range(net.onhand.size))
    series = np.arange(len(table.knots) + 1)
    return System(
        name="benchmark",
        start=0.0,
        edges=np.arange(weeks + 1) * WEEK,
        report=np.zeros(weeks, np.int64),
        report_edges=np.array([0.0, weeks * WEEK]),
        names=Names(
            nodes=nodes,
            node_item=nodes,
            node_location=nodes,
            activities=nodes,
            activity_stage=nodes,
            activity_location=nodes,
            activity_country=nodes,
            resources=tuple(f"line{r}" for r in range(net.resource_capacity.size)),
            resource_stage=(),
            resource_location=(),
            demands=tuple(nodes[n] for n in net.demand_node),
            goals=(),
            investments=(),
        ),
        parameters=ParameterTable(
            np.zeros(len(table.values), np.int64),
            np.column_stack([table.values, np.zeros((len(table.values), 3))]),
            np.zeros(len(table.values), np.uint32),
            np.empty((0, 2)),
        ),
        series=SeriesTable(
            np.zeros(len(table.knots), np.int64),
            np.cumsum([0, *(len(times) for times, _ in table.knots)]),
            np.array([t for times, _ in table.knots for t in times]),
            np.array([v for _, values in table.knots for v in values]),
        ),
        expressions=Expressions(series, series, series[:-1]),
        network=net,
        investments=Investments(*(np.empty(0, np.int64) for _ in Investments._fields)),
        uncertain=np.empty(0, np.int64),
        inputs=(),
    )


def direct(program: lp.LinearProgram, cost: np.ndarray, solver: str) -> tuple[float, float]:
    """CPU seconds and objective of HiGHS with its default options on the same arrays."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("solver", solver)
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = program.lower.size, program.row_lower.size
    model.col_cost_ = cost
    model.col_lower_, model.col_upper_ = program.lower, program.upper
    model.row_lower_, model.row_upper_ = program.row_lower, program.row_upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = program.start, program.index
    model.a_matrix_.value_ = program.value
    highs.passModel(model)
    begin = time.process_time()
    highs.run()
    return time.process_time() - begin, highs.getInfo().objective_function_value


def main() -> int:
    """Measure and print; exit status 1 if a bar is missed."""
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--weeks", type=int, default=WEEKS)
    parse.add_argument("--simplex", action="store_true", help="also HiGHS' simplex (minutes)")
    options = parse.parse_args()
    plan(network(8), objectives=("cost",), beyond=0.0)  # compile the kernel's functions
    system = network(options.weeks)
    begin = time.process_time()
    given = read_inputs(system, "median", system.edges, 0.0)
    built = Builder(system, given, integer=True).build()
    cost, _ = cost_vector(built)
    build = time.process_time() - begin
    program = built.program
    size = f"{program.lower.size} columns, {program.row_lower.size} rows, {program.value.size} nz"
    print(f"program: {size}")
    begin = time.process_time()
    result = plan(system, objectives=("cost",), beyond=0.0)
    whole = time.process_time() - begin
    peer, objective = direct(program, cost, "ipx")
    error = abs(result.objectives["cost"] - objective) / abs(objective)
    print(f"method: {result.method}; objective apart from the peer's by {error:.1e} (relative)")
    print(f"build / 0.5 s: {build / 0.5:.2f} (bar 1; {build:.2f} s CPU)")
    print(f"plan / HiGHS IPX direct: {whole / peer:.2f} (bar 1.1; {whole:.1f} / {peer:.1f} s CPU)")
    if options.simplex:
        peer_simplex, _ = direct(program, cost, "simplex")
        print(f"plan / HiGHS simplex direct: {whole / peer_simplex:.3f} ({peer_simplex:.0f} s CPU)")
    return int(build > 0.5 or whole > 1.1 * peer or error > 1e-6)


if __name__ == "__main__":
    sys.exit(main())
