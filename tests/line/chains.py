"""Markov chains of queues and lines, solved exactly: what simulations are held against.

Chains are given by their moves: from a state, pairs of next state and rate (or probability).
They share nothing with the engine.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, diags, vstack
from scipy.sparse.linalg import spsolve

Moves = Callable[[Any], Iterable[tuple[Any, float]]]


def stationary(start: Hashable, moves: Moves) -> dict[Any, float]:
    """Stationary probabilities of the states that can be reached from `start`."""
    number = {start: 0}
    states = [start]
    rows, columns, rates = [], [], []
    for row, state in enumerate(states):  # grows as states are found
        for other, rate in moves(state):
            if rate > 0:
                if other not in number:
                    number[other] = len(states)
                    states.append(other)
                rows.append(row)
                columns.append(number[other])
                rates.append(rate)
    size = len(states)
    rate_of = csr_matrix((np.array(rates, float), (rows, columns)), (size, size))
    balance = (rate_of - diags(np.asarray(rate_of.sum(axis=1)).ravel())).T.tocsr()
    balance = vstack([balance[:-1], csr_matrix(np.ones((1, size)))]).tocsc()
    right = np.zeros(size)
    right[-1] = 1.0
    return dict(zip(states, np.atleast_1d(spsolve(balance, right)).tolist(), strict=True))


def expected(chain: dict[Any, float], value: Callable[[Any], float]) -> float:
    """The mean of a function of the state."""
    return sum(chance * value(state) for state, chance in chain.items())


IDLE, WORKING, BLOCKED = 0, 1, 2


def serial_line(rates: Sequence[float], buffers: Sequence[int], lots: float = math.inf) -> float:
    """Throughput of a saturated line of exponential stations, blocking after service.

    Parameters
    ----------
    rates : service rates, one a station.
    buffers : places between the stations, the part on a machine not among them.
    lots : most parts in the line; a part that leaves lets the next in.
    """
    last = len(rates) - 1

    def settle(machines: list[int], waiting: list[int]) -> tuple[Any, ...]:
        """Move what can move, until nothing can."""
        before = None
        while before != (before := (tuple(machines), tuple(waiting))):
            for i in range(last, -1, -1):
                room = i == last or waiting[i] < buffers[i] or machines[i + 1] == IDLE
                if machines[i] == BLOCKED and room:
                    machines[i] = IDLE
                    if i < last:
                        waiting[i] += 1
                inside = len(machines) - machines.count(IDLE) + sum(waiting)
                if machines[i] == IDLE and (waiting[i - 1] > 0 if i else inside < lots):
                    machines[i] = WORKING
                    if i:
                        waiting[i - 1] -= 1
        return before

    def moves(state: tuple[Any, ...]) -> Iterable[tuple[Any, float]]:
        for i, rate in enumerate(rates):
            if state[0][i] == WORKING:
                machines = list(state[0])
                machines[i] = BLOCKED
                yield settle(machines, list(state[1])), rate

    chain = stationary(settle([IDLE] * len(rates), [0] * last), moves)
    return rates[-1] * expected(chain, lambda state: float(state[0][last] == WORKING))


def unreliable_pair(rate: float, failure: float, repair: float, buffer: int) -> float:
    """Throughput of two equal exponential machines with operation-dependent failures.

    The state is the number of parts that left machine 1 (or are blocked there) and not machine 2,
    and which machines are up; blocking after service.
    """
    most = buffer + 2

    def moves(state: tuple[int, int, int]) -> Iterable[tuple[Any, float]]:
        parts, first, second = state
        if not first:
            yield (parts, 1, second), repair
        elif parts < most:
            yield (parts + 1, first, second), rate
            yield (parts, 0, second), failure
        if not second:
            yield (parts, first, 1), repair
        elif parts > 0:
            yield (parts - 1, first, second), rate
            yield (parts, first, 0), failure

    chain = stationary((0, 1, 1), moves)
    return rate * expected(chain, lambda state: float(state[2] == 1 and state[0] > 0))


def deterministic_pair(failure: float, repair: float, places: int) -> float:
    """Parts a cycle of two synchronous machines (Gershwin: Manufacturing Systems Engineering).

    Machines change state at the start of a cycle, parts move at its end; a machine that is starved
    or blocked does not fail; `places` is N.
    """

    def turns(up: int, free: bool) -> list[tuple[int, float]]:
        if not up:
            return [(1, repair), (0, 1 - repair)]
        return [(1, 1 - failure), (0, failure)] if free else [(1, 1.0)]

    def cycle(state: tuple[int, int, int]) -> Iterable[tuple[Any, float]]:
        parts = state[0]
        for first, p in turns(state[1], parts < places):
            for second, q in turns(state[2], parts > 0):
                after = parts + (first and parts < places) - (second and parts > 0)
                yield (int(after), first, second), p * q

    chain = stationary((0, 1, 1), cycle)
    made = 0.0
    for state, chance in chain.items():
        if state[0] > 0:
            made += chance * sum(p for up, p in turns(state[2], True) if up)
    return made


def bernoulli_line(up: Sequence[float], places: Sequence[int]) -> float:
    """Parts a slot of a Bernoulli line (Li, Meerkov: Production Systems Engineering, 2009).

    The state is what is in the buffers at the end of a slot; blocking before service, where what
    the next machine takes in the slot makes room.
    """
    machines = range(len(up))

    def slot(state: tuple[int, ...]) -> Iterable[tuple[Any, float]]:
        for ready in itertools.product((False, True), repeat=len(up)):
            after = list(state)
            for i in reversed(machines):
                room = i == len(up) - 1 or after[i] < places[i]
                if ready[i] and room and (i == 0 or state[i - 1] > 0):
                    if i < len(up) - 1:
                        after[i] += 1
                    if i:
                        after[i - 1] -= 1
            chance = math.prod(p if r else 1 - p for p, r in zip(up, ready, strict=True))
            yield tuple(after), chance

    chain = stationary((0,) * len(places), slot)
    return up[-1] * expected(chain, lambda state: float(state[-1] > 0))


def slotted_recursion(
    up: Sequence[float], places: Sequence[int], parts: int, skip: int, samples: int, seed: int
) -> np.ndarray:
    """Parts a slot of a Bernoulli line by the recursion that the twins declare: float64[samples].

    C[i, j] = max(C[i, j-1] + 1, C[i-1, j] + 1, C[i+1, j - places[i]]) + tries that fail.
    """
    random = np.random.default_rng(seed)
    done = np.full((parts, len(up), samples), -np.inf)
    for j in range(parts):
        for i, p in enumerate(up):
            start = done[j - 1, i] + 1 if j else np.zeros(samples)
            if i:
                start = np.maximum(start, done[j, i - 1] + 1)
            if i < len(up) - 1 and j >= places[i]:
                start = np.maximum(start, done[j - places[i], i + 1])
            done[j, i] = start + random.geometric(p, samples) - 1
    rates: np.ndarray = (parts - 1 - skip) / (done[-1, -1] - done[skip, -1])
    return rates


def deterministic_servers(arrivals: float, servers: int, states: int = 400) -> float:
    """Mean wait in M/D/c with service time 1, from the chain of Crommelin (1932).

    Whoever is in service at t has left at t + 1, so the number in system follows
    N(t + 1) = max(N(t) - c, 0) + Poisson(arrivals); Little's law gives the wait.
    """
    law = np.exp(
        [k * math.log(arrivals) - arrivals - math.lgamma(k + 1) for k in range(states + 1)]
    )

    def moves(n: int) -> Iterable[tuple[int, float]]:
        left = max(n - servers, 0)
        for k in range(states - left):
            if law[k] > 1e-18:
                yield left + k, float(law[k])

    chain = stationary(0, moves)
    return expected(chain, lambda n: max(n - servers, 0)) / arrivals


def mean_value_analysis(demands: Sequence[float], lots: int) -> tuple[float, list[float]]:
    """Throughput and mean cycle times at the stations of a closed line of exponential servers.

    Exact mean value analysis (Reiser, Lavenberg, Journal of the ACM 27 (1980) 313-322).
    """
    queue = [0.0] * len(demands)
    rate, cycle = 0.0, list(demands)
    for n in range(1, lots + 1):
        cycle = [d * (1 + q) for d, q in zip(demands, queue, strict=True)]
        rate = n / sum(cycle)
        queue = [rate * c for c in cycle]
    return rate, cycle
