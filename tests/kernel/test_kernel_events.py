"""The event heap against Python's heapq: order, ties, clock, growth, snapshots."""

import heapq
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.kernel import events
from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.memory import Memory, aligned

# Few different times, so that most events have company
TIMES = st.integers(0, 5).map(float)
PLANS = st.lists(st.one_of(TIMES, st.none()), max_size=80)
"""The time from now of an event to schedule, or None: take the next one."""


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
    return Memory(
        {
            events.CLOCK_SLOT: aligned(1, events.CLOCK),
            events.EVENT_SLOT: aligned(rows, events.EVENT),
        }
    )


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
    state = tables.copy({"clock": events.CLOCK_SLOT, "events": events.EVENT_SLOT})
    hold(tables.m, np.array(future[half:]), carried[half:])
    other = Memory(
        {events.CLOCK_SLOT: state["clock"].copy(), events.EVENT_SLOT: state["events"].copy()}
    )
    again = np.empty(len(future) - half, np.int64)
    hold(other.m, np.array(future[half:]), again)
    assert again.tolist() == carried[half:].tolist()
    assert drained(other) == drained(tables)
    assert other[events.CLOCK_SLOT].tobytes() == tables[events.CLOCK_SLOT].tobytes()
