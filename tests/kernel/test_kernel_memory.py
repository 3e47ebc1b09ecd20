"""Tables behind one number: what compiled code writes, numpy reads, and the reverse."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numba import cfunc, config, types

from firsttoken.kernel import memory
from firsttoken.kernel.compiled import (
    compiled,
    compiled_apart,
    compiled_fused,
    compiled_inner,
)

PURE = bool(config.DISABLE_JIT)

LOT = np.dtype(
    [("a", "i1"), ("b", "i2"), ("c", "i4"), ("d", "i8"), ("e", "u4"), ("f", "f4"), ("g", "f8")]
)
"""Every kind of field, the larger ones not aligned to their size."""

FIRST, EMPTY, LOTS, NUMBERS, RULE = range(5)

lot = memory.table(LOTS, LOT)
first = memory.table(FIRST, memory.INTEGER)
numbers = memory.base(NUMBERS)
number = memory.element(memory.NUMBER)
rule = memory.callback(RULE, 3)


@compiled_inner
def add(m: Any, i: int, amount: int) -> None:
    record = lot(m, i)
    record.a += amount
    record.b -= amount
    record.c += 2 * amount
    record.d += record.c
    record.e += amount
    record.f += 0.5 * amount
    record.g -= 0.25 * amount
    first(m, 0).v += 1


@compiled
def add_all(m: Any, rows: int, amount: int) -> int:
    for i in range(rows):
        add(m, i, amount)
    return int(first(m, 0).v)


@compiled_inner
def number_of(m: Any, i: int) -> float:
    return float(number(numbers(m), i).v)


@compiled_apart
def scaled(m: Any, i: int, factor: float) -> float:
    return number_of(m, i) * factor


@compiled_fused
def scaled_twice(m: Any, i: int) -> float:
    return scaled(m, i, 2.0) + scaled(m, i, 3.0)


@compiled
def scaled_total(m: Any, rows: int) -> float:
    total = 0.0
    for i in range(rows):
        total += scaled_twice(m, i)
    return total


@compiled
def cumulate(m: Any, rows: int) -> float:
    """Replace plain numbers by their cumulative sums."""
    start = numbers(m)
    for i in range(1, rows):
        number(start, i).v += number(start, i - 1).v
    return float(number(start, rows - 1).v)


@compiled
def halve_second_column(m: Any, first: int, rows: int) -> float:
    """Halve the second numbers of some pairs, and return the sum of all numbers of the pairs."""
    array = memory.pairs(numbers(m), first, rows)
    for i in range(array.shape[0]):
        array[i, 1] *= 0.5
    total = 0.0
    flat = memory.numbers(numbers(m), 2 * first, 2 * rows)
    for i in range(len(flat)):
        total += flat[i]
    return total


@compiled
def ask(m: Any, x: float) -> float:
    return rule(m, (x, 2.0 * x, 3.0))


def lots(rows: int) -> np.ndarray:
    table = memory.aligned(rows, LOT)
    for name in LOT.names or ():
        table[name] = np.arange(rows)
    return table


def some(rows: int = 3) -> memory.Memory:
    return memory.Memory(
        {
            FIRST: memory.aligned(1, memory.INTEGER),
            LOTS: lots(rows),
            NUMBERS: memory.aligned(8, memory.NUMBER),
        }
    )


def test_compiled_functions_read_and_write_every_kind_of_field() -> None:
    tables = some()
    assert add_all(tables.m, 2, 3) == 2
    # row i had i in every field; row 2 is untouched
    assert tables[LOTS].tolist() == [
        (3, -3, 6, 6, 3, 1.5, -0.75),
        (4, -2, 7, 8, 4, 2.5, 0.25),
        (2, 2, 2, 2, 2, 2.0, 2.0),
    ]
    assert tables[FIRST]["v"][0] == 2


def test_numpy_writes_what_compiled_functions_read() -> None:
    tables = some()
    tables[NUMBERS]["v"] = np.arange(8)
    assert cumulate(tables.m, 8) == 28
    assert tables[NUMBERS]["v"].tolist() == [0, 1, 3, 6, 10, 15, 21, 28]


def test_part_of_a_table_of_numbers_is_an_array() -> None:
    tables = some()
    tables[NUMBERS]["v"] = np.arange(8)
    assert halve_second_column(tables.m, 1, 2) == 2 + 1.5 + 4 + 2.5
    assert tables[NUMBERS]["v"].tolist() == [0, 1, 2, 1.5, 4, 2.5, 6, 7]


def with_rule(function: Callable[[float, float, float], float]) -> tuple[memory.Memory, Any]:
    """Return a memory with a function, and what the caller must keep alive with it."""
    table = memory.aligned(1, memory.INTEGER)
    tables = memory.Memory({RULE: table})
    if PURE:
        tables.m[RULE] = function
        return tables, function
    native = cfunc(types.float64(types.float64, types.float64, types.float64))(function)
    table["v"] = native.address
    return tables, native


def test_compiled_functions_call_the_function_in_a_slot() -> None:
    """The caller is compiled once, whatever it calls."""
    first, kept_first = with_rule(lambda x, y, z: 100 * x + 10 * y + z)
    second, kept_second = with_rule(lambda x, y, z: math.sqrt(x * y + z))
    assert [ask(first.m, 1.0), ask(second.m, 3.0), ask(first.m, 2.0)] == [
        123,
        math.sqrt(21),
        243,
    ]
    assert kept_first is not kept_second


def test_memories_are_independent() -> None:
    one, other = some(), some()
    assert add_all(one.m, 3, 1) == 3
    assert add_all(one.m, 3, 1) == 6
    assert add_all(other.m, 1, 1) == 1
    assert one[LOTS]["a"].tolist() == [2, 3, 4]
    assert other[LOTS]["a"].tolist() == [1, 1, 2]


def test_a_table_grows_under_the_same_number() -> None:
    tables = some(2)
    m = tables.m
    before = tables[LOTS]
    tables.grow(LOTS, 5)
    assert tables.m is m if PURE else tables.m == m
    assert tables[LOTS].tolist() == [*before.tolist(), *[(0,) * 7] * 3]
    assert add_all(m, 5, 1) == 5
    assert tables[LOTS]["a"].tolist() == [1, 2, 1, 1, 1]
    assert before["a"].tolist() == [0, 1], "the old table is no longer the table"


def test_a_table_is_replaced() -> None:
    tables = some()
    fresh = lots(1)
    tables.replace(LOTS, fresh)
    add_all(tables.m, 1, 7)
    assert fresh["a"].tolist() == [7]
    assert tables[LOTS] is fresh


def test_a_table_with_gaps_is_refused() -> None:
    with pytest.raises(ValueError, match="slot 2 is not contiguous"):
        memory.Memory({LOTS: lots(6)[::2]})


def test_a_copy_is_a_snapshot() -> None:
    tables = some()
    add_all(tables.m, 3, 1)
    snapshot = tables.copy({"lots": LOTS, "first": FIRST})
    assert sorted(snapshot) == ["first", "lots"]
    kept = {name: array.tolist() for name, array in snapshot.items()}
    expected = add_all(tables.m, 3, 2), tables[LOTS].tolist()
    assert {name: array.tolist() for name, array in snapshot.items()} == kept
    tables.replace(LOTS, snapshot["lots"])
    tables.replace(FIRST, snapshot["first"])
    assert (add_all(tables.m, 3, 2), tables[LOTS].tolist()) == expected


@given(st.integers(1, 50), st.sampled_from([LOT, memory.NUMBER, memory.INTEGER]))
def test_tables_begin_at_a_cache_line(rows: int, dtype: np.dtype[Any]) -> None:
    table = memory.aligned(rows, dtype)
    assert table.ctypes.data % memory.ALIGNMENT == 0
    assert table.dtype == dtype
    assert table.tobytes() == bytes(rows * dtype.itemsize)
    assert table.flags.writeable


@given(st.lists(st.sampled_from(["i1", "i2", "i4", "f8"]), min_size=1, max_size=40))
def test_records_of_lines_are_whole_cache_lines_in_the_order_of_their_fields(
    kinds: list[str],
) -> None:
    fields = [(f"f{i}", kind) for i, kind in enumerate(kinds)]
    dtype: Any = memory.lines(fields)
    assert dtype.itemsize % memory.ALIGNMENT == 0
    assert dtype.itemsize < memory.ALIGNMENT + 2 * sum(8 for _ in kinds)
    assert dtype.names == tuple(name for name, _ in fields)
    end = 0
    for name, kind in fields:
        found, offset = dtype.fields[name][:2]
        assert found == np.dtype(kind)
        assert offset >= end
        assert offset % found.itemsize == 0
        end = offset + found.itemsize


@pytest.mark.parametrize("rows", [3, 1 << 18])  # the second takes a large page and more
def test_tables_lie_side_by_side(rows: int) -> None:
    given = {
        LOTS: np.zeros(5, LOT),
        NUMBERS: np.zeros(rows, memory.NUMBER),
        FIRST: np.ones(1, memory.INTEGER),
    }
    given[NUMBERS]["v"] = np.arange(rows)
    found = memory.together(given)
    assert list(found) == list(given)
    end = 0
    for slot, table in found.items():
        assert table.dtype == given[slot].dtype
        assert np.array_equal(table, given[slot])
        assert table.ctypes.data % memory.ALIGNMENT == 0
        assert not end or 0 <= table.ctypes.data - end < memory.ALIGNMENT
        end = table.ctypes.data + table.nbytes
    if rows > memory.LARGE_PAGE // 8 - 1:
        assert found[LOTS].ctypes.data % memory.LARGE_PAGE == 0
    found[NUMBERS]["v"][0] = 7.0
    assert given[NUMBERS]["v"][0] == 0.0


@given(hnp.arrays(np.int32, st.integers(1, 20), elements=st.integers(-(2**30), 2**30)))
def test_records_of_a_table_are_its_rows(values: np.ndarray) -> None:
    tables = some(len(values))
    tables[LOTS]["c"] = values
    tables[LOTS]["d"] = 0
    add_all(tables.m, len(values), 1)
    np.testing.assert_array_equal(tables[LOTS]["d"], values.astype(np.int64) + 2)


def test_fused_functions_are_inlined_and_those_apart_are_not() -> None:
    values = memory.aligned(10, memory.NUMBER)
    values["v"] = np.arange(10.0)
    kept = memory.Memory({NUMBERS: values})
    assert scaled_total(kept.m, 10) == 5 * 45
    if PURE:
        return
    (code,) = scaled_total.inspect_llvm().values()  # type: ignore[attr-defined]
    defined = [line for line in code.splitlines() if line.startswith("define ")]
    assert any("6scaledB" in line for line in defined)
    assert not any("12scaled_twiceB" in line for line in defined)
