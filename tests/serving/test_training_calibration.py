"""Predicted training steps, held against measured ones that were left out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from firsttoken.serving import training_calibration as calibration
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.training_points import (
    COLUMNS,
    PACKAGED,
    packaged,
    point,
    read_published,
)
from firsttoken.serving.training_step import Job, model_flops, release_years

PUBLISHED = (
    Path(__file__).resolve().parents[3]
    / "shared"
    / "data"
    / "training_perf"
    / "megatron_bridge_perf.csv"
)

MEDIAN_BAR, ACCELERATOR_BAR = 0.07, 0.15
"""Median errors of jobs left out, and of all jobs on an accelerator left out."""


def errors(groups: object) -> tuple[np.ndarray, np.ndarray]:
    """Relative errors of known steps left out by group, and whether intervals hold them."""
    known = calibration.shipped()
    error, deviation = calibration.left_out(known, groups)
    return np.abs(np.expm1(error)), np.abs(error) <= known.width * deviation


def test_jobs_left_out_with_all_their_releases() -> None:
    """A job (model, accelerator, layout, batch, format) is left out in every release of it."""
    points = packaged()
    error, inside = errors(calibration.setups(points))
    assert len(error) == 211
    assert np.median(error) <= MEDIAN_BAR
    assert 0.85 <= inside.mean() <= 0.95


def test_single_measurements_left_out() -> None:
    error, inside = errors(np.arange(211))
    assert np.median(error) <= 0.04
    assert 0.85 <= inside.mean() <= 0.95


def test_accelerators_left_out() -> None:
    """The rates move with the rest to first order; the benchmark fits them anew."""
    points = packaged()
    error, inside = errors(points.accelerator)
    assert np.median(error) <= ACCELERATOR_BAR
    assert 0.85 <= inside.mean() <= 0.96
    for name in set(points.accelerator):
        own = np.array([given == name for given in points.accelerator])
        assert np.median(error[own]) <= ACCELERATOR_BAR, name


def test_leaving_out_is_predicting_without() -> None:
    """The closed form for a group equals a prediction from the other rows."""
    points = packaged()
    known = calibration.shipped()
    out = np.array([name == "h100_sxm" for name in points.accelerator])
    error, deviation = calibration.left_out(known, points.accelerator)
    rest = calibration.Calibration(
        points.take(np.flatnonzero(~out)), known.theta, known.deviations, known.width
    )
    mean, spread = rest.logarithms(points.take(np.flatnonzero(out)))
    # left_out tells seen less predicted, with the sign turned
    np.testing.assert_allclose(mean - np.log(points.seconds[out]), error[out], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(spread, deviation[out], rtol=1e-6)


def test_the_packaged_rates_are_those_of_the_packaged_steps() -> None:
    """The fit, from the packaged rates on, stays where it is."""
    known = calibration.shipped()
    again = calibration._fit_rates(known.points, known.theta, known.deviations)
    moved = np.abs(again - known.theta) / np.array(calibration.SPREAD, dtype=float)
    assert moved.max() < 0.35


def test_a_sites_own_measurement_teaches() -> None:
    """A job was 40 % slower than predicted: once measured, it and its like are told with that."""
    known = calibration.shipped()
    a, h = library_architecture("llama3_1_405b"), library_hardware("gb300")
    job = Job(gpus=512.0, batch=1024.0, micro=1.0, sequence=8192.0, tensor=4.0, pipeline=8.0)
    job = job._replace(chunks=4.0, bits=16.0)
    asked = point("llama3_1_405b", "gb300", a, h, job)
    first = known.predict(asked)
    slow = float(first.median[0]) * 1.4
    taught = known.updated(point("llama3_1_405b", "gb300", a, h, job, slow))
    second = taught.predict(asked)
    assert second.median[0] == pytest.approx(slow, rel=0.05)
    assert second.high[0] / second.low[0] < first.high[0] / first.low[0]
    bigger = point("llama3_1_405b", "gb300", a, h, job._replace(gpus=1024.0, batch=2048.0))
    assert taught.predict(bigger).median[0] > 1.15 * known.predict(bigger).median[0]


def test_what_is_not_known_is_less_sure() -> None:
    known = calibration.shipped()
    a, h = library_architecture("llama3_1_70b"), library_hardware("gb300")
    job = Job(gpus=64.0, batch=256.0, micro=2.0, sequence=8192.0, shard=1.0, bits=8.0)

    def width(model: str, accelerator: str) -> float:
        found = known.predict(point(model, accelerator, a, h, job))
        return float(found.high[0] / found.low[0])

    assert width("llama3_1_70b", "gb300") < width("llama3_1_70b", "") < width("", "")


KNOWN_ANSWERS = [
    # Llama 3 405B on H100 in BF16 (arXiv:2407.21783, Table 4): TP 8, PP 16, 16 M tokens
    ("llama3_1_405b", "h100_sxm", 8192, 2048, 8192, 8, 16, 1, 8, 0.0, "24.03", 430e12),
    ("llama3_1_405b", "h100_sxm", 16384, 2048, 8192, 8, 16, 1, 8, 0.0, "24.03", 400e12),
    ("llama3_1_405b", "h100_sxm", 16384, 128, 131072, 8, 16, 16, 8, 0.0, "24.03", 380e12),
    # Megatron on A100 (arXiv:2205.05198, Table 5): seconds, all and selective recomputation
    ("gpt_22b", "a100_sxm", 8, 4, 2048, 8, 1, 1, 1, 1.0, "22.05", 1.42),
    ("gpt_22b", "a100_sxm", 8, 4, 2048, 8, 1, 1, 1, 0.03, "22.05", 1.10),
    ("gpt3_175b", "a100_sxm", 64, 64, 2048, 8, 8, 1, 3, 1.0, "22.05", 18.13),
    ("gpt3_175b", "a100_sxm", 64, 64, 2048, 8, 8, 1, 3, 0.03, "22.05", 13.75),
    ("mt_nlg_530b", "a100_sxm", 280, 280, 2048, 8, 35, 1, 3, 1.0, "22.05", 49.05),
    ("mt_nlg_530b", "a100_sxm", 280, 280, 2048, 8, 35, 1, 3, 0.03, "22.05", 37.83),
    ("gpt_1t", "a100_sxm", 512, 512, 2048, 8, 64, 1, 1, 1.0, "22.05", 94.42),
    ("gpt_1t", "a100_sxm", 512, 512, 2048, 8, 64, 1, 1, 0.03, "22.05", 71.49),
]


@pytest.mark.parametrize("case", KNOWN_ANSWERS, ids=lambda case: f"{case[0]}-{case[2]}-{case[9]}")
def test_papers_it_has_never_seen(case: tuple[object, ...]) -> None:
    """Other software, years older, and (A100) a GPU of which no step is known: within the interval.

    Medians within 30 %.
    """
    model, gpu, gpus, batch, sequence, tensor, pipeline, context, chunks, again, release, told = (
        case
    )
    a, h = library_architecture(str(model)), library_hardware(str(gpu))
    job = Job(
        *(float(x) for x in (gpus, batch, 4 if model == "gpt_22b" else 1, sequence)),  # type: ignore[arg-type]
        *(float(x) for x in (tensor, pipeline, context, chunks)),  # type: ignore[arg-type]
        recompute=float(again),  # type: ignore[arg-type]
        release=release_years(str(release)),
    )
    measured = float(told)  # type: ignore[arg-type]
    if measured > 1e9:
        measured = float(model_flops(a, job)) / (float(job.gpus) * measured)
    found = calibration.shipped().predict(point(str(model), str(gpu), a, h, job))
    assert found.low[0] <= measured <= found.high[0]
    assert abs(found.median[0] / measured - 1.0) < 0.30


def test_median_of_papers_never_seen() -> None:
    """A model whose every part is a prior would not stay below this."""
    found = []
    for case in KNOWN_ANSWERS:
        a, h = library_architecture(str(case[0])), library_hardware(str(case[1]))
        job = Job(
            *(float(x) for x in (case[2], case[3], 4 if case[0] == "gpt_22b" else 1, case[4])),  # type: ignore[arg-type]
            *(float(x) for x in case[5:9]),  # type: ignore[arg-type]
            recompute=float(case[9]),  # type: ignore[arg-type]
            release=release_years(str(case[10])),
        )
        measured = float(case[11])  # type: ignore[arg-type]
        if measured > 1e9:
            measured = float(model_flops(a, job)) / (float(job.gpus) * measured)
        steps = calibration.shipped().predict(point(str(case[0]), str(case[1]), a, h, job))
        found.append(abs(steps.median[0] / measured - 1.0))
    assert np.median(found) < 0.20


@pytest.mark.skipif(not PUBLISHED.exists(), reason="measured steps are not there")
def test_packaged_steps_are_the_published() -> None:
    with PACKAGED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert rows == read_published(PUBLISHED)
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        derived = [float(row["step_time_s_derived"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(packaged().seconds, derived, rtol=1e-3)
