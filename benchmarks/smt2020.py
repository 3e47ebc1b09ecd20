"""SMT2020 dataset 1 (HV/LM): how fast a fab of 1,043 tools is simulated, and how near AutoSched.

The tables are read from ``../shared/data/smt2020`` (D. Kopp, M. Hassoun, A. Kalir, L. Moench,
IEEE Transactions on Semiconductor Manufacturing 33(4), 522-531, 2020); they are not part of this
repository. Bars: 0.8 CPU-s for 90 days, 12 CPU-s for four years; cycle times within 2 % and WIP
within 1.5 % of AutoSched. docs/explanation/smt2020.md says where the reference comes from.

Usage: python benchmarks/smt2020.py [--data FOLDER_OR_TAR] [--replications 1] [--days 1460]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import firsttoken
from firsttoken.chain.ports import Resolver
from firsttoken.line.compile import compile_line
from firsttoken.line.result import LineResult
from firsttoken.line.simulate import simulate
from firsttoken.line.system import System

DAY = 86400.0
WARMUP = 365.0
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "smt2020" / "SMT2020_HVLM.tar.xz"
TWIN = """twin: smt2020
start: 2018-01-01
horizon: 1460 day
replications: 1
seed: 1
line:
  fab:
    tables: {tables}
    warmup: {warmup} day
    report: quarter
"""

SHORT_BAR, LONG_BAR = 0.8, 12.0
"""CPU-s of 90 days and of four years."""

PEERS = {"AutoSched AP 11.3": 2162.0, "best open engine known": 25.5}
"""Seconds of four years, as published, on other machines."""

REFERENCE = {
    "Lot_3": (51.50, "d", 2.0),
    "Lot_4": (28.46, "d", 2.0),
    "HotLot_3": (31.84, "d", 2.0),
    "HotLot_4": (18.43, "d", 2.0),
    "SuperHotLot_3": (31.82, "d", 2.0),
    "WIP part_3": (1458.11, "lots", 1.5),
    "WIP part_4": (806.64, "lots", 1.5),
    "WIP": (2264.75, "lots", 1.5),
    "finished": (62647.0, "lots", 1.0),
}
"""AutoSched's figures for 2019-2021, their unit, and the bar in per cent.

WIP and finished lots are those of its reports; cycle times of regular lots follow from the WIP of
each part by Little's law, those of hot lots from the differences another engine reports.
"""


@contextlib.contextmanager
def tables(data: Path) -> Iterator[Path]:
    """The folder of tables, unpacked if it is an archive."""
    if data.is_dir():
        yield data
        return
    with tempfile.TemporaryDirectory() as folder, tarfile.open(data) as archive:
        archive.extractall(folder, filter="data")
        yield next(path.parent for path in Path(folder).rglob("part.txt"))


def fab(folder: Path, warmup: float) -> System:
    """The compiled line."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "twin.yaml"
        path.write_text(TWIN.format(tables=folder, warmup=f"{warmup:g}"))
        twin = firsttoken.load(path)
        return compile_line(twin, "fab", Resolver(twin))


def timed(system: System, days: float, seed: int = 1) -> tuple[LineResult, float]:
    """One replication on one core, and its CPU-s."""
    start = time.process_time()
    result = simulate(system, 1, seed, threads=1, horizon=days * DAY)
    return result, time.process_time() - start


def figures(system: System, result: LineResult) -> dict[str, float]:
    """Measured figures by the names of REFERENCE, means over replications."""
    found: dict[str, float] = {}
    names = system.names
    for index, name in enumerate(names.classes):
        found[name] = float(result.cycle_mean[:, index].mean()) / DAY
        part = f"WIP {names.products[names.class_product[index]]}"
        found[part] = found.get(part, 0.0) + float(result.wip[:, index].mean())
    found["WIP"] = float(result.wip.sum(axis=1).mean())
    found["finished"] = float(result.finished.sum(axis=1).mean())
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--replications", type=int, default=1)
    parser.add_argument("--days", type=float, default=1460.0)
    given = parser.parse_args()
    if given.days <= WARMUP:
        parser.error(f"--days must be more than the {WARMUP:g} days of warm-up")
    if not given.data.exists():
        print(f"the SMT2020 tables are not at {given.data}: name them with --data")
        return 3
    with tables(given.data) as folder:
        short = fab(folder, 0.0)
        timed(short, 1.0)  # compile, or load what was compiled
        result, cpu = timed(short, 90.0)
        print(f"90 days: {cpu:.2f} CPU-s, {cpu / SHORT_BAR:.2f} of the bar; ", end="")
        print(f"{result.events[0] / cpu / 1e6:.2f} M events/s")
        system = fab(folder, WARMUP)
    result, cpu = timed(system, given.days)
    print(f"{given.days:g} days: {cpu:.2f} CPU-s, {cpu / LONG_BAR:.2f} of the bar; ", end="")
    print(
        f"{result.events[0] / cpu / 1e6:.2f} M events/s, {result.steps_done[0] / 1e6:.2f} M steps"
    )
    for name, seconds in PEERS.items():
        print(f"  {name}: {seconds:g} s, {seconds / cpu:.1f} times as long")
    if given.replications > 1:
        result = simulate(system, given.replications, 1, horizon=given.days * DAY)
    print(f"{given.replications} replication(s) from seed 1; WIP varies by 1.3 % from seed to seed")
    print(f"{'':14} {'measured':>10} {'AutoSched':>10} {'differs':>8}  bar")
    measured = figures(system, result)
    for name, (value, _, bar) in REFERENCE.items():
        off = 100.0 * (measured[name] / value - 1.0)
        verdict = "" if abs(off) <= bar else "  missed"
        print(f"{name:14} {measured[name]:10.2f} {value:10.2f} {off:+7.2f} %  {bar:g} %{verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
