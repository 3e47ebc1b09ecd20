"""What measurements on some GPUs say of another: how the process that carries it over was chosen.

A GPU of which nothing was measured is predicted by `calibration_process.FAR`.  Its parts are
chosen here among candidates, nested: for each GPU left out, a candidate is judged by the others
alone, each of them left out in turn (rates of physics and all), and the best is tested on the GPU.
A candidate is judged by the mean absolute log error of E2E latency, errors beyond `CLIPPED` counted
as that; selection by the median, which is flat among candidates, is printed beside it.

Usage: python benchmarks/serving_transfer.py [--data FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import numpy as np

from firsttoken.serving.calibration import FIRST, causes, clipped, fit_first
from firsttoken.serving.calibration_points import Observation, read_sample
from firsttoken.serving.calibration_prior import Prior, fit_constants, prior
from firsttoken.serving.calibration_process import FAR, Kernel, features, generation
from firsttoken.serving.gaussian_process import Features, covariance
from firsttoken.serving.system import Floats

DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
MOST: Final = 300
"""Points on which the rates are fitted anew, as in serving_accuracy.py."""

ONE: Final = {
    "effect.generation_engine": 0.05,
    "effect.generation_model": 0.10,
    "effect.generation_setup": 0.10,
    "effect.generation_layout": 0.08,
    "varying.generation_model": 0.07,
}
"""Scales of what belongs to a generation, at strength 1."""

HALF: Final = {"effect.model_engine": 0.06, "effect.engine": 0.03, "effect.model_precision": 0.05}
"""Half of what is common to generations."""

PRECISION: Final = "generation_precision"
"""Effect of an engine's kernels of a precision on a generation."""


def candidate(
    strength: float,
    varying: bool = False,
    shares: tuple[str, ...] = (),
    more: Mapping[str, float] | None = None,
    effects: tuple[str, ...] = (),
) -> Kernel:
    """`FAR` with parts of generations of a strength, and factors on the terms of a step."""
    own = {name for name in FAR.effects if name.startswith("generation")}
    scales = {name: strength * scale for name, scale in ONE.items()} | dict(more or {})
    return FAR._replace(
        effects=(*(n for n in FAR.effects if n not in own or strength > 0), *effects),
        varying=tuple(n for n in FAR.varying if varying or not n.startswith("generation")),
        shares=shares,
        scales={**FAR.scales, **scales},
    )


CANDIDATES: Final = {
    "no generations": candidate(0),
    "  noise 0.10": candidate(0, more={"noise": 0.10}),
    "  noise 0.25": candidate(0, more={"noise": 0.25}),
    "  terms": candidate(0, shares=("all", "generation")),
    "strength 0.6": candidate(0.6),
    "strength 1": candidate(1),
    "  along the load": candidate(1, True),
    "  common halved": candidate(1, more=HALF),
    "  precisions": candidate(1, more={f"effect.{PRECISION}": 0.10}, effects=(PRECISION,)),
    "  terms by generation": candidate(1, shares=("all", "generation")),
    "  and by engine": candidate(1, shares=("all", "engine", "generation")),
    "strength 1.5": candidate(1.5),
    "  1.5 along the load": candidate(1.5, True),
    "  1.5 common halved": candidate(1.5, more=HALF),
    "  1.5 precisions": candidate(1.5, more={f"effect.{PRECISION}": 0.15}, effects=(PRECISION,)),
    "strength 2": candidate(2),
    "  2 along the load": candidate(2, True),
    "  2 common halved": candidate(2, more=HALF),
    "  2 noise 0.25": candidate(2, more={"noise": 0.25}),
    "strength 3": candidate(3),
}

Errors = dict[tuple[str, ...], Floats]
"""Log errors of E2E latency of a GPU (first) without it and others."""


