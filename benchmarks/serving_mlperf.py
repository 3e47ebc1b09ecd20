"""Throughput of MLPerf Inference submissions against the configuration search.

The rows of language models, scenarios Offline and Server, of rounds 5.1 and 6.1 (MLCommons; closed
division, data centre) are read from ``../shared/data/mlperf``.  Physics predicts the tokens/s of
the best layout that keeps the scenario's limits; what all submissions share (software of a round,
a model, an accelerator, a scenario) is a hierarchy of effects, fitted to other rows.  Mean lengths
of prompts and answers are those of the reference data sets as far as they are public.

Usage: python benchmarks/serving_mlperf.py [--data FILE]
"""

from __future__ import annotations

import argparse
import csv
import functools
import sys
import time
from pathlib import Path

import numpy as np

from firsttoken.serving.parts import library_accelerator, library_architecture, library_hardware
from firsttoken.serving.search import Question, search
from firsttoken.serving.search_space import BF16, FP8, NVFP4
from firsttoken.serving.system import Floats

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "mlperf"
BAR = 12.0
INF = float("inf")
MODELS = {
    # model of the library, prompt, output, TTFT and TPOT of Server (99th percentile, s)
    "deepseek-r1": ("deepseek_r1", 800.0, 3886.0, 2.0, 0.080),
    "llama3.1-405b": ("llama3_1_405b", 9428.0, 685.0, 6.0, 0.175),
    "llama3.1-8b": ("llama3_1_8b", 778.0, 128.0, 2.0, 0.100),
    "llama2-70b-99": ("llama2_70b", 294.0, 294.0, 2.0, 0.200),
    "llama2-70b-99.9": ("llama2_70b", 294.0, 294.0, 2.0, 0.200),
    "mixtral-8x7b": ("mixtral_8x7b", 300.0, 145.0, 2.0, 0.200),
    "gpt-oss-120b": ("gpt_oss_120b", 8000.0, 1278.0, 3.0, 0.080),
}
"""Limits: loadgen's mlperf.conf.  Lengths are means.  Answers: READMEs of mlcommons/inference
(tokens a sample of the reference: DeepSeek-R1 3,886, Llama 3.1 405B 684.7, Llama 2 294.5, Mixtral
144.8; gpt-oss, effort low, 1,278.2 in TEST09), for Llama 3.1 8B the limit of 128 (the reference
writes 611 characters).  Prompts: MLCommons' task forces (DeepSeek-R1, Llama 3.1); gpt-oss
summarises 6,396 PubMed papers of about 8,000 tokens, as users of the data set say; those of Llama 2
and Mixtral are assumed."""
FORMATS = {"fp4": (NVFP4, FP8), "mxfp4": (NVFP4, FP8), "fp8": (FP8,), "bf16": (BF16,)}
GENERATION = {"h": "hopper", "b": "blackwell", "g": "blackwell", "m": "cdna", "r": "other"}
EFFECTS = {
    "model": 0.4,
    "generation": 0.3,
    "accelerator": 0.15,
    "scenario": 0.15,
    "model generation": 0.2,
    "model accelerator": 0.15,
    "model round": 0.3,
    "model scenario": 0.1,
    "rack": 0.1,
    "model rack": 0.1,
    "submitter": 0.04,
}
"""Deviations of effects (logarithm): how far models, accelerators, rounds are from physics."""
NOISE = 0.05


@functools.cache
def predicted(model: str, accelerator: str, gpus: float, scenario: str, weights: str) -> float:
    """Output tokens/s of a GPU by physics alone."""
    part, prompt, output, ttft, tpot = MODELS[model]
    limits = (ttft, tpot) if scenario == "Server" else (INF, INF)
    question = Question(
        library_architecture(part),
        library_hardware(accelerator),
        FORMATS[weights],
        prompt,
        output,
        gpus=gpus,
        ttft=limits[0],
        tpot=limits[1],
        share=0.99 if scenario == "Server" else 0.5,
    )
    answer = search(question)
    if answer.best < 0:
        raise ValueError(f"{model} on {accelerator}, {scenario}: {answer.reason}")
    return float(answer.per_gpu[answer.best])


def read(path: Path) -> list[dict[str, str]]:
    """Rows of language models under Offline and Server, measured in tokens."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        row
        for row in rows
        if row["scenario"] in ("Offline", "Server") and row["unit"] == "Tokens/s"
    ]


def covariance(rows: list[dict[str, str]]) -> Floats:
    """Sum of the effects that two rows share, f8[n, n]."""
    names = []
    for row in rows:
        part = library_accelerator(row["accelerator"])
        rack = "rack" if int(row["n_accelerators"]) > 16 else "node"
        facts = {
            "model": row["model"].removesuffix(".9"),
            "generation": GENERATION[part[0]],
            "accelerator": part,
            "scenario": row["scenario"],
            "round": row["round"],
            "rack": rack,
            "submitter": row["submitter"],
        }
        names.append({e: tuple(facts[key] for key in e.split()) for e in EFFECTS})
    total = np.full((len(rows), len(rows)), 0.3**2)
    for effect, deviation in EFFECTS.items():
        same = [[a[effect] == b[effect] for b in names] for a in names]
        total += deviation**2 * np.array(same)
    return total


def left_out(total: Floats, left: Floats, groups: np.ndarray) -> Floats:
    """What physics leaves of each row, predicted from the rows of other groups, f8[n]."""
    found = np.empty(len(left))
    for group in np.unique(groups):
        out, rest = groups == group, groups != group
        known = total[np.ix_(rest, rest)] + NOISE**2 * np.eye(rest.sum())
        found[out] = total[np.ix_(out, rest)] @ np.linalg.solve(known, left[rest])
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA / "mlperf_inference_llm.csv")
    given = parser.parse_args()
    if not given.data.exists():
        print(f"the MLPerf rows are not at {given.data}: name them with --data")
        return 3
    rows = read(given.data)
    begun = time.process_time()
    physics = np.array(
        [
            predicted(
                row["model"],
                row["accelerator"],
                min(float(row["n_accelerators"]), 72.0),
                row["scenario"],
                row["weight_dtype"],
            )
            for row in rows
        ]
    )
    measured = np.array([float(row["result_per_accelerator"]) for row in rows])
    left = np.log(measured / physics)
    total = covariance(rows)
    print(f"{len(rows)} rows, searched in {time.process_time() - begun:.1f} CPU-s")
    print(f"physics alone: median |error| {100 * np.median(np.abs(np.exp(-left) - 1)):.1f} %")
    for model in dict.fromkeys(row["model"].removesuffix(".9") for row in rows):
        own = np.array([row["model"].startswith(model) for row in rows])
        ratio = float(np.median(measured[own] / physics[own]))
        print(f"  {model}: {own.sum()} rows, measured {ratio:.2f} of predicted")
    keys = ("model", "accelerator", "scenario", "round")
    system = np.array([" ".join(row[key] for key in keys) for row in rows])
    cuts = {
        "each row": np.arange(len(rows)),
        "each submitter": np.array([row["submitter"] for row in rows]),
        "each system": system,
        "each accelerator": np.array([library_accelerator(row["accelerator"]) for row in rows]),
    }
    for name, groups in cuts.items():
        error = 100.0 * np.abs(np.exp(left_out(total, left, groups) - left) - 1.0)
        verdict = f"  {np.median(error) / BAR:.2f} of the bar" if name == "each row" else ""
        print(
            f"left out {name:17} median {np.median(error):5.1f} %  "
            f"90 % within {np.percentile(error, 90):5.1f} %{verdict}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
