"""Replications on threads: same bits on any number, progress, cancellation, errors."""

import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firsttoken.kernel import codes, parameters, sampling, streams
from firsttoken.kernel.compiled import compiled
from firsttoken.kernel.replicate import CancelledError, replicate, usable_cores

PARAMETERS = parameters.ParameterTable(
    np.array([codes.NORMAL, codes.GAMMA, codes.BETA_PERT, codes.SUM]),
    np.array([[1.0, 2, 0, 0], [0.7, 2, 0, 0], [1, 2, 5, 4], [0, 1, 0, 0]]),
    np.array([streams.entity_key(x) for x in "abcd"], np.uint32),
    sampling.discrete_rows([1], [1]),
)


@compiled
def run(table: parameters.ParameterTable, low: int, high: int, out: np.ndarray) -> None:
    for r in range(low, high):
        parameters.draw_parameters(table, 7, r, out[r])


@pytest.mark.parametrize("threads", [1, 2, 3, 8, None])
@pytest.mark.parametrize("block", [1, 7, 100, 1000])
def test_same_bits_whatever_the_threads_and_blocks(threads: int | None, block: int) -> None:
    expected = np.empty((100, 4))
    parameters.draw_replications(PARAMETERS, 7, 0, expected)
    out = np.full((100, 4), np.nan)
    replicate(lambda lo, hi: run(PARAMETERS, lo, hi, out), 100, block=block, threads=threads)
    assert out.tobytes() == expected.tobytes()


@given(st.integers(0, 50), st.integers(1, 60), st.integers(1, 4))
def test_each_replication_runs_once(replications: int, block: int, threads: int) -> None:
    count = np.zeros(replications, int)
    calls: list[tuple[int, int]] = []

    def task(low: int, high: int) -> None:
        count[low:high] += 1

    replicate(
        task, replications, block=block, threads=threads, progress=lambda d, n: calls.append((d, n))
    )
    assert np.all(count == 1)
    assert calls[0] == (0, replications)
    assert calls[-1] == (replications, replications)
    assert calls == sorted(set(calls))


def test_progress_runs_in_the_calling_thread() -> None:
    names: set[str] = set()
    replicate(
        lambda lo, hi: None,
        10,
        block=1,
        threads=2,
        progress=lambda d, n: names.add(threading.current_thread().name),
    )
    assert names == {threading.current_thread().name}


@pytest.mark.parametrize("threads", [1, 4])
def test_the_error_of_the_earliest_block_is_raised(threads: int) -> None:
    started: list[int] = []

    def task(low: int, high: int) -> None:
        started.append(low)
        if low == 3:
            time.sleep(0.05)
            raise ArithmeticError("books of replication 3")
        if low == 5:
            raise ArithmeticError("books of replication 5")

    with pytest.raises(ArithmeticError, match="replication 3"):
        replicate(task, 10_000, block=1, threads=threads)
    assert len(started) < 100
    assert threading.active_count() == 1


def test_cancel() -> None:
    cancel = threading.Event()
    done: list[int] = []

    def task(low: int, high: int) -> None:
        done.append(low)
        if low == 4:
            cancel.set()
        time.sleep(0.01)

    with pytest.raises(CancelledError, match=r"of 1000 replications"):
        replicate(task, 1000, block=1, threads=2, cancel=cancel)
    assert len(done) < 1000
    cancel.set()
    with pytest.raises(CancelledError, match="cancelled after 0 of 5"):
        replicate(lambda lo, hi: None, 5, block=1, cancel=cancel)


def test_keyboard_interrupt_stops_the_work() -> None:
    done: list[int] = []

    def interrupt(finished: int, total: int) -> None:
        if finished:
            raise KeyboardInterrupt

    def task(low: int, high: int) -> None:
        done.append(low)
        time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        replicate(task, 100_000, block=1, threads=2, progress=interrupt)
    assert len(done) < 1000
    assert threading.active_count() == 1


@pytest.mark.parametrize(("n", "block", "threads"), [(-1, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_impossible_requests(n: int, block: int, threads: int) -> None:
    with pytest.raises(ValueError, match="cannot run"):
        replicate(lambda lo, hi: None, n, block=block, threads=threads)


def test_usable_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


def test_an_error_of_the_first_progress_is_raised_before_any_work() -> None:
    def fail(finished: int, total: int) -> None:
        raise KeyboardInterrupt

    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        replicate(lambda lo, hi: done.append(lo), 10, block=1, threads=2, progress=fail)
    assert not done
    assert threading.active_count() == 1
