"""How fast the supply simulation is: node-periods a CPU-second on one core.

A *node-period* is one stock node over one period in one replication. The bar is 5e7; the peer,
stockpyl 1.0.2, does some 3e3 (its nodes are stock nodes too). With ``--stockpyl PYTHON``, the
Python of an environment that has stockpyl, its rate is measured in the same run.

Usage: python benchmarks/supply_simulation.py [--stockpyl PYTHON] [--scale 1.0]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.supply.small_systems import Small, Steps, normal, triangular, uniform

from firsttoken.supply.simulate import simulate
from firsttoken.supply.system import System

BAR = 5e7

PEER = """
import time
from stockpyl.supply_chain_network import serial_system
from stockpyl.sim import simulation
network = serial_system(
    num_nodes=3, node_order_in_system=[3, 2, 1], node_order_in_lists=[1, 2, 3],
    local_holding_cost=[7, 4, 2], shipment_lead_time=[1, 1, 2], stockout_cost=[37.12, 0, 0],
    demand_type="N", mean=5, standard_deviation=1, policy_type="BS",
    base_stock_level=[6.49, 5.53, 10.68])
start = time.process_time()
simulation(network, 1000, rand_seed=1, progress_bar=False)
print(3 * 1000 / (time.process_time() - start))
"""


def serial(periods: int) -> System:
    """Snyder and Shen's example 6.1: three stages, base stock, normal demand."""
    small = Small(periods, report=[0] * periods)
    for name, level, cost in (("3", 10.68, 2.0), ("2", 5.53, 4.0), ("1", 6.49, 7.0)):
        small.node(name, level, holding=cost, base_stock=level)
    small.activity("buy", {}, {"3": 1.0}, lead_time=2.0, release="pull")
    small.activity("3 to 2", {"3": 1.0}, {"2": 1.0}, lead_time=1.0, release="pull")
    small.activity("2 to 1", {"2": 1.0}, {"1": 1.0}, lead_time=1.0, release="pull")
    small.demand("customers", "1", normal(5, 1), late_cost=37.12)
    return small.system()


def distribution(periods: int) -> System:
    """A plant, 9 warehouses and 90 shops; base stock, normal demand at every shop."""
    small = Small(periods, report=[0] * periods)
    small.node("plant", 4000, holding=1.0, base_stock=4000.0)
    small.activity("make", {}, {"plant": 1.0}, lead_time=2.0, capacity=1200.0, release="pull")
    for w in range(9):
        small.node(f"w{w}", 300, holding=1.5, base_stock=300.0)
        small.activity(f"to w{w}", {"plant": 1.0}, {f"w{w}": 1.0}, lead_time=2.0, release="pull")
        for s in range(10):
            shop = small.node(f"shop {w}{s}", 25, holding=2.0, base_stock=25.0)
            small.activity(f"to {shop}", {f"w{w}": 1.0}, {shop: 1.0}, lead_time=1.0, release="pull")
            small.demand(f"at {shop}", shop, normal(10, 2), late_cost=20.0)
    return small.system()


def wafer_to_rack(periods: int) -> System:
    """A chain like that of an AI rack: eight stages at several sites each, pushed.

    Every step has a yield and a lead time that are drawn each period, a ramp of its capacity,
    a cost; lanes cross borders with a duty; two thirds of the nodes are purchased parts.
    """
    week = 604800.0
    small = Small(periods, width=week, report=[t // 13 for t in range(periods)])
    stages = ("wafer", "die", "package", "module", "board", "tray", "rack", "tested rack")
    for site in ("tw", "us", "mx"):
        for k, stage in enumerate(stages):
            node = small.node(f"{stage}@{site}", 50.0, unit_cost=10.0 * 3**k)
            inputs = {f"{stages[k - 1]}@{site}": 1.0} if k else {}
            for part in range(2):
                bought = small.node(f"part {part} of {stage}@{site}", maximum=4000.0)
                small.activity(
                    f"buy {bought}",
                    {},
                    {bought: 1.0},
                    lead_time=uniform(2 * week, 6 * week),
                    cost=5.0,
                )
                inputs[bought] = 2.0
            ramp = Steps(((0.0, 50.0 / week), (26 * week, uniform(80, 120, once=True))), kind=1)
            small.activity(
                f"make {node}",
                inputs,
                {node: 1.0},
                yield_=triangular(0.85, 0.93, 0.97),
                lead_time=triangular(2 * week, 3 * week, 5 * week),
                capacity=_scaled(ramp, week),
                cost=100.0,
                domestic=site == "us",
            )
        if site != "us":
            small.activity(
                f"ship {site}",
                {f"package@{site}": 1.0},
                {"package@us": 1.0},
                lead_time=1.5 * week,
                capacity=20.0 / week,
                cost=1.0,
                duty=2.0,
            )
        small.demand(f"racks {site}", f"tested rack@{site}", 60.0 / week, price=3e6)
    return small.system()


def _scaled(ramp: Steps, week: float) -> Steps:
    (t0, v0), (t1, _) = ramp.knots
    return Steps(((t0, v0), (t1, uniform(80 / week, 120 / week, once=True))), kind=ramp.kind)


def measure(name: str, system: System, replications: int) -> float:
    """Print and return the rate of one system, the best of three runs on one thread."""
    simulate(system, 16, 1, threads=1, until=2)
    rates = []
    for _ in range(3):
        start = time.process_time()
        simulate(system, replications, 1, threads=1)
        spent = time.process_time() - start
        nodes, periods = len(system.names.nodes), len(system.report)
        rates.append(nodes * periods * replications / spent)
    best = max(rates)
    print(f"{name:24s} {best:10.3g} node-periods/CPU-s   {best / BAR:6.2f} x bar")
    return best


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stockpyl", help="Python of an environment with stockpyl")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the replications")
    options = parser.parse_args()
    start, spent = time.perf_counter(), time.process_time()
    simulate(serial(3), 16, 1, threads=1)
    cold = time.perf_counter() - start, time.process_time() - spent
    print(f"first call               {cold[0]:10.1f} s, {cold[1]:.1f} CPU-s (compiler or cache)")
    count = lambda number: max(16, int(np.ceil(number * options.scale)))  # noqa: E731
    ours = measure("serial, 3 nodes", serial(1000), count(4000))
    measure("distribution, 100 nodes", distribution(200), count(1000))
    measure("wafer to rack, 72 nodes", wafer_to_rack(208), count(1000))
    if options.stockpyl:
        found = subprocess.run(
            [options.stockpyl, "-c", PEER], capture_output=True, text=True, check=True
        )
        peer = float(found.stdout.split()[-1])
        print(f"{'stockpyl, serial':24s} {peer:10.3g} node-periods/CPU-s   1 / {ours / peer:.0f}")


if __name__ == "__main__":
    main()
