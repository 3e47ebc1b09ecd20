"""What work shares: people with skills, budgets, crews of repairs, held slots; known answers.

Every simulation has the same fixed seed.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tests.line.evidence import agrees, run_line

from firsttoken.line.simulate import DeadlockError


def erlang_wip(load: float, servers: int) -> float:
    """Mean number in M/M/c (Erlang's formula C)."""
    tail = load**servers / math.factorial(servers) / (1 - load / servers)
    late = tail / (tail + sum(load**k / math.factorial(k) for k in range(servers)))
    return load + late * load / (servers - load)


def test_whoever_has_the_skill_serves_the_one_who_waits(tmp_path: Path) -> None:
    # Two people of different pools share a skill that two stations need: M/M/2.
    line = """
    warmup: 1000 s
    pools: {anna: {count: 1, skills: [weld]}, bert: {count: 1, skills: [weld]}}
    stations:
      s: {servers: 200, time: exponential(1) s, crew: {weld: 1}}
      t: {servers: 200, time: exponential(1) s, crew: {weld: 1}}
    products:
      a: {route: [{station: s}], releases: {a: {every: exponential(1.25) s}}}
      b: {route: [{station: t}], releases: {b: {every: exponential(1.25) s}}}
    """
    m = run_line(tmp_path, line, "60000 s")
    agrees(m.measure("wip"), erlang_wip(1.6, 2), 0.025)
    agrees(m.result.pool_used.sum(axis=1), 1.6, 0.006)


def test_lots_with_different_needs_do_not_wait_for_each_other(tmp_path: Path) -> None:
    # At one station with servers to spare: two products with a person each are M/M/1 each, and one
    # that needs nobody never waits.
    line = """
    warmup: 1000 s
    pools: {anna: {count: 1}, bert: {count: 1}}
    stations: {s: {servers: 200, time: exponential(1) s}}
    products:
      a: {route: [{station: s, crew: {anna: 1}}], releases: {a: {every: exponential(1.25) s}}}
      b: {route: [{station: s, crew: {bert: 1}}], releases: {b: {every: exponential(1.25) s}}}
      c: {route: [{station: s}], releases: {c: {every: exponential(1) s}}}
    """
    m = run_line(tmp_path, line, "60000 s")
    agrees(m.by_class("wip", "a"), 4.0, 0.04)
    agrees(m.by_class("wip", "b"), 4.0, 0.04)
    agrees(m.by_class("wip", "c"), 1.0, 0.01)


def test_a_person_of_two_stations_wakes_whoever_can_start(tmp_path: Path) -> None:
    # As before with set-ups that take no time, and each person shared with another station: what
    # needs a person is M/M/1 of load 0.8 in all.
    line = """
    warmup: 1000 s
    pools: {anna: {count: 1}, bert: {count: 1}}
    stations:
      s: {servers: 200, time: exponential(1) s}
      t: {servers: 200, time: exponential(1) s, crew: {anna: 1}}
      u: {servers: 200, time: exponential(1) s, crew: {bert: 1}}
    products:
      a:
        route: [{station: s, setup: a, crew: {anna: 1}}]
        releases: {a: {every: exponential(2.5) s}}
      b:
        route: [{station: s, setup: b, crew: {bert: 1}}]
        releases: {b: {every: exponential(2.5) s}}
      c: {route: [{station: t}], releases: {c: {every: exponential(2.5) s}}}
      d: {route: [{station: u}], releases: {d: {every: exponential(2.5) s}}}
    """
    m = run_line(tmp_path, line, "60000 s")
    agrees(m.by_class("wip", "a") + m.by_class("wip", "c"), 4.0, 0.04)
    agrees(m.by_class("wip", "b") + m.by_class("wip", "d"), 4.0, 0.04)


@pytest.mark.parametrize("counts", ["time", "operation"])
def test_repairs_wait_for_their_crew(tmp_path: Path, counts: str) -> None:
    # Ten machines of two stations, always busy, one repairman: machine repair.
    machine = f"""servers: 5, time: exponential(1) s, failures: {{stop: {{counts: {counts},
        mtbf: exponential(100) s, mttr: exponential(10) s, crew: {{repairman: 1}}}}}}"""
    line = f"""
    warmup: 1000 s
    pools: {{repairman: {{count: 1}}}}
    stations: {{s: {{{machine}}}, t: {{{machine}}}}}
    products:
      a: {{route: [{{station: s}}], releases: {{a: {{backlog: 1}}}}}}
      b: {{route: [{{station: t}}], releases: {{b: {{backlog: 1}}}}}}
    """
    m = run_line(tmp_path, line, "40000 s")
    weights = [math.perm(10, k) * 0.1**k for k in range(11)]
    up = sum(w * (10 - k) for k, w in enumerate(weights)) / 10 / sum(weights)
    agrees((m.measure("availability s") + m.measure("availability t")) / 2, up, 0.008)
    agrees(m.measure("throughput"), 10 * up, 0.008)
    agrees(m.result.pool_used[:, 0], 1 - 1 / sum(weights), 0.008)


def test_lots_that_hold_what_the_other_needs_are_a_deadlock(tmp_path: Path) -> None:
    line = """
    pools: {x: {count: 1}, y: {count: 1}}
    stations:
      a: {servers: 2, time: 1 s}
      b: {servers: 2, time: 1 s}
      c: {time: 1 s}
    products:
      p:
        route:
          - {station: a, holds: {x: {until: c}}}
          - {station: b, holds: {y: {until: c}}}
          - {station: c}
        releases: {p: {backlog: 1}}
      q:
        route:
          - {station: a, holds: {y: {until: c}}}
          - {station: b, holds: {x: {until: c}}}
          - {station: c}
        releases: {q: {wip: 2}}
    """
    with pytest.raises(DeadlockError, match="b"):
        run_line(tmp_path, line, "1000 s", 2)


def test_short_windows_see_the_part_of_repairs_and_set_ups_that_lies_in_them(
    tmp_path: Path,
) -> None:
    # Down from 9 s to 24 s and from 33 s to 48 s; the window is 20 s to 40 s.
    line = """
    warmup: 20 s
    stations:
      s: {time: 1 s, failures: {stop: {counts: operation, mtbf: 9 s, mttr: 15 s}}}
      t: {setups: [{to: blue, time: 30 s}]}
    products:
      part: {route: [{station: s}], releases: {part: {backlog: 1}}}
      kit: {route: [{station: t, setup: blue, time: 2 s}], releases: {kit: {backlog: 1}}}
    """
    m = run_line(tmp_path, line, "40 s", 2)
    np.testing.assert_allclose(m.result.state_time[0, 0] * 20, [0, 9, 0, 0, 11, 0, 0, 0])
    np.testing.assert_allclose(m.result.state_time[0, 1] * 20, [0, 10, 10, 0, 0, 0, 0, 0])
