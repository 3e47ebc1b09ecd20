"""The fluid mode: whole factories by flows of tokens, books checked.

Requests are not followed one by one.  What a service holds is a difference of cumulative curves
(see `factory_state`); what one request sees spreads about the mean of the flow (`factory_spread`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from firsttoken.kernel.replicate import CancelledError, replicate
from firsttoken.kernel.sketch import bucket_edges
from firsttoken.serving.factory_engine import run_ticks
from firsttoken.serving.factory_flow import Work
from firsttoken.serving.factory_state import (
    AGAIN,
    AVERAGED,
    BEGUN,
    DONE,
    ENDED,
    GIVEN,
    MADE,
    NEW,
    REACHED,
    SCALE,
    THROWN,
    WASTED,
    State,
    Tally,
    begin,
    tally,
    wider,
)
from firsttoken.serving.factory_system import QUANTS, Floats, System
from firsttoken.twin.findings import BalanceError, Finding, TwinError

WINDOW = 4096
"""Ticks for which curves are kept at first; doubled when a request stays for longer."""

BLOCK = 3600
"""Ticks between two looks at progress and cancellation."""

TOLERANCE = 1e-9
"""Error of a book, over what passed through it, that is rounding."""


@dataclass(frozen=True)
class FactoryState:
    """State of one replication at the end of a tick.

    Attributes
    ----------
    identity : of the factory, see `identity`.
    state : its numbers.
    """

    identity: str
    state: State


@dataclass(frozen=True)
class FactoryResult:
    """Results of R replications.

    Attributes
    ----------
    first : tick of the first row; every : ticks a row; dt : s of a tick.
    rows : by replication, service and row, [R, S, T, COLUMNS] of `factory_state`: sums, and
        means of the columns AVERAGED.
    sketch : finished (TTFT: started) requests by time, [R, C, SKETCHES, BUCKETS].
    books : by replication and class, from tick 0 on, [R, C, BOOKS].
    reached : requests that ended and reach all goals, by replication and class, [R, C].
    """

    first: int
    every: int
    dt: float
    rows: Floats
    sketch: Floats
    books: Floats
    reached: Floats

    def quantile(self, which: int, probability: float, classes: slice = slice(None)) -> Floats:
        """Quantile of BY_TPOT, BY_TTFT or BY_E2E over classes, s, [R]; NaN without requests."""
        counts = self.sketch[:, classes, which].sum(axis=1)
        return np.array([weighted_quantile(row, probability) / SCALE for row in counts])

    def mean(self, which: int, classes: slice = slice(None)) -> Floats:
        """Mean of BY_TPOT, BY_TTFT or BY_E2E over classes, s, [R]."""
        counts = self.sketch[:, classes, which].sum(axis=1)
        edges = bucket_edges()
        middle = 0.5 * (edges[:-1] + edges[1:])
        found: Floats = counts @ middle / np.maximum(counts.sum(axis=1), 1e-300) / SCALE
        return found


def weighted_quantile(counts: Floats, probability: float) -> float:
    """Quantile of a sketch with weights that need not be whole; NaN if it is empty."""
    total = counts.sum()
    if not total > 0.0:
        return float("nan")
    edges = bucket_edges()
    reached = np.concatenate([[0.0], np.cumsum(counts)]) / total
    return float(np.interp(probability, reached, edges))


def simulate(
    system: System,
    replications: int = 1,
    seed: int = 1,
    *,
    number: int = 0,
    initial_state: FactoryState | None = None,
    ticks: int | None = None,
    every: int = 1,
    spreads: bool = True,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
) -> FactoryResult:
    """Simulate a factory.

    Parameters
    ----------
    system
        The compiled factory.
    replications, seed
        Replication r draws its arrivals at (seed, r), of classes with a dispersion; without any
        all replications are the same.
    number
        Number of the first replication, where each is a call of its own.
    initial_state
        State to go on from; None: an empty factory at tick 0.
    ticks
        Ticks to simulate; None: to the end of the inputs.
    every
        Ticks of a row of the result.
    spreads
        Whether times of single requests are followed; without them only flows are, in less time.
    threads, progress, cancel
        As in :func:`firsttoken.kernel.replicate.replicate`.

    Raises
    ------
    TwinError
        If the state belongs to another factory, or the inputs end before the ticks.
    BalanceError
        If requests or tokens do not balance.
    CancelledError
        If it was cancelled.
    """
    first = check_state(system, initial_state)
    count = _ticks(system, first, ticks)
    rows, sketches, books, reached = [], [], [], []
    before = 0.0 if initial_state is None else initial_state.state.books[:, REACHED]

    def task(low: int, high: int) -> None:
        for r in range(low, high):
            state = _start(system, initial_state)
            counted = tally(system, count, every, first, spreads=spreads)
            state = _run(system, state, counted, count, seed, number + r, cancel)
            check_books(system, state)
            found[r] = counted, state.books

    found: dict[int, tuple[Tally, Floats]] = {}
    replicate(task, replications, block=1, threads=threads, progress=progress, cancel=cancel)
    for r in range(replications):
        counted, book = found[r]
        _mean_rows(counted, count, every)
        rows.append(counted.rows)
        sketches.append(counted.sketch)
        books.append(book)
        reached.append(book[:, REACHED] - before)
    parts = (np.array(part) for part in (rows, sketches, books, reached))
    return FactoryResult(first, every, system.factory.dt, *parts)


def snapshot(
    system: System,
    seed: int,
    replication: int,
    ticks: int,
    initial_state: FactoryState | None = None,
    *,
    spreads: bool = True,
) -> FactoryState:
    """Run one replication for some ticks and return its complete state (`spreads`: `simulate`)."""
    first = check_state(system, initial_state)
    count = _ticks(system, first, ticks)
    counted = tally(system, count, count, first, spreads=spreads)
    state = _run(system, _start(system, initial_state), counted, count, seed, replication, None)
    return FactoryState(identity(system), state)


def identity(system: System) -> str:
    """A hash that two factories share whose states fit each other: services, classes, lengths."""
    digest = blake2b(digest_size=16)
    digest.update(repr((system.names, system.class_names, system.factory.dt)).encode())
    for part in system.factory.classes[:7]:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def check_state(system: System, state: FactoryState | None) -> int:
    """Tick of a state (0: none); raise `TwinError` if it is another factory's."""
    if state is None:
        return 0
    if state.identity != identity(system):
        raise TwinError(
            Finding(
                "the state is of another factory",
                "its services, classes or lengths differ",
                "take the state from the same twin file",
                "serving",
                "snapshot",
            )
        )
    return int(state.state.tick[0])


