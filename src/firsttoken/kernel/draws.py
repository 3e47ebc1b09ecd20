"""Random streams as engines use them: the next number of a stream, drawn in blocks.

A stream is a distribution with an entity and a purpose; its numbers are addressed by (seed,
replication, entity, purpose, index) as everywhere in the kernel.  Drawing sixty-four at a time lets
the loop run on vector registers, which makes a number four times cheaper than one at a time.

A distribution that inverts one uniform number uses both numbers of :func:`uniform2` at an index:
its number k is the quantile at part ``k % 2`` of index ``k // 2``.  The others use an index a
number.
"""

from typing import Any, Final

import numpy as np

from firsttoken.kernel import codes
from firsttoken.kernel.compiled import compiled_apart, compiled_fused, compiled_inner
from firsttoken.kernel.events import clock
from firsttoken.kernel.memory import NUMBER, base, element, lines, numbers, pairs, table
from firsttoken.kernel.random import log_normal_float, uniform2
from firsttoken.kernel.sampling import draw, quantile, table_quantile

STREAM_SLOT: Final = 2
BLOCK_SLOT: Final = 3
TABLE_SLOT: Final = 4
VALUE_SLOT: Final = 5
KERNEL_SLOTS: Final = 8
"""Slots that the kernel keeps for itself; engines number theirs from here."""

BLOCK: Final = 64
"""Numbers drawn at a time; even."""

STREAM_STATE: Final = lines(
    [
        ("code", "i4"),  # distribution, see codes
        ("used", "i4"),  # numbers of the block that are used up
        ("drawn", "i8"),  # numbers drawn so far, blocks and all
        ("entity", "i8"),
        ("purpose", "i4"),
        ("rows", "i4"),  # rows of the table of distributions, for DISCRETE and EMPIRICAL
        ("a", "f8"),
        ("b", "f8"),
        ("c", "f8"),
        ("d", "f8"),
    ]
)
"""A stream: its distribution, its address, and how far it has been drawn."""

stream = table(STREAM_SLOT, STREAM_STATE)
value = table(VALUE_SLOT, NUMBER)
_block = base(BLOCK_SLOT)
_table = base(TABLE_SLOT)
_number = element(NUMBER)


@compiled_fused
def _wide(number: Any) -> Any:
    """Return a small integer as one of 64 bits, in which addresses are computed."""
    return np.int64(number)


@compiled_fused
def next_number(m: Any, s: int) -> float:
    """Return the next number of stream ``s``; a CONSTANT stream gives the same for ever."""
    state = stream(m, s)
    if state.code == codes.CONSTANT:
        return float(state.a)
    if state.used >= BLOCK:
        fill(m, s)
    used = state.used
    state.used = used + 1
    return float(_number(_block(m), s * BLOCK + used).v)


@compiled_apart
def fill(m: Any, s: int) -> None:
    """Draw the next block of stream ``s``."""
    state = stream(m, s)
    c = clock(m, 0)
    out = numbers(_block(m), s * BLOCK, BLOCK)
    code = state.code
    if code == codes.UNIFORM:
        _fill_uniform(out, state.a, state.b - state.a, c, state)
    elif code == codes.EXPONENTIAL:
        _fill_exponential(out, state.a, c, state)
    elif code in (codes.GAMMA, codes.BETA_PERT):
        for i in range(BLOCK):
            out[i] = draw(
                code,
                state.a,
                state.b,
                state.c,
                state.d,
                c.seed,
                c.replication,
                state.entity,
                _wide(state.purpose),
                state.drawn + i,
            )
    else:
        _fill_inverse(m, out, c, state)
    state.drawn += BLOCK
    state.used = 0


@compiled_inner
def _fill_uniform(out: Any, low: float, width: float, c: Any, state: Any) -> None:
    seed, replication = c.seed, c.replication
    entity, purpose = state.entity, _wide(state.purpose)
    first = state.drawn // 2
    for i in range(BLOCK // 2):
        u, v = uniform2(seed, replication, entity, purpose, first + i)
        out[2 * i] = low + width * u
        out[2 * i + 1] = low + width * v


@compiled_inner
def _fill_exponential(out: Any, mean: float, c: Any, state: Any) -> None:
    seed, replication = c.seed, c.replication
    entity, purpose = state.entity, _wide(state.purpose)
    first = state.drawn // 2
    for i in range(BLOCK // 2):
        u, v = uniform2(seed, replication, entity, purpose, first + i)
        out[2 * i] = -mean * log_normal_float(1.0 - u)
        out[2 * i + 1] = -mean * log_normal_float(1.0 - v)


@compiled_inner
def _fill_inverse(m: Any, out: Any, c: Any, state: Any) -> None:
    """Distributions whose quantile is a function or a table."""
    code, a, b, d = state.code, state.a, state.b, state.c
    listed = code in (codes.DISCRETE, codes.EMPIRICAL)
    rows = pairs(_table(m), int(np.int64(0)), state.rows)
    first = state.drawn // 2
    purpose = _wide(state.purpose)
    for i in range(BLOCK // 2):
        u, v = uniform2(c.seed, c.replication, state.entity, purpose, first + i)
        if listed:
            out[2 * i] = table_quantile(code, rows, int(a), int(b), u)
            out[2 * i + 1] = table_quantile(code, rows, int(a), int(b), v)
        else:
            out[2 * i] = quantile(code, a, b, d, u)
            out[2 * i + 1] = quantile(code, a, b, d, v)
