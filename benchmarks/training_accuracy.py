"""Training steps: how near predictions come to measured ones that were left out, and how sure.

The 211 measured steps of Megatron Bridge's performance summaries come with the package (library
`ai-models`, training_steps.csv).  They are left out one by one, job by job (with all releases of
it), accelerator by accelerator and model by model; for the last two the rates are fitted anew from
the rest, whose deviations and widths they use.  Papers of other software and years come last.

Bars: median 7 % over all rows, 15 % for accelerators left out; intervals hold 85-95 %.

Usage: python benchmarks/training_accuracy.py [--write]

`--write` fits the rates to all steps and writes them into the library.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Sequence

import numpy as np

from firsttoken.serving import training_calibration as calibration
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.system import Floats
from firsttoken.serving.training_calibration import Calibration
from firsttoken.serving.training_points import packaged, point
from firsttoken.serving.training_step import Job, model_flops, release_years

MEDIAN_BAR, ACCELERATOR_BAR = 0.07, 0.15
PAPERS = [
    ("Llama 3 405B, 8,192 H100", "llama3_1_405b", "h100_sxm", (8192, 2048, 1, 8192, 8, 16, 1, 8)),
    ("Llama 3 405B, 16,384 H100", "llama3_1_405b", "h100_sxm", (16384, 2048, 1, 8192, 8, 16, 1, 8)),
    ("  with 131k tokens", "llama3_1_405b", "h100_sxm", (16384, 128, 1, 131072, 8, 16, 16, 8)),
    ("GPT 22B, 8 A100", "gpt_22b", "a100_sxm", (8, 4, 4, 2048, 8, 1, 1, 1)),
    ("GPT-3 175B, 64 A100", "gpt3_175b", "a100_sxm", (64, 64, 1, 2048, 8, 8, 1, 3)),
    ("MT-NLG 530B, 280 A100", "mt_nlg_530b", "a100_sxm", (280, 280, 1, 2048, 8, 35, 1, 3)),
    ("GPT 1T, 512 A100", "gpt_1t", "a100_sxm", (512, 512, 1, 2048, 8, 64, 1, 1)),
    ("DeepSeek-V3, 2,048 H800", "deepseek_v3", "h800_sxm", (2048, 15360, 1, 4096, 1, 16, 1, 2)),
]
"""gpus, batch, microbatch, sequence, tensor, pipeline, context, chunks; see `measured`."""

MEASURED = {
    0: [("24.03", 0.0, 430e12)],  # TFLOP/s a GPU: arXiv:2407.21783, Table 4
    1: [("24.03", 0.0, 400e12)],
    2: [("24.03", 0.0, 380e12)],
    3: [("22.05", 1.0, 1.42), ("22.05", 0.03, 1.10)],  # s: arXiv:2205.05198, Table 5
    4: [("22.05", 1.0, 18.13), ("22.05", 0.03, 13.75)],
    5: [("22.05", 1.0, 49.05), ("22.05", 0.03, 37.83)],
    6: [("22.05", 1.0, 94.42), ("22.05", 0.03, 71.49)],
    # 2.664 M GPU-hours for 14.8 T tokens: arXiv:2412.19437, Table 1
    7: [("24.12", 0.0, 2.664e6 * 3600 / 14.8e12 * 15360 * 4096 / 2048)],
}


def main() -> None:
    """Print errors and coverage; with `--write`, fit first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="fit, and write the library's rates")
    if parser.parse_args().write:
        write()
    known = calibration.shipped()
    points = known.points
    seen = np.log(points.seconds)
    print(f"{points.size} steps; errors: median, 90th percentile; share within 90 % intervals")
    mean, deviation = known.logarithms(points)
    show("known to the fit", mean - seen, deviation, known.width)
    show("physics alone, fitted", calibration.physics(points, known.theta) - seen, None, 0.0)
    for what, groups, bar in (
        ("each step left out", np.arange(points.size), MEDIAN_BAR),
        ("each job left out", calibration.setups(points), MEDIAN_BAR),
    ):
        show(what, *calibration.left_out(known, groups), known.width, bar)
    show("peer: nearest job's MFU", nearest(known), None, 0.0)
    refitted("accelerators left out", known, points.accelerator, ACCELERATOR_BAR)
    refitted("models left out", known, points.model, None)
    papers(known)
    speed(known)


