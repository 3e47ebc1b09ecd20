"""Wafer to rack: Monte Carlo of the example `us-ai-supercomputers` against its budgets.

    python benchmarks/programme.py [replications]

Prints CPU and wall seconds of simulating the example (compile of the model, simulation, key
figures; no plan, no report) as a ratio to the budget of 60 s for 10,000 replications, and
node-periods per CPU-second. The first run of a machine compiles; run twice to see both.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from firsttoken import api
from firsttoken.chain.ports import Resolver
from firsttoken.chain.run import execute
from firsttoken.supply.compile import compile_network
from firsttoken.supply.simulate import simulate
from firsttoken.twin.room import Settings

BUDGET = 60.0
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "us-ai-supercomputers"


def main(replications: int) -> None:
    """Time the example and print the ratios."""
    wall, cpu = time.perf_counter(), time.process_time()
    twin = api.load(EXAMPLE).with_settings(replications=replications)
    execute(twin, None, Settings(engines=("simulate",)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    budget = BUDGET * replications / 10_000
    print(f"{replications} replications, load to key figures: {wall:.1f} s wall, {cpu:.1f} CPU-s")
    print(f"  wall / budget of {budget:.0f} s: {wall / budget:.2f}")
    system = compile_network(twin, "programme", Resolver(twin))
    cpu = time.process_time()
    simulate(system, replications, twin.seed)
    cpu = time.process_time() - cpu
    work = replications * (system.edges.size - 1)
    nodes, activities = len(system.names.nodes), len(system.names.activities)
    print(f"simulation alone: {cpu:.1f} CPU-s, {nodes} nodes, {activities} activities")
    print(f"  {work * nodes / cpu:.2e} node-periods and {work * activities / cpu:.2e} ")
    print("  activity-periods per CPU-second")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
