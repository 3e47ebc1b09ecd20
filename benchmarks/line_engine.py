"""How fast the line simulation is: on one core, to its budgets and to peers, and on all cores.

``mm1``: M/M/1 as a declared line, model events (arrivals and departures) a CPU-second; bar 25 M.
``line``: ten unreliable stations with finite buffers, operations a CPU-second; bar 15 M.
Both are plain serial lines, which a recursion simulates; what the event engine does is told too.
Then the wall time of one and of two threads for the same replications (bar: 90 % of half), and the
time of a fresh process with the compiled code in its cache (bar: 1.5 s) and without.

With ``--peers PYTHON``, the Python of an environment with some of SimPy, Ciw, salabim and Cimba,
both models run in these and in a hand-written heap loop too (``benchmarks/peers``).  The mean of
each peer is compared with ours over replications of the same length.  The bars are absolute; what
they are in multiples of a peer, on the machine where both were measured, is printed beside ours.

Usage: python benchmarks/line_engine.py [--peers PYTHON] [--scale 1.0] [--no-cold]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from firsttoken import api
from firsttoken.chain.ports import Resolver
from firsttoken.line.compile import compile_line
from firsttoken.line.result import LineResult
from firsttoken.line.simulate import simulate
from firsttoken.line.system import System

BARS = {"mm1": 25e6, "line": 15e6}
EVENTS = {"mm1": "events", "line": "operations"}
HEAD = """
twin: benchmark
start: 2026-01-05
horizon: {length} s
line:
  x:
    warmup: {warmup} s
    report: quarter
"""
MM1 = """
    stations: {server: {time: exponential(1) s}}
    products: {customer: {releases: {arrivals: {every: "exponential(1.1111111111111112) s"}}}}
"""
STATION = """      s{i}:
        time: exponential(1) s
        failures: {{stop: {{counts: operation, mtbf: exponential(100) s, mttr: exponential(10) s}}}}
"""
LINE = (
    "    stations:\n"
    + STATION.format(i=0)
    + "".join(STATION.format(i=i) + "        buffer: 10\n" for i in range(1, 10))
    + "    products: {part: {releases: {saturated: {backlog: 1}}}}\n"
)
MODELS = {"mm1": MM1, "line": LINE}

PEERS = {  # replications and lengths that take a few seconds
    "heapq": {"mm1": (10, 400_000), "line": (10, 50_000)},
    "cimba": {"mm1": (10, 1_500_000), "line": (10, 100_000)},
    "simpy": {"mm1": (10, 60_000), "line": (10, 8_000)},
    "ciw": {"mm1": (10, 20_000), "line": (10, 2_500)},
    "salabim": {"mm1": (10, 50_000), "line": (10, 2_500)},
}
ELSEWHERE = {  # M events a CPU-second of the peers on the machine on which the bars were set
    "heapq": {"mm1": 3.0},
    "cimba": {"mm1": 8.9},
    "simpy": {"mm1": 0.39, "line": 0.21},
    "ciw": {"mm1": 0.13, "line": 0.05},
    "salabim": {"line": 0.03},
}
LENGTHS = {"mm1": 1_000_000, "line": 100_000}


def declared(model: str, length: float) -> System:
    """One of the models as a twin file, loaded and compiled; the first tenth is warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        text = HEAD.format(length=length, warmup=0.1 * length) + MODELS[model]
        (Path(folder) / "twin.yaml").write_text(text)
        twin = api.load(folder)
    return compile_line(twin, "x", Resolver(twin))


def values(model: str, result: LineResult) -> np.ndarray:
    """Mean time in system, or throughput, by replication."""
    return (result.cycle_mean if model == "mm1" else result.throughput)[:, 0]


def counted(model: str, result: LineResult) -> int:
    """Model events of all replications."""
    return int((result.events if model == "mm1" else result.steps_done).sum())


