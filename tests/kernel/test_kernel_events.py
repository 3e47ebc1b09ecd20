"""The event heap against Python's heapq: order, ties, clock, growth, snapshots."""

import heapq
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config

from firsttoken.kernel import events
from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.memory import Memory

# Few different times, so that most events have company
SOME = 500 if config.DISABLE_JIT else 3_000
HOLDS = 7_000 if config.DISABLE_JIT else 30_000

TIMES = st.integers(0, 5).map(float)
PLANS = st.lists(st.one_of(TIMES, st.none()), max_size=80)
"""The time from now of an event to schedule, or None: take the next one."""


SLOTS = (events.CLOCK_SLOT, events.EVENT_SLOT, events.LATER_SLOT, events.WHEEL_SLOT)


@compiled
def schedule(m: Any, time: float, what: int) -> None:
    events.schedule(m, time, what)


@compiled
def advance(m: Any) -> int:
    return events.advance(m)


@compiled
def next_time(m: Any) -> float:
    return events.next_time(m)


@compiled
def schedule_all(m: Any, times: np.ndarray) -> None:
    for i in range(len(times)):
        events.schedule(m, times[i], i)


@compiled
def gather(m: Any) -> None:
    events.gather(m)


@compiled
def drain(m: Any, times: np.ndarray, carried: np.ndarray) -> int:
    n = 0
    while events.next_time(m) < np.inf:
        times[n] = events.next_time(m)
        carried[n] = events.advance(m)
        n += 1
    return n


@compiled
def hold(m: Any, increments: np.ndarray, carried: np.ndarray) -> None:
    for i in range(len(increments)):
        carried[i] = events.advance(m)
        events.schedule(m, events.clock(m, 0).now + increments[i], carried[i])


def memory(rows: int) -> Memory:
    return Memory(events.event_tables(rows))


def drained(tables: Memory) -> tuple[list[float], list[int]]:
    rows = len(tables[events.EVENT_SLOT])
    times, carried = np.empty(rows), np.empty(rows, np.int64)
    n = drain(tables.m, times, carried)
    return times[:n].tolist(), carried[:n].tolist()


@given(PLANS)
def test_the_order_is_that_of_heapq_with_a_counter(plan: list[float | None]) -> None:
    """The tuple (time, number of the event) is the textbook stable heap (heapq's own docs)."""
    tables = memory(max(len(plan), 1))
    clock = tables[events.CLOCK_SLOT]
    queue: list[tuple[float, int]] = []
    scheduled = happened = 0
    now = 0.0
    for step in plan:
        if step is not None:
            heapq.heappush(queue, (now + step, scheduled))
            schedule(tables.m, now + step, scheduled)
            scheduled += 1
        elif queue:
            assert next_time(tables.m) == queue[0][0]
            now, what = heapq.heappop(queue)
            assert advance(tables.m) == what
            happened += 1
        assert clock[["now", "sequence", "pending", "events"]].tolist() == [
            (now, scheduled, len(queue), happened)
        ]
    assert list(zip(*drained(tables), strict=True)) == sorted(queue)
    assert next_time(tables.m) == np.inf


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=300))
def test_a_heap_of_any_times_sorts_them_stably(times: list[float]) -> None:
    tables = memory(len(times))
    schedule_all(tables.m, np.array(times))
    ordered, carried = drained(tables)
    assert carried == np.argsort(times, kind="stable").tolist()
    assert ordered == sorted(times)


def test_events_at_one_time_come_in_the_order_of_their_scheduling() -> None:
    tables = memory(500)
    schedule_all(tables.m, np.full(500, 7.0))
    assert drained(tables)[1] == list(range(500))


def test_hold_model_in_a_growing_table() -> None:
    """Vaucher and Duval's hold model: take the next event, schedule it again later."""
    rng = np.random.default_rng(6)
    starts, increments = rng.exponential(1, 200), np.round(rng.exponential(1, 2000), 2)
    queue = [(time, i, i) for i, time in enumerate(starts.tolist())]
    heapq.heapify(queue)
    expected = []
    for i, step in enumerate(increments.tolist()):
        time, _, what = queue[0]
        expected.append(what)
        heapq.heapreplace(queue, (time + step, len(starts) + i, what))
    tables = memory(100)
    schedule_all(tables.m, starts[:100])
    tables.grow(events.EVENT_SLOT, 200)
    tables.grow(events.LATER_SLOT, 200)
    for i in range(100, 200):
        schedule(tables.m, starts[i], i)
    carried = np.empty(len(increments), np.int64)
    hold(tables.m, increments, carried)
    assert carried.tolist() == expected
    left = [(time, what) for time, _, what in sorted(queue)]
    assert list(zip(*drained(tables), strict=True)) == left


