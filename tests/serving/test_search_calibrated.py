"""Plans predicted anew by a calibration, on points that are known to be slower than physics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firsttoken.serving.calibration import Calibration
from firsttoken.serving.calibration_points import Observation
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_point import aggregated_point
from firsttoken.serving.search import Question, search
from firsttoken.serving.search_calibrated import Named, bands, named
from firsttoken.serving.search_space import FP8
from firsttoken.serving.system import Layout

MODEL, GPU = "llama3_1_8b", "h100_sxm"
QUESTION = Question(
    library_architecture(MODEL),
    library_hardware(GPU),
    (FP8,),
    1024.0,
    256.0,
    gpus=4.0,
    tpot=0.02,
    software="vllm",
    release="0.10",
)
SLOWER = 1.3


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    """Measured: a time per token 30 % longer than the performance model's."""
    points = []
    for tensor in (1.0, 2.0, 4.0):
        for users in (2.0, 8.0, 32.0, 128.0):
            layout = Layout(tensor, 1.0, 1.0, tensor, 1.0, 8.0, 8.0, 8.0, 8.0)
            point = aggregated_point(
                QUESTION.architecture, QUESTION.hardware, layout, 1024.0, 256.0, users
            )
            points.append(
                Observation(
                    f"{tensor}-{users}",
                    *(MODEL, GPU, "vllm", "0.10", "fp8"),
                    *(tensor, 1.0, 1.0, tensor, 1.0, 0.0),
                    *(1024.0, 256.0, users),
                    float(point.ttft) * SLOWER,
                    float(point.tpot) * SLOWER,
                )
            )
    return Calibration(points)


def test_the_library_s_parts_are_recognised() -> None:
    assert named(QUESTION) == Named(MODEL, GPU)
    other = QUESTION.hardware._replace(memory=5e10, tgp=600.0)
    assert named(replace(QUESTION, hardware=other)) == Named(MODEL, GPU)
    own = QUESTION.hardware._replace(bandwidth=9e12)
    assert named(replace(QUESTION, hardware=own)) is None


def test_bands_follow_the_measurements(calibration: Calibration) -> None:
    answer = search(replace(QUESTION, apart=False))
    rows = np.array([answer.best, *answer.frontier[:5]])
    found = bands(answer, rows, calibration)
    assert (found.tpot.low < found.tpot.median).all()
    assert (found.tpot.median < found.tpot.high).all()
    slower = found.tpot.median / answer.columns.tpot[rows]
    assert np.median(slower) == pytest.approx(SLOWER, rel=0.25)


def test_what_is_not_known_is_nan(calibration: Calibration) -> None:
    answer = search(QUESTION)
    apart = np.flatnonzero(answer.columns.apart)[:3]
    assert np.isnan(bands(answer, apart, calibration).tpot.median).all()
    drafts = search(replace(QUESTION, apart=False, accepted=0.8, drafted=1.0))
    assert np.isnan(bands(drafts, np.array([drafts.best]), calibration).ttft.high).all()
