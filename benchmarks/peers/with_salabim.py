"""salabim: components with a process, here as generators (its default is greenlets)."""

from collections import deque
from collections.abc import Generator
from random import Random
from typing import Any

import salabim
from models import ARRIVAL_RATE, BUFFER, MTBF, MTTR, STATIONS, WARMUP_SHARE, run

salabim.yieldless(False)

Process = Generator[Any, Any, None]


def mm1(length: float, seed: int) -> tuple[int, float]:
    """M/M/1: events, mean time in system."""
    draw = Random(seed).expovariate
    warmup = WARMUP_SHARE * length
    env = salabim.Environment(trace=False)
    events = served = 0
    total = 0.0

    # Customers are no components here: making one costs more than all that happens to it.
    waiting: deque[float] = deque()

    class Server(salabim.Component):  # type: ignore[misc]
        def process(self) -> Process:
            nonlocal events, served, total
            while True:
                while not waiting:
                    yield self.passivate()
                came = waiting.popleft()
                yield self.hold(draw(1.0))
                events += 1
                if env.now() > warmup:
                    total += env.now() - came
                    served += 1

    class Source(salabim.Component):  # type: ignore[misc]
        def process(self) -> Process:
            nonlocal events
            while True:
                yield self.hold(draw(ARRIVAL_RATE))
                events += 1
                waiting.append(env.now())
                if server.ispassive():
                    server.activate()

    server = Server()
    Source()
    env.run(till=length)
    return events, total / served


def line(length: float, seed: int) -> tuple[int, float]:
    """Ten unreliable stations: operations, throughput."""
    draw = Random(seed).expovariate
    warmup = WARMUP_SHARE * length
    env = salabim.Environment(trace=False)
    buffers = [salabim.Store(capacity=BUFFER, monitor=False) for _ in range(STATIONS - 1)]
    operations = finished = 0

    class Part(salabim.Component):  # type: ignore[misc]
        pass

    class Machine(salabim.Component):  # type: ignore[misc]
        def setup(self, number: int) -> None:
            self.number = number

        def process(self) -> Process:
            nonlocal operations, finished
            to_failure = draw(1 / MTBF)
            while True:
                if self.number:
                    yield self.from_store(buffers[self.number - 1])
                    part = self.from_store_item()
                else:
                    part = Part()
                work = draw(1.0)
                while to_failure < work:
                    yield self.hold(to_failure)
                    work -= to_failure
                    yield self.hold(draw(1 / MTTR))
                    to_failure = draw(1 / MTBF)
                to_failure -= work
                yield self.hold(work)
                operations += 1
                if self.number < STATIONS - 1:
                    yield self.to_store(buffers[self.number], part)
                else:
                    finished += env.now() > warmup

    for number in range(STATIONS):
        Machine(number=number)
    env.run(till=length)
    return operations, finished / (length - warmup)


if __name__ == "__main__":
    run({"mm1": mm1, "line": line})
