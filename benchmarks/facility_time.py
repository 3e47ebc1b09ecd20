"""How fast sites are simulated, to the budgets and to RAPS, and how much memory that takes.

``day``: one day at 1 s steps of 9,600 nodes in 75 racks with every rack, CDU and power unit, jobs
and cooling; bar 10 CPU-s and 1 GB.  ``year``: one year of the same site at 1 min; bar 60 CPU-s.
``giant``: 600,000 GPUs in 8,334 racks, one day at 60 s, every rack, CDU and breaker; bar 30 CPU-s.
Each runs in a process of its own; the time is that of simulating, compiled code being cached, the
best of three.

RAPS (ORNL, exascale twin of Frontier, 9,600 nodes) on the machine on which the bars were set: a
day at 1 s was not done after 583 s and held 22.96 GB; a day at 15 s without cooling ran at 4,490 x
real time, 19.2 s; 600,000 GPUs at 740 x real time.

Usage: python benchmarks/facility_time.py [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DAY = 86400.0
BARS = {"day": (10.0, 1000.0), "year": (60.0, None), "giant": (30.0, None)}
RAPS = {"day": 583.0, "year": 365 * DAY / 4490, "giant": DAY / 740}
"""CPU seconds of the peer for the same: what it had used without end, or by its rate."""
RACKS = {"day": 75, "year": 75, "giant": 8334}
SPANS = {"day": ("1 day", "1 s"), "year": ("365 day", "1 minute"), "giant": ("1 day", "60 s")}
NODES = 128

SITE = """
twin: benchmark
start: 2026-07-01
horizon: {horizon}
facility:
  x:
    detail: unit
    step: {step}
    weather: weather.csv
    feeds: {{grid: {{count: {feeds}}}}}
    transformers:
      main:
        {{from: grid, rating: 4 MW, count: {transformers}, no_load_loss: 5 kW, load_loss: 40 kW}}
    ups:
      u: {{from: main, rating: 1 MW, count: {ups}, efficiency: {{25: 0.95, 50: 0.965, 100: 0.97}}}}
    boards: {{breaker: {{from: u, count: {racks}, rating: 200 kW}}}}
    racks:
      r:
        count: {racks}
        power: 135 kW
        idle: 40 kW
        from: breaker
        cooled_by: cdu
        air_by: crah
        liquid: 0.85
        warmest: 45 degC
        nodes: {nodes}
        jobs: jobs.csv
    cdus: {{cdu: {{water: fws, rating: 1.3 MW, count: {cdus}, from: main}}}}
    air_units: {{crah: {{water: fws, rating: 200 kW, count: {air}, from: main}}}}
    loops: {{fws: {{supply: 28 degC, coolers: [dry, chiller], from: main, pumps: {{}}}}}}
    dry_coolers: {{dry: {{rating: 1.2 MW, count: {dry}, from: main}}}}
    chillers: {{chiller: {{rating: 1.5 MW, count: {dry}, from: main}}}}
"""


def declare(case: str, folder: Path) -> None:
    """Write the twin of a case, its weather and its jobs."""
    racks, (horizon, step) = RACKS[case], SPANS[case]
    megawatts = racks * 0.135
    text = SITE.format(
        horizon=horizon, step=step, racks=racks, nodes=NODES,
        feeds=max(1, round(megawatts / 100)), transformers=round(megawatts / 2.5),
        ups=round(megawatts / 0.7), cdus=round(megawatts / 0.8), air=round(megawatts / 0.7),
        dry=round(megawatts / 0.9),
    )  # fmt: skip
    (folder / "twin.yaml").write_text(text)
    hours = np.arange(8760)
    air = 15 + 12 * np.sin(2 * np.pi * (hours / 8760 - 0.3)) + 6 * np.sin(2 * np.pi * hours / 24)
    start = np.datetime64("2026-01-01T00", "h")
    rows = [f"{start + hour}:00,{t:.2f},60" for hour, t in zip(hours.tolist(), air, strict=True)]
    (folder / "weather.csv").write_text("\n".join(["time,dry_bulb,relative_humidity", *rows]))
    jobs(folder / "jobs.csv", racks * NODES, 365 * DAY if case == "year" else DAY)


def jobs(path: Path, nodes: int, span: float) -> None:
    """Jobs of one to a tenth of all nodes for some hours, as long as nodes are free."""
    chance = random.Random(1)
    free, ends, now = nodes, [(0.0, 0)], 0.0
    rows = ["start,end,nodes,load"]
    while now < span:
        size = chance.randint(1, nodes // 10)
        while free < size:
            ends.sort()
            now, given = max(now, ends[0][0]), ends.pop(0)[1]
            free += given
        length = chance.uniform(1.0, 24.0) * 3600.0
        rows.append(f"{now:.0f},{now + length + 1:.0f},{size},{chance.uniform(0.3, 1.0):.3f}")
        ends.append((now + length + 1, size))
        free -= size
        now += chance.uniform(0.0, 600.0)
    path.write_text("\n".join(rows))


def measure(case: str, runs: int) -> dict[str, float]:
    """CPU seconds to simulate (the least of some runs) and to load, and the memory peak, MB."""
    from firsttoken import api
    from firsttoken.chain.ports import Resolver
    from firsttoken.facility.compile import compile_site
    from firsttoken.facility.simulate import simulate

    with tempfile.TemporaryDirectory() as name:
        declare(case, Path(name))
        started = time.process_time()
        twin = api.load(name)
        system = compile_site(twin, "x", Resolver(twin))
        loaded = time.process_time() - started
    used = []
    for _ in range(runs + 1):  # the first compiles, or reads what was
        started = time.process_time()
        simulate(system, 1, 1, threads=1)
        used.append(time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = int(system.fleet.first[-1])
    return {"cpu": min(used[1:]), "load": loaded, "memory": peak, "rows": rows}


def loop_speed() -> float:
    """CPU seconds of a reference loop, to tell how fast the machine is just now."""
    started = time.process_time()
    total = 0.0
    for i in range(5_000_000):
        total += i * 1e-9
    return time.process_time() - started


def main() -> None:
    """Measure all cases, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--case", choices=list(BARS))
    asked = parser.parse_args()
    if asked.case:
        print(json.dumps(measure(asked.case, asked.runs)))
        return
    print(f"reference loop of 5 million additions: {loop_speed():.2f} CPU-s")
    for case, (bar, most) in BARS.items():
        call = [sys.executable, __file__, "--case", case, "--runs", str(asked.runs)]
        done = subprocess.run(call, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        memory = f", {found['memory'] / most:.2f} x bar" if most else ""
        print(
            f"{case:6s} {found['cpu']:7.2f} CPU-s ({found['cpu'] / bar:5.3f} x bar, RAPS took "
            f"{RAPS[case] / found['cpu']:.0f} x as long or more), {found['rows']} rows, loading "
            f"{found['load']:.2f} CPU-s, peak {found['memory']:.0f} MB{memory}"
        )


if __name__ == "__main__":
    main()
