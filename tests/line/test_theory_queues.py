"""Queues whose answers are known, held against simulations.

Every simulation has the same fixed seed.  Where no closed form is at hand, the answer is that of a
Markov chain solved in the test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize, stats
from tests.line.chains import expected, stationary
from tests.line.evidence import agrees, run_line

from firsttoken.kernel.sketch import PER_OCTAVE
from firsttoken.line.result import QUANTILES

QUEUE = """
warmup: 1000 s
stations: {{server: {{{station}}}}}
products: {{customer: {{releases: {{arrivals: {{{release}}}}}}}}}
"""


def queue(station: str, release: str) -> str:
    """A queue in front of one station."""
    return QUEUE.format(station=station, release=release)


# One class, one station.


def test_cycle_times_in_m_m_1_are_exponential(tmp_path: Path) -> None:
    # Kleinrock: Queueing Systems, vol. 1 (1975), equation 5.119.
    m = run_line(
        tmp_path, queue("time: exponential(1) s", "every: exponential(1.25) s"), "200000 s"
    )
    agrees(m.measure("cycle_time"), 5.0, 0.015)
    agrees(m.result.cycle_sd[:, 0], 5.0, 0.03)
    for position, q in enumerate(QUANTILES):
        exact = -5 * math.log(1 - q)
        found = float(np.mean(m.result.cycle_quantiles[:, 0, position]))
        assert found == pytest.approx(exact, rel=0.02 + 1 / PER_OCTAVE)


def test_littles_law_holds_for_the_line_and_the_queue(tmp_path: Path) -> None:
    # Little, Operations Research 9 (1961) 383-387. Both sides are of the same sample: they differ
    # only by the lots that are in the line at its ends.
    m = run_line(
        tmp_path, queue("time: exponential(1) s", "every: exponential(1.25) s"), "200000 s"
    )
    in_line = m.measure("throughput") * m.measure("cycle_time")
    waiting = m.measure("throughput") * m.measure("wait server")
    np.testing.assert_allclose(m.measure("wip"), in_line, rtol=0.002)
    np.testing.assert_allclose(m.measure("queue server"), waiting, rtol=0.003)
    agrees(m.measure("wip") - m.measure("queue server"), 0.8, 0.01)


def test_constant_arrivals(tmp_path: Path) -> None:
    # G/M/1: the wait is s / (1 - s) with s = A*(mu (1 - s)) (Kleinrock 1975, section 6.4).
    m = run_line(tmp_path, queue("time: exponential(1) s", "every: 1.25 s"), "100000 s")
    s = optimize.brentq(lambda x: math.exp(-1.25 * (1 - x)) - x, 0.01, 0.99)
    agrees(m.measure("wait server"), s / (1 - s), 0.015)


def test_arrivals_in_groups(tmp_path: Path) -> None:
    # M[x]/M/1 with groups of 3: L = rho (3 + 1) / 2 / (1 - rho) (Gross et al.: Fundamentals of
    # Queueing Theory, 4th ed. (2008), section 3.1).
    m = run_line(
        tmp_path,
        queue("time: exponential(1) s", "every: exponential(5) s, lots: 3"),
        "200000 s",
    )
    agrees(m.measure("wip"), 0.6 * 2 / 0.4, 0.02)


@pytest.mark.parametrize(
    ("law", "scv"),
    [
        ("lognormal(1, 0.7) s", 0.49),
        ("weibull(2, 1.1283791671) s", 4 / math.pi - 1),
        ("discrete(0: 0.5, 2: 0.5) s", 1.0),
        ("uniform(0, 2) s", 1 / 3),
        ("triangular(0, 1, 2) s", 1 / 6),
    ],
)
def test_pollaczek_khinchine(tmp_path: Path, law: str, scv: float) -> None:
    m = run_line(tmp_path, queue(f'time: "{law}"', "every: exponential(1.4285714286) s"), "60000 s")
    agrees(m.measure("queue server"), 0.49 * (1 + scv) / 0.6, 0.025)


def test_two_moments_of_the_cycle_time_in_series(tmp_path: Path) -> None:
    # Sojourns in tandem M/M/1 queues are independent (Reich, Annals of Mathematical Statistics 28
    # (1957) 768-773; Burke 1956): variances add.
    line = """
    warmup: 1000 s
    stations: {a: {time: exponential(1) s}, b: {time: exponential(0.8) s}}
    products: {customer: {releases: {arrivals: {every: exponential(2) s}}}}
    """
    m = run_line(tmp_path, line, "100000 s")
    first, second = 1 / (1 - 0.5), 1 / (1.25 - 0.5)
    agrees(m.measure("cycle_time"), first + second, 0.01)
    agrees(m.result.cycle_sd[:, 0], math.hypot(first, second), 0.02)


@pytest.mark.parametrize(("counts", "idle_too"), [("operation", False), ("time", True)])
def test_breakdowns_of_a_queue(tmp_path: Path, counts: str, idle_too: bool) -> None:
    # Avi-Itzhak, Naor, Operations Research 11 (1963) 303-320, models B and A. The time that
    # a customer occupies the server has mean 1 + x E[R], second moment 2 (1 + x E[R])**2 + x E[R2];
    # breakdowns of the idle server add x E[R2] / 2 / (1 + x E[R]) to the wait.
    m = run_line(
        tmp_path,
        queue(
            "time: exponential(1) s, failures: {stop: {mtbf: exponential(20) s, "
            f"mttr: exponential(5) s, counts: {counts}}}}}",
            "every: exponential(2) s",
        ),
        "200000 s",
    )
    arrivals, x, mean, square = 0.5, 1 / 20, 5.0, 50.0
    occupied = 1 + x * mean
    second = 2 * occupied**2 + x * square
    exact = occupied + arrivals * second / 2 / (1 - arrivals * occupied)
    if idle_too:
        exact += x * square / 2 / occupied

    def moves(state: tuple[int, int]) -> Iterable[tuple[Any, float]]:
        customers, up = state
        if customers < 300:
            yield (customers + 1, up), arrivals
        if not up:
            yield (customers, 1), 1 / mean
        else:
            if customers:
                yield (customers - 1, up), 1.0
            if customers or idle_too:
                yield (customers, 0), x

    chain = stationary((0, 1), moves)
    assert expected(chain, lambda s: s[0]) / arrivals == pytest.approx(exact)
    agrees(m.measure("cycle_time"), exact, 0.02)
    down = x * mean / occupied if idle_too else arrivals * x * mean
    agrees(1 - m.measure("availability server"), down, 0.02)


# Several classes.


@pytest.mark.parametrize("rule", ["priority", "spt"])
def test_priorities_without_preemption(tmp_path: Path, rule: str) -> None:
    # Cobham, Operations Research 2 (1954) 70-76; the shortest job first: Phipps 1956.
    hot = "priority: 20, " if rule == "priority" else ""
    line = f"""
    warmup: 1000 s
    dispatch: {"spt" if rule == "spt" else "fifo"}
    stations: {{server: {{}}}}
    products:
      short:
        route: [{{station: server, time: 0.5 s}}]
        releases: {{short: {{every: exponential(1.25) s, {hot}}}}}
      long:
        route: [{{station: server, time: exponential(1) s}}]
        releases: {{long: {{every: exponential(2.5) s}}}}
    """
    m = run_line(tmp_path, line, "200000 s")
    residual = (0.8 * 0.25 + 0.4 * 2) / 2
    agrees(m.by_class("cycle_mean", "short"), residual / (1 - 0.4) + 0.5, 0.01)
    agrees(m.by_class("cycle_mean", "long"), residual / (1 - 0.4) / (1 - 0.8) + 1.0, 0.03)


def test_set_ups_of_two_products_served_exhaustively(tmp_path: Path) -> None:
    # The server keeps its set-up while there is work for it, and when it is idle.
    line = """
    warmup: 1000 s
    dispatch: setup
    stations:
      server:
        setups: [{to: red, time: exponential(1) s}, {to: blue, time: exponential(1) s}]
    products:
      red:
        route: [{station: server, setup: red, time: exponential(1) s}]
        releases: {red: {every: exponential(3) s}}
      blue:
        route: [{station: server, setup: blue, time: exponential(1) s}]
        releases: {blue: {every: exponential(5) s}}
    """
    m = run_line(tmp_path, line, "100000 s")

    def next_job(colour: int, lots: tuple[int, int]) -> tuple[Any, ...]:
        if lots[colour]:
            return colour, "work", *lots
        if lots[1 - colour]:
            return 1 - colour, "setup", *lots
        return colour, "idle", *lots

    def moves(state: tuple[Any, ...]) -> Iterable[tuple[Any, float]]:
        colour, phase, *counts = state
        for product, rate in ((0, 1 / 3), (1, 1 / 5)):
            if counts[product] < 35:
                lots = (counts[0] + (product == 0), counts[1] + (product == 1))
                yield (next_job(colour, lots) if phase == "idle" else (colour, phase, *lots)), rate
        if phase == "setup":
            yield (colour, "work", *counts), 1.0
        elif phase == "work":
            left = (counts[0] - (colour == 0), counts[1] - (colour == 1))
            yield next_job(colour, left), 1.0

    chain = stationary((0, "idle", 0, 0), moves)
    agrees(m.by_class("wip", "red"), expected(chain, lambda s: s[2]), 0.02)
    agrees(m.by_class("wip", "blue"), expected(chain, lambda s: s[3]), 0.02)
    busy = m.result.state_time[:, 0, 2]
    agrees(busy, expected(chain, lambda s: float(s[1] == "setup")), 0.02)


# Batches.


def test_batches_of_at_most_four(tmp_path: Path) -> None:
    # M/M(1, b)/1: the queue of a busy server is geometric with the root r in (0, 1) of
    # mu r**(b + 1) - (lambda + mu) r + lambda (Chaudhry, Templeton: A First Course in Bulk Queues,
    # 1983, section 4.2).
    m = run_line(
        tmp_path,
        queue("time: exponential(1) s, batch: {maximum: 4}", "every: exponential(0.4) s"),
        "60000 s",
    )
    r = optimize.brentq(lambda x: x**5 - 3.5 * x + 2.5, 0.01, 0.99)
    busy_and_none = 1 / (1 / (1 - r) + 1 / 2.5)
    agrees(m.measure("queue server"), busy_and_none * r / (1 - r) ** 2, 0.015)


def test_batches_of_three_to_five(tmp_path: Path) -> None:
    # The general bulk service rule of Neuts, Annals of Mathematical Statistics 38 (1967) 759-770.
    m = run_line(
        tmp_path,
        queue(
            "time: exponential(2) s, batch: {minimum: 3, maximum: 5}",
            "every: exponential(0.6666666667) s",
        ),
        "60000 s",
    )

    def moves(state: tuple[int, int]) -> Iterable[tuple[Any, float]]:
        busy, waiting = state
        if not busy and waiting == 2:
            yield (1, 0), 1.5
        elif waiting < 200:
            yield (busy, waiting + 1), 1.5
        if busy:
            yield ((1, max(waiting - 5, 0)) if waiting >= 3 else (0, waiting)), 0.5

    chain = stationary((0, 0), moves)
    agrees(m.measure("queue server"), expected(chain, lambda s: s[1]), 0.015)


def test_batches_that_wait_no_longer_than_said(tmp_path: Path) -> None:
    # With servers to spare, a load starts at its fourth lot or 2 s after its first. Renewal theory:
    # the queue is what gathers in a load over the time between loads.
    m = run_line(
        tmp_path,
        queue(
            "servers: 40, time: exponential(1) s, batch: {minimum: 4, maximum: 4, wait: 2 s}",
            "every: exponential(1) s",
        ),
        "60000 s",
    )
    gathering = integrate.quad(lambda t: stats.poisson.cdf(2, t), 0, 2)[0]
    lots = integrate.quad(lambda t: sum((1 + k) * stats.poisson.pmf(k, t) for k in range(3)), 0, 2)[
        0
    ]
    agrees(m.measure("queue server"), lots / (1 + gathering), 0.01)


# Limits, failures, checks.


LIMITED = """
warmup: 500 s
stations: {{door: {{time: 0 s}}, server: {{servers: {servers}, time: exponential(1) s}}}}
products:
  customer:
    route:
      - {{station: door}}
      - {{station: server, queue_limit: {{after: door, within: {within} s, on_miss: scrap}}}}
    releases: {{arrivals: {{every: exponential({gap}) s}}}}
