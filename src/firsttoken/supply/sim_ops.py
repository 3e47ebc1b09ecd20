"""The row operations of which a simulated period is made, and the loop that runs them.

All that a replication knows is one column of an array of *rows* [row, lane]; a lane is one
replication of a block. A period is a *program* (written by `sim_program`): a list of
operations on rows, such as "limit what activity 7 wants to what is in stock". Every operation
is a loop over lanes, which runs on vector registers; lanes never see each other.

An instruction is an operation and up to seven operands, most of them rows. In the comments
``d, x, y, z`` are the operands in order.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled_inner

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BITS: Final = 16
"""Reasons are powers of ``2**BITS``, so that one sum counts them all, of as many lanes less 1."""

MATERIAL: Final = 1 << 0
CAPACITY: Final = 1 << BITS
RESOURCE: Final = 1 << 2 * BITS
POLICY: Final = 1 << 3 * BITS

# Arithmetic.
ZERO: Final = 0  # d = 0
FILL: Final = 1  # d = the number x
COPY: Final = 2  # d = x
ADD: Final = 3  # d += x
SUBTRACT: Final = 4  # d -= x
MULTIPLY: Final = 5  # d *= x
DIVIDE: Final = 6  # d /= x, or 0 where x is 0
ADD_PRODUCT: Final = 7  # d += x y
SUBTRACT_PRODUCT: Final = 8  # d -= x y
TAKE: Final = 9  # d -= x max(y, 0), not below 0
EASE: Final = 10  # d -= x, not below 0
SHORTFALL: Final = 11  # d = max(x - d, 0)
MIN: Final = 12  # d = min(d, x)
ADD_THREE: Final = 13  # d = x + y + z
ORDER_UP: Final = 14  # d = max(x - d, 0), and y += d
ROOM: Final = 15  # d = max(x - y - z, 0)
# Rates: what depends on the length of the period.
ADD_RATE: Final = 20  # d += max(x, 0) width
SET_RATE: Final = 21  # d = max(x, 0) width
ADD_HELD: Final = 22  # d += x y width
DUE: Final = 24  # d and x: += max(y, 0) width
GOAL_DATE: Final = 23  # d: date; x: total, y: total before, z: target
# Wishes; `reason` says what limits them.
PUSH: Final = 30  # want d = without limit, reason x
PLAN: Final = 31  # want d = plan of activity z less begun y, reason x
PULL: Final = 32  # want d = outstanding (or room) y, reason x
FULL: Final = 39  # want d = all that rate y allows, reason x
MIN_RUNS: Final = 33  # d = min(d, runs for which x units are enough at y a run)
LIMIT_RATE: Final = 34  # want d, reason x: at most y per time
LIMIT_OPEN: Final = 35  # want d, reason x: nothing where y is not above 0
LIMIT_UNITS: Final = 36  # want d, reason x: at most what y units allow at z a run; 5th: code
COUNT: Final = 37  # count reasons d for activity x
LIMIT: Final = 38  # want d, reason x: at most y; z: code
# Rationing.
SCARCE: Final = 40  # note whether d exceeds x in any lane
SKIP_PLENTY: Final = 41  # skip d instructions unless something was scarce; forget it
RATIO: Final = 42  # d = x / y where y exceeds x, else 1
ADD_WEIGHT: Final = 43  # d += max(x, 0) where y is above 0
SHARE_RATIO: Final = 44  # d: of place x, weight y of z; 5th: need; 6th: total need
LOWER: Final = 45  # ratio d, reason x: at most y; z: code
GRANT: Final = 46  # want d becomes d x, and x what is still wanted
WEIGHT: Final = 47  # d = max(x, 0) where y is above 0
BLAME: Final = 48  # reason d becomes x where y was wanted and less, z, was granted
# Flow.
FINISH: Final = 60  # activity d: x = good runs of what finishes now, y: wip, z: yield or -1;
# 5th: completed, or -1
TAKE_VALUE: Final = 61  # activity d: x += cost, y += domestic cost of what finishes
STORE: Final = 62  # stock d, arrived x: y max(z, 0)
PART: Final = 63  # d = max(x, 0) / y, or 1 / z where y is 0
DELIVER: Final = 64  # stock d, backlog x: units y = least of both; z: delivered, 5th: gone;
# 6th: their share of the stock, or -1
CONSUME: Final = 65  # stock d, gone x: y runs take z a run; 5th: share of the stock, or -1
MOVE: Final = 66  # d += share y of x; x loses it
BEGIN: Final = 67  # d runs: added to x and y
SHIP: Final = 68  # activity d: x runs, at cost y, domestic z, go into the pipeline
SETUP: Final = 69  # d = max(y, 0) where x is above 0, else 0
PAY: Final = 72  # cost d += x runs at max(y, 0) each; z and, unless -1, 5th: totals
SKIP_SLOW: Final = 70  # skip x instructions unless something of activity d is finished at once
SKIP_UNPIPED: Final = 71  # skip x instructions if activity d has no pipeline


class Pipeline(NamedTuple):
    """Work in process by the period in which it finishes.

    Activity a has ``slots[a]`` rows from ``start[a]`` on; what finishes in period t lies in
    row ``start[a] + t % slots[a]``. `lead` and `part` [A, lanes] are the whole periods of lead
    time of what starts now, and the share that takes one more; `fastest` [A] is the least
    lead of the lanes, `alike` [A] is 1 if all lanes have the same lead time, `needed` [A] the
    slots it takes; `near` and `far` [lanes] are working space.
    """

    start: Ints
    slots: Ints
    runs: Floats
    value: Floats
    home: Floats
    lead: Ints
    part: Floats
    fastest: Ints
    alike: Ints
    needed: Ints
    near: Ints
    far: Ints


@compiled_inner
def run_program(
    code: Ints,
    w: Floats,
    pipeline: Pipeline,
    plan: Floats,
    t: int,
    t0: float,
    width: float,
    limited: Ints,
) -> None:
    """Run a period: every instruction of `code` [n, 8] on the rows `w` [rows, lanes].

    Parameters
    ----------
    plan : [A], runs that should have started by the end of the period (release by plan).
    t, t0, width : number, start and length of the period.
    limited : [A, 4], counts of reasons are added.
    """
    scarce = 0
    i = int(np.int64(0))  # not a literal, for which numba would compile every function again
    while i < code.shape[0]:
        op = code[i, 0]
        if op < 20:
            arithmetic(code, i, w)
        elif op < 30:
            over_time(code, i, w, t0, width)
        elif op < 40:
            wish(code, i, w, plan, width, limited)
        elif op == SCARCE:
            scarce += _exceeds(w, code[i, 1], code[i, 2])
        elif op == SKIP_PLENTY:
            i += 0 if scarce else code[i, 1]
            scarce = 0
        elif op < 50:
            ration(code, i, w)
        elif op == FINISH:
            _finish(code, i, w, pipeline, t)
        elif op == TAKE_VALUE:
            row = pipeline.start[code[i, 1]] + t % pipeline.slots[code[i, 1]]
            _empty(pipeline.value, row, w, code[i, 2])
            if code[i, 3] >= 0:
                _empty(pipeline.home, row, w, code[i, 3])
        elif op == SHIP:
            _ship(code, i, w, pipeline, t)
        elif op == SKIP_SLOW:
            i += 0 if pipeline.fastest[code[i, 1]] == 0 else code[i, 2]
        elif op == SKIP_UNPIPED:
            i += 0 if pipeline.slots[code[i, 1]] > 1 else code[i, 2]
        else:
            flow(code, i, w)
        i += 1


@compiled_inner
def arithmetic(code: Ints, i: int, w: Floats) -> None:
    """Run an arithmetic instruction."""
    op, d, x, y, lanes = code[i, 0], code[i, 1], code[i, 2], code[i, 3], w.shape[1]
    if op == ZERO:
        for b in range(lanes):
            w[d, b] = 0.0
    elif op == FILL:
        for b in range(lanes):
            w[d, b] = x
    elif op == COPY:
        for b in range(lanes):
            w[d, b] = w[x, b]
    elif op == ADD:
        for b in range(lanes):
            w[d, b] += w[x, b]
    elif op == SUBTRACT:
        for b in range(lanes):
            w[d, b] -= w[x, b]
    elif op == MULTIPLY:
        for b in range(lanes):
            w[d, b] *= w[x, b]
    elif op == DIVIDE:
        for b in range(lanes):
            w[d, b] = w[d, b] / w[x, b] if w[x, b] > 0.0 else 0.0
    elif op == ADD_PRODUCT:
        for b in range(lanes):
            w[d, b] += w[x, b] * w[y, b]
    elif op == SUBTRACT_PRODUCT:
        for b in range(lanes):
            w[d, b] -= w[x, b] * w[y, b]
    elif op == TAKE:
        for b in range(lanes):
            w[d, b] = max(w[d, b] - w[x, b] * max(w[y, b], 0.0), 0.0)
    elif op == EASE:
        for b in range(lanes):
            w[d, b] = max(w[d, b] - w[x, b], 0.0)
    elif op == MIN:
        for b in range(lanes):
            w[d, b] = min(w[d, b], w[x, b])
    elif op == ADD_THREE:
        z = code[i, 4]
        for b in range(lanes):
            w[d, b] = w[x, b] + w[y, b] + w[z, b]
    elif op == ROOM:
        z = code[i, 4]
        for b in range(lanes):
            w[d, b] = max(w[x, b] - (w[y, b] + w[z, b]), 0.0)
    elif op == ORDER_UP:
        for b in range(lanes):
            need = max(w[x, b] - w[d, b], 0.0)
            w[d, b] = need
            w[y, b] += need
    else:
        for b in range(lanes):
            w[d, b] = max(w[x, b] - w[d, b], 0.0)


@compiled_inner
def over_time(code: Ints, i: int, w: Floats, t0: float, width: float) -> None:
    """Run an instruction that depends on the length of the period."""
    op, d, x, y, lanes = code[i, 0], code[i, 1], code[i, 2], code[i, 3], w.shape[1]
    if op == ADD_RATE:
        for b in range(lanes):
            w[d, b] += max(w[x, b], 0.0) * width
    elif op == SET_RATE:
        for b in range(lanes):
            w[d, b] = max(w[x, b], 0.0) * width
    elif op == ADD_HELD:
        for b in range(lanes):
            w[d, b] += w[x, b] * w[y, b] * width
    elif op == DUE:
        for b in range(lanes):
            due = max(w[y, b], 0.0) * width
            w[d, b] += due
            w[x, b] += due
    else:
        target = code[i, 4]
        for b in range(lanes):
            if w[x, b] >= w[target, b] and np.isnan(w[d, b]):
                rise = w[x, b] - w[y, b]
                part = (w[target, b] - w[y, b]) / rise if rise > 0.0 else 0.0
                w[d, b] = t0 + max(part, 0.0) * width


@compiled_inner
def wish(code: Ints, i: int, w: Floats, plan: Floats, width: float, limited: Ints) -> None:
    """Run an instruction on what an activity wants to start."""
    op, d, x, y, z = code[i, 0], code[i, 1], code[i, 2], code[i, 3], code[i, 4]
    lanes = w.shape[1]
    if op <= PULL:
        for b in range(lanes):
            w[x, b] = POLICY
    if op == PUSH:
        for b in range(lanes):
            w[d, b] = np.inf
    elif op == PLAN:
        for b in range(lanes):
            w[d, b] = max(plan[z] - w[y, b], 0.0)
    elif op == PULL:
        for b in range(lanes):
            w[d, b] = w[y, b]
    elif op == MIN_RUNS:
        for b in range(lanes):
            runs = w[x, b] / w[y, b] if w[y, b] > 0.0 else np.inf
            w[d, b] = min(w[d, b], runs)
    elif op == LIMIT_RATE:
        for b in range(lanes):
            runs = max(w[y, b], 0.0) * width
            w[x, b] = CAPACITY if runs < w[d, b] else w[x, b]
            w[d, b] = min(w[d, b], runs)
    elif op == LIMIT_OPEN:
        for b in range(lanes):
            runs = np.inf if w[y, b] > 0.0 else 0.0
            w[x, b] = CAPACITY if runs < w[d, b] else w[x, b]
            w[d, b] = min(w[d, b], runs)
    elif op == LIMIT_UNITS:
        reason = float(code[i, 5])
        for b in range(lanes):
            runs = w[y, b] / w[z, b] if w[z, b] > 0.0 else np.inf
            w[x, b] = reason if runs < w[d, b] else w[x, b]
            w[d, b] = min(w[d, b], runs)
    elif op == FULL:
        for b in range(lanes):
            w[d, b] = max(w[y, b], 0.0) * width
            w[x, b] = CAPACITY
    elif op == LIMIT:
        reason = float(z)
        for b in range(lanes):
            w[x, b] = reason if w[y, b] < w[d, b] else w[x, b]
            w[d, b] = min(w[d, b], w[y, b])
    else:
        total = 0
        for b in range(lanes):
            total += int(w[d, b])
        for k in range(4):
            limited[x, k] += (total >> k * BITS) & ((1 << BITS) - 1)


@compiled_inner
def _exceeds(w: Floats, d: int, x: int) -> int:
    count = 0
    for b in range(w.shape[1]):
        count += 1 if w[d, b] > w[x, b] else 0
    return count


@compiled_inner
def ration(code: Ints, i: int, w: Floats) -> None:
    """Run an instruction that shares what is scarce."""
    op, d, x, y, z = code[i, 0], code[i, 1], code[i, 2], code[i, 3], code[i, 4]
    lanes = w.shape[1]
    if op == RATIO:
        for b in range(lanes):
            w[d, b] = w[x, b] / w[y, b] if w[y, b] > w[x, b] else 1.0
    elif op == ADD_WEIGHT:
        for b in range(lanes):
            w[d, b] += max(w[x, b], 0.0) if w[y, b] > 0.0 else 0.0
    elif op == WEIGHT:
        for b in range(lanes):
            w[d, b] = max(w[x, b], 0.0) if w[y, b] > 0.0 else 0.0
    elif op == SHARE_RATIO:
        need, total = code[i, 5], code[i, 6]
        for b in range(lanes):
            short = w[total, b] > w[x, b] and w[need, b] > 0.0 and w[z, b] > 0.0
            part = w[x, b] * (max(w[y, b], 0.0) / w[z, b]) / w[need, b]
            w[d, b] = min(part, 1.0) if short else 1.0
    elif op == LOWER:
        for b in range(lanes):
            w[x, b] = z if w[y, b] < w[d, b] else w[x, b]
            w[d, b] = min(w[d, b], w[y, b])
    elif op == BLAME:
        for b in range(lanes):
            w[d, b] = w[x, b] if w[z, b] < w[y, b] * (1.0 - 1e-9) else w[d, b]
    else:
        for b in range(lanes):
            granted = w[d, b] * w[x, b] if w[x, b] < 1.0 else w[d, b]
            w[x, b] = w[d, b] - granted
            w[d, b] = granted


@compiled_inner
def flow(code: Ints, i: int, w: Floats) -> None:
    """Run an instruction that moves units or money between rows."""
    op, d, x, y, z = code[i, 0], code[i, 1], code[i, 2], code[i, 3], code[i, 4]
    lanes = w.shape[1]
    if op == STORE:
        for b in range(lanes):
            units = w[y, b] * max(w[z, b], 0.0)
            w[d, b] += units
            w[x, b] += units
    elif op == PART:
        for b in range(lanes):
            w[d, b] = max(w[x, b], 0.0) / w[y, b] if w[y, b] > 0.0 else 1.0 / z
    elif op == DELIVER:
        gone, share = code[i, 5], code[i, 6]
        for b in range(lanes):
            w[y, b] = min(w[d, b], w[x, b])
        if share >= 0:
            for b in range(lanes):
                w[share, b] = w[y, b] / w[d, b] if w[d, b] > 0.0 else 0.0
        for b in range(lanes):
            w[d, b] -= w[y, b]
            w[x, b] -= w[y, b]
        for b in range(lanes):
            w[z, b] += w[y, b]
            w[gone, b] += w[y, b]
    elif op == CONSUME:
        share = code[i, 5]
        if share >= 0:
            for b in range(lanes):
                units = min(w[y, b] * max(w[z, b], 0.0), w[d, b])
                w[share, b] = units / w[d, b] if w[d, b] > 0.0 else 0.0
        for b in range(lanes):
            units = min(w[y, b] * max(w[z, b], 0.0), w[d, b])
            w[x, b] += units
            w[d, b] -= units
    elif op == MOVE:
        for b in range(lanes):
            part = w[x, b] * w[y, b]
            w[d, b] += part
            w[x, b] -= part
    elif op == BEGIN:
        for b in range(lanes):
            w[x, b] += w[d, b]
            w[y, b] += w[d, b]
    elif op == SETUP:
        for b in range(lanes):
            w[d, b] = max(w[y, b], 0.0) if w[x, b] > 0.0 else 0.0
    elif op == PAY:
        total = code[i, 5]
        for b in range(lanes):
            paid = w[x, b] * max(w[y, b], 0.0)
            w[d, b] += paid
            w[z, b] += paid
        if total >= 0:
            for b in range(lanes):
                w[total, b] += w[x, b] * max(w[y, b], 0.0)


@compiled_inner
def _finish(code: Ints, i: int, w: Floats, pipeline: Pipeline, t: int) -> None:
    a, good, wip, share, done = code[i, 1], code[i, 2], code[i, 3], code[i, 4], code[i, 5]
    runs, row = pipeline.runs, pipeline.start[a] + t % pipeline.slots[a]
    if share >= 0:
        for b in range(w.shape[1]):
            w[good, b] = runs[row, b] * min(max(w[share, b], 0.0), 1.0)
    else:
        for b in range(w.shape[1]):
            w[good, b] = runs[row, b]
    for b in range(w.shape[1]):
        w[wip, b] = max(w[wip, b] - runs[row, b], 0.0)
        runs[row, b] = 0.0
    if done >= 0:
        for b in range(w.shape[1]):
            w[done, b] += w[good, b]


@compiled_inner
def _empty(rows: Floats, row: int, w: Floats, d: int) -> None:
    """Move a row of the pipeline to row `d`."""
    for b in range(w.shape[1]):
        w[d, b] += rows[row, b]
        rows[row, b] = 0.0


@compiled_inner
def _ship(code: Ints, i: int, w: Floats, pipeline: Pipeline, t: int) -> None:
    a, runs, cost, home = code[i, 1], code[i, 2], code[i, 3], code[i, 4]
    start, slots = pipeline.start[a], pipeline.slots[a]
    base = t % slots
    if pipeline.alike[a]:
        near = base + pipeline.lead[a, 0]
        near = start + (near - slots if near >= slots else near)
        far = near + 1 if near + 1 < start + slots else start
        part = pipeline.part[a, 0]
        _split(pipeline.runs, near, far, part, w, runs)
        if cost >= 0:
            _split(pipeline.value, near, far, part, w, cost)
        if home >= 0:
            _split(pipeline.home, near, far, part, w, home)
        return
    _find_rows(pipeline.lead, a, start, slots, base, pipeline.near, pipeline.far)
    _scatter(pipeline.runs, pipeline, a, w, runs)
    if cost >= 0:
        _scatter(pipeline.value, pipeline, a, w, cost)
    if home >= 0:
        _scatter(pipeline.home, pipeline, a, w, home)


@compiled_inner
def _split(rows: Floats, near: int, far: int, part: float, w: Floats, x: int) -> None:
    if part == 0.0:
        for b in range(w.shape[1]):
            rows[near, b] += w[x, b]
        return
    for b in range(w.shape[1]):
        later = w[x, b] * part
        rows[near, b] += w[x, b] - later
        rows[far, b] += later


@compiled_inner
def _find_rows(
    lead: Ints, a: int, start: int, slots: int, base: int, near: Ints, far: Ints
) -> None:
    """Set the pipeline rows in which runs that start now finish, in each lane."""
    for b in range(near.size):
        first = base + lead[a, b]
        first = first - slots if first >= slots else first
        second = first + 1 if first + 1 < slots else 0
        near[b] = start + first
        far[b] = start + second


@compiled_inner
def _scatter(rows: Floats, pipeline: Pipeline, a: int, w: Floats, x: int) -> None:
    near, far, part = pipeline.near, pipeline.far, pipeline.part
    for b in range(w.shape[1]):
        later = w[x, b] * part[a, b]
        rows[near[b], b] += w[x, b] - later
        rows[far[b], b] += later
