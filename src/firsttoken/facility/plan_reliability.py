"""Availability of equipment with spares.

Units fail and are repaired independently of each other, so each is up for
``MTBF / (MTBF + MTTR)`` of the time, and k of n are up with the binomial's probability (Rausand
and Hoyland, System Reliability Theory, 2nd ed. 2004, sections 4.2 and 9.5; IEEE Std 493-2007,
chapter 2).  What all units have in common, the utility, is taken out by conditioning on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lineups:
    """Redundancy of the line-ups of a block.

    Attributes
    ----------
    needed, total : line-ups that carry the block's load, and that are there.
    two_ways : whether a rack has two ways, so that no single busway takes it down.
    bus : whether the line-ups share one bus at their output.
    switch : whether a static switch stands before each rack.
    """

    needed: int
    total: int
    two_ways: bool = False
    bus: bool = False
    switch: bool = False


def lineups_of(topology: str, block: int) -> Lineups:
    """Line-ups of a topology; `block` of them share one spare in N+1 and catcher.

    Raises
    ------
    ValueError
        If there is no such topology.
    """
    known = {
        "N": Lineups(1, 1),
        "N+1": Lineups(block, block + 1, bus=True),
        "2N": Lineups(1, 2, two_ways=True),
        "4-to-make-3": Lineups(3, 4, two_ways=True),
        "catcher": Lineups(block, block + 1, switch=True),
    }
    if topology not in known:
        raise ValueError(f"{topology!r} is none of {', '.join(known)}")
    return known[topology]


def up(mtbf: float, mttr: float) -> float:
    """Share of the time in which a unit is up; 1 for a unit that never fails."""
    return 1.0 if mtbf <= 0 else mtbf / (mtbf + mttr)


def enough(needed: Floats | float, spare: Floats | float, share: Floats | float) -> Floats:
    """Probability that at least `needed` of ``needed + spare`` units are up.

    Parameters
    ----------
    needed, spare : whole numbers; arrays are taken element by element.
    share : probability that one is up.
    """
    from scipy.special import bdtr

    counts = (np.asarray(needed) + np.asarray(spare)).astype(np.int64)
    found = bdtr(np.minimum(spare, counts), counts, 1.0 - np.asarray(share))
    return np.asarray(found, dtype=np.float64)


def powered(
    source: float, backup: float, line: float, lineups: Lineups, way: float, shared: float
) -> float:
    """Share of the time in which a rack has power.

    Parameters
    ----------
    source : share of the time in which the common source (utility, main transformers) is up.
    backup : probability that the generator of a line-up carries it while the source is down.
    line : share of the time in which the rest of a line-up is up.
    way : that of one busway to the rack.
    shared : that of what stands alone: a common bus, a static switch; 1 where there is none.

    Returns
    -------
    A rack of a block counts as down while fewer line-ups are up than the block needs.
    """
    needed, spare = lineups.needed, lineups.total - lineups.needed
    by_source = float(enough(needed, spare, line))
    by_backup = float(enough(needed, spare, line * backup))
    last = 1.0 - (1.0 - way) ** 2 if lineups.two_ways else way
    return (source * by_source + (1.0 - source) * by_backup) * last * shared
