"""What physics says of measured points before anything is learned from them.

`prior` evaluates the performance model at each point; `Constants` are its rates and the host work
of the engines.  `fit_constants` moves them, all at once, from published figures to the points
given, by a robust Gauss-Newton fit: no constant belongs to a GPU or a model, so what is learned
on some holds for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.calibration_points import Conditions, Observation, conditions
from firsttoken.serving.perf_efficiency import ENGINES, GENERIC, RATES, Engine, Rates
from firsttoken.serving.perf_memory import kv_capacity
from firsttoken.serving.perf_point import Point, aggregated_point, disaggregated_point
from firsttoken.serving.perf_step import step_terms
from firsttoken.serving.system import Floats

BURST: Final = 0.1
"""Share of the requests of a benchmark that begin at once: InferenceX sends ten times its
concurrency, and so do most of the others."""

PREFILL_SHARE: Final = 0.25
"""Share of the GPUs of declared pools that prefill (InferenceX recipes for GB200: one to three
prefill workers beside a decode pool of 8 to 48 GPUs)."""

PREFILL_GPUS: Final = 4.0
"""GPUs of one of their prefill workers."""

PUBLISHED: Final[dict[str, tuple[float, float]]] = {
    "matrix_16": (0.70, 0.075),
    "matrix_8": (0.62, 0.1),
    "matrix_4": (0.50, 0.15),
    "grouped": (0.75, 0.15),
    "attention_prefill": (0.55, 0.15),
    "attention_decode": (0.60, 0.15),
    "memory": (0.80, 0.075),
    "memory_experts": (0.80, 0.1),
    "memory_kv": (0.70, 0.1),
    "rows": (64.0, 0.25),
    "columns": (256.0, 0.25),
    "kernel": (2.5e-6, 0.2),
    "eager": (2.5e-6, 0.25),
    "elementwise": (14.0, 0.25),
    "reduce": (5.0e-6, 0.2),
    "reduce_rank": (0.5e-6, 0.25),
    "link": (0.75, 0.1),
    "exchange": (2.0e-5, 0.25),
    "skew": (0.25, 0.25),
    "hot": (0.80, 0.25),
}
"""Published value of each rate (sources at `Rates`), and the log standard deviation it is given."""

HOST: Final[dict[str, tuple[float, float]]] = {
    "overhead": (1.0e-3, 0.25),
    "sequence": (5.0e-6, 0.3),
    "request": (0.015, 0.2),
    "layer": (0.5e-3, 0.4),
    "host": (2.0e-5, 0.3),
    "cold": (0.2, 0.5),
}
"""The same of the host work of an engine (see `Engine`): orders of magnitude of profiles."""

SPREAD_TPOT: Final = 0.12
SPREAD_TTFT: Final = 0.40
"""Log residuals from which a point counts less (about what the fit leaves: medians)."""


class Constants(NamedTuple):
    """Rates, and the engines by name."""

    rates: Rates
    engines: dict[str, Engine]


SHIPPED: Final = Constants(RATES, dict(ENGINES))
"""Constants of the performance model as it ships."""


class Prior(NamedTuple):
    """Physics of n points; each f8[n].

    Attributes
    ----------
    ttft, tpot : s.
    own : s of one prompt's prefill on an idle replica, host work included.
    queue : s in which all other prompts of the first wave are prefilled.
    held : s that requests wait for memory if it is kept for their whole output.
    pressure : log of the KV of all requests over the KV that fits, from -2.5 to 1.5.
    shares : f8[n, 9] of the time per token that dense products, experts, decode attention, output
        head, all-reduces, exchange and elementwise work, launches, host work, and the prefills of
        others take.
    """

    ttft: Floats
    tpot: Floats
    own: Floats
    queue: Floats
    held: Floats
    pressure: Floats
    shares: Floats


def prior(points: Sequence[Observation], constants: Constants = SHIPPED) -> Prior:
    """Physics of points: latencies, and what they are made of."""
    asked = conditions(points)
    model, gpu, layout = asked.architecture, asked.hardware, asked.layout
    engine = engine_arrays(points, constants)
    point = latencies(asked, engine, constants.rates)
    alone = aggregated_point(
        model,
        gpu,
        layout,
        asked.isl,
        asked.osl,
        np.asarray(asked.layout.data, dtype=float),
        engine=engine,
        rates=constants.rates,
    )
    own = np.broadcast_to(alone.ttft, asked.isl.shape) - np.asarray(engine.request)
    running = np.broadcast_to(point.running, asked.isl.shape)
    terms = step_terms(
        model,
        gpu,
        layout,
        running,
        running,
        running * (asked.isl + asked.osl / 2.0),
        0.0,
        overhead=engine.overhead,
        rates=constants.rates,
    )
    parts = (
        terms.dense,
        terms.experts,
        terms.decode,
        terms.head,
        terms.reduce,
        np.asarray(terms.exchange) + np.asarray(terms.elementwise),
        terms.launch,
        terms.overhead,
    )
    each = np.stack([np.broadcast_to(np.asarray(p, float), own.shape) for p in parts], axis=1)
    shares = each / np.maximum(point.tpot, each.sum(axis=1))[:, None]
    need = asked.concurrency * (asked.isl + asked.osl)
    room = kv_capacity(model, gpu, layout, asked.isl + asked.osl / 2.0, asked.concurrency)
    ratio = need / np.maximum(room, 1.0)
    life = point.ttft + point.tpot * (asked.osl - 1.0)
    return Prior(
        ttft=np.asarray(point.ttft),
        tpot=np.asarray(point.tpot),
        own=np.maximum(own, 1e-4),
        queue=own * np.maximum(asked.concurrency / asked.layout.data - 1.0, 0.0),
        held=life * np.maximum(1.0 - 1.0 / ratio, 0.0),
        pressure=np.clip(np.log(ratio), -2.5, 1.5),
        shares=np.concatenate([shares, 1.0 - shares.sum(axis=1, keepdims=True)], axis=1),
    )


def engine_arrays(points: Sequence[Observation], constants: Constants) -> Engine:
    """Engines of the points as arrays; an engine that is not known is `GENERIC`."""
    each = [constants.engines.get(p.engine, GENERIC) for p in points]
    return Engine(*np.array(each, dtype=float).reshape(-1, len(Engine._fields)).T)


def latencies(asked: Conditions, engine: Engine, rates: Rates) -> Point:
    """Operating points; declared pools are read as prefill workers beside one decode pool."""
    point = aggregated_point(
        asked.architecture,
        asked.hardware,
        asked.layout,
        asked.isl,
        asked.osl,
        asked.concurrency,
        engine=engine,
        rates=rates,
        burst=BURST,
    )
    rows = np.flatnonzero(asked.pools)
    if not len(rows):
        return Point(*(np.array(np.broadcast_to(v, asked.isl.shape), dtype=float) for v in point))
    some = Conditions(*(_rows(v, rows) for v in asked))
    gpus = np.asarray(some.layout.data)
    workers = np.maximum(np.round(gpus * PREFILL_SHARE / PREFILL_GPUS), 1.0)
    one = np.ones(len(rows))
    before, after = (
        some.layout._replace(tensor=one, data=n, expert_tensor=one, expert=n)
        for n in (PREFILL_GPUS * one, gpus - workers * PREFILL_GPUS)
    )
    apart = disaggregated_point(
        some.architecture,
        some.hardware,
        before,
        after,
        workers,
        1.0,
        some.isl,
        some.osl,
        some.concurrency,
        engine=_rows(engine, rows),
        rates=rates,
        burst=BURST,
    )
    fields = []
    for whole, part in zip(point, apart, strict=True):
        values = np.array(np.broadcast_to(whole, asked.isl.shape), dtype=float)
        values[rows] = part
        fields.append(values)
    return Point(*fields)


def _rows(value: Any, rows: Any) -> Any:
    """Rows of an array, or of each array of a struct."""
    if isinstance(value, tuple):
        return type(value)(*(_rows(v, rows) for v in value))
    return np.asarray(value)[rows] if np.ndim(value) else value


def fit_constants(points: Sequence[Observation], rounds: int = 5) -> Constants:
    """Constants that fit measured points, from `PUBLISHED` and `HOST` on.

    Minimises sum sqrt(1 + r^2) over the log residuals r of TPOT and TTFT in units of their spread
    (pseudo-Huber: a run with undeclared speculative decoding pulls no harder than any other), and
    half the squared distance from the published values in their deviations, by Gauss-Newton with
    Levenberg's damping and differences for derivatives.  About 0.1 CPU-s a constant and round for
    2,000 points.
    """
    fit = _Fit(points)
    theta, damping = fit.mean.copy(), 1.0
    value, residual, weight = fit.loss(theta)
    for _ in range(rounds):
        slope = fit.slope(theta)
        for _ in range(4):
            matrix = slope.T @ (slope * weight[:, None]) + np.diag((1.0 + damping) / fit.spread**2)
            push = slope.T @ (weight * residual) - (theta - fit.mean) / fit.spread**2
            trial = theta + np.clip(np.linalg.solve(matrix, push), -0.5, 0.5)
            found, left, heft = fit.loss(trial)
            if found < value:
                break
            damping = max(4.0 * damping, 0.1)
        else:
            break
        gained = value - found
        theta, value, residual, weight = trial, found, left, heft
        damping *= 0.3
        if gained < 1e-4 * value:
            break
    return fit.constants(theta)


class _Fit:
    """Log residuals of points as a function of the log constants."""

    def __init__(self, points: Sequence[Observation]) -> None:
        self.points = points
        self.asked = conditions(points)
        self.names = sorted({p.engine for p in points})
        self.code = np.array([self.names.index(p.engine) for p in points])
        table = [*PUBLISHED.values(), *(v for _ in self.names for v in HOST.values())]
        self.mean = np.log([v for v, _ in table])
        self.spread = np.array([s for _, s in table])
        self.ttft = np.log([p.ttft for p in points])
        self.tpot = np.log([p.tpot for p in points])

    def constants(self, theta: Floats) -> Constants:
        """Constants by their logs."""
        values = np.exp(theta)
        rates = RATES._replace(**dict(zip(PUBLISHED, values.tolist(), strict=False)))
        host = values[len(PUBLISHED) :].reshape(len(self.names), len(HOST)).tolist()
        engines = {
            name: ENGINES.get(name, GENERIC)._replace(**dict(zip(HOST, row, strict=True)))
            for name, row in zip(self.names, host, strict=True)
        }
        return Constants(rates, engines)

    def logs(self, theta: Floats) -> Floats:
        """Log latencies in units of their spread, f8[2n]."""
        constants = self.constants(theta)
        point = latencies(self.asked, engine_arrays(self.points, constants), constants.rates)
        return np.concatenate([np.log(point.ttft) / SPREAD_TTFT, np.log(point.tpot) / SPREAD_TPOT])

    def loss(self, theta: Floats) -> tuple[float, Floats, Floats]:
        """Loss, residuals f8[2n], and their weights in the normal equations."""
        found = np.concatenate([self.ttft / SPREAD_TTFT, self.tpot / SPREAD_TPOT])
        residual = found - self.logs(theta)
        root = np.sqrt(1.0 + residual**2)
        far = (theta - self.mean) / self.spread
        return float((root - 1.0).sum() + 0.5 * far @ far), residual, 1.0 / root

    def slope(self, theta: Floats, step: float = 0.02) -> Floats:
        """Derivative of `logs`, f8[2n, constants]."""
        base = self.logs(theta)
        columns = []
        for k in range(len(theta)):
            moved = theta.copy()
            moved[k] += step
            columns.append((self.logs(moved) - base) / step)
        return np.stack(columns, axis=1)
