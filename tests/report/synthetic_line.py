"""Made-up results of a rack line with the real tables, for tests of the report only.

Its numbers are drawn at random: they say nothing about a real plant.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import yaml

from firsttoken.chain.ports import Resolver
from firsttoken.chain.rooms import rooms
from firsttoken.kernel.sketch import BUCKETS, bucket_edges
from firsttoken.line import model
from firsttoken.line.compile import compile_line
from firsttoken.line.kpi import Kpis
from firsttoken.line.result import QUANTILES, LineResult
from firsttoken.line.room import line_tables
from firsttoken.line.system import System
from firsttoken.twin.findings import Findings
from firsttoken.twin.input_table import input_table
from firsttoken.twin.library import Library
from firsttoken.twin.loading import load_twin
from firsttoken.twin.result_table import ResultTable

R = 60
HOUR, WEEK = 3600.0, 604800.0
STATIONS = {
    # station: servers, and shares of working, set-up, blocked, down, maintenance, closed, short
    "smt": (4, 0.61, 0.09, 0.0, 0.04, 0.05, 0.0, 0.0),
    "tray_assembly": (24, 0.52, 0.0, 0.0, 0.01, 0.0, 0.29, 0.06),
    "tray_test_l10": (40, 0.66, 0.0, 0.03, 0.02, 0.01, 0.0, 0.1),
    "rack_integration": (12, 0.48, 0.0, 0.14, 0.0, 0.0, 0.29, 0.02),
    "cabling": (10, 0.44, 0.0, 0.21, 0.0, 0.0, 0.29, 0.0),
    "leak_test": (6, 0.55, 0.02, 0.25, 0.01, 0.02, 0.0, 0.0),
    "burn_in": (140, 0.71, 0.0, 0.0, 0.02, 0.01, 0.0, 0.26),
    "rack_test_l11": (24, 0.58, 0.0, 0.0, 0.03, 0.01, 0.0, 0.12),
    "pack": (4, 0.37, 0.0, 0.0, 0.0, 0.0, 0.43, 0.0),
}
POOLS = {
    # pool: level in SI, mean use, highest use, share of time short
    "assemblers": (60, 0.83, 1.0, 0.18),
    "cablers": (30, 0.61, 1.0, 0.02),
    "technicians": (25, 0.55, 0.92, 0.0),
    "test_power": (20e6, 0.955, 1.0, 0.71),
    "coolant": (0.25, 0.62, 0.71, 0.0),
}


def declaration() -> dict[str, object]:
    """The line as plain data."""
    stations: dict[str, dict[str, object]] = {
        name: {"servers": servers, "time": "2 hour", "description": f"Where {name} is done"}
        for name, (servers, *_) in STATIONS.items()
    }
    stations["cabling"]["buffer"] = 4
    stations["leak_test"]["buffer"] = 0
    stations["burn_in"] |= {
        "time": {"low": "24 hour", "value": "48 hour", "high": "72 hour",
                 "source": "a made-up standard"},
        "draws": {"test_power": "132 kW", "coolant": "80 L/min"}, "buffer": 2,
    }  # fmt: skip
    stations["tray_assembly"]["crew"] = {"assemblers": 2}
    trays = ("smt", "tray_assembly", "tray_test_l10")
    racks = [{"station": name} for name in STATIONS if name not in trays]
    racks[0]["consumes"] = {"tray": 18}  # type: ignore[assignment]
    return {
        "unit": "rack",
        "stations": stations,
        "pools": {name: {"count": 1, "description": f"People: {name}"} for name in list(POOLS)[:3]},
        "budgets": {"test_power": "20 MW", "coolant": "15000 L/min"},
        "products": {
            "gb300": {"route": racks, "releases": {"regular": {"every": "25 min"},
                                                  "hot": {"every": "1 day", "due": "6 day"}}},
            "tray": {"route": [{"station": name} for name in trays],
                     "releases": {"trays": {"every": "90 second"}}},
        },
        "orders": {
            f"cloud_{n}": {"product": "gb300", "lots": 20 * n, "customer": "A cloud",
                           "due": f"2027-0{n + 1}-15"}
            for n in range(1, 5)
        },
        "warmup": "2 week",
    }  # fmt: skip


def line_kpis(scenario: str, factor: float = 1.0, weeks: int = 26, name: str = "houston") -> Kpis:
    """Made-up results of one scenario; `factor` is the output against the base's."""
    data = {"twin": "t", "start": "2027-01-04", "horizon": f"{weeks} week",
            "line": {name: declaration()}}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
        findings = Findings()
        twin = load_twin(Path(folder), rooms(), findings)
    assert twin is not None, findings.as_text()
    compiled = compile_line(twin, name, Resolver(twin))
    line = twin.rooms["line"][name]
    assert isinstance(line, model.Line)
    return Kpis(scenario, line, compiled, _result(compiled, factor))


