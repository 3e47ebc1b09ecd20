"""The cooling plant of a large site, step by step, against published models of such plants.

Run with ``python benchmarks/facility_cooling.py``.  The plant has 257 CDUs, as many as Summit's has
of its kind, 200 air units and 1,028 racks, every one of them a row; dry coolers, towers and
chillers.  CPU seconds of one thread, least of several rounds; a plain loop of Python shows how fast
the machine is.

Published: a Modelica model (FMU) of Summit's cooling takes 79 s for 60 s of it, that is 20 s for
each of its 15 s steps; a neural surrogate of it 4.1 ms a step on an accelerator.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from time import process_time

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.facility.cooling_sites import Plant

BAR = 0.5e-3
FMU = 79.0 / 4.0
SURROGATE = 4.1e-3
ROUNDS, STEPS = 7, 200

SITE = """
racks: {gb: {count: 1028, cooled_by: row, air_by: crah, power: 135 kW, liquid: 0.85}}
cdus: {row: {count: 257, rating: 600 kW, water: fws, approach: 4 K, supply: 34 degC}}
air_units: {crah: {count: 200, rating: 130 kW, water: fws, supply: 36 degC}}
loops: {fws: {supply: 30 degC, coolers: [dry, tower, chill]}}
dry_coolers: {dry: {count: 150, rating: 1.1 MW}}
towers: {tower: {count: 5, rating: 10 MW}, cond: {count: 5, rating: 10 MW, range: 5 K}}
chillers: {chill: {count: 20, rating: 5 MW, rejects_to: cond}}
"""


def reference_loop() -> float:
    """CPU seconds of a million additions in plain Python."""
    start = process_time()
    total = 0
    for i in range(1_000_000):
        total += i
    return process_time() - start


def main() -> None:
    """Print the time of a step and its ratios."""
    with tempfile.TemporaryDirectory() as folder:
        plant = Plant(Path(folder), SITE, "unit")
    rng = np.random.default_rng(1)
    racks = len(plant.racks)
    plant.liquid[:] = 135e3 * 0.85
    plant.air[:] = 135e3 * 0.15
    plant.flow[:] = plant.liquid * 1.5 / 6e7
    plant.step(60.0, 32.0, 22.0)
    best, worst_error = np.inf, 0.0
    for _ in range(ROUNDS):
        loads = rng.uniform(0.4, 1.0, (STEPS, racks)) * 135e3
        start = process_time()
        for i in range(STEPS):
            plant.liquid[:] = loads[i] * 0.85
            plant.air[:] = loads[i] * 0.15
            error = plant.step(60.0, 25.0 + 10.0 * i / STEPS, 18.0 + 4.0 * i / STEPS)
            worst_error = max(worst_error, error)
        best = min(best, (process_time() - start) / STEPS)
    rows = len(plant.system)
    print(
        f"reference: a million additions in Python {min(reference_loop() for _ in range(5)):.3f} s"
    )
    print(f"{rows} rows, {racks} racks, loads that jump at every step of 60 s")
    print(f"a step: {best * 1e6:.0f} us, {best / (rows + racks) * 1e9:.0f} ns a row and rack")
    print(f"against the bar of {BAR * 1e3} ms: {BAR / best:.1f} x")
    print(f"against the FMU, {FMU:.0f} s a step: {FMU / best:,.0f} x")
    print(f"against the surrogate, {SURROGATE * 1e3} ms a step: {SURROGATE / best:.0f} x")
    print(f"largest error of energy: {worst_error:.1e} of the heat (bar 1e-6)")


if __name__ == "__main__":
    main()
