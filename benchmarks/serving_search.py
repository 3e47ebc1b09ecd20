"""How fast the configuration search is: DeepSeek-V3 on 72 GB200, to the budget of 2 CPU seconds.

Every layout, two number formats, all loads, with and without disaggregation; the search's own CPU
seconds, the best of several runs in one process, on one thread.  Beside the bar's case: a goal for
95 % of the time (two states of every configuration), a dense model on eight H100, and 100,000 GPUs.

AIConfigurator 0.12 took 142 CPU seconds for the first case on the machine on which the bar was set;
``--peer PYTHON``, an interpreter that has it installed, measures it here (one run, minutes).

Usage: python benchmarks/serving_search.py [--runs 5] [--peer PYTHON]
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import time
from dataclasses import replace

from firsttoken.serving.parts import library_architecture, library_hardware
from firsttoken.serving.search import Answer, Question, search
from firsttoken.serving.search_space import BF16, FP8, NVFP4

BAR = 2.0
"""CPU seconds for the first case."""
ENOUGH = 10_000
"""Configurations that it must look at."""
PEER = 142.0
"""CPU seconds of AIConfigurator 0.12 for the same on the machine of the bar."""


def questions() -> dict[str, Question]:
    """The bar's case first."""
    deepseek = Question(
        library_architecture("deepseek_v3"),
        library_hardware("gb200"),
        (FP8, NVFP4),
        prompt=4000.0,
        output=1000.0,
        gpus=72.0,
        ttft=2.0,
        tpot=0.03,
    )
    llama = replace(
        deepseek,
        architecture=library_architecture("llama3_1_70b"),
        hardware=library_hardware("h100_sxm"),
        formats=(BF16, FP8),
        gpus=8.0,
    )
    return {
        "DeepSeek-V3, 72 GB200": deepseek,
        "the same, goals for 95 % of the time": replace(deepseek, share=0.95),
        "the same, 100,000 GB200": replace(deepseek, gpus=1e5),
        "Llama-3.1-70B, 8 H100": llama,
    }


def timed(question: Question, runs: int) -> tuple[float, Answer]:
    """CPU seconds of the fastest run, and what it found."""
    least, answer = math.inf, search(question)
    for _ in range(runs):
        start = time.process_time()
        answer = search(question)
        least = min(least, time.process_time() - start)
    return least, answer


def peer_seconds(python: str) -> float:
    """CPU seconds of AIConfigurator's search for the bar's case, one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [
            *(python, "-c", "from aiconfigurator.main import main; main()", "cli", "default"),
            *(
                "--model-path",
                "deepseek-ai/DeepSeek-V3",
                "--system",
                "gb200",
                "--backend",
                "trtllm",
            ),
            *("--total-gpus", "72", "--isl", "4000", "--osl", "1000"),
            *("--ttft", "2000", "--tpot", "30"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a row a case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", help="interpreter that has aiconfigurator installed")
    given = parser.parse_args()
    print(f"{'case':38} {'configurations':>14} {'CPU-s':>7} {'us each':>8} {'tokens/s/GPU':>13}")
    first = math.inf
    for name, question in questions().items():
        seconds, answer = timed(question, given.runs)
        count, best = len(answer.columns), answer.best
        said = f"{answer.per_gpu[best]:13.0f}" if best >= 0 else answer.reason
        print(f"{name:38} {count:14,} {seconds:7.2f} {seconds / count * 1e6:8.1f} {said}")
        if math.isinf(first):
            first = seconds
            met = "met" if seconds <= BAR and count >= ENOUGH else "MISSED"
            print(
                f"  bar of {BAR:g} CPU-s and {ENOUGH:,} configurations: {met}, x{BAR / seconds:.1f}"
            )
            ratio = PEER / seconds
            print(f"  AIConfigurator 0.12 on the bar's machine, {PEER:g} CPU-s: x{ratio:.0f}")
    if given.peer:
        took = peer_seconds(given.peer)
        print(f"  AIConfigurator here, {took:.0f} CPU-s: x{took / first:.0f}")


if __name__ == "__main__":
    main()