def main() -> None:
    """Print candidates' errors and those of the nested choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    sample = parser.parse_args().data / "llm_silicon" / "silicon_sample.csv.gz"
    if not sample.is_file():
        sys.exit(f"{sample} is missing: nothing to choose by")
    points = read_sample(sample)
    gpus = sorted({p.gpu for p in points})
    found: dict[str, Errors] = {name: {} for name in CANDIDATES}
    for out in [*itertools.combinations(gpus, 1), *itertools.combinations(gpus, 2)]:
        for name, errors in without(points, out).items():
            found[name] |= errors
    print(f"{'':24}error; median of all GPUs left out, of each: {', '.join(gpus)}")
    for name, errors in found.items():
        each = [errors[(gpu,)] for gpu in gpus]
        cells = " ".join(f"{median(e):6.1%}" for e in each)
        joined = np.concatenate(each)
        print(f"{name:24}{loss(joined):.4f} {median(joined):6.1%} {cells}", flush=True)
    nested(gpus, found, "error", loss)
    nested(gpus, found, "median", median)


def without(points: Sequence[Observation], out: tuple[str, ...]) -> dict[str, Errors]:
    """Errors of each candidate on GPUs that were all left out."""
    others = [p for p in points if p.gpu not in out]
    draw = np.random.default_rng(0).choice(len(others), MOST, replace=False)
    constants = fit_constants([others[k] for k in draw], 3)
    known, asked = others, [p for p in points if p.gpu in out]
    physics, wanted = prior(known, constants), prior(asked, constants)
    factors = fit_first(known, physics)
    common = np.array([value for value, _ in FIRST.values()])

    def entry(some: Sequence[Observation], causing: Any) -> Floats:
        each = np.array([factors.get(p.engine, common) for p in some])
        return np.asarray((each * causes(causing)).sum(axis=1))

    seen, new = told(known, physics), told(asked, wanted)
    ttft = clipped(np.log([p.ttft for p in known]) - np.log(entry(known, physics)))
    tpot = clipped(np.log([p.tpot for p in known]) - np.log(physics.tpot))
    truth = np.log([p.e2e for p in asked])
    following = np.array([p.osl for p in asked]) - 1.0
    gpu = np.array([p.gpu for p in asked])
    found: dict[str, Errors] = {}
    for name, kernel in CANDIDATES.items():
        cross = covariance(kernel.parts(), new, seen)
        late, slow = (cross @ kernel.process(seen, left).pull for left in (ttft, tpot))
        whole = entry(asked, wanted) * np.exp(late) + wanted.tpot * np.exp(slow) * following
        error = np.log(whole) - truth
        found[name] = {(g, *(o for o in out if o != g)): error[gpu == g] for g in out}
    return found


def told(points: Sequence[Observation], physics: Prior) -> Features:
    """Features, with codes that only candidates read."""
    found = features(points, physics)
    names = {
        "generation": [generation(p.gpu) for p in points],
        PRECISION: [f"{generation(p.gpu)} {p.engine} {p.precision}" for p in points],
    }
    codes = {k: np.array([crc32(t.encode()) + 1 for t in v]) for k, v in names.items()}
    return Features({**found.codes, **codes}, found.axes)


def loss(error: Floats) -> float:
    """Mean absolute log error, of what a calibration carries over at most."""
    return float(np.abs(clipped(error)).mean())


def median(error: Floats) -> float:
    """Median relative error."""
    return float(np.median(np.abs(np.expm1(error))))


def nested(
    gpus: Sequence[str], found: dict[str, Errors], what: str, judge: Callable[[Floats], float]
) -> None:
    """Errors of the candidates that the other GPUs choose."""
    tested = []
    print(f"chosen by the {what} of the other GPUs, each left out in turn:")
    for out in gpus:
        inner = [(gpu, out) for gpu in gpus if gpu != out]
        judged = {n: judge(np.concatenate([e[k] for k in inner])) for n, e in found.items()}
        best = min(judged, key=lambda name: judged[name])
        tested.append(found[best][(out,)])
        print(f"  without {out}: {best.strip()}, {median(tested[-1]):.1%}")
    print(f"  all: {median(np.concatenate(tested)):.1%} median")


if __name__ == "__main__":
    main()