def _result(compiled: System, factor: float) -> LineResult:
    random = np.random.default_rng(11)
    classes = {"regular": (390, 128, 60), "hot": (6.5, 96, 55), "gb300_orders": (14, 110, 58),
               "trays": (7400, 21, 4)}  # fmt: skip
    names = compiled.names.classes
    periods = len(compiled.edges) - 1
    rates = np.array([classes[name][0] for name in names]) * factor
    luck = random.normal(1, 0.03, (R, 1, 1))
    ramp = 1 - np.exp(-(np.arange(periods)[None, :, None] + 0.4) / 1.5)
    by_period = random.poisson(np.maximum(rates * luck * ramp, 0.01)).astype(np.int64)
    finished = by_period[:, 2:].sum(axis=1)
    cycle = np.array([classes[name][1] for name in names]) * random.normal(1, 0.04, (R, 1)) * HOUR
    raw = np.array([classes[name][2] for name in names]) * np.ones((R, 1)) * HOUR
    quantiles = np.array([0.72, 0.77, 0.87, 0.98, 1.1, 1.14, 1.26, 1.38, 1.66])
    assert len(quantiles) == len(QUANTILES)
    edges = bucket_edges()
    histogram = np.array(
        [
            np.histogram(random.gamma(25, cycle[0, c] / 25, 4000), edges)[0]
            for c in range(len(names))
        ]
    )
    assert histogram.shape[1] == BUCKETS
    shares = np.array([[1 - sum(parts), *parts] for _, *parts in STATIONS.values()])
    servers = np.array([count for count, *_ in STATIONS.values()])
    pools = np.array([POOLS[name] for name in compiled.names.pools])
    used = pools[:, 0] * pools[:, 1] * np.clip(random.normal(1, 0.02, (R, 1)), 0.9, 1.04)
    operations = random.poisson(3000, (R, len(servers)))
    due = np.array([41, 70, 100, 131]) * 86400.0
    wobble = random.normal(0, 6 * 86400, (R, 4))
    done = due + np.array([-9, -3, 1, 8]) * 86400 + wobble
    weeks = compiled.horizon - compiled.warmup
    return LineResult(
        time=weeks,
        finished=finished,
        scrapped=random.poisson(3, finished.shape),
        released=finished + 40,
        on_time=(finished * 0.9).astype(np.int64),
        tardiness=np.full(finished.shape, 9 * HOUR),
        cycle_mean=cycle,
        cycle_sd=cycle * 0.2,
        cycle_quantiles=cycle[:, :, None] * quantiles,
        cycle_histogram=histogram,
        wip=cycle * rates / WEEK,
        raw_time=raw,
        escapes=random.poisson(2, finished.shape),
        period_finished=by_period,
        period_cycle=by_period * cycle[:, None, :] * random.normal(1, 0.05, by_period.shape),
        period_wip=random.poisson(cycle[:, None, :] * rates * ramp / WEEK),
        state_time=shares * servers[:, None] * np.ones((R, 1, 1)),
        operations=operations,
        pieces=operations,
        failed=(operations * np.linspace(0, 0.08, len(servers))).astype(np.int64),
        queue=np.ones((R, 1)) * np.array([3, 14, 9, 2, 3, 0.4, 21, 4, 0.1]),
        wait=np.ones((R, 1)) * np.array([1, 2, 1, 1, 1, 0.3, 9, 1, 0.1]) * HOUR,
        pool_used=used,
        pool_level=pools[:, 0] * np.ones((R, 1)),
        pool_peak=pools[:, 0] * pools[:, 2] * np.ones((R, 1)),
        pool_short=pools[:, 3] * np.ones((R, 1)),
        period_pool=used[:, None, :] * np.ones((1, periods, 1)),
        product_short=np.array([[0.0, 0.12]]) * np.ones((R, 1)),
        stock=np.array([[0.0, 160.0]]) * np.ones((R, 1)),
        limit_missed=np.zeros((R, len(compiled.names.steps)), dtype=np.int64),
        rework=random.poisson(30, (R, len(compiled.names.steps))),
        order_finished=np.where(done > compiled.horizon, np.inf, done),
        events=np.zeros(R, dtype=np.int64),
        steps_done=operations.sum(axis=1),
        active_bottleneck=np.ones((R, 1)) * np.array([0, 0, 0.06, 0, 0.02, 0, 0.88, 0.04, 0]),
    )


def line_result_tables(scenario: str = "base", factor: float = 1.0) -> list[ResultTable]:
    """All tables of the line, its inputs first."""
    made = line_kpis(scenario, factor)
    compiled = made.system
    inputs = input_table(
        "line_inputs", scenario, compiled.inputs, compiled.parameters, compiled.start,
        compiled.users, Library(),
    )  # fmt: skip
    return [inputs, *line_tables(made)]