"""


@pytest.mark.parametrize(("servers", "gap"), [(1, 1.25), (5, 0.25)])
def test_lots_that_may_not_wait_are_lost_as_erlang_says(
    tmp_path: Path, servers: int, gap: float
) -> None:
    # Erlang's loss formula B (1917).
    m = run_line(tmp_path, LIMITED.format(servers=servers, gap=gap, within=0), "60000 s")
    terms = [(1 / gap) ** k / math.factorial(k) for k in range(servers + 1)]
    lost = m.result.scrapped.sum(axis=1) / m.result.released.sum(axis=1)
    agrees(lost, terms[-1] / sum(terms), 0.015)


def test_lots_with_a_limited_wait(tmp_path: Path) -> None:
    # Barrer, Operations Research 5 (1957) 650-656: M/M/1 with constant patience t loses
    # (1 - rho) rho e / (1 - rho**2 e), e = exp(-(1 - rho) t).
    m = run_line(tmp_path, LIMITED.format(servers=1, gap=1.25, within=2), "100000 s")
    e = math.exp(-0.2 * 2)
    lost = m.result.scrapped.sum(axis=1) / m.result.released.sum(axis=1)
    agrees(lost, 0.2 * 0.8 * e / (1 - 0.64 * e), 0.02)


@pytest.mark.parametrize("target", ["restart", "server"])
def test_rework(tmp_path: Path, target: str) -> None:
    # A failed lot is done again at once, or queues again: the number in the queue is that of M/M/1
    # with service rate p mu in both cases (Burke 1976; Disney, Koenig: SIAM Review 27 (1985)).
    m = run_line(
        tmp_path,
        queue(f"time: exponential(1) s, pass: 0.8, on_fail: {target}", "every: exponential(2) s"),
        "200000 s",
    )
    agrees(m.measure("wip"), 0.625 / 0.375, 0.02)
    agrees(m.result.failed[:, 0] / m.result.operations[:, 0], 0.2, 0.01)


def test_attempts_and_scrap(tmp_path: Path) -> None:
    # After three attempts of 70 % a lot is scrap: 2.7 %; attempts a lot (1 - 0.3**3) / 0.7.
    m = run_line(
        tmp_path,
        queue("time: 1 s, pass: 0.7, on_fail: restart, attempts: 3", "every: 10 s"),
        "400000 s",
    )
    started = m.result.released.sum(axis=1)
    agrees(m.result.scrapped.sum(axis=1) / started, 0.3**3, 0.04)
    agrees(m.result.operations[:, 0] / started, (1 - 0.3**3) / 0.7, 0.002)


def test_inspection_finds_what_bayes_says(tmp_path: Path) -> None:
    # 10 % defects; half the lots are inspected: 20 % of defects escape, 5 % of the good are called.
    line = """
    stations:
      work: {time: 1 s, defects: 0.1}
      look:
        time: 1 s
        inspect: {share: 0.5, escape: 0.2, false_call: 0.05}
        on_fail: scrap
    products: {part: {releases: {steady: {every: 2 s}}}}
    """
    m = run_line(tmp_path, line, "100000 s")
    scrap = 0.5 * (0.1 * 0.8 + 0.9 * 0.05)
    agrees(m.result.scrapped.sum(axis=1) / m.result.released.sum(axis=1), scrap, 0.01)
    escaped = m.result.escapes.sum(axis=1) / m.result.finished.sum(axis=1)
    agrees(escaped, 0.1 * (1 - 0.5 * 0.8) / (1 - scrap), 0.01)


# What stations share.


@pytest.mark.parametrize("people", [1, 3])
def test_people_are_the_servers_of_stations_with_room(tmp_path: Path, people: int) -> None:
    # Two stations with servers to spare share a crew: M/M/c (Erlang's formula C).
    line = f"""
    warmup: 1000 s
    pools: {{fitters: {{count: {people}}}}}
    stations:
      a: {{servers: 200, time: exponential(1) s, crew: {{fitters: 1}}}}
      b: {{servers: 200, time: exponential(1) s, crew: {{fitters: 1}}}}
    products:
      one: {{route: [{{station: a}}], releases: {{one: {{every: exponential({2.5 / people}) s}}}}}}
      two: {{route: [{{station: b}}], releases: {{two: {{every: exponential({2.5 / people}) s}}}}}}
    """
    m = run_line(tmp_path, line, "60000 s")
    load = 0.8 * people
    tail = load**people / math.factorial(people) / 0.2
    erlang_c = tail / (tail + sum(load**k / math.factorial(k) for k in range(people)))
    agrees(m.measure("wip"), load + erlang_c * 0.8 / 0.2, 0.03)
    agrees(m.result.pool_used[:, 0], load, 0.01)


def test_a_budget_of_power_is_a_number_of_servers(tmp_path: Path) -> None:
    # 1.32 MW serve ten racks of 132 kW at a time: M/M/10.
    line = """
    warmup: 1000 s
    budgets: {test_power: 1320 kW}
    stations: {test: {servers: 200, time: exponential(1) s, draws: {test_power: 132 kW}}}
    products: {rack: {releases: {racks: {every: exponential(0.125) s}}}}
    """
    m = run_line(tmp_path, line, "20000 s")
    tail = 8**10 / math.factorial(10) / 0.2
    erlang_c = tail / (tail + sum(8**k / math.factorial(k) for k in range(10)))
    agrees(m.measure("wait test"), erlang_c / 2, 0.03)
    agrees(m.result.pool_used[:, 0], 8 * 132e3, 0.005)
    assert np.all(m.result.pool_peak[:, 0] <= 1320e3 * (1 + 1e-12))


def test_transport_and_servers_to_spare_only_delay(tmp_path: Path) -> None:
    # M/G/infinity: the mean number is the rate times the mean time, whatever the law.
    line = """
    warmup: 100 s
    stations: {far: {servers: 100, time: "uniform(1, 3) s", transport: exponential(5) s}}
    products: {part: {releases: {parts: {every: exponential(1) s}}}}
    """
    m = run_line(tmp_path, line, "50000 s")
    agrees(m.measure("wip"), 7.0, 0.01)
    agrees(m.result.state_time[:, 0, 1], 2.0, 0.01)
    assert np.all(m.measure("queue far") == 0)


def test_the_time_of_an_operation_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    # Load, time by piece, tasks with their misses (binomial), unload.
    line = """
    stations:
      bench:
        time: 3 s
        per: piece
        load: 10 s
        unload: 4 s
        tasks: {count: 50, time: 2 s, success: 0.98, recovery: 30 s}
    products: {tray: {pieces: 5, releases: {trays: {every: 1000 s}}}}
    """
    m = run_line(tmp_path, line, "500000 s")
    agrees(m.measure("cycle_time"), 10 + 15 + 100 + 50 * 0.02 * 30 + 4, 0.01)
    agrees(m.result.cycle_sd[:, 0], 30 * math.sqrt(50 * 0.02 * 0.98), 0.02)