@given(st.lists(TIMES, min_size=1, max_size=40), st.lists(TIMES, max_size=40))
def test_a_copy_of_the_state_goes_on_the_same_way(past: list[float], future: list[float]) -> None:
    tables = memory(len(past))
    schedule_all(tables.m, np.array(past))
    carried = np.empty(len(future), np.int64)
    half = len(future) // 2
    hold(tables.m, np.array(future[:half]), carried[:half])
    state = tables.copy({str(slot): slot for slot in SLOTS})
    hold(tables.m, np.array(future[half:]), carried[half:])
    other = Memory({slot: state[str(slot)] for slot in SLOTS})
    again = np.empty(len(future) - half, np.int64)
    hold(other.m, np.array(future[half:]), again)
    assert again.tolist() == carried[half:].tolist()
    assert drained(other) == drained(tables)
    assert other[events.CLOCK_SLOT].tobytes() == tables[events.CLOCK_SLOT].tobytes()


INCREMENTS = {
    "exponential": lambda rng, n: rng.exponential(1, n),
    "all at once": lambda rng, n: np.ones(n),
    "rounded": lambda rng, n: np.round(rng.exponential(5, n)),
    "near and far": lambda rng, n: rng.exponential(1, n) * np.where(rng.random(n) < 0.9, 1, 5000),
    "shifts": lambda rng, n: np.where(rng.random(n) < 0.3, 0.0, rng.exponential(1, n) ** 8),
    "some never": lambda rng, n: np.where(rng.random(n) < 0.001, np.inf, rng.exponential(1, n)),
}


@pytest.mark.parametrize("name", INCREMENTS)
@pytest.mark.parametrize("pending", [1, 20, 200, SOME])
def test_long_hold_models(name: str, pending: int) -> None:
    """Every way of the wheel: turns, the list beyond it, new paces, few events and many."""
    rng = np.random.default_rng(pending)
    starts = INCREMENTS[name](rng, pending)
    increments = INCREMENTS[name](rng, HOLDS)
    queue = [(time, i, i) for i, time in enumerate(starts.tolist())]
    heapq.heapify(queue)
    expected = []
    for i, step in enumerate(increments.tolist()):
        time, _, what = queue[0]
        expected.append(what)
        heapq.heapreplace(queue, (time + step, pending + i, what))
    tables = memory(pending)
    schedule_all(tables.m, starts)
    carried = np.empty(HOLDS, np.int64)
    hold(tables.m, increments, carried)
    assert carried.tolist() == expected
    if name != "some never":
        left = [(time, what) for time, _, what in sorted(queue)]
        assert list(zip(*drained(tables), strict=True)) == left


def test_more_and_more_events() -> None:
    rng = np.random.default_rng(7)
    tables = memory(4_000)
    queue: list[tuple[float, int, int]] = []
    scheduled = 0
    for pending in (30, 200, 1_000, 4_000, 4_000):
        now = float(tables[events.CLOCK_SLOT]["now"][0])
        times = now + rng.exponential(10, pending - len(queue))
        for time in times.tolist():
            heapq.heappush(queue, (time, scheduled, scheduled))
            schedule(tables.m, time, scheduled)
            scheduled += 1
        increments = np.round(rng.exponential(10, HOLDS // 2), 3)
        carried = np.empty(len(increments), np.int64)
        hold(tables.m, increments, carried)
        for step, found in zip(increments.tolist(), carried.tolist(), strict=True):
            time, _, what = queue[0]
            assert found == what
            heapq.heapreplace(queue, (time + step, scheduled, what))
            scheduled += 1
    left = [(time, what) for time, _, what in sorted(queue)]
    assert list(zip(*drained(tables), strict=True)) == left


def test_many_events_at_once_need_no_wheel() -> None:
    """All pending events at one moment have no rate; they stay a heap."""
    tables = memory(100)
    schedule_all(tables.m, np.zeros(100))
    carried = np.empty(HOLDS, np.int64)
    hold(tables.m, np.zeros(HOLDS), carried)
    assert carried.tolist() == [i % 100 for i in range(HOLDS)]
    assert drained(tables)[0] == [0.0] * 100


@pytest.mark.parametrize("pending", [5, 300])
def test_all_events_are_gathered_in_the_heap(pending: int) -> None:
    rng = np.random.default_rng(8)
    tables, other = memory(pending), memory(pending)
    starts, increments = rng.exponential(1, pending), rng.exponential(1, HOLDS) ** 4
    for each in (tables, other):
        schedule_all(each.m, starts)
        hold(each.m, increments, np.empty(HOLDS, np.int64))
    gather(tables.m)
    rows = tables[events.EVENT_SLOT]
    assert tables[events.CLOCK_SLOT]["near"] == pending
    assert sorted(rows["what"]) == list(range(pending))
    parents = (np.arange(1, pending) - 1) // events.WAYS
    assert (rows["time"][parents] <= rows["time"][1:]).all()
    carried, expected = np.empty((2, HOLDS), np.int64)
    hold(tables.m, increments, carried)
    hold(other.m, increments, expected)
    assert (carried == expected).all()
    assert drained(tables) == drained(other)