def measure(model: str, scale: float, *, by_events: bool = False) -> float:
    """Print and return the rate of a model, the best of three runs on one thread."""
    system = declared(model, LENGTHS[model])
    replications = max(2, round(10 * scale))
    simulate(system, 1, 1, threads=1, horizon=LENGTHS[model] / 5, by_events=by_events)
    rates = []
    for seed in range(3):
        started = time.process_time()
        result = simulate(system, replications, seed, threads=1, by_events=by_events)
        rates.append(counted(model, result) / (time.process_time() - started))
    best = max(rates)
    way = "event by event" if by_events else ""
    print(
        f"{model:6s} {best / 1e6:8.2f} M {EVENTS[model]}/CPU-s   "
        f"{best / BARS[model]:6.2f} x bar   {way}"
    )
    return best


def versus(python: str, peer: str, model: str, ours: float, scale: float) -> None:
    """Print the rate of a peer, ours over it, and how far the means are apart."""
    replications, length = PEERS[peer][model]
    script = Path(__file__).parent / "peers" / f"with_{peer}.py"
    length *= scale
    call = [python, str(script), model, str(replications), str(length)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  {peer:8s} {model:6s} not measured: {done.stderr.strip().splitlines()[-1:]}")
        return
    found = json.loads(done.stdout.splitlines()[-1])
    rate = found["events"] / found["cpu"]
    theirs = np.array(found["values"])
    alike = min(400, max(20, round(5e7 / length)))
    mine = values(model, simulate(declared(model, length), alike, 1))
    error = np.hypot(mine.std(ddof=1) / alike**0.5, theirs.std(ddof=1) / len(theirs) ** 0.5)
    there = ELSEWHERE[peer].get(model)
    bar = f"(bar {BARS[model] / 1e6 / there:.0f} x)" if there else ""
    print(
        f"  {peer:8s} {model:6s} {rate / 1e6:8.3f} M/CPU-s  ours is {ours / rate:6.1f} x {bar:12s} "
        f"mean {theirs.mean():.4f}, ours {mine.mean():.4f}: "
        f"{abs(mine.mean() - theirs.mean()) / error:.1f} standard errors apart"
    )


def scaling(scale: float) -> None:
    """Print the wall time of two threads against that of one."""
    system = declared("line", LENGTHS["line"])
    replications = 2 * max(8, round(30 * scale))
    best = {1: float("inf"), 2: float("inf")}
    for _ in range(4):
        for threads in best:
            started = time.perf_counter()
            simulate(system, replications, 1, threads=threads)
            best[threads] = min(best[threads], time.perf_counter() - started)
    share = best[1] / best[2] / 2
    print(f"two threads do {share:.0%} of twice the work of one   {share / 0.9:.2f} x bar")


FRESH = """
import sys, time
start, spent = time.perf_counter(), time.process_time()
sys.path[:0] = [{folder!r}]
import line_engine
line_engine.simulate(line_engine.declared("mm1", 1000.0), 2, 1, by_events=True)
print(time.perf_counter() - start, time.process_time() - spent)
"""


def fresh(cache: str | None) -> tuple[float, float]:
    """Wall and CPU seconds of a new process that loads, compiles and runs the event engine."""
    code = FRESH.format(folder=str(Path(__file__).resolve().parent))
    environment = dict(os.environ)
    if cache:
        environment["NUMBA_CACHE_DIR"] = cache
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    wall, cpu = done.stdout.split()
    return float(wall), float(cpu)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers", help="Python of an environment with the peers")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the lengths")
    parser.add_argument("--no-cold", action="store_true", help="do not time the compiler")
    options = parser.parse_args()
    rates = {model: measure(model, options.scale) for model in MODELS}
    for model in MODELS:
        measure(model, options.scale, by_events=True)
    if options.peers:
        for peer in PEERS:
            for model in MODELS:
                versus(options.peers, peer, model, rates[model], options.scale)
    scaling(options.scale)
    wall, cpu = min(fresh(None) for _ in range(3))
    print(f"fresh process, compiled before: {wall:.2f} s, {cpu:.2f} CPU-s   {1.5 / cpu:.2f} x bar")
    if not options.no_cold:
        with tempfile.TemporaryDirectory() as folder:
            wall, cpu = fresh(folder)
        print(f"fresh process that must compile: {wall:.0f} s, {cpu:.0f} CPU-s")


if __name__ == "__main__":
    main()
