"""Working time: how much lies between two moments, and when so much of it has passed.

The open spans of all calendars lie one after another in one table. A calendar's table runs over
whole weeks; after its last week, which has no days off, that week repeats for ever. Two indices of
equal steps, one in time and one in work done, lead to a span without a search.

Work done is counted from the calendar's origin. Where it stands still, while the calendar is
closed, a moment is not unique: work begins at the latest such moment, when the calendar opens, and
ends at the earliest, when it closes.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from firsttoken.kernel.compiled import compiled_inline

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DAY: Final = 86400.0
WEEK: Final = 604800.0
ALWAYS: Final = -1
"""Calendar that is always open."""


class Clock(NamedTuple):
    """Calendars.  Times in s from the twin's start; C calendars, N spans in all.

    Attributes
    ----------
    spans : when each open span begins, when it ends, and the work done before it, [N, 3];
        disjoint and ascending within a calendar.
    places : first span that ends after the beginning of each day, then first span at whose end
        more work is done than at the beginning of each step of work; of all calendars, [M].
    rows : first span, last span + 1, first day and first step of work in `places`, [C, 4].
    facts : origin and end of the table in time, work in the table, work in a week after it, steps
        of work in a second of work, [C, 5].
    """

    spans: Floats
    places: Integers
    rows: Integers
    facts: Floats


ORIGIN, END, TOTAL, WEEKLY, STEPS = range(5)


@compiled_inline
def opening(clock: Clock, c: int, t: float) -> float:
    """Return the first open moment at or after `t` of calendar `c`."""
    if c < 0:
        return t
    shift = 0.0
    if t >= clock.facts[c, END]:
        shift = (np.floor((t - clock.facts[c, END]) / WEEK) + 1.0) * WEEK
        t -= shift
    k = clock.places[clock.rows[c, 2] + int(max(t - clock.facts[c, ORIGIN], 0.0) / DAY)]
    while k < clock.rows[c, 1] and clock.spans[k, 1] <= t:
        k += 1
    if k == clock.rows[c, 1]:  # the last week's own opening, a week later
        k = clock.rows[c, 0]
        while clock.spans[k, 0] < clock.facts[c, END] - WEEK:
            k += 1
        return float(clock.spans[k, 0] + WEEK + shift)
    return float(max(t, clock.spans[k, 0]) + shift)


@compiled_inline
def worked(clock: Clock, c: int, t: float) -> float:
    """Return the work done in calendar `c` until `t`; in s, from its origin."""
    if c < 0:
        return t
    more = 0.0
    if t >= clock.facts[c, END]:
        weeks = np.floor((t - clock.facts[c, END]) / WEEK) + 1.0
        t -= weeks * WEEK
        more = weeks * clock.facts[c, WEEKLY]
    k = clock.places[clock.rows[c, 2] + int(max(t - clock.facts[c, ORIGIN], 0.0) / DAY)]
    while k < clock.rows[c, 1] and clock.spans[k, 1] <= t:
        k += 1
    if k == clock.rows[c, 1]:
        return float(clock.facts[c, TOTAL] + more)
    return float(clock.spans[k, 2] + max(t - clock.spans[k, 0], 0.0) + more)


@compiled_inline
def ending(clock: Clock, c: int, work: float) -> float:
    """Return the earliest moment at which so much work is done in calendar `c`."""
    if c < 0:
        return work
    shift = 0.0
    if work > clock.facts[c, TOTAL]:
        weeks = np.ceil((work - clock.facts[c, TOTAL]) / clock.facts[c, WEEKLY])
        work -= weeks * clock.facts[c, WEEKLY]
        shift = weeks * WEEK
    k = clock.places[clock.rows[c, 3] + int(max(work, 0.0) * clock.facts[c, STEPS])]
    while k > clock.rows[c, 0] and clock.spans[k, 2] >= work:
        k -= 1
    while (
        k < clock.rows[c, 1] - 1
        and clock.spans[k, 2] + (clock.spans[k, 1] - clock.spans[k, 0]) < work
    ):
        k += 1
    return float(clock.spans[k, 0] + (work - clock.spans[k, 2]) + shift)


@compiled_inline
def latest(clock: Clock, c: int, work: float) -> float:
    """Return the latest moment at which no more than so much work is done in calendar `c`."""
    if c < 0:
        return work
    shift = 0.0
    if work >= clock.facts[c, TOTAL]:
        weeks = np.floor((work - clock.facts[c, TOTAL]) / clock.facts[c, WEEKLY]) + 1.0
        work -= weeks * clock.facts[c, WEEKLY]
        shift = weeks * WEEK
    k = clock.places[clock.rows[c, 3] + int(max(work, 0.0) * clock.facts[c, STEPS])]
    while k > clock.rows[c, 0] and clock.spans[k, 2] > work:
        k -= 1
    while (
        k < clock.rows[c, 1] - 1
        and clock.spans[k, 2] + (clock.spans[k, 1] - clock.spans[k, 0]) <= work
    ):
        k += 1
    return float(clock.spans[k, 0] + (work - clock.spans[k, 2]) + shift)
