"""Lines whose answers are known, held against simulations.

Every simulation has the same fixed seed.  Where no closed form is at hand, the answer is that of a
Markov chain solved in the test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.line.chains import (
    bernoulli_line,
    deterministic_pair,
    expected,
    mean_value_analysis,
    serial_line,
    stationary,
    unreliable_pair,
)
from tests.line.evidence import agrees, run_line

SATURATED = "products: {part: {releases: {saturated: {backlog: 1}}}}\n"


def stations(times: Sequence[str], buffers: Sequence[int]) -> str:
    """Stations `s0`, `s1`, ... in series; the first has no buffer limit."""
    rows = [
        f"  s{i}: {{{time}{f', buffer: {buffers[i - 1]}' if i else ''}}}"
        for i, time in enumerate(times)
    ]
    return "warmup: 500 s\nstations:\n" + "\n".join(rows) + "\n"


# Saturated lines, blocking after service.


@pytest.mark.parametrize(
    ("rates", "buffers"),
    [
        ((1, 1, 1, 1), (0, 0, 0)),
        ((1, 1, 1, 1, 1), (0, 0, 0, 0)),
        ((1.0, 0.8, 1.25), (1, 3)),
        ((0.9, 1.1, 0.9, 1.2), (2, 0, 4)),
    ],
)
def test_exponential_lines(
    tmp_path: Path, rates: tuple[float, ...], buffers: tuple[int, ...]
) -> None:
    times = [f"time: exponential({1 / rate!r}) s" for rate in rates]
    m = run_line(tmp_path, stations(times, buffers) + SATURATED, "20000 s")
    agrees(m.measure("throughput"), serial_line(rates, buffers), 0.004)


def test_a_line_is_as_fast_backwards(tmp_path: Path) -> None:
    # Reversibility: Yamazaki, Sakasegawa (1975); Muth, Management Science 25 (1979) 152-158.
    times = ["time: 1 s", 'time: "uniform(0, 2) s"', "time: exponential(1) s", "time: 1.1 s"]
    buffers = [0, 2, 1]
    rates = []
    for order in (1, -1):
        line = stations(times[::order], buffers[::order]) + SATURATED
        rates.append(run_line(tmp_path, line, "20000 s").measure("throughput"))
    agrees(rates[0] - rates[1] + 1.0, 1.0, 0.002)


def test_constant_times_move_in_step(tmp_path: Path) -> None:
    # All blocked and moved in the same instant, whatever the order of the events.
    line = stations(["time: 2 s"] * 5, [0] * 4) + SATURATED
    m = run_line(tmp_path, line.replace("500 s", "501 s"), "10501 s", 2)
    assert np.all(m.result.finished == 5000)
    assert np.all(m.measure("cycle_time") == 12.0)  # 5 steps and one cycle in the backlog


@pytest.mark.parametrize(("failure", "repair", "buffer"), [(0.01, 0.1, 100), (0.05, 0.2, 3)])
def test_unreliable_pairs(tmp_path: Path, failure: float, repair: float, buffer: int) -> None:
    machine = (
        "time: exponential(1) s, failures: {stop: {counts: operation, "
        f"mtbf: exponential({1 / failure!r}) s, mttr: exponential({1 / repair!r}) s}}}}"
    )
    m = run_line(tmp_path, stations([machine] * 2, [buffer]) + SATURATED, "60000 s")
    agrees(m.measure("throughput"), unreliable_pair(1.0, failure, repair, buffer), 0.006)


def test_failures_in_the_course_of_work_are_geometric_in_cycles(tmp_path: Path) -> None:
    # The case `line_21_deterministic_4` in other words: work is a cycle, and with probability p the
    # repair of D cycles before it; here p = 0.05, r = 0.25, N = 5.
    p, r, places = 0.05, 0.25, 5
    law = [1 - p] + [p * r * (1 - r) ** k for k in range(60)]
    law[-1] += 1 - sum(law)
    time = ", ".join(f"{1 + k}: {chance:.9g}" for k, chance in enumerate(law))
    machine = f'time: "discrete({time}) s"'
    m = run_line(tmp_path, stations([machine] * 2, [places - 2]) + SATURATED, "30000 s")
    agrees(m.measure("throughput"), deterministic_pair(p, r, places), 0.003)


def test_a_bernoulli_line_of_three(tmp_path: Path) -> None:
    # Declared as in `line_19_bernoulli_5`; here with different machines and buffers.
    up, places = (0.9, 0.8, 0.85), (2, 3)
    rows, pools, route = [], [], []
    for i, p in enumerate(up):
        law = [p * (1 - p) ** k for k in range(16)]
        law[-1] += 1 - sum(law)
        tries = ", ".join(f"{k}: {chance:.9g}" for k, chance in enumerate(law))
        delay = "transport: 1 s, " if i else ""
        rest = "maintenance: {slot: {every_loads: 1, takes: 1 s}}"
        rows.append(f'  s{i}: {{time: "discrete({tries}) s", {delay}{rest}}}\n')
        held = f", holds: {{p{i}: {{until: s{i + 1}}}}}" if i < len(places) else ""
        route.append(f"      - {{station: s{i}{held}}}\n")
    pools = [f"  p{i}: {{count: {count}}}\n" for i, count in enumerate(places)]
    line = (
        "warmup: 300 s\npools:\n"
        + "".join(pools)
        + "stations:\n"
        + "".join(rows)
        + "products:\n  part:\n    releases: {saturated: {backlog: 1}}\n    route:\n"
        + "".join(route)
    )
    m = run_line(tmp_path, line, "20000 s")
    agrees(m.measure("throughput"), bernoulli_line(up, places), 0.002)


# One station that cannot work all the time.


def test_a_station_with_two_kinds_of_failure(tmp_path: Path) -> None:
    # Buzacott: with operation-dependent failures the rate is 1 / (1 + sum of MTTR / MTBF).
    line = (
        "warmup: 500 s\nstations:\n  s:\n    time: 1 s\n    failures:\n"
        "      short: {counts: operation, mtbf: exponential(40) s, mttr: exponential(4) s}\n"
        '      long: {counts: operation, mtbf: "weibull(2, 300) s", mttr: "lognormal(60, 30) s"}\n'
    )
    m = run_line(tmp_path, line + SATURATED, "200000 s")
    share = 4 / 40 + 60 / (300 * math.gamma(1.5))
    agrees(m.measure("throughput"), 1 / (1 + share), 0.005)
    agrees(1 - m.measure("availability s"), share / (1 + share), 0.02)


def test_the_rate_of_a_station_that_fails_by_the_clock_is_its_availability(tmp_path: Path) -> None:
    line = (
        "warmup: 500 s\nstations:\n  s:\n    time: 1 s\n    failures:\n"
        "      stop: {mtbf: exponential(40) s, mttr: exponential(10) s}\n"
    )
    m = run_line(tmp_path, line + SATURATED, "100000 s")
    agrees(m.measure("throughput"), 0.8, 0.006)


def test_maintenance_by_pieces_takes_its_share(tmp_path: Path) -> None:
    # 25 loads of 4 pieces, 2 s each, then 10 s: 25 loads in 60 s, to the second.
    line = """
    stations: {s: {time: 2 s, maintenance: {clean: {every_pieces: 100, takes: 10 s}}}}
    products: {part: {pieces: 4, releases: {saturated: {backlog: 1}}}}
    """
    m = run_line(tmp_path, line, "60001 s", 2)
    assert np.all(m.result.finished == 25 * 1000)
    np.testing.assert_allclose(m.result.state_time[:, 0, 5], 10_000 / 60_001)


# Pull.


@pytest.mark.parametrize("lots", [1, 3, 8])
def test_conwip_is_a_closed_network(tmp_path: Path, lots: int) -> None:
    times = [1.0, 0.5, 1.5, 1.0]
    line = (
        "warmup: 500 s\nstations:\n"
        + "".join(f"  s{i}: {{time: exponential({t}) s}}\n" for i, t in enumerate(times))
        + f"products: {{part: {{releases: {{cards: {{wip: {lots}}}}}}}}}\n"
    )
    m = run_line(tmp_path, line, "30000 s")
    rate, cycles = mean_value_analysis(times, lots)
    agrees(m.measure("throughput"), rate, 0.008)
    agrees(m.measure("cycle_time"), sum(cycles), 0.008)
    np.testing.assert_allclose(m.measure("wip"), lots)
    for i, cycle in enumerate(cycles):
        waiting = rate * (cycle - times[i])
        if waiting > 0.01:
            agrees(m.measure(f"queue s{i}"), waiting, 0.04)


def test_machine_repair_as_a_closed_line(tmp_path: Path) -> None:
    # Eight machines, two repairmen: lots that alternate between running and repair.
    line = """
    warmup: 500 s
    stations:
      running: {servers: 8, time: exponential(20) s}
      repair: {servers: 2, time: exponential(5) s}
    products: {machine: {releases: {machines: {wip: 8}}}}
    """
    m = run_line(tmp_path, line, "60000 s")
    weights = [1.0]
    for k in range(8):  # k machines down, one more fails
        weights.append(weights[-1] * (8 - k) / 20 * 5 / min(k + 1, 2))
    up = sum(w * (8 - k) for k, w in enumerate(weights)) / sum(weights)
    agrees(m.result.state_time[:, 0, 1], up, 0.006)
    agrees(m.measure("throughput"), up / 20, 0.01)


@pytest.mark.parametrize(("lots", "buffers"), [(3, (1, 1)), (4, (0, 2)), (6, (1, 0))])
def test_conwip_with_finite_buffers(tmp_path: Path, lots: int, buffers: tuple[int, ...]) -> None:
    # A cyclic line with blocking after service: a lot that is shipped makes room for another.
    times = ["time: exponential(1) s", "time: exponential(0.9) s", "time: exponential(1.2) s"]
    pull = f"products: {{part: {{releases: {{cards: {{wip: {lots}}}}}}}}}\n"
    m = run_line(tmp_path, stations(times, buffers) + pull, "20000 s")
    exact = serial_line((1, 1 / 0.9, 1 / 1.2), buffers, lots)
    agrees(m.measure("throughput"), exact, 0.006)


# Assembly.


def test_a_kanban_of_trays_before_an_assembly_is_a_buffer(tmp_path: Path) -> None:
    # Trays are made while fewer than K are in stock or in work: M/M/1/(K + 1), so that with equal
    # rates the assembly makes (K + 1) / (K + 2).
    line = """
    warmup: 500 s
    stations:
      make: {time: exponential(1) s}
      join: {time: exponential(1) s}
    products:
      tray: {route: [{station: make}], releases: {kanban: {stock: 3}}}
      rack:
        route: [{station: join, consumes: {tray: 1}}]
        releases: {saturated: {backlog: 1}}
    """
    m = run_line(tmp_path, line, "30000 s")
    racks = m.by_class("finished", m.names.classes[1]) / m.result.time
    agrees(racks, 4 / 5, 0.005)
    # In stock at 1..4 of the chain's 5 equally likely states: one less than the state.
    agrees(m.result.stock[:, 0], (0 + 1 + 2 + 3) / 5, 0.01)
    agrees(m.result.product_short[:, 0], 1 / 5, 0.02)


def test_kitting_of_two_components(tmp_path: Path) -> None:
    # Two trays and one switch a rack, each made to a stock; a chain of (trays, switches, busy).
    line = """
    warmup: 500 s
    stations:
      trays: {time: exponential(0.5) s}
      switches: {time: exponential(0.8) s}
      join: {time: exponential(1) s}
    products:
      tray: {route: [{station: trays}], releases: {kanban_t: {stock: 4}}}
      switch: {route: [{station: switches}], releases: {kanban_s: {stock: 2}}}
      rack:
        route: [{station: join, consumes: {tray: 2, switch: 1}}]
        releases: {saturated: {backlog: 1}}
    """
    m = run_line(tmp_path, line, "30000 s")

    def begin(trays: int, switches: int, busy: int) -> tuple[int, int, int]:
        if not busy and trays >= 2 and switches >= 1:
            return trays - 2, switches - 1, 1
        return trays, switches, busy

    def moves(state: tuple[int, int, int]) -> Iterable[tuple[Any, float]]:
        trays, switches, busy = state
        if trays < 4:
            yield begin(trays + 1, switches, busy), 2.0
        if switches < 2:
            yield begin(trays, switches + 1, busy), 1.25
        if busy:
            yield begin(trays, switches, 0), 1.0

    chain = stationary((0, 0, 0), moves)
    racks = m.by_class("finished", "saturated") / m.result.time
    agrees(racks, expected(chain, lambda s: s[2]), 0.005)
    agrees(m.result.stock[:, 0], expected(chain, lambda s: s[0]), 0.01)
    agrees(m.result.stock[:, 1], expected(chain, lambda s: s[1]), 0.01)


# Cascade tools and shared slots.


def test_a_cascade_tool_takes_a_load_every_interval(tmp_path: Path) -> None:
    # M/D/1 in the interval: the wait is that of service times of 1 s, the stay 10 s longer.
    line = """
    warmup: 500 s
    stations: {s: {time: 10 s, interval: 1 s}}
    products: {part: {releases: {parts: {every: exponential(1.25) s}}}}
    """
    m = run_line(tmp_path, line, "100000 s")
    agrees(m.measure("wait s"), 2.0, 0.02)
    agrees(m.measure("cycle_time"), 12.0, 0.005)


def test_slots_held_over_several_steps_limit_them_together(tmp_path: Path) -> None:
    # Five slots for two steps: a closed network of five lots in front of which others wait, so a
    # saturated line does what CONWIP does with five.
    line = """
    warmup: 500 s
    pools: {slots: {count: 5}}
    stations:
      gate: {servers: 5, time: 0 s}
      a: {time: exponential(1) s}
      b: {time: exponential(0.8) s}
    products:
      rack:
        route: [{station: gate, holds: {slots: {until: b}}}, {station: a}, {station: b}]
        releases: {saturated: {backlog: 1}}
    """
    m = run_line(tmp_path, line, "30000 s")
    agrees(m.measure("throughput"), mean_value_analysis([1.0, 0.8], 5)[0], 0.006)
    np.testing.assert_allclose(m.result.pool_used[:, 0], 5.0)
