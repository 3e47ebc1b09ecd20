"""From a declared line and a scenario to a `System`: names become integers here only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.line import model, system
from firsttoken.line.compile_releases import Releases
from firsttoken.line.compile_routes import routes
from firsttoken.line.compile_slots import Slots, Table
from firsttoken.line.compile_stations import Stations
from firsttoken.line.compile_steps import Steps
from firsttoken.line.disrupt import build_effects
from firsttoken.twin.dates import report_edges
from firsttoken.twin.parameters import ParameterBuilder, Resolve
from firsttoken.twin.twin import Twin

Floats = npt.NDArray[np.float64]


def compile_line(twin: Twin, name: str, resolve: Resolve) -> system.System:
    """Compile one line of a twin under the twin's active scenario.

    Parameters
    ----------
    name : instance under `line`.
    resolve : looks facts and ports of other rooms up.

    Raises
    ------
    TwinError
        If a reference cannot be resolved, or a name is not declared.
    """
    line = twin.rooms["line"][name]
    assert isinstance(line, model.Line)
    build = ParameterBuilder(twin.start, resolve)
    slots = Slots(twin, name, line, build, resolve, build_effects(twin, name, line, build))
    for label, product in line.products.items():
        for position, step in enumerate(product.route or ()):
            keys = ("products", label, "route", str(position), "station")
            slots.index(line.stations, step.station, "station", keys)
    route_of = routes(line)
    pools = _pools(slots)
    stations = Stations(slots, route_of)
    stations.compile()
    steps = Steps(slots, route_of, stations.family)
    steps.compile()
    releases = Releases(slots, route_of, steps.first, steps.number)
    releases.compile()
    warmup = slots.x(line, "warmup", ())
    parameters, series = build.tables()
    expected = fixed_parameters(parameters)
    tables = system.Tables(
        station=stations.stations.array(),
        family=stations.families.array(),
        step=steps.steps.array(),
        branch=steps.branches.array(),
        tasks=steps.tasks.array(),
        need=slots.need.array(),
        alternative=slots.alternatives.array(),
        hold=steps.holds.array(),
        take=steps.takes.array(),
        pool=pools.array(),
        level=slots.levels.array(),
        factor=slots.factors.array(),
        failure=stations.failures.array(),
        maintenance=stations.maintenances.array(),
        source=releases.sources.array(),
        product=releases.products.array(),
        wip=releases.wip(expected),
        stream=slots.streams.array(),
        change=stations.change_table(),
    )
    _expect_work(tables, expected)
    return system.System(
        names=_names(slots, stations, steps, releases),
        tables=tables,
        parameters=parameters,
        series=series,
        start=twin.start,
        horizon=twin.end - twin.start,
        warmup=float(expected[warmup]),
        edges=np.array(report_edges(twin.start, twin.end, line.report)),
        servers=stations.servers,
        marks=steps.marks,
        tools=steps.tools,
        user_rule=stations.user_rule,
        order_due=np.array(releases.order_due, dtype=np.int32),
        order_lots=np.array([order.lots for order in line.orders.values()], dtype=np.int64),
        inputs=build.inputs,
        users=build.users,
    )


def _pools(slots: Slots) -> Table:
    """Pools, then budgets."""
    table = Table(system.POOL)
    for name, pool in slots.line.pools.items():
        key = ("pools", name)
        factors = slots.calendar(pool.available, (*key, "available"))
        factors += slots.effects.factors.get(key, [])
        with slots.slipping(key):
            level = slots.level(pool.count, "each", (*key, "count"), factors, whole=True)
        table.add(level=level, budget=0)
    for name, budget in slots.line.budgets.items():
        key = ("budgets", name)
        factors = slots.effects.factors.get(key, [])
        with slots.slipping(key):
            level = slots.level(budget, slots.budget_unit(name), key, factors, whole=False)
        table.add(level=level, budget=1)
    return table


def _names(slots: Slots, stations: Stations, steps: Steps, releases: Releases) -> system.Names:
    line = slots.line
    return system.Names(
        line=slots.name,
        stations=tuple(line.stations),
        products=tuple(line.products),
        classes=releases.classes.names,
        class_product=releases.classes.products,
        steps=steps.names(),
        pools=(*line.pools, *line.budgets),
        pool_units=(
            *("each" for _ in line.pools),
            *(slots.budget_unit(name) for name in line.budgets),
        ),
        orders=tuple(line.orders),
        failures=tuple(stations.failure_names),
        maintenances=tuple(stations.maintenance_names),
        sources=tuple(releases.names),
    )


def _expect_work(tables: system.Tables, expected: Floats) -> None:
    """Fill the expected times of the steps in, from the means of the parameters [P]."""
    step, stream, tasks = tables.step, tables.stream, tables.tasks

    def at(row: int) -> float:
        return float(expected[row]) if row >= 0 else 0.0

    def drawn(row: int) -> float:
        return at(stream[row]["parameter"]) if row >= 0 else 0.0

    for row in step:
        time, interval = drawn(row["time"]), drawn(row["interval"])
        pieces = int(tables.product[row["product"]]["pieces"])
        if row["per_piece"]:
            # On a cascade tool the first piece takes its time, the others follow at the interval.
            cascade = row["interval"] >= 0 and row["interval_per_piece"]
            time = time + (pieces - 1) * interval if cascade else time * pieces
        if row["tasks"] >= 0:
            task = tasks[row["tasks"]]
            again = 1.0 - at(task["success"])
            time += at(task["count"]) * (at(task["time"]) + again * at(task["recovery"]))
        row["work"] = at(row["load"]) + time + at(row["unload"])
    work, following = step["work"].tolist(), step["next"].tolist()
    # Of later steps that only a share of the lots needs, that share counts.
    needed = [1.0 if row < 0 else float(expected[row]) for row in step["share"].tolist()]
    after: list[float] = [0.0] * len(work)
    for position in reversed(range(len(work))):
        here, seen = position, {position}
        while (here := following[here]) >= 0 and here not in seen:
            after[position] += needed[here] * work[here]
            if here > position:  # what follows it is known
                after[position] += after[here]
                break
            seen.add(here)
    step["work_left"] = step["work"] + np.array(after)
