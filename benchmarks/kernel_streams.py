"""Random streams of the kernel against numpy's Philox generator, one core, in the same run.

Run with ``python benchmarks/kernel_streams.py``.  A ratio above 1 means that the kernel is faster.
numpy's generator advances a state; the kernel computes every number from its address.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from firsttoken.kernel import codes, streams
from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.parameters import (
    ParameterTable,
    SeriesTable,
    draw_replications,
    evaluate_series,
)
from firsttoken.kernel.random import normal, uniform, uniform2

COUNT = 4096
ROUNDS = 200


@compiled
def uniforms(seed: int, out: Any) -> None:
    """Fill ``out`` with one uniform number a replication."""
    for r in range(len(out)):
        out[r] = uniform(seed, r, 7, 3, 0)


@compiled
def uniform_pairs(seed: int, out: Any) -> None:
    """Fill ``out`` with two uniform numbers a replication."""
    for r in range(len(out) // 2):
        out[2 * r], out[2 * r + 1] = uniform2(seed, r, 7, 3, 0)


@compiled
def normals(seed: int, out: Any) -> None:
    """Fill ``out`` with one normal number a replication."""
    for r in range(len(out)):
        out[r] = normal(seed, r, 7, 3, 0)


def nanoseconds(function: Callable[..., object], count: int, *args: Any) -> float:
    """Return the least time of a call per value, after a first call that compiles."""
    function(*args)
    best = float("inf")
    for _ in range(ROUNDS):
        start = perf_counter()
        function(*args)
        best = min(best, perf_counter() - start)
    return best / count * 1e9


def versus_numpy() -> None:
    """Print the rates of raw streams and their ratio to numpy."""
    out = np.empty(COUNT)
    generator = np.random.Generator(np.random.Philox(1))
    numpy_uniform = nanoseconds(lambda: generator.random(out=out), COUNT)
    numpy_normal = nanoseconds(lambda: generator.standard_normal(out=out), COUNT)
    for name, function, peer in [
        ("uniform", uniforms, numpy_uniform),
        ("uniform2", uniform_pairs, numpy_uniform),
        ("normal", normals, numpy_normal),
    ]:
        ours = nanoseconds(function, COUNT, 1, out)
        print(
            f"{name:9} {1e3 / ours:6.0f} M/s   numpy {1e3 / peer:5.0f} M/s   {peer / ours:5.2f} x"
        )


def versus_normal() -> None:
    """Print draws of every distribution and series means, as multiples of one numpy normal."""
    out = np.empty((1, COUNT))
    generator = np.random.Generator(np.random.Philox(1))
    peer = nanoseconds(lambda: generator.standard_normal(out=out[0]), COUNT)
    laws = {
        "constant": (codes.CONSTANT, (1, 0, 0, 0)),
        "uniform": (codes.UNIFORM, (0, 1, 0, 0)),
        "triangular": (codes.TRIANGULAR, (0, 1, 3, 0)),
        "normal": (codes.NORMAL, (0, 1, 0, 0)),
        "lognormal": (codes.LOGNORMAL, (0, 1, 0, 0)),
        "gamma": (codes.GAMMA, (2, 1, 0, 0)),
        "beta-pert": (codes.BETA_PERT, (0, 1, 3, 4)),
        "exponential": (codes.EXPONENTIAL, (1, 0, 0, 0)),
        "weibull": (codes.WEIBULL, (2, 1, 0, 0)),
    }
    entity = np.array([streams.entity_key(str(p)) for p in range(COUNT)], np.uint32)
    for name, (code, args) in laws.items():
        table = ParameterTable(
            np.full(COUNT, code),
            np.tile(np.array(args, float), (COUNT, 1)),
            entity,
            np.empty((0, 2)),
        )
        ours = nanoseconds(draw_replications, COUNT, table, 1, 0, out)
        print(f"{name:12} {ours:6.1f} ns a parameter  {ours / peer:5.2f} numpy normals")
    knots, periods, count = 6, 300, 100
    times = np.linspace(0, 250, knots)
    for name in ("STEP", "LINEAR", "S_CURVE", "LEARNING", "WRIGHT", "NOISE"):
        kind = getattr(codes, name)
        n = {codes.LEARNING: 2, codes.WRIGHT: 2, codes.NOISE: 1}.get(kind, knots)
        values = np.concatenate([times[:n], np.full(n, 0.8)])
        table = ParameterTable(
            np.full(2 * n, codes.NORMAL), np.ones((2 * n, 4)), entity[: 2 * n], np.empty((0, 2))
        )
        index = np.tile(np.arange(n), count)
        series = SeriesTable(np.full(count, kind), np.arange(count + 1) * n, index, index + n)
        means = np.empty((count, periods))
        edges = np.linspace(0, 300, periods + 1)
        args_ = (series, table, values, edges, 1, 0, means)
        ours = nanoseconds(evaluate_series, means.size, *args_)
        print(f"{name:12} {ours:6.1f} ns a period     {ours / peer:5.2f} numpy normals")


if __name__ == "__main__":
    versus_numpy()
    versus_normal()
