"""SimPy: processes that are generators."""

from collections.abc import Generator
from random import Random
from typing import Any

import simpy
from models import ARRIVAL_RATE, BUFFER, MTBF, MTTR, STATIONS, WARMUP_SHARE, run

Process = Generator[simpy.Event, Any, None]


def mm1(length: float, seed: int) -> tuple[int, float]:
    """M/M/1: events, mean time in system."""
    draw = Random(seed).expovariate
    warmup = WARMUP_SHARE * length
    env = simpy.Environment()
    queue = simpy.Store(env)
    events = served = 0
    total = 0.0

    def arrivals() -> Process:
        nonlocal events
        while True:
            yield env.timeout(draw(ARRIVAL_RATE))
            events += 1
            queue.put(env.now)

    def server() -> Process:
        nonlocal events, total, served
        while True:
            came = yield queue.get()
            yield env.timeout(draw(1.0))
            events += 1
            if env.now > warmup:
                total += env.now - came
                served += 1

    env.process(arrivals())
    env.process(server())
    env.run(until=length)
    return events, total / served


def line(length: float, seed: int) -> tuple[int, float]:
    """Ten unreliable stations: operations, throughput."""
    draw = Random(seed).expovariate
    warmup = WARMUP_SHARE * length
    env = simpy.Environment()
    buffers = [simpy.Store(env, BUFFER) for _ in range(STATIONS - 1)]
    operations = finished = 0

    def machine(i: int) -> Process:
        nonlocal operations, finished
        to_failure = draw(1 / MTBF)
        while True:
            if i:
                yield buffers[i - 1].get()
            work = draw(1.0)
            while to_failure < work:
                yield env.timeout(to_failure)
                work -= to_failure
                yield env.timeout(draw(1 / MTTR))
                to_failure = draw(1 / MTBF)
            to_failure -= work
            yield env.timeout(work)
            operations += 1
            if i < STATIONS - 1:
                yield buffers[i].put(i)
            else:
                finished += env.now > warmup

    for i in range(STATIONS):
        env.process(machine(i))
    env.run(until=length)
    return operations, finished / (length - warmup)


if __name__ == "__main__":
    run({"mm1": mm1, "line": line})
