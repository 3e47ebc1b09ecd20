"""Cimba: processes compiled to run on a C engine; its compiler's time does not count.

The mean time in system of ``mm1`` follows by Little's law from the mean number waiting.
"""

import itertools
import json
import sys
import time
from typing import Any

import cimba as cb
from cimba import inputs
from models import ARRIVAL_RATE, BUFFER, MTBF, MTTR, STATIONS, WARMUP_SHARE


class MM1(cb.Model):  # type: ignore[misc]
    """M/M/1."""

    gap: cb.Input[float] = inputs.dist.exponential(mean=1 / ARRIVAL_RATE)
    service: cb.Input[float] = inputs.dist.exponential(mean=1.0)
    queue: cb.Container
    count: int = 0
    events: cb.Output[float]
    value: cb.Output[float]

    @cb.process
    def arrivals(self) -> None:
        """Arrivals."""
        while True:
            cb.hold(self.gap.next())
            self.queue.put(1)
            self.count += 1

    @cb.process
    def server(self) -> None:
        """Service."""
        while True:
            self.queue.get(1)
            cb.hold(self.service.next())
            self.count += 1

    @cb.on_end
    def measure(self) -> None:
        """Little's law; the mean service time is 1."""
        self.events = float(self.count)
        self.value = self.queue.mean_level() / ARRIVAL_RATE + 1.0


class Machine(cb.Model):  # type: ignore[misc]
    """One unreliable station and the buffer before it: its parts and its free places."""

    parts: cb.Container
    places: cb.Container = cb.Container(BUFFER)
    after: "cb.Ref[Machine] | None" = None
    first: bool = False
    work: cb.Input[float] = inputs.dist.exponential(mean=1.0)
    uptime: cb.Input[float] = inputs.dist.exponential(mean=MTBF)
    repair: cb.Input[float] = inputs.dist.exponential(mean=MTTR)
    warmup: float = 0.0
    operations: int = 0
    finished: int = 0
    events: cb.Output[float]
    late: cb.Output[float]

    @cb.process
    def run(self) -> None:
        """Take a part, work, hand it on."""
        to_failure = self.uptime.next()
        while True:
            if not self.first:
                self.parts.get(1)
                self.places.put(1)
            work = self.work.next()
            while to_failure < work:
                cb.hold(to_failure)
                work -= to_failure
                cb.hold(self.repair.next())
                to_failure = self.uptime.next()
            to_failure -= work
            cb.hold(work)
            self.operations += 1
            if cb.now() > self.warmup:
                self.finished += 1
            if self.after is not None:
                self.after.places.get(1)
                self.after.parts.put(1)

    @cb.on_end
    def measure(self) -> None:
        """Operations in all, and after the warm-up."""
        self.events = float(self.operations)
        self.late = float(self.finished)


class Line(cb.Model):  # type: ignore[misc]
    """Ten unreliable stations."""

    machines: list[Machine]


def simulate(model: cb.Model, replications: int, length: float) -> Any:
    """Run an experiment."""
    warmup = WARMUP_SHARE * length
    window = cb.Window(warmup=warmup, duration=length - warmup)
    return cb.Experiment(model, replications=replications, window=window, seed=1).run()


def mm1(replications: int, length: float) -> dict[str, Any]:
    """M/M/1."""
    model = MM1()
    simulate(model, 1, 10.0)
    started = time.process_time()
    found = simulate(model, replications, length)[model]
    spent = time.process_time() - started
    values = found.value.values.ravel().tolist()
    return {"events": float(found.events.values.sum()), "cpu": spent, "values": values}


def line(replications: int, length: float) -> dict[str, Any]:
    """Ten machines, each of which knows the next."""
    model = Line()
    model.machines = machines = [Machine() for _ in range(STATIONS)]
    machines[0].first = True
    for machine, after in itertools.pairwise(machines):
        machine.after = after
    for machine in machines:
        machine.warmup = WARMUP_SHARE * length
    simulate(model, 1, 10.0)
    started = time.process_time()
    found = simulate(model, replications, length)
    spent = time.process_time() - started
    events = sum(float(found[machine].events.values.sum()) for machine in machines)
    rates = found[machines[-1]].late.values.ravel() / ((1 - WARMUP_SHARE) * length)
    return {"events": events, "cpu": spent, "values": rates.tolist()}


if __name__ == "__main__":
    name, count, time_simulated = sys.argv[1:]
    print(json.dumps({"mm1": mm1, "line": line}[name](int(count), float(time_simulated))))
