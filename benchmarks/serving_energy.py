"""Power and energy of LLM inference against measured ones: the ML.ENERGY leaderboard.

705 measured points of 32 models on H100 and B200 (ML.ENERGY leaderboard v3, J.-W. Chung et al., The
ML.ENERGY Benchmark, NeurIPS Datasets and Benchmarks 2025) are read from
``../shared/data/ml_energy_leaderboard``; they are not part of this repository.  Points are
predicted from the deployment alone (model, GPU, layout, batch, lengths), never from what was
measured of it.  Prompts' lengths are not published with the points: they are assumed by task.

``--choose`` shows how the scales of the processes were chosen, nested: for each model left out, by
the others, each of them left out in turn (the closed form; mean absolute log errors, those beyond
0.35 counted as that), among the first guess and halves or doubles of four scales of each, in all
combinations; tested on the model.

Usage: python benchmarks/serving_energy.py [--data FILE] [--choose]
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from firsttoken.serving import energy_fit
from firsttoken.serving.energy_fit import Calibration, Points, Scales
from firsttoken.serving.energy_law import gpu_power
from firsttoken.serving.parts import library_architecture, library_hardware, library_model
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "ml_energy_leaderboard"
PROMPTS = {
    "lm-arena-chat": 250.0,
    "gpqa": 300.0,
    "image-chat": 800.0,
    "video-chat": 1500.0,
    "sourcegraph-fim": 1000.0,
}
"""Mean tokens of a prompt by task: assumed, of the order that power and speed suggest."""
BITS = {"bfloat16": (16.0, 16.0, 16.0), "fp8": (8.0, 8.0, 8.0), "mxfp4": (16.0, 4.25, 16.0)}
"""Bits of dense weights, experts' weights and operands."""
CANDIDATES = tuple(
    (
        Scales(linear=linear, model=model, smooth=smooth, length=length),
        Scales(noise=noise, model=model, smooth=0.5 * smooth, length=length),
    )
    for (linear, noise), model, smooth, length in product(
        ((0.05, 0.08), (0.1, 0.16)), (0.05, 0.1), (0.3, 0.6), (0.25, 0.5)
    )
)
"""Scales of power and of time that are chosen among, each by itself."""
CLIPPED = 0.35
ENERGY_BAR, POWER_BARS = 12.0, {"H100": 8.0, "B200": 10.0}


