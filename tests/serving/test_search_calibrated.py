"""Plans predicted anew by a calibration, on points that are known to be slower than physics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firsttoken.serving.calibration import Calibration
from firsttoken.serving.calibration_points import Observation
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_efficiency import NONE
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


def test_pools_apart_are_as_much_slower_as_was_measured(calibration: Calibration) -> None:
    """Every step measured takes 1.3 times the model's: so do those of both pools."""
    answer = search(QUESTION)
    apart = np.flatnonzero(answer.columns.apart)[:6]
    found = bands(answer, apart, calibration)
    assert np.isnan(found.ttft.median).all()
    for name in ("tpot", "e2e"):
        low, middle, high = (getattr(getattr(found, name), x) for x in ("low", "median", "high"))
        assert (low < middle).all()
        assert (middle < high).all()
        slower = middle / getattr(answer.columns, name)[apart]
        assert np.median(slower) == pytest.approx(SLOWER, rel=0.25)


def test_declared_speed_counts_beside_the_measurements(calibration: Calibration) -> None:
    """Software twice as fast as what was measured takes half the time."""
    half = NONE._replace(**{name: 0.5 for name in NONE._fields if name != "wait"})
    plain = search(replace(QUESTION, apart=False))
    quick = replace(plain, question=replace(plain.question, corrections=half))
    rows = np.array([plain.best])
    one, two = bands(plain, rows, calibration), bands(quick, rows, calibration)
    assert two.tpot.median == pytest.approx(one.tpot.median / 2)


def test_what_is_not_known_is_nan(calibration: Calibration) -> None:
    drafts = search(replace(QUESTION, apart=False, accepted=0.8, drafted=1.0))
    assert np.isnan(bands(drafts, np.array([drafts.best]), calibration).ttft.high).all()