def check_books(system: System, state: State) -> None:
    """Raise `BalanceError` unless requests and tokens of every class balance to rounding."""
    f = system.factory
    k = int(state.tick[0])
    window = state.phi.shape[1]
    for c, name in enumerate(system.class_names):
        book = state.books[c]
        s, q = int(f.classes.service[c]), int(f.classes.queue[c])
        waits = state.arrived[c, k % window] - _curve(state.arrived[c], state.position[q])
        if f.services.prefill[s] != f.services.decode[s]:
            waits += state.prefilled[c, k % window] - _curve(state.prefilled[c], state.admitted[q])
        held, tokens = in_hand(system, state, c)
        passed = book[NEW] + book[AGAIN]
        errors = {
            "requests": passed - waits - book[BEGUN],
            "sequences": book[BEGUN] - book[ENDED] - book[THROWN] - held,
            "repeats": book[THROWN] - book[AGAIN] - state.again[c],
        }
        worst = max(errors, key=lambda key: abs(errors[key]))
        if abs(errors[worst]) > TOLERANCE * max(passed, 1.0):
            raise BalanceError(f"{name}: {worst} off by {errors[worst]:g} of {passed:g}")
        off = book[MADE] - book[GIVEN] - book[WASTED] - tokens
        if abs(off) > TOLERANCE * max(book[MADE], 1.0):
            raise BalanceError(f"{name}: output tokens off by {off:g} of {book[MADE]:g}")


def in_hand(system: System, state: State, c: int) -> tuple[float, float]:
    """Requests of a class in decoding, and the output tokens they have."""
    f = system.factory
    s = int(f.classes.service[c])
    k = int(state.tick[0]) % state.phi.shape[1]
    bins = slice(int(f.classes.first[c]), int(f.classes.first[c + 1]))
    low, under = state.began[bins], state.swept[bins]
    steps = np.minimum(np.maximum(f.classes.output[bins] - 1.0, 0.0), state.phi[s, k])
    share = f.classes.share[bins] * state.survived[s]
    top, area = state.started[c, k], state.area[c, k]
    held = float(share @ (top - low))
    return held, held + float(share @ (area - under - steps * low))


def _curve(curve: Floats, tick: float) -> float:
    whole = int(tick)
    low = curve[whole % len(curve)]
    return float(low + (tick - whole) * (curve[(whole + 1) % len(curve)] - low))


def _ticks(system: System, first: int, ticks: int | None) -> int:
    there = system.factory.inputs.rate.shape[1] - first
    count = there if ticks is None else ticks
    if not 0 < count <= there:
        what = f"{count} ticks from tick {first} on"
        hint = "give series that are long enough"
        raise TwinError(Finding(what, f"the inputs hold {max(there, 0)}", hint, "serving"))
    return count


def _start(system: System, initial: FactoryState | None) -> State:
    if initial is None:
        return begin(system, WINDOW)
    parts: list[Any] = [part.copy() for part in initial.state]
    return State(*parts)


def _work(system: System) -> Work:
    c, q = len(system.class_names), int(system.factory.services.queue[-1])
    return Work(
        start=np.zeros(c),
        mix=np.zeros(c),
        finish=np.zeros(c),
        made=np.zeros(c),
        given=np.zeros(c),
        place=np.zeros(q),
        limits=np.zeros(5),
        measure=np.zeros(5),
        good=np.zeros(c),
        delay=np.zeros(c),
        wait=np.zeros(c),
        part=np.zeros(c),
        own=np.zeros(c),
        hand=np.zeros(c),
        beside=np.zeros(2),
        quant=np.zeros(QUANTS),
    )


def _run(
    system: System,
    state: State,
    counted: Tally,
    ticks: int,
    seed: int,
    replication: int,
    cancel: threading.Event | None,
) -> State:
    """Run ticks in blocks, with curves that grow when a request stays long."""
    end = int(state.tick[0]) + ticks
    work = _work(system)
    while (now := int(state.tick[0])) < end:
        if cancel is not None and cancel.is_set():
            raise CancelledError(f"cancelled after {now} of {end} ticks")
        block = min(BLOCK, end - now)
        ended = run_ticks(system.factory, state, counted, work, block, seed, replication)
        if ended != DONE:
            state = wider(state, 2 * state.phi.shape[1])
    return state


def _mean_rows(counted: Tally, count: int, every: int) -> None:
    """Turn the sums of the columns AVERAGED into means."""
    last = counted.rows.shape[1]
    ticks = np.full(last, float(every))
    ticks[-1] = count - every * (last - 1)
    counted.rows[:, :, list(AVERAGED)] /= ticks[None, :, None]
