"""How good a forecast from a state is: a 10-station line, 10 takts ahead.

Ten stations in a row that break down, limited buffers between them.  From many states that the
line really comes into, the number of parts finished within the next ten takts is forecast in two
ways: by simulation from the state, and by the mean of the steady state, the best that can be said
without knowing the state.  Bars:

- the root-mean-square error of the first is at least 30 % less than that of the second;
- a central 90 % interval of the futures covers what happens in 88 to 93 % of the cases;
- 1,000 futures from a snapshot take less than 2 s.

What is compared with what: the *truth* of a state is the way that the simulated line went on.  The
forecast knows the state at the moment - which parts are where, which stations are down, how long
work, repairs and uptimes have lasted - but not what the simulation had drawn already: when these
end is drawn anew in every future, given how long they have lasted (`line.engine_redraw`), and all
later numbers come from another seed.  A forecast that keeps the drawn ends looks into the future;
its error is printed too, for what it would claim.

Counts are discrete, so no interval of counts covers 90 % exactly.  Coverage is therefore that of
the randomised probability integral transform (`line.forecast.randomised_pit`; Czado, Gneiting and
Held, Biometrics 65 (2009) 1254-1261), which is even exactly if a forecast is right.  The coverage
of the plain interval from P5 to P95 of the futures, ends included, is printed beside it.

How much a state is worth depends on how long what one sees lasts.  The bars are for lines whose
repairs take eight takts in the mean, about as long as the horizon; a line with repairs of half
that length is measured beside them, without bars.

Usage: python benchmarks/line_forecast.py [--states 600] [--futures 50]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.line.lines import compiled

from firsttoken.kernel.statistics import quantiles
from firsttoken.line.forecast import covered, forecast, randomised_pit
from firsttoken.line.result import Floats, Integers
from firsttoken.line.simulate import simulate, snapshot
from firsttoken.line.system import System

STATIONS, TAKTS = 10, 10
HOUR, DAY = 3600.0, 86400.0
SETTLED = 1 * DAY
"""Time from the empty line to the states: some 600 takts."""

CUT, COVERED, SECONDS = 0.30, (0.88, 0.93), 2.0


@dataclass(frozen=True)
class Case:
    """A line: times of every station, places between two, and whether the bars are for it."""

    name: str
    time: str
    mtbf: str
    mttr: str
    places: int
    bars: bool = True


CASES = (
    Case("exponential times", "exponential(1) min", "exponential(100) min",
         "exponential(20) min", 10),
    Case("gamma times, cv 0.5", "gamma(4, 0.25) min", "exponential(100) min",
         "exponential(20) min", 10),
    Case("exponential times, repairs half as long", "exponential(1) min", "exponential(50) min",
         "exponential(10) min", 10, bars=False),
)  # fmt: skip


def line(case: Case) -> System:
    """The compiled line."""
    stations = "".join(
        f"  s{i}: {{time: '{case.time}'{f', buffer: {case.places}' if i else ''}, failures: "
        f"{{f: {{mtbf: '{case.mtbf}', mttr: '{case.mttr}'}}}}}}\n"
        for i in range(STATIONS)
    )
    text = f"stations:\n{stations}products: {{p: {{releases: {{all: {{backlog: 1}}}}}}}}\n"
    with tempfile.TemporaryDirectory() as folder:
        return compiled(Path(folder), text, "horizon: 4 day")


def rms(errors: Floats) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(errors))))


def measure(case: Case, states: int, futures: int) -> bool:
    """Print what one line gives, and whether it is within the bars."""
    system = line(case)
    long = simulate(replace(system, warmup=SETTLED), 60, 101)
    takt = 1 / float(long.throughput.sum(axis=1).mean())
    end = SETTLED + TAKTS * takt
    system = replace(system, edges=np.array([0.0, SETTLED, end]), horizon=end)
    steady = float(simulate(system, 4000, 102).period_finished[:, 1, 0].mean())
    truth = simulate(system, states, 7).period_finished[:, 1, 0]
    snapshots = [snapshot(system, 7, r, SETTLED) for r in range(states)]
    paths: Integers = np.array(
        [forecast(system, s, 8, futures=futures).total[:, 0] for s in snapshots]
    )
    knowing = np.array(
        [
            simulate(system, 20, 8, initial_state=s).period_finished[:, 1, 0].mean()
            for s in snapshots
        ]
    )
    begin = time.perf_counter()
    forecast(system, snapshots[0], 9, futures=1000)
    seconds = time.perf_counter() - begin

    without = rms(truth - steady)
    cut = 1 - rms(truth - paths.mean(axis=1)) / without
    looking = 1 - rms(truth - knowing) / without
    uniform = np.random.default_rng(1).uniform(size=states)
    share = covered(randomised_pit(paths, truth, uniform))
    low, high = quantiles(paths.T, (0.05, 0.95))
    plain = float(np.mean((truth >= low) & (truth <= high)))
    passed = cut >= CUT and COVERED[0] <= share.estimate <= COVERED[1] and seconds < SECONDS
    print(f"{case.name}: takt {takt:.1f} s, {steady:.2f} parts in {TAKTS} takts, {states} states")
    print(f"  RMSE without the state    {without:6.2f} parts")
    print(f"  RMSE from the state       {without * (1 - cut):6.2f} parts, {cut:.1%} less"
          f"  (bar {CUT:.0%}: {cut / CUT:.2f} x)")  # fmt: skip
    print(f"  coverage of 90 %          {share.estimate:6.1%} ({share.low:.1%} to {share.high:.1%})"
          f"  (bar {COVERED[0]:.0%} to {COVERED[1]:.0%})")  # fmt: skip
    print(f"  ... of P5 to P95, ends in {plain:6.1%}")
    print(f"  if it knew what is drawn  {looking:6.1%} less: a look into the future, not a result")
    print(f"  1,000 futures             {seconds:6.2f} s  (bar {SECONDS:g} s: "
          f"{SECONDS / seconds:.1f} x)")  # fmt: skip
    return passed or not case.bars


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--states", type=int, default=600, help="states to forecast from")
    parser.add_argument("--futures", type=int, default=50, help="futures from each state")
    options = parser.parse_args()
    simulate(line(CASES[0]), 1, 1, horizon=HOUR)  # compile
    passed = [measure(case, options.states, options.futures) for case in CASES]
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
