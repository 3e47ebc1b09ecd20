"""Where in time a piece of work fits: in its calendar, at its pace, and among its crews.

A crew's timeline is a list of moments from each of which so much of it is free. Finding room is a
walk along it: the serial scheme of Kelley (The critical-path method: resources planning and
scheduling, in Muth and Thompson, Industrial Scheduling, 1963) and of Kolisch (Serial and parallel
resource-constrained project scheduling methods revisited, European Journal of Operational Research
90 (1996) 320-333).
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.build.clock import Clock, ending, latest, opening, worked
from firsttoken.build.system import Shocks
from firsttoken.kernel.compiled import compiled_inline, compiled_inner

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NEVER: Final = 1e11
"""Seconds: 3,000 years; a moment that does not come."""
FAR: Final = 1e10
"""Beyond it a moment counts as never."""
EARLY: Final = -1e15
CLOSE: Final = 1e-6


class Timelines(NamedTuple):
    """What is free of each crew: from `moment[k]` on `free[k]` of `level[k]`.

    Attributes
    ----------
    first, entries : first entry and number of entries of each crew, [C].
    used : crew time given out, [C].
    holder, held : tasks that were given each crew, from `first` on, and their number, [C].
    """

    moment: Floats
    free: Floats
    level: Floats
    first: Integers
    entries: Integers
    used: Floats
    holder: Integers
    held: Integers


@compiled_inline
def later(clock: Clock, c: int, t: float, lag: float) -> float:
    """Return the moment at which a lag that runs in calendar `c` from `t` is over."""
    if lag == 0.0:
        return t
    if c < 0:
        return t + lag
    return ending(clock, c, worked(clock, c, t) + lag)


@compiled_inline
def span(clock: Clock, c: int, bound: float, least: float, work: float) -> tuple[float, float]:
    """Return start and finish of work that starts at or after `bound`, ends at or after `least`."""
    if work <= 0.0:
        moment = max(bound, least)
        return moment, moment
    if c < 0:
        start = max(bound, least - work)
        return start, start + work
    start = opening(clock, c, bound)
    finish = ending(clock, c, worked(clock, c, start) + work)
    if finish < least:
        begun = worked(clock, c, least) - work
        start = max(start, latest(clock, c, begun))
        finish = max(ending(clock, c, worked(clock, c, start) + work), least)
    return start, finish


@compiled_inner
def slowed(
    clock: Clock, c: int, start: float, work: float, shocks: Shocks, values: Floats, i: int
) -> tuple[float, float]:
    """Return start and finish of work that goes slower at times, from `start` on.

    Where several times overlap, the slowest pace holds.
    """
    begun, t, left = NEVER, start, work
    low, high = shocks.slow_start[i], shocks.slow_start[i + 1]
    for _ in range(2 * (high - low) + 1):
        pace, change = 1.0, NEVER
        for k in range(low, high):
            first = values[shocks.slow_from[k]]
            row = shocks.slow_until[k]
            last = NEVER if row < 0 else values[row]
            if first > t:
                if last > first:
                    change = min(change, first)
            elif last > t:
                change = min(change, last)
                pace = min(pace, max(values[shocks.pace[k]], 0.0))
        if pace > 0.0:
            if begun == NEVER:
                begun = t if work <= 0.0 else opening(clock, c, t)
            if left <= 0.0:
                return begun, max(t, begun)
            finish = later(clock, c, t, left / pace)
            if finish <= change:
                return begun, finish
            if c < 0:
                left -= (change - t) * pace
            else:
                left -= (worked(clock, c, change) - worked(clock, c, t)) * pace
        t = change
        if t >= FAR:
            break
    return min(begun, NEVER), NEVER


@compiled_inner
def longer(shocks: Shocks, values: Floats, i: int, start: float, work: float) -> float:
    """Return the work of a task that begins at `start`, longer by what holds at that time."""
    for k in range(shocks.longer_start[i], shocks.longer_start[i + 1]):
        row = shocks.longer_until[k]
        if values[shocks.longer_from[k]] <= start and (row < 0 or start < values[row]):
            if shocks.factor[k] >= 0:
                work *= max(values[shocks.factor[k]], 0.0)
            if shocks.added[k] >= 0:
                work += max(values[shocks.added[k]], 0.0)
    return work


@compiled_inner
def place(
    clock: Clock,
    c: int,
    bound: float,
    least: float,
    work: float,
    shocks: Shocks,
    values: Floats,
    i: int,
) -> tuple[float, float, float]:
    """Return start, finish and work of task `i`, crews aside."""
    start, finish = span(clock, c, bound, least, work)
    if shocks.longer_start[i + 1] > shocks.longer_start[i]:
        more = longer(shocks, values, i, start, work)
        if more != work:
            work = more
            start, finish = span(clock, c, start, least, work)
    if shocks.slow_start[i + 1] > shocks.slow_start[i]:
        start, finish = slowed(clock, c, start, work, shocks, values, i)
        finish = max(finish, least)
    if start >= FAR or finish >= FAR:
        return min(start, NEVER), NEVER, work
    return start, finish, work


@compiled_inner
def first_fit(lines: Timelines, crew: int, start: float, finish: float, need: float) -> float:
    """Return `start` if so much of a crew is free throughout, else when that may first be so."""
    first = lines.first[crew]
    last = first + lines.entries[crew]
    low, high = first, last
    while high - low > 1:
        middle = (low + high) // 2
        if lines.moment[middle] <= start:
            low = middle
        else:
            high = middle
    k = low
    while k < last and (k == low or lines.moment[k] < finish):
        if lines.free[k] < need - CLOSE:
            while k < last and lines.free[k] < need - CLOSE:
                k += 1
            return float(lines.moment[k]) if k < last else NEVER
        k += 1
    return start


@compiled_inner
def take(lines: Timelines, crew: int, start: float, finish: float, need: float) -> None:
    """Take so much of a crew from `start` to `finish`."""
    if finish <= start:
        return
    first = _split(lines, crew, start)
    last = _split(lines, crew, finish)
    for k in range(first, last):
        lines.free[k] -= need
    lines.used[crew] += need * (finish - start)


@compiled_inner
def _split(lines: Timelines, crew: int, moment: float) -> int:
    """Return the entry of a crew's timeline that begins at a moment; makes it if there is none."""
    low = lines.first[crew]
    end = low + lines.entries[crew]
    high = end
    while high - low > 1:
        middle = (low + high) // 2
        if lines.moment[middle] <= moment:
            low = middle
        else:
            high = middle
    if lines.moment[low] == moment:
        return int(low)
    for k in range(end, low + 1, -1):
        lines.moment[k] = lines.moment[k - 1]
        lines.free[k] = lines.free[k - 1]
        lines.level[k] = lines.level[k - 1]
    lines.moment[low + 1] = moment
    lines.free[low + 1] = lines.free[low]
    lines.level[low + 1] = lines.level[low]
    lines.entries[crew] += 1
    return int(low + 1)


@compiled_inner
def balanced(lines: Timelines, crew: int) -> bool:
    """Tell whether a crew was never exceeded, and its timeline shows all that was given out."""
    first = lines.first[crew]
    total = 0.0
    for k in range(first, first + lines.entries[crew]):
        taken = lines.level[k] - lines.free[k]
        if lines.free[k] < -CLOSE and taken > CLOSE:
            return False
        if abs(taken) > CLOSE:
            if k + 1 == first + lines.entries[crew]:
                return False
            total += taken * (lines.moment[k + 1] - lines.moment[k])
    return bool(abs(total - lines.used[crew]) <= 1e-6 * (1.0 + lines.used[crew]))
