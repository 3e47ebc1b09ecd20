"""A small rack line, and results of it that are made by hand, so that every table can be checked.

Four replications of four weeks and three days, the first week being warm-up: 3 3/7 weeks count.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tests.line.lines import load

from firsttoken.chain.ports import Resolver
from firsttoken.kernel.sketch import BUCKETS, bucket_edges
from firsttoken.line import model
from firsttoken.line.compile import compile_line
from firsttoken.line.kpi import Kpis
from firsttoken.line.result import QUANTILES, LineResult
from firsttoken.line.system import System

HOUR, DAY, WEEK = 3600.0, 86400.0, 604800.0
COUNTED = 24 * DAY
"""Statistics time: 31 days less a week."""
R = 4

LINE = """
unit: rack
warmup: 1 week
stations:
  tray_test: {servers: 2, time: 1 hour}
  integrate: {servers: 4, time: 8 hour, crew: {hands: 2}}
  burn_in: {servers: 10, time: 48 hour, buffer: 0, draws: {test_power: 100 kW}, pass: 0.9,
            on_fail: restart}
  pack: {servers: 1, time: 1 hour, buffer: 3}
pools: {hands: {count: 6, description: People}}
budgets: {test_power: 1 MW}
products:
  rack:
    route:
    - {station: integrate, consumes: {tray: 2}}
    - {station: burn_in}
    - {station: pack, share: 0.5, on_fail: integrate}
    releases:
      regular: {every: 3 hour, due: 10 day}
      hot: {every: 30 hour, priority: 20}
  tray: {route: [{station: tray_test}], releases: {trays: {every: 90 minute}}}
orders:
  first: {product: rack, lots: 3, due: 2026-01-19, customer: cloud}
  second: {product: rack, lots: 2, due: 2026-02-02}
"""
HEADER = "horizon: 31 day\nreplications: 4"

# Lots finished by replication after the warm-up, of the classes regular, hot, orders and trays.
FINISHED = np.array([[40, 4, 4, 96], [44, 4, 4, 104], [48, 4, 4, 112], [52, 4, 4, 120]])
CYCLE = np.array([96.0, 60.0, 72.0, 6.0])
"""Median cycle times of the classes in h, by the replication's factor 0.9 to 1.2."""
FACTOR = np.array([0.9, 1.0, 1.1, 1.2])


def system(folder: Path, text: str = LINE, header: str = HEADER) -> tuple[model.Line, System]:
    """The declared and the compiled line."""
    twin = load(folder, text, header)
    line = twin.rooms["line"]["x"]
    assert isinstance(line, model.Line)
    return line, compile_line(twin, "x", Resolver(twin))


def state_time() -> np.ndarray:
    """Mean servers by state: starved, working, setup, blocked, down, maintenance, closed, short."""
    one = np.array(
        [
            [1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0],  # tray_test, 2
            [0.4, 2.0, 0.2, 0.8, 0.2, 0.4, 0.0, 0.0],  # integrate, 4
            [0.1, 5.9, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0],  # burn_in, 10
            [0.9, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # pack, 1
        ]
    )
    return np.repeat(one[None], R, axis=0)


def cycle_histogram() -> np.ndarray:
    """Each class: as many lots as finished, a fifth at each of 0.8, 0.9, ... 1.2 of its median."""
    edges = bucket_edges()
    out = np.zeros((4, BUCKETS), dtype=np.int64)
    for c, middle in enumerate(CYCLE):
        for part in (0.8, 0.9, 1.0, 1.1, 1.2):
            row = int(np.searchsorted(edges, middle * part * HOUR, side="right")) - 1
            out[c, row] += 20
    return out


def result() -> LineResult:
    """Numbers in the shapes of a real result; every replication is checked against the formulas."""
    classes, periods = FINISHED.shape[1], 5
    whole = FINISHED.astype(float)
    cycle = CYCLE * FACTOR[:, None] * HOUR
    by_period = np.zeros((R, periods, classes), dtype=np.int64)
    # Nothing in the first week; then an eighth, two, three and two eighths of what is counted.
    for b, part in enumerate((0, 2, 4, 6, 4)):
        by_period[:, b] = FINISHED * part // 16
    spread_of = np.linspace(0.8, 1.2, len(QUANTILES))
    operations = np.array([[100, 60, 66, 30]] * R)
    none = np.zeros((R, 4))
    return LineResult(
        time=COUNTED,
        finished=FINISHED,
        scrapped=np.array([[1, 0, 0, 4]] * R),
        released=FINISHED + 5,
        on_time=np.array([[30, 0, 4, 0], [33, 0, 3, 0], [36, 0, 2, 0], [39, 0, 1, 0]]),
        tardiness=np.array([[2.0, 0.0, 6.0, 0.0]] * R) * HOUR,
        cycle_mean=cycle,
        cycle_sd=cycle * 0.1,
        cycle_quantiles=cycle[:, :, None] * spread_of,
        cycle_histogram=cycle_histogram(),
        wip=np.array([[9.0, 1.0, 2.0, 4.0]] * R),
        raw_time=np.array([[48.0, 48.0, 48.0, 1.0]] * R) * HOUR,
        escapes=np.array([[1, 0, 0, 0]] * R),
        period_finished=by_period,
        period_cycle=by_period * cycle[:, None, :],
        period_wip=np.array([[[8, 1, 2, 4]] * periods] * R),
        state_time=state_time(),
        operations=operations,
        pieces=operations,
        failed=np.array([[0, 0, 6, 3]] * R),
        queue=np.array([[0.0, 2.0, 5.0, 0.5]] * R),
        wait=np.array([[0.0, 2.0, 24.0, 1.0]] * R) * HOUR,
        pool_used=np.array([[4.0, 590e3]] * R) * np.array([[0.9], [1.0], [1.0], [1.1]]),
        pool_level=np.array([[6.0, 1e6]] * R),
        pool_peak=np.array([[6.0, 1e6]] * R),
        pool_short=np.array([[0.04, 0.8]] * R),
        period_pool=np.repeat(np.array([[4.0, 590e3]])[None], periods, axis=1).repeat(R, axis=0),
        product_short=np.array([[0.0, 0.25]] * R),
        stock=np.array([[0.0, 1.5]] * R),
        limit_missed=np.zeros((R, 4), dtype=np.int64),
        rework=np.array([[0, 0, 3, 0]] * R),
        order_finished=np.array(
            [[10 * DAY, np.inf], [12 * DAY, 20 * DAY], [14 * DAY, np.inf], [16 * DAY, 40 * DAY]]
        ),
        events=whole.sum(axis=1).astype(np.int64),
        steps_done=operations.sum(axis=1),
        active_bottleneck=np.array([[0.0, 0.3, 0.7, 0.0]] * R) + none,
    )


def kpis(folder: Path, changes: dict[str, Any] | None = None, **text: str) -> Kpis:
    """What the tables are made of; `changes` replace arrays of the result."""
    line, compiled = system(folder, **text)
    return Kpis("base", line, compiled, replace(result(), **(changes or {})))


def rows(table: Any) -> list[dict[str, Any]]:
    """A table's rows."""
    names = list(table.columns)
    columns = [table.array(name).tolist() for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def declared(text: str = LINE) -> dict[str, Any]:
    """The line as plain data."""
    data: dict[str, Any] = yaml.safe_load(text)
    return data
