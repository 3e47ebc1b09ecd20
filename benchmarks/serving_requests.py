"""The request mode: requests a CPU-second on the Azure traces, and known answers.

``azure``: Llama-3.1-8B on two H100, a replica each; the conversation trace (19,366 requests of 58
minutes) as recorded, and 4 and 8 times as fast.  Bar: 20,000 requests/s on one core.  The peer is
the same simulation step after step in Python (``peers/with_step_loop.py``), in the same run, whose
mean times must agree.  Elsewhere on this problem: AISimulate 2,522, Vidur about 915, BLIS 377.
``mooncake``: the share of blocks that one endless prefix cache finds; 36.6 % as published.
``servegen``: a day of DeepSeek-R1's requests as ServeGen tells rates and lengths.
``power``: speed and power under power limits as Zeus measured them: the exponent of the law.

Data: ``../shared/data/llm_traces`` (Azure: CC-BY 4.0, cite Splitwise, ISCA 2024; Mooncake, FAST
2025; ServeGen, arXiv 2505.09999: Apache-2.0), ``../shared/data/zeus_power`` (Zeus, NSDI 2023).

Usage: python benchmarks/serving_requests.py [azure] [mooncake] [servegen] [power]
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from firsttoken.kernel import codes
from firsttoken.kernel.sampling import empirical_rows
from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.perf_law import step_law
from firsttoken.serving.requests_result import QUANTILES, RequestResult
from firsttoken.serving.requests_simulate import simulate
from firsttoken.serving.requests_system import (
    LEAST_LOADED,
    ROUND_ROBIN,
    Pool,
    Requests,
    System,
    Tenant,
)
from firsttoken.serving.system import Layout, StepLaw
from firsttoken.serving.traffic_generate import Drawn, Generator, Stream
from firsttoken.serving.traffic_trace import read_trace

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
BAR = 20_000.0
BF16 = Layout(1.0, 1.0, 1.0, 1.0, 1.0, 16.0, 16.0, 16.0, 16.0)
RUNS = 7


def llama() -> StepLaw:
    """Llama-3.1-8B in BF16 on one H100."""
    return step_law(library_architecture("llama3_8b"), library_hardware("h100_sxm"), BF16)


def timed(system: System) -> tuple[RequestResult, float]:
    """Result and least CPU-s of some runs on one thread."""
    simulate(system, 1, 1, threads=1)
    best = float("inf")
    for _ in range(RUNS):
        started = time.process_time()
        result = simulate(system, 1, 1, threads=1)
        best = min(best, time.process_time() - started)
    return result, best


def step_loop(system: System, requests: Requests) -> dict[str, float]:
    """The same step after step in Python."""
    pool = system.pool
    rows = zip(
        requests.arrival.tolist(), requests.prompt.tolist(), requests.output.tolist(), strict=True
    )
    problem = {
        "tokens": pool.law.tokens.tolist(),
        "seconds": pool.law.seconds.tolist(),
        "overhead": pool.law.overhead,
        "kv_second": pool.law.kv_second,
        "pair_second": pool.law.pair_second,
        "replicas": pool.replicas,
        "sequences": pool.sequences,
        "chunk": pool.chunk,
        "requests": list(rows),
    }
    script = Path(__file__).parent / "peers" / "with_step_loop.py"
    done = subprocess.run(
        [sys.executable, str(script)],
        input=json.dumps(problem),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def azure(folder: Path) -> None:
    """Requests a CPU-second."""
    recorded = read_trace(folder / "llm_traces" / "azure2023_conv.csv.gz")
    n = len(recorded.arrival)
    tenants = (Tenant("chat", ttft=2.0, tpot=0.05),)
    law = llama()
    for factor in (1.0, 4.0, 8.0):
        requests = recorded._replace(arrival=recorded.arrival / factor)
        pool = Pool(law, 2, routing=ROUND_ROBIN, prefix_cache=False)
        system = System(pool, requests, tenants, 3600.0)
        result, cpu = timed(system)
        least, _ = timed(system._replace(pool=pool._replace(routing=LEAST_LOADED)))
        rate = n / cpu
        print(
            f"azure x{factor:g}: {rate:12,.0f} requests/CPU-s, {rate / BAR:6.1f} x bar; "
            f"{result.steps[0, 0] / cpu / 1e6:.1f} M steps/CPU-s; least loaded: TTFT p50 "
            f"{1e3 * least.quantiles('ttft')[0, 0, QUANTILES.index(0.5)]:.1f} ms, TPOT p95 "
            f"{1e3 * least.quantiles('tpot')[0, 0, QUANTILES.index(0.95)]:.2f} ms, goals "
            f"{least.attainment[0, 0]:.1%}, {least.power[0, 0].mean():.0f} W"
        )
        if factor > 1.0:
            continue
        peer = step_loop(system, requests)
        apart = [
            abs(mean / peer[name] - 1)
            for name, mean in zip(("ttft", "e2e"), result.mean[0, 0, ::2], strict=True)
        ]
        print(
            f"  step loop in Python: {n / peer['cpu']:10,.0f} requests/CPU-s; ours is "
            f"{peer['cpu'] / cpu:.0f} x; mean TTFT and E2E {apart[0]:.1e} and {apart[1]:.1e} apart"
        )


def mooncake(folder: Path) -> None:
    """What a prefix cache without limits finds."""
    requests = read_trace(folder / "llm_traces" / "mooncake_conversation.jsonl.xz")
    endless = llama()._replace(kv_tokens=3e8)
    tenants = (Tenant("chat"),)
    system = System(Pool(endless, 1, sequences=2048), requests, tenants, 40_000.0)
    result, cpu = timed(system)
    blocks = result.found_blocks[0, 0] / result.asked_blocks[0, 0]
    tokens = result.found[0, 0] / result.asked[0, 0]
    print(
        f"mooncake: {blocks:.1%} of the blocks and {tokens:.1%} of the tokens known "
        f"(published: 36.6 % of the blocks); {len(requests.arrival) / cpu:,.0f} requests/CPU-s"
    )


def servegen(folder: Path) -> None:
    """A day of generated requests, whose memory does not grow with the day."""
    name = "reason/deepseek-r1"
    with gzip.open(folder / "llm_traces" / "servegen_rate_10min.csv.gz", "rt") as stream:
        rows = [row for row in csv.DictReader(stream) if row["category"] == name]
    rate = np.array([float(row["total_rate_req_s"]) for row in rows])
    start = np.array([float(row["t_s"]) for row in rows])
    lengths = {field: _lengths(folder, name, field) for field in ("input_tokens", "output_tokens")}
    edges = np.append(start - start[0], start[-1] - start[0] + 600.0)
    traffic = Generator(
        (Stream(edges, rate, lengths["input_tokens"], lengths["output_tokens"], burstiness=1.5),)
    )
    busy = rate.max() * 4.0
    pool = Pool(llama(), int(np.ceil(busy)), routing=ROUND_ROBIN, prefix_cache=False)
    system = System(pool, traffic, (Tenant("reason"),), float(edges[-1]), tick=10.0)
    started = time.process_time()
    result = simulate(system, 1, 1, threads=1)
    cpu = time.process_time() - started
    count = int(result.arrived.sum())
    print(
        f"servegen: {count:,} requests of {edges[-1] / 3600:.0f} h on {pool.replicas} replicas, "
        f"made and simulated: {count / cpu:,.0f} requests/CPU-s, {cpu:.1f} CPU-s"
    )


def _lengths(folder: Path, name: str, field: str) -> Drawn:
    """Quantiles of a distribution of lengths that is told in bins."""
    with gzip.open(folder / "llm_traces" / "servegen_length_pdf.csv.gz", "rt") as stream:
        rows = [
            row
            for row in csv.DictReader(stream)
            if row["category"] == name and row["field"] == field
        ]
    low = np.array([float(row["value_bin_lo"]) for row in rows])
    high = np.array([float(row["value_bin_hi"]) for row in rows])
    share = np.cumsum([float(row["probability"]) for row in rows])
    share /= share[-1]
    at = np.interp(np.linspace(0, 1, 4001), np.append(0.0, share), np.append(low[0], high))
    table = empirical_rows(at)
    return Drawn(codes.EMPIRICAL, np.array([0.0, len(table), 0.0, 0.0]), table)


IDLE = {"v100": 35.0, "p100": 30.0, "rtx6000": 25.0, "a40": 30.0}
"""Power without work, W (nvidia-smi of such cards; the exponent hardly depends on it)."""


def power(folder: Path) -> None:
    """The exponent of power above idle over speed, where a limit slows by 3 to 30 %."""
    everything = []
    for gpu, idle in IDLE.items():
        groups = defaultdict(list)
        with (folder / "zeus_power" / f"summary_power_{gpu}.csv").open() as stream:
            for row in csv.DictReader(stream):
                key = (row["dataset"], row["network"], row["batch_size"], row["optimizer"])
                groups[key].append((float(row["time_per_epoch"]), float(row["average_power"])))
        found = []
        for rows in groups.values():
            seconds, watts = np.array(rows).T
            free = int(np.argmin(seconds))
            speed, part = seconds[free] / seconds, (watts - idle) / (watts[free] - idle)
            kept = (speed > 0.7) & (speed < 0.97) & (part > 0.0) & (part < 1.0)
            found += list(np.log(part[kept]) / np.log(speed[kept]))
        everything += found
        low, middle, high = np.percentile(found, [25, 50, 75])
        print(
            f"power {gpu:8s}: {len(found):4d} points, exponent {middle:.2f} ({low:.2f}-{high:.2f})"
        )
    print(f"power of all  : {len(everything):4d} points, exponent {np.median(everything):.2f}")


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {"azure": azure, "mooncake": mooncake, "servegen": servegen, "power": power}
    parser.add_argument("parts", nargs="*", choices=[*parts, []])
    parser.add_argument("--data", type=Path, default=DATA)
    given = parser.parse_args()
    if not given.data.is_dir():
        print(f"the data are not at {given.data}: name their folder with --data")
        return 3
    for name in given.parts or parts:
        parts[name](given.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
