"""Contingencies of a 200 MW site against their budget: every single element in less than 5 s.

The site: 1,404 racks of 132 kW on a 4-to-make-3 system, all units separate.  Two utility feeds, six
main transformers (one redundant), four families of 21 lineups (transformer, standby generator,
transfer switch, three UPS modules, board, six busways), two tap boxes a rack, cooling on its own
lineups.  The reference in the same run solves the whole power flow once a contingency, as a tool
without a network of dependencies must at least.

Then all pairs that can act together (N-2).

Usage: python benchmarks/facility_power.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from firsttoken.chain.ports import Resolver
from firsttoken.facility import model
from firsttoken.facility.power_compile import compile_power
from firsttoken.facility.power_flow import power_flow
from firsttoken.facility.power_loads import compile_loads
from firsttoken.facility.power_pairs import screen_pairs
from firsttoken.facility.power_screen import Case, build_case, screen, single_elements
from firsttoken.facility.power_system import power_values
from firsttoken.facility.slots import Slots
from firsttoken.kernel.parameters import fixed_parameters
from firsttoken.twin.findings import Findings
from firsttoken.twin.loading import load_twin
from firsttoken.twin.parameters import ParameterBuilder
from firsttoken.twin.room import Outcome, Room

BUDGET = 5.0
LINEUPS, RACKS = 21, 234
CURVE = {25: 0.955, 50: 0.968, 75: 0.969, 100: 0.965}
BREAKER = {"limit": 1.05, "hold": "60 s"}


def site() -> dict[str, Any]:
    """The site, declared."""
    found: dict[str, Any] = {
        "feeds": {
            "grid_1": {"rating": "250 MW"},
            "grid_2": {"rating": "250 MW"},
        },
        "generators": {},
        "transformers": {
            "hv_tx": {
                "from": "hv_board",
                "count": 6,
                "needed": 5,
                "rating": "50 MVA",
                "no_load_loss": "25 kW",
                "load_loss": "200 kW",
                "breaker": BREAKER,
            }
        },
        "boards": {
            "hv_board": {"from": ["grid_1", "grid_2"], "count": 1},
            "mv_board": {"from": "hv_tx", "count": 2, "rating": "150 MW", "breaker": BREAKER},
        },
        "transfer_switches": {},
        "ups": {},
        "distribution": {},
        "racks": {},
    }
    for k in range(4):
        _lineup(found, str(k + 1))
    for a, b in combinations(range(4), 2):
        pair = f"{a + 1}{b + 1}"
        for side, lineup in (("a", a), ("b", b)):
            found["distribution"][f"tap_{pair}{side}"] = {
                "from": f"busway_{lineup + 1}",
                "count": RACKS,
                "rating": "150 kW",
                "efficiency": 0.999,
                "breaker": BREAKER,
            }
        found["racks"][f"hall_{pair}"] = {
            "count": RACKS,
            "from": [f"tap_{pair}a", f"tap_{pair}b"],
            "power": "132 kW",
        }
    return found


def _lineup(found: dict[str, Any], k: str) -> None:
    big = {"count": LINEUPS, "breaker": BREAKER}
    found["transformers"][f"tx_{k}"] = {
        **big,
        "from": "mv_board",
        "rating": "3.6 MVA",
        "no_load_loss": "4 kW",
        "load_loss": "32 kW",
    }
    found["generators"][f"gen_{k}"] = {**big, "rating": "3.6 MW", "fuel": "48 hour"}
    found["transfer_switches"][f"ats_{k}"] = {**big, "from": [f"tx_{k}", f"gen_{k}"]}
    found["transfer_switches"][f"ats_{k}"] |= {"rating": "3.6 MW"}
    found["boards"][f"board_{k}"] = {**big, "from": f"ats_{k}", "rating": "3.6 MW"}
    found["ups"][f"ups_{k}"] = {
        **big,
        "from": f"board_{k}",
        "count": 3 * LINEUPS,
        "rating": "1.1 MW",
        "efficiency": CURVE,
        "autonomy": "5 minute",
    }
    found["boards"][f"out_{k}"] = {**big, "from": f"ups_{k}", "rating": "3.3 MW"}
    found["distribution"][f"busway_{k}"] = {
        **big,
        "from": f"out_{k}",
        "count": 6 * LINEUPS,
        "rating": "700 kW",
        "efficiency": 0.995,
    }


def build(folder: Path) -> tuple[Case, np.ndarray[Any, Any]]:
    """The compiled case and its parameters."""
    room = Room(
        "facility",
        model.Facility,
        lambda twin, name, findings: None,
        lambda twin, name, resolve, settings: Outcome(()),
        lambda instance: (),
    )
    data = {"twin": "t", "start": "2026-01-05", "horizon": "10 day", "facility": {"x": site()}}
    (folder / "twin.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    findings = Findings()
    twin = load_twin(folder, {"facility": room}, findings)
    if twin is None:
        raise SystemExit(findings.as_text())
    resolve = Resolver(twin)
    slots = Slots(twin, "x", ParameterBuilder(twin.start, resolve), resolve)
    system = compile_power(slots, "unit")
    loads = compile_loads(slots, system)
    values = fixed_parameters(slots.build.tables()[0])
    return build_case(system, loads, values), values


def cpu(task: Any, runs: int = 3) -> float:
    """CPU seconds of a task, the least of several runs."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        task()
        times.append(time.process_time() - start)
    return min(times)


def main() -> int:
    """Run and print; 1 if over the budget."""
    with tempfile.TemporaryDirectory() as folder:
        case, values = build(Path(folder))
    system, rows = case.system, len(case.system)
    say = sys.stdout.write
    say(f"{rows} elements, {sum(g.units for g in case.loads)} loads\n")
    singles = single_elements(case)
    screen(case, singles[:1])
    found = screen(case, singles)
    seconds = cpu(lambda: screen(case, singles))
    ones = np.ones(rows)
    demand, out, taken, lost = (np.zeros(rows) for _ in range(4))
    numbers = power_values(system, values)
    power_flow(system.grid, numbers, ones, demand, out, taken, lost)

    def reference() -> None:
        for _ in range(rows):
            power_flow(system.grid, numbers, ones, demand, out, taken, lost)

    whole = cpu(reference)
    say(f"N-1: {seconds:.2f} CPU-s, {seconds / rows * 1e6:.0f} us each, budget {BUDGET:.0f} s\n")
    say(f"one whole power flow each: {whole:.2f} CPU-s; ratio {seconds / whole:.2f}\n")
    say(f"elements whose loss takes racks down: {int((found.racks > 0).sum())}\n")
    say(f"events: {int(found.events.sum())}\n")
    screen_pairs(case)
    pairs, both = screen_pairs(case)
    two = cpu(lambda: screen_pairs(case), 1)
    everything = rows * (rows - 1) // 2
    say(f"N-2: {len(pairs)} of {everything} pairs can act together; {two:.2f} CPU-s\n")
    say(f"pairs that take racks down: {int((both.racks > 0).sum())}, most {both.racks.max():.0f}\n")
    return int(seconds > BUDGET)


if __name__ == "__main__":
    raise SystemExit(main())
