"""How fast a programme is simulated: 10,000 replications of 500 activities, to its budget.

The programme is random: 500 activities in a calendar of working days with days off, six in ten of
which need a limited crew, uncertain durations, costs, risks. The bar is 2 s of wall time on two
cores for all of it: dates with crews, floats, what drives the dates, the money by month. Beside it
the same engine on one core, a forward pass alone in numpy (no calendars, no crews: a lower bound of
what vectors can do), and a plain Python loop of what the engine does for one replication: a ratio
to each, measured in the same run.

Usage: python benchmarks/build_cpm.py [--activities 500] [--replications 10000]
"""

from __future__ import annotations

import argparse
import heapq
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from firsttoken import api
from firsttoken.build.compile import compile_build
from firsttoken.build.simulate import simulate
from firsttoken.build.system import System
from firsttoken.chain.ports import Resolver

BAR = 2.0  # s on two cores
CREWS, SIZE = 8, 6
SHIFT = {"shifts": ["mon-fri 07:00-12:00 13:00-17:00"],
         "closed": ["2026-12-25", "2027-01-01", "2027-12-24"]}  # fmt: skip


def programme(count: int) -> dict[str, object]:
    """A random programme as plain data."""
    chance = random.Random(1)
    activities: dict[str, object] = {}
    for i in range(count):
        days = chance.randint(5, 40)
        reach = range(max(0, i - 40), i)
        before = {chance.choice(reach) for _ in range(chance.choice([1, 2, 2, 3]))} if i > 5 else ()
        activity: dict[str, object] = {
            "duration": f"triangular({0.8 * days:.1f}, {days}, {1.6 * days:.1f}) day",
            "after": [f"a{j}" for j in sorted(before)],
            "cost": "1 MUSD",
        }
        if chance.random() < 0.6:
            activity["crew"] = {f"c{chance.randrange(CREWS)}": chance.randint(1, 3)}
        if chance.random() < 0.1:
            activity["kind"] = "procurement"
        if chance.random() < 0.1:
            activity["risks"] = {"late": {"probability": 0.2, "delay": "3 week"}}
        activities[f"a{i}"] = activity
    build = {
        "calendars": {"days": SHIFT},
        "calendar": "days",
        "crews": {f"c{k}": {"count": SIZE} for k in range(CREWS)},
        "phases": {"hall": {"racks": 100, "power": "20 MW", "ready": f"a{count - 1}"}},
        "activities": activities,
    }
    return {"twin": "benchmark", "start": "2026-01-05", "horizon": "6 year", "build": {"x": build}}


def compiled(data: dict[str, object]) -> System:
    """The programme, loaded and compiled."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
        twin = api.load(folder)
        return compile_build(twin, "x", Resolver(twin))


def forward_in_numpy(system: System, work: np.ndarray) -> np.ndarray:
    """Finish of the last activity without calendars and crews, all replications at once."""
    tasks, links = system.network.tasks, system.network.links
    finish = np.zeros_like(work)
    for i in tasks.order.tolist():
        before = links.before[links.start[i] : links.start[i + 1]]
        start = finish[before].max(axis=0) if len(before) else 0.0
        finish[i] = start + work[i]
    return finish.max(axis=0)


def schedule_in_python(system: System, work: list[float]) -> float:
    """One replication with crews, in plain Python: serial scheme on lists, no calendars."""
    network = system.network
    links, crews = network.links, network.crews
    finish = [0.0] * len(work)
    busy: list[list[tuple[float, float, float]]] = [[] for _ in range(len(crews.level))]
    for i in network.tasks.order.tolist():
        low, high = links.start[i], links.start[i + 1]
        at = max((finish[b] for b in links.before[low:high].tolist()), default=0.0)
        needs = range(crews.need_start[i], crews.need_start[i + 1])
        ends = [at, *(end for k in needs for _, end, _ in busy[crews.need_crew[k]] if end > at)]
        heapq.heapify(ends)
        while True:
            at = heapq.heappop(ends)
            end = at + work[i]
            if all(_fits(busy[crews.need_crew[k]], at, end, SIZE - 1.0) for k in needs):
                break
        for k in needs:
            busy[crews.need_crew[k]].append((at, end, 1.0))
        finish[i] = end
    return max(finish)


def _fits(busy: list[tuple[float, float, float]], start: float, end: float, most: float) -> bool:
    """Whether no more than `most` of a crew is at work at any time between."""
    inside = [(s, e, n) for s, e, n in busy if s < end and e > start]
    moments = [start, *(s for s, _, _ in inside if s > start)]
    return all(sum(n for s, e, n in inside if s <= t < e) <= most for t in moments)


def best(work: Callable[[], object], runs: int) -> tuple[float, float]:
    """Least wall and CPU seconds of some runs."""
    walls, cpus = [], []
    for _ in range(runs):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def main() -> None:
    """Run the benchmark and print its rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--activities", type=int, default=500)
    parser.add_argument("--replications", type=int, default=10_000)
    asked = parser.parse_args()
    count, replications = asked.activities, asked.replications
    system = compiled(programme(count))
    simulate(system, 64, 1)
    wall, cpu = best(lambda: simulate(system, replications, 1), 5)
    one, one_cpu = best(lambda: simulate(system, replications, 1, threads=1), 3)
    print(f"{replications:,} replications of {count} activities, calendars and crews")
    print(
        f"all cores   {wall:6.2f} s wall, {cpu:5.2f} CPU-s   {wall / BAR:5.2f} x bar of {BAR:g} s"
    )
    print(f"one core    {one:6.2f} s wall, {one_cpu:5.2f} CPU-s   {one / wall:5.2f} x all cores")
    each = one_cpu / (replications * count) * 1e9
    print(f"an activity {each:6.0f} ns: draw, place, both passes, what drives, money, books")
    work = simulate(system, replications, 1).work.astype(np.float64)
    _, vectors = best(lambda: forward_in_numpy(system, work), 3)
    print(f"numpy       {vectors:6.2f} CPU-s, dates only, no calendars, no crews"
          f"   {vectors / one_cpu:5.2f} x ours")  # fmt: skip
    _, plain = best(lambda: schedule_in_python(system, work[:, 0].tolist()), 3)
    print(f"Python      {plain * replications:6.0f} CPU-s, dates with crews, no calendars"
          f"   {plain * replications / one_cpu:5.0f} x ours")  # fmt: skip


if __name__ == "__main__":
    main()
