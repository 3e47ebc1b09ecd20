"""The law of the test floor: how many slots and how much power a rate of tested racks takes.

By Little's law (Little, A proof for the queuing formula L = lambda W, Operations Research 9
(1961) 383-387) the mean number of racks under test is the rate times the time that each keeps a
slot.  With a clock that starts again after a failure, a rack that fails its tests with
probability ``1 - p`` each, independently, comes to ``1 / p`` tests in the mean (geometric
distribution), so

    slots = racks/week x hours / 168 / p        MW = slots x kW / 1000

These are slots *at work*.  A floor that is to keep up needs more, for waiting and down times:
the simulation says how many.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

HOUR: Final = 3600.0
WEEK: Final = 604800.0


@dataclass(frozen=True, slots=True)
class TestFloor:
    """Slots at work and their power.

    Attributes
    ----------
    slots : mean number of units under test.
    power : their mean power in W, or whatever `draw` is measured in.
    """

    __test__ = False  # not a test, whatever pytest makes of the name

    slots: float
    power: float


def time_in_test(time: float, passes: float = 1, fail_after: float = 1, repair: float = 0) -> float:
    """Return the time that a unit keeps its slot until it has passed, in the unit of `time`.

    A test that passes takes `time`; before it come ``(1 - p) / p`` failed ones in the mean, each
    of which takes the share `fail_after` of the time, and the repair.

    Parameters
    ----------
    time : of one complete test.
    passes : probability p that a test passes.
    fail_after : mean share of the time after which a failure shows.
    repair : mean time of a repair in the slot, before the clock starts again.

    Raises
    ------
    ValueError
        If a time is negative, or a share lies outside of its range.
    """
    if not (time >= 0 and repair >= 0 and 0 < passes <= 1 and 0 <= fail_after <= 1):
        raise ValueError(
            f"a test of {time} that passes with probability {passes}, fails after a share "
            f"{fail_after} and is repaired in {repair} is impossible"
        )
    return time + (1 - passes) / passes * (fail_after * time + repair)


def floor(rate: float, time: float, draw: float, passes: float = 1) -> TestFloor:
    """Return slots and power for a rate of good units.

    Parameters
    ----------
    rate : good units per second.
    time : of one complete test in s.
    draw : of one unit under test, in W.
    passes : first-pass yield.

    Raises
    ------
    ValueError
        As in `time_in_test`, or if rate or draw are negative.
    """
    if not (rate >= 0 and draw >= 0):
        raise ValueError(f"a rate of {rate} units/s at {draw} W each is impossible")
    slots = rate * time_in_test(time, passes)
    return TestFloor(slots, slots * draw)


def rate_of(slots: float, time: float, passes: float = 1) -> float:
    """Return the rate of good units per second that keeps `slots` at work: the law turned round.

    Raises
    ------
    ValueError
        As in `time_in_test`, or if the time is 0.
    """
    if not (slots >= 0 and time > 0):
        raise ValueError(f"{slots} slots with tests of {time} s are impossible")
    return slots / time_in_test(time, passes)


def servers_for(rate: float, time: float, available: float = 1) -> int:
    """Return the fewest parallel testers that can keep a rate up in the long run.

    A station with fewer servers is overloaded: its queue grows without end (stability of G/G/c,
    Loynes, Mathematical Proceedings of the Cambridge Philosophical Society 58 (1962) 497-520).
    At exactly full load it is not stable either, so a load that is a whole number needs one more.

    Parameters
    ----------
    rate : good units per second.
    time : mean time in test of each, all attempts together, in s.
    available : share of the time in which a tester is neither down nor maintained nor closed.

    Raises
    ------
    ValueError
        If the rate or the time is negative, or `available` is not in (0, 1].
    """
    if not (rate >= 0 and time >= 0 and 0 < available <= 1):
        raise ValueError(f"rate {rate}, time {time}, availability {available} are impossible")
    load = rate * time / available
    return max(1, math.floor(load + 1e-9) + 1) if load > 0 else 1
