"""The event heap against Python's heapq, and numbers in blocks against numpy, in the same run.

Run with ``python benchmarks/kernel_events.py``.  A ratio above 1 means that the kernel is faster.

The hold model (Vaucher and Duval, A comparison of simulation event list algorithms, Communications
of the ACM 18 (1975) 223-230) keeps the number of pending events: it takes the next event and
schedules it again later by an exponential time.  Both heaps get the same times.  numpy fills an
array with a call; the kernel hands out one number at a time, as an event engine asks for them.
"""

import heapq
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from firsttoken.kernel import codes, draws, events, streams
from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.memory import NUMBER, Memory, aligned

HOLDS = 200_000
NUMBERS = 1_000_000
ROUNDS = 5


@compiled
def start(m: Any, times: Any) -> None:
    """Schedule an event at each of the times."""
    for i in range(len(times)):
        events.schedule(m, times[i], i)


@compiled
def hold(m: Any, increments: Any) -> float:
    """Take the next event and schedule it again, once for each increment."""
    for i in range(len(increments)):
        what = events.advance(m)
        events.schedule(m, events.clock(m, 0).now + increments[i], what)
    return float(events.clock(m, 0).now)


def hold_heapq(queue: list[tuple[float, int, int]], increments: list[float]) -> float:
    """Do the same with heapq, its fastest way: one replacement for both."""
    sequence = len(queue)
    now = 0.0
    for increment in increments:
        now, _, what = queue[0]
        heapq.heapreplace(queue, (now + increment, sequence, what))
        sequence += 1
    return now


@compiled
def add_up(m: Any, count: int) -> float:
    """Add up the next numbers of stream 0."""
    total = 0.0
    for _ in range(count):
        total += draws.next_number(m, 0)
    return total


def best(prepare: Callable[[], Any], work: Callable[[Any], object], count: int) -> float:
    """Return the least time of ``work`` per unit in ns, after a first call that compiles."""
    work(prepare())
    least = float("inf")
    for _ in range(ROUNDS):
        given = prepare()
        begun = perf_counter()
        work(given)
        least = min(least, perf_counter() - begun)
    return least / count * 1e9


def heap_of(times: Any) -> Memory:
    """Return a memory whose heap holds an event at each of the times."""
    tables = Memory(events.event_tables(len(times)))
    start(tables.m, times)
    return tables


def queue_of(times: Any) -> list[tuple[float, int, int]]:
    """Return the same as a heap of heapq: a sorted list is one."""
    return sorted((time, i, i) for i, time in enumerate(times.tolist()))


def versus_heapq() -> None:
    """Print the time of a hold and its ratio to heapq, by number of pending events."""
    rng = np.random.default_rng(1)
    increments = rng.exponential(1.0, HOLDS)
    listed = increments.tolist()
    for pending in (10, 1_000, 10_000):
        times = rng.exponential(1.0, pending)
        tables = heap_of(times)
        if hold(tables.m, increments) != hold_heapq(queue_of(times), listed):
            raise RuntimeError("the two heaps disagree")
        ours = best(partial(heap_of, times), lambda tables: hold(tables.m, increments), HOLDS)
        peer = best(partial(queue_of, times), lambda queue: hold_heapq(queue, listed), HOLDS)
        print(
            f"hold, {pending:6} pending {1e3 / ours:6.1f} M/s   "
            f"heapq {1e3 / peer:5.2f} M/s   {peer / ours:5.1f} x"
        )


def stream_of(code: int, args: tuple[float, ...]) -> Memory:
    """Return a memory with one stream."""
    state = aligned(1, draws.STREAM_STATE)
    state["code"], state["used"] = code, draws.BLOCK
    state["entity"], state["purpose"] = streams.entity_key("a"), streams.PROCESS
    for name, value in zip("abcd", args, strict=False):
        state[name] = value
    return Memory(
        {
            events.CLOCK_SLOT: aligned(1, events.CLOCK),
            draws.STREAM_SLOT: state,
            draws.BLOCK_SLOT: aligned(draws.BLOCK, NUMBER),
            draws.TABLE_SLOT: aligned(1, NUMBER),
        }
    )


def _call(function: Callable[[], object], _: None) -> None:
    function()


def versus_numpy() -> None:
    """Print the rates of numbers one at a time and their ratios to numpy's generator."""
    generator = np.random.Generator(np.random.Philox(1))
    laws: dict[str, tuple[int, tuple[float, ...], Callable[[], object]]] = {
        "uniform": (codes.UNIFORM, (0, 1), lambda: generator.random(NUMBERS)),
        "exponential": (
            codes.EXPONENTIAL,
            (2,),
            lambda: generator.standard_exponential(NUMBERS, method="inv"),
        ),
        "normal": (codes.NORMAL, (0, 1), lambda: generator.standard_normal(NUMBERS)),
        "lognormal": (codes.LOGNORMAL, (0, 1), lambda: generator.lognormal(0, 1, NUMBERS)),
        "triangular": (
            codes.TRIANGULAR,
            (0, 1, 3),
            lambda: generator.triangular(0, 1, 3, NUMBERS),
        ),
        "gamma": (codes.GAMMA, (2, 1), lambda: generator.gamma(2, 1, NUMBERS)),
        "weibull": (codes.WEIBULL, (2, 1), lambda: generator.weibull(2, NUMBERS)),
    }
    for name, (code, args, fill) in laws.items():
        ours = best(
            partial(stream_of, code, args), lambda tables: add_up(tables.m, NUMBERS), NUMBERS
        )
        peer = best(lambda: None, partial(_call, fill), NUMBERS)
        print(
            f"{name:12} {1e3 / ours:6.0f} M/s   numpy {1e3 / peer:5.0f} M/s   {peer / ours:5.2f} x"
        )


if __name__ == "__main__":
    versus_heapq()
    versus_numpy()
