"""Running replications on all cores."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue


class CancelledError(Exception):
    """The ``cancel`` event was set before all replications were done."""


def usable_cores() -> int:
    """Return the number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def replicate(
    task: Callable[[int, int], object],
    replications: int,
    *,
    block: int,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cancel: threading.Event | None = None,
) -> None:
    """Run ``task(low, high)`` over all replications, in blocks, on a pool of threads.

    The blocks depend on ``replications`` and ``block`` only.  A task that writes nothing but the
    rows ``low`` to ``high`` of its outputs therefore gives the same bits on any number of threads.
    Threads run at the same time while the task is in compiled code, which holds no GIL.

    Parameters
    ----------
    task
        Runs the replications ``low <= r < high``.
    replications
        Number of replications.
    block
        Replications a call; progress and cancellation act between blocks.
    threads
        Number of threads; all usable cores if ``None``.
    progress
        Called in the calling thread as ``progress(done, replications)``: at the start and
        whenever blocks are done.
    cancel
        Event that stops the work at the end of the running blocks.

    Raises
    ------
    ValueError
        If ``replications`` is negative, or ``block`` or ``threads`` less than one.
    CancelledError
        If ``cancel`` was set before the last block was done.
    BaseException
        What a task, ``progress`` or the user (``KeyboardInterrupt``) raised: no further block is
        started, and the running ones are waited for.  Of several tasks that failed, the error of
        the earliest block is raised, as on a single thread.
    """
    workers = usable_cores() if threads is None else threads
    if replications < 0 or block < 1 or workers < 1:
        raise ValueError(f"cannot run {replications} replications by {block} on {workers} threads")
    queue = _Blocks(task, replications, block)
    pool = [
        threading.Thread(target=queue.work, name=f"replicate-{i}", daemon=True)
        for i in range(min(workers, queue.blocks))
    ]
    done = 0
    try:
        if progress is not None:
            progress(0, replications)
        for thread in pool:
            thread.start()
        while done < replications and not queue.failures:
            if cancel is not None and cancel.is_set():
                raise CancelledError(f"cancelled after {done} of {replications} replications")
            finished = queue.finished()
            done += finished
            if finished and progress is not None:
                progress(done, replications)
    finally:
        queue.stop.set()
        for thread in pool:
            if thread.ident is not None:
                thread.join()
    if queue.failures:
        raise queue.failures[min(queue.failures)]


class _Blocks:
    """Blocks of replications, handed out in order."""

    def __init__(self, task: Callable[[int, int], object], replications: int, block: int) -> None:
        self.task = task
        self.replications = replications
        self.block = block
        self.blocks = -(-replications // block)
        self.stop = threading.Event()
        self.failures: dict[int, BaseException] = {}
        self._next = 0
        self._lock = threading.Lock()
        self._done: SimpleQueue[int] = SimpleQueue()

    def work(self) -> None:
        """Run blocks until none is left, one fails, or the work is stopped."""
        while (number := self._take()) is not None:
            low = number * self.block
            high = min(low + self.block, self.replications)
            try:
                self.task(low, high)
            except BaseException as error:  # handed to the calling thread
                self.failures[number] = error
                self.stop.set()
                high = low
            self._done.put(high - low)

    def finished(self) -> int:
        """Wait up to a tenth of a second; return the number of replications newly done."""
        count = 0
        with suppress(Empty):
            count += self._done.get(timeout=0.1)
            while True:
                count += self._done.get_nowait()
        return count

    def _take(self) -> int | None:
        with self._lock:
            if self.stop.is_set() or self._next >= self.blocks:
                return None
            self._next += 1
            return self._next - 1
