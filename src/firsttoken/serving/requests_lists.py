"""Lists of sequences, and the rows that they take."""

from typing import Any

from firsttoken.kernel.compiled import compiled_fused, compiled_inner
from firsttoken.serving.requests_state import GATES, IN_QUEUE, NOWHERE, lists, sequences, world


@compiled_fused
def list_of(m: Any, r: int, kind: int) -> int:
    """Return the number of a list of replica r."""
    return int(GATES + r * world(m, 0).lists + kind)


@compiled_fused
def queue_of(m: Any, r: int, level: int) -> int:
    """Return the number of the list of those of a priority that wait at replica r."""
    return int(list_of(m, r, IN_QUEUE) + level)


@compiled_inner
def append(m: Any, number: int, s: int) -> None:
    """Put sequence s at the end of a list."""
    row = lists(m, number)
    seq = sequences(m, s)
    seq.next = -1
    seq.prev = row.tail
    if row.tail >= 0:
        sequences(m, row.tail).next = s
    else:
        row.head = s
    row.tail = s
    row.count += 1


@compiled_inner
def prepend(m: Any, number: int, s: int) -> None:
    """Put sequence s at the head of a list."""
    row = lists(m, number)
    seq = sequences(m, s)
    seq.prev = -1
    seq.next = row.head
    if row.head >= 0:
        sequences(m, row.head).prev = s
    else:
        row.tail = s
    row.head = s
    row.count += 1


@compiled_inner
def remove(m: Any, number: int, s: int) -> None:
    """Take sequence s out of its list."""
    row = lists(m, number)
    seq = sequences(m, s)
    if seq.prev >= 0:
        sequences(m, seq.prev).next = seq.next
    else:
        row.head = seq.next
    if seq.next >= 0:
        sequences(m, seq.next).prev = seq.prev
    else:
        row.tail = seq.prev
    row.count -= 1


@compiled_inner
def new_row(m: Any) -> int:
    """Return a free row of SEQUENCE; there must be one."""
    state = world(m, 0)
    s = state.free
    state.free = sequences(m, s).next
    state.free_rows -= 1
    return int(s)


@compiled_inner
def free_row(m: Any, s: int) -> None:
    """Give a row of SEQUENCE back."""
    state = world(m, 0)
    seq = sequences(m, s)
    seq.place = NOWHERE
    seq.next = state.free
    state.free = s
    state.free_rows += 1