def write() -> None:
    """Fit all rates and deviations to the packaged steps and write them."""
    fitted = calibration.fit(packaged())
    with calibration.FITTED.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("rate", "value"))
        rows.writerows((name, f"{value:.5g}") for name, value in calibration.table(fitted))
    calibration.shipped.cache_clear()


def show(
    what: str, error: Floats, deviation: Floats | None, width: float, bar: float | None = None
) -> None:
    """One line of errors of logarithms."""
    share = np.abs(np.expm1(error))
    line = f"{what:<26} {np.median(share):6.1%} {np.quantile(share, 0.9):6.1%}"
    if deviation is not None:
        line += f"   {np.mean(np.abs(error) <= width * deviation):5.0%}"
    if bar is not None:
        met = "met" if np.median(share) <= bar else "MISSED"
        line += f"   bar {bar:.0%} {met}"
    print(line, flush=True)


def refitted(what: str, known: Calibration, names: Sequence[str], bar: float | None) -> None:
    """Errors where all of a name is left out and the rates are fitted anew."""
    points, given = known.points, np.asarray(names)
    error, deviation = np.empty(points.size), np.empty(points.size)
    lines = []
    for name in np.unique(given):
        out = np.flatnonzero(given == name)
        rest = calibration.fit(points.take(np.flatnonzero(given != name)), known.deviations, 2)
        mean, spread = rest.logarithms(points.take(out))
        error[out] = mean - np.log(points.seconds[out])
        deviation[out] = spread * rest.width / known.width
        lines.append((f"  {name} ({len(out)})", error[out], deviation[out]))
    show(what, error, deviation, known.width, bar)
    for line in lines:
        show(*line, known.width)


def nearest(known: Calibration) -> Floats:
    """Errors of taking the MFU of the most similar step of another job, as planners do by hand."""
    points = known.points
    flops = np.log(model_flops(points.architecture, points.job))
    bits = np.asarray(points.job.bits)
    top = np.where(bits == 4, points.hardware.fp4, points.hardware.fp8)
    top = np.where(bits >= 16, points.hardware.bf16, top)
    spent = np.log(points.seconds * np.asarray(points.job.gpus) * top) - flops
    like = calibration.alike(points, known.deviations)
    names = np.asarray(calibration.setups(points))
    like[names[:, None] == names[None, :]] = -np.inf
    return np.asarray(spent[like.argmax(axis=1)] - spent)


def papers(known: Calibration) -> None:
    """Predictions of steps of other software and years, none of them known to the fit."""
    print("papers: measured, predicted, 90 % interval, s")
    for row, (name, model, gpu, numbers) in enumerate(PAPERS):
        a, h = library_architecture(model), library_hardware(gpu)
        for release, again, told in MEASURED[row]:
            job = Job(*(float(x) for x in numbers))
            job = job._replace(recompute=again, release=release_years(release))
            if model == "deepseek_v3":
                job = job._replace(expert=64.0, bits=8.0, block=1.0)
            seconds = told
            if told > 1e9:
                seconds = float(model_flops(a, job)) / (float(job.gpus) * told)
            found = known.predict(point(model, gpu, a, h, job))
            low, middle, high = (float(x[0]) for x in (found.low, found.median, found.high))
            inside = "" if low <= seconds <= high else "  OUTSIDE"
            more = ", recomputed" if again == 1.0 else ""
            error = middle / seconds - 1.0
            print(
                f"  {name + more:<38} {seconds:7.2f} {middle:7.2f} {error:+5.0%}"
                f"  {low:.2f}-{high:.2f}{inside}"
            )


def speed(known: Calibration) -> None:
    """CPU time of a prediction, against a loop of a million additions in the same run."""
    points = known.points
    best, loop = np.inf, np.inf
    for _ in range(5):
        start = time.process_time()
        known.predict(points)
        best = min(best, time.process_time() - start)
        start = time.process_time()
        total = 0
        for i in range(1_000_000):
            total += i
        loop = min(loop, time.process_time() - start)
    print(f"{points.size} predictions take {best / loop:.2f} times a million additions in Python")


if __name__ == "__main__":
    main()
