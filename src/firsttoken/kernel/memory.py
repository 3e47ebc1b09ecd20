"""Tables of records that compiled functions reach through one number.

An event engine has some thirty tables (lots, servers, events, ...) and a few dozen small functions.
Handing thirty arrays from function to function costs more than the work that they do, and minutes
of compilation.  A :class:`Memory` therefore keeps the addresses of its tables in one array, and
compiled functions get the address of that array: a plain integer ``m``.  An accessor made by
:func:`table` returns the record ``i`` of one table::

    lots = table(8, LOT)


    @compiled_inner
    def due(m, i):
        return lots(m, i).due

With ``NUMBA_DISABLE_JIT=1`` the same ``m`` is the list of the tables, and a record is numpy's.

Nothing is checked in compiled code: an engine must keep its indices within its tables, and whoever
holds ``m`` must keep the :class:`Memory` alive.
"""

import mmap
from collections.abc import Callable, Mapping
from typing import Any, Final

import numba
import numba.core.cgutils
import numba.extending
import numba.np.arrayobj
import numba.np.numpy_support
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numpy.typing import NDArray

from firsttoken.kernel.compiled import config

# What numba offers to those who extend it is not typed.
types: Any = numba.types
cgutils: Any = numba.core.cgutils
intrinsic: Any = numba.extending.intrinsic
populate_array: Any = numba.np.arrayobj.populate_array
from_dtype: Any = numba.np.numpy_support.from_dtype

Accessor = Callable[[Any, int], Any]

NUMBER: Final = np.dtype([("v", "f8")])
"""A table of plain numbers."""

INTEGER: Final = np.dtype([("v", "i8")])
"""A table of plain integers."""

ALIGNMENT: Final = 64
"""Bytes of a cache line."""

LARGE_PAGE: Final = 1 << 21


