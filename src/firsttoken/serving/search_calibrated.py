"""Calibrated latencies of chosen configurations, with their 90 % intervals.

The search compares thousands of configurations by physics; of the few that it shows, those whose
GPU and model the library knows are predicted again by the calibration on measured points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.serving.calibrated_pools import corrections_of, pool_factors
from firsttoken.serving.calibration import Calibration, Prediction, shipped
from firsttoken.serving.calibration_points import PRECISIONS, Observation
from firsttoken.serving.parts import architecture, hardware
from firsttoken.serving.parts import shipped as library
from firsttoken.serving.perf_efficiency import Corrections
from firsttoken.serving.perf_point import Before, Point, disaggregated_point
from firsttoken.serving.search import Answer, Question
from firsttoken.serving.system import Floats, Layout
from firsttoken.twin.library import Library

Ints = NDArray[np.int64]


class Bands(NamedTuple):
    """Latencies of some rows of an answer at the busiest time, s; NaN where they are not known.

    Not known are GPUs and models that are not as in the library, drafts, and known prompts; and the
    time to the first token of units whose prefill is apart: how their prompts queue is not.

    Attributes
    ----------
    ttft, tpot, e2e : median, low and high of the 90 % interval, each f8[n].
    """

    ttft: Prediction
    tpot: Prediction
    e2e: Prediction


class Named(NamedTuple):
    """Part ids of a question's model and GPU."""

    model: str
    gpu: str


def named(question: Question) -> Named | None:
    """The model and GPU of the library that the question asks about; None: they are others.

    What decides is speed: a share of the memory that is kept free, another price or power does not.
    """
    known = library()
    model = _same(known, "model", question)
    gpu = _same(known, "accelerator", question)
    return Named(model, gpu) if model and gpu else None


def _same(known: Library, kind: str, question: Question) -> str:
    for part in known.parts.values():
        if part.kind != kind:
            continue
        if kind == "model" and architecture(known, part.id) == question.architecture:
            return part.id
        if kind == "accelerator":
            speeds = ("bf16", "fp8", "fp4", "bandwidth", "domain", "link", "network")
            listed = hardware(known, part.id)
            ours = [float(getattr(listed, speed)) for speed in speeds]
            theirs = [float(getattr(question.hardware, speed)) for speed in speeds]
            if np.allclose(ours, theirs, rtol=0.02):
                return part.id
    return ""


def bands(answer: Answer, rows: Ints, calibration: Calibration | None = None) -> Bands:
    """Calibrated latencies of rows of an answer.

    Parameters
    ----------
    calibration : None: that of the library.
    """
    question, columns = answer.question, answer.columns
    nothing = np.full(len(rows), np.nan)
    result = [Prediction(*(nothing.copy() for _ in range(3))) for _ in range(3)]
    # corrections are ratios to the physics: they say nothing of times from tables
    whose = named(question) if question.tables is None else None
    if whose is None or question.drafted or question.cached:
        return Bands(*result)
    apart = np.array([bool(columns.apart[row]) for row in rows], dtype=bool)
    for asked, predict in ((~apart, _together), (apart, _apart)):
        places = np.flatnonzero(asked)
        if not len(places):
            continue
        found = predict(answer, rows[places], whose, calibration or shipped())
        for kept, predicted in zip(result, found, strict=True):
            for target, values in zip(kept, predicted, strict=True):
                target[places] = values
    return Bands(*result)


def _together(answer: Answer, rows: Ints, whose: Named, calibration: Calibration) -> Bands:
    """Replicas that prefill and decode: as they were measured."""
    layout, flight = answer.columns.layout, answer.columns.flight
    points = [_point(answer, int(row), whose, layout, float(flight[row])) for row in rows]
    found = calibration.predict(points)
    slower = float(np.asarray(answer.question.corrections.dense))  # of a declared `speed`
    return Bands(
        *(
            Prediction(*(value * slower for value in part))
            for part in (found[0], found[1], found[2])
        )
    )


def _apart(answer: Answer, rows: Ints, whose: Named, calibration: Calibration) -> Bands:
    """Units of two pools: the performance model with each pool corrected.

    Ends of intervals are those of both pools at once, as the software of both is one.
    """
    columns = answer.columns
    flight = columns.flight / np.maximum(columns.workers, 1.0)
    before = [_point(answer, int(row), whose, columns.prefill, 1.0) for row in rows]
    after = [
        _point(answer, int(r), whose, columns.layout, max(float(flight[r]), 1.0)) for r in rows
    ]
    found = pool_factors(before, after, calibration)
    ends = [
        _unit(answer, rows, early, late)
        for early, late in zip(found.prefill, found.decode, strict=True)
    ]
    tpot, e2e = (
        Prediction(*(np.asarray(getattr(point, name)) for point in ends))
        for name in ("tpot", "e2e")
    )
    nothing = np.full(len(rows), np.nan)
    return Bands(Prediction(nothing, nothing, nothing), tpot, e2e)


def _unit(answer: Answer, rows: Ints, prefill: Floats, decode: Floats) -> Point:
    """Units whose pools take so much longer for a step than by physics."""
    question, columns = answer.question, answer.columns
    slower = question.corrections
    each = [
        Corrections(
            **{
                name: np.asarray(value) * getattr(corrections_of(factor), name)
                for name, value in slower._asdict().items()
            }
        )
        for factor in (prefill, decode)
    ]
    early, late = (
        Layout(*(np.asarray(field)[rows] for field in layout))
        for layout in (columns.prefill, columns.layout)
    )
    return disaggregated_point(
        question.architecture,
        question.hardware,
        early,
        late,
        columns.prefill_workers[rows],
        columns.workers[rows],
        question.prompt,
        question.output,
        columns.flight[rows],
        engine=question.engine,
        corrections=each[1],
        before=Before(question.hardware, each[0]),
    )


def _point(
    answer: Answer, row: int, whose: Named, layouts: Layout, concurrency: float
) -> Observation:
    question, columns = answer.question, answer.columns
    layout = Layout(*(float(np.asarray(field)[row]) for field in layouts))
    bits = question.formats[columns.format[row]].weights
    precision = min(PRECISIONS, key=lambda name: abs(PRECISIONS[name] - bits))
    return Observation(
        id="plan",
        model=whose.model,
        gpu=whose.gpu,
        engine=question.software,
        release=question.release,
        precision=precision,
        tensor=float(layout.tensor),
        pipeline=float(layout.pipeline),
        data=float(layout.data),
        expert_tensor=float(layout.expert_tensor),
        expert=float(layout.expert),
        pools=0.0,
        isl=question.prompt,
        osl=question.output,
        concurrency=concurrency,
    )
