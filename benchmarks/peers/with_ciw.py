"""Ciw: networks of queues; failures are part of its service times, which is the same in law."""

from random import expovariate
from typing import Any

import ciw
from models import ARRIVAL_RATE, BUFFER, MTBF, MTTR, STATIONS, WARMUP_SHARE, run


def mm1(length: float, seed: int) -> tuple[int, float]:
    """M/M/1: events, mean time in system."""
    ciw.seed(seed)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(ARRIVAL_RATE)],
        service_distributions=[ciw.dists.Exponential(1.0)],
        number_of_servers=[1],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(length)
    records = simulation.get_all_records()
    times = [r.exit_date - r.arrival_date for r in records if r.exit_date > WARMUP_SHARE * length]
    arrived = len(records) + len(simulation.nodes[1].all_individuals)
    return arrived + len(records), sum(times) / len(times)


class Unreliable(ciw.dists.Distribution):  # type: ignore[misc]
    """An exponential operation with the repairs that fall into it."""

    def __init__(self) -> None:
        # Ciw copies its distributions: a generator of their own would be the same for all.
        self.to_failure = expovariate(1 / MTBF)

    def sample(self, t: float | None = None, ind: Any = None) -> float:
        """Time on the machine."""
        total = work = expovariate(1.0)
        self.to_failure -= work
        while self.to_failure < 0:
            total += expovariate(1 / MTTR)
            self.to_failure += expovariate(1 / MTBF)
        return total


def line(length: float, seed: int) -> tuple[int, float]:
    """Ten unreliable stations: operations, throughput."""
    ciw.seed(seed)
    routing = [[float(j == i + 1) for j in range(STATIONS)] for i in range(STATIONS)]
    network = ciw.create_network(
        # Faster than any machine: the first station is saturated.
        arrival_distributions=[ciw.dists.Exponential(2.0)] + [None] * (STATIONS - 1),
        service_distributions=[Unreliable() for _ in range(STATIONS)],
        number_of_servers=[1] * STATIONS,
        queue_capacities=[BUFFER + 1] + [BUFFER] * (STATIONS - 1),
        routing=routing,
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(length)
    records = simulation.get_all_records(only=["service"])
    finished = sum(r.node == STATIONS and r.exit_date > WARMUP_SHARE * length for r in records)
    return len(records), finished / (length * (1 - WARMUP_SHARE))


if __name__ == "__main__":
    run({"mm1": mm1, "line": line})