def lines(fields: list[Any]) -> np.dtype[Any]:
    """Return the dtype of records of whole cache lines: what is used together stands together.

    Parameters
    ----------
    fields
        As of a numpy dtype; the first ones share the first line.
    """
    packed: Any = np.dtype(fields, align=True)
    names = packed.names
    places = [packed.fields[name] for name in names]
    layout: Any = {
        "names": list(names),
        "formats": [place[0] for place in places],
        "offsets": [place[1] for place in places],
        "itemsize": -(-packed.itemsize // ALIGNMENT) * ALIGNMENT,
    }
    found: np.dtype[Any] = np.dtype(layout)
    return found


def table(slot: int, dtype: np.dtype[Any]) -> Accessor:
    """Return the accessor ``(m, i) -> record i`` of the table in a slot.

    Parameters
    ----------
    slot
        Position of the table in its :class:`Memory`.
    dtype
        Structured dtype of the table.

    Returns
    -------
    callable
        In compiled code a record is a pointer: reading and writing its fields reads and writes the
        table.
    """
    start, record = base(slot), element(dtype)
    if config.DISABLE_JIT:
        return lambda m, i: record(start(m), i)

    def row(typing: Any, m: Any, i: Any) -> Any:
        kind = from_dtype(dtype)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            address = _load(builder, args[0], slot)
            return _record(context, builder, kind, dtype.itemsize, address, args[1])

        return kind(types.int64, types.int64), generate

    compiled: Accessor = intrinsic(row)
    return compiled


def base(slot: int) -> Callable[[Any], Any]:
    """Return the function ``m -> start of the table in a slot``, for loops over its records."""
    if config.DISABLE_JIT:
        return lambda m: m[slot]

    def start(typing: Any, m: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _load(builder, args[0], slot)

        return types.int64(types.int64), generate

    compiled: Callable[[Any], Any] = intrinsic(start)
    return compiled


def element(dtype: np.dtype[Any]) -> Accessor:
    """Return the accessor ``(start, i) -> record`` of a table whose start :func:`base` gave."""
    if config.DISABLE_JIT:
        return lambda start, i: start[i]

    def record(typing: Any, start: Any, i: Any) -> Any:
        kind = from_dtype(dtype)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _record(context, builder, kind, dtype.itemsize, args[0], args[1])

        return kind(types.int64, types.int64), generate

    compiled: Accessor = intrinsic(record)
    return compiled


def callback(slot: int, arguments: int) -> Callable[..., float]:
    """Return the function ``(m, (x1, ..., xn)) -> float`` that calls a function kept in a slot.

    The slot holds an :data:`INTEGER` with the address of a C function of so many floats (numba's
    ``cfunc(...).address``), or in pure-Python mode the Python function itself.
    """
    if config.DISABLE_JIT:
        return lambda m, given: float(m[slot](*given))

    def call(typing: Any, m: Any, given: Any) -> Any:
        kind = types.UniTuple(types.float64, arguments)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            double = ir.DoubleType()
            shape = ir.FunctionType(double, [double] * arguments)
            table_address = builder.inttoptr(
                _load(builder, args[0], slot), cgutils.intp_t.as_pointer()
            )
            function = builder.inttoptr(builder.load(table_address), shape.as_pointer())
            return builder.call(function, cgutils.unpack_tuple(builder, args[1], arguments))

        return types.float64(types.int64, kind), generate

    compiled: Callable[..., float] = intrinsic(call)
    return compiled


def _numbers(shape: tuple[int, ...]) -> Callable[..., Any]:
    """Return the function that gives part of a table of plain numbers as an array."""
    kind = types.Array(types.float64, len(shape) + 1, "C")

    def numbers(typing: Any, start: Any, first: Any, rows: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(kind)(context, builder)
            size = cgutils.intp_t
            strides = [size(8)]
            for n in reversed(shape):
                strides.insert(0, strides[0].type(8 * n))
            address = builder.add(args[0], builder.mul(args[1], strides[0]))
            populate_array(
                array,
                data=builder.inttoptr(address, array.data.type),
                shape=cgutils.pack_array(builder, [args[2], *(size(n) for n in shape)]),
                strides=cgutils.pack_array(builder, strides),
                itemsize=size(8),
                meminfo=None,
            )
            return array._getvalue()

        return kind(types.int64, types.int64, types.int64), generate

    compiled: Callable[..., Any] = intrinsic(numbers)
    return compiled


if config.DISABLE_JIT:

    def numbers(start: Any, first: int, rows: int) -> Any:
        """Return rows of a table of plain numbers, whose start :func:`base` gave, as an array."""
        return np.asarray(start).view(np.float64)[first : first + rows]

    def pairs(start: Any, first: int, rows: int) -> Any:
        """Return the same as an array [rows, 2]: two numbers to a row."""
        return np.asarray(start).view(np.float64).reshape(-1, 2)[first : first + rows]

else:
    numbers = _numbers(())
    pairs = _numbers((2,))


def _load(builder: Any, m: Any, slot: int) -> Any:
    """Load the address of a table from the array of addresses at ``m``."""
    pointer = builder.inttoptr(builder.add(m, m.type(8 * slot)), cgutils.intp_t.as_pointer())
    return builder.load(pointer)


def _record(context: Any, builder: Any, kind: Any, size: int, start: Any, i: Any) -> Any:
    """Compute the pointer to record ``i`` of a table of records of ``size`` bytes."""
    first = builder.inttoptr(start, cgutils.voidptr_t)
    pointer = builder.gep(first, [builder.mul(i, i.type(size))])
    return builder.bitcast(pointer, context.get_value_type(kind))


class Memory:
    """The tables of one simulation, alive and at fixed addresses.

    Parameters
    ----------
    tables
        Structured arrays by slot; an empty slot holds nothing.

    Attributes
    ----------
    m
        What compiled functions take: the address of the addresses, or the tables themselves in
        pure-Python mode.
    """

    def __init__(self, tables: Mapping[int, NDArray[Any]]) -> None:
        self._slots = max(tables) + 1
        self._tables: dict[int, NDArray[Any]] = {}
        self._addresses = np.zeros(self._slots, np.int64)
        self._views: list[Any] = [None] * self._slots
        self.m: Any = self._views if config.DISABLE_JIT else int(self._addresses.ctypes.data)
        for slot, array in tables.items():
            self.replace(slot, array)

    def __getitem__(self, slot: int) -> NDArray[Any]:
        """Return the table in a slot."""
        return self._tables[slot]

    def replace(self, slot: int, array: NDArray[Any]) -> None:
        """Put a table into a slot: at the start, or a larger one in place of a full one.

        Raises
        ------
        ValueError
            If the array is not contiguous.
        """
        if not array.flags.c_contiguous:
            raise ValueError(f"the table in slot {slot} is not contiguous")
        self._tables[slot] = array
        self._addresses[slot] = array.ctypes.data
        self._views[slot] = array.view(np.recarray)

    def grow(self, slot: int, rows: int) -> None:
        """Enlarge a table to ``rows``; new rows are zero."""
        old = self._tables[slot]
        new = aligned(rows, old.dtype)
        new[: len(old)] = old
        self.replace(slot, new)

    def copy(self, slots: Mapping[str, int]) -> dict[str, NDArray[Any]]:
        """Return copies of tables: a snapshot of the state they hold."""
        return {name: self._tables[slot].copy() for name, slot in slots.items()}


def together(tables: Mapping[int, NDArray[Any]]) -> dict[int, NDArray[Any]]:
    """Return copies of tables that lie in one block, in large pages where there are such.

    An engine goes through its tables at random; the fewer pages, the fewer of their addresses must
    be looked up.
    """
    starts = np.cumsum([0, *(-(-t.nbytes // ALIGNMENT) * ALIGNMENT for t in tables.values())])
    block = _pages(int(starts[-1]))
    found: dict[int, NDArray[Any]] = {}
    for (slot, given), start in zip(tables.items(), starts[:-1], strict=True):
        found[slot] = block[start : start + given.nbytes].view(given.dtype)
        found[slot][:] = given
    return found


def _pages(size: int) -> NDArray[np.uint8]:
    """Return zeros that begin at the start of a page: of a large one if they fill one."""
    page = LARGE_PAGE if size >= LARGE_PAGE else mmap.PAGESIZE
    memory = mmap.mmap(-1, size + page)
    if size >= LARGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    raw = np.frombuffer(memory, np.uint8)
    offset = -raw.ctypes.data % page
    return raw[offset : offset + size]


def aligned(rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return a table of zeros that begins at the start of a cache line."""
    size = rows * dtype.itemsize
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    offset = -raw.ctypes.data % ALIGNMENT
    return raw[offset : offset + size].view(dtype)
