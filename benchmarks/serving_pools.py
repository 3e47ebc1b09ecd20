"""Pools that prefill and decode apart: how near calibrated units come to measured ones.

The points are the runs of ``../shared/data/llm_silicon`` (aisimulate 0.13, mostly InferenceX;
Apache-2.0) with pools apart whose workers and layouts are stated. None is calibrated on: the
library's points are of replicas that prefill and decode together. Printed are the errors of the
physics and of the calibrated units, how many runs lie in the 90 % interval, and how near the rate
of prefill is where prompts queue (time to first token above 40 % of the whole).

Usage: python benchmarks/serving_pools.py [--data FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from firsttoken.serving.calibrated_pools import corrections_of, pool_factors
from firsttoken.serving.calibration_points import Observation, conditions
from firsttoken.serving.calibration_prior import BURST
from firsttoken.serving.parts import library_accelerator, library_architecture, library_model
from firsttoken.serving.perf_efficiency import ENGINES, GENERIC
from firsttoken.serving.perf_point import Before, Point, disaggregated_point
from firsttoken.serving.system import Architecture, Floats, Hardware, Layout

DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
QUEUES: Final = 0.4


class Run(NamedTuple):
    """One measured unit: a point of each pool, and how many workers it has."""

    prefill: Observation
    decode: Observation
    workers: tuple[float, float]
    concurrency: float


def main() -> None:
    """Print errors and coverage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    sample = parser.parse_args().data / "llm_silicon" / "silicon_sample.csv.gz"
    if not sample.is_file():
        sys.exit(f"{sample}: no such file; give the folder with --data")
    with gzip.open(sample, "rt", encoding="utf-8", newline="") as file:
        runs = [run for row in csv.DictReader(file) if (run := read(row)) is not None]
    factors = pool_factors([run.prefill for run in runs], [run.decode for run in runs])
    one = np.ones(len(runs))
    plain = units(runs, one, one)
    middle, low, high = (
        units(runs, a, b) for a, b in zip(factors.prefill, factors.decode, strict=True)
    )
    names = ("tpot", "ttft", "e2e")
    found = {name: np.array([getattr(run.decode, name) for run in runs]) for name in names}
    gpus = np.array([run.decode.gpu for run in runs])
    print(f"{len(runs)} runs with pools apart, {len(set(gpus.tolist()))} GPUs")
    for name in names:
        told(f"{name} by physics", getattr(plain, name), found[name])
        told(f"{name} calibrated", getattr(middle, name), found[name])
        inside = (found[name] >= getattr(low, name)) & (found[name] <= getattr(high, name))
        print(f"  within the 90 % interval: {inside.mean():.1%}")
    for gpu in sorted(set(gpus.tolist())):
        told(f"tpot calibrated, {gpu}", middle.tpot[gpus == gpu], found["tpot"][gpus == gpu])
    osl, whole = np.array([run.decode.osl for run in runs]), found["e2e"]
    queue = found["ttft"] > QUEUES * whole
    rate = np.array([run.concurrency for run in runs]) / whole
    told("requests/s where prompts queue, physics", (plain.tokens / osl)[queue], rate[queue])
    told("requests/s where prompts queue, calibrated", (middle.tokens / osl)[queue], rate[queue])


def told(name: str, ours: Floats, measured: Floats) -> None:
    """Median, p90 and bias of ratios."""
    off = np.log(ours / measured)
    size = np.expm1(np.quantile(np.abs(off), (0.5, 0.9)))
    bias = np.expm1(np.median(off))
    print(f"{name:45s} n {len(off):4d} median {size[0]:6.1%} p90 {size[1]:7.1%} bias {bias:+.1%}")


def units(runs: list[Run], prefill: Floats, decode: Floats) -> Point:
    """The performance model at all runs, with factors on the steps of both pools."""
    early = conditions([run.prefill for run in runs]).layout
    asked = conditions([run.decode for run in runs])
    points = []
    for k, run in enumerate(runs):

        def at(fields: Any, k: int = k) -> Any:
            return type(fields)(*(float(np.broadcast_to(v, len(runs))[k]) for v in fields))

        model: Architecture = at(asked.architecture)
        gpu: Hardware = at(asked.hardware)
        layouts: list[Layout] = [at(early), at(asked.layout)]
        points.append(
            disaggregated_point(
                model,
                gpu,
                layouts[0],
                layouts[1],
                run.workers[0],
                run.workers[1],
                run.decode.isl,
                run.decode.osl,
                run.concurrency,
                engine=ENGINES.get(run.decode.engine, GENERIC),
                corrections=corrections_of(float(decode[k])),
                burst=BURST,
                before=Before(gpu, corrections_of(float(prefill[k]))),
            )
        )
    return Point(*(np.array([float(v) for v in field]) for field in zip(*points, strict=True)))


def read(row: Mapping[str, str]) -> Run | None:
    """A run of the sample; None if its pools are not apart, or not stated."""
    users = re.search(r"silicon_concurrency=(\d+)", row["silicon_data_source"])
    stated = row["prefill_num_workers"] and row["decode_num_workers"]
    if row["mode"] != "disagg" or users is None or not stated:
        return None
    workers = float(row["prefill_num_workers"]), float(row["decode_num_workers"])
    each = max(float(users[1]) / workers[1], 1.0)
    prefill, decode = (_point(row, pool, each) for pool in ("prefill", "decode"))
    return Run(prefill, decode, workers, float(users[1]))


def _point(row: Mapping[str, str], pool: str, users: float) -> Observation:
    keys = ("tp_size", "pp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size")
    tensor, pipeline, data, split, expert = (float(row[f"{pool}_{key}"] or 1) for key in keys)
    model = library_model(row["model_path"])
    if float(library_architecture(model).experts) == 0:
        split, expert = tensor, 1.0
    elif split * expert != tensor * data:
        split = tensor * data / expert
    return Observation(
        id=row["id"],
        model=model,
        gpu=library_accelerator(row["system"]),
        engine=row["backend"],
        release=row["backend_version"],
        precision=row["precision"],
        tensor=tensor,
        pipeline=pipeline,
        data=data,
        expert_tensor=split,
        expert=expert,
        pools=0.0,
        isl=float(row["isl"]),
        osl=float(row["osl"]),
        concurrency=users,
        ttft=float(row["silicon_ttft_ms"]) / 1e3,
        tpot=float(row["silicon_tpot_ms"]) / 1e3,
    )


if __name__ == "__main__":
    main()