def read(path: Path) -> Points:
    """The measured points."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def numbers(name: str) -> Floats:
        return np.array([float(row[name]) for row in rows])

    models = [library_architecture(row["model_id"]) for row in rows]
    gpus = [library_hardware(row["gpu_model"]) for row in rows]
    bits = np.array([BITS[row["weight_precision"]] for row in rows]).T
    data, expert = numbers("data_parallel"), numbers("expert_parallel")
    tensor = numbers("num_gpus") / data
    one = np.ones(len(rows))
    layout = Layout(
        tensor, one, data, tensor * data / expert, expert, bits[0], bits[1], 16.0 * one, bits[2]
    )
    return Points(
        Architecture(*np.array(models, dtype=float).T),
        Hardware(*np.array(gpus, dtype=float).T),
        layout,
        np.array([row["model_id"] for row in rows]),
        np.array([library_model(row["model_id"]) for row in rows]),
        np.array([row["gpu_model"] for row in rows]),
        numbers("avg_batch_size"),
        np.array([PROMPTS[row["task"]] for row in rows]),
        numbers("avg_output_len"),
        numbers("avg_power_watts") / numbers("num_gpus"),
        numbers("output_throughput_tokens_per_sec"),
    )


def folds(points: Points, by: str) -> Iterator[tuple[str, np.ndarray]]:
    """Points to leave out together."""
    if by == "ten parts":
        part = np.random.default_rng(1).permutation(len(points.power)) % 10
        yield from ((str(k), part == k) for k in range(10))
    elif by == "nine tenths":
        part = np.random.default_rng(1).permutation(len(points.power)) % 10
        yield from ((str(k), part != k) for k in range(5))
    else:
        names = points.model if by == "model" else points.part
        yield from ((str(name), names == name) for name in np.unique(names))


def measure(points: Points, by: str) -> tuple[Floats, Floats, Floats, Floats]:
    """Errors in % of what was left out, and what shares the intervals held.

    Rows: power at the measured rate, power, time and energy of a token from the deployment alone.

    Returns
    -------
    errors, inside : f8[4, m]; new : whether on a B200; truth : J of a token, f8[m].
    """
    gpus = np.asarray(points.layout.tensor) * points.layout.data
    energy = points.power * gpus / points.rate
    errors, inside, new = [], [], []
    for _, out in folds(points, by):
        fitted = energy_fit.fit(points.subset(~out))
        some = points.subset(out)
        known = fitted.predict(some, some.rate).power
        predicted = (known, *fitted.predict(some))
        truth = (some.power, some.power, 1.0 / some.rate, energy[out])
        pairs = list(zip(predicted, truth, strict=True))
        errors.append([100.0 * (p[:, 1] / t - 1.0) for p, t in pairs])
        inside.append([(p[:, 0] <= t) & (t <= p[:, 2]) for p, t in pairs])
        new.append(some.gpu == "B200")
    return (
        np.concatenate(errors, axis=1),
        np.concatenate(inside, axis=1),
        np.concatenate(new),
        energy,
    )


def choose(points: Points) -> None:
    """Errors of power where the scales of both processes are chosen by the other models."""
    chosen: list[tuple[Scales, Scales]] = []
    errors, new = [], []
    for _, out in folds(points, "model"):
        known, asked = points.subset(~out), points.subset(out)
        fitted = [energy_fit.fit(known, *scales) for scales in CANDIDATES]
        power, time_ = (
            CANDIDATES[int(np.argmin([_left_out(f, known.model, name) for f in fitted]))][k]
            for k, name in enumerate(("power", "time"))
        )
        chosen.append((power, time_))
        found = energy_fit.fit(known, power, time_).predict(asked).power[:, 1]
        errors.append(100.0 * np.abs(found / asked.power - 1.0))
        new.append(asked.gpu == "B200")
    error, young = np.concatenate(errors), np.concatenate(new)
    print("scales chosen by the models that are not tested:")
    for name, each in zip(("power", "time"), zip(*chosen, strict=True), strict=True):
        for scales, count in Counter(each).most_common():
            print(f"  {name}: {count} times {scales}")
    for gpu, rows in (("H100", ~young), ("B200", young)):
        middle = np.median(error[rows])
        print(f"  {gpu}: power {middle:.1f} %, {middle / POWER_BARS[gpu]:.2f} of the bar")


def _left_out(fitted: Calibration, models: np.ndarray, name: str) -> float:
    error, _ = getattr(fitted, name).process.left_out(models)
    return float(np.minimum(np.abs(error), CLIPPED).mean())


def show(by: str, name: str, errors: Floats, inside: Floats) -> None:
    """One line of the table."""
    off = np.abs(errors)
    middle, high, held = np.median(off, axis=1), np.percentile(off, 90, axis=1), inside.mean(axis=1)
    cells = [f"{m:5.1f} {h:3.0f} {c:4.0%}" for m, h, c in zip(middle, high, held, strict=True)]
    verdict = ""
    if by == "model" and name in POWER_BARS:
        verdict = f"  power: {middle[1] / POWER_BARS[name]:.2f} of the bar"
    elif by in ("ten parts", "nine tenths") and name == "both":
        verdict = f"  energy: {middle[3] / ENERGY_BAR:.2f} of the bar"
    print(f"{by:12} {name:5} " + "   ".join(cells) + verdict)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA / "llm_inference_power_energy.csv")
    parser.add_argument("--choose", action="store_true", help="how the scales were chosen")
    given = parser.parse_args()
    if not given.data.exists():
        print(f"the ML.ENERGY points are not at {given.data}: name them with --data")
        return 3
    points = read(given.data)
    young = np.asarray(points.hardware.fp4) > 0
    for name, rows in (("H100", ~young), ("B200", young)):
        some = points.subset(rows)
        limit = np.abs(some.hardware.tgp / some.power - 1.0)
        shipped = gpu_power(some.hardware, energy_fit.use(some, 1.0 / some.rate)) / some.power - 1.0
        print(
            f"{name}: {rows.sum()} points; median errors of power: power limit "
            f"{np.median(limit):.0%}, law of the package {np.median(np.abs(shipped)):.1%}"
        )
        fields = energy_fit.fit_law(some)._asdict().items()
        print("  law fitted again: " + ", ".join(f"{key} {value:.2f}" for key, value in fields))
    if given.choose:
        choose(points)
        return 0
    print("median and 90 % of |error| in %, share of measurements within 90 % intervals")
    print(f"{'left out':12} {'':5} power, rate known {'power':>10} {'token':>14} {'energy':>16}")
    for by in ("ten parts", "nine tenths", "model", "architecture"):
        begun = time.process_time()
        errors, inside, new, _ = measure(points, by)
        for name, rows in (("H100", ~new), ("B200", new), ("both", new | ~new)):
            show(by, name, errors[:, rows], inside[:, rows])
        print(f"  {time.process_time() - begun:.0f} CPU-s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
