"""A request simulation as most are written: step after step, sequence after sequence, in Python.

Continuous batching with chunked prefill on replicas that get requests in turn; no memory limit, so
it does less than the engine.  Reads ``{law..., replicas, sequences, chunk, requests}`` as JSON on
stdin, prints ``{cpu, ttft, e2e}`` (means in s).

Usage: python with_step_loop.py < problem.json
"""

from __future__ import annotations

import bisect
import json
import sys
import time


def table(tokens: list[float], seconds: list[float], chunk: int) -> list[float]:
    """Seconds of steps of 0 to `chunk` tokens."""
    found = []
    for t in range(chunk + 1):
        k = min(bisect.bisect_right(tokens, t), len(tokens) - 1) - 1
        slope = (seconds[k + 1] - seconds[k]) / (tokens[k + 1] - tokens[k])
        found.append(seconds[k] + slope * (t - tokens[k]))
    return found


def replica(
    problem: dict, seconds: list[float], requests: list[tuple[float, int, int]]
) -> tuple[float, float]:
    """Sums of TTFT and E2E of one replica's requests."""
    now, here, ttft, e2e = 0.0, 0, 0.0, 0.0
    waiting: list[list] = []
    running: list[list] = []  # arrival, prompt, output, computed, made
    while here < len(requests) or waiting or running:
        if not waiting and not running:
            now = max(now, requests[here][0])
        while here < len(requests) and requests[here][0] <= now:
            waiting.append([*requests[here], 0, 0])
            here += 1
        tokens, kv, pairs = 0, 0, 0.0
        for sequence in running:
            if sequence[4]:
                tokens += 1
                kv += sequence[1] + sequence[4] - 1
        chunks = []
        left = problem["chunk"] - tokens
        for sequence in running:
            if not sequence[4] and left > 0:
                chunks.append((sequence, min(left, sequence[1] - sequence[3])))
                left -= chunks[-1][1]
        while waiting and left > 0 and len(running) < problem["sequences"]:
            sequence = waiting.pop(0)
            running.append(sequence)
            chunks.append((sequence, min(left, sequence[1])))
            left -= chunks[-1][1]
        for sequence, chunk in chunks:
            tokens += chunk
            pairs += chunk * (sequence[3] + chunk / 2)
        now += problem["overhead"] + seconds[tokens]
        now += problem["kv_second"] * kv + problem["pair_second"] * pairs
        for sequence in running:
            if sequence[4]:
                sequence[4] += 1
        for sequence, chunk in chunks:
            sequence[3] += chunk
            if sequence[3] == sequence[1]:
                sequence[4] = 1
                ttft += now - sequence[0]
        for sequence in [s for s in running if s[4] >= s[2]]:
            running.remove(sequence)
            e2e += now - sequence[0]
    return ttft, e2e


def main() -> None:
    """Simulate, and print what it took."""
    problem = json.load(sys.stdin)
    requests = [tuple(row) for row in problem["requests"]]
    seconds = table(problem["tokens"], problem["seconds"], problem["chunk"])
    started = time.process_time()
    sums = [
        replica(problem, seconds, requests[r :: problem["replicas"]])
        for r in range(problem["replicas"])
    ]
    cpu = time.process_time() - started
    n = len(requests)
    means = {"ttft": sum(s[0] for s in sums) / n, "e2e": sum(s[1] for s in sums) / n}
    print(json.dumps({"cpu": cpu, **means}))


if __name__ == "__main__":
    main()
