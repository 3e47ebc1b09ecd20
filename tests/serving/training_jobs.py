"""Training jobs made by hand for the tests of their simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from firsttoken.kernel import codes
from firsttoken.kernel.parameters import ParameterTable, SeriesTable
from firsttoken.kernel.streams import entity_key
from firsttoken.serving.training_simulate import NONE, TrainingLaw, TrainingRows, TrainingSystem
from firsttoken.serving.training_state import Draws, Floats

DAY = 86400.0
LAW = TrainingLaw({}, math.nan, math.nan, math.nan, 1e18, 1e15, {})

STEP, TOKENS = 10.0, 16e6
RATE = TOKENS / STEP
"""Tokens a second of every job."""


def job(
    *,
    mtbf: tuple[float, ...] = (),
    replace: float = 0.0,
    planned: bool = False,
    days: float = 30.0,
    gpus: float = 1024.0,
    replica: float = 64.0,
    node: float = 8.0,
    pool: float | list[float] | None = None,
    speed: list[float] | None = None,
    elastic: bool = False,
    edges: Floats | None = None,
    **seconds: float,
) -> TrainingSystem:
    """A job of constants, but for what fails.

    Parameters
    ----------
    mtbf : s between failures of one GPU, by kind; pool : GPUs there are, or one number for each
        of as many equal parts of the time; speed : share of full speed of these parts.
    seconds : interval, pause, write, begin, start, load, repair, detect in s, spares in nodes,
        target in tokens.
    """
    numbers: list[float] = []

    def row(value: float) -> int:
        numbers.append(float(value))
        return len(numbers) - 1

    def known(key: str) -> int:
        return row(seconds[key]) if key in seconds else NONE

    rows = TrainingRows(
        seconds=row(STEP),
        factor=NONE,
        tokens=row(TOKENS),
        target=known("target"),
        begin=known("begin"),
        spares=known("spares"),
        interval=known("interval"),
        pause=known("pause"),
        write=known("write"),
        mtbf=np.array([row(x) for x in mtbf], dtype=np.int64),
        replace=np.array([row(replace) for _ in mtbf], dtype=np.int64),
        train=row(1000.0),
        still=row(300.0),
        base=row(200.0),
        repair=row(0.0),
    )
    end = days * DAY
    there = gpus + seconds.get("spares", 0.0) * node if pool is None else pool
    levels = [there] if isinstance(there, int | float) else there
    paces = [1.0] if speed is None else speed
    pieces = max(len(levels), len(paces))
    moments = np.linspace(0.0, end, pieces + 1)
    knots = [
        [
            (row(t), row(x))
            for t, x in zip(np.linspace(0.0, end, len(given) + 1), given, strict=False)
        ]
        for given in (levels, paces)
    ]
    prices = [(row(0.0), row(x)) for x in (2.0 / 3600.0, 50.0 / 3.6e9, 1.2)]
    flat = [knot for series in knots for knot in series] + prices
    counts = [len(series) for series in knots] + [1, 1, 1]
    series = SeriesTable(
        np.full(5, codes.STEP, dtype=np.int64),
        np.cumsum([0, *counts]),
        np.array([t for t, _ in flat], dtype=np.int64),
        np.array([x for _, x in flat], dtype=np.int64),
    )
    each = [seconds.get(key, 0.0) for key in ("start", "load", "repair")]
    each += [seconds.get("detect", 0.0)] * len(mtbf)
    return TrainingSystem(
        name="serving.x.training.y",
        kinds=tuple(f"kind{k}" for k in range(len(mtbf))),
        parameters=constants(numbers),
        series=series,
        rows=rows,
        draws=Draws(
            np.full(len(each), codes.CONSTANT, dtype=np.int64),
            np.array([[x, 0.0, 0.0, 0.0] for x in each]),
            np.array([entity_key(str(i)) for i in range(len(each))], dtype=np.uint32),
        ),
        keeps=np.full(len(mtbf), planned, dtype=np.bool_),
        gpus=0,
        speed=1,
        per_rack=NONE,
        factors=(),
        taken=0.0,
        cap=NONE,
        first="nobody",
        pools=(),
        own=0,
        replica=replica,
        replicas=gpus / replica,
        node=node,
        elastic=elastic,
        moments=moments,
        edges=np.array([0.0, end]) if edges is None else edges,
        prices=(2, 3, 4),
        law=LAW,
    )


def constants(numbers: list[float]) -> ParameterTable:
    """A table of parameters that are certain."""
    args = np.zeros((len(numbers), 4))
    args[:, 0] = numbers
    nothing: Any = np.zeros(len(numbers))
    return ParameterTable(
        nothing.astype(np.int64), args, nothing.astype(np.uint32), np.zeros((0, 2))
    )
