"""Rates of the performance model: how near they come to measured points, and how they were found.

The points are aggregated deployments of ``../shared/data/llm_silicon`` (aisimulate 0.13, mostly
InferenceX; Apache-2.0); they are not part of this repository. Without ``--fit`` the packaged rates
predict all of them, with no calibration by GPU, model or engine; points on which the rates were
moved (``crc32(id) % 20 == 0``) are left out. AIConfigurator 0.12 on 568 of them: median error of
the end-to-end latency 19.2 %, of the time between tokens 19.0 %, to the first token 43.1 %.

With ``--fit`` the rates and the engines' times are moved from the figures of the literature, and
printed. Robust least squares of log errors, with the literature's figures as prior.

Usage: python benchmarks/serving_rates.py [--data FOLDER] [--fit] [--cells]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import re
import sys
import time
import zlib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.serving.parts import (
    library_accelerator,
    library_architecture,
    library_hardware,
    library_model,
)
from firsttoken.serving.perf_efficiency import ENGINES, RATES, Engine, Rates
from firsttoken.serving.perf_point import Point, aggregated_point
from firsttoken.serving.system import Architecture, Hardware, Layout

Floats = NDArray[np.float64]
Row = dict[str, str]

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "llm_silicon"
BITS = {"fp8": 8.0, "fp8_block": 8.0, "nvfp4": 4.5, "int4_wo": 4.5, "": 16.0}

LITERATURE = Rates(
    matrix_16=0.70,
    matrix_8=0.62,
    matrix_4=0.55,
    grouped=0.75,
    attention_prefill=0.55,
    attention_decode=0.60,
    memory=0.80,
    memory_experts=0.75,
    memory_kv=0.70,
    rows=96.0,
    columns=256.0,
    kernel=2.2e-6,
    eager=2.0e-6,
    elementwise=14.0,
    reduce=5.0e-6,
    reduce_rank=0.4e-6,
    link=0.75,
    network_delay=25.0e-6,
    network=0.85,
    exchange=20.0e-6,
    skew=0.25,
    hot=0.9,
)
"""Where the fit begins; sources in `firsttoken.serving.perf_efficiency`."""

BEGUN = {
    "vllm": Engine(overhead=1.0e-3, layer=0.3e-3, host=1.5e-5, cold=0.1),
    "sglang": Engine(mixed=0.0, overhead=0.7e-3, layer=1.5e-3, host=3.0e-5, cold=0.6),
    "trtllm": Engine(overhead=0.7e-3, layer=1.0e-3, host=3.0e-5, cold=0.2),
}
SPREAD = {"kernel": 0.3, "eager": 0.5, "reduce": 0.3, "hot": 0.3, "memory_kv": 0.2} | dict.fromkeys(
    ("rows", "columns", "elementwise", "reduce_rank", "exchange", "skew"), 0.4
)
"""Standard deviation of the log of a rate around the literature; 0.12 where none is named."""

TIMES = {"overhead": 0.4, "sequence": 0.7, "request": 0.5, "layer": 0.5, "host": 0.5, "cold": 0.7}
"""The same for the times of an engine."""

MOVED = [name for name in Rates._fields if not name.startswith("network")]
SCALES = 0.10, 0.35
"""Log errors of the time between tokens, and to the first, beyond which a point counts less."""


class Points(NamedTuple):
    """Measured points: arguments of the model, and what was measured in s; arrays [n]."""

    rows: list[Row]
    architecture: Architecture
    hardware: Hardware
    layout: Layout
    isl: Floats
    osl: Floats
    users: Floats
    burst: Floats
    ttft: Floats
    tpot: Floats


def read(folder: Path) -> list[Row]:
    """Aggregated points, as they stand in the file."""
    with gzip.open(folder / "silicon_sample.csv.gz", "rt", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["mode"] == "agg"]


def ranks(row: Row) -> tuple[float, float, float, float]:
    """Tensor and data ranks of attention, tensor and expert ranks of experts.

    Two of the sources count ranks twice: a replica of 8 GPUs whose experts are spread over 8 is
    labelled tensor 64, expert tensor 8, expert 8.  A node has 8 GPUs, so the label is plain.
    Deployments of GB200 with more than 8 tensor ranks are pools of data ranks.
    """
    tensor, data = int(row["tp_size"]), max(int(row["attention_dp_size"] or 1), 1)
    split, spread = int(row["moe_tp_size"] or 0), int(row["moe_ep_size"] or 0)
    twice = any(name in row["silicon_data_source"] for name in ("2026-04-06.csv", "db-dump"))
    if row["system"] == "gb200" and split > 8:
        return 1, tensor, 1, tensor
    gpus = tensor * data
    if split == 0 or spread == 0:
        split, spread = gpus, 1
    if twice and spread > 1 and (split == spread or split * spread > 8):
        gpus = min(spread, 4) if split == 1 else spread
        data, split, spread = (gpus if data > 1 and split > 1 else 1), 1, gpus
    if data > 1:
        tensor, data = 1, gpus
    else:
        tensor = gpus
    if split * spread != tensor * data:
        split = max(tensor * data // spread, 1)
    return tensor, data, split, spread


def layout(row: Row, hardware: Hardware) -> Layout:
    """Ranks and formats of a point."""
    tensor, data, split, spread = ranks(row)
    dense, experts = BITS[row["gemm_quant_mode"]], BITS[row["moe_quant_mode"]]
    operands = 16.0 if row["gemm_quant_mode"] == "int4_wo" else dense
    cache = 8.0 if dense < 16.0 else 16.0
    if "gpt-oss" in row["model_path"]:  # attention in BF16, experts in MXFP4
        dense, experts, cache = 16.0, 4.25, 16.0
        operands = 8.0 if float(np.asarray(hardware.fp4)) > 0 else 16.0
    if "Kimi" in row["model_path"]:  # only the experts are quantised
        dense = 16.0
    return Layout(tensor, 1, data, split, spread, dense, experts, cache, operands)


def users(row: Row) -> float:
    """Requests in flight."""
    found = re.search(r"silicon_concurrency=(\d+)", row["silicon_data_source"])
    return float(found.group(1)) if found else float(row["batch_size"])


def burst(row: Row) -> float:
    """Share of the requests of the first wave: a tenth, but two sources send a single wave."""
    alone = ("sglang/0.5.1.post1", "sglang/0.5.8.post1/")
    return 1.0 if any(name in row["silicon_data_source"] for name in alone) else 0.1


def points(rows: list[Row]) -> Points:
    """Rows as arguments of the model."""
    models = [library_architecture(library_model(row["model_path"])) for row in rows]
    gpus = [library_hardware(library_accelerator(row["system"])) for row in rows]
    layouts = [layout(row, gpu) for row, gpu in zip(rows, gpus, strict=True)]
    numbers = ("isl", "osl", "silicon_ttft_ms", "silicon_tpot_ms")
    isl, osl, ttft, tpot = (np.array([float(row[key]) for row in rows]) for key in numbers)
    return Points(
        rows,
        Architecture(*np.array(models, dtype=float).T),
        Hardware(*np.array(gpus, dtype=float).T),
        Layout(*np.array(layouts, dtype=float).T),
        isl,
        osl,
        np.array([users(row) for row in rows]),
        np.array([burst(row) for row in rows]),
        ttft / 1e3,
        tpot / 1e3,
    )


def predict(p: Points, rates: Rates, engines: dict[str, Engine]) -> Point:
    """The model at the points."""
    engine = Engine(*np.array([engines[row["backend"]] for row in p.rows], dtype=float).T)
    return aggregated_point(
        p.architecture,
        p.hardware,
        p.layout,
        p.isl,
        p.osl,
        p.users,
        engine=engine,
        rates=rates,
        burst=p.burst,
    )


def moved(x: Floats) -> tuple[Rates, dict[str, Engine]]:
    """Rates and engines at logs of factors on where the fit begins."""
    factors = np.exp(x)
    rates = LITERATURE._replace(
        **{name: getattr(LITERATURE, name) * factors[i] for i, name in enumerate(MOVED)}
    )
    engines, at = {}, len(MOVED)
    for name, engine in BEGUN.items():
        times = {key: getattr(engine, key) * factors[at + i] for i, key in enumerate(TIMES)}
        engines[name], at = engine._replace(**times), at + len(TIMES)
    return rates, engines


def fit(p: Points) -> tuple[Rates, dict[str, Engine]]:
    """Rates and engines moved to the points."""
    from scipy.optimize import least_squares

    spread = np.array([SPREAD.get(name, 0.12) for name in MOVED] + [*TIMES.values()] * len(BEGUN))

    def distances(x: Floats) -> Floats:
        found = predict(p, *moved(x))
        errors = np.concatenate(
            [np.log(found.tpot / p.tpot) / SCALES[0], np.log(found.ttft / p.ttft) / SCALES[1]]
        )
        return np.concatenate([np.sqrt(np.log1p(errors**2)), x / spread])

    found = least_squares(distances, np.zeros(len(spread)), max_nfev=40)
    return moved(np.asarray(found.x))


def report(name: str, p: Points, found: Point, of: Floats | None = None) -> None:
    """One line: median and 90 % quantile of the errors, median ratios."""
    chosen = np.arange(len(p.rows)) if of is None else of.astype(int)
    whole = p.ttft + p.tpot * (p.osl - 1.0)
    parts = []
    for label, predicted, measured in (
        ("end to end", found.e2e, whole),
        ("between tokens", found.tpot, p.tpot),
        ("first token", found.ttft, p.ttft),
    ):
        ratio = (predicted / measured)[chosen]
        error = 100.0 * np.abs(ratio - 1.0)
        parts.append(
            f"{label} {np.median(error):5.1f} % (p90 {np.percentile(error, 90):6.1f} %,"
            f" ratio {np.median(ratio):4.2f})"
        )
    print(f"{name:36s} {len(chosen):5d}  " + "  ".join(parts))


def main() -> int:
    """Prints the errors of the packaged rates, or of rates fitted anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--cells", action="store_true", help="also by model, GPU and engine")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"{options.data} is not here: nothing to compare with")
        return 0
    rows = read(options.data)
    used = [zlib.crc32(row["id"].encode()) % 20 == 0 for row in rows]
    rates, engines = RATES, dict(ENGINES)
    if options.fit:
        rates, engines = fit(points([row for row, taken in zip(rows, used, strict=True) if taken]))
        for name, value in rates._asdict().items():
            print(f"{name:20s} {float(value):.3g}")
        for name, engine in engines.items():
            print(name, {key: float(f"{getattr(engine, key):.3g}") for key in TIMES})
    p = points([row for row, taken in zip(rows, used, strict=True) if not taken])
    began = time.process_time()
    found = predict(p, rates, engines)
    spent = time.process_time() - began
    print(f"median absolute errors; {len(p.rows) / spent:,.0f} points a CPU-second")
    report("all points the rates have not seen", p, found)
    groups: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(p.rows):
        model = row["model_path"].split("/")[-1]
        for key in (row["system"], row["backend"], f"model {library_model(row['model_path'])}"):
            groups[key].append(i)
        if options.cells:
            groups[f"{model} {row['system']} {row['backend']}"].append(i)
    for key in sorted(groups):
        report(key, p, found, np.array(groups[key]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
