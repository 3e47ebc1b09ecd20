"""Serving latencies: how near calibrated predictions come to measured ones, and how sure they are.

The points are the aggregated deployments of ``../shared/data/llm_silicon`` (aisimulate 0.13, mostly
InferenceX; Apache-2.0); they are not part of this repository, but for the tenth that the library
calibrates on. A run that the sample lists several times counts once. The tenth is made of the
runs on which the rates of physics were moved (``crc32(id) % 20 == 0`` of one of its names) and of
runs that `design` chooses without a look at results; ``--draws`` also takes tenths at random, and
designs that see nine tenths of the runs at random. All runs outside the tenth are tested.

For a GPU or model left out, the rates of physics too are fitted anew from published figures, on
the points of the others: all of them, or (``--tenth``) as many as a tenth of all. AIConfigurator
0.12 is given beside on its 568 points (``../shared/data/sim_accuracy``), and so is this calibration
on those of them that it did not see.

Usage: python benchmarks/serving_accuracy.py [--data FOLDER] [--draws 3] [--leave gpu,model]
       [--tenth] [--write]

``--write`` writes the tenth into the library.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from firsttoken.serving.calibration import LIBRARY, Calibration, Prediction, shipped
from firsttoken.serving.calibration_points import Observation, read_sample, write_points
from firsttoken.serving.calibration_prior import Constants, fit_constants, prior
from firsttoken.serving.calibration_process import TPOT, features
from firsttoken.serving.gaussian_process import design
from firsttoken.serving.system import Floats

DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
BARS: Final = {"e2e": 0.08, "p90": 0.25, "ttft": 0.20, "gpu": 0.12, "model": 0.18}
COVER: Final = (0.85, 0.95)
MOST: Final = 300
"""Points on which the rates are fitted anew (drawn from those that remain): more change little."""

PEERS: Final = """peers, as published: AIConfigurator 0.12 as above; gradient boosting 18 % (unseen
GPU) and 29 % (unseen model); BLIS 13-16 %; none publishes intervals."""


def main() -> None:
    """Print errors and coverage beside the bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--leave", default="gpu,model")
    parser.add_argument("--tenth", action="store_true")
    parser.add_argument("--write", action="store_true", help="write the library's points")
    options = parser.parse_args()
    sample = options.data / "llm_silicon" / "silicon_sample.csv.gz"
    if not sample.is_file():
        sys.exit(f"{sample} is missing: nothing to compare with")
    points = read_sample(sample)
    count, moved = len(points) // 10, [k for k, p in enumerate(points) if on_rates(p)]
    chosen = tenth(points, count, moved)
    if options.write:
        write_points(LIBRARY / "serving_points.csv", chosen)
        shipped.cache_clear()
    print(f"{len(points)} runs, calibrated on {count} of them, {len(moved)} of these drawn")
    physics(points)
    started = time.process_time()
    known = Calibration(chosen)
    print(f"calibrated in {time.process_time() - started:.2f} CPU-s")
    show("designed tenth", known, rest(points, chosen), by_gpu=True)
    draws(points, count, moved, options.draws)
    configurator(options.data, points, known)
    for field in filter(None, options.leave.split(",")):
        left_out(points, field, count if options.tenth else None)
    print(PEERS)


def on_rates(point: Observation) -> bool:
    """Whether the rates of physics were moved on the run."""
    return any(zlib.crc32(name.encode()) % 20 == 0 for name in point.id.split("; "))


def tenth(points: Sequence[Observation], count: int, moved: Sequence[int]) -> list[Observation]:
    """The points `moved`, and others by design, `count` in all."""
    asked = features(points, prior(points))
    rows = design(TPOT.parts(), asked, TPOT.noise(asked), count, moved)
    return [points[k]._replace(drawn=float(k in set(moved))) for k in rows]


def rest(points: Sequence[Observation], chosen: Iterable[Observation]) -> list[Observation]:
    """Points that are not among the chosen."""
    seen = {p.id for p in chosen}
    return [p for p in points if p.id not in seen]


def physics(points: Sequence[Observation]) -> None:
    """Errors without calibration, on runs that the rates have not seen."""
    unseen = [p for p in points if not on_rates(p)]
    found = prior(unseen)
    osl = np.array([p.osl for p in unseen])
    whole = found.ttft + found.tpot * (osl - 1.0)
    line("physics alone", errors(whole, unseen, "e2e"), errors(found.ttft, unseen, "ttft"))


def errors(predicted: Floats, points: Sequence[Observation], name: str) -> Floats:
    """Relative errors of a latency."""
    measured: Floats = np.array([getattr(p, name) for p in points], dtype=float)
    return np.abs(predicted / measured - 1.0)


def inside(predicted: Prediction, points: Sequence[Observation], name: str) -> Any:
    """Whether intervals hold the measurements."""
    found = np.array([getattr(p, name) for p in points])
    return (predicted.low <= found) & (found <= predicted.high)


def line(what: str, whole: Floats, first: Floats, held: Any = None, late: Any = None) -> None:
    """One line: errors of E2E and TTFT, shares within the intervals."""
    text = f"{what:<28} E2E {np.median(whole):6.1%} p90 {np.quantile(whole, 0.9):6.1%}"
    text += f"  TTFT {np.median(first):6.1%}"
    if held is not None:
        text += f"  within: E2E {np.mean(held):6.1%} TTFT {np.mean(late):6.1%}"
    print(text, flush=True)


