"""Calibrated latencies of chosen configurations, with their 90 % intervals.

The search compares thousands of configurations by physics; of the few that it shows, those whose
GPU and model the library knows are predicted again by the calibration on measured points.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.serving.calibration import Calibration, Prediction, shipped
from firsttoken.serving.calibration_points import PRECISIONS, Observation
from firsttoken.serving.parts import architecture, hardware
from firsttoken.serving.parts import shipped as library
from firsttoken.serving.search import Answer, Question
from firsttoken.serving.system import Layout
from firsttoken.twin.library import Library

Ints = NDArray[np.int64]


class Bands(NamedTuple):
    """Latencies of some rows of an answer at the busiest time, s; NaN where they are not known.

    Not known are units whose prefill is apart, and GPUs and models that are not as in the library.

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
    whose = named(question)
    asked = [k for k, row in enumerate(rows) if not columns.apart[row]]
    if whose is None or not asked or question.drafted or question.cached:
        return Bands(*result)
    points = [_point(answer, int(rows[k]), whose) for k in asked]
    found = (calibration or shipped()).predict(points)
    for kept, predicted in zip(result, (found.ttft, found.tpot, found.e2e), strict=True):
        for target, values in zip(kept, predicted, strict=True):
            target[asked] = values
    return Bands(*result)


def _point(answer: Answer, row: int, whose: Named) -> Observation:
    question, columns = answer.question, answer.columns
    layout = Layout(*(float(np.asarray(field)[row]) for field in columns.layout))
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
        concurrency=float(columns.flight[row]),
    )