def show(
    what: str, known: Calibration, points: Sequence[Observation], by_gpu: bool = False
) -> tuple[Floats, ...]:
    """Errors and coverage of a calibration on points."""
    found = known.predict(points)
    parts = (
        errors(found.e2e.median, points, "e2e"),
        errors(found.ttft.median, points, "ttft"),
        inside(found.e2e, points, "e2e"),
        inside(found.ttft, points, "ttft"),
    )
    line(what, *parts)
    if by_gpu:
        verdict("E2E median", np.median(parts[0]), BARS["e2e"])
        verdict("E2E p90", np.quantile(parts[0], 0.9), BARS["p90"])
        verdict("TTFT median", np.median(parts[1]), BARS["ttft"])
        slow = errors(found.tpot.median, points, "tpot"), inside(found.tpot, points, "tpot")
        print(f"  TPOT {np.median(slow[0]):.1%}, within {np.mean(slow[1]):.1%}")
        gpu = np.array([p.gpu for p in points])
        for name in sorted(set(gpu)):
            rows = gpu == name
            line(f"  {name} ({rows.sum()})", *(p[rows] for p in parts))
            verdict("coverage", parts[2][rows].mean(), COVER[1], COVER[0])
        verdict("coverage", parts[2].mean(), COVER[1], COVER[0])
    return parts


def verdict(what: str, value: Any, high: float, low: float = 0.0) -> None:
    """Whether a bar is met."""
    bar = f"{low:.0%}-{high:.0%}" if low else f"{high:.0%}"
    print(f"    {what}: {value:.1%}, bar {bar}: {'met' if low <= value <= high else 'MISSED'}")


def draws(points: Sequence[Observation], count: int, moved: list[int], number: int) -> None:
    """Other tenths: at random, and by designs that see nine tenths of the runs."""
    others = np.setdiff1d(np.arange(len(points)), moved)
    for kind in ("random", "designed"):
        found, gpus, held = [], [], []
        for seed in range(number):
            draw = np.random.default_rng(seed)
            if kind == "random":
                rows = [*moved, *draw.choice(others, count - len(moved), replace=False)]
                chosen = [points[k] for k in rows]
            else:
                pool = draw.choice(others, 9 * len(others) // 10, replace=False)
                seen = [points[k] for k in (*moved, *pool)]
                chosen = tenth(seen, count, range(len(moved)))
            tested = rest(points, chosen)
            parts = show(f"{kind} tenth {seed}", Calibration(chosen), tested)
            gpus.append(np.array([p.gpu for p in tested]))
            held.append(parts[2])
            by_gpu("    E2E within", gpus[-1], held[-1])
            cuts = np.median(parts[0]), np.quantile(parts[0], 0.9), np.median(parts[1])
            found.append((*cuts, np.mean(parts[2])))
        if found:
            pairs = zip(np.mean(found, axis=0), np.std(found, axis=0), strict=True)
            mean = ", ".join(f"{m:.1%} +- {s:.1%}" for m, s in pairs)
            print(f"  mean of {kind}: E2E, p90, TTFT, within: {mean}")
            by_gpu("  all of them, E2E within", np.concatenate(gpus), np.concatenate(held))


def by_gpu(what: str, gpus: Any, held: Any) -> None:
    """Shares within the intervals by GPU."""
    cells = [f"{name} {held[gpus == name].mean():.1%}" for name in sorted(set(gpus))]
    print(f"{what}: {', '.join(cells)}", flush=True)


def configurator(data: Path, points: Sequence[Observation], known: Calibration) -> None:
    """AIConfigurator on its points, and the calibration on those that it has not seen."""
    table = data / "sim_accuracy" / "aiconfigurator012_vs_silicon_568pts.csv"
    if not table.is_file():
        return
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    value = {k: np.array([float(r[k]) for r in rows]) for k in list(rows[0])[-4:]}
    more = np.array([float(r["osl"]) for r in rows]) - 1.0
    whole, found = (
        value[f"{k}_ttft_ms"] + value[f"{k}_tpot_ms"] * more for k in ("silicon", "aic")
    )
    first = np.abs(value["aic_ttft_ms"] / value["silicon_ttft_ms"] - 1.0)
    line("AIConfigurator 0.12 (568)", np.abs(found / whole - 1.0), first)
    by_name = {name: p for p in points for name in p.id.split("; ")}
    seen = {p.id for p in known.points}
    same = {by_name[r["silicon_sample_id"]] for r in rows if r["silicon_sample_id"] in by_name}
    unseen = [p for p in same if p.id not in seen]
    show(f"  same runs, unseen ({len(unseen)})", known, unseen)


def left_out(points: Sequence[Observation], field: str, most: int | None) -> None:
    """Errors on each GPU or model of which nothing was seen, rates included."""
    names = sorted({getattr(p, field) for p in points})
    parts: list[tuple[Floats, ...]] = []
    for name in names:
        others = [p for p in points if getattr(p, field) != name]
        draw = np.random.default_rng(0)
        if most is not None:
            others = [others[k] for k in draw.choice(len(others), most, replace=False)]
        few = draw.choice(len(others), min(len(others), MOST), replace=False)
        constants: Constants = fit_constants([others[k] for k in few], 3)
        out = [p for p in points if getattr(p, field) == name]
        parts.append(show(f"  without {name} ({len(out)})", Calibration(others, constants), out))
    joined = [np.concatenate(p) for p in zip(*parts, strict=True)]
    line(f"{field} left out", *joined)
    verdict("E2E median", np.median(joined[0]), BARS[field])
    groups = float(np.mean([np.median(p[0]) for p in parts]))
    print(f"    mean of the medians of each: {groups:.1%}")


if __name__ == "__main__":
    main()
